//! Counts by slice of time, and by span of the files, as mapped memory.

use std::{
    os::fd::{AsFd as _, AsRawFd as _},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::Context as _;
use aya::maps::MapData;
use memmap2::{MmapOptions, MmapRaw};
use tracer_common::{
    counters::CounterBlock,
    slice::{
        SLICE_MARGIN, SLICE_NS, SLICES, SLICES_IN_USE, SliceClock, SliceCounts, SpanPages,
        SpanReads,
    },
};

/// A slice of time after its end.
#[derive(Clone, Debug)]
pub struct Slice {
    /// When it began, `CLOCK_MONOTONIC` nanoseconds.
    pub start_ns: u64,
    /// By model slot.
    pub models: Vec<SliceCounts>,
}

/// What was counted by place, over the whole window.
#[derive(Clone, Debug, Default)]
pub struct SpanCounts {
    /// By span of sectors.
    pub reads: Vec<SpanReads>,
    /// By span of pages.
    pub pages: Vec<SpanPages>,
}

/// The maps of the counts.
pub(super) struct SliceMaps<'a> {
    pub clock: &'a MapData,
    pub starts: &'a MapData,
    pub counts: &'a MapData,
    pub span_reads: &'a MapData,
    pub span_pages: &'a MapData,
}

/// How many of each there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct SliceSizes {
    pub models: usize,
    pub cpus: usize,
    pub blocks: usize,
    pub read_spans: usize,
    pub page_spans: usize,
}

/// The counts of all CPUs.
pub(super) struct Slices {
    clock: SliceCutter,
    counts: MmapRaw,
    span_reads: MmapRaw,
    span_pages: MmapRaw,
    sizes: SliceSizes,
}

/// Most bytes of all blocks of the spans of one sort: with more, CPUs share them.
const MOST_SPAN_BYTES: usize = 16 << 20;

/// Blocks of so many spans: one for each CPU, or a power of two below.
pub(super) fn span_blocks(cpus: u32, spans: usize) -> u32 {
    let fit = MOST_SPAN_BYTES / (spans.max(1) * size_of::<SpanReads>());
    match u32::try_from(fit).unwrap_or(u32::MAX) {
        fit if fit >= cpus => cpus,
        fit => 1 << fit.max(1).ilog2(),
    }
}

impl Slices {
    /// Maps the counts.
    pub fn map(maps: &SliceMaps<'_>, sizes: SliceSizes) -> anyhow::Result<Self> {
        let slices = sizes.models * sizes.cpus * SLICES;
        let reads = sizes.blocks * sizes.read_spans;
        let pages = sizes.blocks * sizes.page_spans;
        Ok(Self {
            clock: SliceCutter(Arc::new(Clock {
                clock: mapped(maps.clock, size_of::<SliceClock>())?,
                starts: mapped(maps.starts, SLICES * size_of::<u64>())?,
            })),
            counts: mapped(maps.counts, slices * size_of::<SliceCounts>())?,
            span_reads: mapped(maps.span_reads, reads * size_of::<SpanReads>())?,
            span_pages: mapped(maps.span_pages, pages * size_of::<SpanPages>())?,
            sizes,
        })
    }

    /// What begins a slice from elsewhere.
    pub fn cutter(&self) -> SliceCutter {
        self.clock.clone()
    }

    /// The first slice begins, before anything counts.
    pub fn begin(&self, now_ns: u64) {
        self.clock.0.start(0).store(now_ns, Ordering::Release);
        self.clock
            .0
            .next()
            .store(now_ns + SLICE_NS, Ordering::Release);
    }

    /// Takes out the slices that nobody writes any more; with `all`, when no program runs, all of them.
    pub fn take(&self, all: bool, mut take: impl FnMut(Slice)) {
        let clock = &self.clock.0;
        let end = if all {
            clock.current().load(Ordering::Acquire) + 1
        } else {
            let current = clock.current().load(Ordering::Acquire);
            current.saturating_sub(SLICES_IN_USE)
        };
        let first = clock.taken().load(Ordering::Acquire);
        for number in first..end {
            let start_ns = clock.start(number).load(Ordering::Acquire);
            let models = (0..self.sizes.models)
                .map(|model| self.take_counts(model, number))
                .collect();
            take(Slice { start_ns, models });
            clock.taken().store(number + 1, Ordering::Release);
        }
    }

    /// Sums a model's blocks of a slice up, and clears them for the slice that comes to their place.
    fn take_counts(&self, model: usize, number: u64) -> SliceCounts {
        let mut sum = SliceCounts::ZERO;
        for cpu in 0..self.sizes.cpus {
            let place = (model * self.sizes.cpus + cpu) * SLICES + number as usize % SLICES;
            // SAFETY: within the mapping, which holds so many blocks; no program writes this one now: it belongs to a slice
            // that is over since many slices, or no program runs any more.
            unsafe {
                let block = self.counts.as_mut_ptr().cast::<SliceCounts>().add(place);
                let counts = block.read_volatile();
                if counts != SliceCounts::ZERO {
                    sum.add(&counts);
                    block.write_volatile(SliceCounts::ZERO);
                }
            }
        }
        sum
    }

    /// Slices that were due and did not begin, since there was no room for one: what came then is in the slice before.
    pub fn undivided(&self) -> u64 {
        self.clock.0.undivided().load(Ordering::Acquire)
    }

    /// What was counted by place. Only when no program runs any more do the counts belong together.
    pub fn spans(&self) -> SpanCounts {
        SpanCounts {
            reads: self.summed(&self.span_reads, self.sizes.read_spans),
            pages: self.summed(&self.span_pages, self.sizes.page_spans),
        }
    }

    fn summed<T: CounterBlock>(&self, mapping: &MmapRaw, spans: usize) -> Vec<T> {
        let mut sums = vec![T::default(); spans];
        for block in 0..self.sizes.blocks {
            for (span, sum) in sums.iter_mut().enumerate() {
                let place = block * spans + span;
                // SAFETY: within the mapping, which holds so many blocks of so many spans.
                let counted = unsafe { mapping.as_ptr().cast::<T>().add(place).read_volatile() };
                sum.add(&counted);
            }
        }
        sums
    }
}

fn mapped(map: &MapData, bytes: usize) -> anyhow::Result<MmapRaw> {
    MmapOptions::new()
        .len(bytes)
        .map_raw(map.fd().as_fd().as_raw_fd())
        .context("cannot map the counts by slice of time")
}

/// The clock of the slices, from user space.
struct Clock {
    clock: MmapRaw,
    starts: MmapRaw,
}

impl Clock {
    fn word(&self, pick: impl FnOnce(*mut SliceClock) -> *mut u64) -> &AtomicU64 {
        let clock = self.clock.as_mut_ptr().cast::<SliceClock>();
        // SAFETY: an aligned word of the mapping, which lives as long as this value.
        unsafe { AtomicU64::from_ptr(pick(clock)) }
    }

    fn current(&self) -> &AtomicU64 {
        // SAFETY: a member of the value in the mapping.
        self.word(|clock| unsafe { &raw mut (*clock).current })
    }

    fn next(&self) -> &AtomicU64 {
        // SAFETY: a member of the value in the mapping.
        self.word(|clock| unsafe { &raw mut (*clock).next_ns })
    }

    fn taken(&self) -> &AtomicU64 {
        // SAFETY: a member of the value in the mapping.
        self.word(|clock| unsafe { &raw mut (*clock).taken })
    }

    fn undivided(&self) -> &AtomicU64 {
        // SAFETY: a member of the value in the mapping.
        self.word(|clock| unsafe { &raw mut (*clock).undivided })
    }

    fn start(&self, number: u64) -> &AtomicU64 {
        let place = number as usize % SLICES;
        // SAFETY: an aligned word of the mapping, which has so many.
        unsafe { AtomicU64::from_ptr(self.starts.as_mut_ptr().cast::<u64>().add(place)) }
    }

    /// The same as the programs do (`slice` in the eBPF crate).
    fn begin(&self, start_ns: u64) {
        let kept = self.current().load(Ordering::Acquire) - self.taken().load(Ordering::Acquire);
        if kept >= SLICES as u64 - SLICE_MARGIN {
            self.undivided().fetch_add(1, Ordering::AcqRel);
            return;
        }
        let number = self.current().fetch_add(1, Ordering::AcqRel) + 1;
        self.start(number).store(start_ns, Ordering::Release);
    }

    fn look(&self, now_ns: u64) {
        let next_ns = self.next().load(Ordering::Acquire);
        // Before the gate opens there is no next one.
        if next_ns == 0 || now_ns < next_ns {
            return;
        }
        let start_ns = now_ns - (now_ns - next_ns) % SLICE_NS;
        if self.next().swap(start_ns + SLICE_NS, Ordering::AcqRel) == next_ns {
            self.begin(start_ns);
        }
    }
}

/// Begins slices where user space sees something that marks a phase.
#[derive(Clone)]
pub struct SliceCutter(Arc<Clock>);

impl std::fmt::Debug for SliceCutter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SliceCutter")
    }
}

impl SliceCutter {
    /// Begins a slice where the time of the current one is over (`now_ns`: `CLOCK_MONOTONIC`).
    pub fn look(&self, now_ns: u64) {
        self.0.look(now_ns);
    }

    /// Something was marked just now: a slice begins.
    pub fn mark(&self, now_ns: u64) {
        self.0.look(now_ns);
        if self.0.next().load(Ordering::Acquire) != 0 {
            self.0.begin(now_ns);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::span_blocks;

    #[test]
    fn cpus_share_blocks_where_there_are_many_spans() {
        assert_eq!(span_blocks(16, 1000), 16);
        assert_eq!(span_blocks(6, 1000), 6);
        // 32 bytes × 100,000 spans: five fit into 16 MiB.
        assert_eq!(span_blocks(64, 100_000), 4);
        assert_eq!(span_blocks(64, 10_000_000), 1);
    }
}
