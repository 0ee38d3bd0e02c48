//! One read, as a row of the list.

/// A read of a model: a request that touches its extents, at its first issue. A request that touches several models
/// gives one row for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadRow {
    /// First issue, nanoseconds since the gate opened.
    pub time_ns: u64,
    /// Slot of the device.
    pub device: u8,
    /// Slot of the model.
    pub model: u16,
    /// Slot of the file among the model's; None where the read touches several.
    pub file: Option<u16>,
    /// First sector of the model in the request, on the whole disk. 512 bytes each.
    pub start_sector: u64,
    /// Sectors from there to the model's last one in the request.
    pub sectors: u64,
    /// Where in the file it begins, bytes; None where the model's part is not one piece of one file.
    pub file_offset_bytes: Option<u64>,
    /// Bytes of the model in the request.
    pub bytes: u64,
    /// Bytes of the whole request.
    pub request_bytes: u32,
    /// Sector after the last one of the model's previous read on this device; None for the first.
    pub previous_end_sector: Option<u64>,
    /// `REQ_RAHEAD`.
    pub readahead: bool,
    /// Process that was current at the issue.
    pub process_id: u32,
    /// Thread that was current at the issue.
    pub thread_id: u32,
    /// First issue to last completion, nanoseconds; None where that was not seen.
    pub latency_ns: Option<u64>,
}
