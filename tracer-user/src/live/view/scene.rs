//! What is drawn, for all that draw.

use crate::live::{board::Board, keys::Choices, pane::Pane};

use super::palette::Palette;

/// What is drawn.
pub struct View<'a> {
    pub board: &'a Board,
    pub choices: &'a Choices,
    pub pane: &'a Pane,
    /// What is to be said now, in the place of the keys.
    pub message: Option<&'a str>,
    /// What the key `q` does.
    pub quit: &'static str,
    pub palette: Palette,
}

/// Lines of a text that is wrapped between words.
pub fn wrapped_lines(text: &str, width: usize) -> usize {
    textwrap::wrap(text, width.max(1)).len().max(1)
}
