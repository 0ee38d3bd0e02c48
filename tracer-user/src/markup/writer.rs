//! Elements of HTML and SVG, written one after the other.

use std::fmt::Write as _;

use super::escape::{escaped, lines};

/// Elements that HTML does not close.
const VOID: [&str; 3] = ["br", "meta", "hr"];

/// Writes elements. Text and values are escaped; names of elements and attributes come from the code, never from outside.
///
/// ```
/// # use tracer_user::markup::Markup;
/// let mut markup = Markup::default();
/// markup.open("p", &[("class", "a\"b")]);
/// markup.text("1 < 2");
/// markup.close();
/// assert_eq!(markup.finish(), "<p class=\"a&quot;b\">1 &lt; 2</p>");
/// ```
#[derive(Debug, Default)]
pub struct Markup {
    written: String,
    open: Vec<&'static str>,
}

impl Markup {
    /// Begins an element.
    pub fn open(&mut self, name: &'static str, attributes: &[(&'static str, &str)]) {
        self.tag(name, attributes);
        self.written.push('>');
        if !VOID.contains(&name) {
            self.open.push(name);
        }
    }

    /// Ends the element that was begun last.
    pub fn close(&mut self) {
        debug_assert!(!self.open.is_empty(), "no element is open");
        if let Some(name) = self.open.pop() {
            let _ = write!(self.written, "</{name}>");
        }
    }

    /// An element without content.
    pub fn empty(&mut self, name: &'static str, attributes: &[(&'static str, &str)]) {
        self.tag(name, attributes);
        self.written.push_str("/>");
    }

    /// An element with nothing but text.
    pub fn element(&mut self, name: &'static str, attributes: &[(&'static str, &str)], text: &str) {
        self.open(name, attributes);
        self.text(text);
        self.close();
    }

    /// Text, as one line.
    pub fn text(&mut self, text: &str) {
        self.written.push_str(&escaped(text));
    }

    /// Text of several lines.
    pub fn text_lines(&mut self, text: &str) {
        for (at, line) in lines(text).enumerate() {
            if at > 0 {
                self.written.push('\n');
            }
            self.written.push_str(&escaped(&line));
        }
    }

    /// What is markup already: written by another [`Markup`], or a constant of the code.
    pub fn markup(&mut self, markup: &str) {
        self.written.push_str(markup);
    }

    /// A line end between elements, for whoever reads the source.
    pub fn line(&mut self) {
        self.written.push('\n');
    }

    /// What was written, with every element closed.
    #[must_use]
    pub fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        self.written
    }

    fn tag(&mut self, name: &'static str, attributes: &[(&'static str, &str)]) {
        let _ = write!(self.written, "<{name}");
        for (attribute, value) in attributes {
            let _ = write!(self.written, " {attribute}=\"{}\"", escaped(value));
        }
    }
}
