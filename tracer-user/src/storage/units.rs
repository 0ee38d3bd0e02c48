//! Addresses whose mixing-up would compile and be wrong: device sectors, file offsets and device numbers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use tracer_common::gap::SECTOR_BYTES;

/// Address of a 512-byte sector on a block device, counted from the start of the device that the context names
/// (tracepoints: always the whole disk).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sector(pub u64);

impl Sector {
    /// The sector that begins at `bytes` from the start of the device; `None` if `bytes` is no multiple of 512.
    pub fn at_byte(bytes: u64) -> Option<Self> {
        bytes
            .is_multiple_of(SECTOR_BYTES)
            .then_some(Self(bytes / SECTOR_BYTES))
    }

    /// Byte address of the sector's start; `None` where it does not fit 64 bits.
    pub fn start_byte(self) -> Option<u64> {
        self.0.checked_mul(SECTOR_BYTES)
    }

    /// The sector `count_sectors` further on; `None` on overflow.
    pub fn checked_add(self, count_sectors: u64) -> Option<Self> {
        self.0.checked_add(count_sectors).map(Self)
    }

    /// Sectors from `earlier` to here; `None` if `earlier` lies behind.
    pub fn sectors_since(self, earlier: Self) -> Option<u64> {
        self.0.checked_sub(earlier.0)
    }

    /// Signed distance in sectors from `other` to here: the gap of a read that starts here after one that ended
    /// at `other`. In 128 bits, so that it cannot overflow.
    pub fn distance_from(self, other: Self) -> i128 {
        i128::from(self.0) - i128::from(other.0)
    }
}

impl fmt::Display for Sector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Offset in a file, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FileOffset(pub u64);

impl FileOffset {
    /// The offset `bytes` further on; `None` on overflow.
    pub fn checked_add(self, bytes: u64) -> Option<Self> {
        self.0.checked_add(bytes).map(Self)
    }

    /// Bytes from `earlier` to here; `None` if `earlier` lies behind.
    pub fn bytes_since(self, earlier: Self) -> Option<u64> {
        self.0.checked_sub(earlier.0)
    }

    /// Signed distance in bytes from `other` to here.
    pub fn distance_from(self, other: Self) -> i128 {
        i128::from(self.0) - i128::from(other.0)
    }
}

impl fmt::Display for FileOffset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Why something is not a device number of the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KernelDeviceError {
    /// The major or minor number does not fit the kernel's 12 + 20 bits.
    #[error(
        "device {major}:{minor} does not fit the kernel's dev_t (major below 4096, minor below 1048576)"
    )]
    OutOfRange { major: u64, minor: u64 },
    /// The text is not `MAJOR:MINOR` in decimal.
    #[error("'{0}' is not a device number: expected MAJOR:MINOR in decimal, such as 254:0")]
    Malformed(String),
}

/// A device number as the kernel keeps it and as tracepoints carry it: `major << 20 | minor`
/// (`MKDEV`, include/linux/kdev_t.h). `st_dev` of stat(2) is encoded otherwise: use [`KernelDevice::from_st_dev`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KernelDevice(pub u32);

impl KernelDevice {
    const MINOR_BITS: u32 = 20;

    /// From a major (below 4096) and a minor (below 1048576) number.
    pub fn new(major: u64, minor: u64) -> Result<Self, KernelDeviceError> {
        let out_of_range = || KernelDeviceError::OutOfRange { major, minor };
        if major >= 1 << (32 - Self::MINOR_BITS) || minor >= 1 << Self::MINOR_BITS {
            return Err(out_of_range());
        }
        let encoded = (major << Self::MINOR_BITS) | minor;
        u32::try_from(encoded).map(Self).map_err(|_| out_of_range())
    }

    /// From `st_dev` or `st_rdev` of stat(2), which is in the C library's encoding.
    pub fn from_st_dev(st_dev: u64) -> Result<Self, KernelDeviceError> {
        Self::new(nix::sys::stat::major(st_dev), nix::sys::stat::minor(st_dev))
    }

    /// The same device in the encoding of `st_dev`.
    pub fn to_st_dev(self) -> u64 {
        nix::sys::stat::makedev(u64::from(self.major()), u64::from(self.minor()))
    }

    /// Major number. 0 marks a file system without a block device of its own.
    pub fn major(self) -> u32 {
        self.0 >> Self::MINOR_BITS
    }

    pub fn minor(self) -> u32 {
        self.0 & ((1 << Self::MINOR_BITS) - 1)
    }

    /// Whether this is an anonymous device: no block device stands behind it.
    pub fn is_anonymous(self) -> bool {
        self.major() == 0
    }
}

impl fmt::Display for KernelDevice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.major(), self.minor())
    }
}

impl FromStr for KernelDevice {
    type Err = KernelDeviceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || KernelDeviceError::Malformed(text.to_owned());
        let decimal = |digits: &str| -> Result<u64, KernelDeviceError> {
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(malformed());
            }
            digits.parse().map_err(|_| malformed())
        };
        let (major, minor) = text.split_once(':').ok_or_else(malformed)?;
        Self::new(decimal(major)?, decimal(minor)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn kernel_encoding_is_not_the_one_of_st_dev() {
        // 259:300 differs: the C library splits the minor number, the kernel does not.
        let device = KernelDevice::new(259, 300).unwrap();
        assert_eq!(device.0, 259 << 20 | 300);
        assert_ne!(u64::from(device.0), device.to_st_dev());
        assert_eq!(
            KernelDevice::from_st_dev(device.to_st_dev()).unwrap(),
            device
        );
    }

    #[test]
    fn text_that_is_no_device_number_is_refused() {
        for text in [
            "",
            ":",
            "254",
            "254:",
            ":0",
            "254:0:0",
            " 254:0",
            "+1:2",
            "-1:2",
            "0x1:2",
            "4096:0",
            "1:1048576",
            "99999999999999999999:0",
        ] {
            assert!(
                text.parse::<KernelDevice>().is_err(),
                "{text:?} was accepted"
            );
        }
        assert_eq!(
            "254:0".parse::<KernelDevice>().unwrap().to_string(),
            "254:0"
        );
    }

    #[test]
    fn sectors_begin_at_multiples_of_512_only() {
        assert_eq!(Sector::at_byte(1024), Some(Sector(2)));
        assert_eq!(Sector::at_byte(1025), None);
        assert_eq!(Sector(u64::MAX).start_byte(), None);
        assert_eq!(Sector(3).sectors_since(Sector(5)), None);
        assert_eq!(Sector(3).distance_from(Sector(5)), -2);
        assert_eq!(
            Sector(0).distance_from(Sector(u64::MAX)),
            -i128::from(u64::MAX)
        );
    }

    proptest! {
        #[test]
        fn device_numbers_survive_every_conversion(major in 0u64..4096, minor in 0u64..1_048_576) {
            let device = KernelDevice::new(major, minor).unwrap();
            prop_assert_eq!(u64::from(device.major()), major);
            prop_assert_eq!(u64::from(device.minor()), minor);
            prop_assert_eq!(KernelDevice::from_st_dev(device.to_st_dev()).unwrap(), device);
            prop_assert_eq!(device.to_string().parse::<KernelDevice>().unwrap(), device);
        }
    }
}
