//! The engine's processes: those that the user side names, and what they start, from its first instruction on.

use tracer_common::{engine::MEMBER, program::Program, record::Kind};

use crate::{
    emit::lose,
    field::Task,
    maps::{ENGINE_MARKS, ENGINE_PROCESSES},
    marks::{is_marked, mark},
    settings::setting,
};

/// Whether a process may be one of the engine's. No means no.
#[inline(always)]
pub fn may_hold(process_id: u32) -> bool {
    is_marked(&ENGINE_MARKS, process_id)
}

/// Whether waits of a process count.
#[inline(always)]
pub fn holds(process_id: u32) -> bool {
    ENGINE_PROCESSES
        .get_ptr(process_id)
        // SAFETY: a byte of the map.
        .is_some_and(|state| unsafe { *state } == MEMBER)
}

/// A process or a thread was made, and has not run yet.
#[inline(always)]
pub fn started(parent: Task, child: Task) {
    if setting!(records) == 0 {
        return;
    }
    let parent_id = parent.process_id();
    if !may_hold(parent_id) {
        return;
    }
    let child_id = child.process_id();
    if child_id == parent_id || ENGINE_PROCESSES.get_ptr(parent_id).is_none() {
        return;
    }
    mark(&ENGINE_MARKS, child_id);
    if ENGINE_PROCESSES.insert(child_id, MEMBER, 0).is_err() {
        lose(Program::ProcessFork, Kind::Wait);
    }
}

/// The last of a process's threads to go is the one that the process is named after.
#[inline(always)]
pub fn gone(task: Task) {
    if setting!(records) == 0 {
        return;
    }
    let process_id = task.process_id();
    if may_hold(process_id) && task.thread_id() == process_id {
        let _ = ENGINE_PROCESSES.remove(process_id);
    }
}
