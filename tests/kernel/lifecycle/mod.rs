//! How runs begin and end: each a clear error or a marked record, and nothing left behind.

mod attach;
mod engine_end;
mod killed;
mod pressure;
mod refused;
mod rights;

pub use killed::kill_often;

use std::{path::Path, time::Duration};

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use tests::{
    disk::{FileSystem, LoopDisk},
    model_file::ModelFile,
    plan::ReadPlan,
    reader::{Finished, ReadMode, ReaderCommand},
    surroundings::Surroundings,
};

use crate::ground::{Case, Ground, case};

/// The tracer itself failed.
const FAILED: i32 = 125;
const LIMIT: Duration = Duration::from_secs(60);
const MODEL_BYTES: u64 = 1 << 20;

type Test = fn(&Ground, &LoopDisk, &ModelFile) -> Result<()>;

pub fn cases() -> Vec<Case> {
    let tests: [(&str, Test); 24] = [
        ("status_of_the_command", engine_end::status_of_the_command),
        (
            "command_killed_by_a_signal",
            engine_end::command_killed_by_a_signal,
        ),
        (
            "command_that_does_not_exist",
            engine_end::command_that_does_not_exist,
        ),
        (
            "command_that_cannot_be_run",
            engine_end::command_that_cannot_be_run,
        ),
        ("interrupt", |ground, disk, file| {
            engine_end::stopped_by(ground, disk, file, Signal::SIGINT)
        }),
        ("terminate", |ground, disk, file| {
            engine_end::stopped_by(ground, disk, file, Signal::SIGTERM)
        }),
        ("killed_tracer", engine_end::killed_tracer),
        ("killed_launches", killed::killed_launches),
        ("killed_attaches", killed::killed_attaches),
        (
            "model_that_does_not_exist",
            refused::model_that_does_not_exist,
        ),
        (
            "model_that_is_a_directory",
            refused::model_that_is_a_directory,
        ),
        ("model_that_is_empty", refused::model_that_is_empty),
        ("out_with_a_run_in_it", refused::out_with_a_run_in_it),
        ("attach_for_a_time", attach::attach_for_a_time),
        ("attach_to_the_end", attach::attach_to_the_end),
        ("attach_until_interrupt", attach::attach_until_interrupt),
        ("attach_finds_the_model", attach::attach_finds_the_model),
        (
            "attach_without_model_files",
            attach::attach_without_model_files,
        ),
        ("attach_to_nobody", attach::attach_to_nobody),
        ("attach_in_other_mounts", attach::attach_in_other_mounts),
        ("calling_user", rights::calling_user),
        ("no_privileges", rights::no_privileges),
        ("locked_memory", pressure::locked_memory),
        ("memory_limit", pressure::memory_limit),
    ];
    tests
        .into_iter()
        .map(|(name, test)| {
            case(format!("lifecycle::{name}"), move |ground, _| {
                let disk = ground.disk(FileSystem::Ext4)?;
                // Named as a model is, so that attach finds it.
                let file = ModelFile::contiguous(&disk, "model.gguf", MODEL_BYTES)?;
                let before = Surroundings::observe()?;
                test(ground, &disk, &file)?;
                Surroundings::check_nothing_left_since(&before)
            })
        })
        .collect()
}

fn plan() -> ReadPlan {
    ReadPlan::sequential(MODEL_BYTES, 4096)
}

fn direct_reader(ground: &Ground, file: &ModelFile) -> Result<ReaderCommand> {
    ground.reader(file, &plan(), ReadMode::Direct)
}

/// The tracer ended with this status, and said these things on standard error.
pub fn check_said(finished: &Finished, code: i32, words: &[&str]) -> Result<()> {
    ensure!(
        finished.code() == code,
        "the status is {}, not {code}:\n{}\n{}",
        finished.code(),
        finished.output.trim_end(),
        finished.errors.trim_end()
    );
    for word in words {
        ensure!(
            finished.errors.contains(word),
            "it does not say {word:?}:\n{}",
            finished.errors
        );
    }
    Ok(())
}

/// Nothing was begun: no folder, no record.
fn check_untouched(directory: &Path) -> Result<()> {
    ensure!(!directory.exists(), "{} was made", directory.display());
    Ok(())
}
