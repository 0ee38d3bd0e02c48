//! The log of an engine that the tracer attached to.

use std::{fs, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use tests::{
    disk::FileSystem,
    model_file::ModelFile,
    reader::RunningProgram,
    reference::has_helper,
    run_record::RunRecord,
    tracer::{TracerCall, binary},
};

use super::{FILE_BYTES, given, no_step_is_claimed, phases, steps};
use crate::{
    ground::{Ground, check_sound},
    models::make_expert_model,
};

pub(super) fn the_log_of_an_attached_engine(ground: &Ground) -> Result<()> {
    let disk = ground.disk(FileSystem::Ext4)?;
    let model = ModelFile::contiguous(&disk, "model", FILE_BYTES)?;
    let log = ground.scratch.fresh_path("engine.log");
    // None of this counts, the mark neither.
    fs::write(&log, "go\n[ Prompt: 1.0 t/s | Generation: 1.0 t/s ]\n")?;
    let script = "while ! [ -p $1/mark ]; do sleep 0.01; done; sleep 0.3; echo go >> $0; echo '[ Prompt: 20.1 t/s | Generation: 9.9 t/s ]' >> $0; sleep 0.3";
    // The run's folder is known before the process is.
    let mut call = TracerCall::bare(&ground.scratch, &["attach"])?;
    let run = call.directory().to_owned();
    let mut process = Command::new("sh")
        .args([
            "-c".as_ref(),
            script.as_ref(),
            log.as_os_str(),
            run.as_os_str(),
        ])
        .spawn()?;
    call = call
        .option("--out", &run)
        .option("--pid", process.id().to_string())
        .option("--model", model.path())
        .option("--log", &log)
        .option("--phase-line", "^go$=generation");
    let traced = call.run();
    process.wait()?;
    let record = traced?.record()?;
    ensure!(
        record.number("engine.tokens_per_s")? == 9.9,
        "the engine said {}: what was in the log before does not count",
        record.value("engine")?
    );
    let found = given(&record)?;
    ensure!(
        found == [("generation".to_owned(), "phase_line".to_owned())],
        "the marks are {found:?}"
    );
    Ok(())
}

/// Milliseconds, count and tokens per second of a line of the built-in engine's timings.
fn said(log: &str, name: &str) -> Result<(f64, u64, f64)> {
    let line = log.lines().find_map(|line| {
        let (label, rest) = line.split_once('=')?;
        (label.split_once(':')?.1.trim() == name).then_some(rest)
    });
    let line = line.with_context(|| format!("the log has no {name:?}:\n{log}"))?;
    // 553.96 ms / 29 runs ( 19.10 ms per token, 52.35 tokens per second)
    let numbers: Vec<&str> = line
        .split(|character: char| !(character.is_ascii_digit() || character == '.'))
        .filter(|number| !number.is_empty())
        .collect();
    let [milliseconds, count, _, rate] = numbers[..] else {
        anyhow::bail!("the log says {line:?}");
    };
    Ok((milliseconds.parse()?, count.parse()?, rate.parse()?))
}

/// The engine runs when the tracer comes, and writes its log to a file: steps by its functions, rates by its log, and
/// both mean the same time.
pub(super) fn an_attached_engine_and_its_log_agree(ground: &Ground) -> Result<()> {
    let limit = Duration::from_secs(120);
    let disk = ground.disk(FileSystem::Ext4)?;
    disk.set_read_ahead_kb(128)?;
    let model = make_expert_model(ground, &disk)?;
    let log = ground.scratch.fresh_path("engine.log");
    fs::write(&log, "")?;
    let mut command = Command::new("sh");
    command
        .args(["-c", r#"read -r line; exec "$@" > "$0" 2>&1"#])
        .arg(&log)
        .arg(binary()?)
        .args(["engine", "--zap-before-step", "--tokens", "9"])
        .args(["--prompt-tokens", "6", "--model"])
        .arg(&model);
    let mut engine = RunningProgram::start(&ground.scratch, command)?;
    let call = TracerCall::attach(&ground.scratch, engine.process_id())?
        .option("--model", &model)
        .option("--log", &log);
    let run = call.directory().to_owned();
    let tracer = call.start()?;
    tracer.wait_until("it traces", limit, |tracer| {
        tracer.errors_so_far().contains("tracing process")
    })?;
    engine.send_line("go")?;
    engine.finish(limit)?.succeeded()?;
    tracer.finish(limit)?.succeeded()?;

    let record = RunRecord::load(&run)?;
    check_sound(&record)?;
    let text = fs::read_to_string(&log)?;
    let (prompt_milliseconds, prompt_tokens, prompt_rate) = said(&text, "prompt eval time")?;
    let (milliseconds, runs, rate) = said(&text, "eval time")?;
    ensure!(
        (prompt_tokens, runs) == (6, 8),
        "the engine did other work:\n{text}"
    );
    let near = |figure: &str, said: f64, within: f64| -> Result<()> {
        let found = record.number(figure)?;
        ensure!(
            (found - said).abs() <= within,
            "{figure} is {found}, and the log says {said}"
        );
        Ok(())
    };
    ensure!(
        record.text("engine.source")? == "builtin",
        "{}",
        record.value("engine")?
    );
    near("engine.tokens_per_s", rate, 0.01)?;
    near("engine.prompt_tokens_per_s", prompt_rate, 0.01)?;
    near("engine.eval_s", milliseconds / 1e3, 1e-6)?;
    if !has_helper("get_attach_cookie")? {
        return no_step_is_claimed(&record);
    }
    let names = phases(&record)?;
    for phase in ["load", "prompt", "generation"] {
        ensure!(
            names.iter().any(|name| name == phase),
            "there is no {phase} among {names:?}"
        );
    }
    let seconds_in = |phase: &str| -> Result<f64> {
        let mut sum = 0.0;
        for (index, (of, tokens)) in steps(&record)?.iter().enumerate() {
            if of == phase {
                ensure!(*tokens == Some(1), "step {index} has {tokens:?} tokens");
                sum += record.number(&format!("tokens.{index}.duration_s"))?;
            }
        }
        Ok(sum)
    };
    let count = |phase: &str| -> Result<usize> {
        let found = steps(&record)?;
        Ok(found.iter().filter(|(of, _)| of == phase).count())
    };
    // The shell became the engine while it was traced, and its functions are found some milliseconds after that.
    let in_prompt = count("prompt")?;
    ensure!(
        (1..=6).contains(&in_prompt) && count("generation")? == 8,
        "the steps are {:?}",
        steps(&record)?
    );
    let whole_prompt = (in_prompt == 6).then_some(("prompt", prompt_milliseconds));
    for (phase, said) in whole_prompt
        .into_iter()
        .chain([("generation", milliseconds)])
    {
        let traced = 1e3 * seconds_in(phase)?;
        ensure!(
            (traced - said).abs() <= 0.1 * said + 5.0,
            "{phase} took {said} ms by the log and {traced} ms by its functions"
        );
    }
    Ok(())
}
