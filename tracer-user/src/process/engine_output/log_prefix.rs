//! What a log keeper puts before each line of an engine: journald, docker, compose, Kubernetes.
//!
//! Most lines are recognised by a name anywhere in them. Tables, JSON and lines without a name have to begin where the
//! engine began them, so what was put before is taken off:
//!
//! ```text
//! Jan 02 12:30:10 host llama-bench[4242]: | llama 7B … |         journalctl
//! 2026-01-02T12:30:10+0000 host llama-bench[4242]: | llama …     journalctl -o short-iso
//! 2026-01-02T12:30:10.123456789Z | llama 7B … |                  docker logs -t
//! llama-1  | | llama 7B … |                                      docker compose logs
//! 2026-01-02T12:30:10.123456789Z stderr F | llama 7B … |         containerd, CRI-O
//! {"log":"| llama 7B … |\n","stream":"stdout","time":"…"}        docker's json-file
//! ```

use std::{borrow::Cow, sync::LazyLock};

use regex_lite::Regex;
use serde_json::Value;

/// Longest line that is looked at, bytes: prefixes of longer ones stay.
const LONGEST_LINE_BYTES: usize = 64 << 10;

static PREFIX: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let compose = r"[A-Za-z0-9_.-]+[-_]\d+ +\| ";
    let stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d) ";
    let journal = r"\S+ \S+\[\d+\]: ";
    let month = r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d+)? \S+ \S+(?:\[\d+\])?: ";
    Regex::new(&format!(
        "^(?:{compose})?(?:{month}|{stamp}(?:{journal}|std(?:out|err) [FP] )?)?"
    ))
    .ok()
});

/// A line as the engine wrote it.
pub(crate) fn without_prefix(line: &str) -> Cow<'_, str> {
    if line.len() > LONGEST_LINE_BYTES {
        return Cow::Borrowed(line);
    }
    if let Some(wrapped) = json_file(line) {
        return Cow::Owned(wrapped);
    }
    let length = PREFIX
        .as_ref()
        .and_then(|prefix| prefix.find(line))
        .map_or(0, |found| found.end());
    Cow::Borrowed(line.get(length..).unwrap_or(line))
}

/// The text in an entry of docker's json-file driver.
fn json_file(line: &str) -> Option<String> {
    let line = line.trim();
    if !(line.starts_with("{\"log\":") && line.ends_with('}')) {
        return None;
    }
    let Ok(Value::Object(entry)) = serde_json::from_str(line) else {
        return None;
    };
    entry.get("stream")?.as_str()?;
    Some(
        entry
            .get("log")?
            .as_str()?
            .trim_end_matches('\n')
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::without_prefix;

    #[test]
    fn what_a_log_keeper_put_before_is_taken_off() {
        for row in [
            "| llama 7B | tg128 | 12.50 ± 0.08 |",
            "[",
            "  eval rate: 8.87 tokens/s",
        ] {
            let escaped = serde_json::to_string(&format!("{row}\n")).expect("a string");
            for line in [
                row.to_owned(),
                format!("Jan 02 12:30:10 host llama-bench[4242]: {row}"),
                format!("Nov  2 02:30:10 host ollama[4242]: {row}"),
                format!("2026-01-02T12:30:10+0000 host llama-bench[4242]: {row}"),
                format!("2026-01-02T12:30:10.123456789Z {row}"),
                format!("llama-1  | {row}"),
                format!("my_ollama_1 | 2026-01-02T12:30:10.123456789Z {row}"),
                format!("2026-01-02T12:30:10.123456789Z stderr F {row}"),
                format!(
                    "{{\"log\":{escaped},\"stream\":\"stdout\",\"time\":\"2026-01-02T12:30:10Z\"}}"
                ),
            ] {
                assert_eq!(without_prefix(&line), row, "{line}");
            }
        }
    }

    #[test]
    fn an_engines_own_line_stays() {
        for line in [
            "0.03.595.703 I common_perf_print: load time = 1.00 ms",
            "slot print_timing: id  0 | task 0 | prompt eval time = 1.00 ms",
            "[42027] prompt eval time = 789.03 ms",
            "{\"model\": \"m\", \"done\": true}",
            "",
        ] {
            assert_eq!(without_prefix(line), line);
        }
    }
}
