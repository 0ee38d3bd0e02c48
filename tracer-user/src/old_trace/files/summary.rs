//! What blkparse prints after the records: its own counts, and what it skipped.

/// blkparse's counts, of all devices in the trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Issues that are no writes, flushes and re-issues among them. None where a number cannot be read, since blkparse
    /// abbreviates large ones.
    pub read_dispatches: Option<u64>,
    /// Records that blkparse found missing by their sequence numbers. None without the line.
    pub skipped_records: Option<u64>,
    /// Records that blktrace dropped for want of buffers, where its own summary stands in the text.
    pub dropped_records: Option<u64>,
    /// A section's count could not be read, so that what the others sum to is not that of all.
    lacks_dispatches: bool,
    section: Section,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Section {
    #[default]
    Other,
    Cpu,
}

impl Summary {
    /// Whether a line that is no record begins the summary, or stands around it.
    #[must_use]
    pub fn knows(line: &[u8]) -> bool {
        const BEGINNINGS: [&[u8]; 7] = [
            b"CPU",
            b"Total",
            b"Throughput",
            b"Events (",
            b"Skips:",
            b"=== ",
            b"Input file ",
        ];
        let line = line.trim_ascii();
        // Of blkparse -s: a process's section, `dd (193)`.
        let is_process_section = || {
            let end = line.strip_suffix(b":").unwrap_or(line);
            end.strip_suffix(b")")
                .and_then(|front| front.rsplit(|byte| *byte == b'(').next())
                .is_some_and(|id| !id.is_empty() && id.iter().all(u8::is_ascii_digit))
        };
        BEGINNINGS
            .iter()
            .any(|beginning| line.starts_with(beginning))
            || is_process_section()
    }

    /// Takes in a line of it.
    pub fn take(&mut self, line: &[u8]) {
        let indented = line.first().is_some_and(u8::is_ascii_whitespace);
        let text = String::from_utf8_lossy(line);
        let text = text.trim();
        if !indented && !text.is_empty() {
            self.section = if text.starts_with("CPU") && text.ends_with(':') {
                Section::Cpu
            } else {
                Section::Other
            };
        }
        if let Some(rest) = text.strip_prefix("Read Dispatches:") {
            // The sections of the CPUs sum to that of the device, which is printed only where there are several.
            if self.section == Section::Cpu {
                let so_far = self.read_dispatches.unwrap_or(0);
                let sum = plain_count(rest).and_then(|more| so_far.checked_add(more));
                self.lacks_dispatches |= sum.is_none();
                self.read_dispatches = sum.filter(|_| !self.lacks_dispatches);
            }
        } else if let Some(rest) = text.strip_prefix("Skips:") {
            // `Skips: 2 forward (17 -   0.1%)`: two places, 17 records.
            let records = rest.split_once('(').and_then(|(_, rest)| grouped(rest));
            self.skipped_records = add(self.skipped_records, records);
        } else if let Some((_, rest)) = text.split_once("events (dropped ")
            && text.starts_with("Total")
        {
            self.dropped_records = add(self.dropped_records, grouped(rest));
        }
    }
}

fn add(sum: Option<u64>, more: Option<u64>) -> Option<u64> {
    more.map_or(sum, |more| Some(sum.unwrap_or(0).saturating_add(more)))
}

/// `       64,    65536KiB …` → 64. None for abbreviated numbers (`199K,`) and where nothing separates the two.
fn plain_count(text: &str) -> Option<u64> {
    let count = text.split_whitespace().next()?.strip_suffix(',')?;
    let digits: String = count
        .chars()
        .filter(|character| !matches!(character, ',' | '.' | '\''))
        .collect();
    digits.parse().ok()
}

/// The number at the beginning, with the locale's separators of thousands.
fn grouped(text: &str) -> Option<u64> {
    let mut digits = String::new();
    for character in text.trim_start().chars() {
        match character {
            '0'..='9' => digits.push(character),
            ',' | '.' | '\'' => {}
            _ => break,
        }
    }
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::Summary;

    fn taken(text: &str) -> Summary {
        let mut summary = Summary::default();
        text.lines().for_each(|line| summary.take(line.as_bytes()));
        summary
    }

    #[test]
    fn the_cpus_are_summed_and_the_total_is_not_added() {
        let summary = taken(
            "CPU0 (t):\n Reads Queued:           9,    63488KiB\t Writes Queued:           0,        0KiB\n \
             Read Dispatches:       16,    63488KiB\t Write Dispatches:        0,        0KiB\nCPU1 (t):\n \
             Read Dispatches:    1,005,     2056KiB\t Write Dispatches:        0,        0KiB\n\nTotal (t):\n \
             Read Dispatches:    1,021,    65544KiB\t Write Dispatches:        0,        0KiB\n\n\
             Throughput (R/W): 99309KiB/s / 0KiB/s\nEvents (t): 124 entries\nSkips: 2 forward (1,017 -  10.0%)",
        );
        assert_eq!(summary.read_dispatches, Some(1021));
        assert_eq!(summary.skipped_records, Some(1017));
        assert_eq!(summary.dropped_records, None);
    }

    #[test]
    fn what_is_abbreviated_is_not_known() {
        let summary = taken("CPU0 (t):\n Read Dispatches:     199K,    796MiB");
        assert_eq!(summary.read_dispatches, None);
        let summary = taken("CPU0 (t):\n Read Dispatches: 12345678,65544KiB");
        assert_eq!(summary.read_dispatches, None);
    }

    #[test]
    fn what_is_not_known_of_one_cpu_is_not_known_of_all() {
        let of_cpus = |counts: [&str; 3]| {
            let section = |count: &str| format!("CPU0 (t):\n Read Dispatches: {count},    4KiB\n");
            taken(&counts.map(section).concat()).read_dispatches
        };
        assert_eq!(of_cpus(["16", "5", "2"]), Some(23));
        assert_eq!(of_cpus(["199K", "5", "2"]), None);
        assert_eq!(of_cpus(["16", "199K", "2"]), None);
        // A sum beyond every number.
        let most = u64::MAX.to_string();
        assert_eq!(of_cpus([&most, "1", "2"]), None);
        assert_eq!(of_cpus([&most, "0", "0"]), Some(u64::MAX));
    }

    #[test]
    fn drops_of_blktrace_are_seen() {
        let summary = taken(
            "=== vdb ===\n  CPU  0:                  812 events,       39 KiB data\n  \
             Total:                   821 events (dropped 7),       39 KiB data",
        );
        assert_eq!(summary.dropped_records, Some(7));
    }

    #[test]
    fn lines_around_a_summary_are_known() {
        for line in [
            "CPU0 (t):",
            "Total (t):",
            "dd (193)",
            "a b (1):",
            "Input file t.blktrace.0 added",
        ] {
            assert!(Summary::knows(line.as_bytes()), "{line}");
        }
        for line in ["hello", "dd (x)", "(", ")", "Read"] {
            assert!(!Summary::knows(line.as_bytes()), "{line}");
        }
    }
}
