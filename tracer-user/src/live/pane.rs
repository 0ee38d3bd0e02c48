//! What the engine and the tracer print while the screen is there: the last lines, as plain text.

use std::collections::VecDeque;

/// Lines that are kept.
const MOST_LINES: usize = 400;

/// Longest line that is kept, characters.
const LONGEST_LINE: usize = 400;

/// The last lines. Foreign bytes go in; nothing that could move a cursor or change a colour comes out.
#[derive(Clone, Debug, Default)]
pub struct Pane {
    lines: VecDeque<String>,
    /// The line that has not ended.
    current: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// After an escape.
    Escape,
    /// In a sequence that a byte from `@` to `~` ends.
    Sequence,
    /// In a string for the terminal, which a bell or an escape ends.
    String,
    /// After a carriage return: what comes next overwrites the line.
    Return,
}

impl Pane {
    pub fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.byte(*byte);
        }
    }

    fn byte(&mut self, byte: u8) {
        self.state = match (self.state, byte) {
            (State::Escape, b'[') => State::Sequence,
            (State::Escape, b']' | b'P' | b'X' | b'^' | b'_') => State::String,
            (State::Escape, _) => State::Text,
            (State::Sequence, b'@'..=b'~') => State::Text,
            (State::Sequence, b' '..=b'?') => State::Sequence,
            (State::String, 0x07) => State::Text,
            (State::String, byte) if byte != 0x1b && byte != b'\n' => State::String,
            (_, 0x1b) => State::Escape,
            (_, b'\n') => {
                self.end_line();
                State::Text
            }
            (_, b'\r') => State::Return,
            (state, byte) => {
                if state == State::Return {
                    self.current.clear();
                }
                match byte {
                    b'\t' => self.add(b' '),
                    0x00..=0x1f | 0x7f => {}
                    byte => self.add(byte),
                }
                State::Text
            }
        };
    }

    fn add(&mut self, byte: u8) {
        // A character has four bytes at most.
        if self.current.len() < LONGEST_LINE * 4 {
            self.current.push(byte);
        }
    }

    fn end_line(&mut self) {
        let line = text(&self.current);
        self.current.clear();
        if self.lines.len() >= MOST_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// The last lines, the one that has not ended among them.
    pub fn last(&self, count: usize) -> Vec<String> {
        let current = (!self.current.is_empty()).then(|| text(&self.current));
        let whole = count.saturating_sub(usize::from(current.is_some()));
        let skipped = self.lines.len().saturating_sub(whole);
        self.lines
            .iter()
            .skip(skipped)
            .cloned()
            .chain(current)
            .collect()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .filter(|character| !character.is_control())
        .take(LONGEST_LINE)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Pane;

    fn shown(bytes: &[u8]) -> Vec<String> {
        let mut pane = Pane::default();
        pane.push(bytes);
        pane.last(100)
    }

    #[test]
    fn lines_are_plain_text_and_the_last_one_need_not_end() {
        assert_eq!(shown(b"one\ntwo\nthr"), ["one", "two", "thr"]);
        assert_eq!(
            shown(b"\x1b[1;31mred\x1b[0m and \x1b]0;title\x07plain\n"),
            ["red and plain"]
        );
        assert_eq!(shown(b"10 %\r20 %\r\n"), ["20 %"]);
        assert_eq!(shown("wä\tx\x08\n".as_bytes()), ["wä x"]);
        // C1 controls, which some terminals obey.
        assert_eq!(shown("a\u{9b}2Jb\n".as_bytes()), ["a2Jb"]);
    }

    #[test]
    fn only_the_last_lines_are_there() {
        let mut pane = Pane::default();
        for line in 0..1000 {
            pane.push(format!("{line}\n").as_bytes());
        }
        assert_eq!(pane.last(2), ["998", "999"]);
        pane.push(b"x");
        assert_eq!(pane.last(2), ["999", "x"]);
        assert!(pane.last(10_000).len() <= 401);
    }

    proptest! {
        #[test]
        fn nothing_that_moves_a_cursor_comes_out(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for line in shown(&bytes) {
                prop_assert!(!line.chars().any(char::is_control), "{line:?}");
            }
        }
    }
}
