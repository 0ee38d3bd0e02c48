//! Widths of what is not a document yet.

/// Narrowest table that is still readable; below it, lines wrap in the terminal.
pub(super) const NARROWEST_COLUMNS: u16 = 50;
/// Width where nobody says how wide the terminal is.
pub(super) const DEFAULT_COLUMNS: u16 = 120;
