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

#[cfg(test)]
mod tests {
    use crate::schema::{BandRecord, MeasuredSize, SizePointRecord, SizeRegion, SizingRecord};

    use super::held_out_table;

    /// Tables of `docs/ADVICE.md` from what `tracer size --json` printed of real runs.
    #[test]
    fn the_document_shows_what_was_held_out() {
        const BEGIN: &str = "<!-- sizes -->\n";
        const END: &str = "<!-- sizes end -->";
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/sizing/held_out");
        let mut cases: Vec<(String, SizingRecord)> = std::fs::read_dir(folder)
            .expect("the folder of what was held out")
            .map(|entry| {
                let path = entry.expect("an entry").path();
                let text = std::fs::read(&path).expect("a file");
                let name = path
                    .file_stem()
                    .expect("a name")
                    .to_string_lossy()
                    .replace('_', " ");
                (
                    name.trim().to_owned(),
                    serde_json::from_slice(&text).expect("what `tracer size --json` printed"),
                )
            })
            .collect();
        cases.sort_by(|left, right| left.0.cmp(&right.0));
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/ADVICE.md");
        let document = std::fs::read_to_string(path).expect("docs/ADVICE.md is read");
        let (before, rest) = document.split_once(BEGIN).expect("a begin");
        let (_, after) = rest.split_once(END).expect("an end");
        let table = held_out_table(&cases);
        let wanted = format!("{before}{BEGIN}{table}{END}{after}");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(path, &wanted).expect("docs/ADVICE.md is written");
        } else {
            assert!(
                document == wanted,
                "docs/ADVICE.md does not show what was held out: run `cargo xtask lint --bless`"
            );
        }
    }

    #[test]
    fn a_median_outside_is_said_to_be_outside() {
        let measured = |read_bytes: u64| MeasuredSize {
            memory_bytes: 12 << 20,
            read_bytes: read_bytes as f64,
            tokens_per_s: None,
        };
        let mut record = SizingRecord {
            points: vec![SizePointRecord {
                memory_bytes: 12 << 20,
                region: SizeRegion::Collapsed,
                read_bytes: Some(BandRecord {
                    least: 20e6,
                    most: 30e6,
                }),
                ..SizePointRecord::default()
            }],
            ..SizingRecord::default()
        };
        record.measured = vec![measured(25_000_000)];
        let table = |record: &SizingRecord| held_out_table(&[("x".into(), record.clone())]);
        assert!(
            table(&record).starts_with("1 of 1 medians"),
            "{}",
            table(&record)
        );
        record
            .measured
            .extend([measured(35_000_000), measured(35_000_000)]);
        assert!(
            table(&record).starts_with("0 of 1 medians"),
            "{}",
            table(&record)
        );
        assert!(
            table(&record).contains("| 3 | **no** |"),
            "{}",
            table(&record)
        );
        // What the prediction was made from proves nothing.
        record.run = Some(measured(25_000_000));
        assert!(
            table(&record).starts_with("0 of 0 medians"),
            "{}",
            table(&record)
        );
    }
}
