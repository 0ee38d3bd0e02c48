//! Which figures stand where: the first screen, the tables of a run, what is compared over runs.

use crate::schema::{ModelRecord, PhaseRecord, RunRecord, TensorRecord, TokenRecord};

use super::{
    Figure, InRun, engine, gaps, losses, memory, model, pages, phase, process, reads, speed, step,
    tensor,
};

/// The first table of a run: one line a model.
pub static RESULTS: &[InRun] = &[
    InRun::Model(&model::SIZE_BYTES),
    InRun::Run(&memory::AVAILABLE_BEFORE_BYTES),
    InRun::Run(&engine::WALL_S),
    InRun::Run(&engine::TOKENS_PER_S),
    InRun::Model(&reads::TOTAL_BYTES),
    InRun::Model(&reads::UNIQUE_BYTES),
    InRun::Model(&reads::COVERAGE),
    InRun::Model(&reads::AMPLIFICATION),
    InRun::Model(&gaps::BACKWARD_SHARE),
    InRun::Model(&pages::UNUSED_AT_LEAST_BYTES),
    InRun::Model(&pages::UNUSED_AT_MOST_BYTES),
];

/// The same on a page, where the eye takes the first one first: how fast, then what was read for it.
pub static TILES: &[InRun] = &[
    SPEED,
    InRun::Run(&engine::WALL_S),
    InRun::Model(&reads::TOTAL_BYTES),
    InRun::Model(&model::SIZE_BYTES),
    InRun::Model(&reads::AMPLIFICATION),
    InRun::Run(&memory::AVAILABLE_BEFORE_BYTES),
    InRun::Model(&reads::UNIQUE_BYTES),
    InRun::Model(&reads::COVERAGE),
    InRun::Model(&gaps::BACKWARD_SHARE),
    InRun::Model(&pages::UNUSED_AT_LEAST_BYTES),
    InRun::Model(&pages::UNUSED_AT_MOST_BYTES),
];

/// What a phase read and how long the engine stood still: the first table of phases.
pub static PHASE_READS: &[&Figure<PhaseRecord>] = &[
    &phase::DURATION_S,
    &phase::STEPS,
    &phase::READS,
    &phase::READ_BYTES,
    &phase::UNIQUE_BYTES,
    &phase::COVERAGE,
    &phase::AMPLIFICATION,
    &phase::STALL_S,
];

/// How often, in which order and how fast a phase read.
pub static PHASE_ORDER: &[&Figure<PhaseRecord>] = &[
    &phase::THREE_TIMES_BYTES,
    &gaps::phase::SEQUENTIAL_SHARE,
    &gaps::phase::STREAM_SEQUENTIAL_SHARE,
    &gaps::phase::BACKWARD_SHARE,
    &phase::AVERAGE_BYTES_PER_S,
    &phase::LATENCY_P50,
    &phase::LATENCY_P99,
];

/// What the page cache did in a phase, and for what threads waited.
pub static PHASE_PAGES: &[&Figure<PhaseRecord>] = &[
    &phase::INSERTED_BYTES,
    &phase::EVICTED_BYTES,
    &phase::REFAULTED_BYTES,
    &phase::FAULTS,
    &phase::MAJOR_FAULTS,
    &phase::STALL_THREADS_S,
    &phase::OTHER_IO_THREADS_S,
    &phase::RECLAIM_THREADS_S,
    &phase::LOCK_THREADS_S,
];

/// What was read again: by kind, by layer, by tensor.
pub static TENSORS: &[&Figure<TensorRecord>] = &[
    &tensor::BYTES,
    &tensor::READ_BYTES,
    &tensor::REREAD,
    &tensor::EVICTIONS_BYTES,
    &tensor::REFAULTS_BYTES,
    &tensor::UNUSED_AT_LEAST_BYTES,
    &tensor::UNUSED_AT_MOST_BYTES,
];

pub static STEPS: &[&Figure<TokenRecord>] = &[
    &step::TOKENS,
    &step::DURATION_S,
    &step::READS,
    &step::READ_BYTES,
    &step::MAJOR_FAULTS,
    &step::STALL_S,
    &step::NEED_BYTES,
    &step::NEED_FACTOR,
];

/// What else is known of a model's reads, its page cache, and their speed; each group under its title.
pub static MODEL_DETAILS: &[(&str, &[&Figure<ModelRecord>])] = &[
    (
        "Reads",
        &[
            &model::EXTENTS,
            &reads::COUNT,
            &reads::REREAD_FACTOR,
            &reads::READAHEAD,
            &reads::ENGINE_SHARE,
            &reads::REQUEUES,
            &reads::FAILED,
            &reads::IN_FLIGHT,
            &reads::WRITES,
            &reads::WRITE_BYTES,
            &gaps::MEAN_QUEUE_DEPTH,
            &gaps::LARGEST_QUEUE_DEPTH,
        ],
    ),
    (
        "Bandwidth and latency",
        &[
            &speed::AVERAGE_BYTES_PER_S,
            &speed::BUSY_BYTES_PER_S,
            &speed::BUSY_S,
            &speed::PEAK_BYTES_PER_S,
            &speed::LATENCY_P50,
            &speed::LATENCY_P90,
            &speed::LATENCY_P99,
            &speed::LATENCY_MAX,
        ],
    ),
    (
        "Page cache",
        &[
            &pages::BEFORE_BYTES,
            &pages::LOAD_END_BYTES,
            &pages::LAST_TOKEN_BYTES,
            &pages::AFTER_BYTES,
            &pages::DELTA_BYTES,
            &pages::INSERTED_BYTES,
            &pages::TIMES_INSERTED,
            &pages::EVICTED_BYTES,
            &pages::EVICTIONS_BY_KSWAPD,
            &pages::EVICTIONS_BY_DIRECT_RECLAIM,
            &pages::EVICTIONS_BY_KERNEL_THREAD,
            &pages::EVICTIONS_BY_INVALIDATION,
            &pages::REFAULTED_BYTES,
            &pages::MISS_STREAM_DISTANCE_P50_BYTES,
            &pages::MISS_STREAM_DISTANCE_P90_BYTES,
            &pages::FAULTS,
            &pages::FIRST_TOUCH_HITS,
            &pages::LOOKUPS,
        ],
    ),
];

/// What else is known of the run; each group under its title.
pub static RUN_DETAILS: &[(&str, &[&Figure<RunRecord>])] = &[
    (
        "The engine",
        &[
            &engine::LOAD_S,
            &engine::PROMPT_S,
            &engine::PROMPT_TOKENS,
            &engine::EVAL_S,
            &engine::EVAL_TOKENS,
            &engine::INTERVAL_TOKENS_PER_S,
            &engine::USER_S,
            &engine::SYSTEM_S,
        ],
    ),
    (
        "Memory",
        &[
            &memory::LOCKED_BYTES,
            &memory::LEAVE_FREE_BYTES,
            &memory::CGROUP_LIMIT_BYTES,
            &memory::CGROUP_HIGH_BYTES,
            &memory::CGROUP_PEAK_BYTES,
            &memory::CGROUP_OOM_KILLS,
            &memory::CACHED_BEFORE_BYTES,
            &memory::CACHED_AFTER_BYTES,
            &memory::SWAP_IN_PAGES,
            &memory::SWAP_OUT_PAGES,
            &memory::IO_PRESSURE_S,
            &memory::MEMORY_PRESSURE_S,
            &process::PEAK_RSS_BYTES,
            &process::PEAK_ANONYMOUS_BYTES,
            &process::PEAK_FILE_BYTES,
            &process::PEAK_PAGE_TABLE_BYTES,
            &process::MAJOR_FAULTS,
            &process::MINOR_FAULTS,
        ],
    ),
    (
        "Losses and cost",
        &[
            &losses::RECORDS,
            &losses::RECURSION_MISSES,
            &losses::UNSEEN_COMPLETIONS,
            &losses::LATE_ISSUES,
            &losses::TRACER_CPU_S,
            &losses::RING_BUFFER_RECORDS,
        ],
    ),
];

/// What the engine's own metrics say, where they were asked for.
pub static ENGINE_METRICS: &[&Figure<RunRecord>] = engine::ENGINE_METRICS;

/// What an old trace says of a model's reads; each group under its title.
pub static TRACE: &[(&str, &[&Figure<ModelRecord>])] = &[
    (
        "Reads from the device",
        &[
            &model::EXTENTS,
            &reads::COUNT,
            &reads::TOTAL_BYTES,
            &reads::UNIQUE_BYTES,
            &reads::COVERAGE,
            &reads::AMPLIFICATION,
            &reads::REREAD_FACTOR,
            &reads::REQUEUES,
            &reads::FAILED,
            &reads::IN_FLIGHT,
            &reads::WRITES,
            &reads::WRITE_BYTES,
        ],
    ),
    (
        "Gaps between consecutive reads",
        &[
            &gaps::SEQUENTIAL_SHARE,
            &gaps::SMALL_SHARE,
            &gaps::MEDIUM_SHARE,
            &gaps::LARGE_SHARE,
            &gaps::BACKWARD_SHARE,
            &gaps::STREAM_SEQUENTIAL_SHARE,
            &gaps::MEAN_QUEUE_DEPTH,
            &gaps::LARGEST_QUEUE_DEPTH,
        ],
    ),
    (
        "Bandwidth and latency",
        &[
            &speed::AVERAGE_BYTES_PER_S,
            &speed::BUSY_BYTES_PER_S,
            &speed::BUSY_S,
            &speed::PEAK_BYTES_PER_S,
            &speed::LATENCY_P50,
            &speed::LATENCY_P90,
            &speed::LATENCY_P99,
            &speed::LATENCY_MAX,
        ],
    ),
];

/// What is compared over the runs of an experiment, in the order of its tables: consistency, differences, outliers.
pub static COMPARED: &[InRun] = &[
    InRun::Run(&engine::WALL_S),
    InRun::Run(&engine::TOKENS_PER_S),
    InRun::Model(&reads::COUNT),
    InRun::Model(&reads::TOTAL_BYTES),
    InRun::Model(&reads::UNIQUE_BYTES),
    InRun::Model(&reads::COVERAGE),
    InRun::Model(&reads::AMPLIFICATION),
    InRun::Model(&gaps::BACKWARD_SHARE),
    InRun::Model(&gaps::SEQUENTIAL_SHARE),
    InRun::Model(&gaps::STREAM_SEQUENTIAL_SHARE),
    READ_IN_GENERATION,
    InRun::Model(&pages::DELTA_BYTES),
    InRun::Model(&speed::BUSY_BYTES_PER_S),
    InRun::Run(&process::PEAK_RSS_BYTES),
];

/// Of them, those whose differences between cells are shown; the others are in the raw data.
pub static DIFFERENCES: &[InRun] = &[
    InRun::Run(&engine::WALL_S),
    InRun::Run(&engine::TOKENS_PER_S),
    InRun::Model(&reads::TOTAL_BYTES),
    InRun::Model(&reads::AMPLIFICATION),
    READ_IN_GENERATION,
];

/// Bytes of the model that the generation read.
pub const READ_IN_GENERATION: InRun = InRun::Phase {
    phase: "generation",
    label: "read in generation",
    figure: &phase::READ_BYTES,
};

/// What a generated token took, as a mean over the steps of the generation.
pub static GENERATED_TOKEN: &[&Figure<TokenRecord>] = &[
    &step::DURATION_S,
    &step::READ_BYTES,
    &step::STALL_S,
    &step::MAJOR_FAULTS,
    &step::NEED_FACTOR,
];

/// What a run was given and did not bring about: where it differs, results are not of the same thing.
pub static CONDITIONS: &[InRun] = &[
    InRun::Model(&model::SIZE_BYTES),
    InRun::Model(&model::EXTENTS),
    InRun::Model(&pages::BEFORE_BYTES),
    InRun::Run(&memory::TOTAL_BYTES),
    InRun::Run(&memory::AVAILABLE_BEFORE_BYTES),
    InRun::Run(&memory::CACHED_BEFORE_BYTES),
    InRun::Run(&memory::LOCKED_BYTES),
    InRun::Run(&memory::LEAVE_FREE_BYTES),
    InRun::Run(&memory::CGROUP_LIMIT_BYTES),
    InRun::Run(&memory::CGROUP_HIGH_BYTES),
    InRun::Run(&memory::SWAP_TOTAL_BYTES),
    InRun::Run(&memory::CPUS),
    InRun::Run(&engine::PROMPT_TOKENS),
    InRun::Run(&engine::EVAL_TOKENS),
    InRun::Run(&engine::OFFLOADED_LAYERS),
];

/// The curve of an experiment: what each cell's line begins with.
pub static CURVE: &[InRun] = &[SPEED, READ_IN_GENERATION];

/// How fast tokens came.
pub const SPEED: InRun = InRun::Run(&engine::TOKENS_PER_S);
