//! `tracer open --tensor`: parts that share no tensor add up to the run.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::run_record::RunRecord;

use super::printed;

fn opened(run: &Path, patterns: &[&str]) -> Result<Value> {
    let mut command = vec!["open", "--json"];
    for pattern in patterns {
        command.extend(["--tensor", pattern]);
    }
    Ok(serde_json::from_str(&printed(run, &command)?)?)
}

/// A run of a model with layers and experts, and its record.
pub fn check(run: &Path, record: &RunRecord) -> Result<()> {
    let rows = |record: &Value| record["tensors"].as_array().cloned().context("no tensors");
    let all = record.value("tensors")?.as_array().context("no tensors")?;
    let rest = ["token_embd*", "output*", "(*)"];
    let parts = [opened(run, &["blk.*"])?, opened(run, &rest)?];
    let mut added = Vec::new();
    let mut bytes = 0;
    let mut completed = 0;
    for part in &parts {
        added.extend(rows(part)?);
        bytes += part["reads"]["total_bytes"].as_u64().context("no bytes")?;
        completed += part["reads"]["completed_bytes"]
            .as_u64()
            .context("no bytes")?;
        ensure!(
            part["partial"] == true
                && part["gaps"].is_null()
                && part["memory_course"] == serde_json::json!([]),
            "a part has what only the whole has"
        );
    }
    ensure!(
        bytes == record.count("reads.total_bytes")?
            && completed == record.count("reads.completed_bytes")?,
        "{bytes} bytes in the parts"
    );
    let key = |row: &Value| (row["file"].as_u64(), row["offset_bytes"].as_u64());
    added.sort_by_key(key);
    ensure!(
        added == *all,
        "the tensors' rows of the parts are not those of the run"
    );
    // Every form of the report can be made of a part.
    for command in [
        &["open", "--tensor", "blk.1.*"][..],
        &["open", "--tensor", "blk.1.*", "--markdown"],
        &["open", "--tensor", "blk.1.*", "--to", "2s", "--json"],
    ] {
        ensure!(
            !printed(run, command)?.is_empty(),
            "{command:?} says nothing"
        );
    }
    Ok(())
}
