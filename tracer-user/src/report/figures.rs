//! The rows of the run's table: name, value, and a sentence on what it says. Terminal and Markdown show
//! the same rows.

use crate::{
    schema::{GapClassRecord, GapsRecord, ModelRecord, RunRecord},
    units::{
        bytes, count, factor, observed_bytes, observed_count, rate, seconds, share, signed_bytes,
        unobserved,
    },
};

/// One figure.
pub(super) struct Row {
    /// What it is called.
    pub name: String,
    /// Its value with unit.
    pub value: String,
    /// What it says.
    pub meaning: &'static str,
}

/// A titled group of figures.
pub(super) struct Section {
    pub title: String,
    pub rows: Vec<Row>,
}

pub(super) fn row(name: impl Into<String>, value: impl Into<String>, meaning: &'static str) -> Row {
    Row {
        name: name.into(),
        value: value.into(),
        meaning,
    }
}

/// All sections of a run.
pub(super) fn sections(record: &RunRecord) -> Vec<Section> {
    let mut sections = vec![Section {
        title: "Run".to_owned(),
        rows: run_rows(record),
    }];
    let several = record.models.len() > 1;
    for model in record.all_models() {
        let name = if several {
            format!(" – {}", model.model.path)
        } else {
            String::new()
        };
        for (title, rows) in [
            ("Reads from the device", read_rows(model)),
            (
                "Gaps between consecutive reads",
                model.gaps.as_ref().map(gap_rows).unwrap_or_default(),
            ),
            ("Bandwidth and latency", speed_rows(model)),
            ("Phases", phase_rows(model)),
            ("Page cache", cache_rows(model)),
        ] {
            if rows.is_empty() {
                continue;
            }
            sections.push(Section {
                title: format!("{title}{name}"),
                rows,
            });
        }
    }
    sections.push(Section {
        title: "Memory".to_owned(),
        rows: memory_rows(record),
    });
    sections.push(Section {
        title: "Losses and cost".to_owned(),
        rows: loss_rows(record),
    });
    sections
}

fn run_rows(record: &RunRecord) -> Vec<Row> {
    let engine = &record.engine;
    let speed = engine
        .tokens_per_s
        .map_or_else(unobserved, |rate| format!("{rate:.2}"));
    let tokens = |tokens: Option<u64>| {
        tokens.map_or_else(String::new, |tokens| format!(" ({tokens} tokens)"))
    };
    vec![
        row(
            "wall time",
            seconds(Some(record.time.wall_s)),
            "from the start of tracing to the engine's end, loading included",
        ),
        row(
            "tokens per second",
            speed,
            "generation alone, as the engine measured it; not tokens divided by wall time",
        ),
        row(
            "load time",
            seconds(engine.load_s),
            "the engine's own figure; llama.cpp overwrites it at its first decode",
        ),
        row(
            "prompt time",
            format!(
                "{}{}",
                seconds(engine.prompt_s),
                tokens(engine.prompt_tokens)
            ),
            "reading the prompt, as the engine measured it",
        ),
        row(
            "generation time",
            format!("{}{}", seconds(engine.eval_s), tokens(engine.eval_tokens)),
            "decode steps after the prompt, as the engine measured them",
        ),
    ]
}

pub(super) fn read_rows(model: &ModelRecord) -> Vec<Row> {
    let Some(reads) = &model.reads else {
        return vec![
            row(
                "model size",
                bytes(model.model.size_bytes),
                "all files of the model",
            ),
            row(
                "reads",
                unobserved(),
                "the model's sectors are not known (see the notes), so that its requests cannot be told from others; the page cache can",
            ),
        ];
    };
    let size = reads
        .sizes
        .iter()
        .max_by_key(|size| size.count)
        .map_or_else(unobserved, |size| {
            format!(
                "{} ({} of {} sizes)",
                bytes(size.bytes),
                share(Some(
                    size.count as f64 / reads.sizes.iter().map(|s| s.count).sum::<u64>() as f64
                )),
                reads.sizes.len()
            )
        });
    let mut rows = vec![
        row(
            "model size",
            format!(
                "{} in {} extent{}",
                bytes(model.model.size_bytes),
                observed_count(model.model.extents),
                if model.model.extents == Some(1) {
                    ""
                } else {
                    "s"
                }
            ),
            "every read is matched against these extents, so other files' reads never count",
        ),
        row(
            "reads",
            count(reads.count),
            "requests to the device, each counted once at its first issue",
        ),
        row(
            "total read",
            bytes(reads.total_bytes),
            "bytes of the model in those requests",
        ),
        row(
            "unique",
            bytes(reads.unique_bytes),
            "distinct bytes of the model that arrived",
        ),
        row(
            "coverage",
            share(reads.coverage),
            "unique / what the file has on the device: 100 % means every byte was needed or read ahead",
        ),
        row(
            "amplification",
            factor(reads.amplification),
            "total / unique: above 1 means that bytes were read again after they had been evicted",
        ),
        row(
            "reread factor",
            factor(reads.reread_factor),
            "total / model size",
        ),
        row(
            "commonest request",
            size,
            "what the kernel makes of read-ahead and of the engine's reads",
        ),
        row(
            "issued by the engine",
            share(reads.process_share.share),
            "bytes read while one of the engine's threads was current; the rest was issued by kernel threads for it",
        ),
        row(
            "requeued",
            count(reads.requeues),
            "times the driver gave a read back; each was issued again and is still one read",
        ),
    ];
    if reads.failed > 0 {
        rows.push(row(
            "failed",
            count(reads.failed),
            "reads that the device could not serve",
        ));
    }
    if reads.in_flight > 0 {
        rows.push(row(
            "in flight at the end",
            format!(
                "{} ({})",
                count(reads.in_flight),
                bytes(reads.in_flight_bytes)
            ),
            "issued in the window and not finished in it",
        ));
    }
    if reads.writes.is_some_and(|writes| writes > 0) {
        rows.push(row(
            "writes to the model",
            format!(
                "{} ({})",
                observed_count(reads.writes),
                observed_bytes(reads.write_bytes)
            ),
            "somebody wrote to the file's blocks during the run",
        ));
    }
    rows
}

pub(super) fn gap_rows(gaps: &GapsRecord) -> Vec<Row> {
    let class = |name: &str, class: &GapClassRecord, meaning| {
        row(
            name,
            format!("{} ({})", share(class.share), count(class.count)),
            meaning,
        )
    };
    vec![
        class(
            "sequential",
            &gaps.sequential,
            "starts where the model's previous read ended",
        ),
        class("small, < 128 KiB", &gaps.small, "skips forward a little"),
        class("medium, ≤ 1 MiB", &gaps.medium, "skips forward"),
        class("large, > 1 MiB", &gaps.large, "jumps forward"),
        class(
            "backward",
            &gaps.backward,
            "starts before the end of the previous read; one request is one record here, so none of these is an artefact",
        ),
        row(
            "sequential in its stream",
            share(gaps.stream_sequential_share),
            "continues one of the last 32 reads: what several threads reading in order look like",
        ),
        row(
            "reads in flight",
            gaps.mean_queue_depth.map_or_else(unobserved, |mean| {
                format!(
                    "{mean:.1} on average, {} at most",
                    observed_count(gaps.largest_queue_depth)
                )
            }),
            "how many of the model's reads the device had when another one came",
        ),
    ]
}

pub(super) fn speed_rows(model: &ModelRecord) -> Vec<Row> {
    let (Some(bandwidth), Some(latency)) = (&model.bandwidth, &model.latency_us) else {
        return Vec::new();
    };
    let micros =
        |value: Option<f64>| value.map_or_else(unobserved, |value| format!("{value:.0} µs"));
    vec![
        row(
            "average",
            rate(bandwidth.average_bytes_per_s),
            "over the whole window, computing included",
        ),
        row(
            "while busy",
            format!(
                "{}{}",
                rate(bandwidth.busy_bytes_per_s),
                bandwidth
                    .busy_s
                    .map_or_else(String::new, |busy| format!(" (busy {busy:.2} s)"))
            ),
            "over the time in which a read of the model was in flight",
        ),
        row(
            "peak",
            rate(bandwidth.peak_bytes_per_s),
            "in the best 100 ms",
        ),
        row(
            "latency p50 / p90",
            format!("{} / {}", micros(latency.p50), micros(latency.p90)),
            "from issue to completion",
        ),
        row(
            "latency p99 / max",
            format!("{} / {}", micros(latency.p99), micros(latency.max)),
            "the slowest reads are what a token waits for",
        ),
    ]
}

/// One row a phase: time, bytes read, how long the engine stood still.
fn phase_rows(model: &ModelRecord) -> Vec<Row> {
    let phases = model.phases.iter().flatten();
    phases
        .map(|phase| {
            let stall = phase.waits.stall_s.map_or_else(String::new, |stall| {
                format!(", stalled {}", seconds(Some(stall)))
            });
            let steps = if phase.steps > 0 {
                format!(" in {} steps", count(phase.steps))
            } else {
                String::new()
            };
            row(
                phase.phase.replace('_', "-"),
                format!(
                    "{}{steps}, read {}{stall}",
                    seconds(Some(phase.duration_s)),
                    observed_bytes(phase.read_bytes)
                ),
                match phase.phase.as_str() {
                    "load" => "until the model had been loaded",
                    "idle" => "loaded, and not decoding",
                    "warm_up" => "a decode call that only touches everything once",
                    "prompt" => "decode calls for the prompt",
                    "generation" => "one token a step; stalled: at least one thread waited for a page of the model",
                    "mixed" => "several requests at once",
                    "inference" => "prompt and generation, which no mark tells apart",
                    "end" => "after the last decode call",
                    _ => "nothing marked what the engine did",
                },
            )
        })
        .collect()
}

fn cache_rows(model: &ModelRecord) -> Vec<Row> {
    let cache = &model.cache;
    let of_model = |resident: u64| {
        if model.model.size_bytes == 0 {
            bytes(resident)
        } else {
            format!(
                "{} ({:.1} % of the model)",
                bytes(resident),
                resident as f64 / model.model.size_bytes as f64 * 100.0
            )
        }
    };
    let resident = |value: Option<u64>| value.map_or_else(unobserved, of_model);
    let agents = cache.evictions_by_agent.map_or_else(String::new, |by| {
        format!(
            " (kswapd {}, direct {}, kernel threads {}, invalidated {})",
            count(by.kswapd),
            count(by.direct_reclaim),
            count(by.kernel_thread),
            count(by.invalidation)
        )
    });
    vec![
        row(
            "resident before",
            resident(cache.before_bytes),
            "what was cached lowers the coverage",
        ),
        row(
            "resident at load end",
            resident(cache.load_end_bytes),
            "when the engine's log said that loading had ended",
        ),
        row(
            "resident at last token",
            resident(cache.last_token_bytes),
            "when the engine printed its timings",
        ),
        row(
            "resident after",
            resident(cache.after_bytes),
            "after the engine's end",
        ),
        row(
            "cache delta",
            cache.delta_bytes.map_or_else(unobserved, signed_bytes),
            "resident after − before",
        ),
        row(
            "inserts, pages",
            observed_count(cache.inserts),
            "pages that entered the page cache, read ahead or needed",
        ),
        row(
            "evictions, pages",
            format!("{}{agents}", observed_count(cache.evictions)),
            "pages that left it, and who removed them",
        ),
        row(
            "refaults, pages",
            observed_count(cache.refaults),
            "inserted again after an eviction seen in this run: the cause of amplification",
        ),
        row(
            "faults",
            observed_count(cache.faults),
            "page faults that reached the file; accesses to mapped pages are invisible",
        ),
        row(
            "first-touch hits",
            observed_count(cache.first_touch_hits),
            "at least so many first touches found their page cached",
        ),
        row(
            "look-ups",
            observed_count(cache.lookups),
            "by read() and the like",
        ),
    ]
}

/// Which of the two experiments with memory this run was.
pub fn pressure_kind(record: &RunRecord) -> &'static str {
    match (
        record.pressure.locked_bytes > 0,
        record.pressure.cgroup.is_some(),
    ) {
        (false, false) => "none",
        (true, false) => "locked memory",
        (false, true) => "memory cgroup",
        (true, true) => "locked memory and memory cgroup",
    }
}

fn memory_rows(record: &RunRecord) -> Vec<Row> {
    let mut rows = vec![row(
        "available before",
        observed_bytes(record.memory.available_before_bytes),
        "MemAvailable after pressure was applied",
    )];
    rows.push(row(
        "pressure",
        pressure_kind(record).to_owned(),
        "locked memory and a cgroup's limit are different experiments: reclaim of the whole machine, or of the engine alone",
    ));
    rows.push(row(
        "locked away",
        bytes(record.pressure.locked_bytes),
        "by the mlock balloon",
    ));
    if record.pressure.leave_free_bytes.is_some() {
        rows.push(row(
            "to be left free",
            observed_bytes(record.pressure.leave_free_bytes),
            "the balloon was sized by MemAvailable",
        ));
    }
    if let Some(cgroup) = &record.pressure.cgroup {
        rows.push(row(
            "memory cgroup",
            format!("{} (v{})", bytes(cgroup.limit_bytes), cgroup.version),
            "the engine and the pages that it reads may take no more: per-cgroup reclaim, not that of a full machine",
        ));
        if cgroup.high_bytes.is_some() {
            rows.push(row(
                "throttled from",
                observed_bytes(cgroup.high_bytes),
                "memory.high: beyond it the engine reclaims at each charge and is slowed down",
            ));
        }
        if cgroup.oom_kills.is_some_and(|kills| kills > 0) {
            rows.push(row(
                "killed for lack of memory",
                observed_count(cgroup.oom_kills),
                "the limit was too small for the engine's anonymous memory",
            ));
        }
    }
    rows.push(row(
        "swapped in, out",
        format!(
            "{}, {} pages",
            observed_count(record.memory.swap_in_pages),
            observed_count(record.memory.swap_out_pages)
        ),
        "of the whole machine; on the model's device swap is a class of its own in the device's share",
    ));
    if let Some(peak) = &record.process.peak {
        rows.push(row(
            "peak resident set",
            format!(
                "{}: {} anonymous, {} file",
                observed_bytes(peak.rss_bytes),
                observed_bytes(peak.anonymous_bytes),
                observed_bytes(peak.file_bytes)
            ),
            "largest sample; the file part is the mapped model",
        ));
        rows.push(row(
            "page tables",
            observed_bytes(peak.page_table_bytes),
            "VmPTE at that moment",
        ));
    }
    rows.push(row(
        "page faults",
        format!(
            "{} major, {} minor",
            observed_count(record.process.major_faults),
            observed_count(record.process.minor_faults)
        ),
        "a major fault waited for the device",
    ));
    rows.push(row(
        "system Cached",
        record
            .memory
            .cached_after_bytes
            .zip(record.memory.cached_before_bytes)
            .map_or_else(unobserved, |(after, before)| {
                signed_bytes(after.cast_signed() - before.cast_signed())
            }),
        "change over the run, all files together",
    ));
    rows
}

fn loss_rows(record: &RunRecord) -> Vec<Row> {
    let loss = &record.loss;
    vec![
        row(
            "lost records",
            count(loss.ring_buffer_records),
            "that found no room in the ring buffer; counts above come from the kernel and stay exact, latencies and order do not",
        ),
        row(
            "recursion misses",
            observed_count(loss.recursion_misses),
            "events that the kernel did not hand to a program",
        ),
        row(
            "unseen completions",
            count(loss.unseen_completions),
            "reads whose end no program saw; noticed by their tag, so that they count all the same",
        ),
        row(
            "late issues",
            count(loss.late_issues),
            "reads whose beginning no program saw; noticed when they completed, so that they count all the same",
        ),
        row(
            "tracer's own CPU time",
            seconds(Some(record.overhead.tracer_cpu_s)),
            "user-space side, during the window",
        ),
    ]
}
