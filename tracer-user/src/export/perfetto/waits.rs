//! Waits → slices, by thread.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    io::{self, Write},
};

use tracer_common::record::{WaitRecord, wait_kind};

use crate::run::RecordedSetup;

use super::{
    lanes::Lanes,
    places::Places,
    writer::{TraceWriter, TrackId, TrackKind, Value},
};

/// What a thread waits for, as it is shown: kind of the record, name.
const KINDS: [(u8, &str); 4] = [
    (wait_kind::MODEL_FOLIO, "waits for the model"),
    (wait_kind::OTHER_IO, "waits for other I/O"),
    (wait_kind::RECLAIM, "waits in reclaim"),
    (wait_kind::LOCK, "waits for a lock"),
];

/// The waits of all threads.
pub struct WaitTracks<'a> {
    setup: &'a RecordedSetup,
    places: &'a [Places<'a>],
    engine: (u32, &'a str),
    processes: BTreeMap<u32, TrackId>,
    threads: BTreeMap<(u32, u32), Thread>,
    /// Waits so far.
    pub count: u64,
}

struct Thread {
    track: TrackId,
    /// By kind.
    lanes: [Option<Lanes>; KINDS.len()],
}

impl<'a> WaitTracks<'a> {
    /// `engine`: its process id and what it is called.
    pub fn new(setup: &'a RecordedSetup, places: &'a [Places<'a>], engine: (u32, &'a str)) -> Self {
        Self {
            setup,
            places,
            engine,
            processes: BTreeMap::new(),
            threads: BTreeMap::new(),
            count: 0,
        }
    }

    /// Takes in a wait.
    pub fn take<W: Write>(
        &mut self,
        writer: &mut TraceWriter<W>,
        wait: &WaitRecord,
    ) -> io::Result<()> {
        let Some(kind) = KINDS.iter().position(|(kind, _)| *kind == wait.wait) else {
            return Ok(());
        };
        let name = KINDS.get(kind).map_or("waits", |(_, name)| *name);
        self.count += 1;
        let opened = self.setup.opened_ns;
        // A trace has no time before its begin.
        let before = opened.saturating_sub(wait.start_ns);
        let span = (
            wait.start_ns.saturating_sub(opened),
            wait.end_ns.saturating_sub(opened),
        );
        let page_bytes = self.setup.page_bytes;
        let offset = u64::from(wait.page).saturating_mul(page_bytes);
        let owner = self.setup.owners.get(usize::from(wait.file));
        let owner = owner.filter(|_| wait.wait == wait_kind::MODEL_FOLIO);
        let found = owner.and_then(|owner| {
            let places = self.places.get(usize::from(owner.model))?;
            places.find(owner.file.into(), offset, page_bytes)
        });
        let mut annotations = Vec::new();
        if before > 0 {
            annotations.push(("began_before_ns", Value::Count(before)));
        }
        if let Some(owner) = owner {
            let file = self.setup.models.get(usize::from(owner.model));
            let file = file.and_then(|model| model.files.get(usize::from(owner.file)));
            if let Some(file) = file {
                annotations.push(("file", Value::Text(&file.path)));
            }
            annotations.push(("file_offset_bytes", Value::Count(offset)));
        }
        if let Some(expert) = found.and_then(|found| found.expert) {
            annotations.push(("expert", Value::Count(expert.into())));
        }
        let shown = found.map_or(name, |found| found.name);
        let key = (wait.process_id, wait.thread_id);
        let process = self.process(writer, wait.process_id)?;
        let thread = match self.threads.entry(key) {
            Entry::Occupied(thread) => thread.into_mut(),
            Entry::Vacant(place) => place.insert(thread(writer, process, key)?),
        };
        let track = thread.track;
        let Some(lanes) = thread.lanes.get_mut(kind) else {
            return Ok(());
        };
        let lanes = lanes.get_or_insert_with(|| Lanes::new(track, name));
        lanes.slice(writer, shown, span, &annotations)
    }

    fn process<W: Write>(
        &mut self,
        writer: &mut TraceWriter<W>,
        process_id: u32,
    ) -> io::Result<TrackId> {
        if let Some(track) = self.processes.get(&process_id) {
            return Ok(*track);
        }
        let (engine, name) = self.engine;
        let name = if engine == process_id && !name.is_empty() {
            name.to_owned()
        } else {
            format!("process {process_id}")
        };
        let kind = TrackKind::Process { process_id };
        let track = writer.track(None, &name, kind, None)?;
        self.processes.insert(process_id, track);
        Ok(track)
    }
}

fn thread<W: Write>(
    writer: &mut TraceWriter<W>,
    process: TrackId,
    (process_id, thread_id): (u32, u32),
) -> io::Result<Thread> {
    let kind = TrackKind::Thread {
        process_id,
        thread_id,
    };
    let name = if process_id == thread_id {
        "main thread".to_owned()
    } else {
        format!("thread {thread_id}")
    };
    let track = writer.track(Some(process), &name, kind, None)?;
    Ok(Thread {
        track,
        lanes: [const { None }; KINDS.len()],
    })
}
