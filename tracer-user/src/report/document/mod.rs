//! A report as a document: headings, paragraphs, notes, tables, lists, code and charts, written for a terminal, as Markdown, or
//! as HTML.
//!
//! Who makes a report says what stands in it, with plain text as it came from files, commands and logs. What that text
//! may not do (move the cursor, break a table, be taken for markup) and how wide a line may be is not theirs to decide:
//! [`crate::markup`] and `escape` do the first, `width` the second.

mod block;
mod drawing;
mod escape;
mod html;
mod markdown;
mod table;
mod terminal;
mod text;
mod width;

pub use block::{Block, Content, Document, List, Note, Tone};
pub use drawing::Drawing;
pub use html::html;
pub use markdown::markdown;
pub use table::{Align, Cell, Column, Table};
pub use terminal::terminal;
pub use text::{Span, Text};
