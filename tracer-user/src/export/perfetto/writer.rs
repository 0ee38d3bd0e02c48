//! Tracks and what happened on them → packets. Each goes out when it is known: nothing but the names is kept.

use std::{collections::HashMap, io, io::Write};

use prost::Message as _;

use crate::markup::one_line;

use super::message::{
    CHILDREN_BY_RANK, CounterDescriptor, DebugAnnotation, InternedData, InternedName,
    ProcessDescriptor, ThreadDescriptor, Trace, TracePacket, TrackDescriptor, TrackEvent,
    counter_unit, event_type, sequence_flag,
};

/// One writer, one sequence.
const SEQUENCE: u32 = 1;
/// Tracks are named by numbers that are unique in all traces that are put together: "tracer" in front.
const FIRST_TRACK: u64 = 0x7472_6163_6572_0001;
/// Longer names are cut: a trace is looked at, and a header may say what it likes.
const LONGEST_NAME: usize = 512;

/// A track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrackId(u64);

/// What a track is.
#[derive(Clone, Debug, Default)]
pub enum TrackKind {
    /// Slices and instants, or other tracks.
    #[default]
    Plain,
    /// A value over time, bytes.
    Bytes,
    /// A value over time in this unit.
    Value(&'static str),
    Process {
        process_id: u32,
    },
    Thread {
        process_id: u32,
        thread_id: u32,
    },
}

/// A value beside an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    Bool(bool),
    Count(u64),
    Signed(i64),
    Number(f64),
    Text(&'a str),
}

/// The value of a counter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CounterValue {
    Whole(u64),
    Number(f64),
}

/// Values beside an event, by name.
pub type Annotations<'a> = [(&'static str, Value<'a>)];

/// Writes a trace.
pub struct TraceWriter<W> {
    out: W,
    tracks: u64,
    /// Children so far, by track: their order is that in which they are made.
    children: HashMap<TrackId, i32>,
    names: HashMap<String, u64>,
    annotation_names: HashMap<&'static str, u64>,
    begun: bool,
    buffer: Vec<u8>,
}

impl<W: Write> TraceWriter<W> {
    pub fn new(out: W) -> Self {
        Self {
            out,
            tracks: 0,
            children: HashMap::new(),
            names: HashMap::new(),
            annotation_names: HashMap::new(),
            begun: false,
            buffer: Vec::new(),
        }
    }

    /// Gives back what it wrote to, after the last packet.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }

    /// A new track, after its siblings.
    pub fn track(
        &mut self,
        parent: Option<TrackId>,
        name: &str,
        kind: TrackKind,
        description: Option<&str>,
    ) -> io::Result<TrackId> {
        let track = TrackId(FIRST_TRACK + self.tracks);
        self.tracks += 1;
        let rank = parent.map(|parent| {
            let children = self.children.entry(parent).or_default();
            *children += 1;
            *children
        });
        let name = shown(name);
        let number = |id: u32| i32::try_from(id).ok();
        let (mut process, mut thread, mut counter) = (None, None, None);
        match kind {
            TrackKind::Plain => {}
            TrackKind::Bytes => {
                counter = Some(CounterDescriptor {
                    unit: Some(counter_unit::SIZE_BYTES),
                    unit_name: None,
                });
            }
            TrackKind::Value(unit) => {
                counter = Some(CounterDescriptor {
                    unit: None,
                    unit_name: Some(unit.to_owned()),
                });
            }
            TrackKind::Process { process_id } => {
                process = Some(ProcessDescriptor {
                    pid: number(process_id),
                    process_name: Some(name.clone()),
                });
            }
            TrackKind::Thread {
                process_id,
                thread_id,
            } => {
                thread = Some(ThreadDescriptor {
                    pid: number(process_id),
                    tid: Some(thread_id.into()),
                    thread_name: Some(name.clone()),
                });
            }
        }
        self.write(TracePacket {
            track_descriptor: Some(TrackDescriptor {
                uuid: Some(track.0),
                name: Some(name),
                process,
                thread,
                parent_uuid: parent.map(|parent| parent.0),
                counter,
                child_ordering: Some(CHILDREN_BY_RANK),
                sibling_order_rank: rank,
                description: description.map(shown),
            }),
            ..TracePacket::default()
        })?;
        Ok(track)
    }

    /// Something that lasted, nanoseconds from the start; without an end it goes on to the end of the trace.
    pub fn slice(
        &mut self,
        track: TrackId,
        name: &str,
        (from_ns, to_ns): (u64, Option<u64>),
        annotations: &Annotations<'_>,
    ) -> io::Result<()> {
        self.named(event_type::SLICE_BEGIN, track, name, from_ns, annotations)?;
        match to_ns {
            Some(to_ns) => self.event(
                to_ns,
                None,
                TrackEvent {
                    r#type: Some(event_type::SLICE_END),
                    track_uuid: Some(track.0),
                    ..TrackEvent::default()
                },
            ),
            None => Ok(()),
        }
    }

    /// Something that happened at one moment.
    pub fn instant(
        &mut self,
        track: TrackId,
        name: &str,
        at_ns: u64,
        annotations: &Annotations<'_>,
    ) -> io::Result<()> {
        self.named(event_type::INSTANT, track, name, at_ns, annotations)
    }

    /// The value of a track of values from this moment on.
    pub fn counter(&mut self, track: TrackId, at_ns: u64, value: CounterValue) -> io::Result<()> {
        let (counter_value, double_counter_value) = match value {
            // More than an i64 holds nothing has.
            CounterValue::Whole(value) => (Some(i64::try_from(value).unwrap_or(i64::MAX)), None),
            CounterValue::Number(value) => (None, Some(value)),
        };
        self.event(
            at_ns,
            None,
            TrackEvent {
                r#type: Some(event_type::COUNTER),
                track_uuid: Some(track.0),
                counter_value,
                double_counter_value,
                ..TrackEvent::default()
            },
        )
    }

    fn named(
        &mut self,
        r#type: i32,
        track: TrackId,
        name: &str,
        at_ns: u64,
        annotations: &Annotations<'_>,
    ) -> io::Result<()> {
        let mut new = InternedData::default();
        let name_iid = self.name(name, &mut new);
        let debug_annotations = annotations
            .iter()
            .map(|(name, value)| self.annotation(name, value, &mut new))
            .collect();
        let interned = (new != InternedData::default()).then_some(new);
        self.event(
            at_ns,
            interned,
            TrackEvent {
                debug_annotations,
                r#type: Some(r#type),
                name_iid: Some(name_iid),
                track_uuid: Some(track.0),
                ..TrackEvent::default()
            },
        )
    }

    fn name(&mut self, name: &str, new: &mut InternedData) -> u64 {
        if let Some(iid) = self.names.get(name) {
            return *iid;
        }
        let iid = self.names.len() as u64 + 1;
        self.names.insert(name.to_owned(), iid);
        new.event_names.push(InternedName {
            iid: Some(iid),
            name: Some(shown(name)),
        });
        iid
    }

    fn annotation(
        &mut self,
        name: &'static str,
        value: &Value<'_>,
        new: &mut InternedData,
    ) -> DebugAnnotation {
        let next = self.annotation_names.len() as u64 + 1;
        let iid = *self.annotation_names.entry(name).or_insert(next);
        if iid == next {
            new.debug_annotation_names.push(InternedName {
                iid: Some(iid),
                name: Some(name.to_owned()),
            });
        }
        let mut annotation = DebugAnnotation {
            name_iid: Some(iid),
            ..DebugAnnotation::default()
        };
        match value {
            Value::Bool(value) => annotation.bool_value = Some(*value),
            Value::Count(value) => annotation.uint_value = Some(*value),
            Value::Signed(value) => annotation.int_value = Some(*value),
            Value::Number(value) => annotation.double_value = Some(*value),
            Value::Text(text) => annotation.string_value = Some(shown(text)),
        }
        annotation
    }

    fn event(
        &mut self,
        at_ns: u64,
        interned_data: Option<InternedData>,
        event: TrackEvent,
    ) -> io::Result<()> {
        self.write(TracePacket {
            timestamp: Some(at_ns),
            track_event: Some(event),
            interned_data,
            ..TracePacket::default()
        })
    }

    fn write(&mut self, packet: TracePacket) -> io::Result<()> {
        let flags = if self.begun {
            sequence_flag::NEEDS_INCREMENTAL_STATE
        } else {
            sequence_flag::INCREMENTAL_STATE_CLEARED
        };
        self.begun = true;
        let piece = Trace {
            packet: vec![TracePacket {
                trusted_packet_sequence_id: Some(SEQUENCE),
                sequence_flags: Some(flags),
                ..packet
            }],
        };
        self.buffer.clear();
        piece.encode(&mut self.buffer).map_err(io::Error::other)?;
        self.out.write_all(&self.buffer)
    }
}

/// Foreign text as it may be shown: one line, of a length that can be read.
fn shown(text: &str) -> String {
    let line = one_line(text);
    match line.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line.into_owned(),
    }
}
