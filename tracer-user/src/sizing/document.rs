//! The table of `docs/ADVICE.md`: what was predicted from one run each, and what other runs read.

use std::{collections::BTreeMap, fmt::Write as _};

use crate::{
    schema::{BandRecord, SizeRegion, SizingRecord},
    stats::{experiment::bootstrap::median, formulas::quotient},
    units,
};

/// One amount of memory that a prediction did not see.
struct Held {
    memory_bytes: u64,
    region: SizeRegion,
    band: BandRecord,
    runs: usize,
    median: f64,
}

impl Held {
    /// To the tenth of a mebibyte, as it is shown.
    fn is_inside(&self) -> bool {
        const UNSURE: f64 = 0.05 * (1 << 20) as f64;
        (self.band.least - UNSURE..=self.band.most + UNSURE).contains(&self.median)
    }
}

fn held(record: &SizingRecord) -> Vec<Held> {
    let mut by_size: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for run in &record.measured {
        by_size
            .entry(run.memory_bytes)
            .or_default()
            .push(run.read_bytes);
    }
    // What the prediction was made from proves nothing of it.
    let own = record.run.map(|run| run.memory_bytes);
    by_size.retain(|memory_bytes, _| Some(*memory_bytes) != own);
    let held = by_size.into_iter().filter_map(|(memory_bytes, runs)| {
        let point = record
            .points
            .iter()
            .find(|point| point.memory_bytes == memory_bytes)?;
        Some(Held {
            memory_bytes,
            region: point.region,
            band: point.read_bytes?,
            runs: runs.len(),
            median: median(&runs)?,
        })
    });
    held.collect()
}

/// Every prediction beside what was measured; `cases` are names and what `tracer size --json --measured` printed.
#[must_use]
pub fn held_out_table(cases: &[(String, SizingRecord)]) -> String {
    let mut rows = String::from(
        "| predicted from | memory | predicted for a token | what happens | measured, median | runs | inside |\n|---|---:|---:|---|---:|---:|---|\n",
    );
    let mebibytes = |bytes: f64| format!("{:.1}", bytes / f64::from(1 << 20));
    let mut all = Vec::new();
    for (name, record) in cases {
        let seen = record.run.map_or_else(
            || "no limit".to_owned(),
            |run| units::bytes(run.memory_bytes),
        );
        for held in held(record) {
            let _ = writeln!(
                rows,
                "| {name}, {seen} | {} | {} – {} MiB | {} | {} MiB | {} | {} |",
                units::bytes(held.memory_bytes),
                mebibytes(held.band.least),
                mebibytes(held.band.most),
                held.region.words(),
                mebibytes(held.median),
                held.runs,
                if held.is_inside() { "yes" } else { "**no**" }
            );
            all.push(held);
        }
    }
    let inside = all.iter().filter(|held| held.is_inside()).count();
    let of = |regions: &[SizeRegion]| -> Vec<&Held> {
        all.iter()
            .filter(|held| regions.contains(&held.region))
            .collect()
    };
    let steady = of(&[SizeRegion::Collapsed, SizeRegion::Partly]);
    let widest = steady
        .iter()
        .filter_map(|held| quotient(held.band.most, held.band.least))
        .fold(1.0, f64::max);
    format!(
        "{inside} of {} medians lie within what was predicted. Of the {} that were said to collapse or to read a part, the band's upper end is at most {widest:.2} times its lower one. {} were said to be unstable, {} to read little, {} nothing.\n\n{rows}",
        all.len(),
        steady.len(),
        of(&[SizeRegion::Unstable]).len(),
        of(&[SizeRegion::Little]).len(),
        of(&[SizeRegion::Enough]).len(),
    )
}
