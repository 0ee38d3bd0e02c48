//! A record without what would tell a stranger of this machine: paths, the command line, the host's name.
//!
//! What is known to be one is replaced wherever it stands, in notes and lines of the log too; what looks like a path and is
//! none of the kernel's own is left out. Figures, tensors' names and the model's architecture stay.

use anyhow::Context as _;
use serde_json::Value;

use crate::{read_list::ReadListHeader, schema::RunRecord};

/// What stands in the place of a path that is no model's.
const SOME_PATH: &str = "(path)";

/// Folders that lie on every machine.
const OF_THE_KERNEL: [&str; 3] = ["/sys/", "/proc/", "/dev/"];

/// Shorter words are no names, and would be found in the middle of others.
const SHORTEST_NAME: usize = 3;

/// A name for a model's file that keeps its kind.
fn name_of_file(model: usize, file: usize, path: &str) -> String {
    let kind = [".gguf", ".safetensors"]
        .into_iter()
        .find(|kind| path.ends_with(kind))
        .unwrap_or_default();
    format!("model-{}-file-{}{kind}", model + 1, file + 1)
}

fn name_of_model(model: usize) -> String {
    format!("model-{}", model + 1)
}

/// The record without them.
///
/// # Errors
/// Never for a record that can be written.
pub fn redacted(record: &RunRecord) -> anyhow::Result<RunRecord> {
    let mut names = Names::default();
    for (slot, model) in record.all_models().enumerate() {
        for (number, file) in model.model.files.iter().enumerate() {
            names.add(&file.path, &name_of_file(slot, number, &file.path));
        }
        names.add(&model.model.path, &name_of_model(slot));
    }
    let mappings = record.process.mappings.iter();
    for mapping in mappings.flat_map(|mappings| &mappings.largest) {
        if mapping.path.starts_with('/') {
            names.add(&mapping.path, SOME_PATH);
        }
    }
    for argument in &record.command {
        names.add(argument, "(argument)");
    }
    if let Ok(host) = nix::unistd::gethostname() {
        names.add(&host.to_string_lossy(), "(host)");
    }
    names.sort();
    let mut value = serde_json::to_value(record).context("cannot write the record as JSON")?;
    replace(&mut value, &names);
    let mut redacted: RunRecord =
        serde_json::from_value(value).context("cannot read the record that was written")?;
    redacted.command = vec!["(left out)".to_owned()];
    if let Some(metrics) = &mut redacted.engine_metrics {
        let url = metrics.url.take().unwrap_or_default();
        if let Some(reason) = metrics.reason.as_mut().filter(|_| !url.is_empty()) {
            *reason = reason.replace(&url, "(address)");
        }
    }
    redacted.notes.push(
        "paths, the command line and the host's name were left out of the record (--redact)"
            .to_owned(),
    );
    Ok(redacted)
}

/// The head of the list of reads without them.
#[must_use]
pub fn redacted_header(header: ReadListHeader) -> ReadListHeader {
    let mut header = header;
    for (slot, model) in header.models.iter_mut().enumerate() {
        model.path = name_of_model(slot);
        for (number, file) in model.files.iter_mut().enumerate() {
            file.path = name_of_file(slot, number, &file.path);
        }
    }
    header
}

/// What is known to be a name, and what stands in its place.
#[derive(Default)]
struct Names(Vec<(String, String)>);

impl Names {
    /// A path is known by its last part too. What was added first counts.
    fn add(&mut self, name: &str, stand_in: &str) {
        let last = name.rsplit('/').next().unwrap_or_default();
        for word in [name, last] {
            let is_name = word.len() >= SHORTEST_NAME
                && word.chars().any(char::is_alphabetic)
                && !word.starts_with('-');
            if is_name && !self.0.iter().any(|(known, _)| known == word) {
                self.0.push((word.to_owned(), stand_in.to_owned()));
            }
        }
    }

    /// The longest first: others may be parts of them.
    fn sort(&mut self) {
        self.0
            .sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    }

    fn replace_in(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, stand_in) in &self.0 {
            text = replace_words(&text, name, stand_in);
        }
        without_paths(&text)
    }
}

/// Whether a word may go on with this character.
fn continues(character: Option<char>) -> bool {
    character.is_some_and(|character| character.is_alphanumeric() || "_-".contains(character))
}

/// Replaces a name where it is no part of a longer word.
fn replace_words(text: &str, name: &str, stand_in: &str) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(name) {
        replaced.push_str(before);
        let is_part = continues(replaced.chars().next_back()) || continues(after.chars().next());
        replaced.push_str(if is_part { name } else { stand_in });
        rest = after;
    }
    replaced.push_str(rest);
    replaced
}

/// Leaves out words that are absolute paths or lie in somebody's home.
fn without_paths(text: &str) -> String {
    let is_end =
        |character: char| character.is_whitespace() || "\"'`(),;:=<>[]".contains(character);
    let mut kept = String::with_capacity(text.len());
    for word in text.split_inclusive(is_end) {
        let (path, end) = match word.char_indices().next_back() {
            Some((at, character)) if is_end(character) => word.split_at(at),
            _ => (word, ""),
        };
        let is_path = (path.starts_with('/') && path.len() > 1 || path.starts_with("~/"))
            && !OF_THE_KERNEL.iter().any(|folder| path.starts_with(folder));
        kept.push_str(if is_path { SOME_PATH } else { path });
        kept.push_str(end);
    }
    kept
}

fn replace(value: &mut Value, names: &Names) {
    match value {
        Value::String(text) => *text = names.replace_in(text),
        Value::Array(values) => values.iter_mut().for_each(|value| replace(value, names)),
        Value::Object(members) => members.values_mut().for_each(|value| replace(value, names)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> RunRecord {
        serde_json::from_str(include_str!("../schema/testdata/run-one-model.json"))
            .expect("a record")
    }

    #[test]
    fn nothing_of_the_machine_is_left_and_no_figure_changes() {
        let mut record = run();
        let path = "/srv/secret-customer/wombat.gguf";
        if let Some(model) = &mut record.single {
            model.model.path = path.to_owned();
            model.model.files[0].path = path.to_owned();
        }
        record.command = ["/opt/secret-tool", "-m", path, "--token", "hunter2"]
            .map(str::to_owned)
            .to_vec();
        record.notes = vec![
            format!("the model was taken from the command's arguments: {path}"),
            "log of '/home/alice/x', wombat.gguf:3; secret-tool said hunter2; /sys/block/vda/stat"
                .to_owned(),
        ];
        let redacted = redacted(&record).expect("it can be written");
        let text = serde_json::to_string(&redacted).expect("JSON");
        for secret in ["secret", "alice", "wombat", "hunter2", "/srv", "/opt"] {
            assert!(!text.contains(secret), "{secret} is left in {text}");
        }
        assert!(text.contains("/sys/block/vda/stat"));
        assert_eq!(
            redacted
                .single
                .as_ref()
                .map(|model| model.model.path.as_str()),
            Some("model-1-file-1.gguf")
        );
        let figures = |record: &RunRecord| {
            let mut value = serde_json::to_value(record).expect("JSON");
            keep_numbers(&mut value);
            value
        };
        let count = |record: &RunRecord| {
            let mut record = record.clone();
            record.command.clear();
            record.notes.clear();
            figures(&record)
        };
        assert_eq!(count(&redacted), count(&record));
    }

    fn keep_numbers(value: &mut Value) {
        match value {
            Value::String(text) => text.clear(),
            Value::Array(values) => values.iter_mut().for_each(keep_numbers),
            Value::Object(members) => members.values_mut().for_each(keep_numbers),
            _ => {}
        }
    }

    #[test]
    fn a_name_is_not_looked_for_within_words() {
        let mut names = Names::default();
        names.add("run", "(argument)");
        names.add("-m", "(argument)");
        names.add("12", "(argument)");
        names.add("dir/m.gguf", "model-1");
        names.sort();
        assert_eq!(
            names.replace_in("a run of m.gguf in dir/m.gguf, rerun -m 12; runs"),
            "a (argument) of model-1 in model-1, rerun -m 12; runs"
        );
        assert_eq!(
            without_paths("a/b 1/2 (/x/y) ~/z"),
            "a/b 1/2 ((path)) (path)"
        );
    }
}
