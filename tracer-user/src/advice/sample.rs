//! A healthy run of a model with experts, in which every figure that a cause looks at is known; and what makes each cause
//! present, takes it away, and hides it.

use crate::schema::{
    BandwidthFigures, BufferRecord, CacheRecord, CgroupPointRecord, CgroupRecord, DeviceRecord,
    DeviceTestRecord, EvictionsByAgent, ExpertsRecord, GapsRecord, MemoryPointRecord,
    ModelFileRecord, ModelIdentity, ModelRecord, OrderCostRecord, PageCacheFigures,
    PeakMemoryRecord, PhaseRecord, ProcessPointRecord, ReadFigures, ReadsRecord,
    ResidencyPointRecord, RollupRecord, RunRecord, SizeCount, SpreadRecord, TensorRecord,
    TokenRecord, UsedRecord, WaitRecord,
};

pub const MIB: u64 = 1 << 20;
const SIZE: u64 = 1024 * MIB;
const STEPS: u64 = 10;

/// A run that reads the model once while loading, and then has all of it.
pub fn healthy() -> RunRecord {
    let mut run = RunRecord {
        mode: "launch".into(),
        detail: Some("events".into()),
        command: vec!["engine".into()],
        single: Some(model()),
        ..RunRecord::default()
    };
    run.time.wall_s = 20.0;
    run.machine.swap_total_bytes = Some(1 << 30);
    run.memory.swap_in_pages = Some(0);
    run.pressure.cgroup = Some(CgroupRecord {
        version: 2,
        limit_bytes: 4 * SIZE,
        peak_bytes: Some(SIZE + 100 * MIB),
        ..CgroupRecord::default()
    });
    run.process.peak = Some(PeakMemoryRecord {
        anonymous_bytes: Some(50 * MIB),
        ..PeakMemoryRecord::default()
    });
    run.process.rollup = Some(RollupRecord {
        locked_bytes: Some(0),
        ..RollupRecord::default()
    });
    run.engine.buffers = vec![BufferRecord {
        device: Some("CPU_Mapped".into()),
        purpose: "mapped".into(),
        bytes: SIZE,
    }];
    run.devices = vec![DeviceRecord {
        name: "sda".into(),
        read_ahead_kb: Some(128),
        max_sectors_kb: Some(1280),
        reads: 8192,
        read_bytes: SIZE,
        ..DeviceRecord::default()
    }];
    for at in [11.0, 15.0, 19.0] {
        run.memory_course.push(MemoryPointRecord {
            at_s: at,
            process: Some(ProcessPointRecord {
                anonymous_bytes: Some(50 * MIB),
                swap_bytes: Some(0),
                ..ProcessPointRecord::default()
            }),
            cgroup: Some(CgroupPointRecord {
                usage_bytes: Some(SIZE + 100 * MIB),
                file_bytes: Some(SIZE),
                ..CgroupPointRecord::default()
            }),
            system: None,
        });
        run.residency_course.push(ResidencyPointRecord {
            at_s: at,
            by_events_bytes: vec![Some(SIZE)],
            ..ResidencyPointRecord::default()
        });
    }
    run
}

fn model() -> ModelRecord {
    let phase = |name: &str, start_s, steps, read| PhaseRecord {
        phase: name.into(),
        start_s,
        end_s: start_s + 10.0,
        duration_s: 10.0,
        steps,
        read_bytes: Some(read),
        inserted_bytes: Some(read),
        refaulted_bytes: Some(0),
        evicted_bytes: Some(0),
        faults: Some(10),
        waits: WaitRecord {
            stall_s: Some(read as f64 / SIZE as f64),
            reclaim_s: Some(0.0),
            lock_s: Some(0.0),
            other_io_s: Some(0.0),
            stall_threads_s: Some(0.0),
            other_io_threads_s: Some(0.0),
            reclaim_threads_s: Some(0.0),
            lock_threads_s: Some(0.0),
        },
        ..PhaseRecord::default()
    };
    let tensor = |kind: &str, layer, expert, bytes| TensorRecord {
        kind: kind.into(),
        layer: Some(layer),
        expert,
        bytes,
        refaults_bytes: Some(0),
        unused_at_least_bytes: Some(0),
        ..TensorRecord::default()
    };
    let mut tensors = vec![tensor("attention", 0, None, 64 * MIB)];
    tensors.extend((0..15).map(|expert| tensor("expert_ffn", 0, Some(expert), 64 * MIB)));
    ModelRecord {
        model: ModelIdentity {
            path: "/m.gguf".into(),
            files: vec![ModelFileRecord::default()],
            size_bytes: SIZE,
            data_bytes: Some(SIZE),
            extents: Some(1),
            format: Some("gguf".into()),
            experts: Some(ExpertsRecord { count: 15, used: 2 }),
            filesystem: "ext4".into(),
            ..ModelIdentity::default()
        },
        reads: Some(ReadsRecord {
            amount: ReadFigures {
                count: 8192,
                total_bytes: SIZE,
                unique_bytes: SIZE,
                ..ReadFigures::default()
            },
            sizes: Some(vec![SizeCount {
                bytes: 128 << 10,
                count: 8192,
            }]),
            readahead: Some(8192),
            ..ReadsRecord::default()
        }),
        gaps: Some(GapsRecord {
            mean_queue_depth: Some(4.0),
            ..GapsRecord::default()
        }),
        bandwidth: Some(BandwidthFigures {
            busy_bytes_per_s: Some(1000.0),
            busy_s: Some(15.0),
            ..BandwidthFigures::default()
        }),
        cache: CacheRecord {
            last_token_bytes: Some(SIZE),
            after_bytes: Some(SIZE),
            inserts: Some(SIZE / 4096),
            evictions_by_agent: Some(EvictionsByAgent::default()),
            refaults: Some(0),
            faults: Some(100),
            lookups: Some(4),
            ..CacheRecord::default()
        },
        phases: Some(vec![
            phase("load", 0.0, 0, SIZE),
            phase("generation", 10.0, STEPS, 0),
        ]),
        tokens: Some(
            (0..STEPS)
                .map(|step| TokenRecord {
                    step,
                    phase: "generation".into(),
                    need_bytes: Some(200 * MIB),
                    ..TokenRecord::default()
                })
                .collect(),
        ),
        tensors: Some(tensors),
        page_cache: Some(PageCacheFigures {
            inserted_bytes: SIZE,
            unused_at_least_bytes: Some(0),
            unused_at_most_bytes: Some(0),
            ..PageCacheFigures::default()
        }),
        ..ModelRecord::default()
    }
}

/// A test of the device in which its best rate was this.
pub fn device_test(best_bytes_per_s: f64) -> DeviceTestRecord {
    DeviceTestRecord {
        used: Some(UsedRecord {
            best_bytes_per_s,
            ..UsedRecord::default()
        }),
        order: Some(OrderCostRecord {
            recorded_to_sorted: Some(SpreadRecord {
                median: 2.0,
                ..SpreadRecord::default()
            }),
            ..OrderCostRecord::default()
        }),
        ..DeviceTestRecord::default()
    }
}

pub fn model_of(run: &mut RunRecord) -> &mut ModelRecord {
    run.single.as_mut().expect("one model")
}

pub fn cache(run: &mut RunRecord) -> &mut PageCacheFigures {
    model_of(run).page_cache.as_mut().expect("events")
}

pub fn generation(run: &mut RunRecord) -> &mut PhaseRecord {
    &mut model_of(run).phases.as_mut().expect("phases")[1]
}

pub fn tensors(run: &mut RunRecord) -> &mut Vec<TensorRecord> {
    model_of(run).tensors.as_mut().expect("tensors")
}

/// Generation reads and throws out, with half of its time in waiting.
pub fn thrashing(run: &mut RunRecord) {
    let phase = generation(run);
    phase.read_bytes = Some(2048 * MIB);
    phase.inserted_bytes = Some(2048 * MIB);
    phase.evicted_bytes = Some(2048 * MIB);
    phase.refaulted_bytes = Some(2048 * MIB);
    phase.waits.stall_s = Some(5.0);
    phase.waits.reclaim_s = Some(1.0);
    phase.waits.reclaim_threads_s = Some(1.0);
    let pages = cache(run);
    pages.inserted_bytes = 3072 * MIB;
    pages.evicted_bytes = 2048 * MIB;
    pages.refaulted_bytes = 2048 * MIB;
    let cache = &mut model_of(run).cache;
    cache.refaults = Some(2048 * MIB / 4096);
    cache.inserts = Some(3072 * MIB / 4096);
    cache.evictions_by_agent = Some(EvictionsByAgent {
        direct_reclaim: 2048 * MIB / 4096,
        ..EvictionsByAgent::default()
    });
    for tensor in tensors(run) {
        tensor.refaults_bytes = Some(if tensor.kind == "expert_ffn" {
            130 * MIB
        } else {
            64 * MIB
        });
    }
}
