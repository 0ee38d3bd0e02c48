//! The programs and the tracepoints that they sit on.

/// Kinds of devices, by what they are handed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DeviceKind {
    /// Whatever the devices are, or none.
    #[default]
    Any,
    /// Requests: every disk, and what looks like one.
    Requests,
    /// Bios, which the driver hands on or serves itself: device mapper, md, zram.
    Bios,
}

/// When a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// In every run.
    Always,
    /// Where page-cache events and waits are recorded ([`super::SessionOptions::page_records`]).
    PageRecords,
    /// Where the run asks for the audit ([`super::SessionOptions::audit`]).
    Audit,
}

/// A program of the eBPF object and its tracepoint.
#[derive(Clone, Copy, Debug)]
pub struct TracedEvent {
    /// Name of the program in the object; the others that do the same are known by it.
    pub program: &'static str,
    /// The one for kernels that cannot count models ([`super::KernelTypes::counts_models`]); none where one serves all.
    pub early: Option<&'static str>,
    /// The one for kernels without the tracepoint, and the kernel's function that it sits on (fentry).
    pub on_function: Option<(&'static str, &'static str)>,
    /// Name of the tracepoint.
    pub tracepoint: &'static str,
    /// Its folder below `events/` in tracefs.
    pub subsystem: &'static str,
    /// Whether a run makes no sense without it. The others give figures that are null where the kernel
    /// has no such tracepoint.
    pub required: bool,
    /// The devices that it is for.
    pub devices: DeviceKind,
    /// When it is attached.
    pub need: Need,
    /// What it is for, in a few words.
    pub purpose: &'static str,
}

/// Every program. Completions come before issues, so that no completion of the window is missed.
pub const PROGRAMS: [TracedEvent; 19] = [
    TracedEvent {
        program: "block_rq_complete",
        early: Some("early_rq_complete"),
        on_function: None,
        tracepoint: "block_rq_complete",
        subsystem: "block",
        required: true,
        devices: DeviceKind::Requests,
        need: Need::Always,
        purpose: "bytes that arrived, latency",
    },
    TracedEvent {
        program: "block_rq_requeue",
        early: Some("early_rq_requeue"),
        on_function: None,
        tracepoint: "block_rq_requeue",
        subsystem: "block",
        required: true,
        devices: DeviceKind::Requests,
        need: Need::Always,
        purpose: "reads that will be issued again",
    },
    TracedEvent {
        program: "block_rq_issue",
        early: Some("early_rq_issue"),
        on_function: None,
        tracepoint: "block_rq_issue",
        subsystem: "block",
        required: true,
        devices: DeviceKind::Requests,
        need: Need::Always,
        purpose: "reads",
    },
    TracedEvent {
        program: "block_bio_complete",
        early: Some("early_bio_complete"),
        on_function: None,
        tracepoint: "block_bio_complete",
        subsystem: "block",
        required: false,
        devices: DeviceKind::Bios,
        need: Need::Always,
        purpose: "bytes that arrived, latency, on devices without requests",
    },
    TracedEvent {
        program: "block_bio_queue",
        early: Some("early_bio_queue"),
        on_function: None,
        tracepoint: "block_bio_queue",
        subsystem: "block",
        required: false,
        devices: DeviceKind::Bios,
        need: Need::Always,
        purpose: "reads of devices without requests (device mapper, md, zram)",
    },
    TracedEvent {
        program: "filemap_add",
        early: Some("early_filemap_add"),
        on_function: None,
        tracepoint: "mm_filemap_add_to_page_cache",
        subsystem: "filemap",
        required: true,
        devices: DeviceKind::Any,
        need: Need::Always,
        purpose: "page-cache inserts",
    },
    TracedEvent {
        program: "filemap_delete",
        early: Some("early_filemap_delete"),
        on_function: None,
        tracepoint: "mm_filemap_delete_from_page_cache",
        subsystem: "filemap",
        required: true,
        devices: DeviceKind::Any,
        need: Need::Always,
        purpose: "page-cache evictions",
    },
    TracedEvent {
        program: "filemap_fault",
        early: None,
        on_function: Some(("fault_function", "filemap_fault")),
        tracepoint: "mm_filemap_fault",
        subsystem: "filemap",
        required: false,
        devices: DeviceKind::Any,
        need: Need::Always,
        purpose: "page faults on the model",
    },
    TracedEvent {
        program: "filemap_map_pages",
        early: None,
        on_function: Some(("map_pages_function", "filemap_map_pages")),
        tracepoint: "mm_filemap_map_pages",
        subsystem: "filemap",
        required: false,
        devices: DeviceKind::Any,
        need: Need::Always,
        purpose: "first-touch hits",
    },
    TracedEvent {
        program: "filemap_get_pages",
        early: None,
        on_function: None,
        tracepoint: "mm_filemap_get_pages",
        subsystem: "filemap",
        required: false,
        devices: DeviceKind::Any,
        need: Need::Always,
        purpose: "look-ups by read()",
    },
    TracedEvent {
        program: "sched_switch",
        early: None,
        on_function: None,
        tracepoint: "sched_switch",
        subsystem: "sched",
        required: false,
        devices: DeviceKind::Any,
        need: Need::PageRecords,
        purpose: "waits for folios of the model, and other waits",
    },
    TracedEvent {
        program: "reclaim_end",
        early: None,
        on_function: None,
        tracepoint: "mm_vmscan_direct_reclaim_end",
        subsystem: "vmscan",
        required: false,
        devices: DeviceKind::Any,
        need: Need::PageRecords,
        purpose: "time in direct reclaim",
    },
    TracedEvent {
        program: "reclaim_begin",
        early: None,
        on_function: None,
        tracepoint: "mm_vmscan_direct_reclaim_begin",
        subsystem: "vmscan",
        required: false,
        devices: DeviceKind::Any,
        need: Need::PageRecords,
        purpose: "time in direct reclaim",
    },
    TracedEvent {
        program: "cgroup_reclaim_end",
        early: None,
        on_function: None,
        tracepoint: "mm_vmscan_memcg_reclaim_end",
        subsystem: "vmscan",
        required: false,
        devices: DeviceKind::Any,
        need: Need::PageRecords,
        purpose: "time in the reclaim of a cgroup",
    },
    TracedEvent {
        program: "cgroup_reclaim_begin",
        early: None,
        on_function: None,
        tracepoint: "mm_vmscan_memcg_reclaim_begin",
        subsystem: "vmscan",
        required: false,
        devices: DeviceKind::Any,
        need: Need::PageRecords,
        purpose: "time in the reclaim of a cgroup",
    },
    TracedEvent {
        program: "audit_queue",
        early: None,
        on_function: None,
        tracepoint: "block_bio_queue",
        subsystem: "block",
        required: false,
        devices: DeviceKind::Requests,
        need: Need::Audit,
        purpose: "queued bios, for the audit",
    },
    TracedEvent {
        program: "audit_request",
        early: None,
        on_function: None,
        tracepoint: "block_getrq",
        subsystem: "block",
        required: false,
        devices: DeviceKind::Requests,
        need: Need::Audit,
        purpose: "allocated requests, for the audit",
    },
    TracedEvent {
        program: "audit_insert",
        early: None,
        on_function: None,
        tracepoint: "block_rq_insert",
        subsystem: "block",
        required: false,
        devices: DeviceKind::Requests,
        need: Need::Audit,
        purpose: "requests inserted in a scheduler, for the audit",
    },
    TracedEvent {
        program: "audit_remap",
        early: None,
        on_function: None,
        tracepoint: "block_bio_remap",
        subsystem: "block",
        required: false,
        devices: DeviceKind::Requests,
        need: Need::Audit,
        purpose: "remapped bios, for the audit",
    },
];
