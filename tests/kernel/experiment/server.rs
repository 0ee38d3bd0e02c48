//! A real llama-server, asked over HTTP while it is traced.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use tests::disk::LoopDisk;

use super::{Experiment, check_said, read_json, small_model};
use crate::{ground::Ground, real_engine};

const TOKENS: u64 = 8;

pub(super) fn llama_server(ground: &Ground, disk: &LoopDisk) -> Result<()> {
    let python = real_engine::python()?;
    small_model(ground, disk)?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/programs/llama_server.py");
    let plan = format!(
        r#"
name = "server"
repetitions = 2
time_limit = "3m"
[engine]
adapter = "llama-server"
command = [{python:?}, {script:?}, "{{model}}", "{{port}}", "{{threads}}"]
[axes]
model = ["mö del.gguf"]
tokens = [{TOKENS}]
threads = [2]
prompt = ["t5 t6 \"t7\" ü"]
"#
    );
    let experiment = Experiment::new(ground, disk, &plan)?;
    check_said(
        &experiment.run()?.run()?.finished,
        0,
        &["2 of 2 runs finished"],
    )?;
    experiment.check_complete(1, 2)?;
    let runs = experiment.runs()?;
    let mut digests = Vec::new();
    for run in &runs {
        let work = &run["work"];
        ensure!(
            work["generated_tokens"] == TOKENS
                && work["output_kind"] == "token ids"
                && work["deterministic_sampling"] == true,
            "{work:#}"
        );
        digests.push(
            work["output_digest"]
                .as_str()
                .context("no digest")?
                .to_owned(),
        );
        let directory = experiment
            .out
            .join(run["directory"].as_str().context("no folder")?);
        let answer = read_json(&directory.join("answer.json"))?;
        let record = read_json(&directory.join("run.json"))?;
        // The server's log and its answer are two sources of the same rate.
        let rate = record["engine"]["tokens_per_s"]
            .as_f64()
            .context("no rate")?;
        let said = answer["timings"]["predicted_per_second"]
            .as_f64()
            .context("no rate")?;
        ensure!((0.5..2.0).contains(&(rate / said)), "{rate} and {said}");
        // The trace covers the loading: every byte of the model was read.
        ensure!(
            record["reads"]["coverage"].as_f64() == Some(1.0),
            "{}",
            record["reads"]
        );
        ensure!(record["partial"] == false, "{}", record["partial_reason"]);
        let log = fs::read_to_string(directory.join("engine.stderr")).unwrap_or_default();
        ensure!(log.contains("server") || log.contains("srv"), "{log}");
    }
    digests.dedup();
    ensure!(digests.len() == 1, "the same request gave {digests:?}");
    Ok(())
}
