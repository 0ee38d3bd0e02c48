//! Slices that overlap → tracks on each of which none does.

use std::io::{self, Write};

use super::writer::{Annotations, TraceWriter, TrackId, TrackKind};

/// Tracks with one name, as many as there were slices at once. Perfetto shows tracks of one parent with the same name as one.
#[derive(Debug)]
pub struct Lanes {
    parent: TrackId,
    name: String,
    /// Of each: its track, and from when on it is free.
    lanes: Vec<(TrackId, u64)>,
}

impl Lanes {
    pub fn new(parent: TrackId, name: impl Into<String>) -> Self {
        Self {
            parent,
            name: name.into(),
            lanes: Vec::new(),
        }
    }

    /// A slice on the first track that has nothing at its begin or later.
    pub fn slice<W: Write>(
        &mut self,
        writer: &mut TraceWriter<W>,
        name: &str,
        (from_ns, to_ns): (u64, u64),
        annotations: &Annotations<'_>,
    ) -> io::Result<()> {
        let track = self.track(writer, from_ns, to_ns.max(from_ns))?;
        writer.slice(
            track,
            name,
            (from_ns, Some(to_ns.max(from_ns))),
            annotations,
        )
    }

    /// A slice whose end is not known: nothing comes after it on its track.
    pub fn open_slice<W: Write>(
        &mut self,
        writer: &mut TraceWriter<W>,
        name: &str,
        from_ns: u64,
        annotations: &Annotations<'_>,
    ) -> io::Result<()> {
        let track = self.track(writer, from_ns, u64::MAX)?;
        writer.slice(track, name, (from_ns, None), annotations)
    }

    fn track<W: Write>(
        &mut self,
        writer: &mut TraceWriter<W>,
        from_ns: u64,
        free_ns: u64,
    ) -> io::Result<TrackId> {
        if let Some((track, free)) = self.lanes.iter_mut().find(|(_, free)| *free <= from_ns) {
            *free = free_ns;
            return Ok(*track);
        }
        let track = writer.track(Some(self.parent), &self.name, TrackKind::Plain, None)?;
        self.lanes.push((track, free_ns));
        Ok(track)
    }
}
