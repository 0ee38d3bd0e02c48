//! Questions that users have asked in public, each rebuilt small, and what `tracer explain` says to it.
//!
//! With `BLESS=1` each case writes what was said into its place in docs/ADVICE.md.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::{disk::FileSystem, plan::ReadPlan, reader::ReadMode};

use super::{
    MODEL_BYTES, PAGE_BYTES, TIGHT_BYTES,
    device::tested,
    engine::{EngineRun, MAY_NOT_LOCK},
    experts::generated,
    passes,
    reading::{Reading, Said},
};
use crate::{
    ground::{Case, Ground, case},
    models::{make_dense_model, make_expert_model},
};

/// Causes that a place shows.
const MOST_CAUSES: usize = 2;
/// Figures of a cause that a place shows.
const MOST_FIGURES: usize = 3;

struct Question {
    /// Where it was asked: of llama.cpp (LC), ollama (OL), vLLM (VL), ds4, SGLang, and the number.
    source: &'static str,
    asks: &'static str,
    /// What was rebuilt.
    rebuilt: &'static str,
    /// The cause that comes first; none where it is not storage.
    first: Option<&'static str>,
    run: fn(&Ground) -> Result<Said>,
}

const QUESTIONS: [Question; 10] = [
    Question {
        source: "LC 14154",
        asks: "220 GB of model, 148 GB of memory, and a second, cached load is no faster. Does a scan evict what it needs next?",
        rebuilt: "48 MiB read in order twice, with 20 MiB of memory",
        first: Some("working_set"),
        run: |ground| {
            let mut reading = Reading::new(passes(2));
            reading.read_ahead_kb = 128;
            reading.memory_max = Some(TIGHT_BYTES);
            reading.explained(ground)
        },
    },
    Question {
        source: "LC 711",
        asks: "20 GB on 16 GB, 20 s a token. Does every token read everything again?",
        rebuilt: "the built-in engine on a dense model of 115 MiB, with 92 MiB of memory",
        first: Some("working_set"),
        run: |ground| {
            let disk = ground.disk(FileSystem::Ext4)?;
            disk.set_read_ahead_kb(128)?;
            let model = make_dense_model(ground, &disk)?;
            generated(ground, &model, "92M")
        },
    },
    Question {
        source: "OL 3054",
        asks: "140 MB/s of reads for ever. What are they for?",
        rebuilt: "the built-in engine on a mixture of experts of 115 MiB, with 75 MiB of memory",
        first: Some("working_set"),
        run: |ground| {
            let disk = ground.disk(FileSystem::Ext4)?;
            disk.set_read_ahead_kb(128)?;
            let model = make_expert_model(ground, &disk)?;
            generated(ground, &model, "75M")
        },
    },
    Question {
        source: "LC 28223",
        asks: "`--numa distribute`: 4 KiB one at a time, 512 s to load. In what shape are the reads?",
        rebuilt: "48 MiB read in order after MADV_RANDOM, with a read-ahead of 1 MiB",
        first: Some("small_reads"),
        run: |ground| {
            let mut reading = Reading::new(ReadPlan::sequential(MODEL_BYTES, PAGE_BYTES));
            reading.mode = ReadMode::Mmap;
            reading.random_advice = true;
            reading.read_ahead_kb = 1024;
            reading.explained(ground)
        },
    },
    Question {
        source: "LC 19191",
        asks: "It loads slowly, and `vmtouch -t` reads the same file in 15 s. Is it the disk or the way of reading?",
        rebuilt: "3,000 pages here and there, one at a time, then `tracer device` on the same file",
        first: Some("small_reads"),
        run: |ground| {
            let mut reading = Reading::new(ReadPlan::random(MODEL_BYTES, PAGE_BYTES, 3000, 5));
            reading.random_advice = true;
            let (_, said, _) = tested(ground, &reading)?;
            said.comes("below_device")?;
            Ok(said)
        },
    },
    Question {
        source: "LC 27766",
        asks: "Embeddings on demand: 592 GiB read for a model of about 103. Why so much?",
        rebuilt: "3,000 rows here and there in a mapping of 48 MiB, a read-ahead of 1 MiB, 20 MiB of memory",
        first: Some("read_ahead_in_vain"),
        run: |ground| {
            let mut reading = Reading::new(ReadPlan::random(MODEL_BYTES, PAGE_BYTES, 3000, 7));
            reading.mode = ReadMode::Mmap;
            reading.read_ahead_kb = 1024;
            reading.memory_max = Some(TIGHT_BYTES);
            reading.explained(ground)
        },
    },
    Question {
        source: "OL 15474",
        asks: "68.9 of 70 GiB of memory.current are file pages. How much does it need?",
        rebuilt: "48 MiB mapped and used for each token, with a limit of 52 MiB",
        first: Some("limit_counts_cache"),
        run: |ground| {
            let mut run = EngineRun::new(&[]);
            run.memory_max = Some(MODEL_BYTES + (4 << 20));
            run.explained(ground)
        },
    },
    Question {
        source: "VL 54129",
        asks: "memory.max and read-ahead: major faults 10 → 24,967, decode unchanged. What does matter, then?",
        rebuilt: "48 MiB read once while loading, with 20 MiB of memory, and not touched for a token (as if on a GPU)",
        first: None,
        run: |ground| {
            let mut run = EngineRun::new(&["--idle"]);
            run.memory_max = Some(TIGHT_BYTES);
            run.explained(ground)
        },
    },
    Question {
        source: "ds4 639",
        asks: "A cache flag that did nothing. Did the hint take effect?",
        rebuilt: "an engine told to lock 48 MiB that may lock 64 KiB",
        first: Some("lock_without_effect"),
        run: |ground| {
            let mut run = EngineRun::new(&["--mlock"]);
            run.wrapper = MAY_NOT_LOCK;
            run.explained(ground)
        },
    },
    Question {
        source: "sglang 7469",
        asks: "Slow even from the page cache. Is it storage at all?",
        rebuilt: "48 MiB that are in memory already, read three times",
        first: None,
        run: |ground| {
            let mut reading = Reading::new(passes(3));
            reading.warm = true;
            reading.explained(ground)
        },
    },
];

pub fn cases() -> Vec<Case> {
    QUESTIONS
        .iter()
        .map(|question| {
            let name = question.source.to_lowercase().replace(' ', "_");
            case(format!("questions::{name}"), |ground, _| {
                answered(ground, question)
            })
        })
        .collect()
}

fn answered(ground: &Ground, question: &Question) -> Result<()> {
    let said = (question.run)(ground)?;
    match question.first {
        Some(cause) => said.comes_first(cause)?,
        None => ensure!(said.storage() == "no", "{:#}", said.0),
    }
    if std::env::var_os("BLESS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/ADVICE.md");
        write(Path::new(path), question, &place(question, &said)?)?;
    }
    Ok(())
}

/// What stands in the document.
fn place(question: &Question, said: &Said) -> Result<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned).context("no text");
    let mut place = format!(
        "**{}.** {}\nRebuilt: {}.\n\n> {}\n",
        question.source,
        question.asks,
        question.rebuilt,
        text(&said.model()["storage"]["sentence"])?
    );
    let causes = said.model()["causes"].as_array().context("no causes")?;
    // Where it is not storage, what else was seen is no answer to the question.
    let shown = if question.first.is_some() {
        MOST_CAUSES
    } else {
        0
    };
    for cause in causes.iter().take(shown) {
        let cost = match (
            cause["cost"]["seconds"].as_f64(),
            cause["cost"]["kind"].as_str(),
        ) {
            (Some(seconds), Some(kind)) => {
                let unit = if said.model()["unit"]["token"].is_object() {
                    "a token"
                } else {
                    "in this run"
                };
                format!(" ({} {seconds:.3} s {unit})", kind.replace('_', " "))
            }
            _ => String::new(),
        };
        let figures = cause["evidence"].as_array().context("no evidence")?;
        let figures = figures
            .iter()
            .take(MOST_FIGURES)
            .map(|figure| {
                Ok(format!(
                    "{}: {}",
                    text(&figure["what"])?,
                    text(&figure["value"])?
                ))
            })
            .collect::<Result<Vec<_>>>()?;
        place += &format!(
            ">\n> * `{}`{cost}: {}\n",
            text(&cause["name"])?,
            figures.join("; ")
        );
    }
    Ok(place)
}

fn write(path: &Path, question: &Question, place: &str) -> Result<()> {
    let (begin, end) = (
        format!("<!-- question {} -->\n", question.source),
        "<!-- said -->\n",
    );
    let document = fs::read_to_string(path)?;
    let (before, rest) = document
        .split_once(&begin)
        .with_context(|| format!("the document has no place for {}", question.source))?;
    let (_, after) = rest.split_once(end).context("the place has no end")?;
    fs::write(path, format!("{before}{begin}{place}{end}{after}"))?;
    Ok(())
}
