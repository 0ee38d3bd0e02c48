//! For tests: one model's accumulator behind a table of open reads, fed with plain events.

use super::{
    FileData, FileRange, ModelAccumulator, ModelFigures, Nanos, Part, Parts, ReadCompleted,
    ReadIssued, ReadRequeued, RequestId,
    model::accumulator::{Arrival, BytesChange, Issued},
    reads::open_reads::{OpenReads, RequestKey, RequestPlace},
    simulated_device::Event,
};

/// No two events are of the same sectors, so that each brings its own parts.
const fn place(of: u64) -> RequestPlace {
    RequestPlace {
        sector: of,
        bytes: 0,
    }
}

const fn key(request: RequestId) -> RequestKey {
    RequestKey { device: 0, request }
}

fn part(bytes: u64, ranges: &[FileRange]) -> Parts {
    let part = Part {
        model: 0,
        start_sector: 0,
        end_sector: 0,
        bytes,
        ranges: ranges.into(),
    };
    (bytes > 0).then_some(part).into_iter().collect()
}

#[derive(Debug)]
pub struct FollowedModel {
    pub model: ModelAccumulator,
    open: OpenReads,
    events: u64,
}

impl FollowedModel {
    pub fn new(start: Nanos, files: Vec<FileData>) -> Self {
        Self {
            model: ModelAccumulator::new(start, files),
            open: OpenReads::default(),
            events: 0,
        }
    }

    fn place(&mut self) -> RequestPlace {
        self.events += 1;
        place(self.events)
    }

    pub fn issue(&mut self, read: &ReadIssued) -> Issued {
        let (mut issued, place) = (None, self.place());
        let parts = || part(read.bytes, &[]);
        self.open
            .issue(key(read.request), place, Some(0), parts, |event| {
                issued = Some(self.model.issue(event.read, read));
            });
        issued.expect("the table gives each issue its read")
    }

    pub fn complete(&mut self, part_back: &ReadCompleted, ranges: &[FileRange]) -> Option<Arrival> {
        let (mut arrival, place) = (None, self.place());
        let parts = || part(part_back.bytes, ranges);
        let request = key(part_back.request);
        self.open
            .complete(request, place, part_back.last, parts, |event| {
                arrival = self.model.complete(event.read, part_back, ranges);
            });
        arrival
    }

    pub fn requeue(&mut self, requeued: &ReadRequeued) -> Option<BytesChange> {
        let (mut change, place) = (None, self.place());
        let parts = || part(requeued.bytes, &[]);
        self.open
            .requeue(key(requeued.request), place, parts, |event| {
                change = self.model.requeue(event.read, requeued);
            });
        change
    }

    pub fn take(&mut self, event: &Event) {
        match event {
            Event::Issued(read) => {
                self.issue(read);
            }
            Event::Completed(part, ranges) => {
                self.complete(part, ranges);
            }
            Event::Requeued(part) => {
                self.requeue(part);
            }
        }
    }

    pub fn finish(self, end: Nanos) -> ModelFigures {
        self.model.finish(end)
    }
}
