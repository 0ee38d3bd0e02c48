//! What a run may change beside the memory: read-ahead, and the engine's own options.

use crate::{schema::AS_IS, setting::check_read_ahead, units::parse_bytes_or_off};

/// A read-ahead as plans write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlannedReadAhead {
    /// What the machine has.
    AsIs,
    /// Bytes.
    Set(u64),
}

/// Read-ahead as plans write it: `as-is`, `off`, `128K`.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_read_ahead(text: &str) -> Result<PlannedReadAhead, String> {
    if text == AS_IS {
        return Ok(PlannedReadAhead::AsIs);
    }
    let bytes = parse_bytes_or_off(text).map_err(|error| format!("{error}, or {AS_IS}"))?;
    check_read_ahead(bytes).map_err(|error| error.to_string())?;
    Ok(PlannedReadAhead::Set(bytes))
}
