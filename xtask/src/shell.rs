//! Commands as one would type them, for messages.

use std::ffi::OsStr;

/// The words in the syntax of a POSIX shell. Bytes that are no UTF-8 are shown as U+FFFD.
pub fn command_line<S: AsRef<OsStr>>(words: impl IntoIterator<Item = S>) -> String {
    words
        .into_iter()
        .map(|word| quoted(&word.as_ref().to_string_lossy()))
        .collect::<Vec<_>>()
        .join(" ")
}

fn quoted(word: &str) -> String {
    let plain =
        |character: char| character.is_ascii_alphanumeric() || "-_./=:,+@%".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_a_shell_would_change_are_quoted() {
        assert_eq!(
            command_line([
                "/a/tracer",
                "launch",
                "--",
                "sh",
                "-c",
                "echo 'x' $HOME",
                "",
                "*"
            ]),
            r"/a/tracer launch -- sh -c 'echo '\''x'\'' $HOME' '' '*'"
        );
    }
}
