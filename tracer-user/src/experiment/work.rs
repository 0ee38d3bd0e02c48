//! What work an engine did: whether two runs generated the same, and at which speed where only the plan knows how to read it.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    path::Path,
};

use regex_lite::Regex;
use sha2::{Digest as _, Sha256};

use crate::schema::{RunRecord, WorkRecord};

use super::{
    plan::{Adapter, EnginePlan, hexadecimal},
    server::Answer,
};

/// The engine's standard output as the launcher keeps it.
const STDOUT: &str = "engine.stdout";
/// Its standard error.
const STDERR: &str = "engine.stderr";
/// So much of an output is looked at for a version or a rate.
const LONGEST_SEARCH_BYTES: u64 = 64 << 20;

/// What the engine did, from what the run left in its folder.
///
/// # Errors
/// An output that cannot be read.
pub fn work(
    engine: &EnginePlan,
    directory: &Path,
    record: Option<&RunRecord>,
    answer: Option<&Answer>,
) -> io::Result<WorkRecord> {
    let mut work = WorkRecord {
        engine_version: answer.and_then(|answer| answer.build.clone()),
        deterministic_sampling: is_deterministic(engine),
        ..WorkRecord::default()
    };
    if work.engine_version.is_none() {
        work.engine_version = match engine.adapter {
            Adapter::BuiltIn => Some(format!("built-in engine {}", env!("CARGO_PKG_VERSION"))),
            _ => version_line(directory)?,
        };
    }
    let stdout = directory.join(STDOUT);
    match (engine.adapter, answer) {
        (Adapter::LlamaServer, Some(answer)) => {
            work.generated_tokens = answer.generated_tokens;
            (work.output_digest, work.output_kind) = match &answer.token_ids {
                Some(ids) => (Some(digest_of_ids(ids)), Some("token ids".to_owned())),
                None => (
                    Some(hexadecimal(&Sha256::digest(answer.text.as_bytes()))),
                    Some("text".to_owned()),
                ),
            };
        }
        // Without an answer nothing is known of the work.
        (Adapter::LlamaServer, None) => {}
        (Adapter::BuiltIn, _) => {
            if let Some(ids) = built_in_ids(&stdout)? {
                work.generated_tokens = Some(ids.len() as u64);
                work.output_digest = Some(digest_of_ids(&ids));
                work.output_kind = Some("token ids".to_owned());
            }
        }
        // Its output is a measurement, which no two runs share: what it generates is not printed.
        (Adapter::LlamaBench, _) => {}
        (adapter, _) => {
            work.output_digest = digest_of_file(&stdout)?;
            if work.output_digest.is_some() {
                let is_text = matches!(adapter, Adapter::LlamaCli | Adapter::LlamaCompletion);
                work.output_kind =
                    Some(if is_text { "text" } else { "standard output" }.to_owned());
            }
            work.generated_tokens = record.and_then(generated_tokens);
        }
    }
    Ok(work)
}

/// Decode runs are one fewer than the tokens, the first of which comes from the prompt's run (llama.cpp's own block).
fn generated_tokens(record: &RunRecord) -> Option<u64> {
    match record.engine.source.as_deref() {
        Some("common_perf" | "perf_context" | "print_timings" | "builtin") => {
            record.engine.eval_tokens.map(|runs| runs + 1)
        }
        _ => None,
    }
}

/// The built-in engine samples by its seed, whatever the temperature.
fn is_deterministic(engine: &EnginePlan) -> bool {
    engine.seed.is_some() && (engine.adapter == Adapter::BuiltIn || engine.temperature == Some(0.0))
}

/// SHA-256 of the ids in decimal digits, each with a line feed after it.
fn digest_of_ids(ids: &[u64]) -> String {
    let text: String = ids.iter().map(|id| format!("{id}\n")).collect();
    hexadecimal(&Sha256::digest(text.as_bytes()))
}

/// The ids of the first line: the built-in engine prints them, and its own hash on the line after.
fn built_in_ids(stdout: &Path) -> io::Result<Option<Vec<u64>>> {
    let mut line = String::new();
    let Some(file) = open(stdout)? else {
        return Ok(None);
    };
    BufReader::new(file.take(LONGEST_SEARCH_BYTES)).read_line(&mut line)?;
    let ids: Option<Vec<u64>> = line
        .split_ascii_whitespace()
        .map(|word| word.parse().ok())
        .collect();
    Ok(ids.filter(|ids| !ids.is_empty()))
}

/// SHA-256 of a file; `None` where there is none.
fn digest_of_file(path: &Path) -> io::Result<Option<String>> {
    let Some(mut file) = open(path)? else {
        return Ok(None);
    };
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Some(hexadecimal(&hash.finalize()))),
            length => hash.update(buffer.get(..length).unwrap_or_default()),
        }
    }
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The line by which llama.cpp's programs say what they are: `build: 11434 (…) with …` or `version: …`, in either output;
/// the value of `"build_commit"` in llama-bench's JSON.
fn version_line(directory: &Path) -> io::Result<Option<String>> {
    for name in [STDERR, STDOUT] {
        let text = beginning(&directory.join(name))?;
        let found = text.lines().map(str::trim).find_map(|line| {
            let is_version = ["build:", "build_info:", "main: build =", "version:"]
                .iter()
                .any(|start| {
                    line.split_once(start).is_some_and(|(before, after)| {
                        // A time stamp and a level may stand before it.
                        before.len() <= 24
                            && after.chars().any(|character| character.is_ascii_digit())
                    })
                });
            let is_bench = line.contains("\"build_commit\"");
            (is_version || is_bench).then(|| line.chars().take(200).collect::<String>())
        });
        match found {
            Some(line) if line.contains("\"build_commit\"") => {
                return Ok(bench_build(&line).or(Some(line)));
            }
            Some(line) => {
                // The time differs from run to run, the version does not.
                let start = ["build", "main: build", "version"]
                    .iter()
                    .filter_map(|word| line.find(word))
                    .min()
                    .unwrap_or(0);
                return Ok(line.get(start..).map(str::to_owned));
            }
            None => {}
        }
    }
    Ok(None)
}

fn bench_build(line: &str) -> Option<String> {
    let commit = Regex::new(r#""build_commit":\s*"([^"]*)""#).ok()?;
    Some(format!(
        "build commit {}",
        commit.captures(line)?.get(1)?.as_str()
    ))
}

fn beginning(path: &Path) -> io::Result<String> {
    let Some(file) = open(path)? else {
        return Ok(String::new());
    };
    let mut bytes = Vec::new();
    file.take(LONGEST_SEARCH_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Tokens per second where the plan has a regular expression for them: the last match in standard output, else in standard
/// error.
///
/// # Errors
/// An output that cannot be read.
pub fn tokens_per_s(pattern: &str, directory: &Path) -> io::Result<Option<f64>> {
    // The plan's check has compiled it.
    let Ok(regex) = Regex::new(pattern) else {
        return Ok(None);
    };
    for name in [STDOUT, STDERR] {
        let text = beginning(&directory.join(name))?;
        let last = regex
            .captures_iter(&text)
            .filter_map(|captures| captures.get(1)?.as_str().trim().parse::<f64>().ok())
            .filter(|rate| rate.is_finite() && *rate > 0.0)
            .last();
        if last.is_some() {
            return Ok(last);
        }
    }
    Ok(None)
}

/// Keeps the server's answer beside the run.
///
/// # Errors
/// A full disk.
pub fn keep_answer(answer: &Answer, directory: &Path) -> io::Result<()> {
    let mut file = fs::File::create(directory.join("answer.json"))?;
    serde_json::to_writer_pretty(&mut file, &answer.whole)?;
    file.write_all(b"\n")
}

#[cfg(test)]
mod tests;
