//! The traced window: from the opening of the gate to its closing, with the devices' own counters on both
//! sides, and the task that reads the ring buffer meanwhile.

use std::time::Duration;

use anyhow::Context as _;
use tokio::{
    sync::{
        mpsc::{UnboundedReceiver, UnboundedSender},
        oneshot,
    },
    task::JoinHandle,
    time,
};

use crate::{
    probe::{Aggregates, Detail, ProgramRun, Session, SpanCounts, WAKE_INTERVAL},
    process::monotonic_nanos,
    recording::RecordingThread,
    schema::BudgetRecord,
    stats::Nanos,
    storage::{BlockDevice, DeviceStatistics, Sysfs},
};

use super::{
    onlooker::{Collector, RunSoFar},
    stream::Stream,
    watch::budget::BudgetWatch,
    watch::probe_finder::SessionRequest,
};

/// A device's own counters around one side of the gate. The gate's true moment lies between the two.
#[derive(Clone, Debug)]
pub struct Bracket {
    /// Before the gate was moved.
    pub before: Option<DeviceStatistics>,
    /// After it was moved.
    pub after: Option<DeviceStatistics>,
}

/// A window whose gate is open.
pub struct Window {
    reader: JoinHandle<anyhow::Result<Read>>,
    stop: Option<oneshot::Sender<()>>,
    disks: Vec<BlockDevice>,
    opening: Vec<Bracket>,
    opened_nanos: u64,
    cpu_at_open: Duration,
}

/// A window whose gate has closed, with all that was observed.
pub struct ClosedWindow {
    /// The stream of records, accumulated.
    pub stream: Stream,
    /// What the kernel side counted.
    pub aggregates: Aggregates,
    /// Whether the kernel side counted each model's reads.
    pub kernel_counts: bool,
    /// Whether waits in `read()` can be told by the look-up that follows in the same call.
    pub reads_are_told: bool,
    /// What gave records.
    pub detail: Detail,
    /// What was counted by place, and how many slices of time could not begin, where counts are kept so.
    pub by_place: Option<(SpanCounts, u64)>,
    /// What the kernel counted for each program.
    pub programs: Vec<ProgramRun>,
    /// `CLOCK_MONOTONIC` of the opening, nanoseconds.
    pub opened_nanos: u64,
    /// `CLOCK_MONOTONIC` of the closing, nanoseconds.
    pub closed_nanos: u64,
    /// The devices' counters around the opening, by disk slot.
    pub opening: Vec<Bracket>,
    /// The devices' counters around the closing, by disk slot.
    pub closing: Vec<Bracket>,
    /// CPU time of the tracer's process in the window.
    pub tracer_cpu: Duration,
    /// What could not be done while the window was open.
    pub faults: Vec<String>,
    /// The figures that whoever looked on is shown last.
    pub last_figures: Option<RunSoFar>,
    /// What tracing cost, where there is a budget.
    pub budget: Option<BudgetRecord>,
    /// The recording that ended when the run stepped down.
    pub left_recording: Option<RecordingThread>,
}

/// How often the counters are read again where other traffic moves them while the gate moves.
const BRACKET_ATTEMPTS: u32 = 20;

impl Window {
    /// Opens the gate and begins to read the ring buffer.
    ///
    /// # Errors
    /// The gate could not be opened.
    pub fn open(
        mut session: Session,
        stream: impl FnOnce(Nanos) -> anyhow::Result<Stream>,
        disks: Vec<BlockDevice>,
        requests: UnboundedReceiver<SessionRequest>,
        collector: Option<Collector>,
        budget: Option<BudgetWatch>,
    ) -> anyhow::Result<Self> {
        // Opened and found moving, the gate cannot be closed again without losing the window's start, so a
        // quiet moment is waited for first; on a device that never rests the bracket stays open.
        for _ in 0..BRACKET_ATTEMPTS {
            let first = statistics(&disks);
            std::thread::sleep(Duration::from_millis(2));
            if first == statistics(&disks) {
                break;
            }
        }
        let before = statistics(&disks);
        let opened_nanos = monotonic_nanos();
        session.open_gate()?;
        let after = statistics(&disks);
        let cpu_at_open = own_cpu_time();
        let (stop, stopped) = oneshot::channel();
        let mut stream = stream(Nanos(opened_nanos))?;
        let collector = collector.map(|mut collector| {
            collector.begin(Nanos(opened_nanos), cpu_at_open);
            stream.look_on(Nanos(opened_nanos));
            collector
        });
        let read = Read {
            session,
            stream,
            collector,
            budget: budget.map(|mut budget| {
                budget.begin(cpu_at_open);
                budget
            }),
            left_recording: None,
            faults: Vec::new(),
        };
        let reader = tokio::spawn(read.until(stopped, requests));
        Ok(Self {
            reader,
            stop: Some(stop),
            disks,
            opening: brackets(before, after),
            opened_nanos,
            cpu_at_open,
        })
    }

    /// `CLOCK_MONOTONIC` of the opening, nanoseconds.
    #[must_use]
    pub const fn opened_nanos(&self) -> u64 {
        self.opened_nanos
    }

    /// Closes the gate, reads the rest of the ring buffer and the kernel's maps: once.
    ///
    /// # Errors
    /// A record that is none, a map that cannot be read.
    pub async fn close(&mut self) -> anyhow::Result<ClosedWindow> {
        if let Some(stop) = self.stop.take() {
            // The reader may have stopped with an error, which comes out of the join.
            let _ = stop.send(());
        }
        let Read {
            mut session,
            mut stream,
            collector,
            budget,
            left_recording,
            faults,
        } = (&mut self.reader)
            .await
            .context("the reader of the ring buffer panicked")??;
        let idle_since = idle_since(&self.disks);
        let before = statistics(&self.disks);
        session.close_gate()?;
        let closed_nanos = monotonic_nanos();
        let after = statistics(&self.disks);
        stream.begin_batch();
        session.drain_rest(|record| stream.take(record))?;
        session.take_slices(true, |slice| stream.slice(&slice))?;
        let last_figures = collector
            .map(|mut collector| collector.collect(&session, &mut stream, own_cpu_time(), true))
            .transpose()?;
        let tracer_cpu = own_cpu_time().saturating_sub(self.cpu_at_open);
        observed(
            &session,
            stream,
            &idle_since,
            Around {
                opened_nanos: self.opened_nanos,
                closed_nanos,
                opening: std::mem::take(&mut self.opening),
                closing: brackets(before, after),
                tracer_cpu,
                faults,
                last_figures,
                budget: budget.map(BudgetWatch::finish),
                left_recording,
            },
        )
    }

    /// The window as if it closed now, while it goes on: the parts of it are some milliseconds apart.
    ///
    /// # Errors
    /// A map that cannot be read; the window is closing.
    pub async fn so_far(
        &self,
        requests: &UnboundedSender<SessionRequest>,
    ) -> anyhow::Result<ClosedWindow> {
        let (sender, answer) = oneshot::channel();
        let around = Around {
            opened_nanos: self.opened_nanos,
            closed_nanos: monotonic_nanos(),
            opening: self.opening.clone(),
            closing: brackets(statistics(&self.disks), statistics(&self.disks)),
            tracer_cpu: own_cpu_time().saturating_sub(self.cpu_at_open),
            faults: Vec::new(),
            last_figures: None,
            budget: None,
            left_recording: None,
        };
        let idle_since = vec![None; self.disks.len()];
        let look = move |session: &Session, stream: &Stream| {
            // Nobody waits any more.
            let _ = sender.send(observed(session, stream.copied(), &idle_since, around));
        };
        requests
            .send(SessionRequest::Look(Box::new(look)))
            .ok()
            .context("the window is closing")?;
        answer.await.context("the window is closing")?
    }
}

/// What is known around a window.
struct Around {
    opened_nanos: u64,
    closed_nanos: u64,
    opening: Vec<Bracket>,
    closing: Vec<Bracket>,
    tracer_cpu: Duration,
    faults: Vec<String>,
    last_figures: Option<RunSoFar>,
    budget: Option<BudgetRecord>,
    left_recording: Option<RecordingThread>,
}

/// Reads what the kernel side counted, and puts it to what was recorded.
fn observed(
    session: &Session,
    stream: Stream,
    idle_since: &[Option<u64>],
    around: Around,
) -> anyhow::Result<ClosedWindow> {
    Ok(ClosedWindow {
        kernel_counts: session.counts_models(),
        reads_are_told: session.tells_waits_of_reads(),
        detail: session.detail(),
        by_place: session.span_counts(),
        aggregates: session.aggregates(idle_since)?,
        programs: session.program_runs()?,
        stream,
        opened_nanos: around.opened_nanos,
        closed_nanos: around.closed_nanos,
        opening: around.opening,
        closing: around.closing,
        tracer_cpu: around.tracer_cpu,
        faults: around.faults,
        last_figures: around.last_figures,
        budget: around.budget,
        left_recording: around.left_recording,
    })
}

/// How often the reader comes while there is nothing to read. A ring that fills faster wakes it.
const LONGEST_WAKE_INTERVAL: Duration = Duration::from_millis(640);
/// The same where somebody looks on.
const LONGEST_SHOWN_INTERVAL: Duration = Duration::from_millis(160);

/// The reader of the ring buffer, and what it leaves.
struct Read {
    session: Session,
    stream: Stream,
    /// Where somebody looks on.
    collector: Option<Collector>,
    /// Where tracing may cost so much only.
    budget: Option<BudgetWatch>,
    left_recording: Option<RecordingThread>,
    /// What it was asked for and could not do.
    faults: Vec<String>,
}

impl Read {
    /// Reads the ring buffer until it is told to stop.
    async fn until(
        mut self,
        mut stopped: oneshot::Receiver<()>,
        mut requests: UnboundedReceiver<SessionRequest>,
    ) -> anyhow::Result<Self> {
        let mut interval = WAKE_INTERVAL;
        let longest = match self.collector {
            Some(_) => LONGEST_SHOWN_INTERVAL,
            None => LONGEST_WAKE_INTERVAL,
        };
        loop {
            let due = self.budget.as_ref().map(BudgetWatch::due);
            tokio::select! {
                _ = &mut stopped => return Ok(self),
                Some(request) = requests.recv() => {
                    if let Err(error) = self.serve(request) {
                        self.faults.push(format!("{error:#}"));
                    }
                    continue;
                }
                filling = self.session.filling() => filling.context("cannot wait for the ring buffer")?,
                () = time::sleep(interval) => {}
                () = at(due), if due.is_some() => {
                    if let Err(error) = self.look_at_cost() {
                        self.faults.push(format!("what tracing costs could not be told: {error:#}"));
                        self.budget = None;
                    }
                    continue;
                }
            }
            interval = if self.take_in()? {
                WAKE_INTERVAL
            } else {
                (interval * 2).min(longest)
            };
        }
    }

    /// Takes in what is there. False where there is no record.
    fn take_in(&mut self) -> anyhow::Result<bool> {
        let Self {
            session, stream, ..
        } = self;
        stream.begin_batch();
        let mut received = false;
        let until_ns = session.drain(|record| {
            received = true;
            stream.take(record);
        })?;
        session.take_slices(false, |slice| stream.slice(&slice))?;
        stream.end_batch(Nanos(until_ns));
        Ok(received)
    }

    fn look_at_cost(&mut self) -> anyhow::Result<()> {
        let Some(budget) = &mut self.budget else {
            return Ok(());
        };
        let events = self.stream.shown_events();
        if budget.look(&self.session, events, own_cpu_time())? && self.session.can_step_down() {
            self.session.step_down()?;
            self.left_recording = self.stream.step_down();
            budget.stepped_down();
        }
        Ok(())
    }

    fn serve(&mut self, request: SessionRequest) -> anyhow::Result<()> {
        match request {
            SessionRequest::Probe { file, point } => {
                self.session.probe(&file, point)?;
                self.stream.probed(Nanos(monotonic_nanos()));
                Ok(())
            }
            SessionRequest::EngineProcess(process_id) => {
                self.session.add_engine_process(process_id)
            }
            SessionRequest::EngineStarted => self.session.has_started_engine(),
            SessionRequest::Answer(sender) => {
                // Nobody waits any more.
                let _ = sender.send(());
                Ok(())
            }
            SessionRequest::Look(look) => {
                look(&self.session, &self.stream);
                Ok(())
            }
            SessionRequest::Figures(sender) => {
                if let Some(collector) = &mut self.collector {
                    let figures = collector.collect(
                        &self.session,
                        &mut self.stream,
                        own_cpu_time(),
                        false,
                    )?;
                    // The same.
                    let _ = sender.try_send(figures);
                }
                Ok(())
            }
        }
    }
}

/// At a moment; never where there is none.
async fn at(moment: Option<std::time::Instant>) {
    match moment {
        Some(moment) => time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}

/// By disk: a moment before the closing at which the device had nothing in flight. Whatever had been issued
/// by then was done, whether or not a program was shown its completion. None for a device that is never
/// idle, or that does not count.
fn idle_since(disks: &[BlockDevice]) -> Vec<Option<u64>> {
    let mut since = vec![None; disks.len()];
    for attempt in 0..BRACKET_ATTEMPTS {
        if attempt > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let now = monotonic_nanos();
        for ((disk, since), device) in disks.iter().zip(&mut since).zip(statistics(disks)) {
            if disk.counts() && device.is_some_and(|device| device.in_flight == 0) {
                *since = Some(now);
            }
        }
        if since.iter().all(Option::is_some) {
            break;
        }
    }
    since
}

fn statistics(disks: &[BlockDevice]) -> Vec<Option<DeviceStatistics>> {
    let sysfs = Sysfs::default();
    disks
        .iter()
        .map(|disk| sysfs.statistics(disk.device).ok())
        .collect()
}

fn brackets(
    before: Vec<Option<DeviceStatistics>>,
    after: Vec<Option<DeviceStatistics>>,
) -> Vec<Bracket> {
    before
        .into_iter()
        .zip(after)
        .map(|(before, after)| Bracket { before, after })
        .collect()
}

fn own_cpu_time() -> Duration {
    use nix::sys::{
        resource::{UsageWho, getrusage},
        time::TimeValLike as _,
    };
    getrusage(UsageWho::RUSAGE_SELF).map_or(Duration::ZERO, |usage| {
        let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
        Duration::from_micros(micros.unsigned_abs())
    })
}
