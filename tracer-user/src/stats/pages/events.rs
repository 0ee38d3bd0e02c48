//! What [`crate::stats::pages::history`] takes in, and what it refuses.

use serde::{Deserialize, Serialize};

pub use tracer_common::counters::EvictionAgent;

/// Most pages that are followed, over all files: 4 TiB.
pub const MAX_PAGES: u64 = 1 << 30;

/// Whether the kernel's events of faults, map windows and lookups are traced. They exist from 6.12 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TouchEvents {
    /// They are, so their absence says that a page was not used.
    Observed,
    /// They are not: nothing can be said about unused pages.
    Unobserved,
}

/// Why a history cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageHistoryError {
    /// The files have too many pages.
    #[error("the files have {pages} pages of 4 KiB; at most {MAX_PAGES} can be followed")]
    TooManyPages {
        /// Number of pages.
        pages: u64,
    },
    /// The residency at the start came for a file that is not among the model's.
    #[error("residency given for file {file}, but there are only {files} files")]
    UnknownFile {
        /// Slot of the file.
        file: u16,
        files: usize,
    },
    /// The residency at the start came after it.
    #[error(
        "residency of file {file} given twice or after an event of its pages: give it once, before the first insert or eviction"
    )]
    StartedAlready {
        /// Slot of the file.
        file: u16,
    },
    /// The bitmap does not cover the file.
    #[error("residency bitmap of file {file} has {words} words of 64 pages for {pages} pages")]
    BitmapTooShort {
        /// Slot of the file.
        file: u16,
        /// Words in the bitmap.
        words: usize,
        /// Pages in the file.
        pages: u64,
    },
}

/// What an insert or an eviction was, in bytes of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageBytes {
    /// All bytes of the file in the folio.
    pub bytes: u64,
    /// Those of them that came back after an eviction seen in this run; 0 for an eviction.
    pub refaulted_bytes: u64,
}
