//! The programs, the tracepoints that they sit on, and the arguments that they read there.

use tracer_common::program::Program;

use super::{Detail, types::Value};

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
    Always,
    /// From this level on.
    From(Detail),
}

/// An argument that a program reads.
#[derive(Clone, Copy, Debug)]
pub struct Argument {
    pub name: &'static str,
    /// Where it may be, from 0 on; it is told by its type. Where there are several, the program knows them all.
    pub positions: &'static [u32],
    /// What the program takes it for.
    pub value: Value,
}

/// A function of the kernel that a program sits on (fentry) where the kernel has no tracepoint in it.
#[derive(Clone, Copy, Debug)]
pub struct StandIn {
    pub function: &'static str,
    /// What the program reads of its arguments.
    pub arguments: &'static [Argument],
}

const fn argument(name: &'static str, positions: &'static [u32], value: Value) -> Argument {
    Argument {
        name,
        positions,
        value,
    }
}

/// First since Linux 5.11, before that after the queue (commit a54895fa057c).
const REQUEST: Argument = argument("request", &[0, 1], Value::Pointer("request"));
/// As [`REQUEST`].
const BIO: Argument = argument("bio", &[0, 1], Value::Pointer("bio"));
const COMPLETED_BIO: [Argument; 1] = [argument("bio", &[1], Value::Pointer("bio"))];
const FOLIO: Argument = argument("folio", &[0], Value::Folio);
const MAPPING: Argument = argument("mapping", &[0], Value::Pointer("address_space"));
const FIRST_PAGE: Argument = argument("first page", &[1], Value::Integer(8));
const LAST_PAGE: Argument = argument("last page", &[2], Value::Integer(8));
const FAULT: Argument = argument("fault", &[0], Value::Pointer("vm_fault"));
const COMPLETION: [Argument; 3] = [
    argument("request", &[0], Value::Pointer("request")),
    // `blk_status_t`, or an errno on older kernels; no errno has a lowest byte of 0.
    argument("status", &[1], Value::LowestOf(&[1, 4])),
    argument("bytes", &[2], Value::Integer(4)),
];
const SWITCH: [Argument; 3] = [
    argument(
        "whether the previous task is preempted",
        &[0],
        Value::Integer(1),
    ),
    argument("previous task", &[1], Value::Pointer("task_struct")),
    argument("next task", &[2], Value::Pointer("task_struct")),
];

const FORK: [Argument; 2] = [
    argument("parent", &[0], Value::Pointer("task_struct")),
    argument("child", &[1], Value::Pointer("task_struct")),
];
const TASK: Argument = argument("task", &[0], Value::Pointer("task_struct"));

/// A program of the eBPF object and its tracepoint.
#[derive(Clone, Copy, Debug)]
pub struct TracedEvent {
    /// The program. Its early twin is for kernels that cannot count models ([`super::KernelTypes::counts_models`]).
    pub program: Program,
    /// What takes its place on kernels without the tracepoint.
    pub on_function: Option<StandIn>,
    /// Name of the tracepoint.
    pub tracepoint: &'static str,
    /// What the program reads of its arguments.
    pub arguments: &'static [Argument],
    /// Classes of tracepoints that it belongs to, on some kernel: its record is that of the first one there is, where it
    /// has none of its own (`DECLARE_EVENT_CLASS`).
    pub classes: &'static [&'static str],
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

/// The tracepoint that a program sits on, and what it reads there; None for those that sit on an engine's functions.
#[must_use]
pub const fn traced_event(program: Program) -> Option<TracedEvent> {
    Some(match program {
        Program::BlockComplete => TracedEvent {
            program,
            on_function: None,
            tracepoint: "block_rq_complete",
            arguments: &COMPLETION,
            classes: &["block_rq_completion"],
            subsystem: "block",
            required: true,
            devices: DeviceKind::Requests,
            need: Need::Always,
            purpose: "bytes that arrived, latency, reads whose issue no program saw",
        },
        Program::BlockRequeue => TracedEvent {
            program,
            on_function: None,
            tracepoint: "block_rq_requeue",
            arguments: &[REQUEST],
            classes: &["block_rq"],
            subsystem: "block",
            required: true,
            devices: DeviceKind::Requests,
            need: Need::Always,
            purpose: "reads that will be issued again",
        },
        Program::BlockIssue => TracedEvent {
            program,
            on_function: None,
            tracepoint: "block_rq_issue",
            arguments: &[REQUEST],
            classes: &["block_rq"],
            subsystem: "block",
            required: true,
            devices: DeviceKind::Requests,
            need: Need::Always,
            purpose: "reads",
        },
        Program::BioComplete => TracedEvent {
            program,
            on_function: None,
            tracepoint: "block_bio_complete",
            arguments: &COMPLETED_BIO,
            classes: &["block_bio"],
            subsystem: "block",
            required: false,
            devices: DeviceKind::Bios,
            need: Need::Always,
            purpose: "bytes that arrived, latency, on devices without requests",
        },
        Program::BioQueue => TracedEvent {
            program,
            on_function: None,
            tracepoint: "block_bio_queue",
            arguments: &[BIO],
            classes: &["block_bio"],
            subsystem: "block",
            required: false,
            devices: DeviceKind::Bios,
            need: Need::Always,
            purpose: "reads of devices without requests (device mapper, md, zram)",
        },
        Program::PageInsert => TracedEvent {
            program,
            on_function: None,
            tracepoint: "mm_filemap_add_to_page_cache",
            arguments: &[FOLIO],
            classes: &["mm_filemap_op_page_cache"],
            subsystem: "filemap",
            required: true,
            devices: DeviceKind::Any,
            need: Need::Always,
            purpose: "page-cache inserts",
        },
        Program::PageEvict => TracedEvent {
            program,
            on_function: None,
            tracepoint: "mm_filemap_delete_from_page_cache",
            arguments: &[FOLIO],
            classes: &["mm_filemap_op_page_cache"],
            subsystem: "filemap",
            required: true,
            devices: DeviceKind::Any,
            need: Need::Always,
            purpose: "page-cache evictions",
        },
        Program::PageFault => TracedEvent {
            program,
            on_function: Some(StandIn {
                function: "filemap_fault",
                arguments: &[FAULT],
            }),
            tracepoint: "mm_filemap_fault",
            arguments: &[MAPPING, FIRST_PAGE],
            classes: &[],
            subsystem: "filemap",
            required: false,
            devices: DeviceKind::Any,
            need: Need::Always,
            purpose: "page faults on the model",
        },
        Program::PageMap => TracedEvent {
            program,
            on_function: Some(StandIn {
                function: "filemap_map_pages",
                arguments: &[FAULT, FIRST_PAGE, LAST_PAGE],
            }),
            tracepoint: "mm_filemap_map_pages",
            arguments: &[MAPPING, FIRST_PAGE, LAST_PAGE],
            classes: &["mm_filemap_op_page_cache_range"],
            subsystem: "filemap",
            required: false,
            devices: DeviceKind::Any,
            need: Need::Always,
            purpose: "first-touch hits",
        },
        Program::PageLookup => TracedEvent {
            program,
            on_function: None,
            tracepoint: "mm_filemap_get_pages",
            arguments: &[MAPPING, FIRST_PAGE, LAST_PAGE],
            classes: &["mm_filemap_op_page_cache_range"],
            subsystem: "filemap",
            required: false,
            devices: DeviceKind::Any,
            need: Need::Always,
            purpose: "look-ups by read()",
        },
        Program::Switch => TracedEvent {
            program,
            on_function: None,
            tracepoint: "sched_switch",
            arguments: &SWITCH,
            classes: &[],
            subsystem: "sched",
            required: false,
            devices: DeviceKind::Any,
            need: Need::From(Detail::Events),
            purpose: "waits for folios of the model, and other waits",
        },
        Program::ReclaimEnd => TracedEvent {
            program,
            on_function: None,
            tracepoint: "mm_vmscan_direct_reclaim_end",
            arguments: &[],
            classes: &["mm_vmscan_direct_reclaim_end_template"],
            subsystem: "vmscan",
            required: false,
            devices: DeviceKind::Any,
            need: Need::From(Detail::Events),
            purpose: "time in direct reclaim",
        },
        Program::ReclaimBegin => TracedEvent {
            program,
            on_function: None,
            tracepoint: "mm_vmscan_direct_reclaim_begin",
            arguments: &[],
            classes: &["mm_vmscan_direct_reclaim_begin_template"],
            subsystem: "vmscan",
            required: false,
            devices: DeviceKind::Any,
            need: Need::From(Detail::Events),
            purpose: "time in direct reclaim",
        },
        Program::CgroupReclaimEnd => TracedEvent {
            program,
            on_function: None,
            tracepoint: "mm_vmscan_memcg_reclaim_end",
            arguments: &[],
            classes: &["mm_vmscan_direct_reclaim_end_template"],
            subsystem: "vmscan",
            required: false,
            devices: DeviceKind::Any,
            need: Need::From(Detail::Events),
            purpose: "time in the reclaim of a cgroup",
        },
        Program::CgroupReclaimBegin => TracedEvent {
            program,
            on_function: None,
            tracepoint: "mm_vmscan_memcg_reclaim_begin",
            arguments: &[],
            classes: &["mm_vmscan_direct_reclaim_begin_template"],
            subsystem: "vmscan",
            required: false,
            devices: DeviceKind::Any,
            need: Need::From(Detail::Events),
            purpose: "time in the reclaim of a cgroup",
        },
        Program::AuditQueue => TracedEvent {
            program,
            on_function: None,
            tracepoint: "block_bio_queue",
            arguments: &[BIO],
            classes: &["block_bio"],
            subsystem: "block",
            required: false,
            devices: DeviceKind::Requests,
            need: Need::From(Detail::Audit),
            purpose: "queued bios, for the audit",
        },
        Program::AuditRequest => TracedEvent {
            program,
            on_function: None,
            tracepoint: "block_getrq",
            arguments: &[BIO],
            classes: &["block_get_rq", "block_bio"],
            subsystem: "block",
            required: false,
            devices: DeviceKind::Requests,
            need: Need::From(Detail::Audit),
            purpose: "allocated requests, for the audit",
        },
        Program::AuditInsert => TracedEvent {
            program,
            on_function: None,
            tracepoint: "block_rq_insert",
            arguments: &[REQUEST],
            classes: &["block_rq"],
            subsystem: "block",
            required: false,
            devices: DeviceKind::Requests,
            need: Need::From(Detail::Audit),
            purpose: "requests inserted in a scheduler, for the audit",
        },
        Program::AuditRemap => TracedEvent {
            program,
            on_function: None,
            tracepoint: "block_bio_remap",
            arguments: &[BIO],
            classes: &[],
            subsystem: "block",
            required: false,
            devices: DeviceKind::Requests,
            need: Need::From(Detail::Audit),
            purpose: "remapped bios, for the audit",
        },
        Program::ProcessFork => TracedEvent {
            program,
            on_function: None,
            tracepoint: "sched_process_fork",
            arguments: &FORK,
            classes: &[],
            subsystem: "sched",
            required: false,
            devices: DeviceKind::Any,
            need: Need::From(Detail::Events),
            purpose: "processes that the engine starts",
        },
        Program::ProcessFree => TracedEvent {
            program,
            on_function: None,
            tracepoint: "sched_process_free",
            arguments: &[TASK],
            classes: &["sched_process_template"],
            subsystem: "sched",
            required: false,
            devices: DeviceKind::Any,
            need: Need::From(Detail::Events),
            purpose: "processes of the engine that are gone",
        },
        Program::MarkEntry | Program::MarkReturn => return None,
    })
}

/// The events of all programs, in the order in which they are attached. Completions come before issues, so that no
/// completion of the window is missed.
pub fn traced_events() -> impl Iterator<Item = TracedEvent> {
    Program::ALL.iter().copied().filter_map(traced_event)
}
