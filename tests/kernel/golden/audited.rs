//! `tracer audit` of the recording that blktrace made: each read counted once, and at several stages.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::{
    model_file::ModelFile, plan::ExpectedFigures, reference::BlktraceRecording, tracer::TracerCall,
};

use crate::ground::Ground;

/// What is known of the order of reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// From start to end of a file in one piece, each read queued after the one before it has completed.
    OneAfterTheOther,
    Any,
}

/// The audit of the binary files and of blkparse's text say the same, and it is what the records are.
pub fn check(
    ground: &Ground,
    recording: &BlktraceRecording,
    model: &ModelFile,
    order: Order,
    by_recorder: &ExpectedFigures,
) -> Result<()> {
    let reissued_bytes = recording
        .trace
        .issued_reads()
        .iter()
        .map(|request| request.length_bytes)
        .sum::<u64>()
        - recording
            .trace
            .first_issues()?
            .iter()
            .map(|request| request.length_bytes)
            .sum::<u64>();
    for files in [&recording.files, &recording.text] {
        let call = TracerCall::bare(&ground.scratch, &["audit", "--json"])?
            .option("--model", model.path())
            .adjusted(|command| {
                command.arg(files);
            });
        let output = call.run()?.finished;
        let audit: Value = serde_json::from_str(output.succeeded().context("the audit")?)
            .context("the audit is no JSON")?;
        check_accountings(&audit, order, by_recorder, reissued_bytes)
            .with_context(|| format!("the audit of {}", files.display()))?;
    }
    Ok(())
}

fn check_accountings(
    audit: &Value,
    order: Order,
    by_recorder: &ExpectedFigures,
    reissued_bytes: u64,
) -> Result<()> {
    ensure!(
        audit["complete"] == Value::Bool(true),
        "it calls the recording incomplete: {}",
        audit["loss"]
    );
    let accounting = |name: &str| -> Result<&Value> {
        audit["accountings"]
            .as_array()
            .and_then(|all| all.iter().find(|accounting| accounting["name"] == name))
            .with_context(|| format!("no accounting {name}: {audit}"))
    };
    let once = accounting("each request once")?;
    let count = |of: &Value, member: &str| {
        of[member]
            .as_u64()
            .with_context(|| format!("no {member} in {of:#}"))
    };
    for (member, expected) in [
        ("records", by_recorder.reads),
        ("total_bytes", by_recorder.total_bytes),
        ("unique_bytes", by_recorder.unique_bytes),
    ] {
        let found = count(once, member)?;
        ensure!(
            found == expected,
            "each request once: {member} is {found}, not {expected}"
        );
    }
    for (class, expected) in by_recorder.gaps.named() {
        let found = count(&once[class], "count")?;
        ensure!(
            found == expected,
            "each request once: {found} {class} gaps, not {expected}"
        );
    }
    // Bytes that were queued, issued and completed: three times what was read, whatever became of a request.
    let all = accounting("Q+D+C")?;
    let expected = 3 * by_recorder.total_bytes + reissued_bytes;
    ensure!(
        count(all, "total_bytes")? == expected
            && count(all, "unique_bytes")? == by_recorder.unique_bytes,
        "Q+D+C of {by_recorder:?} must have {expected} bytes: {all:#}"
    );
    let amplification = all["amplification"].as_f64().context("no amplification")?;
    let of_bytes = expected as f64 / by_recorder.unique_bytes as f64;
    ensure!(
        (amplification - of_bytes).abs() < 1e-9,
        "Q+D+C: the amplification is {amplification}, not {of_bytes}"
    );
    if by_recorder.total_bytes == by_recorder.unique_bytes && reissued_bytes == 0 {
        ensure!(
            amplification == 3.0,
            "Q+D+C: the amplification of reads of everything once is {amplification}"
        );
    }
    if order == Order::Any || reissued_bytes > 0 {
        return Ok(());
    }
    // Each read completes before the next is queued: its D and C lie one length back each.
    let reads = by_recorder.reads;
    let shares = [
        ("records", count(all, "records")?, 3 * reads),
        ("gaps", count(all, "gaps")?, 3 * reads - 1),
        ("sequential", count(&all["sequential"], "count")?, reads - 1),
        ("backward", count(&all["backward"], "count")?, 2 * reads),
    ];
    for (name, found, expected) in shares {
        ensure!(
            found == expected,
            "Q+D+C: {found} {name}, not {expected}: {all:#}"
        );
    }
    Ok(())
}
