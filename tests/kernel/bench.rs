//! The measurement of what tracing costs: that it measures what it says.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use tests::{
    bench::{
        BenchGround, Figure, MeasurementRecord, ReadLoad, Rounds, Traced, Variant, VariantRecord,
        Variants, measure_page_cache, measure_reads, mount_memory,
    },
    environment::{MachineLock, Scratch},
    model_file::ModelFile,
    tracer,
};

use crate::ground::{Case, Ground, case};

const FILE_BYTES: u64 = 8 << 20;
const WINDOW: Duration = Duration::from_millis(300);
const ROUNDS: Rounds = Rounds {
    count: 1,
    warm_up: 0,
};

pub fn cases() -> Vec<Case> {
    vec![
        case("bench::reads", reads),
        case("bench::page_cache", page_cache),
    ]
}

fn variants() -> Result<Variants> {
    Ok(Variants {
        list: vec![
            Variant::None,
            Variant::Empty,
            Variant::Tracer("tracer=".parse()?),
        ],
        tracer: tracer::binary()?,
    })
}

/// Calls it with a disk in memory, below which there is no other disk whose requests programs would see too, and with
/// a file on it.
fn on_ground(
    ground: &Ground,
    lock: &MachineLock,
    measure: impl FnOnce(&BenchGround<'_>, &ModelFile) -> Result<MeasurementRecord>,
) -> Result<MeasurementRecord> {
    let folder = ground.scratch.fresh_path("memory");
    let _memory = mount_memory(&folder)?;
    let scratch = Scratch::new(&folder)?;
    let bench = BenchGround::new(&scratch, lock, FILE_BYTES)?;
    let file = ModelFile::contiguous(bench.disk(), "model.gguf", FILE_BYTES)?;
    measure(&bench, &file)
}

fn ourselves(model: &Path) -> Traced<'_> {
    Traced {
        process_id: std::process::id(),
        model,
    }
}

fn variant<'record>(
    record: &'record MeasurementRecord,
    name: &str,
) -> Result<&'record VariantRecord> {
    record
        .variants
        .iter()
        .find(|variant| variant.name == name)
        .with_context(|| format!("{name} was not measured"))
}

fn median(record: &VariantRecord, figure: Figure) -> Result<f64> {
    Ok(record
        .interval(figure)
        .with_context(|| format!("{} has no {figure:?}", record.name))?
        .median)
}

/// Each read is one request, which runs each program that does nothing once; and a tracer's programs take time.
fn reads(ground: &Ground, lock: &MachineLock) -> Result<()> {
    let load = ReadLoad {
        threads: 2,
        read_bytes: 4096,
        seed: 7,
    };
    let record = on_ground(ground, lock, |bench, file| {
        let traced = ourselves(file.path());
        measure_reads(bench, traced, &variants()?, load, ROUNDS, WINDOW)
    })?;
    for variant in &record.variants {
        ensure!(
            median(variant, Figure::ReadsPerSecond)? > 0.0,
            "{} read nothing",
            variant.name
        );
    }
    ensure!(
        variant(&record, "none")?
            .interval(Figure::ProgramsNsARead)
            .is_none(),
        "no tracer has programs"
    );
    let empty = &variant(&record, "empty")?.rounds[0];
    for program in &empty.programs {
        // Looks at programs and at the device are not one moment; and there is a completion here and there that the
        // kernel shows to nobody.
        let difference = program.runs.abs_diff(empty.requests);
        ensure!(
            difference <= 20 + empty.requests / 50,
            "{} ran {} times at {} requests",
            program.name,
            program.runs,
            empty.requests
        );
    }
    ensure!(
        empty.programs.len() == 2,
        "programs that do nothing are two: {:?}",
        empty.programs
    );
    let traced = variant(&record, "tracer")?;
    ensure!(
        median(traced, Figure::BlockNsARead)? > 0.0,
        "the tracer's programs take less time than programs that do nothing"
    );
    for figure in [Figure::LostRecords, Figure::StartSeconds] {
        median(traced, figure)?;
    }
    Ok(())
}

/// Folios that come and go cost the tracer more than programs that do nothing.
fn page_cache(ground: &Ground, lock: &MachineLock) -> Result<()> {
    let record = on_ground(ground, lock, |bench, file| {
        let traced = ourselves(file.path());
        measure_page_cache(bench, traced, file.path(), &variants()?, ROUNDS, WINDOW)
    })?;
    let traced = variant(&record, "tracer")?;
    for figure in [Figure::InsertNsAFolio, Figure::EvictionNsAFolio] {
        ensure!(
            median(traced, figure)? > 0.0,
            "{figure:?} is not above programs that do nothing"
        );
    }
    ensure!(
        median(variant(&record, "none")?, Figure::TurnoverBytesPerSecond)? > 0.0,
        "nothing was read"
    );
    Ok(())
}
