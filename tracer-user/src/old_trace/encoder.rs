//! Binary files of blktrace for tests, from the layout of `struct blk_io_trace` in include/uapi/linux/blktrace_api.h.

use super::binary::ByteOrder;

pub const QUEUE: u32 = 1;
pub const ISSUE: u32 = 7;
pub const COMPLETE: u32 = 8;
pub const REMAP: u32 = 15;

pub const READ: u32 = 1;
pub const WRITE: u32 = 1 << 1;
pub const FLUSH: u32 = 1 << 2;
pub const SYNC: u32 = 1 << 3;
pub const PASSTHROUGH: u32 = 1 << 9;
const NOTIFY: u32 = 1 << 10;
pub const AHEAD: u32 = 1 << 11;
pub const META: u32 = 1 << 12;
pub const DISCARD: u32 = 1 << 13;

/// `MKDEV` of the traced device.
const DEVICE: u32 = 254 << 20 | 16;

/// A file that is being written.
pub struct Encoder {
    order: ByteOrder,
    sequence: u32,
    records: Vec<Record>,
}

struct Record {
    sequence: u32,
    time: u64,
    sector: u64,
    bytes: u32,
    action: u32,
    error: u16,
    cgroup: Option<u64>,
    data: Vec<u8>,
}

impl Encoder {
    pub fn new(order: ByteOrder) -> Self {
        Self {
            order,
            sequence: 0,
            records: Vec::new(),
        }
    }

    pub fn record(
        &mut self,
        time: u64,
        what: u32,
        kinds: u32,
        sector: u64,
        bytes: u32,
    ) -> &mut Self {
        self.sequence += 1;
        self.records.push(Record {
            sequence: self.sequence,
            time,
            sector,
            bytes,
            action: kinds << 16 | what,
            error: 0,
            cgroup: None,
            data: Vec::new(),
        });
        self
    }

    /// Numbers that no record has.
    pub fn skip(&mut self, records: u32) -> &mut Self {
        self.sequence += records;
        self
    }

    fn notify(&mut self, time: u64, what: u32, data: Vec<u8>) -> &mut Self {
        self.records.push(Record {
            sequence: 0,
            time,
            sector: 0,
            bytes: 0,
            action: NOTIFY << 16 | what,
            error: 0,
            cgroup: None,
            data,
        });
        self
    }

    pub fn process(&mut self, name: &str) -> &mut Self {
        let mut data = name.as_bytes().to_vec();
        data.resize(16, 0);
        self.notify(0, 0, data)
    }

    pub fn timestamp(&mut self, time: u64, seconds: u32, nanos: u32) -> &mut Self {
        let data = [self.word(seconds), self.word(nanos)].concat();
        self.notify(time, 1, data)
    }

    pub fn message(&mut self, time: u64, text: &str) -> &mut Self {
        self.notify(time, 2, text.as_bytes().to_vec())
    }

    fn last(&mut self) -> &mut Record {
        self.records.last_mut().expect("a record")
    }

    pub fn error(&mut self, error: u16) -> &mut Self {
        self.last().error = error;
        self
    }

    pub fn cgroup(&mut self, id: u64) -> &mut Self {
        self.last().cgroup = Some(id);
        self
    }

    pub fn remap(&mut self, to: (u32, u32), from: (u32, u32), sector: u64) -> &mut Self {
        let number = |(major, minor): (u32, u32)| (major << 20 | minor).to_be_bytes();
        self.last().data = [&number(from)[..], &number(to), &sector.to_be_bytes()].concat();
        self
    }

    fn word(&self, word: u32) -> [u8; 4] {
        match self.order {
            ByteOrder::Little => word.to_le_bytes(),
            ByteOrder::Big => word.to_be_bytes(),
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let long = |long: u64| match self.order {
            ByteOrder::Little => long.to_le_bytes(),
            ByteOrder::Big => long.to_be_bytes(),
        };
        let half = |half: u16| match self.order {
            ByteOrder::Little => half.to_le_bytes(),
            ByteOrder::Big => half.to_be_bytes(),
        };
        let mut bytes = Vec::new();
        for record in &self.records {
            let cgroup = record.cgroup.map(long).map_or(Vec::new(), Vec::from);
            let with_cgroup = if cgroup.is_empty() { 0 } else { 1 << 8 };
            let length = (cgroup.len() + record.data.len()) as u16;
            bytes.extend(self.word(0x6561_7407));
            bytes.extend(self.word(record.sequence));
            bytes.extend(long(record.time));
            bytes.extend(long(record.sector));
            bytes.extend(self.word(record.bytes));
            bytes.extend(self.word(record.action | with_cgroup));
            bytes.extend(self.word(193));
            bytes.extend(self.word(DEVICE));
            bytes.extend(self.word(0));
            bytes.extend(half(record.error));
            bytes.extend(half(length));
            bytes.extend(cgroup);
            bytes.extend(&record.data);
        }
        bytes
    }
}
