//! Reads that are asked for in a known order, and the figures that they must give.

mod expected;
mod file_ranges;
mod generate;
mod requests;

use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail};

pub use expected::{ExpectedFigures, GapCounts};
pub use file_ranges::file_ranges;
pub use requests::{DeviceRequest, IssueOrder, buffered_requests, direct_requests};

/// One read to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedRead {
    /// Offset in the file.
    pub offset_bytes: u64,
    /// Length asked for. A read may reach beyond the file's end.
    pub length_bytes: u64,
}

/// Reads in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadPlan {
    pub reads: Vec<PlannedRead>,
}

impl ReadPlan {
    /// One line a read: offset and length, bytes.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.reads.iter().fold(String::new(), |mut text, read| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{} {}", read.offset_bytes, read.length_bytes);
            text
        })
    }

    /// Reads what [`ReadPlan::to_text`] wrote.
    ///
    /// # Errors
    /// Names the line that has another form.
    pub fn from_text(text: &str) -> Result<Self> {
        let reads = (1..)
            .zip(text.lines())
            .map(|(number, line)| {
                parse_line(line).with_context(|| format!("line {number} of the plan is {line:?}"))
            })
            .collect::<Result<_>>()?;
        Ok(Self { reads })
    }

    /// The reads of each of several threads: read `i` goes to thread `i` modulo their number.
    #[must_use]
    pub fn deal(&self, threads: usize) -> Vec<Self> {
        (0..threads)
            .map(|thread| Self {
                reads: self
                    .reads
                    .iter()
                    .skip(thread)
                    .step_by(threads)
                    .copied()
                    .collect(),
            })
            .collect()
    }
}

fn parse_line(line: &str) -> Result<PlannedRead> {
    let mut numbers = line.split_whitespace().map(str::parse::<u64>);
    match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(Ok(offset_bytes)), Some(Ok(length_bytes)), None) if length_bytes > 0 => {
            Ok(PlannedRead {
                offset_bytes,
                length_bytes,
            })
        }
        _ => bail!("it is not an offset and a length above 0"),
    }
}

#[cfg(test)]
mod tests {
    use super::ReadPlan;

    #[test]
    fn a_plan_survives_its_text() {
        let plan = ReadPlan::random(1 << 20, 4096, 100, 7);
        assert_eq!(
            ReadPlan::from_text(&plan.to_text()).expect("our own text"),
            plan
        );
        for text in ["1", "1 0", "1 2 3", "a 1", "-1 5"] {
            assert!(ReadPlan::from_text(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_read_is_dealt_to_one_thread() {
        let plan = ReadPlan::sequential(10 * 4096, 4096);
        let dealt = plan.deal(3);
        assert_eq!(
            dealt
                .iter()
                .map(|part| part.reads.len())
                .collect::<Vec<_>>(),
            [4, 3, 3]
        );
        assert_eq!(dealt[1].reads[1], plan.reads[4]);
    }
}
