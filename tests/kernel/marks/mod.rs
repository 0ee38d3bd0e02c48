//! Where phases and steps are taken from: an engine's functions, its log, or the page cache.

mod evicted_program;
mod log;
mod stripped;

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::{
    disk::FileSystem,
    environment::page_bytes,
    model_file::ModelFile,
    plan::ReadPlan,
    reader::ReadMode,
    reference::has_helper,
    run_record::RunRecord,
    tracer::{TracerCall, binary},
};

use crate::{
    detail::counts_alone,
    ground::{Case, Ground, case, check_no_violation},
};

const FILE_BYTES: u64 = 8 << 20;
const STEP_MILLISECONDS: f64 = 20.0;

pub fn cases() -> Vec<Case> {
    vec![
        case("marks::functions_of_the_engine", |ground, _| {
            functions_of_the_engine(ground, "events")
        }),
        case("marks::functions_of_the_engine_counted", |ground, _| {
            functions_of_the_engine(ground, "counts")
        }),
        case("marks::a_function_that_the_user_names", |ground, _| {
            a_function_that_the_user_names(ground)
        }),
        case("marks::without_any_the_page_cache_tells", |ground, _| {
            without_any_the_page_cache_tells(ground)
        }),
        case("marks::counts_divide_at_a_given_mark", |ground, _| {
            counts_divide_at_a_given_mark(ground)
        }),
        case("marks::pytorchs_embedding_begins_a_step", |ground, _| {
            pytorchs_embedding_begins_a_step(ground)
        }),
        case(
            "marks::a_program_whose_pages_leave_while_it_starts",
            |ground, _| evicted_program::a_program_whose_pages_leave_while_it_starts(ground),
        ),
        case(
            "marks::a_stripped_program_and_its_own_engine",
            |ground, _| stripped::a_stripped_program_and_its_own_engine(ground),
        ),
        case("marks::lines_that_the_user_knows", |ground, _| {
            lines_that_the_user_knows(ground)
        }),
        case("marks::a_script_says_what_begins", |ground, _| {
            a_script_says_what_begins(ground)
        }),
        case("marks::the_log_of_an_attached_engine", |ground, _| {
            log::the_log_of_an_attached_engine(ground)
        }),
        case(
            "marks::an_attached_engine_and_its_log_agree",
            |ground, _| log::an_attached_engine_and_its_log_agree(ground),
        ),
    ]
}

fn engine(ground: &Ground, arguments: &[&str], options: &[(&str, &str)]) -> Result<RunRecord> {
    let disk = ground.disk(FileSystem::Ext4)?;
    let model = ModelFile::contiguous(&disk, "model", FILE_BYTES)?;
    let mut call = TracerCall::launch(&ground.scratch, model.path())?;
    for (option, value) in options {
        call = call.option(option, value);
    }
    let run = call
        .engine(Path::new(env!("CARGO_BIN_EXE_stepping_engine")), arguments)
        .run()?;
    run.finished.succeeded().context("the traced engine")?;
    run.record()
}

/// Phase and number of tokens of each step.
pub fn steps(record: &RunRecord) -> Result<Vec<(String, Option<u64>)>> {
    record
        .value("tokens")?
        .as_array()
        .context("tokens is no list")?
        .iter()
        .map(|step| {
            let phase = step.get("phase").and_then(Value::as_str);
            Ok((
                phase.context("a step without a phase")?.to_owned(),
                step.get("tokens").and_then(Value::as_u64),
            ))
        })
        .collect()
}

pub fn phases(record: &RunRecord) -> Result<Vec<String>> {
    record
        .value("phases")?
        .as_array()
        .context("phases is no list")?
        .iter()
        .map(|phase| {
            let name = phase.get("phase").and_then(Value::as_str);
            Ok(name.context("a phase without a name")?.to_owned())
        })
        .collect()
}

fn functions_of_the_engine(ground: &Ground, detail: &str) -> Result<()> {
    let record = engine(
        ground,
        &["--steps", "3", "--prompt", "7", "--warm-up", "2"],
        &[("--detail", detail)],
    )?;
    if !has_helper("get_attach_cookie")? {
        return no_step_is_claimed(&record);
    }
    let expected = [
        ("warm_up", 2),
        ("prompt", 7),
        ("generation", 1),
        ("generation", 1),
        ("generation", 1),
    ]
    .map(|(phase, tokens)| (phase.to_owned(), Some(tokens)));
    let found = steps(&record)?;
    ensure!(found == expected, "the steps are {found:?}");
    let found = phases(&record)?;
    let names = ["load", "idle", "warm_up", "prompt", "generation", "end"];
    ensure!(
        found.iter().all(|phase| names.contains(&phase.as_str())) && found.len() == names.len(),
        "the phases are {found:?}"
    );
    // Both loads, and no step, belong to the load.
    let load = record.number("phases.0.duration_s")? * 1e3;
    ensure!(
        (2.0 * STEP_MILLISECONDS..20.0 * STEP_MILLISECONDS).contains(&load),
        "the load took {load} ms"
    );
    for step in 0..5 {
        let milliseconds = record.number(&format!("tokens.{step}.duration_s"))? * 1e3;
        ensure!(
            milliseconds >= STEP_MILLISECONDS,
            "step {step} took {milliseconds} ms, and the engine sleeps {STEP_MILLISECONDS} ms in it"
        );
    }
    ensure!(
        record.value("marks.source")?.as_str() == Some("uprobes"),
        "the source is {}",
        record.value("marks")?
    );
    Ok(())
}

/// On a kernel that cannot tell one probed function from another (before Linux 5.15).
pub fn no_step_is_claimed(record: &RunRecord) -> Result<()> {
    ensure!(
        record.is_null("tokens")? && record.value("marks.source")? != "uprobes",
        "tokens {} by {}",
        record.value("tokens")?,
        record.value("marks.source")?
    );
    Ok(())
}

fn a_function_that_the_user_names(ground: &Ground) -> Result<()> {
    let arguments = ["--steps", "4", "--prompt", "5", "--own-symbol"];
    let record = engine(
        ground,
        &arguments,
        &[("--mark", "a_step_of_our_own=generation")],
    )?;
    if !has_helper("get_attach_cookie")? {
        return no_step_is_claimed(&record);
    }
    let found = steps(&record)?;
    let expected: Vec<_> = [("prompt", Some(5))]
        .into_iter()
        .chain([("generation", None); 4])
        .map(|(phase, tokens)| (phase.to_owned(), tokens))
        .collect();
    ensure!(found == expected, "the steps are {found:?}");
    // Without it the tracer knows of one decode call only.
    let found = steps(&engine(ground, &arguments, &[])?)?;
    ensure!(found.len() == 1, "the steps are {found:?}");
    Ok(())
}

fn without_any_the_page_cache_tells(ground: &Ground) -> Result<()> {
    let disk = ground.disk(FileSystem::Ext4)?;
    let model = ModelFile::contiguous(&disk, "model", FILE_BYTES)?;
    disk.remount()?;
    let plan = ReadPlan::sequential(FILE_BYTES, 64 << 10);
    let reader = ground
        .reader(&model, &plan, ReadMode::Buffered)?
        .option_with("--hold", 0.3);
    let traced = ground.trace_reader(&model, &reader)?;
    let record = &traced.record;
    ensure!(
        record.value("marks.source")?.as_str() == Some("page cache"),
        "the source is {}",
        record.value("marks")?
    );
    let found = phases(record)?;
    ensure!(found == ["load", "inference"], "the phases are {found:?}");
    ensure!(
        record.count("phases.0.read_bytes")? == FILE_BYTES
            && record.number("phases.0.coverage")? == 1.0
            && record.count("phases.1.read_bytes")? == 0,
        "the phases are {}",
        record.value("phases")?
    );
    ensure!(
        record.value("tokens")?.is_null(),
        "steps without a decode call: {}",
        record.value("tokens")?
    );
    Ok(())
}

/// A script that reads one half of the model, says that another phase begins, and reads the other half: without a record of
/// any read each phase has its half to the byte.
fn counts_divide_at_a_given_mark(ground: &Ground) -> Result<()> {
    let disk = ground.disk(FileSystem::Ext4)?;
    disk.set_read_ahead_kb(0)?;
    let model = ModelFile::contiguous(&disk, "model", FILE_BYTES)?;
    disk.remount()?;
    let half = FILE_BYTES / 2 / 4096;
    // `dd` opens the file once for each half, and reads nothing ahead. What is given is looked for every 50 ms.
    let path = model.path().display();
    let script = format!(
        r#"dd if={path} of=/dev/null bs=4096 count={half} 2>/dev/null
sleep 0.3; echo generation > "$0/mark"; sleep 0.3
dd if={path} of=/dev/null bs=4096 skip={half} 2>/dev/null"#
    );
    let call = TracerCall::launch(&ground.scratch, model.path())?.option("--detail", "counts");
    let run = call.directory().to_owned();
    let run = call
        .engine(
            Path::new("/bin/sh"),
            &["-c".as_ref(), script.as_ref(), run.as_os_str()],
        )
        .run()?;
    run.finished.succeeded().context("the script")?;
    let record = run.record()?;
    check_no_violation(&record)?;
    if !counts_alone(&record)? {
        return Ok(());
    }
    let found = phases(&record)?;
    ensure!(
        found.last().is_some_and(|phase| phase == "generation") && found.len() == 2,
        "the phases are {found:?}"
    );
    // What arrived and no program saw has no time.
    let mut arrived = record.count("reads.unseen_bytes")? as f64;
    for phase in 0..2 {
        let read = record.count(&format!("phases.{phase}.read_bytes"))?;
        arrived += record.number(&format!("phases.{phase}.average_bytes_per_s"))?
            * record.number(&format!("phases.{phase}.duration_s"))?;
        ensure!(
            read == FILE_BYTES / 2,
            "phase {phase} read {read} bytes: {}",
            record.value("phases")?
        );
        for member in ["unique_bytes", "coverage", "latency_us", "waits.stall_s"] {
            let path = format!("phases.{phase}.{member}");
            ensure!(record.is_null(&path)?, "{path} is {}", record.value(&path)?);
        }
    }
    ensure!(
        (arrived - FILE_BYTES as f64).abs() < 1.0,
        "{arrived} bytes arrived or were not seen to, of {FILE_BYTES}"
    );
    ensure!(
        record.count("reads.total_bytes")? == FILE_BYTES
            && record.count("cache.inserts")? == FILE_BYTES / page_bytes()
            && record.count("page_cache.inserted_bytes")? == FILE_BYTES,
        "{} {} {}",
        record.value("reads")?,
        record.value("cache")?,
        record.value("page_cache")?
    );
    Ok(())
}

fn pytorchs_embedding_begins_a_step(ground: &Ground) -> Result<()> {
    let record = engine(
        ground,
        &["--steps", "3", "--prompt", "1", "--embedding"],
        &[],
    )?;
    if !has_helper("get_attach_cookie")? {
        return no_step_is_claimed(&record);
    }
    let found = steps(&record)?;
    let expected = ["prompt", "generation", "generation", "unended_step"]
        .map(|phase| (phase.to_owned(), None));
    ensure!(found == expected, "the steps are {found:?}");
    let found = phases(&record)?;
    ensure!(
        found.first().is_some_and(|phase| phase == "load")
            && found.last().is_some_and(|phase| phase == "unended_step"),
        "the phases are {found:?}"
    );
    for step in 0..3 {
        let milliseconds = record.number(&format!("tokens.{step}.duration_s"))? * 1e3;
        ensure!(
            milliseconds >= STEP_MILLISECONDS,
            "step {step} took {milliseconds} ms, and the engine sleeps {STEP_MILLISECONDS} ms in it"
        );
    }
    for member in [
        "duration_s",
        "reads",
        "read_bytes",
        "faults",
        "waits.stall_s",
    ] {
        ensure!(
            record.is_null(&format!("tokens.3.{member}"))?,
            "the last step has no end, and its {member} is {}",
            record.value(&format!("tokens.3.{member}"))?
        );
    }
    record.text("tokens.3.unended")?;
    ensure!(
        record.text("marks.calls.0.symbol")? == "at::_ops::embedding::call"
            && record.count("marks.calls.0.calls")? == 4,
        "the calls are {}",
        record.value("marks.calls")?
    );
    Ok(())
}

/// A shell as the engine, which leaves the model alone.
fn shell(ground: &Ground, script: &str, options: &[(&str, &str)]) -> Result<RunRecord> {
    let disk = ground.disk(FileSystem::Ext4)?;
    let model = ModelFile::contiguous(&disk, "model", FILE_BYTES)?;
    let mut call = TracerCall::launch(&ground.scratch, model.path())?;
    for (option, value) in options {
        call = call.option(option, value);
    }
    let run = call.directory().to_owned();
    let tracer = binary()?;
    let run = call
        .engine(
            Path::new("/bin/sh"),
            &[
                "-c".as_ref(),
                script.as_ref(),
                run.as_os_str(),
                tracer.as_os_str(),
            ],
        )
        .run()?;
    run.finished.succeeded().context("the script")?;
    ensure!(
        !run.directory.join("mark").exists(),
        "the pipe is left behind"
    );
    run.record()
}

fn given(record: &RunRecord) -> Result<Vec<(String, String)>> {
    let marks = record.value("given_marks")?.as_array();
    let marks = marks.context("given_marks is no list")?.iter();
    marks
        .map(|mark| {
            let text = |member: &str| -> Result<String> {
                let text = mark.get(member).and_then(Value::as_str);
                Ok(text.context("a mark without it")?.to_owned())
            };
            let uncertainty = mark.get("uncertainty_s").and_then(Value::as_f64);
            ensure!(
                uncertainty.is_some_and(|seconds| (0.0..5.0).contains(&seconds)),
                "how certain is the time of {mark}?"
            );
            Ok((text("phase")?, text("by")?))
        })
        .collect()
}

fn lines_that_the_user_knows(ground: &Ground) -> Result<()> {
    let script = "echo weights READY; sleep 0.1; echo go; sleep 0.2; echo 'ran at 12.5 per s'; echo 'old: 3.1 tok/s'";
    let options = [
        ("--phase-line", "READY$=idle"),
        ("--phase-line", "^go=generation"),
        ("--rate-line", "at ([0-9.]+) per s"),
    ];
    let record = shell(ground, script, &options)?;
    let found = phases(&record)?;
    ensure!(
        found == ["load", "idle", "generation"],
        "the phases are {found:?}"
    );
    let milliseconds = record.number("phases.1.duration_s")? * 1e3;
    ensure!(
        (90.0..2000.0).contains(&milliseconds),
        "it was idle for {milliseconds} ms"
    );
    let found = given(&record)?;
    let expected = ["idle", "generation"].map(|phase| (phase.to_owned(), "phase_line".to_owned()));
    ensure!(found == expected, "the marks are {found:?}");
    ensure!(
        record.number("engine.tokens_per_s")? == 12.5
            && record.text("engine.source")? == "rate_line"
            && record.text("marks.source")? == "given",
        "the engine said {}",
        record.value("engine")?
    );
    // Without the expression the rate in the log is not understood, and that is said.
    let record = shell(ground, script, &[])?;
    ensure!(
        record.is_null("engine.tokens_per_s")?,
        "a rate was invented"
    );
    let notes = record.value("notes")?.to_string();
    ensure!(
        notes.contains("'tok/s' in a form that is not known; see --rate-line"),
        "the notes are {notes}"
    );
    Ok(())
}

fn a_script_says_what_begins(ground: &Ground) -> Result<()> {
    let script = "echo prompt > $0/mark; sleep 0.1; $1 mark generation --run $0; sleep 0.1; echo nonsense > $0/mark; echo end > $0/mark";
    let record = shell(ground, script, &[])?;
    let found = given(&record)?;
    let expected = [
        ("prompt", "pipe"),
        ("generation", "command"),
        ("end", "pipe"),
    ]
    .map(|(phase, by)| (phase.to_owned(), by.to_owned()));
    ensure!(found == expected, "the marks are {found:?}");
    let found = phases(&record)?;
    ensure!(
        found.starts_with(&[
            "load".to_owned(),
            "prompt".to_owned(),
            "generation".to_owned()
        ]),
        "the phases are {found:?}"
    );
    let notes = record.value("notes")?.to_string();
    ensure!(
        notes.contains("nonsense"),
        "a line that is no mark is not said: {notes}"
    );
    Ok(())
}
