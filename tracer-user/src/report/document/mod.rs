//! A report as a document: headings, paragraphs, notes, tables, lists and code, written for a terminal or as Markdown.
//!
//! Who makes a report says what stands in it, with plain text as it came from files, commands and logs. What that text
//! may not do (move the cursor, break a table, be taken for markup) and how wide a line may be is decided here alone:
//! [`escape`] for the first, [`width`] for the second.

mod block;
mod escape;
mod markdown;
mod table;
mod terminal;
mod text;
mod width;

pub use block::{Block, Content, Document, List, Note, Tone};
pub use markdown::markdown;
pub use table::{Align, Cell, Column, Table};
pub use terminal::terminal;
pub use text::{Span, Text};
