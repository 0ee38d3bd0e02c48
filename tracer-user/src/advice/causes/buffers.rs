//! Weights that the engine has copied elsewhere.

use crate::{
    advice::{Answer, Cause, Evidence, Facts, Present},
    units::bytes,
};

/// Share of the model: less is not worth a sentence.
const MATERIAL: f64 = 0.05;

pub const DEAD_WEIGHTS: Cause = Cause {
    name: "dead_weights",
    title: "The page cache holds weights that the engine has repacked or uploaded and needs no more",
    bounds: "by the engine's log, at least 5 % of the model was copied to other memory (repacked, or on a GPU), and more of the file was cached after the last token than the rest of the model is large.",
    refuted_by: "`cache.last_token_bytes` not above the model's size without the copied part.",
    remedy: "What is dead can be dropped after loading: `vmtouch -e MODEL`, and only the live part is read again. Or avoid the copy (llama.cpp: `--no-repack`), or load past the cache (`--load-mode dio`).",
    decide,
};

fn decide(facts: &Facts<'_>) -> Answer {
    let buffers = &facts.run.engine.buffers;
    if buffers.is_empty() {
        return Answer::not_decided(
            "The engine's log names no buffers (`engine.buffers` is empty). llama.cpp prints them; for `attach`, name its log with `--log`.",
        );
    }
    let size = facts.model.model.size_bytes;
    let copied: u64 = buffers
        .iter()
        .filter(|buffer| {
            buffer.purpose == "repack"
                || (buffer.purpose == "model"
                    && buffer
                        .device
                        .as_deref()
                        .is_some_and(|device| !device.starts_with("CPU")))
        })
        .map(|buffer| buffer.bytes)
        .sum();
    if (copied as f64) < MATERIAL * size as f64 {
        return Answer::absent(format!("{} were copied elsewhere", bytes(copied)));
    }
    let Some(cached) = facts.model.cache.last_token_bytes else {
        return facts.missing(
            "What was cached after the last token",
            "cache.last_token_bytes",
        );
    };
    let dead = cached.saturating_sub(size.saturating_sub(copied));
    if (dead as f64) < MATERIAL * size as f64 {
        return Answer::absent(format!(
            "{} were copied elsewhere, and no more than the rest is cached",
            bytes(copied)
        ));
    }
    Answer::Present(Present {
        evidence: vec![
            Evidence::new(
                "engine.buffers",
                "repacked or uploaded, by the engine's log",
                bytes(copied),
            ),
            Evidence::new(
                "cache.last_token_bytes",
                "cached after the last token",
                bytes(cached),
            ),
            Evidence::new("model.size_bytes", "of that dead, at least", bytes(dead)),
        ],
        ..Present::default()
    })
}
