//! What was lost, and what the tracer cost.

use crate::{figures::definition::figures, schema::RunRecord};

figures! {
    /// Losses, in the order of `run.json`.
    LOSSES of RunRecord;

    RECORDS, "loss.ring_buffer_records", "lost records", Count, Kernel, null: "",
        "records that found no room in the ring buffer = the sum of the next seven. Counts of road K stay exact, latencies and order do not",
        |run| run.loss.ring_buffer_records;
    ISSUES, "loss.ring_buffer_issues", "lost issues", Count, Kernel, null: "",
        "issues and re-issues",
        |run| run.loss.ring_buffer_issues;
    COMPLETIONS, "loss.ring_buffer_completions", "lost completions", Count, Kernel, null: "",
        "completions, and ends that no program saw",
        |run| run.loss.ring_buffer_completions;
    REQUEUES, "loss.ring_buffer_requeues", "lost requeues", Count, Kernel, null: "",
        "requeues",
        |run| run.loss.ring_buffer_requeues;
    PAGES, "loss.ring_buffer_pages", "lost page-cache events", Count, Kernel, null: "",
        "page-cache events",
        |run| run.loss.ring_buffer_pages;
    WAITS, "loss.ring_buffer_waits", "lost waits", Count, Kernel, null: "",
        "waits, those that found no room in the table of waiting threads among them",
        |run| run.loss.ring_buffer_waits;
    MARKS, "loss.ring_buffer_marks", "lost marks", Count, Kernel, null: "",
        "calls of probed functions",
        |run| run.loss.ring_buffer_marks;
    STAGES, "loss.ring_buffer_stages", "lost stages", Count, Kernel, null: "",
        "stages before the issue, for `--detail audit`",
        |run| run.loss.ring_buffer_stages;
    RECURSION_MISSES, "loss.recursion_misses", "recursion misses", Count, Kernel, null: "a program has no such counter",
        "times the kernel says it skipped one of the programs",
        |run| run.loss.recursion_misses;
    UNSEEN_COMPLETIONS, "loss.unseen_completions", "unseen completions", Count, Kernel, null: "",
        "reads whose end no program saw, of all reads of the traced devices, the model's and others; noticed by their tag, so that they count all the same",
        |run| run.loss.unseen_completions;
    UNSEEN_AT_END, "loss.unseen_at_end", "noticed at the end only", Count, Kernel, null: "",
        "unseen completions that were noticed at the end only, since the device was idle",
        |run| run.loss.unseen_at_end;
    UNTIMED_READS, "loss.untimed_reads", "reads outside the table", Count, Kernel, null: "",
        "reads whose tag lies outside the table; a completion of theirs cannot be matched",
        |run| run.loss.untimed_reads;
    LATE_ISSUES, "loss.late_issues", "late issues", Count, Kernel, null: "",
        "reads of the traced devices whose issue no program saw, taken in when they completed: counts, bytes and unique bytes are exact, their gap, phase and queue depth are those of their end, and they have no latency",
        |run| run.loss.late_issues;
}

figures! {
    /// What the tracer itself cost, in the order of `run.json`.
    OVERHEAD of RunRecord;

    TRACER_CPU_S, "overhead.tracer_cpu_s", "tracer's own CPU time", Seconds, UserSpace, null: "",
        "user and system time of the tracer's process in the window",
        |run| run.overhead.tracer_cpu_s;
    RING_BUFFER_RECORDS, "overhead.ring_buffer_records", "records received", Count, UserSpace, null: "",
        "records that went through the ring buffer",
        |run| run.overhead.ring_buffer_records;
}
