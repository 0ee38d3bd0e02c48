//! The machine, without anything that tells whose it is.

use std::{fs, thread};

use anyhow::{Context as _, Result};
use nix::sys::utsname::uname;
use serde::{Deserialize, Serialize};

/// What of the machine decides how fast it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MachineRecord {
    /// Name of the processor, as it says itself.
    pub processor: String,
    /// CPUs that are on.
    pub processors: usize,
    /// Memory, bytes.
    pub memory_bytes: u64,
    /// Version of the kernel, without what a distributor or a host adds to it.
    pub kernel: String,
    /// Whether the processor says that it is a virtual one.
    pub virtual_machine: bool,
}

impl MachineRecord {
    /// This one.
    ///
    /// # Errors
    /// `/proc` has another form.
    pub fn of_this_machine() -> Result<Self> {
        let processor = fs::read_to_string("/proc/cpuinfo").context("read /proc/cpuinfo")?;
        let memory = fs::read_to_string("/proc/meminfo").context("read /proc/meminfo")?;
        Ok(Self {
            processor: field(&processor, "model name")
                .unwrap_or(std::env::consts::ARCH)
                .to_owned(),
            processors: thread::available_parallelism()
                .context("count the CPUs")?
                .get(),
            memory_bytes: field(&memory, "MemTotal")
                .and_then(|text| text.strip_suffix(" kB")?.parse::<u64>().ok())
                .context("/proc/meminfo does not say how much memory there is")?
                << 10,
            kernel: kernel_version(
                &uname()
                    .context("ask for the kernel's release")?
                    .release()
                    .to_string_lossy(),
            )
            .to_owned(),
            virtual_machine: field(&processor, "flags")
                .is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor")),
        })
    }
}

fn kernel_version(release: &str) -> &str {
    release.split(['-', '+']).next().unwrap_or(release)
}

/// The first line `NAME : VALUE`.
fn field<'text>(text: &'text str, name: &str) -> Option<&'text str> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(found, _)| found.trim() == name)
        .map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::{field, kernel_version};

    #[test]
    fn additions_to_a_version_are_left_out() {
        assert_eq!(kernel_version("6.18.44-host-v1"), "6.18.44");
        assert_eq!(kernel_version("7.3.0"), "7.3.0");
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let text = "model\t\t: 17\nmodel name\t: A Processor @ 2.1GHz\nMemTotal:       24000 kB\n";
        assert_eq!(field(text, "model name"), Some("A Processor @ 2.1GHz"));
        assert_eq!(field(text, "MemTotal"), Some("24000 kB"));
        assert_eq!(field(text, "flags"), None);
    }
}
