//! What is wrong, where, and what to do about it.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// One mistake in the structure of the sources.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    file: PathBuf,
    line: Option<usize>,
    message: String,
}

impl Finding {
    /// A mistake at a line (counted from 1) of a file.
    pub fn new(file: &Path, line: usize, message: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: Some(line),
            message: message.into(),
        }
    }

    /// A mistake of a whole file or folder.
    pub fn of_all(path: &Path, message: impl Into<String>) -> Self {
        Self {
            file: path.to_owned(),
            line: None,
            message: message.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(formatter, "{line}:")?;
        }
        write!(formatter, " {}", self.message)
    }
}
