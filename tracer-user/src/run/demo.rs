//! `tracer demo`: a model with random weights, the built-in engine on it in a memory cgroup, and the table.

use std::{ffi::OsString, path::PathBuf};

use anyhow::{Context as _, bail};

use crate::{
    engine::RandomModelShape,
    pressure::{MemoryCgroup, MemoryLimits},
    process::{Caller, SignalWatch},
    rights::MEMORY_REMEDY,
    storage::{Mapping, map_file},
};

use super::{
    conditions::{ConditionsRequest, bytes_progress},
    launch::{LaunchOptions, run_launch},
    tracing::{FinishedRun, TraceOptions, require_machine},
};

#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// Where the model is kept.
    pub directory: PathBuf,
    /// Size of the model, about, bytes.
    pub model_size_bytes: u64,
    /// Limit of the engine's memory cgroup, bytes; None: two thirds of the model.
    pub memory_max_bytes: Option<u64>,
    pub tokens: u32,
    /// Threads of the engine.
    pub threads: u32,
    pub trace: TraceOptions,
}

/// Tokens of the demo's prompt.
const PROMPT_TOKENS: u32 = 4;

/// Makes the model unless it is there, and traces the built-in engine on it.
///
/// # Errors
/// Whatever keeps the model from being made or the run from starting.
pub async fn run_demo(options: DemoOptions, signals: SignalWatch) -> anyhow::Result<FinishedRun> {
    require_machine()?;
    let caller = Caller::of_this_process()?;
    let model = prepare_model(&options, &caller)?;
    let size_bytes = model.metadata().map(|metadata| metadata.len())?;
    let conditions = conditions(&options, size_bytes);
    match conditions.cgroup {
        Some(limits) => eprintln!(
            "tracer: running the built-in engine on {} with {} of memory for it and the model's pages",
            model.display(),
            crate::units::bytes(limits.max_bytes)
        ),
        None => eprintln!(
            "tracer: running the built-in engine on {} without a limit of memory: it reads the model once, and nothing of it twice",
            model.display()
        ),
    }
    let tracer = std::env::current_exe().context("cannot find the tracer's own program")?;
    let mut command: Vec<OsString> = vec![tracer.into(), "engine".into(), "--model".into()];
    command.push(model.clone().into());
    for (flag, value) in [
        ("--tokens", options.tokens),
        ("--prompt-tokens", PROMPT_TOKENS),
        ("--threads", options.threads),
    ] {
        command.push(flag.into());
        command.push(value.to_string().into());
    }
    let launch = LaunchOptions {
        models: vec![model],
        command,
        conditions,
        until_exit: false,
        trace: options.trace,
    };
    run_launch(launch, signals).await
}

/// A limit that the model does not fit into. Where none can be set and none was asked for, at least a cold start.
fn conditions(options: &DemoOptions, size_bytes: u64) -> ConditionsRequest {
    let limits = MemoryLimits {
        max_bytes: options.memory_max_bytes.unwrap_or(size_bytes / 3 * 2),
        high_bytes: None,
    };
    let refused = match options.memory_max_bytes {
        Some(_) => None,
        None => MemoryCgroup::create(&limits).err(),
    };
    if let Some(error) = refused {
        eprintln!("tracer: {error}; to see what too little memory does, {MEMORY_REMEDY}");
        return ConditionsRequest {
            evict_model: true,
            ..ConditionsRequest::default()
        };
    }
    ConditionsRequest {
        cgroup: Some(limits),
        ..ConditionsRequest::default()
    }
}

fn prepare_model(options: &DemoOptions, caller: &Caller) -> anyhow::Result<PathBuf> {
    let shape = RandomModelShape::for_size(options.model_size_bytes)?;
    if !options.directory.is_dir() {
        std::fs::create_dir_all(&options.directory).with_context(|| {
            format!(
                "cannot make the folder {}; choose another with --directory",
                options.directory.display()
            )
        })?;
        caller.give_path(&options.directory)?;
    }
    // Found out before minutes go into writing a model that cannot be traced.
    if let Mapping::Unmappable(reason) = map_file_of_directory(&options.directory)? {
        bail!(
            "a model in {} could not be traced: {reason}; choose another folder with --directory",
            options.directory.display()
        );
    }
    let size_bytes = shape.file_size_bytes();
    let model = options.directory.join(model_name(size_bytes));
    if shape.matches(&model)? {
        eprintln!("tracer: using the model {} again", model.display());
        return Ok(model);
    }
    let progress = bytes_progress(size_bytes, "writing a model with random weights");
    shape.write(&model, |written| progress.set_position(written))?;
    progress.finish_and_clear();
    caller.give_path(&model)?;
    eprintln!(
        "tracer: {} has {}, the nearest to {} that can be made",
        model.display(),
        crate::units::bytes(size_bytes),
        crate::units::bytes(options.model_size_bytes)
    );
    Ok(model)
}

/// A name for a model of this size, which says it in whole mebibytes.
fn model_name(size_bytes: u64) -> String {
    let mebibytes = (size_bytes + (1 << 19)) >> 20;
    format!("random-moe-{mebibytes}m.gguf")
}

/// What a file in this folder would be mapped to.
fn map_file_of_directory(directory: &std::path::Path) -> anyhow::Result<Mapping> {
    let probe = tempfile::NamedTempFile::new_in(directory).with_context(|| {
        format!(
            "cannot write to {}; choose another folder with --directory",
            directory.display()
        )
    })?;
    Ok(map_file(probe.path())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second demo takes the model that has the name; one of another size must not cost it.
    #[test]
    fn models_of_different_sizes_have_different_names() {
        let names: Vec<String> = (64..400)
            .step_by(2)
            .map(|length| {
                let shape = RandomModelShape {
                    expert_feed_forward_length: length,
                    ..RandomModelShape::default()
                };
                model_name(shape.file_size_bytes())
            })
            .collect();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
        let default = RandomModelShape::default().file_size_bytes();
        assert_eq!(model_name(default), "random-moe-547m.gguf");
    }
}
