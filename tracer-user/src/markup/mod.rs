//! Text from outside, and the elements it stands in: what names of models, commands, paths and lines of logs may not do.
//!
//! HTML and SVG are written through [`Markup`] alone. It escapes every text and every value, so that nobody who makes a
//! page or a chart has to think of it.

mod escape;
mod writer;

pub use escape::{escaped, lines, one_line};
pub use writer::Markup;
