//! Reads as they happen → a thread that writes them. Whoever drains the ring buffer never waits for the disk.

use std::{
    io::Write,
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    thread::JoinHandle,
};

use super::{
    error::ReadListError, header::ReadListHeader, pending_reads::PendingReads, read_row::ReadRow,
    writer::ReadListWriter,
};

/// Rows that are handed over together: so few that an allocator has room for them without asking the kernel for pages.
const BATCH_ROWS: usize = 512;

/// Batches that may wait for the disk: half a million reads, about 50 MB.
const WAITING_BATCHES: usize = 1_024;

type Batches = SyncSender<Vec<ReadRow>>;
type Sent = Result<(), TrySendError<Vec<ReadRow>>>;

/// Records the reads of one window.
pub struct ReadRecorder<W> {
    pending: PendingReads,
    batch: Vec<ReadRow>,
    /// None once the thread is not to be fed any more.
    sender: Option<Batches>,
    thread: Option<JoinHandle<Result<W, ReadListError>>>,
    reads: u64,
    bytes: u64,
    overrun: bool,
}

/// A list that is whole.
#[derive(Debug)]
pub struct WrittenReads<W> {
    /// Where it was written; not synced yet.
    pub sink: W,
    pub reads: u64,
    /// Their bytes of the models, summed as they were handed over.
    pub bytes: u64,
}

impl<W: Write + Send + 'static> ReadRecorder<W> {
    /// Begins a list and starts its thread.
    ///
    /// # Errors
    /// The first bytes cannot be written; no thread can be started.
    pub fn start(sink: W, header: &ReadListHeader) -> Result<Self, ReadListError> {
        let writer = ReadListWriter::new(sink, header)?;
        let (sender, receiver) = sync_channel(WAITING_BATCHES);
        let thread = std::thread::Builder::new()
            .name("read list".to_owned())
            .spawn(move || write_all(writer, &receiver))
            .map_err(|error| ReadListError::Write(format!("no thread for it: {error}")))?;
        Ok(Self {
            pending: PendingReads::default(),
            batch: Vec::with_capacity(BATCH_ROWS),
            sender: Some(sender),
            thread: Some(thread),
            reads: 0,
            bytes: 0,
            overrun: false,
        })
    }

    /// A read was issued for the first time. Returns the number of its row, or None where nothing is recorded any more.
    pub fn issued(&mut self, row: ReadRow) -> Option<u64> {
        self.sender.as_ref()?;
        let number = self.pending.issued(row);
        while let Some(row) = self.pending.next_ready() {
            self.add(row, SyncSender::try_send);
        }
        Some(number)
    }

    /// The read of a row has ended; `latency_ns` is None where its end was not seen.
    pub fn ended(&mut self, number: u64, latency_ns: Option<u64>) {
        self.pending.ended(number, latency_ns);
    }

    fn add(&mut self, row: ReadRow, send: impl Fn(&Batches, Vec<ReadRow>) -> Sent) {
        self.reads += 1;
        self.bytes += row.bytes;
        self.batch.push(row);
        if self.batch.len() < BATCH_ROWS {
            return;
        }
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH_ROWS));
        match self.sender.as_ref().map(|sender| send(sender, batch)) {
            Some(Ok(())) | None => {}
            // The thread has ended, with an error that `finish` gives.
            Some(Err(TrySendError::Disconnected(_))) => self.give_up(),
            Some(Err(TrySendError::Full(_))) => {
                self.overrun = true;
                self.give_up();
            }
        }
    }

    /// No more is recorded: a list with a gap would look like one without.
    fn give_up(&mut self) {
        self.sender = None;
        self.pending = PendingReads::default();
    }

    /// No read comes any more: writes the rest.
    ///
    /// # Errors
    /// The list could not be written whole; there is none then.
    pub fn finish(mut self) -> Result<WrittenReads<W>, ReadListError> {
        // The window is closed: the disk may take its time now.
        let patiently = |sender: &Batches, batch| Ok(sender.send(batch)?);
        while let Some(row) = self.pending.next() {
            self.add(row, patiently);
        }
        if let Some(sender) = self.sender.take() {
            // Where the thread has ended, its error follows.
            let _ = sender.send(std::mem::take(&mut self.batch));
        }
        let Some(thread) = self.thread.take() else {
            return Err(ReadListError::Write("its thread is gone".to_owned()));
        };
        let written = thread
            .join()
            .map_err(|_| ReadListError::Write("the thread that writes it panicked".to_owned()))?;
        if self.overrun {
            return Err(ReadListError::Write(format!(
                "the disk of the run's folder was too slow: {} reads waited for it",
                BATCH_ROWS * WAITING_BATCHES
            )));
        }
        Ok(WrittenReads {
            sink: written?,
            reads: self.reads,
            bytes: self.bytes,
        })
    }
}

fn write_all<W: Write + Send>(
    mut writer: ReadListWriter<W>,
    batches: &Receiver<Vec<ReadRow>>,
) -> Result<W, ReadListError> {
    for batch in batches {
        writer.push(&batch)?;
    }
    writer.finish()
}
