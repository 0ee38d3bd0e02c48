//! What a walk over extents finds: the parts of a range of sectors that belong to each model.

use tracer_common::extent::MAX_MODELS;

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

/// A walk and its result.
#[repr(C)]
pub struct Walk {
    /// First sector of the range.
    pub sector: u64,
    /// Sector after its last one.
    pub end_sector: u64,
    /// Extent to visit next.
    pub next_extent: u32,
    /// Whether visited sectors are noted as read.
    pub mark_unique: u32,
    /// Bit mask of the models in the range; the parts of the others are stale.
    pub touched: u64,
    /// By model.
    pub parts: [Part; MAX_MODELS],
}
