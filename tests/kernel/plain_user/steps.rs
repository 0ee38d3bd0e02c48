//! Steps of an engine, without CAP_SYS_ADMIN.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use tests::{reference::has_helper, run_record::RunRecord};

use super::Place;
use crate::{ground::Ground, marks};

/// Functions of the engine are probed with these two rights alone, where the kernel has links for that (Linux 6.6).
/// Elsewhere it is said that there are no steps, and why.
pub(super) fn steps(ground: &Ground, place: &Place) -> Result<()> {
    let engine = place.folder.path.join("stepping_engine");
    fs::copy(env!("CARGO_BIN_EXE_stepping_engine"), &engine).context("copy the engine")?;
    let symbols = fs::read_to_string("/proc/kallsyms").context("read /proc/kallsyms")?;
    let has_links =
        symbols.contains("bpf_uprobe_multi_link_attach") && has_helper("get_attach_cookie")?;
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
