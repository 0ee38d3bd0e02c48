//! Text inside a block: pieces that are plain, code, or a link to another block.

/// A piece of text. What it holds is never markup: each writer escapes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span {
    Plain(String),
    /// Words that carry the sentence.
    Strong(String),
    /// A command, an option, a file: shown as it is typed.
    Code(String),
    /// Words that lead to the block with this anchor.
    Link {
        text: String,
        /// The anchor of a block of the same document.
        anchor: String,
    },
}

/// A run of [`Span`]s.
///
/// ```
/// # use tracer_user::report::document::Text;
/// let text = Text::plain("all of them are in ").code("run.json").then(".");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    spans: Vec<Span>,
}

impl Text {
    pub fn plain(words: impl Into<String>) -> Self {
        Self::default().then(words)
    }

    /// The tool's own words, in which what is typed stands between backticks.
    ///
    /// ```
    /// # use tracer_user::report::document::Text;
    /// let text = Text::plain("try ").code("--help").then(".");
    /// assert_eq!(Text::with_code("try `--help`."), text);
    /// ```
    #[must_use]
    pub fn with_code(words: &str) -> Self {
        Self::of_pieces(words, Span::Plain)
    }

    /// The same where the words carry the sentence.
    #[must_use]
    pub fn strong_with_code(words: &str) -> Self {
        Self::of_pieces(words, Span::Strong)
    }

    fn of_pieces(words: &str, between: fn(String) -> Span) -> Self {
        let mut text = Self::default();
        let mut rest = words;
        // A backtick without a second one is a letter like any other.
        while let Some((before, after)) = rest.split_once('`')
            && let Some((code, after)) = after.split_once('`')
        {
            text = text.with_some(between, before).with_some(Span::Code, code);
            rest = after;
        }
        text.with_some(between, rest)
    }

    fn with_some(self, span: fn(String) -> Span, words: &str) -> Self {
        if words.is_empty() {
            return self;
        }
        self.with(span(words.to_owned()))
    }

    #[must_use]
    pub fn then(self, words: impl Into<String>) -> Self {
        self.with(Span::Plain(words.into()))
    }

    /// Adds words that carry the sentence.
    #[must_use]
    pub fn strong(self, words: impl Into<String>) -> Self {
        self.with(Span::Strong(words.into()))
    }

    #[must_use]
    pub fn code(self, words: impl Into<String>) -> Self {
        self.with(Span::Code(words.into()))
    }

    /// Adds a link to the block with this anchor.
    #[must_use]
    pub fn link(self, words: impl Into<String>, anchor: impl Into<String>) -> Self {
        self.with(Span::Link {
            text: words.into(),
            anchor: anchor.into(),
        })
    }

    #[must_use]
    pub fn joined(mut self, other: Self) -> Self {
        self.spans.extend(other.spans);
        self
    }

    fn with(mut self, span: Span) -> Self {
        self.spans.push(span);
        self
    }

    /// The pieces, in order.
    #[must_use]
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Whether nothing would be shown.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.iter().all(|span| match span {
            Span::Plain(text) | Span::Strong(text) | Span::Code(text) | Span::Link { text, .. } => {
                text.is_empty()
            }
        })
    }
}

impl From<&str> for Text {
    fn from(words: &str) -> Self {
        Self::plain(words)
    }
}

impl From<&String> for Text {
    fn from(words: &String) -> Self {
        Self::plain(words)
    }
}

impl From<String> for Text {
    fn from(words: String) -> Self {
        Self::plain(words)
    }
}

#[cfg(test)]
mod tests {
    use super::{Span, Text};

    #[test]
    fn a_command_between_backticks_is_code_and_a_single_backtick_a_letter() {
        let text = Text::strong_with_code("a `b c` d `e`, f` g");
        let strong = |words: &str| Span::Strong(words.to_owned());
        let code = |words: &str| Span::Code(words.to_owned());
        assert_eq!(
            text.spans(),
            [
                strong("a "),
                code("b c"),
                strong(" d "),
                code("e"),
                strong(", f` g")
            ]
        );
        assert!(Text::with_code("").is_empty());
        assert_eq!(Text::with_code("``").spans(), []);
    }
}
