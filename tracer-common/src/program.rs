//! The programs of the eBPF object: each has one identity, from which all else about it is told.

/// Makes of one list: the programs, their names in the object, and the list of them.
macro_rules! programs {
    ($(
        $(#[$documentation:meta])*
        $program:ident = $slot:literal: $name:literal $(early $early:literal)? $(on_function $stand_in:literal)?;
    )*) => {
        /// What a program does. Where the object has several that do the same, for different kernels, a run attaches one
        /// of them, and all are known by this.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u32)]
        pub enum Program {
            $($(#[$documentation])* $program = $slot,)*
        }

        impl Program {
            /// All of them, by slot.
            pub const ALL: &'static [Self] = &[$(Self::$program),*];

            /// The name in the object of the one for kernels that can do all.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$program => $name,)*
                }
            }

            /// The name of the one for kernels that cannot count models; None where one serves all.
            #[must_use]
            pub const fn early_name(self) -> Option<&'static str> {
                match self {
                    $(Self::$program => programs!(@name $($early)?),)*
                }
            }

            /// The name of the one that sits on a function of the kernel, where that has no tracepoint in it.
            #[must_use]
            pub const fn stand_in_name(self) -> Option<&'static str> {
                match self {
                    $(Self::$program => programs!(@name $($stand_in)?),)*
                }
            }
        }
    };
    (@name) => { None };
    (@name $name:literal) => { Some($name) };
}

programs! {
    /// A request, or a part of it, came back from the driver. Also takes in a read whose issue no program saw.
    BlockComplete = 0: "block_rq_complete" early "early_rq_complete";
    /// The driver refused a request, which goes back to the queue.
    BlockRequeue = 1: "block_rq_requeue" early "early_rq_requeue";
    /// A request is handed to the driver.
    BlockIssue = 2: "block_rq_issue" early "early_rq_issue";
    /// A bio of a device without requests came back.
    BioComplete = 3: "block_bio_complete" early "early_bio_complete";
    /// A bio is handed to a device without requests.
    BioQueue = 4: "block_bio_queue" early "early_bio_queue";
    /// A folio entered the page cache.
    PageInsert = 5: "filemap_add" early "early_filemap_add";
    /// A folio left the page cache.
    PageEvict = 6: "filemap_delete" early "early_filemap_delete";
    /// A page fault reached the file's fault handler.
    PageFault = 7: "filemap_fault" on_function "fault_function";
    /// A page fault mapped what was cached around it.
    PageMap = 8: "filemap_map_pages" on_function "map_pages_function";
    /// `read()` or the like looked pages up.
    PageLookup = 9: "filemap_get_pages";
    /// A CPU goes from one thread to another.
    Switch = 10: "sched_switch";
    /// A thread has reclaimed memory of the system.
    ReclaimEnd = 11: "reclaim_end";
    /// A thread begins to reclaim memory of the system.
    ReclaimBegin = 12: "reclaim_begin";
    /// A thread has reclaimed memory of its cgroup.
    CgroupReclaimEnd = 13: "cgroup_reclaim_end";
    /// A thread begins to reclaim memory of its cgroup.
    CgroupReclaimBegin = 14: "cgroup_reclaim_begin";
    /// A bio is queued; for the audit.
    AuditQueue = 15: "audit_queue";
    /// A request is allocated for a bio; for the audit.
    AuditRequest = 16: "audit_request";
    /// A request is inserted in a scheduler's queue; for the audit.
    AuditInsert = 17: "audit_insert";
    /// A bio goes to another device, or from a partition to its disk; for the audit.
    AuditRemap = 18: "audit_remap";
    /// A function that an engine exports is entered.
    MarkEntry = 19: "mark_entry";
    /// A function that an engine exports returns.
    MarkReturn = 20: "mark_return";
    /// A process starts another, or a thread.
    ProcessFork = 21: "process_fork";
    /// Nothing is left of a process, or of a thread.
    ProcessFree = 22: "process_free";
}

impl Program {
    /// Place of what it counts, where each program has one.
    #[must_use]
    pub const fn slot(self) -> u32 {
        self as u32
    }
}

const _: () = {
    let mut slot = 0;
    while slot < Program::ALL.len() {
        assert!(Program::ALL[slot] as usize == slot);
        slot += 1;
    }
};
