//! The kernels: which series, where Debian has them, and which of its packages is the newest.

use std::fmt;

use crate::packages::Architecture;

/// A series of kernels, such as 6.1, that Debian has as packages for virtual machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Series {
    /// What it is called here: its number, and the architecture where that is not the usual one.
    pub name: &'static str,
    /// Its number, such as `6.1`.
    pub number: &'static str,
    /// The suite of Debian with its newest package. Old packages go away, so none is pinned.
    pub suite: &'static str,
    pub architecture: Architecture,
    /// The end of the names of its packages, which says what it is built for.
    flavour: &'static str,
}

impl Series {
    const fn amd64(number: &'static str, suite: &'static str) -> Self {
        Self {
            name: number,
            number,
            suite,
            architecture: Architecture::Amd64,
            flavour: "-cloud-amd64",
        }
    }
}

/// Those that are taken where no others are asked for, oldest first.
pub const USUAL: [Series; 5] = [
    Series::amd64("5.10", "bullseye-security"),
    Series::amd64("6.1", "bookworm-security"),
    Series::amd64("6.12", "bookworm-security"),
    Series::amd64("6.18", "trixie-backports"),
    Series::amd64("7.3", "trixie-backports"),
];

/// The one that shows the other architecture. It is asked for by name: emulating it takes long.
pub const ARM64: Series = Series {
    name: "6.12-arm64",
    number: "6.12",
    suite: "bookworm-security",
    architecture: Architecture::Arm64,
    flavour: "-cloud-arm64",
};

/// The same architecture with pages of 16 KiB. Debian has no such kernel without drivers for real hardware.
pub const ARM64_16K: Series = Series {
    name: "6.12-arm64-16k",
    number: "6.12",
    suite: "trixie",
    architecture: Architecture::Arm64,
    flavour: "-arm64-16k",
};

pub fn all() -> impl Iterator<Item = Series> {
    USUAL.into_iter().chain([ARM64, ARM64_16K])
}

/// Beginnings of the names of packages that one kernel can be spread over. Up to 6.18 the first has all; from 6.19
/// on the others share it.
const PARTS: [&str; 4] = [
    "linux-image-",
    "linux-base-",
    "linux-binary-",
    "linux-modules-",
];

impl fmt::Display for Series {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

impl std::str::FromStr for Series {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        all().find(|series| series.name == name).ok_or_else(|| {
            let names: Vec<_> = all().map(|series| series.name).collect();
            let names = names.join(", ");
            format!("there are kernels {names}")
        })
    }
}

/// The newest kernel of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newest {
    /// As `uname -r` says it.
    pub release: String,
    /// Packages that have parts of it.
    pub packages: Vec<String>,
}

impl Series {
    /// Chooses from the names of a suite's packages; `None` where it has no kernel of this series.
    pub fn newest<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Option<Newest> {
        let parts: Vec<(&str, &str)> = names
            .into_iter()
            .filter_map(|name| self.release_of(name).map(|release| (name, release)))
            .filter(|(_, release)| self.has(release))
            .collect();
        let release = parts
            .iter()
            // The others are worth nothing without a kernel.
            .filter(|(name, _)| {
                name.starts_with("linux-image-") || name.starts_with("linux-binary-")
            })
            .map(|(_, release)| *release)
            .max_by_key(|release| numbers(release))?;
        let mut packages: Vec<String> = parts
            .iter()
            .filter(|(_, of)| *of == release)
            .map(|(name, _)| (*name).to_owned())
            .collect();
        packages.sort_unstable();
        packages.dedup();
        Some(Newest {
            release: release.to_owned(),
            packages,
        })
    }

    /// Whether a release is of this series: 6.1.0-56 is of 6.1, 6.12.0 is not.
    fn has(&self, release: &str) -> bool {
        release
            .strip_prefix(self.number)
            .is_some_and(|rest| rest.starts_with(['.', '-', '+']))
    }

    /// The release in the name of a kernel's package, such as `6.1.0-56-cloud-amd64`; `None` for other packages, among
    /// them those that only depend on the newest (`linux-image-cloud-amd64`, `linux-image-6.12-cloud-amd64`).
    fn release_of<'a>(&self, name: &'a str) -> Option<&'a str> {
        let release = PARTS.iter().find_map(|part| name.strip_prefix(part))?;
        let version = release.strip_suffix(self.flavour)?;
        let has_patch_level = version.split(['-', '+']).next()?.split('.').count() >= 3;
        let is_number = version.starts_with(|first: char| first.is_ascii_digit());
        (has_patch_level && is_number).then_some(release)
    }
}

/// A release as its numbers, by which it is compared: 6.1.0-9 is older than 6.1.0-10.
fn numbers(release: &str) -> Vec<u64> {
    release
        .split(|character: char| !character.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str) -> Series {
        name.parse().unwrap()
    }

    #[test]
    fn the_newest_is_chosen_by_number_and_within_the_series() {
        let names = [
            "linux-image-6.1.0-9-cloud-amd64",
            "linux-image-6.1.0-10-cloud-amd64",
            "linux-image-6.1.0-10-cloud-amd64-dbg",
            "linux-image-6.1.0-11-amd64",
            "linux-image-6.1.0-11-cloud-arm64",
            "linux-image-6.12.117+deb12-cloud-amd64",
            "linux-image-6.12-cloud-amd64",
            "linux-image-cloud-amd64",
            "linux-headers-6.1.0-12-cloud-amd64",
        ];
        let newest = series("6.1").newest(names).unwrap();
        assert_eq!(newest.release, "6.1.0-10-cloud-amd64");
        assert_eq!(newest.packages, ["linux-image-6.1.0-10-cloud-amd64"]);
        let newest = series("6.12").newest(names).unwrap();
        assert_eq!(newest.release, "6.12.117+deb12-cloud-amd64");
        assert_eq!(series("5.10").newest(names), None);
        assert_eq!(series("7.3").newest([]), None);
    }

    #[test]
    fn all_parts_of_a_kernel_in_several_packages_are_taken() {
        let names = [
            "linux-base-7.3.4+deb13-cloud-amd64",
            "linux-base-cloud-amd64",
            "linux-binary-7.2.12+deb13-cloud-amd64",
            "linux-binary-7.3.4+deb13-cloud-amd64",
            "linux-binary-unsigned-7.3.5+deb13-cloud-amd64",
            "linux-modules-7.3.4+deb13-cloud-amd64",
            "linux-modules-7.3.6+deb13-cloud-amd64",
        ];
        let newest = series("7.3").newest(names).unwrap();
        assert_eq!(newest.release, "7.3.4+deb13-cloud-amd64");
        assert_eq!(
            newest.packages,
            [
                "linux-base-7.3.4+deb13-cloud-amd64",
                "linux-binary-7.3.4+deb13-cloud-amd64",
                "linux-modules-7.3.4+deb13-cloud-amd64",
            ]
        );
    }

    #[test]
    fn an_architecture_has_kernels_of_its_own() {
        let names = [
            "linux-image-6.12.117+deb12-cloud-amd64",
            "linux-image-6.12.115+deb12-cloud-arm64",
            "linux-image-6.12.115+deb12-cloud-arm64-unsigned",
            "linux-image-6.12-cloud-arm64",
            "linux-image-6.12.117+deb13-arm64-16k",
            "linux-image-6.12.117+deb13-arm64-16k-unsigned",
            "linux-image-arm64-16k",
            "linux-headers-6.12.118+deb13-arm64-16k",
        ];
        let newest = series("6.12-arm64").newest(names).unwrap();
        assert_eq!(newest.release, "6.12.115+deb12-cloud-arm64");
        assert_eq!(newest.packages, ["linux-image-6.12.115+deb12-cloud-arm64"]);
        let newest = series("6.12-arm64-16k").newest(names).unwrap();
        assert_eq!(newest.packages, ["linux-image-6.12.117+deb13-arm64-16k"]);
        assert!(!USUAL.contains(&ARM64) && !USUAL.contains(&ARM64_16K));
    }

    #[test]
    fn a_series_is_named_as_it_is() {
        for one in all() {
            assert_eq!(series(&one.to_string()), one);
        }
        assert!("6.2".parse::<Series>().unwrap_err().contains("5.10, 6.1"));
    }
}
