//! A device's own counters.

use std::fs;

use anyhow::{Context as _, Result, bail};

/// `/sys/block/NAME/stat` (`Documentation/block/stat.rst` in the kernel's source).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceStatistics {
    pub reads: u64,
    /// Sectors of 512 bytes read.
    pub sectors_read: u64,
    /// Sectors of 512 bytes written.
    pub sectors_written: u64,
    /// Requests in flight now.
    pub in_flight: u64,
}

impl DeviceStatistics {
    /// Reads the counters of a whole disk.
    ///
    /// # Errors
    /// Where there is no such disk, or the file has another form.
    pub fn read(name: &str) -> Result<Self> {
        let path = format!("/sys/block/{name}/stat");
        let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        Self::parse(&text).with_context(|| format!("{path} holds {text:?}"))
    }

    /// Requests that all whole disks but this one have completed: reads, writes, discards, flushes. Disks that take no
    /// requests (zram, device mapper) have none.
    ///
    /// # Errors
    /// A disk whose counters cannot be read.
    pub fn requests_of_others(name: &str) -> Result<u64> {
        let mut requests = 0;
        for entry in fs::read_dir("/sys/block").context("list /sys/block")? {
            let entry = entry.context("list /sys/block")?;
            if entry.file_name() == name || !entry.path().join("mq").exists() {
                continue;
            }
            let path = entry.path().join("stat");
            let text =
                fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
            requests += completed_requests(&text)
                .with_context(|| format!("{} holds {text:?}", path.display()))?;
        }
        Ok(requests)
    }

    fn parse(text: &str) -> Result<Self> {
        let fields = text
            .split_whitespace()
            .map(str::parse)
            .collect::<Result<Vec<u64>, _>>()
            .context("a field is no number")?;
        let [
            reads,
            _,
            sectors_read,
            _,
            _,
            _,
            sectors_written,
            _,
            in_flight,
            ..,
        ] = fields[..]
        else {
            bail!("it has {} fields, not at least 11", fields.len());
        };
        Ok(Self {
            reads,
            sectors_read,
            sectors_written,
            in_flight,
        })
    }
}

/// Reads, writes, and, where the kernel counts them, discards and flushes.
fn completed_requests(text: &str) -> Option<u64> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let later = |at: usize| {
        if at < fields.len() {
            number(at)
        } else {
            Some(0)
        }
    };
    Some(number(0)? + number(4)? + later(11)? + later(15)?)
}

#[cfg(test)]
mod tests {
    use super::DeviceStatistics;

    #[test]
    fn fields_are_taken_from_their_places() {
        let text = "    3001      45   120672      51      801      9    31336      93        2      160      144        0        0        0        0        0        0\n";
        assert_eq!(
            DeviceStatistics::parse(text).expect("a line of the kernel"),
            DeviceStatistics {
                reads: 3001,
                sectors_read: 120_672,
                sectors_written: 31_336,
                in_flight: 2
            }
        );
        assert!(DeviceStatistics::parse("1 2 3").is_err());
    }
}
