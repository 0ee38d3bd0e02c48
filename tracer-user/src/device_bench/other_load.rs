//! What others do to the device meanwhile: its own counters, less our reads.

use crate::{
    schema::OtherLoadRecord,
    storage::{BlockDevice, DeviceStatistics, SECTOR_BYTES, Sysfs, SysfsError},
};

/// Others' share of the bytes from which on a result is marked.
const SHARE_THAT_DISTURBS: f64 = 0.01;

/// Bytes that may be missing or foreign in any case: the end of a file's last block, a file system's own blocks.
const SLACK_BYTES: u64 = 1 << 20;

/// The device's counters at the start.
#[derive(Clone, Copy, Debug)]
pub struct CountedFrom(Option<DeviceStatistics>);

impl CountedFrom {
    /// As they are now.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn now(disk: &BlockDevice) -> Result<Self, SysfsError> {
        counters(disk).map(Self)
    }

    /// What others have done since; None where the device does not count.
    ///
    /// # Errors
    /// The counters cannot be read.
    pub fn until_now(
        self,
        disk: &BlockDevice,
        own_bytes: u64,
    ) -> Result<Option<OtherLoadRecord>, SysfsError> {
        Ok(self
            .0
            .zip(counters(disk)?)
            .map(|(before, after)| between(&before, &after, own_bytes)))
    }
}

fn counters(disk: &BlockDevice) -> Result<Option<DeviceStatistics>, SysfsError> {
    if !disk.counts() {
        return Ok(None);
    }
    Sysfs::default().statistics(disk.device).map(Some)
}

fn between(before: &DeviceStatistics, after: &DeviceStatistics, own_bytes: u64) -> OtherLoadRecord {
    let read = after.sectors_read.wrapping_sub(before.sectors_read) * SECTOR_BYTES;
    let written = after.sectors_written.wrapping_sub(before.sectors_written) * SECTOR_BYTES;
    OtherLoadRecord {
        own_bytes,
        read_bytes: read.saturating_sub(own_bytes),
        written_bytes: written,
        missing_bytes: own_bytes.saturating_sub(read),
    }
}

/// What this says against a result.
pub fn doubts(load: &OtherLoadRecord) -> Vec<String> {
    let much = |bytes: u64| {
        bytes > SLACK_BYTES && bytes as f64 > load.own_bytes as f64 * SHARE_THAT_DISTURBS
    };
    let mut doubts = Vec::new();
    if much(load.read_bytes + load.written_bytes) {
        doubts.push(format!(
            "others used the device during the test: {} bytes read and {} written beside {} of the test's own",
            load.read_bytes, load.written_bytes, load.own_bytes
        ));
    }
    if much(load.missing_bytes) {
        doubts.push(format!(
            "{} of {} bytes did not come from the device by its own counter: the file system took direct reads and answered from elsewhere",
            load.missing_bytes, load.own_bytes
        ));
    }
    doubts
}

#[cfg(test)]
mod tests {
    use super::{between, doubts};

    fn doubts_of(read_sectors: u64, written_sectors: u64, own_bytes: u64) -> Vec<String> {
        let at = |read: u64, written: u64| {
            format!("0 0 {read} 0 0 0 {written} 0 0 0 0")
                .parse()
                .expect("counters")
        };
        doubts(&between(
            &at(1000, 50),
            &at(1000 + read_sectors, 50 + written_sectors),
            own_bytes,
        ))
    }

    #[test]
    fn foreign_reads_and_writes_are_told() {
        let own = 1 << 30;
        let sectors = own / 512;
        assert!(doubts_of(sectors, 0, own).is_empty());
        assert!(
            doubts_of(sectors + 2048, 0, own).is_empty(),
            "a little is not worth a word"
        );
        assert!(doubts_of(sectors + sectors / 50, 0, own)[0].contains("others"));
        assert!(doubts_of(sectors, sectors / 50, own)[0].contains("others"));
        assert!(doubts_of(sectors / 2, 0, own)[0].contains("did not come from the device"));
    }
}
