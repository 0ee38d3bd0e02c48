//! One model on both roads.

use crate::{probe::ModelAggregates, schema::Check, stats::ModelFigures};

use super::unfinished::Unfinished;

/// What is compared of one model, and what is known beside it.
#[derive(Clone, Copy, Debug)]
pub struct ModelSides<'a> {
    /// Stands before the name of each check; empty with a single model.
    pub name: &'a str,
    /// What the kernel side counted.
    pub kernel: &'a ModelAggregates,
    /// What the records say.
    pub stream: &'a ModelFigures,
    /// The records' latencies, by the kernel's buckets.
    pub stream_latency: &'a [u64],
    /// What was not over at the end.
    pub unfinished: Unfinished,
    /// Requeued requests of all devices that never came back, since others absorbed them.
    pub merged_after_requeue: u64,
    /// Records of reads that found no room, of all models.
    pub lost_records: u64,
    /// Bytes of the model that a device can be asked for.
    pub data_bytes: u64,
}

impl ModelSides<'_> {
    /// Checks of the model. With lost records the stream cannot be compared, which is said instead.
    #[must_use]
    pub fn checks(&self) -> Vec<Check> {
        let mut checks = self.laws_of_the_kernel_side();
        if self.lost_records > 0 {
            checks.push(Check::unobserved(
                self.title("kernel aggregates = stream of records"),
                "kernel aggregates",
                format!(
                    "{} records were lost, so the stream is short of them",
                    self.lost_records
                ),
            ));
            return checks;
        }
        checks.extend(
            self.both_roads()
                .into_iter()
                .map(|(what, aggregate, streamed)| {
                    Check::equal(
                        self.title(&format!("{what}: aggregate = stream")),
                        ("kernel aggregate", aggregate),
                        ("stream of records", streamed),
                    )
                }),
        );
        checks.push(latency_buckets(
            self.title("latency histogram: aggregate = stream"),
            self.kernel,
            self.stream_latency,
        ));
        checks.extend(self.exchanges());
        checks.extend(of_records(self.name, self.stream, self.unfinished));
        checks
    }

    fn title(&self, what: &str) -> String {
        format!("{}{what}", self.name)
    }

    fn total_bytes(&self) -> u64 {
        let issued_bytes = self.kernel.issues.issued_bytes;
        issued_bytes.saturating_sub(self.kernel.requeues.requeued_bytes)
    }

    /// The laws that the kernel side's counts obey by themselves.
    #[must_use]
    pub fn laws_of_the_kernel_side(&self) -> Vec<Check> {
        let (kernel, unfinished) = (self.kernel, self.unfinished);
        vec![
            Check::equal(
                self.title("bytes issued = completed + failed + in flight"),
                ("kernel, issued − requeued", self.total_bytes()),
                (
                    "kernel, completed + failed + not seen to complete + table of requests",
                    kernel.completes.completed_bytes
                        + kernel.completes.failed_bytes
                        + unfinished.unseen_bytes
                        + unfinished.in_flight_bytes,
                ),
            ),
            Check::within(
                self.title("every requeued read was issued again, waits, or was merged"),
                ("kernel, requeues", kernel.requeues.requeues),
                (
                    "kernel, re-issues + waiting, and at most those that were merged more",
                    kernel.issues.reissues + unfinished.waiting,
                    kernel.issues.reissues + unfinished.waiting + self.merged_after_requeue,
                ),
            ),
            Check::equal(
                self.title("gaps + first reads = reads"),
                (
                    "kernel, gaps + first reads",
                    kernel.issues.gaps.iter().sum::<u64>() + kernel.issues.first_reads,
                ),
                ("kernel, reads", kernel.issues.reads),
            ),
            Check::within(
                self.title("unique ≤ completed"),
                ("kernel, bitmap of sectors", kernel.unique_bytes),
                (
                    "kernel, bytes completed, at most",
                    0,
                    kernel.completes.completed_bytes + unfinished.unseen_bytes,
                ),
            ),
            Check::within(
                self.title("unique ≤ what there is to read"),
                ("kernel, bitmap of sectors", kernel.unique_bytes),
                (
                    "bytes of the model on the device, at most",
                    0,
                    self.data_bytes,
                ),
            ),
        ]
    }

    /// What both sides count: name, kernel's, stream's.
    fn both_roads(&self) -> Vec<(&'static str, u64, u64)> {
        let (kernel, stream) = (self.kernel, &self.stream.requests);
        let names = [
            "sequential gaps",
            "small gaps",
            "medium gaps",
            "large gaps",
            "backward gaps",
        ];
        let gaps = self.stream.gaps.map(|gap| gap.count).in_slots();
        let mut pairs = vec![
            ("reads", kernel.issues.reads, stream.reads),
            (
                "unique bytes",
                kernel.unique_bytes,
                self.stream.reads.unique_bytes,
            ),
            (
                "bytes",
                self.total_bytes(),
                stream.issued_bytes.saturating_sub(stream.requeued_bytes),
            ),
            (
                "bytes completed",
                kernel.completes.completed_bytes,
                stream.completed_bytes,
            ),
            (
                "reads completed",
                kernel.completes.reads,
                stream.completed_reads,
            ),
            (
                "bytes failed",
                kernel.completes.failed_bytes,
                stream.failed_bytes,
            ),
            ("requeues", kernel.requeues.requeues, stream.requeues),
            (
                "reads ahead",
                kernel.issues.readahead_reads,
                stream.readahead_reads,
            ),
        ];
        pairs.extend(
            names
                .into_iter()
                .zip(kernel.issues.gaps.into_iter().zip(gaps))
                .map(|(name, (counted, streamed))| (name, counted, streamed)),
        );
        pairs.push((
            "bytes not seen to arrive",
            self.unfinished.unseen_bytes + self.unfinished.in_flight_bytes,
            stream.in_flight_bytes + stream.missing_bytes,
        ));
        pairs
    }

    /// The exchanged word of each device.
    fn exchanges(&self) -> impl Iterator<Item = Check> {
        self.stream.devices.iter().map(|device| {
            let kernel_end = self
                .kernel
                .last_ends
                .get(usize::from(device.device))
                .copied()
                .flatten();
            Check {
                name: self.title("each end is a predecessor exactly once"),
                holds: Some(device.exchange.holds && device.exchange.last_end == kernel_end),
                left: format!(
                    "{} reads, {} without predecessor, {} unknown predecessors, {} ends untaken",
                    device.exchange.reads,
                    device.exchange.first_reads,
                    device.exchange.unknown_predecessors,
                    device.exchange.untaken_ends
                ),
                right: format!(
                    "last end: stream {:?}, kernel {kernel_end:?}",
                    device.exchange.last_end
                ),
            }
        })
    }
}

/// The laws that the records obey by themselves.
#[must_use]
pub fn of_records(name: &str, stream: &ModelFigures, unfinished: Unfinished) -> Vec<Check> {
    let titled = |law: &Check| Check {
        name: format!("{name}stream: {}", law.name),
        ..law.clone()
    };
    let of_completions = stream.laws_of_completions.iter().map(|law| {
        let law = titled(law);
        if unfinished.unseen > 0 {
            let why = format!("{} completions were not seen", unfinished.unseen);
            Check::unobserved(law.name, law.left, why)
        } else {
            law
        }
    });
    of_completions
        .chain(stream.laws.iter().map(titled))
        .collect()
}

/// Compares the histograms bucket by bucket; both sides take the same two time stamps.
fn latency_buckets(name: String, kernel: &ModelAggregates, stream: &[u64]) -> Check {
    let different = kernel
        .latency_buckets
        .iter()
        .zip(stream)
        .filter(|(kernel, stream)| kernel != stream)
        .count();
    let equal_length = kernel.latency_buckets.len() == stream.len();
    Check {
        name,
        holds: Some(different == 0 && equal_length),
        left: format!(
            "kernel aggregate: {} reads",
            kernel.latency_buckets.iter().sum::<u64>()
        ),
        right: format!(
            "stream of records: {} reads, {different} buckets differ",
            stream.iter().sum::<u64>()
        ),
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        probe::ModelAggregates,
        stats::{ModelAccumulator, Nanos},
    };

    use super::{ModelSides, Unfinished};

    #[test]
    fn an_aggregate_that_the_stream_does_not_confirm_is_a_violation() {
        let stream = ModelAccumulator::new(Nanos(0), Vec::new());
        let buckets = stream.latency_buckets().to_vec();
        let figures = stream.finish(Nanos(1));
        let mut kernel = ModelAggregates {
            latency_buckets: buckets.clone(),
            ..Default::default()
        };
        let violated = |kernel: &ModelAggregates, lost_records| {
            let sides = ModelSides {
                name: "",
                kernel,
                stream: &figures,
                stream_latency: &buckets,
                unfinished: Unfinished::default(),
                merged_after_requeue: 0,
                lost_records,
                data_bytes: 4096,
            };
            sides
                .checks()
                .into_iter()
                .filter(|check| check.holds == Some(false))
                .count()
        };
        assert_eq!(violated(&kernel, 0), 0);
        kernel.issues.gaps[2] = 1;
        // The class itself, and gaps + first reads = reads.
        assert_eq!(violated(&kernel, 0), 2);
        assert_eq!(violated(&kernel, 1), 1);
        kernel.issues.gaps[2] = 0;
        // More than there is: by the records, by what completed, and by the model's size.
        kernel.unique_bytes = 8192;
        assert_eq!(violated(&kernel, 0), 3);
        kernel.completes.completed_bytes = 8192;
        kernel.issues.issued_bytes = 8192;
        assert_eq!(violated(&kernel, 1), 1);
    }
}
