//! The command line of one run: `tracer launch …` around the engine's own.

use std::{collections::BTreeMap, ffi::OsString, path::Path};

use anyhow::Context as _;

use crate::{
    pressure::{BalloonSize, MemoryLimits},
    run::ConditionsRequest,
    schema::{AS_IS, PlannedPressure, added_arguments},
};

use super::{
    cells::PlannedRun,
    disk::identity::ModelIdentity,
    plan::{Adapter, ColdStart, Plan, PlannedReadAhead, parse_read_ahead},
};

/// The engine's program and arguments.
///
/// # Errors
/// A placeholder without a value, which the plan's check excludes; a path that is no text.
pub fn engine_command(
    plan: &Plan,
    run: &PlannedRun,
    model: &Path,
    port: Option<u16>,
    tracer: &Path,
    plan_directory: &Path,
) -> anyhow::Result<Vec<OsString>> {
    let mut values: BTreeMap<String, String> = run.cell.clone();
    let model = model
        .to_str()
        .with_context(|| format!("the path {} is no UTF-8", model.display()))?;
    values.insert("model".into(), model.to_owned());
    if let Some(port) = port {
        values.insert("port".into(), port.to_string());
    }
    // An axis of the same name goes before the plan's own value.
    if let Some(temperature) = plan.engine.temperature {
        values
            .entry("temperature".into())
            .or_insert_with(|| temperature.to_string());
    }
    if let Some(seed) = plan.engine.seed {
        values
            .entry("seed".into())
            .or_insert_with(|| seed.to_string());
    }
    let mut words: Vec<OsString> = Vec::with_capacity(plan.engine.command.len());
    for template in &plan.engine.command {
        let word = template.fill(&values).with_context(|| {
            format!("{:?} has a placeholder without a value", template.written())
        })?;
        words.push(word.into());
    }
    if let Some(program) = words.first_mut() {
        if plan.engine.adapter == Adapter::BuiltIn {
            *program = tracer.into();
        } else if program.to_string_lossy().contains('/') {
            *program = plan_directory.join(&*program).into();
        }
    }
    let is_usual = !plan
        .engine
        .command
        .iter()
        .any(|word| word.placeholders().contains("load_mode"));
    if plan.engine.adapter == Adapter::BuiltIn
        && is_usual
        && run.cell.get("load_mode").is_some_and(|mode| mode == "lazy")
    {
        words.push("--lazy".into());
    }
    if let Some(added) = run.cell.get("added_arguments") {
        words.extend(added_arguments(added).map(OsString::from));
    }
    Ok(words)
}

/// The arguments of the tracer: everything that a run is made of.
#[must_use]
pub fn launch_arguments(
    plan: &Plan,
    run: &PlannedRun,
    model: &ModelIdentity,
    directory: &Path,
    engine: &[OsString],
) -> Vec<OsString> {
    let mut arguments: Vec<OsString> =
        vec!["launch".into(), "--no-record".into(), "--model".into()];
    arguments.push((&model.path).into());
    arguments.push("--out".into());
    arguments.push(directory.into());
    match plan.cold_start {
        ColdStart::Evict => arguments.push("--evict-model".into()),
        ColdStart::DropCaches => {
            arguments.push("--drop-caches".into());
            arguments.push("--evict-model".into());
        }
        ColdStart::Warm => {}
    }
    if let Some((option, bytes)) = pressure_option(run.pressure()) {
        arguments.push(option.into());
        arguments.push(bytes.to_string().into());
    }
    if let Some(Ok(PlannedReadAhead::Set(bytes))) = run
        .cell
        .get("read_ahead")
        .map(|text| parse_read_ahead(text))
    {
        arguments.push("--read-ahead".into());
        arguments.push(bytes.to_string().into());
    }
    for (axis, option) in [
        ("scheduler", "--scheduler"),
        ("nr_requests", "--nr-requests"),
        ("memory_high", "--memory-high"),
    ] {
        if let Some(value) = run.cell.get(axis).filter(|value| *value != AS_IS) {
            arguments.push(option.into());
            arguments.push(value.into());
        }
    }
    arguments.extend(pinned(plan, run, directory));
    arguments.push("--".into());
    arguments.extend_from_slice(engine);
    arguments
}

/// What is kept in memory in a search: by what came back in its first run, which has the settings as they are.
fn pinned(plan: &Plan, run: &PlannedRun, directory: &Path) -> Vec<OsString> {
    let pin = run.cell.get("pin").filter(|value| *value != AS_IS);
    let budget = plan.tune.as_ref().and_then(|tune| tune.pin_budget);
    let (Some(pin), Some(budget), Some(runs)) = (pin, budget, directory.parent()) else {
        return Vec::new();
    };
    vec![
        "--pin".into(),
        pin.into(),
        "--pin-from".into(),
        runs.join("0000").into(),
        "--pin-budget".into(),
        budget.to_string().into(),
    ]
}

/// How `tracer launch` is told of a pressure. With [`conditions`] the one place that knows the kinds.
const fn pressure_option(pressure: PlannedPressure) -> Option<(&'static str, u64)> {
    match pressure {
        PlannedPressure::None => None,
        PlannedPressure::Lock(bytes) => Some(("--lock", bytes)),
        PlannedPressure::LeaveFree(bytes) => Some(("--leave-free", bytes)),
        PlannedPressure::MemoryMax(bytes) => Some(("--memory-max", bytes)),
    }
}

/// The same as a request of the library, for what can be checked before the first run.
#[must_use]
pub fn conditions(pressure: PlannedPressure) -> ConditionsRequest {
    let mut request = ConditionsRequest::default();
    match pressure {
        PlannedPressure::None => {}
        PlannedPressure::Lock(bytes) => request.balloon = Some(BalloonSize::Lock(bytes)),
        PlannedPressure::LeaveFree(bytes) => request.balloon = Some(BalloonSize::LeaveFree(bytes)),
        PlannedPressure::MemoryMax(max_bytes) => {
            request.cgroup = Some(MemoryLimits {
                max_bytes,
                high_bytes: None,
            });
        }
    }
    request
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::experiment::{cells::expand, disk::identity::ModelIdentity, plan::Plan};

    use super::{engine_command, launch_arguments};

    fn arguments(engine: &str, axes: &str) -> Vec<Vec<String>> {
        let text = format!(
            "name = \"x\"\norder = \"plan\"\nrepetitions = 1\n[engine]\n{engine}\n[axes]\n{axes}\n"
        );
        let plan = Plan::parse(&text).expect(&text);
        expand(&plan)
            .iter()
            .map(|run| {
                let path = Path::new("/models").join(run.model());
                let model = ModelIdentity {
                    name: run.model().to_owned(),
                    extents: None,
                    path: path.clone(),
                    files: Vec::new(),
                };
                let engine = engine_command(
                    &plan,
                    run,
                    &path,
                    Some(4711),
                    Path::new("/bin/tracer"),
                    Path::new("/plans"),
                )
                .expect("a command");
                launch_arguments(&plan, run, &model, Path::new("/out"), &engine)
                    .iter()
                    .map(|word| word.to_string_lossy().into_owned())
                    .collect()
            })
            .collect()
    }

    #[test]
    fn a_run_is_a_launch_around_the_engine() {
        let all = arguments(
            "adapter = \"command\"\ncommand = [\"bin/run\", \"{model}\", \"{own}\"]",
            "model = [\"a b/ü.gguf\"]\npressure = [\"none\", \"lock=1G\", \"leave-free=2G\", \"memory-max=3M\"]\nown = [\"{model}\"]",
        );
        let words: Vec<String> = all.iter().map(|words| words.join("|")).collect();
        let engine = "--|/plans/bin/run|/models/a b/ü.gguf|{model}";
        let start = "launch|--no-record|--model|/models/a b/ü.gguf|--out|/out|--evict-model";
        assert_eq!(
            words,
            [
                format!("{start}|{engine}"),
                format!("{start}|--lock|1073741824|{engine}"),
                format!("{start}|--leave-free|2147483648|{engine}"),
                format!("{start}|--memory-max|3145728|{engine}"),
            ]
        );
    }

    #[test]
    fn the_built_in_engine_is_the_tracer_itself() {
        let all = arguments(
            "adapter = \"built-in\"",
            "model = [\"m\"]\nthreads = [2]\nload_mode = [\"mmap\", \"lazy\"]",
        );
        let ends: Vec<String> = all
            .iter()
            .map(|words| {
                let start = words.iter().position(|word| word == "--").expect("dashes");
                words.get(start + 1..).unwrap_or_default().join(" ")
            })
            .collect();
        assert_eq!(
            ends,
            [
                "/bin/tracer engine --model=/models/m --seed=0 --threads=2",
                "/bin/tracer engine --model=/models/m --seed=0 --threads=2 --lazy",
            ]
        );
    }

    #[test]
    fn settings_of_a_search_are_options_of_the_launch_and_as_is_is_none() {
        let axes = "model = [\"m\"]\npressure = [\"memory-max=64M\"]\nscheduler = [\"none\"]\nnr_requests = [\"as-is\"]\nmemory_high = [\"48M\"]\npin = [\"hot\"]";
        let text = format!(
            "name = \"x\"\nkind = \"tune\"\norder = \"plan\"\nrepetitions = 1\n[tune]\npin_budget = \"9M\"\n[engine]\nadapter = \"built-in\"\n[axes]\n{axes}\n"
        );
        let plan = Plan::parse(&text).expect(&text);
        let said: Vec<String> = expand(&plan)
            .iter()
            .map(|run| {
                let model = ModelIdentity {
                    name: "m".into(),
                    extents: None,
                    path: "/m".into(),
                    files: Vec::new(),
                };
                let words = launch_arguments(&plan, run, &model, Path::new("/e/runs/0007"), &[]);
                let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
                let at = words.iter().position(|word| word == "--memory-max");
                words[at.expect("a limit") + 2..].join(" ")
            })
            .collect();
        assert_eq!(
            said,
            [
                "--scheduler none --memory-high 48M --pin hot --pin-from /e/runs/0000 --pin-budget 9437184 --"
            ]
        );
        let without = text.replace("pin_budget = \"9M\"\n", "");
        let wrong = Plan::parse(&without)
            .expect_err("nothing to keep in memory")
            .to_string();
        assert!(wrong.contains("pin_budget"), "{wrong}");
    }

    #[test]
    fn a_server_gets_its_port() {
        let all = arguments(
            "adapter = \"llama-server\"\ncommand = [\"llama-server\", \"--port\", \"{port}\", \"--seed\", \"{seed}\"]",
            "model = [\"m\"]\ntokens = [3]\nprompt = [\"x\"]",
        );
        assert!(
            all.iter()
                .all(|words| words.ends_with(&["--port", "4711", "--seed", "1"].map(str::to_owned))),
            "{all:?}"
        );
    }
}
