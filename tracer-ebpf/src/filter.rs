//! Which requests are looked at.

use tracer_common::{counters::Operation, extent::MAX_DEVICES, settings::DeviceFilter};

use crate::{maps::DEVICE_FILTERS, settings::setting};

/// The traced device with these numbers, and its slot.
#[inline(always)]
pub fn device_of((major, first_minor): (u32, u32)) -> Option<(u32, &'static DeviceFilter)> {
    for slot in 0..MAX_DEVICES as u32 {
        if slot >= setting!(device_count) {
            return None;
        }
        let device = DEVICE_FILTERS.get(slot)?;
        if device.major == major && device.first_minor == first_minor {
            return Some((slot, device));
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
