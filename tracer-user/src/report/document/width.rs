//! How wide a line on a terminal may be.

use std::borrow::Cow;

/// The width where the output is no terminal.
const DEFAULT_COLUMNS: u16 = 120;
/// Narrower than this, the terminal itself breaks lines.
const NARROWEST_COLUMNS: u16 = 40;

/// The width of a terminal, in columns of one character.
#[derive(Clone, Copy, Debug)]
pub(super) struct Width {
    columns: u16,
    /// Whether sentences are broken. What goes into a file or a pipe is searched by line.
    folds: bool,
}

impl Width {
    /// That of a terminal; `None` where the output is none.
    pub(super) fn of(columns: Option<u16>) -> Self {
        Self {
            columns: columns.unwrap_or(DEFAULT_COLUMNS).max(NARROWEST_COLUMNS),
            folds: columns.is_some(),
        }
    }

    pub(super) fn columns(self) -> u16 {
        self.columns
    }

    /// The sentence on as many lines as it needs: the first begins with `first`, the others with `others`. Words keep
    /// whole unless one is wider than a line.
    pub(super) fn fold<'t>(
        self,
        text: &'t str,
        first: &'t str,
        others: &'t str,
    ) -> Vec<Cow<'t, str>> {
        if !self.folds {
            return vec![Cow::Owned(format!("{first}{text}"))];
        }
        let options = textwrap::Options::new(usize::from(self.columns))
            .initial_indent(first)
            .subsequent_indent(others)
            .word_splitter(textwrap::WordSplitter::NoHyphenation)
            .wrap_algorithm(textwrap::WrapAlgorithm::FirstFit);
        textwrap::wrap(text, options)
    }
}

/// Columns that this line takes on a terminal.
pub(super) fn columns_of(line: &str) -> usize {
    textwrap::core::display_width(line)
}

/// Columns of its widest word.
pub(super) fn widest_word(line: &str) -> usize {
    line.split_whitespace().map(columns_of).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::Width;

    #[test]
    fn sentences_fold_on_a_terminal_and_nowhere_else() {
        let text = "a sentence that is a little longer than forty columns are";
        assert_eq!(Width::of(None).fold(text, "", ""), [text]);
        assert_eq!(
            Width::of(Some(40)).fold(text, "• ", "  "),
            [
                "• a sentence that is a little longer",
                "  than forty columns are"
            ]
        );
        // Two columns a character.
        let wide = "漢字".repeat(15);
        assert_eq!(Width::of(Some(40)).fold(&wide, "", "").len(), 2);
    }

    #[test]
    fn no_terminal_and_too_narrow_a_terminal_have_a_width() {
        assert_eq!(Width::of(None).columns(), 120);
        assert_eq!(Width::of(Some(40)).columns(), 40);
        assert_eq!(Width::of(Some(10)).columns(), 40);
    }
}
