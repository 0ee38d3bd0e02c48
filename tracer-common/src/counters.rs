//! The aggregates that live in kernel maps. Every one is a per-CPU value written by exactly one program,
//! so plain additions suffice; a program cannot interrupt itself on a CPU (the kernel skips it then and
//! counts a recursion miss, which the report shows).

use crate::{
    gap::GAP_CLASSES, origin::READ_ORIGINS, program::Program, record::Kind, request::SIZE_CLASSES,
};

/// A counter block that can be summed over CPUs, word by word.
///
/// # Safety
/// The type is `repr(C)` and consists of `u64` fields only, so that it may be viewed as a slice of them.
pub unsafe trait CounterBlock: Copy + Default {
    /// Adds another CPU's block to this one.
    fn add(&mut self, other: &Self) {
        let words = size_of::<Self>() / size_of::<u64>();
        let own = core::ptr::from_mut(self).cast::<u64>();
        let others = core::ptr::from_ref(other).cast::<u64>();
        for word in 0..words {
            // SAFETY: the trait promises a repr(C) struct of u64 fields; `word` is below their number.
            unsafe { *own.add(word) = (*own.add(word)).wrapping_add(*others.add(word)) };
        }
    }
}

macro_rules! counter_block {
    ($(#[$documentation:meta])* $name:ident { $($(#[$field_documentation:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$documentation])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[repr(C)]
        pub struct $name { $($(#[$field_documentation])* pub $field: $type,)* }

        // SAFETY: repr(C), and every field is a u64 or an array of u64.
        unsafe impl CounterBlock for $name {}
    };
}

/// Sets of counters of issues: of those that were seen, and of those that were noticed when they completed.
pub const ISSUE_SETS: usize = 2;

counter_block! {
    /// Of one model, written by the program on `block_rq_issue`; another set by the program for late issues.
    IssueCounters {
        /// Reads, each counted at its first issue.
        reads: u64,
        /// Bytes of the model in all issues, re-issues included.
        issued_bytes: u64,
        /// Issues of requests that had been issued before: after a requeue, or the remainder after a
        /// partial completion.
        reissues: u64,
        /// Gaps by class ([`crate::gap::GapClass::slot`]).
        gaps: [u64; GAP_CLASSES],
        /// Reads that are the first on their device and have no gap.
        first_reads: u64,
        /// Reads whose completion no program saw; the next use of their tag shows that they were done.
        unseen_completions: u64,
        /// Bytes of the model in those that had not been seen to arrive.
        unseen_bytes: u64,
        /// Write requests that touch the model's extents.
        writes: u64,
        /// Bytes of the model in those.
        write_bytes: u64,
        /// Reads, by first issue, that the page cache asked for ahead (`REQ_RAHEAD`).
        readahead_reads: u64,
        /// Reads, by first issue, by the size of the whole request ([`crate::request::size_class`]).
        sizes: [u64; SIZE_CLASSES],
    }
}

counter_block! {
    /// Of one model, written by the program on `block_rq_complete`.
    CompleteCounters {
        /// Reads that completed for good, the last part without error.
        reads: u64,
        /// Bytes that arrived without error.
        completed_bytes: u64,
        /// Reads whose last part failed.
        failed_reads: u64,
        /// Bytes of completions with an error.
        failed_bytes: u64,
    }
}

counter_block! {
    /// Of one model, written by the program on `block_rq_requeue`.
    RequeueCounters {
        /// Issued reads that went back to the queue.
        requeues: u64,
        /// Bytes of the model in them.
        requeued_bytes: u64,
    }
}

/// What a request does, for the counters of a whole device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Operation {
    /// `REQ_OP_READ`.
    Read = 0,
    /// `REQ_OP_WRITE`.
    Write = 1,
    /// `REQ_OP_FLUSH`.
    Flush = 2,
    /// `REQ_OP_DISCARD`.
    Discard = 3,
    /// Anything else: passthrough, write zeroes, secure erase, zone operations.
    Other = 4,
}

/// Number of [`Operation`]s.
pub const OPERATIONS: usize = 5;

counter_block! {
    /// Of one whole device, the model's requests and all others, written by the program on
    /// `block_rq_issue`.
    DeviceIssueCounters {
        /// First issues by [`Operation`].
        requests: [u64; OPERATIONS],
        /// Bytes of them.
        bytes: [u64; OPERATIONS],
        /// Reads among them with the file system's metadata flag (`REQ_META`).
        metadata_reads: u64,
        /// Bytes of those.
        metadata_bytes: u64,
        /// First issues of reads that touch an extent of a model.
        model_reads: u64,
        /// Bytes of the models in them.
        model_bytes: u64,
        /// Re-issues of reads.
        read_reissues: u64,
        /// Reads without a slot for the time of their issue: their completions cannot be matched.
        untimed_reads: u64,
        /// Reads whose completion no program saw: a first issue found their tag still taken. Some kernels
        /// hide events (`docs/KERNELS.md`).
        unseen_completions: u64,
        /// Bytes of those that had not been seen to arrive.
        unseen_bytes: u64,
        /// A first issue found its tag still taken by a read that had been requeued and was merged into
        /// another one.
        absorbed_after_requeue: u64,
        /// Bytes of reads outside the models' extents, by [`crate::origin::ReadOrigin`], by first issue.
        other_bytes_by_origin: [u64; READ_ORIGINS],
        /// Bytes of reads in the models' extents, by [`crate::origin::ReadOrigin`], by first issue.
        model_bytes_by_origin: [u64; READ_ORIGINS],
    }
}

counter_block! {
    /// Of one whole device, written by the program on `block_rq_complete`.
    DeviceCompleteCounters {
        /// Completion events of reads.
        read_events: u64,
        /// Bytes of them, with and without error: what `/sys/block/*/stat` counts.
        read_bytes: u64,
        /// Completions in the model's extents whose issue was not seen (issued before the gate opened).
        unmatched: u64,
        /// Bytes of the model in those.
        unmatched_bytes: u64,
    }
}

/// Cells of the map of lost records: one for each program and each kind of record, so that a cell has one writer.
pub const LOSS_CELLS: usize = Program::ALL.len() * Kind::NUMBERS;

/// The cell that a program counts the records of a kind in that found no room.
#[inline(always)]
#[must_use]
pub const fn loss_cell(program: Program, kind: Kind) -> u32 {
    program.slot() * Kind::NUMBERS as u32 + kind as u32
}

/// Records that found no room, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LostRecords([u64; Kind::NUMBERS]);

impl LostRecords {
    /// Sums up the cells of all programs ([`loss_cell`]).
    #[must_use]
    pub fn of_cells(cells: impl IntoIterator<Item = u64>) -> Self {
        let mut sum = Self::default();
        for (cell, lost) in cells.into_iter().enumerate() {
            sum.0[cell % Kind::NUMBERS] += lost;
        }
        sum
    }

    /// Records of a kind.
    #[must_use]
    pub const fn of(&self, kind: Kind) -> u64 {
        self.0[kind as usize]
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

counter_block! {
    /// Of one file, written by the program on `mm_filemap_add_to_page_cache`.
    InsertCounters {
        /// Folios that entered the page cache.
        folios: u64,
        /// Pages in them.
        pages: u64,
        /// Pages among them whose eviction was seen in this run.
        reinserted_pages: u64,
        /// Pages that lie outside the file's size at the start of the run.
        pages_beyond_end: u64,
        /// Folios that a page fault of the current thread brought: major faults.
        by_fault: u64,
    }
}

/// Who removed a folio from the page cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum EvictionAgent {
    /// The kernel's background reclaim.
    Kswapd = 0,
    /// A task that wanted memory itself, system-wide or for its cgroup.
    DirectReclaim = 1,
    /// Another kernel thread that reclaims, such as kdamond.
    KernelThread = 2,
    /// Not reclaim: truncation, invalidation, `POSIX_FADV_DONTNEED`, `drop_caches`.
    Invalidation = 3,
}

/// Number of [`EvictionAgent`]s.
pub const EVICTION_AGENTS: usize = 4;

counter_block! {
    /// Of one file, written by the program on `mm_filemap_delete_from_page_cache`.
    EvictionCounters {
        /// Folios that left the page cache.
        folios: u64,
        /// Pages in them by [`EvictionAgent`].
        pages: [u64; EVICTION_AGENTS],
    }
}

counter_block! {
    /// Of one file, written by the program on `mm_filemap_fault`.
    FaultCounters {
        /// Page faults that reached the file's fault handler.
        faults: u64,
        /// `map_pages` events that a fault of the same thread in the same window showed not to have been
        /// hits.
        retracted_hits: u64,
    }
}

counter_block! {
    /// Of one file, written by the program on `mm_filemap_map_pages`.
    MapPagesCounters {
        /// Fault-around events.
        events: u64,
        /// Events not preceded by a fault of the same thread in their window.
        tentative_hits: u64,
    }
}

counter_block! {
    /// Of one file, written by the program on `mm_filemap_get_pages`.
    LookupCounters {
        /// Look-ups by `read()` and the like; one call of `read()` makes several where its folios do not
        /// fit into one batch.
        lookups: u64,
    }
}

#[cfg(test)]
mod tests {
    use super::{CounterBlock, IssueCounters, LOSS_CELLS, LostRecords, loss_cell};
    use crate::{program::Program, record::Kind};

    #[test]
    fn a_lost_record_is_found_under_its_kind_whichever_program_lost_it() {
        for kind in Kind::ALL {
            let mut cells = [0; LOSS_CELLS];
            for program in Program::ALL {
                let cell = &mut cells[loss_cell(*program, *kind) as usize];
                assert_eq!(*cell, 0, "{program:?} and {kind:?} share a cell");
                *cell += 1;
            }
            let lost = LostRecords::of_cells(cells);
            let programs = Program::ALL.len() as u64;
            assert_eq!((lost.of(*kind), lost.total()), (programs, programs));
        }
    }

    #[test]
    fn blocks_add_word_by_word() {
        let mut sum = IssueCounters {
            reads: 1,
            gaps: [1, 2, 3, 4, 5],
            write_bytes: 9,
            ..Default::default()
        };
        sum.add(&IssueCounters {
            reads: 2,
            gaps: [10, 20, 30, 40, 50],
            write_bytes: 1,
            ..Default::default()
        });
        assert_eq!(sum.reads, 3);
        assert_eq!(sum.gaps, [11, 22, 33, 44, 55]);
        assert_eq!(sum.write_bytes, 10);
    }
}
