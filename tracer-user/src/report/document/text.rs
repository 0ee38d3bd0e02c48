//! Text inside a block: pieces that are plain, code, or a link to another block.

/// A piece of text. What it holds is never markup: each writer escapes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span {
    /// Words.
    Plain(String),
    /// Words that carry the sentence.
    Strong(String),
    /// A command, an option, a file: shown as it is typed.
    Code(String),
    /// Words that lead to the block with this anchor.
    Link {
        /// What is shown.
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
    /// Plain words.
    pub fn plain(words: impl Into<String>) -> Self {
        Self::default().then(words)
    }

    /// Adds plain words.
    #[must_use]
    pub fn then(self, words: impl Into<String>) -> Self {
        self.with(Span::Plain(words.into()))
    }

    /// Adds words that carry the sentence.
    #[must_use]
    pub fn strong(self, words: impl Into<String>) -> Self {
        self.with(Span::Strong(words.into()))
    }

    /// Adds code.
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
