//! Which requests are looked at.

use tracer_common::{
    counters::Operation,
    extent::MAX_DEVICES,
    settings::{DeviceFilter, ExtentIndex},
};

use crate::settings::{SETTINGS, setting};

/// A traced device. What is asked of it is a constant to the verifier.
#[derive(Clone, Copy)]
pub struct Device {
    /// Its slot.
    pub slot: u32,
}

impl Device {
    /// What the loader said of it.
    #[inline(always)]
    fn filter(self) -> *const DeviceFilter {
        // The mask says to the compiler that it lies inside.
        &raw const SETTINGS.devices[self.slot as usize & (MAX_DEVICES - 1)]
    }

    #[inline(always)]
    fn index(self) -> *const ExtentIndex {
        &raw const SETTINGS.extent_indices[self.slot as usize & (MAX_DEVICES - 1)]
    }
}

/// A getter for each member. Volatile, as in [`setting`].
macro_rules! members {
    ($from:ident: $($(#[$documentation:meta])* $member:ident: $type:ty,)*) => {
        impl Device {
            $(
                $(#[$documentation])*
                #[inline(always)]
                pub fn $member(self) -> $type {
                    // SAFETY: a static of plain integers, only read.
                    unsafe { core::ptr::read_volatile(&raw const (*self.$from()).$member) }
                }
            )*
        }
    };
}

members! {
    filter:
    /// Major number of the whole disk.
    major: u32,
    /// First minor number of the whole disk.
    first_minor: u32,
    /// First of its extents in the extent table.
    first_extent: u32,
    /// Number of its extents.
    extents: u32,
    /// First of its slots in the request table.
    first_slot: u32,
    /// Tags to a hardware queue.
    tags: u32,
    /// Hardware queues.
    hardware_queues: u32,
}

members! {
    index:
    /// First sector of the first extent.
    first_sector: u64,
    /// First of its pieces in the map of indices.
    first_piece: u32,
    /// Number of pieces.
    pieces: u32,
    /// log2 of a piece's sectors.
    shift: u32,
}

/// The traced device with these numbers.
#[inline(always)]
pub fn device_of((major, first_minor): (u32, u32)) -> Option<Device> {
    for slot in 0..MAX_DEVICES as u32 {
        if slot >= setting!(device_count) {
            return None;
        }
        let device = Device { slot };
        if device.major() == major && device.first_minor() == first_minor {
            return Some(device);
        }
    }
    None
}

/// Bits of the command flags that hold the operation (`REQ_OP_BITS` in `include/linux/blk_types.h`).
const OPERATION_MASK: u32 = 0xff;

/// What a request does.
#[inline(always)]
pub fn operation_of(command_flags: u32) -> Operation {
    let operation = command_flags & OPERATION_MASK;
    if operation == setting!(constants.operation_read) {
        Operation::Read
    } else if operation == setting!(constants.operation_write) {
        Operation::Write
    } else if operation == setting!(constants.operation_flush) {
        Operation::Flush
    } else if operation == setting!(constants.operation_discard) {
        Operation::Discard
    } else {
        Operation::Other
    }
}
