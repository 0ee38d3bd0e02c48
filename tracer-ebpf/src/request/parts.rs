//! What a walk over extents finds: the parts of a range of sectors that belong to each model.

use tracer_common::{extent::MAX_MODELS, slice::NO_SPAN};

use crate::settings::setting;

/// What of the range belongs to one model.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Part {
    /// First sector of the model in the range.
    pub start_sector: u64,
    /// Sector after the model's last one in the range.
    pub end_sector: u64,
    /// Bytes of the model in the range.
    pub bytes: u64,
}

impl Part {
    /// Nothing.
    pub const NONE: Self = Self {
        start_sector: 0,
        end_sector: 0,
        bytes: 0,
    };
}

/// What a range is walked over for, beside its parts.
#[derive(Clone, Copy)]
pub enum Purpose {
    /// Nothing else.
    Look,
    /// Its sectors are noted as read.
    Unique,
    /// Its sectors are counted for a slice of time.
    Slice {
        /// Number of the slice.
        slice: u64,
        /// The page cache asks ahead.
        readahead: bool,
    },
}

/// Where a walk comes from: what was counted of the extent before.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Before {
    /// Bit after its last one.
    pub end_bit: u64,
    /// Last span of sectors, or [`NO_SPAN`].
    pub last_span: u32,
}

impl Before {
    /// From nowhere.
    pub const NOTHING: Self = Self {
        end_bit: u64::MAX,
        last_span: NO_SPAN,
    };
}

/// A walk and its result.
#[repr(C)]
pub struct Walk {
    /// First sector of the range.
    pub sector: u64,
    /// Sector after its last one.
    pub end_sector: u64,
    /// Extent to visit next.
    pub next_extent: u32,
    /// What it is for: one of [`purpose`].
    purpose: u32,
    /// The slice of [`purpose::SLICE`].
    slice: u64,
    /// Where it comes from.
    pub before: Before,
    /// Bit mask of the models in the range; the parts of the others are stale.
    pub touched: u64,
    /// By model.
    pub parts: [Part; MAX_MODELS],
}

/// A [`Purpose`] in a work space.
mod purpose {
    pub const LOOK: u32 = 0;
    pub const UNIQUE: u32 = 1;
    pub const SLICE: u32 = 2;
    pub const SLICE_READAHEAD: u32 = 3;
}

impl Walk {
    /// What the walk is for.
    #[inline(always)]
    pub fn set_purpose(&mut self, purpose: Purpose) {
        self.purpose = match purpose {
            Purpose::Look => purpose::LOOK,
            Purpose::Unique => purpose::UNIQUE,
            Purpose::Slice { slice, readahead } => {
                self.slice = slice;
                if readahead {
                    purpose::SLICE_READAHEAD
                } else {
                    purpose::SLICE
                }
            }
        };
    }

    /// What [`Walk::set_purpose`] was given.
    #[inline(always)]
    pub fn purpose(&self) -> Purpose {
        match self.purpose {
            purpose::UNIQUE => Purpose::Unique,
            purpose::SLICE | purpose::SLICE_READAHEAD if setting!(slices) != 0 => Purpose::Slice {
                slice: self.slice,
                readahead: self.purpose == purpose::SLICE_READAHEAD,
            },
            _ => Purpose::Look,
        }
    }
}
