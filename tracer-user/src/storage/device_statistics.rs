//! The kernel's own counters of a block device: the independent reference for what the tracer counts.

use std::str::FromStr;

/// The kernel's own counters of a device (Documentation/block/stat.rst). They wrap with the kernel's word size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceStatistics {
    /// Reads completed (requests, or bios on bio-based devices).
    pub reads_completed: u64,
    /// Reads merged into queued ones.
    pub reads_merged: u64,
    /// Sectors of 512 B read.
    pub sectors_read: u64,
    /// Milliseconds that reads took, summed.
    pub read_milliseconds: u64,
    pub writes_completed: u64,
    pub writes_merged: u64,
    /// Sectors of 512 B written.
    pub sectors_written: u64,
    /// Milliseconds that writes took, summed.
    pub write_milliseconds: u64,
    /// In flight at this moment.
    pub in_flight: u64,
    /// Milliseconds during which anything was in flight.
    pub busy_milliseconds: u64,
    /// Milliseconds times requests in flight.
    pub queue_milliseconds: u64,
    /// Discards completed (from 4.18).
    pub discards_completed: Option<u64>,
    /// Sectors discarded (from 4.18).
    pub sectors_discarded: Option<u64>,
    /// Flushes completed (from 5.5).
    pub flushes_completed: Option<u64>,
}

impl FromStr for DeviceStatistics {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let numbers: Vec<u64> = text
            .split_ascii_whitespace()
            .map(|n| n.parse().map_err(|_| ()))
            .collect::<Result<_, _>>()?;
        let [
            reads_completed,
            reads_merged,
            sectors_read,
            read_milliseconds,
            writes_completed,
            writes_merged,
            sectors_written,
            write_milliseconds,
            in_flight,
            busy_milliseconds,
            queue_milliseconds,
            rest @ ..,
        ] = numbers.as_slice()
        else {
            return Err(());
        };
        Ok(Self {
            reads_completed: *reads_completed,
            reads_merged: *reads_merged,
            sectors_read: *sectors_read,
            read_milliseconds: *read_milliseconds,
            writes_completed: *writes_completed,
            writes_merged: *writes_merged,
            sectors_written: *sectors_written,
            write_milliseconds: *write_milliseconds,
            in_flight: *in_flight,
            busy_milliseconds: *busy_milliseconds,
            queue_milliseconds: *queue_milliseconds,
            discards_completed: rest.first().copied(),
            sectors_discarded: rest.get(2).copied(),
            flushes_completed: rest.get(4).copied(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_kernels_shorter_lines_leave_the_rest_unknown() {
        let eleven: DeviceStatistics = "1 2 3 4 5 6 7 8 9 10 11".parse().unwrap();
        assert_eq!(
            (
                eleven.sectors_read,
                eleven.in_flight,
                eleven.flushes_completed
            ),
            (3, 9, None)
        );
        let seventeen: DeviceStatistics =
            "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17".parse().unwrap();
        assert_eq!(
            (
                seventeen.discards_completed,
                seventeen.sectors_discarded,
                seventeen.flushes_completed
            ),
            (Some(12), Some(14), Some(16))
        );
        assert!("1 2 3".parse::<DeviceStatistics>().is_err());
        assert!(
            "1 2 x 4 5 6 7 8 9 10 11"
                .parse::<DeviceStatistics>()
                .is_err()
        );
    }
}
