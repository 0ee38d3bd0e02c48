//! Reads → slices, by device.

use std::io::{self, Write};

use crate::read_list::{ReadListHeader, ReadRow};

use super::{
    lanes::Lanes,
    places::Places,
    writer::{TraceWriter, TrackId, TrackKind, Value},
};

/// Bytes of a sector, whatever the device's own are.
const SECTOR_BYTES: i64 = 512;

/// The reads of all devices.
pub struct ReadTracks<'a> {
    devices: Vec<Device>,
    places: &'a [Places<'a>],
    files: Vec<Vec<String>>,
    /// Reads so far.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

struct Device {
    name: String,
    track: TrackId,
    lanes: Lanes,
    /// The track of those whose end was not seen, where there are any.
    without_end: Option<TrackId>,
}

impl<'a> ReadTracks<'a> {
    /// A group of tracks for each device.
    pub fn new<W: Write>(
        writer: &mut TraceWriter<W>,
        header: &ReadListHeader,
        places: &'a [Places<'a>],
    ) -> io::Result<Self> {
        let mut devices = Vec::new();
        for name in &header.devices {
            let group = format!("reads of {name}");
            let track = writer.track(None, &group, TrackKind::Plain, None)?;
            devices.push(Device {
                name: name.clone(),
                track,
                lanes: Lanes::new(track, "reads"),
                without_end: None,
            });
        }
        let files = header.models.iter().map(|model| {
            let files = model.files.iter();
            files.map(|file| file.path.clone()).collect()
        });
        Ok(Self {
            devices,
            places,
            files: files.collect(),
            count: 0,
            bytes: 0,
        })
    }

    /// Takes in a read, in the order of their issue.
    pub fn take<W: Write>(&mut self, writer: &mut TraceWriter<W>, row: &ReadRow) -> io::Result<()> {
        let Some(device) = self.devices.get_mut(usize::from(row.device)) else {
            return Ok(());
        };
        self.count += 1;
        self.bytes = self.bytes.saturating_add(row.bytes);
        let model = usize::from(row.model);
        let file = row.file.map(usize::from);
        let found = row
            .file_offset_bytes
            .zip(row.file)
            .and_then(|(offset, file)| {
                let places = self.places.get(model)?;
                places.find(file.into(), offset, row.bytes)
            });
        let mut annotations = vec![
            ("bytes", Value::Count(row.bytes)),
            ("request_bytes", Value::Count(row.request_bytes.into())),
            ("device", Value::Text(&device.name)),
            ("first_sector", Value::Count(row.start_sector)),
            ("readahead", Value::Bool(row.readahead)),
            ("process_id", Value::Count(row.process_id.into())),
            ("thread_id", Value::Count(row.thread_id.into())),
        ];
        if let Some(previous) = row.previous_end_sector {
            let sectors = row
                .start_sector
                .cast_signed()
                .wrapping_sub(previous.cast_signed());
            annotations.push((
                "gap_bytes",
                Value::Signed(sectors.saturating_mul(SECTOR_BYTES)),
            ));
        }
        let path = file.and_then(|file| self.files.get(model)?.get(file));
        if let Some(path) = path {
            annotations.push(("file", Value::Text(path)));
        }
        if let Some(offset) = row.file_offset_bytes {
            annotations.push(("file_offset_bytes", Value::Count(offset)));
        }
        if let Some(found) = found {
            annotations.push(("tensors", Value::Count(found.count)));
            if let Some(expert) = found.expert {
                annotations.push(("expert", Value::Count(expert.into())));
            }
        }
        let name = found.map_or("read", |found| found.name);
        match row.latency_ns {
            Some(latency) => {
                let span = (row.time_ns, row.time_ns.saturating_add(latency));
                device.lanes.slice(writer, name, span, &annotations)
            }
            None => {
                let track = match device.without_end {
                    Some(track) => track,
                    None => {
                        let name = "reads whose end was not seen";
                        let parent = Some(device.track);
                        let track = writer.track(parent, name, TrackKind::Plain, None)?;
                        *device.without_end.insert(track)
                    }
                };
                writer.instant(track, name, row.time_ns, &annotations)
            }
        }
    }
}
