//! Records for tests.

use crate::schema::{
    AxisRecord, BandwidthFigures, ByGapClass, CacheRecord, DeviceRecord, ExperimentRecord,
    ExperimentRunRecord, GapFigure, GapsRecord, MachineRecord, MarksRecord, ModelIdentity,
    ModelRecord, PeakMemoryRecord, PhaseGaps, PhaseRecord, PlannedPressure, ReadFigures,
    ReadsRecord, RunOutcome, RunRecord, TensorRecord, TokenRecord, WorkRecord,
};

pub(in crate::report) const GIB: u64 = 1 << 30;
/// Size of every sample model.
pub(super) const MODEL_BYTES: u64 = 4 * GIB;

/// An experiment of these runs, numbered in their order, each cell's n-th run in block n; the axes are those of the
/// cells.
pub(in crate::report) fn experiment(mut runs: Vec<ExperimentRunRecord>) -> ExperimentRecord {
    let mut axes: Vec<AxisRecord> = Vec::new();
    for at in 0..runs.len() {
        let cell = runs[at].cell.clone();
        runs[at].block = runs[..at].iter().filter(|run| run.cell == cell).count() as u64;
        runs[at].number = at as u64;
        runs[at].directory = format!("runs/{at:04}");
        for (name, value) in cell {
            match axes.iter_mut().find(|axis| axis.name == name) {
                Some(axis) if axis.values.contains(&value) => {}
                Some(axis) => axis.values.push(value),
                None => axes.push(AxisRecord {
                    name,
                    values: vec![value],
                }),
            }
        }
    }
    ExperimentRecord {
        schema_version: 1,
        name: "sample".into(),
        kind: "matrix".into(),
        plan_digest: "00".into(),
        seed: 1,
        order: "blocks".into(),
        axes,
        runs,
        notes: vec!["the kernel changed".into()],
        tune: None,
    }
}

/// A finished run that read its model once while loading and nothing later.
pub(in crate::report) fn finished(model: &str, pressure: PlannedPressure) -> ExperimentRunRecord {
    let pressure_text = match pressure {
        PlannedPressure::None => "none".to_owned(),
        PlannedPressure::Lock(size) => format!("lock={size}"),
        PlannedPressure::LeaveFree(size) => format!("leave-free={size}"),
        PlannedPressure::MemoryMax(size) => format!("memory-max={size}"),
    };
    let cell = [
        ("model", model),
        ("pressure", &pressure_text),
        ("tokens", "100"),
    ];
    ExperimentRunRecord {
        cell: cell
            .map(|(axis, value)| (axis.to_owned(), value.to_owned()))
            .into(),
        pressure,
        outcome: RunOutcome::Finished,
        work: Some(WorkRecord {
            engine_version: Some("b11434".into()),
            output_digest: Some("ab".into()),
            output_kind: Some("token ids".into()),
            generated_tokens: Some(100),
            deterministic_sampling: true,
        }),
        record: Some(run(model)),
        ..Default::default()
    }
}

fn run(model: &str) -> RunRecord {
    let mut record = RunRecord {
        kernel: "6.12.1".into(),
        tracer_version: "0.1.0".into(),
        complete: true,
        single: Some(model_record(model)),
        machine: MachineRecord {
            cpus: Some(8),
            swap_total_bytes: Some(0),
            ..Default::default()
        },
        devices: vec![DeviceRecord {
            name: "nvme0n1".into(),
            device_model: Some("Fast SSD".into()),
            read_ahead_kb: Some(128),
            rotational: Some(false),
            ..Default::default()
        }],
        ..Default::default()
    };
    record.time.wall_s = 20.0;
    record.engine.tokens_per_s = Some(5.0);
    record.memory.available_before_bytes = Some(30 * GIB);
    record.memory.swap_in_pages = Some(0);
    record.memory.swap_out_pages = Some(0);
    record.process.peak = Some(PeakMemoryRecord {
        rss_bytes: Some(MODEL_BYTES + GIB),
        anonymous_bytes: Some(GIB),
        file_bytes: Some(MODEL_BYTES),
        shared_memory_bytes: Some(0),
        page_table_bytes: Some(9 << 20),
    });
    record
}

fn model_record(path: &str) -> ModelRecord {
    let class = |count, share| GapFigure {
        count,
        share: Some(share),
        share_of_bytes: Some(share),
    };
    ModelRecord {
        model: ModelIdentity {
            path: path.into(),
            size_bytes: MODEL_BYTES,
            data_bytes: Some(MODEL_BYTES),
            extents: Some(1),
            ..Default::default()
        },
        reads: Some(ReadsRecord {
            amount: ReadFigures {
                count: 16_384,
                total_bytes: MODEL_BYTES,
                unique_bytes: MODEL_BYTES,
                coverage: Some(1.0),
                amplification: Some(1.0),
                reread_factor: None,
            },
            ..Default::default()
        }),
        gaps: Some(GapsRecord {
            classes: ByGapClass {
                sequential: class(987, 0.987),
                backward: class(13, 0.013),
                ..Default::default()
            },
            count: 1000,
            stream_sequential_share: Some(0.999),
            ..Default::default()
        }),
        bandwidth: Some(BandwidthFigures {
            busy_bytes_per_s: Some(2.5 * GIB as f64),
            ..Default::default()
        }),
        cache: CacheRecord {
            delta_bytes: Some(MODEL_BYTES.cast_signed()),
            before_bytes: Some(0),
            ..Default::default()
        },
        phases: Some(vec![phase("load", MODEL_BYTES), phase("generation", 0)]),
        marks: Some(MarksRecord {
            source: "uprobes".into(),
            load_end: Some("uprobes".into()),
            ..Default::default()
        }),
        tokens: Some(steps(&[0; 99])),
        tensors: Some(vec![TensorRecord {
            name: "token_embd.weight".into(),
            kind: "embedding".into(),
            bytes: MODEL_BYTES,
            read_bytes: Some(MODEL_BYTES),
            refaults_bytes: Some(0),
            ..Default::default()
        }]),
        ..Default::default()
    }
}

/// A phase that read so many bytes, each once.
pub(super) fn phase(name: &str, read_bytes: u64) -> PhaseRecord {
    let share = |share: f64| GapFigure {
        share: Some(share),
        ..Default::default()
    };
    PhaseRecord {
        phase: name.into(),
        duration_s: 2.0,
        reads: Some(read_bytes / (256 << 10)),
        read_bytes: Some(read_bytes),
        unique_bytes: Some(read_bytes.min(MODEL_BYTES)),
        coverage: Some(read_bytes.min(MODEL_BYTES) as f64 / MODEL_BYTES as f64),
        amplification: (read_bytes > 0).then_some(1.0),
        gaps: (read_bytes > 0).then(|| PhaseGaps {
            classes: ByGapClass {
                sequential: share(0.25),
                backward: share(0.35),
                ..Default::default()
            },
            stream_sequential_share: Some(0.9),
        }),
        ..Default::default()
    }
}

/// Generation steps that need 100 bytes each and read so many.
pub(in crate::report) fn steps(read_bytes: &[u64]) -> Vec<TokenRecord> {
    let steps = read_bytes.iter().zip(0..);
    steps
        .map(|(read_bytes, step)| TokenRecord {
            step,
            phase: "generation".into(),
            read_bytes: Some(*read_bytes),
            need_bytes: Some(100),
            ..Default::default()
        })
        .collect()
}

/// A change to the model's record of a run.
pub(in crate::report) fn with_model(
    mut run: ExperimentRunRecord,
    change: impl FnOnce(&mut ModelRecord),
) -> ExperimentRunRecord {
    if let Some(model) = run
        .record
        .as_mut()
        .and_then(|record| record.single.as_mut())
    {
        change(model);
    }
    run
}

/// A change to the record of a run.
pub(in crate::report) fn with_record(
    mut run: ExperimentRunRecord,
    change: impl FnOnce(&mut RunRecord),
) -> ExperimentRunRecord {
    if let Some(record) = run.record.as_mut() {
        change(record);
    }
    run
}
