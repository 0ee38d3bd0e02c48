//! The machine that a run was made on, as far as it bears on the figures.

use serde::{Deserialize, Serialize};

/// The machine. Null is what could not be read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MachineRecord {
    /// CPUs that are online.
    pub cpus: Option<u64>,
    /// Bytes of a page: what counts of pages in the record are in. Null in records of before it was noted.
    #[serde(default)]
    pub page_bytes: Option<u64>,
    /// Frequency governor of the first CPU.
    pub governor: Option<String>,
    /// `classic` or `mglru`: how the kernel ages pages.
    pub lru: Option<String>,
    /// `vm.min_free_kbytes`.
    pub min_free_kbytes: Option<u64>,
    /// Swap, bytes. 0: none.
    pub swap_total_bytes: Option<u64>,
    /// Time that at least one task of the machine waited for storage during the run (PSI), seconds.
    pub io_pressure_some_s: Option<f64>,
    /// Time that at least one task of the machine waited for memory during the run (PSI), seconds.
    pub memory_pressure_some_s: Option<f64>,
    /// 1-minute load average before the start.
    pub load_average: Option<f64>,
    /// Hottest sensor of the first traced device before the start, degrees Celsius.
    pub device_temperature_celsius: Option<f64>,
}
