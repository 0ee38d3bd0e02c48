//! What foreign text may not do in Markdown.

use std::borrow::Cow;

use crate::markup::{lines, one_line};

/// Plain words in Markdown, where they follow `before` on the same line (`None`: they begin the block).
pub(super) fn markdown_words(text: &str, before: Option<char>) -> String {
    let text = one_line(text);
    // Four blanks at the begin of a block make it code.
    let text = match before {
        None => text.trim_start(),
        Some(_) => &text,
    };
    let mut safe = String::with_capacity(text.len() + 8);
    let mut previous = before;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let special = match character {
            '|' | '\\' | '`' | '*' | '<' | '[' | ']' | '#' | '~' | '&' | '$' => true,
            // Inside a word it is no emphasis, and names are full of it.
            '_' => {
                !(previous.is_some_and(char::is_alphanumeric)
                    && characters.peek().is_some_and(|next| next.is_alphanumeric()))
            }
            // At the begin of a line these are a quotation, a list, a rule or an underline.
            '>' | '-' | '+' | '=' => safe.is_empty() && before.is_none(),
            // "1. " and "1) " at the begin of a line are a numbered list.
            '.' | ')' => {
                before.is_none()
                    && is_number(&safe)
                    && characters.peek().is_none_or(|next| next.is_whitespace())
            }
            _ => false,
        };
        if special {
            safe.push('\\');
        }
        safe.push(character);
        previous = Some(character);
    }
    safe
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|digit| digit.is_ascii_digit())
}

/// Code inside a line of Markdown. In a table a bar ends the cell even inside code.
pub(super) fn markdown_code(text: &str, in_table: bool) -> String {
    let text = one_line(text);
    let fence = "`".repeat(longest_run_of_backticks(&text) + 1);
    // A space apart, or else a backtick of the text joins the fence; one space on each side is not shown.
    let apart =
        text.starts_with('`') || text.ends_with('`') || text.starts_with(' ') || text.is_empty();
    let space = if apart { " " } else { "" };
    let text = if in_table {
        Cow::Owned(text.replace('|', "\\|"))
    } else {
        text
    };
    format!("{fence}{space}{text}{space}{fence}")
}

/// Lines of code as a block of Markdown, without a line end after the last fence.
pub(super) fn markdown_code_block(text: &str) -> String {
    let fence = "`".repeat((longest_run_of_backticks(text) + 1).max(3));
    let mut block = fence.clone();
    for line in lines(text) {
        block.push('\n');
        block.push_str(&line);
    }
    block.push('\n');
    block.push_str(&fence);
    block
}

fn longest_run_of_backticks(text: &str) -> usize {
    text.split(|character| character != '`')
        .map(str::len)
        .max()
        .unwrap_or(0)
}

/// An anchor of letters, digits and `-`, whatever was asked for.
pub(super) fn anchor(text: &str) -> String {
    text.chars()
        .map(|character| {
            if character.is_ascii_alphanumeric() {
                character.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{anchor, markdown_code, markdown_code_block, markdown_words};

    #[test]
    fn words_are_no_markup() {
        for (words, safe) in [
            ("a|b", r"a\|b"),
            (r"a\b", r"a\\b"),
            ("`x`", r"\`x\`"),
            ("**x**", r"\*\*x\*\*"),
            ("<img src=x>", r"\<img src=x>"),
            ("[x](http://y)", r"\[x\](http://y)"),
            ("![x]", r"!\[x\]"),
            ("#12", r"\#12"),
            ("~~x~~", r"\~\~x\~\~"),
            ("&lt;", r"\&lt;"),
            ("$x$", r"\$x\$"),
            ("read_ahead_kb", "read_ahead_kb"),
            ("_x_", r"\_x\_"),
            ("a__b", r"a\_\_b"),
            ("> quoted", r"\> quoted"),
            ("- item", r"\- item"),
            ("--- rule", r"\--- rule"),
            ("  + item", r"\+ item"),
            ("12. item", r"12\. item"),
            ("12) item", r"12\) item"),
            ("12.50 MiB", "12.50 MiB"),
            ("read 12.5 MiB > 1", "read 12.5 MiB > 1"),
            ("a - b", "a - b"),
            ("    no code", "no code"),
        ] {
            assert_eq!(markdown_words(words, None), safe, "{words}");
        }
        assert_eq!(markdown_words("- not an item", Some('x')), "- not an item");
    }

    #[test]
    fn code_keeps_its_characters_and_stays_code() {
        assert_eq!(markdown_code("a_b", false), "`a_b`");
        assert_eq!(markdown_code("a`b", false), "``a`b``");
        assert_eq!(markdown_code("`", false), "`` ` ``");
        assert_eq!(markdown_code("a|b", false), "`a|b`");
        assert_eq!(markdown_code("a|b", true), r"`a\|b`");
        assert_eq!(markdown_code("a\nb\u{1b}", false), "`a b\u{fffd}`");
        assert_eq!(
            markdown_code_block("x\n```\ny\u{1b}"),
            "````\nx\n```\ny\u{fffd}\n````"
        );
    }

    #[test]
    fn an_anchor_cannot_end_an_attribute() {
        assert_eq!(anchor("Phases of \"x\">"), "phases-of--x--");
    }
}
