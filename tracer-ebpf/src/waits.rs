//! Threads that wait: for a folio of a model, for other I/O, for reclaim, for a lock.
//!
//! A thread that sleeps for I/O says so in `task_struct.in_iowait`, which is still set when it comes back to a
//! CPU; so a switch that has to do with no such thread costs a few loads, and one that has to do with a thread of others one
//! more: tables of marks tell that it is in none of the hash maps. What it waits for is told from its last
//! page-cache event: a page fault on the model is followed by nothing else before its wait. A `read()` says only
//! after its wait which file it was for (`mm_filemap_get_pages`).

use aya_ebpf::helpers::{bpf_get_current_pid_tgid, generated::bpf_ktime_get_ns};
use tracer_common::{
    page::{FileSlot, WaitingThread, touch},
    program::Program,
    record::{Kind, KindByte, WaitRecord, wait_kind},
};

use crate::{
    abilities::{Abilities, Early},
    atomic,
    emit::{emit, lose},
    engine,
    field::Task,
    gate,
    maps::{
        FAULT_MARKS, LOCK_WAITS, RECLAIMING_THREADS, THREAD_TOUCHES, WAITING_MARKS, WAITING_THREADS,
    },
    marks::{is_marked, mark},
    settings::setting,
};

/// `TASK_UNINTERRUPTIBLE` of `include/linux/sched.h`, set in every sleep that signals do not end.
const TASK_UNINTERRUPTIBLE: u32 = 2;
/// `PF_MEMALLOC`: the thread reclaims, which is accounted for apart.
const PF_MEMALLOC: u32 = 0x0000_0800;
/// A look-up of the same call of `read()` comes within this time after the wait, if the thread is not preempted in between.
/// What it waited for before the call (a page of another file that is mapped, a directory) has as many finished calls.
/// On a busy machine milliseconds come in between: 50 µs were too short for 3 to 5 % of the waits, 1 ms for 2 %.
const LOOKUP_FOLLOWS_WITHIN_NS: u64 = 10_000_000;

/// A wait of which nothing is known.
const NOT_ENDED: WaitingThread = WaitingThread {
    start_ns: 0,
    end_ns: 0,
    run_time_ns: 0,
    look_up_ns: 0,
    read_calls: 0,
    kind: 0,
    file: 0,
    page: 0,
    process_id: 0,
    was_preempted: 0,
    reserved: 0,
};

/// `sched_switch`.
#[inline(always)]
pub fn switch(previous_is_preempted: bool, previous: Task, next: Task) {
    if !gate::is_open() || setting!(records) == 0 {
        return;
    }
    if next.is_in_io_wait() || locks_are_waited_for() {
        let thread_id = next.thread_id();
        if is_marked(&WAITING_MARKS, thread_id) {
            end(thread_id);
        }
    }
    if setting!(hides_from_process_1) != 0 && is_marked(&WAITING_MARKS, previous.thread_id()) {
        end_unseen(previous);
    }
    if previous_is_preempted {
        // It does not sleep, whatever it was about to do: another thread wants the processor.
        if is_marked(&WAITING_MARKS, previous.thread_id()) {
            preempt(previous.thread_id());
        }
        return;
    }
    let in_io_wait = previous.is_in_io_wait();
    if (in_io_wait || previous.state() & TASK_UNINTERRUPTIBLE != 0)
        && (is_marked(&FAULT_MARKS, previous.thread_id())
            || engine::may_hold(previous.process_id()))
    {
        begin(previous, in_io_wait);
    }
}

/// The last page-cache event of a thread is a fault on a model: its wait, if it waits now, is for that.
#[inline(always)]
pub fn faults(thread_id: u32) {
    mark(&FAULT_MARKS, thread_id);
}

#[inline(always)]
fn locks_are_waited_for() -> bool {
    // SAFETY: an aligned word of the map, changed by other CPUs.
    LOCK_WAITS
        .get_ptr(0)
        .is_some_and(|count| unsafe { core::ptr::read_volatile(count) } != 0)
}

#[inline(always)]
fn begin(task: Task, in_io_wait: bool) {
    if task.flags() & PF_MEMALLOC != 0 {
        return;
    }
    let thread_id = task.thread_id();
    let process_id = task.process_id();
    let fault = THREAD_TOUCHES
        .get_ptr(thread_id)
        // SAFETY: only read; events of the thread itself write it, and the thread is not running.
        .map(|touch| unsafe { &*touch })
        .filter(|touch| touch.kind == touch::FAULT);
    // SAFETY: no arguments.
    let start_ns = unsafe { bpf_ktime_get_ns() };
    let run_time_ns = if setting!(hides_from_process_1) == 0 {
        0
    } else {
        task.run_time_ns()
    };
    let waiting = match fault {
        Some(fault) => WaitingThread {
            start_ns,
            run_time_ns,
            kind: u32::from(if in_io_wait {
                wait_kind::MODEL_FOLIO
            } else {
                wait_kind::LOCK
            }),
            file: fault.file,
            page: fault.first_page as u32,
            process_id,
            ..NOT_ENDED
        },
        None if in_io_wait && engine::holds(process_id) => WaitingThread {
            start_ns,
            run_time_ns,
            read_calls: if setting!(counts_read_calls) == 0 {
                0
            } else {
                task.read_calls()
            },
            kind: u32::from(wait_kind::OTHER_IO),
            process_id,
            ..NOT_ENDED
        },
        None => return,
    };
    if let Some(last) = WAITING_THREADS.get_ptr_mut(thread_id) {
        // SAFETY: as in `end`; a wait that has ended and that no look-up followed is complete.
        let last = unsafe { &mut *last };
        if last.end_ns != 0 {
            emit::<Early>(Program::Switch, record_of(last, thread_id));
        }
        *last = waiting;
        if !in_io_wait {
            count_lock_wait(1);
        }
        return;
    }
    mark(&WAITING_MARKS, thread_id);
    if WAITING_THREADS.insert(thread_id, waiting, 0).is_err() {
        lose(Program::Switch, Kind::Wait);
    } else if !in_io_wait {
        count_lock_wait(1);
    }
}

#[inline(always)]
fn end(thread_id: u32) {
    let Some(waiting) = WAITING_THREADS.get_ptr_mut(thread_id) else {
        return;
    };
    // SAFETY: a value of the map; only switches of this very thread change it.
    let waiting = unsafe { &mut *waiting };
    if waiting.end_ns != 0 {
        return;
    }
    // SAFETY: no arguments.
    end_at(thread_id, waiting, unsafe { bpf_ktime_get_ns() });
}

/// A thread leaves its CPU whose return to it was hidden, with process 1 before it there. It has run ever since, so how long
/// it ran says when it came back.
#[inline(always)]
fn end_unseen(task: Task) {
    let thread_id = task.thread_id();
    let Some(waiting) = WAITING_THREADS.get_ptr_mut(thread_id) else {
        return;
    };
    // SAFETY: as in `end`.
    let waiting = unsafe { &mut *waiting };
    if waiting.end_ns != 0 {
        return;
    }
    // SAFETY: no arguments.
    let now_ns = unsafe { bpf_ktime_get_ns() };
    let ran_ns = task.run_time_ns().wrapping_sub(waiting.run_time_ns);
    let end_ns = now_ns.saturating_sub(ran_ns).max(waiting.start_ns);
    if waiting.look_up_ns != 0 {
        if waiting.look_up_ns.saturating_sub(end_ns) <= LOOKUP_FOLLOWS_WITHIN_NS {
            waiting.kind = u32::from(wait_kind::MODEL_FOLIO);
        } else {
            waiting.file = 0;
            waiting.page = 0;
        }
    }
    end_at(thread_id, waiting, end_ns);
}

/// A thread has to leave its processor. If that is between its wait and its look-up, the look-up may be late.
#[inline(always)]
fn preempt(thread_id: u32) {
    let Some(waiting) = WAITING_THREADS.get_ptr_mut(thread_id) else {
        return;
    };
    // SAFETY: as in `end`.
    let waiting = unsafe { &mut *waiting };
    // SAFETY: no arguments.
    let now_ns = unsafe { bpf_ktime_get_ns() };
    if waiting.end_ns != 0 && now_ns.wrapping_sub(waiting.end_ns) <= LOOKUP_FOLLOWS_WITHIN_NS {
        waiting.was_preempted = 1;
    }
}

/// A wait has ended.
#[inline(always)]
fn end_at(thread_id: u32, waiting: &mut WaitingThread, end_ns: u64) {
    waiting.end_ns = end_ns;
    if waiting.kind == u32::from(wait_kind::OTHER_IO) {
        // A look-up may follow and say what it was for.
        return;
    }
    if waiting.kind == u32::from(wait_kind::LOCK) {
        count_lock_wait(u64::MAX);
    }
    emit::<Early>(Program::Switch, record_of(waiting, thread_id));
    let _ = WAITING_THREADS.remove(thread_id);
}

#[inline(always)]
fn count_lock_wait(change: u64) {
    if let Some(count) = LOCK_WAITS.get_ptr_mut(0) {
        // SAFETY: an aligned word of the map.
        unsafe { atomic::add(count, change) };
    }
}

/// A look-up by the current thread found pages of a file: a wait before it in the same call of `read()` was for them.
#[inline(always)]
pub fn look_up_found<A: Abilities>(file: &FileSlot, first_page: u64, time_ns: u64) {
    if setting!(records) == 0 || setting!(counts_read_calls) == 0 {
        return;
    }
    let thread_id = bpf_get_current_pid_tgid() as u32;
    if !is_marked(&WAITING_MARKS, thread_id) {
        return;
    }
    let Some(waiting) = WAITING_THREADS.get_ptr_mut(thread_id) else {
        return;
    };
    // SAFETY: as in `end`.
    let waiting = unsafe { &mut *waiting };
    if waiting.kind != u32::from(wait_kind::OTHER_IO)
        || waiting.read_calls != Task::current().read_calls()
    {
        return;
    }
    if waiting.end_ns == 0 {
        // Its return was hidden. When that was shows as it leaves the CPU again.
        if waiting.look_up_ns == 0 {
            waiting.look_up_ns = time_ns;
            waiting.file = file.file;
            waiting.page = first_page as u32;
        }
        return;
    }
    let is_late = time_ns.wrapping_sub(waiting.end_ns) > LOOKUP_FOLLOWS_WITHIN_NS;
    if is_late && waiting.was_preempted == 0 {
        return;
    }
    waiting.kind = u32::from(wait_kind::MODEL_FOLIO);
    waiting.file = file.file;
    waiting.page = first_page as u32;
    emit::<A>(Program::PageLookup, record_of(waiting, thread_id));
    let _ = WAITING_THREADS.remove(thread_id);
}

/// The current thread begins to reclaim memory.
#[inline(always)]
pub fn reclaim_begins(program: Program) {
    if !gate::is_open() || setting!(records) == 0 {
        return;
    }
    let process_and_thread = bpf_get_current_pid_tgid();
    let process_id = (process_and_thread >> 32) as u32;
    if !engine::holds(process_id) {
        return;
    }
    // SAFETY: no arguments.
    let start_ns = unsafe { bpf_ktime_get_ns() };
    if RECLAIMING_THREADS
        .insert(process_and_thread as u32, start_ns, 0)
        .is_err()
    {
        lose(program, Kind::Wait);
    }
}

/// The current thread has reclaimed memory.
#[inline(always)]
pub fn reclaim_ends(program: Program) {
    if !gate::is_open() || setting!(records) == 0 {
        return;
    }
    let process_and_thread = bpf_get_current_pid_tgid();
    let thread_id = process_and_thread as u32;
    let Some(start) = RECLAIMING_THREADS.get_ptr(thread_id) else {
        return;
    };
    let waiting = WaitingThread {
        // SAFETY: a value of the map, written by this thread.
        start_ns: unsafe { *start },
        // SAFETY: no arguments.
        end_ns: unsafe { bpf_ktime_get_ns() },
        kind: u32::from(wait_kind::RECLAIM),
        process_id: (process_and_thread >> 32) as u32,
        ..NOT_ENDED
    };
    emit::<Early>(program, record_of(&waiting, thread_id));
    let _ = RECLAIMING_THREADS.remove(thread_id);
}

#[inline(always)]
fn record_of(waiting: &WaitingThread, thread_id: u32) -> WaitRecord {
    WaitRecord {
        kind: KindByte::NEW,
        wait: waiting.kind as u8,
        file: waiting.file as u16,
        thread_id,
        start_ns: waiting.start_ns,
        end_ns: waiting.end_ns,
        process_id: waiting.process_id,
        page: waiting.page,
    }
}
