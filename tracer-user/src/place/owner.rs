//! Whose bytes are meant: a file of a model, by slots.

use serde::{Deserialize, Serialize};

/// Where a file's slot and its model's slot are, by position in a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Slot of the model.
    pub model: u16,
    /// Slot of the file.
    pub file: u16,
}
