//! The commands.

use std::{
    collections::BTreeSet,
    env,
    path::{Path, PathBuf},
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use ::tests::{
    bench::{
        BenchGround, BenchPlace, BenchRecord, BoundProcessors, Engine, GoFirst, MeasurementRecord,
        Other, ReadLoad, Rounds, TokenLoad, Traced, Variant, Variants, measure_idle,
        measure_page_cache, measure_reads, measure_tokens,
    },
    reader::RunningProgram,
};
use anyhow::{Context as _, Result, ensure};

use super::arguments::{
    CacheArguments, Compared, CostArguments, IdleArguments, Reads, ScaleArguments, TokenArguments,
};

/// Extents of the fragmented file.
const EXTENTS: u64 = 1000;

/// Where the offsets of reads begin: the same in every call.
const SEED: u64 = 1;

/// Where other tracers have nothing to say.
const NO_OTHERS: &[Other] = &[];

/// `bench cost`.
pub fn cost(arguments: &CostArguments) -> Result<()> {
    let compared = &arguments.compared;
    let variants = variants(compared, &arguments.others.others)?;
    let bytes = compared.model_mib << 20;
    let fragmented = arguments.reads.contains(&Reads::Fragmented);
    let place = BenchPlace::new()?;
    let ground = place.ground(if fragmented { 3 * bytes } else { bytes })?;
    let contiguous = ground.model(&variants.tracer, bytes)?;
    let in_extents = if fragmented {
        Some(ground.model_in_extents(&variants.tracer, bytes, EXTENTS)?)
    } else {
        None
    };
    let other_engine = if arguments.other_engine {
        Some(sleeping_process(&ground)?)
    } else {
        None
    };
    let first = arguments.window.go_first.then(GoFirst::take).transpose()?;
    let mut measurements = Vec::new();
    for reads in &arguments.reads {
        let (model, read_bytes) = match reads {
            Reads::Small => (Some(&contiguous), 4 << 10),
            Reads::Large => (Some(&contiguous), 256 << 10),
            Reads::Fragmented => (in_extents.as_ref(), 4 << 10),
        };
        let traced = Traced {
            process_id: other_engine
                .as_ref()
                .map_or_else(std::process::id, RunningProgram::process_id),
            model: model.context("the fragmented model was not made")?,
        };
        let load = ReadLoad {
            threads: arguments.threads.get(),
            read_bytes,
            seed: SEED,
        };
        let measurement = measure_reads(
            &ground,
            traced,
            &variants,
            load,
            rounds(compared),
            arguments.window.seconds,
        )?;
        show(&measurement);
        measurements.push(measurement);
    }
    drop(other_engine);
    drop(first);
    drop(ground);
    drop(place);
    keep(compared, measurements)
}

/// `bench scale`.
pub fn scale(arguments: &ScaleArguments) -> Result<()> {
    let compared = &arguments.compared;
    let variants = variants(compared, &arguments.others.others)?;
    let bytes = compared.model_mib << 20;
    let place = BenchPlace::new()?;
    let ground = place.ground(bytes)?;
    let model = ground.model(&variants.tracer, bytes)?;
    let traced = Traced {
        process_id: std::process::id(),
        model: &model,
    };
    let all = std::thread::available_parallelism()?;
    let processors: BTreeSet<_> = arguments
        .processors
        .iter()
        .map(|count| all.min(*count))
        .collect();
    let first = arguments.window.go_first.then(GoFirst::take).transpose()?;
    let mut measurements = Vec::new();
    for count in processors {
        let _bound = BoundProcessors::first(count.get())?;
        for threads in &arguments.threads {
            let load = ReadLoad {
                threads: threads.get(),
                read_bytes: 4 << 10,
                seed: SEED,
            };
            let measurement = measure_reads(
                &ground,
                traced,
                &variants,
                load,
                rounds(compared),
                arguments.window.seconds,
            )?;
            show(&measurement);
            measurements.push(measurement);
        }
    }
    drop(first);
    drop(ground);
    drop(place);
    keep(compared, measurements)
}

/// `bench cache`.
pub fn cache(arguments: &CacheArguments) -> Result<()> {
    let compared = &arguments.compared;
    let variants = variants(compared, NO_OTHERS)?;
    let bytes = compared.model_mib << 20;
    let place = BenchPlace::new()?;
    let ground = place.ground(2 * bytes)?;
    let model = ground.model(&variants.tracer, bytes)?;
    let other = ground.other_file(bytes)?;
    let traced = Traced {
        process_id: std::process::id(),
        model: &model,
    };
    let first = arguments.window.go_first.then(GoFirst::take).transpose()?;
    let mut measurements = Vec::new();
    for file in [&model, &other] {
        let measurement = measure_page_cache(
            &ground,
            traced,
            file,
            &variants,
            rounds(compared),
            arguments.window.seconds,
        )?;
        show(&measurement);
        measurements.push(measurement);
    }
    drop(first);
    drop(ground);
    drop(place);
    keep(compared, measurements)
}

/// `bench idle`.
pub fn idle(arguments: &IdleArguments) -> Result<()> {
    let compared = &arguments.compared;
    let variants = variants(compared, NO_OTHERS)?;
    let given = arguments
        .model
        .as_deref()
        .map(Path::canonicalize)
        .transpose()
        .context("find the model")?;
    let bytes = if given.is_some() {
        0
    } else {
        compared.model_mib << 20
    };
    let place = BenchPlace::new()?;
    let ground = place.ground(bytes)?;
    let model = match given {
        Some(given) => given,
        None => ground.model(&variants.tracer, bytes)?,
    };
    let process = sleeping_process(&ground)?;
    let traced = Traced {
        process_id: process.process_id(),
        model: &model,
    };
    let measurement = measure_idle(
        &ground,
        traced,
        &variants,
        rounds(compared),
        arguments.seconds,
    )?;
    show(&measurement);
    drop(process);
    drop(ground);
    drop(place);
    keep(compared, vec![measurement])
}

/// `bench tokens`.
pub fn tokens(arguments: &TokenArguments) -> Result<()> {
    let compared = &arguments.compared;
    let variants = variants(compared, NO_OTHERS)?;
    let bytes = compared.model_mib << 20;
    let place = BenchPlace::new()?;
    let ground = place.ground(bytes)?;
    let model = ground.model(&variants.tracer, bytes)?;
    let python = arguments
        .python
        .clone()
        .or_else(|| env::var_os("TRACER_TESTS_PYTHON").map(PathBuf::from))
        .filter(|_| !arguments.built_in);
    let engine = match python {
        Some(python) => Engine::Llama { python },
        None => Engine::BuiltIn {
            tracer: variants.tracer.clone(),
            threads: arguments.threads.get(),
        },
    };
    let memory_bytes = match arguments.memory_mib {
        Some(mebibytes) => mebibytes << 20,
        None => model.metadata()?.len() * 2 / 3 + engine.own_bytes(),
    };
    let load = TokenLoad {
        engine,
        memory_bytes,
        tokens: arguments.tokens,
    };
    let measurement = measure_tokens(&ground, &model, &variants, &load, rounds(compared))?;
    show(&measurement);
    drop(ground);
    drop(place);
    keep(compared, vec![measurement])
}

fn rounds(compared: &Compared) -> Rounds {
    Rounds {
        count: compared.rounds,
        warm_up: compared.warm_up,
    }
}

fn variants(compared: &Compared, others: &[Other]) -> Result<Variants> {
    let mut list = vec![Variant::None, Variant::Empty];
    if compared.variants.is_empty() {
        for level in ["counts=--detail counts", "events=--detail events"] {
            list.push(Variant::Tracer(level.parse()?));
        }
    }
    list.extend(compared.variants.iter().cloned().map(Variant::Tracer));
    for other in others {
        match other.find() {
            Ok(variant) => list.push(variant),
            Err(missing) => eprintln!("bench: left out: {missing}"),
        }
    }
    let names: BTreeSet<&str> = list.iter().map(Variant::name).collect();
    ensure!(
        names.len() == list.len(),
        "two variants have the same name; `none`, `empty` and the other tracers' names are taken"
    );
    Ok(Variants {
        list,
        tracer: tracer(compared.tracer.as_deref())?,
    })
}

fn tracer(given: Option<&Path>) -> Result<PathBuf> {
    let path = match (given, env::var_os("TRACER_BINARY")) {
        (Some(given), _) => given.to_owned(),
        (None, Some(variable)) => variable.into(),
        (None, None) => env::current_exe()
            .context("find this program's own file")?
            .with_file_name("tracer"),
    };
    path.canonicalize().with_context(|| {
        format!(
            "there is no tracer {}; name it with --tracer",
            path.display()
        )
    })
}

/// A process that does nothing.
fn sleeping_process(ground: &BenchGround<'_>) -> Result<RunningProgram> {
    let mut command = Command::new("sleep");
    command.arg("infinity");
    RunningProgram::start(ground.scratch(), command)
}

fn show(measurement: &MeasurementRecord) {
    println!("{}", measurement.text());
}

fn keep(compared: &Compared, measurements: Vec<MeasurementRecord>) -> Result<()> {
    let Some(path) = &compared.json else {
        return Ok(());
    };
    let revision = compared
        .revision
        .clone()
        .or_else(|| env::var("TRACER_BENCH_REVISION").ok());
    let record = BenchRecord::of_this_machine(today()?, revision, measurements)?;
    let record = if path.exists() {
        record
            .after(BenchRecord::load(path)?)
            .with_context(|| format!("nothing is added to {}", path.display()))?
    } else {
        record
    };
    record.save(path)
}

/// The date in UTC, `YYYY-MM-DD`.
fn today() -> Result<String> {
    let days = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("the clock is before 1970")?
        .as_secs()
        / 86_400;
    Ok(date_of(days))
}

/// The date so many days after 1 January 1970 (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn date_of(days: u64) -> String {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::date_of;

    #[test]
    fn days_become_dates() {
        assert_eq!(date_of(0), "1970-01-01");
        assert_eq!(date_of(11_016), "2000-02-29");
        assert_eq!(date_of(20_784), "2026-11-27");
    }
}
