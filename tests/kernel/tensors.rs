//! A file whose tensors are read in a scripted order: the table of tensors is exact to the byte.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::{
    disk::{FileSystem, LoopDisk},
    environment::{MachineLock, unavailable},
    model_file::{Element, GgufLayout, GgufWriter, ModelFile, Piece, write_dense_model},
    plan::{DeviceRequest, PlannedRead, ReadPlan, file_ranges},
    reader::ReadMode,
    reference::FtraceBlk,
    run_record::RunRecord,
};

use crate::{
    ground::{
        Case, FILE_SYSTEMS, Ground, Programs, case, check_no_violation, check_sound,
        sectors_between,
    },
    shapes,
    tensor_table::{PieceFigures, check_rows, rows},
};

/// Times that the plan is read; the file is evicted in between.
const ROUNDS: u64 = 3;

/// The reader's name in ftrace's records. Before it the tracer has read the model's header.
const READER_COMMAND: &str = "scripted_reader";

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for file_system in FILE_SYSTEMS {
        for mode in [ReadMode::Mmap, ReadMode::Buffered, ReadMode::Direct] {
            let mode_name = format!("{mode:?}").to_lowercase();
            cases.push(
                case(
                    format!("tensors::{file_system}::{mode_name}"),
                    move |ground, lock| {
                        let programs = Programs::OfThisKernel;
                        scripted_order(ground, lock, file_system, mode, programs)
                    },
                )
                .needs_its_pages(),
            );
        }
    }
    for mode in [ReadMode::Mmap, ReadMode::Buffered, ReadMode::Direct] {
        let mode_name = format!("{mode:?}").to_lowercase();
        cases.push(
            case(
                format!("tensors::counted::{mode_name}"),
                move |ground, lock| {
                    scripted_order(ground, lock, FileSystem::Ext4, mode, Programs::Counting)
                },
            )
            .needs_its_pages(),
        );
    }
    cases.push(case("tensors::tests_own_disk", |ground, _| {
        tests_own_disk(ground, Programs::OfThisKernel)
    }));
    cases.push(case("tensors::tests_own_disk_counted", |ground, _| {
        tests_own_disk(ground, Programs::Counting)
    }));
    cases
}

/// A model of many tensors, of which most share their pages with others; two hold several experts.
fn write_model(path: &Path) -> Result<()> {
    let mut writer = GgufWriter::new("llama");
    writer.number("llama.block_count", 20);
    writer.number("llama.expert_count", 5);
    writer.number("llama.expert_used_count", 2);
    let mut random = fastrand::Rng::with_seed(11);
    writer.tensor("token_embd.weight", Element::F16, &[64, 300]);
    for layer in 0..20 {
        let name = |name: &str| format!("blk.{layer}.{name}.weight");
        for norm in ["attn_norm", "ffn_norm", "attn_q_norm"] {
            writer.tensor(&name(norm), Element::F32, &[random.u64(1..2000)]);
        }
        writer.tensor(&name("attn_q"), Element::F16, &[64, random.u64(1..2000)]);
        writer.tensor(
            &name("ffn_gate_exps"),
            Element::F32,
            &[64, random.u64(1..40), 5],
        );
        writer.tensor(&name("ffn_up"), Element::F16, &[33, random.u64(1..5000)]);
    }
    writer.tensor("output_norm.weight", Element::F32, &[7]);
    writer.write(path)
}

fn plan(file: &ModelFile, mode: ReadMode, disk: &LoopDisk) -> Result<ReadPlan> {
    let mut random = fastrand::Rng::with_seed(13);
    let (unit, most) = match mode {
        ReadMode::Direct => (
            disk.logical_block_bytes()?,
            disk.largest_single_request_bytes()?,
        ),
        ReadMode::Buffered | ReadMode::Mmap => (1, 100_000),
    };
    let mut plan = ReadPlan::default();
    for _ in 0..60 {
        plan.reads.push(PlannedRead {
            offset_bytes: random.u64(0..file.size_bytes() / unit) * unit,
            length_bytes: random.u64(1..=most / unit) * unit,
        });
    }
    // The file's last bytes for certain.
    plan.reads.push(PlannedRead {
        offset_bytes: file.size_bytes() / unit * unit,
        length_bytes: unit,
    });
    if unit == 1 {
        plan.reads.push(PlannedRead {
            offset_bytes: file.size_bytes() - 1,
            length_bytes: 1,
        });
    }
    Ok(plan)
}

fn scripted_order(
    ground: &Ground,
    lock: &MachineLock,
    file_system: FileSystem,
    mode: ReadMode,
    programs: Programs,
) -> Result<()> {
    let disk = ground.disk(file_system)?;
    let path = disk.mount_point().join("model.gguf");
    write_model(&path)?;
    let pieces = GgufLayout::read(&path)?.pieces();
    let file = ModelFile::existing(path)?;
    check_pieces_share_pages(&pieces)?;
    let plan = plan(&file, mode, &disk)?;
    let requests = shapes::requests(&plan, mode, &file, &disk)?;

    let reader = ground
        .reader(&file, &plan, mode)?
        .option_with("--evicted-rounds", ROUNDS);
    let before = disk.statistics()?;
    let ftrace = FtraceBlk::start(&disk, lock)?;
    let traced = ground.trace_reader_with(&file, &reader, programs)?;
    let after = disk.statistics()?;
    let trace = ftrace.finish()?;
    ensure!(
        traced.report.rounds == ROUNDS,
        "the reader did {} rounds",
        traced.report.rounds
    );

    // By what had to be read, and by what ftrace saw of it.
    let planned = file_ranges(&requests, &file);
    let seen = file_ranges(&trace.issued_reads_from(READER_COMMAND), &file);
    let through_cache = mode != ReadMode::Direct;
    let expected: Vec<_> = pieces
        .iter()
        .map(|piece| {
            let bytes = piece.bytes_in(&planned);
            let cached = if through_cache { bytes } else { 0 };
            PieceFigures {
                read: ROUNDS * bytes,
                inserted: ROUNDS * cached,
                evicted: (ROUNDS - 1) * cached,
                refaulted: (ROUNDS - 1) * cached,
            }
        })
        .collect();
    for (piece, expected) in pieces.iter().zip(&expected) {
        let by_ftrace = piece.bytes_in(&seen);
        ensure!(
            by_ftrace == expected.read,
            "ftrace saw {by_ftrace} bytes read of {piece:?}, and the plan says {expected:?}"
        );
    }
    ensure!(
        expected.iter().any(|piece| piece.read == 0)
            && expected.iter().filter(|piece| piece.read > 0).count() > 20,
        "the plan reads everything, or next to nothing: {expected:?}"
    );

    let rows = rows(&traced.record, &pieces)?;
    check_rows(&rows, &pieces, &expected)?;
    let by_device = sectors_between(&before, &after) * 512;
    let by_ftrace = bytes_of(&trace.issued_reads());
    ensure!(
        by_device == by_ftrace,
        "the device read {by_device} bytes, ftrace saw {by_ftrace}"
    );
    let by_ftrace = bytes_of(&trace.issued_reads_from(READER_COMMAND));
    let by_tracer = traced.record.count("devices.0.read_bytes")?;
    ensure!(
        by_ftrace == by_tracer,
        "ftrace saw {by_ftrace} bytes read, the tracer counted {by_tracer}"
    );
    check_sound(&traced.record)
}

fn bytes_of(requests: &[DeviceRequest]) -> u64 {
    requests.iter().map(|request| request.length_bytes).sum()
}

/// The case is only worth something where tensors, and experts, end within pages.
fn check_pieces_share_pages(pieces: &[Piece]) -> Result<()> {
    let shared = |experts: bool| {
        pieces
            .iter()
            .filter(|piece| piece.expert.is_some() == experts)
            .filter(|piece| !piece.range.end.is_multiple_of(shapes::PAGE_BYTES))
            .count()
    };
    ensure!(
        shared(true) > 20 && shared(false) > 20,
        "too few pieces end within a page"
    );
    Ok(())
}

/// On the disk under the tests' folder, whatever it is, less is known beforehand; but its driver may do what
/// a loop device never does, such as giving requests back.
fn tests_own_disk(ground: &Ground, programs: Programs) -> Result<()> {
    const ROUNDS: u64 = 4;
    let path = ground.scratch.fresh_path("model.gguf");
    write_dense_model(&path)?;
    let pieces = GgufLayout::read(&path)?.pieces();
    let file = ModelFile::existing(path)?;
    let plan = ReadPlan::sequential(file.size_bytes(), 1 << 20);
    // Whatever of it is cached when the reader starts.
    let reader = ground
        .reader(&file, &plan, ReadMode::Mmap)?
        .option("--evict-before")
        .option_with("--threads", 4)
        .option_with("--evicted-rounds", ROUNDS);
    let record = ground.trace_reader_with(&file, &reader, programs)?.record;
    check_no_violation(&record)?;
    if record.is_null("reads")? {
        return Err(unavailable(format!(
            "the tests' folder has no sectors: {}",
            record.value("model.without_sectors")?
        )));
    }
    for (row, piece) in rows(&record, &pieces)?.iter().zip(&pieces) {
        let expected = ROUNDS * piece.bytes();
        ensure!(
            row.figures.read == expected && row.figures.inserted == expected,
            "of {piece:?} the tracer says {row:?}, and it must be {expected}"
        );
    }
    check_readahead_of_phases(&record)
}

/// What was read ahead in a phase is a part of what was read in it.
fn check_readahead_of_phases(record: &RunRecord) -> Result<()> {
    ensure!(
        record.count("reads.readahead")? > 0,
        "nothing was read ahead"
    );
    let phases = record.value("phases")?.as_array().context("no phases")?;
    for phase in phases {
        let count = |member: &str| phase.get(member).and_then(Value::as_u64);
        let (readahead, read) = (count("readahead_bytes"), count("read_bytes"));
        ensure!(
            readahead.is_some() && readahead <= read,
            "of {read:?} bytes {readahead:?} were read ahead, with {} requeues, in the phase {phase}",
            record.count("reads.requeues")?
        );
    }
    Ok(())
}
