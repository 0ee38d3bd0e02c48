//! What was measured, as a document.

use std::fmt::Write as _;

use super::{
    kept::{BenchRecord, MeasurementRecord, WorkRecord},
    table::about_intervals,
};

/// First line of the document.
const GENERATED: &str =
    "<!-- Written by `cargo xtask bench document` from docs/performance. Change it there. -->\n\n";

/// The document: what is written by hand, then the measurements, each with the name of its file.
#[must_use]
pub fn document(introduction: &str, records: &[(String, BenchRecord)]) -> String {
    let mut text = format!("{GENERATED}{}\n", introduction.trim_end());
    for (name, record) in records {
        section(name, record, &mut text);
    }
    text
}

fn section(name: &str, record: &BenchRecord, text: &mut String) {
    let machine = &record.machine;
    let _ = write!(
        text,
        "\n## {} CPUs{}, Linux {}\n\n{}, {:.1} GB of memory; {}; {}`docs/performance/{name}`.\n",
        machine.processors,
        if machine.virtual_machine {
            " of a virtual machine"
        } else {
            ""
        },
        machine.kernel,
        machine.processor,
        machine.memory_bytes as f64 / 1e9,
        record.date,
        record
            .revision
            .as_ref()
            .map_or_else(String::new, |revision| format!("tracer of {revision}; ")),
    );
    let mut kinds = Vec::new();
    for measurement in &record.measurements {
        let kind = std::mem::discriminant(&measurement.work);
        let is_first = !kinds.contains(&kind);
        kinds.push(kind);
        table(measurement, text);
        if is_first {
            programs(measurement, text);
        }
    }
}

fn table(measurement: &MeasurementRecord, text: &mut String) {
    let _ = write!(text, "\n### {}\n\n", capitalised(&measurement.work));
    let rows = measurement.rows();
    let columns: Vec<usize> = (0..rows[0].len())
        .filter(|column| *column == 0 || rows[1..].iter().any(|row| row[*column] != "–"))
        .collect();
    for (number, row) in rows.iter().enumerate() {
        let cells: Vec<&str> = columns.iter().map(|column| row[*column].as_str()).collect();
        line(&cells, text);
        if number == 0 {
            line(&vec!["---"; columns.len()], text);
        }
    }
    for variant in &measurement.variants {
        let Some(tracer) = &variant.tracer else {
            continue;
        };
        let arguments = if tracer.arguments.is_empty() {
            "no options".to_owned()
        } else {
            format!("`{}`", tracer.arguments.join(" "))
        };
        let build = if tracer.other_build {
            "another build, "
        } else {
            ""
        };
        let _ = write!(
            text,
            "\n`{}`: {build}{}, with {arguments}.",
            variant.name, tracer.version
        );
    }
    if let Some(about) = about_intervals(measurement) {
        let _ = write!(text, "\n{about}.");
    }
    text.push('\n');
}

fn programs(measurement: &MeasurementRecord, text: &mut String) {
    let mut lines = String::new();
    for variant in &measurement.variants {
        for (program, ns, runs) in variant.programs() {
            let runs = runs.map_or_else(|| "–".to_owned(), |runs| format!("{runs:.2}"));
            line(
                &[&variant.name, &program, &format!("{ns:.0}"), &runs],
                &mut lines,
            );
        }
    }
    if lines.is_empty() {
        return;
    }
    text.push('\n');
    line(
        &[
            "",
            "program",
            "mean ns a run, what measuring costs included",
            "runs a request",
        ],
        text,
    );
    line(&["---"; 4], text);
    text.push_str(&lines);
}

fn line(cells: &[&str], text: &mut String) {
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

fn capitalised(work: &WorkRecord) -> String {
    let description = work.description();
    let mut letters = description.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::document;
    use crate::bench::record::BenchRecord;

    const RECORD: &str = r#"{
        "format": 1, "date": "2026-11-27", "revision": "abc123",
        "machine": { "processor": "A Processor", "processors": 2, "memory_bytes": 24000000000, "kernel": "6.18.1", "virtual_machine": true },
        "measurements": [{
            "work": { "kind": "reads", "threads": 4, "read_bytes": 4096, "extents": 1, "model_bytes": 268000000, "processors": 2, "engine_reads": true, "went_first": false },
            "variants": [
                { "name": "none", "tracer": null, "rounds": [{ "figures": { "reads_per_second": 100000.0 }, "programs": [], "requests": 90000 }] },
                { "name": "counts", "tracer": { "version": "tracer 0.1.0", "other_build": false, "arguments": ["--detail", "counts"] },
                  "rounds": [{ "figures": { "reads_per_second": 99000.0, "block_ns_a_read": 57.4, "lost_records": 0.0 },
                               "programs": [{ "name": "block_rq_issue", "runs": 1000, "time_ns": 81000, "skipped": 0 }], "requests": 1000 }] }
            ]
        }]
    }"#;

    #[test]
    fn a_record_becomes_tables() {
        let record: BenchRecord = serde_json::from_str(RECORD).expect("a record");
        let text = document(
            "# What tracing costs\n\nProse.\n",
            &[("two.json".to_owned(), record)],
        );
        let expected = "# What tracing costs\n\nProse.\n\n\
            ## 2 CPUs of a virtual machine, Linux 6.18.1\n\n\
            A Processor, 24.0 GB of memory; 2026-11-27; tracer of abc123; `docs/performance/two.json`.\n\n\
            ### Direct reads of 4 KiB at random places, 4 threads, 2 CPUs; model of 268 MB in 1 extent\n\n\
            |  | reads/s | ÷ none | programs, ns a read above the floor | lost records |\n\
            | --- | --- | --- | --- | --- |\n\
            | none | 100000 [100000 … 100000] | 1 | – | – |\n\
            | counts | 99000 [99000 … 99000] | 0.990 [0.990 … 0.990] | 57 [57 … 57] | 0 |\n\n\
            `counts`: tracer 0.1.0, with `--detail counts`.\n\
            1 rounds; median [interval that holds the true median in 0 % of cases].\n\n\
            |  | program | mean ns a run, what measuring costs included | runs a request |\n\
            | --- | --- | --- | --- |\n\
            | counts | block_rq_issue | 81 | 1.00 |\n";
        let (_, body) = text.split_once("-->\n\n").expect("the first line");
        assert_eq!(body, expected);
    }

    #[test]
    fn records_of_one_machine_and_source_are_joined() {
        let record: BenchRecord = serde_json::from_str(RECORD).expect("a record");
        let joined = record.clone().after(record.clone()).expect("the same");
        assert_eq!(joined.measurements.len(), 2);
        let other: BenchRecord =
            serde_json::from_str(&RECORD.replace("abc123", "def456")).expect("a record");
        assert!(record.after(other).is_err());
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let record: BenchRecord = serde_json::from_str(RECORD).expect("a record");
        let again: BenchRecord =
            serde_json::from_str(&serde_json::to_string(&record).expect("JSON")).expect("a record");
        assert_eq!(again, record);
        let other = RECORD.replace("\"date\"", "\"day\"");
        assert!(serde_json::from_str::<BenchRecord>(&other).is_err());
    }
}
