//! Steps of an engine, without CAP_SYS_ADMIN.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use tests::{
    environment::unavailable, reader::RunningProgram, reference::has_helper, run_record::RunRecord,
};

use super::{LIMIT, Place, check_rights};
use crate::{ground::Ground, marks};

/// Whether this kernel probes functions by links of their own kind, which take the two rights alone (Linux 6.6).
pub(super) fn has_links() -> Result<bool> {
    let symbols = fs::read_to_string("/proc/kallsyms").context("read /proc/kallsyms")?;
    Ok(symbols.contains("bpf_uprobe_multi_link_attach") && has_helper("get_attach_cookie")?)
}

/// Steps of a program that is started when the tracer has attached, and given up its rights: another process probes it.
pub(super) fn steps_of_a_later_program(ground: &Ground, place: &Place) -> Result<()> {
    if !has_links()? {
        return Err(unavailable(
            "this kernel has no links for probes of functions (Linux 6.6 has)",
        ));
    }
    let engine = place.folder.path.join("stepping_engine");
    fs::copy(env!("CARGO_BIN_EXE_stepping_engine"), &engine).context("copy the engine")?;
    let mut shell = place.command(Path::new("/bin/sh"));
    shell
        .args(["-c", r#"read go && exec "$0" "$@""#])
        .arg(&engine)
        .args([
            "--steps",
            "6",
            "--prompt",
            "7",
            "--step-milliseconds",
            "500",
        ]);
    let mut shell = RunningProgram::start(&ground.scratch, shell)?;
    let run = place.folder.path.join("run");
    let tracer = place
        .call(ground, "attach")
        .option("--detail", "events")
        .option("--pid", shell.process_id().to_string())
        .option("--model", &place.model)
        .start()?;
    tracer.wait_until("it traces", LIMIT, |tracer| {
        tracer.errors_so_far().contains("tracing process")
    })?;
    check_rights(tracer.process_id(), 0, Some(true))?;
    shell.send_line("go")?;
    shell.finish(LIMIT)?.succeeded()?;
    tracer.finish(LIMIT)?.succeeded()?;
    let record = RunRecord::load(&run)?;
    // What it did before somebody looked is not seen.
    let steps = marks::steps(&record)?;
    let generated = steps.iter().filter(|(phase, _)| phase == "generation");
    ensure!(
        generated.count() >= 3
            && steps
                .iter()
                .all(|(phase, tokens)| phase != "generation" || *tokens == Some(1)),
        "the steps are {steps:?}"
    );
    ensure!(
        record.value("marks.source")?.as_str() == Some("uprobes"),
        "the source is {}",
        record.value("marks")?
    );
    Ok(())
}

/// Functions of the engine are probed with these two rights alone, where the kernel has links for that (Linux 6.6).
/// Elsewhere it is said that there are no steps, and why.
pub(super) fn steps(ground: &Ground, place: &Place) -> Result<()> {
    let engine = place.folder.path.join("stepping_engine");
    fs::copy(env!("CARGO_BIN_EXE_stepping_engine"), &engine).context("copy the engine")?;
    let has_links = has_links()?;
    for detail in ["events", "counts"] {
        let run = place.folder.path.join("run");
        place
            .call(ground, "launch")
            .option("--detail", detail)
            .option("--model", &place.model)
            .engine(
                &engine,
                &["--steps", "3", "--prompt", "7", "--warm-up", "2"],
            )
            .run()?
            .finished
            .succeeded()?;
        let record = RunRecord::load(&run)?;
        fs::remove_dir_all(&run).context("remove the run")?;
        if !has_links {
            marks::no_step_is_claimed(&record)?;
            let notes = record.value("notes")?.to_string();
            ensure!(
                notes.contains("CAP_SYS_ADMIN"),
                "it is not said why: {notes}"
            );
            continue;
        }
        let expected = [
            ("warm_up", 2),
            ("prompt", 7),
            ("generation", 1),
            ("generation", 1),
            ("generation", 1),
        ]
        .map(|(phase, tokens)| (phase.to_owned(), Some(tokens)));
        let found = marks::steps(&record)?;
        ensure!(found == expected, "with {detail} the steps are {found:?}");
        ensure!(
            record.value("marks.source")?.as_str() == Some("uprobes"),
            "the source is {}",
            record.value("marks")?
        );
    }
    Ok(())
}
