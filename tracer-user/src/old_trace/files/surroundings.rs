//! What stands around a trace when people save, paste and send it: shell prompts, `^C`, quoting of mail programs, a
//! byte-order mark; and files that are no trace but what is given in place of one.

use std::path::Path;

use super::{error::TraceErrorKind, text_line::begins_like_a_record};

/// UTF-8's byte-order mark.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// How much of a file's beginning [`other_content`] looks at.
pub const START_BYTES: usize = 32;

/// What a file is that begins like this and can be no trace.
#[must_use]
pub fn other_content(path: &Path, start: &[u8]) -> Option<TraceErrorKind> {
    const PACKED: [(&[u8], &str, &str); 7] = [
        (b"\x1f\x8b", "gzip", "gzip -dc"),
        (b"\x28\xb5\x2f\xfd", "zstd", "zstd -dc"),
        (b"\xfd7zXZ\0", "xz", "xz -dc"),
        (b"BZh", "bzip2", "bzip2 -dc"),
        (b"\x04\x22\x4d\x18", "lz4", "lz4 -dc"),
        (b"PK\x03\x04", "zip", "unzip -p"),
        (b"7z\xbc\xaf\x27\x1c", "7z", "7z x -so"),
    ];
    let packed = PACKED
        .iter()
        .find(|(beginning, ..)| start.starts_with(beginning));
    if let Some((_, format, command)) = packed {
        return Some(TraceErrorKind::Compressed {
            format,
            command,
            path: path.to_owned(),
        });
    }
    if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") {
        return Some(TraceErrorKind::Utf16(path.to_owned()));
    }
    start
        .starts_with(b"version https://git-lfs")
        .then_some(TraceErrorKind::LfsPointer)
}

/// Bytes at the beginning of a line that were put there: a byte-order mark, `^C` of the terminal in which the trace was
/// stopped, `> ` of a mail program.
#[must_use]
pub fn decoration_bytes(line: &[u8]) -> usize {
    let mut rest = line;
    loop {
        let blank = rest.len() - rest.trim_ascii_start().len();
        let after = rest.get(blank..).unwrap_or_default();
        let is_caret = matches!(after, [b'^', b'C' | b'\\' | b'Z' | b'D', ..]);
        if let Some(after) = after.strip_prefix(BYTE_ORDER_MARK) {
            rest = after;
        } else if is_caret {
            rest = after.get(2..).unwrap_or_default();
        } else if let Some(after) = after.strip_prefix(b">") {
            rest = after;
        } else {
            return line.len() - rest.len();
        }
    }
}

/// Whether a line that is no record was written by a shell, or by somebody about the trace: a prompt, the command, the
/// frame of `script`. A record behind a prompt is a record, not this.
#[must_use]
pub fn is_of_a_shell(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    let text = String::from_utf8_lossy(line);
    const WHOLE: [&str; 3] = ["exit", "logout", "```"];
    const BEGINNINGS: [&str; 3] = ["Script started", "Script done", "```"];
    if WHOLE.contains(&&*text) || BEGINNINGS.iter().any(|start| text.starts_with(start)) {
        return true;
    }
    if let Some(at) = prompt_end(&text) {
        return !begins_like_a_record(text.get(at..).unwrap_or_default().as_bytes());
    }
    // Without a prompt; also what blktrace says of itself. Inside brackets it would be a record's process.
    let mut words = text.split([' ', '/', ':', '|']);
    words.any(|word| matches!(word, "blktrace" | "blkparse" | "btrace"))
        && !text.contains('[')
        && !begins_like_a_record(line)
}

/// Where the command begins behind a prompt: `# `, `$ `, `user@host:~$ `, `[root@host ~]# `, `PS C:\> `.
fn prompt_end(text: &str) -> Option<usize> {
    let is_sign = |character: char| matches!(character, '$' | '#' | '%' | '>' | '❯');
    for (at, sign) in text.char_indices().filter(|(_, sign)| is_sign(*sign)) {
        let behind = at + sign.len_utf8();
        let rest = text.get(behind..).unwrap_or_default();
        if !(rest.is_empty() || rest.starts_with(' ')) {
            continue;
        }
        let before = text.get(..at).unwrap_or_default();
        let is_prompt = before.trim().is_empty()
            || before.contains('@')
            || before.starts_with(['[', '('])
            || before.starts_with("PS ")
            || before.ends_with('~')
            || ["sh-", "bash-", "zsh-"]
                .iter()
                .any(|shell| before.starts_with(shell));
        return is_prompt.then_some(behind);
    }
    None
}

/// Whether these bytes of a binary file were taken for text and written again as UTF-8: what they hold beyond ASCII is
/// valid UTF-8 throughout, which times and sectors are not.
#[must_use]
pub fn was_taken_for_text(bytes: &[u8]) -> bool {
    let valid = match std::str::from_utf8(bytes) {
        Ok(text) => text.len(),
        // The last character may be cut.
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        Err(_) => return false,
    };
    bytes.get(..valid).is_some_and(|bytes| !bytes.is_ascii())
}

#[cfg(test)]
mod tests {
    use super::{decoration_bytes, is_of_a_shell, was_taken_for_text};

    #[test]
    fn lines_of_a_shell() {
        for line in [
            "# blktrace -d /dev/sde -o - | blkparse -i -",
            "$ sudo blktrace -d /dev/sda",
            "root@host:~# ",
            "user@host:/srv/models$ blkparse -i trace",
            "[root@host ~]# blkparse trace",
            "(venv) me@box:~$ exit",
            "bash-5.1# cat trace.txt",
            "PS C:\\traces> type trace.txt",
            "sudo btrace /dev/sda",
            "/usr/sbin/blkparse -i -",
            "Script started on 2026-01-01",
            "exit",
            "```text",
            "❯ blkparse t",
        ] {
            assert!(is_of_a_shell(line.as_bytes()), "{line}");
        }
        for line in [
            "# 8,0 1 1 0.000000001 1 D R 8 + 16 [dd]",
            "8,0 1 1 0.000000001 1 D R 8 + 16 [blktrace]",
            "D R 8 16 [blktrace]",
            "0.000000001 D R 8",
            "hello",
            "100 > 50",
        ] {
            assert!(!is_of_a_shell(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn what_was_put_before_a_line() {
        for (line, rest) in [
            ("^CCPU14 (sde):", "CPU14 (sde):"),
            ("  ^C 8,0 1", " 8,0 1"),
            ("> >  8,0", "  8,0"),
            ("\u{feff}  8,0", "  8,0"),
            ("  8,0", "  8,0"),
            ("", ""),
            (">", ""),
        ] {
            assert_eq!(&line[decoration_bytes(line.as_bytes())..], rest, "{line}");
        }
    }

    #[test]
    fn bytes_that_were_taken_for_text() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert!(!was_taken_for_text(&bytes));
        assert!(!was_taken_for_text(b"plain"));
        assert!(was_taken_for_text(
            String::from_utf8_lossy(&bytes).as_bytes()
        ));
        // From Latin-1, and cut in a character.
        let latin: String = bytes.iter().map(|byte| char::from(*byte)).collect();
        assert!(was_taken_for_text(latin.as_bytes()));
        assert!(was_taken_for_text(&latin.as_bytes()[..latin.len() - 1]));
    }
}
