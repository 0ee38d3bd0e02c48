use crate::{
    report::document::terminal,
    schema::{
        CacheRecord, Check, DeviceRecord, ModelRecord, PageCacheFigures, PhaseRecord, ReadFigures,
        ReadsRecord, RunRecord, TokenRecord,
    },
};

use super::verdict;

const MIB: u64 = 1 << 20;

fn read(total: u64, unique: u64) -> ReadsRecord {
    ReadsRecord {
        amount: ReadFigures {
            count: 10,
            total_bytes: total,
            unique_bytes: unique,
            coverage: Some(1.0),
            amplification: (unique > 0).then(|| total as f64 / unique as f64),
            reread_factor: None,
        },
        writes: Some(0),
        ..ReadsRecord::default()
    }
}

fn model(reads: Option<ReadsRecord>) -> ModelRecord {
    let mut model = ModelRecord {
        reads,
        ..ModelRecord::default()
    };
    model.model.path = "/models/m.gguf".into();
    model
}

fn run(model: ModelRecord) -> RunRecord {
    RunRecord {
        single: Some(model),
        checks: vec![Check::equal("reads", ("kernel", 10), ("stream", 10))],
        ..RunRecord::default()
    }
}

fn happened(model: ModelRecord) -> String {
    verdict(&run(model)).happened.join(" ")
}

fn trust(record: &RunRecord) -> String {
    terminal(&verdict(record).trust, None)
}

#[test]
fn what_was_read_once_was_not_read_again() {
    assert_eq!(
        happened(model(Some(read(102 * MIB, 100 * MIB)))),
        "m.gguf was read from the disk once, and hardly anything of it again: 102.00 MiB in all."
    );
}

#[test]
fn a_part_is_not_called_the_whole() {
    let mut part = read(200 * MIB, 100 * MIB);
    part.amount.coverage = Some(0.5);
    let words = happened(model(Some(part)));
    assert!(
        words.starts_with("50.0 % of m.gguf was read from the disk 2.0 times over"),
        "{words}"
    );
}

#[test]
fn figures_can_be_trusted_only_where_nothing_is_missing() {
    let record = run(model(Some(read(10, 10))));
    assert!(trust(&record).contains("These figures can be trusted: 1 self-checks, all hold."));
    let unchecked = RunRecord {
        checks: Vec::new(),
        ..record
    };
    let text = trust(&unchecked);
    assert!(text.contains("No self-check could be made"), "{text}");
    assert!(!text.contains("can be trusted"), "{text}");
}

#[test]
fn eviction_is_named_as_the_cause_only_where_it_was_seen() {
    let mut again = model(Some(read(900 * MIB, 100 * MIB)));
    let words = happened(again.clone());
    assert!(
        words.contains("m.gguf was read from the disk 9.0 times over, 900.00 MiB for 100.00 MiB."),
        "{words}"
    );
    again.page_cache = Some(PageCacheFigures {
        refaulted_bytes: 790 * MIB,
        ..PageCacheFigures::default()
    });
    let words = happened(again);
    assert!(
        words.contains("thrown out of memory before it was needed again"),
        "{words}"
    );
}

#[test]
fn a_token_is_compared_with_its_need_and_its_waits() {
    let mut reading = model(Some(read(900 * MIB, 100 * MIB)));
    reading.phases = Some(vec![PhaseRecord {
        phase: "generation".into(),
        steps: 2,
        duration_s: 4.0,
        read_bytes: Some(600 * MIB),
        waits: crate::schema::WaitRecord {
            stall_s: Some(1.0),
            ..Default::default()
        },
        ..PhaseRecord::default()
    }]);
    let words = happened(reading.clone());
    assert!(words.ends_with("A generated token read 300.00 MiB on average; 25.0 % of that time a thread of the engine waited for it."), "{words}");
    let step = |need| TokenRecord {
        phase: "generation".into(),
        need_bytes: need,
        ..TokenRecord::default()
    };
    reading.tokens = Some(vec![step(Some(100 * MIB)), step(Some(100 * MIB))]);
    let words = happened(reading.clone());
    assert!(
        words.contains("read 300.00 MiB on average, 3.0 times the 100.00 MiB that it uses;"),
        "{words}"
    );
    // The need of one step is not known: nothing to compare with.
    reading.tokens = Some(vec![step(Some(100 * MIB)), step(None)]);
    assert!(!happened(reading.clone()).contains("that it uses"));
    if let Some(phase) = reading.phases.iter_mut().flatten().next() {
        phase.read_bytes = Some(0);
    }
    assert!(happened(reading).ends_with("Generating tokens read nothing."));
}

#[test]
fn what_was_not_observed_is_said_and_no_zero() {
    let words = happened(model(None));
    assert!(words.contains("not known"), "{words}");
    let mut resident = model(Some(ReadsRecord::default()));
    resident.cache = CacheRecord {
        before_bytes: Some(100 * MIB),
        ..CacheRecord::default()
    };
    assert_eq!(
        happened(resident),
        "Nothing of m.gguf was read from the disk: 100.00 MiB were in memory before the start."
    );
    let nothing_arrived = happened(model(Some(read(10, 0))));
    assert!(
        nothing_arrived.contains("nothing of them arrived"),
        "{nothing_arrived}"
    );
}

#[test]
fn a_lost_completion_does_not_make_exact_figures_inexact() {
    let mut record = run(model(Some(read(10, 10))));
    record.loss.unseen_completions = 3;
    record.devices = vec![DeviceRecord {
        reads: 1000,
        ..DeviceRecord::default()
    }];
    let text = trust(&record);
    assert!(
        text.contains("1 self-checks, all hold. All figures are exact but latency, bandwidth and queue depth: they leave out 3 of 1,000 reads (0.3 %), whose end"),
        "{text}"
    );
    assert!(
        !text.contains("INCOMPLETE") && !text.contains("DO NOT HOLD"),
        "{text}"
    );
    // Beside another loss not all else is exact.
    record.loss.late_issues = 1;
    let text = trust(&record);
    assert!(
        !text.contains("All figures are exact")
            && text.contains("INCOMPLETE: latency, bandwidth and queue depth: they leave out 3 of"),
        "{text}"
    );
}

#[test]
fn lost_records_name_the_figures_that_miss_them() {
    let mut record = run(model(Some(read(10, 10))));
    record.loss.ring_buffer_records = 5;
    record.loss.ring_buffer_pages = 4;
    record.loss.ring_buffer_waits = 1;
    let text = trust(&record);
    assert!(text.contains("5 records were lost"), "{text}");
    assert!(
        text.contains("missing in the page cache by phase and tensor; in stalls."),
        "{text}"
    );
    assert!(text.contains("counted in the kernel and exact"), "{text}");
    assert!(!text.contains("latency"), "{text}");
    record.loss.ring_buffer_issues = 1;
    assert!(trust(&record).contains("latency, bandwidth, order"));
    // Without the kernel's counts a lost record is a lost read.
    if let Some(reads) = record
        .single
        .as_mut()
        .and_then(|model| model.reads.as_mut())
    {
        reads.writes = None;
    }
    let text = trust(&record);
    assert!(text.contains("missing in reads and bytes"), "{text}");
    assert!(!text.contains("exact"), "{text}");
}

#[test]
fn a_violated_check_is_shouted_and_a_short_window_said() {
    let mut record = run(model(Some(read(10, 10))));
    record
        .checks
        .push(Check::equal("sectors", ("kernel", 8), ("stream", 7)));
    record.partial = true;
    record.partial_reason = Some("stopped by Ctrl-C".into());
    let text = trust(&record);
    assert!(text.contains("1 of 2 self-checks DO NOT HOLD"), "{text}");
    assert!(text.contains("kernel: 8 ≠ stream: 7"), "{text}");
    assert!(text.contains("PARTIAL: stopped by Ctrl-C"), "{text}");
}
