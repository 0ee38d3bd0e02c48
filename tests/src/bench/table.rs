//! What was measured, for a terminal.

use std::fmt::Write as _;

use super::{
    interval::Interval,
    record::{CostRecord, VariantRecord},
};

impl CostRecord {
    /// A table, a line for each variant, and one for each program.
    #[must_use]
    pub fn table(&self) -> String {
        let work = &self.work;
        let mut text = format!(
            "{} threads, direct reads of {} KiB, {} extents, {} CPUs\n\n",
            work.threads,
            work.read_bytes / 1024,
            work.extents,
            work.processors
        );
        let _ = writeln!(
            text,
            "{:<16} {:>24} {:>24} {:>24} {:>22} {:>22} {:>8}",
            "",
            "ns/read above floor",
            "waits, ns/read",
            "reads/s",
            "reads/s ÷ none",
            "CPU/read ÷ none",
            "lost"
        );
        for variant in &self.variants {
            let _ = writeln!(
                text,
                "{:<16} {:>24} {:>24} {:>24} {:>22} {:>22} {:>8}",
                variant.name,
                shown(variant.block_ns_a_read, 0),
                shown(variant.wait_ns_a_read, 0),
                shown(variant.reads_per_second, 0),
                shown(variant.reads_ratio, 3),
                shown(variant.processor_ratio, 3),
                variant
                    .lost_records
                    .map_or_else(|| "–".to_owned(), |lost| lost.to_string())
            );
        }
        text.push_str(
            "\nmean of all rounds, ns a run (runs a read), what measuring costs included\n",
        );
        for variant in &self.variants {
            programs(variant, &mut text);
        }
        text
    }
}

fn programs(variant: &VariantRecord, text: &mut String) {
    let mut sums = std::collections::BTreeMap::<&str, (u64, u64)>::new();
    let mut requests = 0;
    for round in &variant.rounds {
        requests += round.requests;
        for program in &round.programs {
            let sum = sums.entry(&program.name).or_default();
            sum.0 += program.runs;
            sum.1 += program.time_ns;
        }
    }
    for (name, (runs, time_ns)) in sums {
        let _ = writeln!(
            text,
            "{:<16} {:<18} {:>7.0}  ({:.2})",
            variant.name,
            name,
            time_ns as f64 / runs as f64,
            runs as f64 / requests as f64
        );
    }
}

/// `median [low … high]`.
fn shown(interval: Option<Interval>, decimals: usize) -> String {
    interval.map_or_else(
        || "–".to_owned(),
        |interval| {
            format!(
                "{:.decimals$} [{:.decimals$} … {:.decimals$}]",
                interval.median, interval.low, interval.high
            )
        },
    )
}
