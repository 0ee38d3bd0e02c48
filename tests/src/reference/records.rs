//! Records of the block layer, and the text that the `blk` tracer writes.

use anyhow::{Context as _, Result, bail};

use crate::plan::DeviceRequest;

const SECTOR_BYTES: u64 = 512;

/// What happened to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// `D`: issued to the driver.
    Issued,
    /// `R`: given back by the driver.
    Requeued,
    /// `C`: completed, in whole or in part.
    Completed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlkRecord {
    pub action: Action,
    /// Command of the task that was current.
    pub command: String,
    pub thread_id: u32,
    /// Operation and flags as letters (`fs/…/blktrace.c`, `blk_fill_rwbs`): R read, W write, D discard,
    /// F flush or FUA, A read-ahead, S synchronous, M metadata.
    pub operation: String,
    /// First sector.
    pub sector: u64,
    /// Length, sectors.
    pub sectors: u64,
    /// Error of a completion; 0 is none.
    pub error: i32,
}

impl BlkRecord {
    /// Whether it is a read of data or metadata.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.operation.contains('R')
    }

    /// Its place on the device.
    #[must_use]
    pub const fn request(&self) -> DeviceRequest {
        DeviceRequest {
            start_bytes: self.sector * SECTOR_BYTES,
            length_bytes: self.sectors * SECTOR_BYTES,
        }
    }
}

/// All issues, requeues and completions of a device between two moments.
#[derive(Clone, Debug, Default)]
pub struct BlkTrace {
    /// In the order of time.
    pub records: Vec<BlkRecord>,
}

impl BlkTrace {
    /// Reads that were issued, re-issues among them, in their order.
    #[must_use]
    pub fn issued_reads(&self) -> Vec<DeviceRequest> {
        self.requests(Action::Issued)
    }

    /// Reads in the order of their first issue: what the driver gave back and got again counts once.
    ///
    /// # Errors
    /// Where a request was given back that the records do not show to be the same one later: they are no reference
    /// then.
    pub fn first_issues(&self) -> Result<Vec<DeviceRequest>> {
        let mut with_driver = Vec::new();
        let mut given_back = Vec::new();
        let mut first = Vec::new();
        for record in self.records.iter().filter(|record| record.is_read()) {
            let request = record.request();
            match record.action {
                Action::Issued => {
                    with_driver.push(request);
                    if take(&mut given_back, request).is_none() {
                        first.push(request);
                    }
                }
                // One that the driver never had is given back too, where there was no room for it.
                Action::Requeued => given_back.extend(take(&mut with_driver, request)),
                Action::Completed => {
                    let at_same_place = |other: &&DeviceRequest| {
                        other.start_bytes < request.start_bytes + request.length_bytes
                            && request.start_bytes < other.start_bytes + other.length_bytes
                    };
                    if take(&mut with_driver, request).is_none()
                        && let Some(other) = given_back.iter().find(at_same_place)
                    {
                        bail!("{other:?} was given back, and came as another request");
                    }
                }
            }
        }
        if let Some(request) = given_back.first() {
            bail!("{request:?} was given back, and not issued again");
        }
        Ok(first)
    }

    /// Reads that the driver gave back after they were issued.
    ///
    /// # Errors
    /// As for [`BlkTrace::first_issues`].
    pub fn reissues(&self) -> Result<usize> {
        Ok(self.issued_reads().len() - self.first_issues()?.len())
    }

    /// The same, from the first one on that a task of this command issued.
    #[must_use]
    pub fn issued_reads_from(&self, command: &str) -> Vec<DeviceRequest> {
        self.records
            .iter()
            .filter(|record| record.action == Action::Issued && record.is_read())
            .skip_while(|record| record.command != command)
            .map(BlkRecord::request)
            .collect()
    }

    /// Completions of reads, in their order.
    #[must_use]
    pub fn completed_reads(&self) -> Vec<DeviceRequest> {
        self.requests(Action::Completed)
    }

    /// Sectors of all completed reads.
    #[must_use]
    pub fn completed_read_sectors(&self) -> u64 {
        self.completed_reads()
            .iter()
            .map(|request| request.length_bytes / SECTOR_BYTES)
            .sum()
    }

    fn requests(&self, action: Action) -> Vec<DeviceRequest> {
        self.records
            .iter()
            .filter(|record| record.action == action && record.is_read())
            .map(BlkRecord::request)
            .collect()
    }

    /// Reads the text of the file `trace`, of which it takes one device's records.
    ///
    /// # Errors
    /// Where records were lost, or a line has an unknown form.
    pub fn parse(text: &str, device: &str) -> Result<Self> {
        let mut records = Vec::new();
        for line in text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        {
            if line.contains("[LOST") {
                bail!("the trace lost records: {line:?}");
            }
            if let Some(record) = parse_line(line, device)
                .with_context(|| format!("a line of the trace: {line:?}"))?
            {
                records.push(record);
            }
        }
        Ok(Self { records })
    }
}

/// Takes a request out of a list, the oldest first.
fn take(list: &mut Vec<DeviceRequest>, request: DeviceRequest) -> Option<DeviceRequest> {
    let place = list.iter().position(|other| *other == request)?;
    Some(list.remove(place))
}

/// A line such as
/// `  dd-25456   [001] d..1.  5044.266675:   7,0    D  RS 278528 + 1024 [dd]`; a command may hold blanks
/// and dashes.
fn parse_line(line: &str, device: &str) -> Result<Option<BlkRecord>> {
    let (before, event) = split_at_time(line).context("no time stamp")?;
    let mut fields = event.split_whitespace();
    let (number, action) = (fields.next(), fields.next());
    if number != Some(device) {
        return Ok(None);
    }
    let action = match action {
        Some("D") => Action::Issued,
        Some("R") => Action::Requeued,
        Some("C") => Action::Completed,
        Some(_) => return Ok(None),
        None => bail!("no action"),
    };
    let operation = fields.next().context("no operation")?.to_owned();
    // A flush has no sectors; passthrough shows its command instead. Neither is a read.
    let (sector, sectors) = match (fields.next(), fields.next(), fields.next()) {
        (Some(sector), Some("+"), Some(sectors)) => (
            sector.parse().context("the sector")?,
            sectors.parse().context("the number of sectors")?,
        ),
        _ if !operation.contains('R') => return Ok(None),
        _ => bail!("a read without sectors"),
    };
    let bracket = event
        .rsplit_once('[')
        .and_then(|(_, rest)| rest.split_once(']'))
        .map(|(inside, _)| inside)
        .context("nothing in brackets at the end")?;
    let error = match action {
        Action::Completed => bracket.parse().context("the error")?,
        Action::Issued | Action::Requeued => 0,
    };
    let (command, rest) = before.rsplit_once(" [").unwrap_or((before, ""));
    let (command, thread_id) = command
        .trim_end()
        .rsplit_once('-')
        .with_context(|| format!("no task before {rest:?}"))?;
    Ok(Some(BlkRecord {
        action,
        command: command.trim_start().to_owned(),
        thread_id: thread_id.parse().context("the thread id")?,
        operation,
        sector,
        sectors,
        error,
    }))
}

/// Splits behind the time stamp: the first word of digits, point, digits, colon that follows a `]`.
fn split_at_time(line: &str) -> Option<(&str, &str)> {
    let processor_end = line.find("] ").and_then(|first| {
        // A command may hold a bracket too: take the one whose next but one word is a time stamp.
        line.match_indices("] ")
            .map(|(position, _)| position)
            .filter(|position| *position >= first)
            .find(|position| time_end(&line[position + 2..]).is_some())
    })?;
    let rest = &line[processor_end + 2..];
    Some((&line[..=processor_end], &rest[time_end(rest)?..]))
}

fn time_end(text: &str) -> Option<usize> {
    let flags_end = text.find(char::is_whitespace)?;
    let stamp_start =
        flags_end + text[flags_end..].find(|character: char| !character.is_whitespace())?;
    let colon = stamp_start + text[stamp_start..].find(':')?;
    let stamp = &text[stamp_start..colon];
    (stamp.contains('.')
        && stamp
            .chars()
            .all(|character| character.is_ascii_digit() || character == '.'))
    .then_some(colon + 1)
}

#[cfg(test)]
mod tests {
    use super::{Action, BlkRecord, BlkTrace};

    // From a 6.18 kernel; the third task's name holds blanks and colons.
    const TRACE: &str = "\
# tracer: blk
#
              dd-25456   [001] d..1.  5044.266008:   7,0    Q  RS 278528 + 2048 [dd]
              dd-25456   [001] d..1.  5044.266664:   7,0    X  RS 278528 / 279552 [dd]
              dd-25456   [001] d..1.  5044.266670:   7,0    P   N [dd]
              dd-25456   [001] d..1.  5044.266675:   7,0    D  RS 278528 + 1024 [dd]
              dd-25456   [001] d..1.  5044.266675:   7,1    D  RS 278528 + 1024 [dd]
 stats::latency:-25453   [001] d.s1.  5044.268925:   7,0    C  RS 278528 + 1024 [0]
   kworker/0:1H-9        [000] d..1.  5044.300000:   7,0    D FWS [kworker/0:1H]
   kworker/0:1H-9        [000] d..1.  5044.300001:   7,0    R  WS 8 + 8 [kworker/0:1H]
     tmux: [a] b-77      [000] ...1.  5044.300002:   7,0    C  RA 16 + 8 [-5]
";

    #[test]
    fn records_of_one_device_are_taken() {
        let trace = BlkTrace::parse(TRACE, "7,0").expect("a real trace");
        let shape: Vec<_> = trace
            .records
            .iter()
            .map(|record| (record.action, record.sector, record.sectors, record.error))
            .collect();
        assert_eq!(
            shape,
            [
                (Action::Issued, 278_528, 1024, 0),
                (Action::Completed, 278_528, 1024, 0),
                (Action::Requeued, 8, 8, 0),
                (Action::Completed, 16, 8, -5),
            ]
        );
        assert_eq!(trace.issued_reads().len(), 1);
        assert_eq!(trace.issued_reads_from("dd").len(), 1);
        assert!(trace.issued_reads_from("cat").is_empty());
        assert_eq!(trace.completed_read_sectors(), 1032);
        assert_eq!(
            trace.records[1],
            BlkRecord {
                action: Action::Completed,
                command: "stats::latency:".into(),
                thread_id: 25_453,
                operation: "RS".into(),
                sector: 278_528,
                sectors: 1024,
                error: 0
            }
        );
        assert_eq!(trace.records[3].thread_id, 77);
    }

    #[test]
    fn what_was_given_back_counts_once_and_what_the_driver_never_had_is_nothing() {
        let record = |action, sector| BlkRecord {
            action,
            command: String::new(),
            thread_id: 1,
            operation: "R".into(),
            sector,
            sectors: 8,
            error: 0,
        };
        let trace = |records: &[(Action, u64)]| BlkTrace {
            records: records
                .iter()
                .map(|(action, sector)| record(*action, *sector))
                .collect(),
        };
        let (issued, requeued, completed) = (Action::Issued, Action::Requeued, Action::Completed);
        let given_back = trace(&[
            (requeued, 8),
            (issued, 8),
            (issued, 64),
            (requeued, 8),
            (issued, 8),
            (completed, 8),
            (issued, 8),
            (completed, 64),
            (completed, 8),
        ]);
        let starts: Vec<u64> = given_back
            .first_issues()
            .expect("a whole trace")
            .iter()
            .map(|request| request.start_bytes / 512)
            .collect();
        assert_eq!(starts, [8, 64, 8]);
        assert_eq!(given_back.reissues().expect("a whole trace"), 1);
        assert!(trace(&[(issued, 8), (requeued, 8)]).first_issues().is_err());
    }

    #[test]
    fn a_trace_with_losses_or_nonsense_is_refused() {
        assert!(BlkTrace::parse("CPU:1 [LOST 123 EVENTS]\n", "7,0").is_err());
        assert!(BlkTrace::parse("anything\n", "7,0").is_err());
        assert!(BlkTrace::parse(" dd-1 [001] d..1. 5.0: 7,0 D RS nothing [dd]\n", "7,0").is_err());
    }
}
