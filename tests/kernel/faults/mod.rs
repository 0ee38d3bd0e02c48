//! What goes wrong around a run: with the engine, with the place for the record, with the model and its disk, with the
//! machine. Figures are right or marked, nothing is lost silently, and the exit status says what happened. Each is done
//! several times, as often as [`cases`] says; SIGKILL at any moment is `lifecycle::killed_…`.

mod engine;
mod machine;
mod model;
mod output;
mod server;
mod several;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use tests::{
    disk::{FileSystem, LoopDisk},
    model_file::ModelFile,
    reader::{ReaderCommand, RunningProgram},
    surroundings::Surroundings,
    tracer::TracerCall,
};

use crate::{
    ground::{Case, Ground, case},
    processes::holds_open,
};

const LIMIT: Duration = Duration::from_secs(60);
const MODEL_BYTES: u64 = 1 << 20;
/// The tracer itself failed.
const FAILED: i32 = 125;

/// What a fault meets: a disk with a model alone, and how often it was done before.
struct Scene<'a> {
    ground: &'a Ground,
    disk: LoopDisk,
    file: ModelFile,
    attempt: u32,
}

type Fault = fn(&Scene<'_>) -> Result<()>;

/// Each with the number of its repetitions.
const FAULTS: [(&str, u32, Fault); 17] = [
    ("engine_killed", 5, engine::killed),
    ("engine_out_of_memory", 3, engine::out_of_memory),
    ("engine_forks", 3, engine::forks),
    ("engine_execs", 3, engine::execs),
    ("engine_stopped_and_continued", 3, engine::stopped),
    ("engine_id_used_again", 3, engine::id_used_again),
    ("disk_full_while_recording", 3, output::disk_full),
    ("disk_full_for_a_time", 2, output::disk_full_for_a_time),
    ("too_little_room", 1, output::too_little_room),
    ("output_folder_removed", 3, output::folder_removed),
    ("model_truncated", 3, model::truncated),
    ("model_unmounted", 3, model::unmounted),
    ("disk_fails", 3, model::disk_fails),
    ("disk_goes", 3, model::disk_goes),
    ("processor_offline_and_online", 2, machine::processor),
    ("clock_set_back", 2, machine::clock_set_back),
    ("ten_tracers_at_once", 1, several::ten_at_once),
];

pub fn cases() -> Vec<Case> {
    let mut cases: Vec<_> = FAULTS
        .into_iter()
        .map(|(name, repetitions, fault)| {
            case(format!("faults::{name}"), move |ground, _| {
                for attempt in 0..repetitions {
                    once(ground, attempt, fault)
                        .with_context(|| format!("repetition {} of {repetitions}", attempt + 1))?;
                }
                Ok(())
            })
        })
        .collect();
    for (name, fault) in [
        ("server_and_tracers", server::server_and_tracers as Fault),
        ("memory_over_events", several::memory_over_events),
    ] {
        cases.push(case(format!("faults::{name}"), move |ground, _| {
            once(ground, 0, fault)
        }));
    }
    cases
}

fn once(ground: &Ground, attempt: u32, fault: Fault) -> Result<()> {
    let disk = ground.disk(FileSystem::Ext4)?;
    let file = ModelFile::contiguous(&disk, "model.gguf", MODEL_BYTES)?;
    let before = Surroundings::observe()?;
    fault(&Scene {
        ground,
        disk,
        file,
        attempt,
    })?;
    // The disk goes with the scene.
    Surroundings::check_nothing_left_since(&before)
}

impl Scene<'_> {
    /// A reader that reads until its input is closed; started, and through with the whole model once.
    fn endless_reader(&self, reader: &ReaderCommand) -> Result<RunningProgram> {
        let mark = self.ground.scratch.fresh_path("first-round");
        let reader = reader
            .clone()
            .option("--until-input-closes")
            .option_with("--mark-round", mark.display());
        let program = self.ground.start_reader(&reader)?;
        program.wait_until("it has read", LIMIT, |program| {
            mark.exists() && holds_open(program.process_id(), self.file.path())
        })?;
        Ok(program)
    }

    /// A call of `attach` to a process that has the model.
    fn attach(&self, process_id: u32) -> Result<TracerCall<'_>> {
        Ok(TracerCall::attach(&self.ground.scratch, process_id)?
            .option("--model", self.file.path()))
    }
}

/// Started, and tracing; with the run's folder.
fn tracing(call: TracerCall<'_>) -> Result<(RunningProgram, PathBuf)> {
    let directory = call.directory().to_owned();
    let tracer = call.start()?;
    tracer.wait_until("it traces", LIMIT, |tracer| {
        tracer.errors_so_far().contains("tracing process")
    })?;
    Ok((tracer, directory))
}
