//! What is wrong with a text of filefrag.

use std::path::PathBuf;

use thiserror::Error;

use crate::storage::extents::ExtentsError;

/// Why a text is no output of `filefrag -v`, or one that cannot be used.
#[derive(Debug, Error)]
pub enum FilefragError {
    /// No file in it.
    #[error(
        "no line `File size of NAME is SIZE (N blocks of B bytes)`: save the output of filefrag -v"
    )]
    NoFile,
    /// A line that does not belong there.
    #[error(
        "line {line}: expected {expected}, as filefrag -v of e2fsprogs 1.42 or later prints `EXT: LOGICAL..LOGICAL: PHYSICAL..PHYSICAL: LENGTH: EXPECTED: FLAGS`, each extent on one line. Save its output again, straight into a file"
    )]
    Line {
        /// Number of the line, from 1 on.
        line: usize,
        /// What should stand there.
        expected: &'static str,
    },
    /// What a line says contradicts itself, in decimal as in hexadecimal numbers.
    #[error(
        "line {line}: {contradiction}. The text was changed; save the output of filefrag -v again"
    )]
    Contradiction {
        /// Number of the line, from 1 on.
        line: usize,
        /// What does not fit.
        contradiction: &'static str,
    },
    /// Both readings of the numbers are possible.
    #[error(
        "the numbers may be decimal or hexadecimal (filefrag -X), and nothing in the text tells which: save the output of filefrag -v, without -X"
    )]
    DecimalOrHexadecimal,
    /// Lines are missing.
    #[error(
        "{}: the text is cut: {reason}. Save the whole output of filefrag -v", path.display()
    )]
    Cut {
        /// The file.
        path: PathBuf,
        /// What shows it.
        reason: String,
    },
    /// The addresses are not those of a disk.
    #[error(
        "{}: it lies on {file_system}, whose addresses are not sectors of a disk: the trace cannot be compared with them", path.display()
    )]
    NotOnDisk {
        /// The file.
        path: PathBuf,
        /// The file system.
        file_system: String,
    },
    /// The extents of a file cannot be used.
    #[error("{}: {error}", path.display())]
    Extents {
        /// The file.
        path: PathBuf,
        /// Why.
        error: ExtentsError,
    },
}
