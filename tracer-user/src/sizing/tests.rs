//! What is predicted of runs that are made up.

use crate::schema::{
    CgroupRecord, DeviceRecord, ExpertsRecord, MemoryPointRecord, ModelFileRecord, ModelRecord,
    PeakMemoryRecord, ProcessPointRecord, RunRecord, SizePointRecord, SizeRegion, SizingRecord,
    TensorRecord, TokenRecord, WaitRecord,
};

use super::{Asked, Facts, NotKnown, Weights, predict};

const MIB: u64 = 1 << 20;
const LAYERS: u64 = 8;
const LAYER_BYTES: u64 = 4 * MIB;
const WEIGHTS: u64 = LAYERS * LAYER_BYTES;

/// A dense model of 32 MiB in 8 layers, and 1 MiB of embedding.
fn model() -> ModelRecord {
    let mut model = ModelRecord::default();
    model.model.path = "m.gguf".into();
    model.model.size_bytes = WEIGHTS + MIB;
    model.model.files.push(ModelFileRecord {
        size_bytes: WEIGHTS + MIB,
        ..ModelFileRecord::default()
    });
    let mut tensors = vec![TensorRecord {
        kind: "embedding".into(),
        bytes: MIB,
        ..TensorRecord::default()
    }];
    tensors.extend((0..LAYERS).map(|layer| {
        TensorRecord {
            kind: if layer == LAYERS - 1 {
                "output"
            } else {
                "attention"
            }
            .into(),
            layer: (layer < LAYERS - 1).then_some(layer as u32),
            offset_bytes: MIB + layer * LAYER_BYTES,
            bytes: LAYER_BYTES,
            ..TensorRecord::default()
        }
    }));
    model.tensors = Some(tensors);
    model.tokens = Some((0..20).map(|step| token(step, 0)).collect());
    model
}

fn token(step: u64, read_bytes: u64) -> TokenRecord {
    TokenRecord {
        step,
        phase: "generation".into(),
        tokens: Some(1),
        start_s: step as f64 * 0.1,
        duration_s: Some(0.1),
        read_bytes: Some(read_bytes),
        need_bytes: Some(WEIGHTS),
        waits: WaitRecord {
            stall_s: Some(if read_bytes > 0 { 0.06 } else { 0.0 }),
            reclaim_s: Some(0.0),
            ..WaitRecord::default()
        },
        ..TokenRecord::default()
    }
}

fn run() -> RunRecord {
    RunRecord {
        complete: true,
        single: Some(model()),
        memory_course: vec![MemoryPointRecord {
            at_s: 1.0,
            process: Some(ProcessPointRecord {
                anonymous_bytes: Some(3 * MIB),
                page_table_bytes: Some(MIB),
                ..ProcessPointRecord::default()
            }),
            ..MemoryPointRecord::default()
        }],
        devices: vec![DeviceRecord {
            read_ahead_kb: Some(128),
            ..DeviceRecord::default()
        }],
        machine: crate::schema::MachineRecord {
            lru: Some("classic".into()),
            ..Default::default()
        },
        ..RunRecord::default()
    }
}

/// A run with a limit, in which each token read so much.
fn limited(limit: u64, read_bytes: u64) -> RunRecord {
    let mut run = run();
    run.pressure.cgroup = Some(CgroupRecord {
        limit_bytes: limit,
        ..CgroupRecord::default()
    });
    let tokens = (0..20).map(|step| token(step, read_bytes)).collect();
    of(&mut run).tokens = Some(tokens);
    run
}

fn of(run: &mut RunRecord) -> &mut ModelRecord {
    run.single.as_mut().expect("one model")
}

fn sized(run: &RunRecord, asked: &Asked) -> SizingRecord {
    let facts = Facts::of(run, None).expect("facts");
    let weights = Weights::of(facts.model, 4096);
    predict(&facts, &weights, None, asked).expect("a curve")
}

fn at(record: &SizingRecord, memory: u64) -> SizePointRecord {
    *record
        .points
        .iter()
        .find(|point| point.memory_bytes == memory)
        .expect("that point")
}

fn asked(mebibytes: &[u64]) -> Asked {
    Asked {
        memory_bytes: mebibytes.iter().map(|size| size * MIB).collect(),
        ..Asked::default()
    }
}

#[test]
fn a_dense_model_reads_all_of_itself_with_little_memory_and_nothing_with_enough() {
    let record = sized(&run(), &asked(&[2, 12, 34, 38]));
    assert_eq!((record.used_bytes, record.beside_bytes), (WEIGHTS, 4 * MIB));
    assert_eq!(at(&record, 2 * MIB).region, SizeRegion::TooSmall);
    assert_eq!(at(&record, 2 * MIB).read_bytes, None);
    let collapsed = at(&record, 12 * MIB);
    assert_eq!(collapsed.region, SizeRegion::Collapsed);
    let band = collapsed.read_bytes.expect("a band");
    let share = |bytes: f64| bytes / WEIGHTS as f64;
    assert!(
        share(band.least) > 0.9 && (1.0..1.2).contains(&share(band.most)),
        "{band:?}"
    );
    // Two MiB too few: anything from little to all.
    assert_eq!(at(&record, 34 * MIB).region, SizeRegion::Unstable);
    let enough = at(&record, 38 * MIB);
    assert_eq!(enough.region, SizeRegion::Enough);
    assert_eq!(enough.read_bytes.map(|band| band.most), Some(0.0));
    let least = record.enough_bytes.expect("enough");
    assert!((36 * MIB..37 * MIB).contains(&least), "{least}");
    assert!(record.points.is_sorted_by_key(|point| point.memory_bytes));
}

/// The best possible policy reads least, and what is predicted is never below it.
#[test]
fn the_band_lies_above_the_best_that_is_possible() {
    let record = sized(&run(), &Asked::default());
    for point in record
        .points
        .iter()
        .filter(|point| point.region != SizeRegion::Enough)
    {
        let (Some(best), Some(band)) = (point.best_bytes, point.read_bytes) else {
            continue;
        };
        // The band is of a little more memory, too.
        assert!(band.most >= best, "{point:?}");
        assert!(point.oldest_leave_bytes >= Some(best), "{point:?}");
    }
}

#[test]
fn the_band_holds_what_the_run_itself_read() {
    let read = 45 * MIB;
    let record = sized(&limited(12 * MIB, read), &Asked::default());
    let band = at(&record, 12 * MIB).read_bytes.expect("a band");
    assert!(
        band.least <= read as f64 && (band.most - read as f64).abs() < 1.0,
        "{band:?}"
    );
    let [least, most] = record.stretched.expect("stretched");
    assert!(least == 1.0 && most > 1.2, "{least} {most}");
    // Its waits say how fast the disk is: 45 MiB in 60 ms; 40 ms are left to compute.
    let rate = record.bytes_per_s.expect("a rate");
    assert!((rate / (read as f64 / 0.06) - 1.0).abs() < 1e-9, "{rate}");
    let speed = at(&record, 12 * MIB).tokens_per_s.expect("a speed");
    assert!((speed.least - 10.0).abs() < 0.01, "{speed:?}");
}

/// Half the bytes need half the room, and read half.
#[test]
fn smaller_weights_need_less() {
    let half = Asked {
        weights_scale: Some(0.5),
        ..asked(&[12, 21])
    };
    let record = sized(&run(), &half);
    assert_eq!(at(&record, 21 * MIB).region, SizeRegion::Enough);
    let whole = sized(&run(), &asked(&[20]));
    let [half, whole] = [at(&record, 12 * MIB), at(&whole, 20 * MIB)]
        .map(|point| point.read_bytes.expect("a band"));
    // 8 of 16 MiB and 16 of 32 MiB are left for the weights.
    assert!(
        (half.most / whole.most - 0.5).abs() < 0.05,
        "{half:?} {whole:?}"
    );
    assert_eq!(record.computing_s, None);
}

#[test]
fn what_cannot_be_told_is_refused_with_the_reason() {
    let why = |change: &dyn Fn(&mut RunRecord)| {
        let mut run = run();
        change(&mut run);
        Facts::of(&run, None).expect_err("refused")
    };
    assert_eq!(why(&|run| run.single = None), NotKnown::NoModel);
    assert_eq!(
        why(&|run| {
            let one = run.single.take().expect("one");
            run.models = vec![one.clone(), one];
        }),
        NotKnown::SeveralModels(2)
    );
    assert!(matches!(
        why(&|run| of(run).tokens = None),
        NotKnown::NoSteps(_)
    ));
    assert!(matches!(
        why(&|run| of(run).tensors = None),
        NotKnown::NoSteps(_)
    ));
    assert_eq!(
        why(&|run| of(run).tokens.as_mut().expect("tokens").truncate(3)),
        NotKnown::TooFewSteps(3)
    );
    assert_eq!(
        why(&|run| of(run).tokens.as_mut().expect("tokens")[4].tokens = Some(4)),
        NotKnown::SeveralTokens
    );
    assert_eq!(
        why(&|run| of(run).tokens.as_mut().expect("tokens")[4].need_bytes = None),
        NotKnown::NoNeed
    );
    assert!(matches!(
        why(&|run| run.engine.copied_weights_bytes = Some(30 * MIB)),
        NotKnown::Copied(_)
    ));
    assert!(matches!(
        why(&|run| {
            of(run).cache.lookups = Some(1000);
            of(run).cache.faults = Some(1);
            run.process.peak = Some(PeakMemoryRecord {
                anonymous_bytes: Some(30 * MIB),
                ..PeakMemoryRecord::default()
            });
        }),
        NotKnown::NotMapped { .. }
    ));
    assert_eq!(why(&|run| run.memory_course.clear()), NotKnown::NoMemory);
    assert_eq!(
        why(&|run| {
            run.complete = false;
            run.loss.ring_buffer_records = 1;
        }),
        NotKnown::Incomplete
    );
}

#[test]
fn another_way_of_ageing_pages_is_said() {
    let mut run = run();
    run.machine.lru = Some("mglru".into());
    let record = sized(&run, &asked(&[]));
    assert!(
        record.notes.iter().any(|note| note.contains("MGLRU")),
        "{:?}",
        record.notes
    );
}

/// Where a token uses all experts, the model is dense.
#[test]
fn experts_that_are_all_used_are_used_by_every_token() {
    let mut model = model();
    model.model.experts = Some(ExpertsRecord { count: 1, used: 1 });
    for tensor in model.tensors.as_mut().expect("tensors") {
        tensor.expert = tensor.layer.map(|_| 0);
    }
    let weights = Weights::of(&model, 4096);
    assert!(weights.experts.is_empty());
    assert_eq!(weights.every_token_bytes(), WEIGHTS);
    model.model.experts = Some(ExpertsRecord { count: 2, used: 1 });
    assert_eq!(Weights::of(&model, 4096).expert_bytes(), 7 * LAYER_BYTES);
}

fn with_read_ahead(kilobytes: u64) -> RunRecord {
    let mut run = run();
    run.devices = vec![DeviceRecord {
        read_ahead_kb: Some(kilobytes),
        ..DeviceRecord::default()
    }];
    run
}

#[test]
fn another_read_ahead_is_predicted_as_of_a_run_that_had_it() {
    let of_run = sized(&with_read_ahead(512), &asked(&[20, 28, 34]));
    let what_if = Asked {
        read_ahead_bytes: Some(512 << 10),
        ..asked(&[20, 28, 34])
    };
    let record = sized(&with_read_ahead(64), &what_if);
    assert_eq!(record.points, of_run.points);
    assert!(record.read_ahead_is_asked && !of_run.read_ahead_is_asked);
    let as_it_was = sized(&with_read_ahead(64), &asked(&[20, 28, 34]));
    assert_ne!(record.points, as_it_was.points);
}

#[test]
fn where_read_ahead_has_no_room_nothing_is_said() {
    let record = sized(&with_read_ahead(2048), &asked(&[12, 20, 34]));
    // 4 MiB beside the weights, and six windows of 4 MiB each.
    for (memory, region) in [(12, SizeRegion::NotKnown), (20, SizeRegion::NotKnown)] {
        let point = at(&record, memory * MIB);
        assert_eq!((point.region, point.read_bytes), (region, None));
    }
    assert!(at(&record, 34 * MIB).read_bytes.is_some());
    // With less memory than is known it may be anything.
    assert_eq!(record.collapsed_bytes, None);
    assert!(
        record
            .notes
            .iter()
            .any(|note| note.contains("--read-ahead")),
        "{:?}",
        record.notes
    );
    let small = sized(&with_read_ahead(128), &asked(&[12, 20, 34]));
    assert!(
        small
            .notes
            .iter()
            .all(|note| !note.contains("--read-ahead"))
    );
}
