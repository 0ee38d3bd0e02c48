//! Characters that foreign text may not bring.

use std::borrow::Cow;

/// Stands for a character that is not shown.
const REPLACED: char = '\u{fffd}';

/// One line without characters that move the cursor, start a terminal's commands, turn the direction of writing, or
/// hide: line ends and tabs become spaces, the others U+FFFD.
pub fn one_line(text: &str) -> Cow<'_, str> {
    if !text
        .chars()
        .any(|character| harmless(character) != character)
    {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace("\r\n", "\n").chars().map(harmless).collect())
}

/// As [`one_line`] for each line, with the line ends kept.
pub fn lines(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    text.lines().map(one_line)
}

fn harmless(character: char) -> char {
    match character {
        '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => ' ',
        // Marks and overrides of the writing direction, and characters without width (a tag may spell hidden text).
        '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{061c}'
        | '\u{feff}'
        | '\u{e0000}'..='\u{e007f}' => REPLACED,
        control if control.is_control() => REPLACED,
        other => other,
    }
}

/// One line of text, safe between the tags and inside the quoted values of HTML and SVG.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + 8);
    for character in one_line(text).chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // XML has no place for these, not even escaped.
            '\u{fffe}' | '\u{ffff}' => safe.push(REPLACED),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::{escaped, one_line};

    #[test]
    fn nothing_moves_the_cursor_or_hides() {
        assert_eq!(one_line("a\u{1b}[2Jb\u{7}"), "a\u{fffd}[2Jb\u{fffd}");
        assert_eq!(
            one_line("two\r\nlines\tand\u{2028}more"),
            "two lines and more"
        );
        // A terminal takes 0x9b for ESC [.
        assert_eq!(one_line("\u{9b}31m"), "\u{fffd}31m");
        assert_eq!(one_line("a\u{202e}fugg.b"), "a\u{fffd}fugg.b");
        assert_eq!(one_line("größe 漢字 é"), "größe 漢字 é");
    }

    #[test]
    fn no_text_opens_an_element_or_leaves_a_value() {
        assert_eq!(
            escaped("</svg><script>alert('x')</script> \" onload=\"y & z\u{0}\u{202e}\n"),
            "&lt;/svg&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &quot; onload=&quot;y &amp; z\u{fffd}\u{fffd} "
        );
    }
}
