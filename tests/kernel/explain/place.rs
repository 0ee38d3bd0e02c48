//! Causes that are in where the model lies.

use anyhow::{Result, ensure};

use super::{passes, reading::Reading};
use crate::ground::Ground;

/// An image on a loop device that reads its file through the page cache has the model there twice; with direct I/O, or through
/// an overlay as of a container, nothing is in the way; and what lies in memory needs no way.
pub fn file_system(ground: &Ground) -> Result<()> {
    let mut reading = Reading::new(passes(1));
    reading.read_ahead_kb = 128;
    reading.loop_direct_io = false;
    let said = reading.explained(ground)?;
    let cause = said.comes("file_system")?;
    ensure!(
        cause["only_likely"] == true && cause["evidence"].to_string().contains("cached twice"),
        "{cause}"
    );
    reading.loop_direct_io = true;
    reading.explained(ground)?.does_not_come("file_system")?;
    reading
        .explained_on_overlay(ground)?
        .does_not_come("file_system")?;
    reading
        .explained_in_memory(ground)?
        .does_not_come("file_system")
}

/// What it costs only a test of the device tells, so it has no time here, and comes last.
pub fn fragmentation(ground: &Ground) -> Result<()> {
    let mut reading = Reading::new(passes(1));
    reading.read_ahead_kb = 128;
    reading.piece_bytes = Some(64 << 10);
    let said = reading.explained(ground)?;
    ensure!(
        said.causes().last() == Some(&"fragmentation"),
        "{:#}",
        said.0
    );
    reading.piece_bytes = None;
    reading.explained(ground)?.does_not_come("fragmentation")
}
