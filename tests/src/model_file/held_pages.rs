//! A file that stays in the page cache.

use std::{fs::File, path::Path};

use anyhow::{Context as _, Result};

use super::Mapping;

/// A file's pages, brought into memory and locked there for as long as this lives. A machine that reclaims idle page
/// cache by itself (DAMON's does) would else take pages that nobody maps from under a test.
pub struct HeldPages {
    _mapping: Mapping,
}

impl HeldPages {
    /// # Errors
    /// Where the file cannot be opened, is empty, or cannot be locked in memory.
    pub fn of(path: &Path) -> Result<Self> {
        let hold = || {
            let mapping = Mapping::of(&File::open(path)?)?;
            mapping.lock()?;
            anyhow::Ok(Self { _mapping: mapping })
        };
        hold().with_context(|| format!("hold {} in memory", path.display()))
    }
}
