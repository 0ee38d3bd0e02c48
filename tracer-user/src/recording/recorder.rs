//! Events as they happen → a thread that writes segments. Whoever drains the ring buffer never waits for the disk.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crate::stats::Nanos;

use super::{
    columns::RECORDING_SCHEMA_VERSION,
    end::RecordingEnd,
    error::RecordingError,
    event::{RecordedEvent, Row, Sample},
    reader::segment_name,
    segment::SegmentWriter,
};

/// Rows that are handed over together: so few that an allocator has room for them without asking the kernel for pages.
const BATCH_ROWS: usize = 512;
/// Batches that may wait for the disk: half a million events, about 80 MB.
const WAITING_BATCHES: usize = 1_024;
/// A segment ends with so many rows, whatever the time.
const SEGMENT_ROWS: u64 = 1 << 20;
/// The first segments are this long: what is lost where the tracer is killed.
const SHORTEST_SEGMENT: Duration = Duration::from_secs(5);
/// Later ones take this part of the time so far, so that a long run does not make thousands of files.
const PART_OF_THE_RUN: u32 = 50;
const LONGEST_SEGMENT: Duration = Duration::from_secs(60);
/// Rows that are fewer than a batch go to the thread after this time.
const LONGEST_BATCH: Duration = Duration::from_secs(1);

/// After so many rows the disk is asked whether there is room.
const ROOM_ROWS: u64 = 1 << 16;
/// So much stays free on the disk of the run's folder: its record and its reports have to fit.
const LEFT_FREE_BYTES: u64 = 256 << 20;

/// What the thread is given.
enum Handed {
    Rows(Vec<Row>),
    /// No event is missing before this.
    End,
}

/// Whom a new file is given to.
pub type GiveFile = Box<dyn Fn(&File) -> io::Result<()> + Send>;

/// Takes in the events of one window.
pub struct EventRecorder {
    opened: Nanos,
    batch: Vec<Row>,
    /// When the batch began to be filled.
    since: Instant,
    /// None once the thread is not to be fed any more.
    sender: Option<SyncSender<Handed>>,
    thread: Option<RecordingThread>,
    /// The latest time of an event.
    latest_ns: i64,
}

/// Takes in what others look at meanwhile. It is to be gone before the thread is waited for.
#[derive(Clone)]
pub struct SampleRecorder {
    opened: Nanos,
    sender: SyncSender<Handed>,
}

/// The thread that writes; to be waited for when the recorder is gone.
pub struct RecordingThread {
    thread: JoinHandle<Written>,
}

/// What the thread has written.
struct Written {
    events: u64,
    segments: u64,
    /// All events were handed over.
    whole: bool,
    error: Option<RecordingError>,
}

impl EventRecorder {
    /// Begins a recording in a folder that is there, of a window that opened at `opened`.
    ///
    /// # Errors
    /// The disk is nearly full; no thread can be started.
    pub fn start(folder: &Path, opened: Nanos, give: GiveFile) -> Result<Self, RecordingError> {
        require_room(folder)?;
        let (sender, receiver) = sync_channel(WAITING_BATCHES);
        let segments = Segments::new(folder.to_owned(), give);
        let thread = std::thread::Builder::new()
            .name("recording".to_owned())
            .spawn(move || segments.write_all(&receiver))
            .map_err(|error| RecordingError::Write(format!("no thread for it: {error}")))?;
        Ok(Self {
            opened,
            batch: Vec::with_capacity(BATCH_ROWS),
            since: Instant::now(),
            sender: Some(sender),
            thread: Some(RecordingThread { thread }),
            latest_ns: 0,
        })
    }

    /// For who looks at other things meanwhile.
    #[must_use]
    pub fn samples(&self) -> Option<SampleRecorder> {
        Some(SampleRecorder {
            opened: self.opened,
            sender: self.sender.clone()?,
        })
    }

    /// The thread, for who waits for it.
    pub const fn take_thread(&mut self) -> Option<RecordingThread> {
        self.thread.take()
    }

    /// Takes in an event.
    pub fn record(&mut self, event: &RecordedEvent) {
        let Some(sender) = &self.sender else {
            return;
        };
        let Some(row) = Row::of(event, self.opened, self.latest_ns) else {
            return;
        };
        self.latest_ns = self.latest_ns.max(row.time_ns);
        self.batch.push(row);
        if self.batch.len() < BATCH_ROWS {
            return;
        }
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH_ROWS));
        self.since = Instant::now();
        if sender.try_send(Handed::Rows(batch)).is_err() {
            // The disk is too slow, or the thread has ended with an error. Going on would leave a gap: the recording ends
            // here, and its end says so.
            self.sender = None;
        }
    }

    /// No event comes for a moment: a batch that has waited long enough goes to the thread.
    pub fn pause(&mut self) {
        if !self.batch.is_empty()
            && self.since.elapsed() >= LONGEST_BATCH
            && let Some(sender) = &self.sender
        {
            let batch = std::mem::take(&mut self.batch);
            self.since = Instant::now();
            if sender.try_send(Handed::Rows(batch)).is_err() {
                self.sender = None;
            }
        }
    }
}

impl SampleRecorder {
    /// Takes in a sample. One that finds no room goes: the events have the right of way.
    pub fn record(&self, sample: Sample) {
        if let Some(row) = Row::of(&RecordedEvent::Sample(sample), self.opened, 0) {
            let _ = self.sender.try_send(Handed::Rows(vec![row]));
        }
    }
}

impl Drop for EventRecorder {
    fn drop(&mut self) {
        if let Some(sender) = self.sender.take() {
            // The window is closed: the disk may take its time now. Where the thread has ended, its error is in the end.
            let rows = Handed::Rows(std::mem::take(&mut self.batch));
            let _ = sender.send(rows).and_then(|()| sender.send(Handed::End));
        }
    }
}

impl RecordingThread {
    /// Waits for the last segment. Call it when the recorder has been dropped.
    #[must_use]
    pub fn finish(self, closed_ns: u64) -> RecordingEnd {
        let written = self.thread.join().unwrap_or_else(|_| Written {
            events: 0,
            segments: 0,
            whole: false,
            error: Some(RecordingError::Write(
                "the thread that writes it panicked".to_owned(),
            )),
        });
        let error = written.error.map(|error| error.to_string()).or_else(|| {
            (!written.whole).then(|| {
                format!(
                    "the disk of the run's folder was too slow: only the first {} events are there",
                    written.events
                )
            })
        });
        RecordingEnd {
            schema_version: RECORDING_SCHEMA_VERSION,
            closed_ns,
            events: written.events,
            segments: written.segments,
            error,
        }
    }
}

/// Whether the disk of a folder has room for a recording.
///
/// # Errors
/// It has not, or cannot be asked.
pub fn require_room(folder: &Path) -> Result<(), RecordingError> {
    let space = nix::sys::statvfs::statvfs(folder)
        .map_err(|error| RecordingError::Write(error.to_string()))?;
    let free = space.blocks_available() as u64 * space.fragment_size() as u64;
    if free < LEFT_FREE_BYTES {
        return Err(RecordingError::Write(format!(
            "less than {} MiB are free on the disk of {}, and they are left for the record",
            LEFT_FREE_BYTES >> 20,
            folder.display()
        )));
    }
    Ok(())
}

/// A segment that has no name yet.
struct Open {
    writer: SegmentWriter<File>,
    since: Instant,
}

/// The segments of a recording, one after the other.
struct Segments {
    folder: PathBuf,
    give: GiveFile,
    begun: Instant,
    open: Option<Open>,
    events: u64,
    segments: u64,
}

impl Segments {
    fn new(folder: PathBuf, give: GiveFile) -> Self {
        Self {
            folder,
            give,
            begun: Instant::now(),
            open: None,
            events: 0,
            segments: 0,
        }
    }

    fn write_all(mut self, handed: &Receiver<Handed>) -> Written {
        let mut whole = false;
        let mut written = Ok(());
        while written.is_ok() {
            // The open segment is closed in time also where nothing comes.
            written = match handed.recv_timeout(LONGEST_BATCH) {
                Ok(Handed::Rows(rows)) => rows.into_iter().try_for_each(|row| self.push(row)),
                Ok(Handed::End) => {
                    whole = true;
                    break;
                }
                Err(RecvTimeoutError::Timeout) => Ok(()),
                Err(RecvTimeoutError::Disconnected) => break,
            };
            written = written.and_then(|()| self.close_in_time());
        }
        let written = written.and_then(|()| self.close());
        if written.is_err() {
            let _ = fs::remove_file(self.partial());
        }
        Written {
            events: self.events,
            segments: self.segments,
            whole,
            error: written.err(),
        }
    }

    /// The name of a segment until it is whole. It is not synced: a killed tracer leaves what it has written to the kernel.
    fn partial(&self) -> PathBuf {
        self.folder.join(".events.partial")
    }

    fn push(&mut self, row: Row) -> Result<(), RecordingError> {
        if self.open.is_none() {
            self.open = Some(self.begin()?);
        }
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        open.writer.push(row)?;
        let rows = open.writer.row_count();
        if rows % ROOM_ROWS == 0 {
            require_room(&self.folder)?;
        }
        if rows >= SEGMENT_ROWS {
            self.close()?;
        }
        Ok(())
    }

    fn begin(&self) -> Result<Open, RecordingError> {
        let file = private_file(&self.partial()).and_then(|file| {
            (self.give)(&file)?;
            Ok(file)
        });
        let file = file.map_err(|error| RecordingError::Write(error.to_string()))?;
        Ok(Open {
            writer: SegmentWriter::new(file)?,
            since: Instant::now(),
        })
    }

    fn close_in_time(&mut self) -> Result<(), RecordingError> {
        let length =
            (self.begun.elapsed() / PART_OF_THE_RUN).clamp(SHORTEST_SEGMENT, LONGEST_SEGMENT);
        match &self.open {
            Some(open) if open.since.elapsed() >= length => self.close(),
            _ => Ok(()),
        }
    }

    fn close(&mut self) -> Result<(), RecordingError> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        let rows = open.writer.row_count();
        open.writer.finish()?;
        fs::rename(
            self.partial(),
            self.folder.join(segment_name(self.segments)),
        )
        .map_err(|error| RecordingError::Write(error.to_string()))?;
        self.segments += 1;
        self.events += rows;
        Ok(())
    }
}

/// A new file that nobody but its owner reads.
fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
}
