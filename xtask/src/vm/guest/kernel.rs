//! A kernel of Debian's, downloaded and unpacked below the target folder.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::vm::{folder::Folder, series::Series};
use crate::{kept, packages::Apt, progress};

/// A kernel that can be started.
#[derive(Debug)]
pub struct Kernel {
    /// Its series.
    pub series: Series,
    /// As `uname -r` says it.
    pub release: String,
    /// What is started.
    pub image: PathBuf,
    /// The folder of its modules.
    pub modules: PathBuf,
}

/// The file in a kernel's folder that says its release. It is written last: a folder that has it is whole.
const RELEASE: &str = "release";

impl Kernel {
    /// The newest kernel of a series. Where an older one is there and the newest cannot be had, the older one.
    ///
    /// # Errors
    /// There is none, and none can be fetched.
    pub fn fetch(folder: &Folder, series: Series) -> Result<Self> {
        let place = folder.kernel(series.name);
        if kept::is_fresh(&place.join(RELEASE))
            && let Ok(kernel) = Self::unpacked(series, &place)
        {
            return Ok(kernel);
        }
        match Self::download(folder, series, &place) {
            Ok(kernel) => Ok(kernel),
            Err(error) => match Self::unpacked(series, &place) {
                Ok(kernel) => {
                    progress::say(&format!(
                        "taking the kernel {} that is here: {error:#}",
                        kernel.release
                    ));
                    Ok(kernel)
                }
                Err(_) => Err(error),
            },
        }
    }

    fn download(folder: &Folder, series: Series, place: &Path) -> Result<Self> {
        let apt = Apt::of_suite(
            folder.apt(&series.architecture.folder(series.suite)),
            series.suite,
            series.architecture,
        )?;
        apt.update()?;
        let names = apt.names("linux-")?;
        let newest = series
            .newest(names.iter().map(String::as_str))
            .with_context(|| format!("{} has no kernel {series}", series.suite))?;
        if let Ok(kernel) = Self::unpacked(series, place)
            && kernel.release == newest.release
        {
            kept::write(&place.join(RELEASE), newest.release.as_bytes())?;
            return Ok(kernel);
        }
        if place.exists() {
            fs::remove_dir_all(place)
                .with_context(|| format!("cannot remove {}", place.display()))?;
        }
        fs::create_dir_all(place).with_context(|| format!("cannot make {}", place.display()))?;
        apt.unpack(&newest.packages, place)?;
        Self::find(series, place, newest.release.clone())?;
        kept::write(&place.join(RELEASE), newest.release.as_bytes())?;
        Self::unpacked(series, place)
    }

    fn unpacked(series: Series, place: &Path) -> Result<Self> {
        let path = place.join(RELEASE);
        let release =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::find(series, place, release)
    }

    /// Finds a kernel's parts, which later packages have below /usr.
    fn find(series: Series, place: &Path, release: String) -> Result<Self> {
        let first = |candidates: [String; 3]| {
            candidates
                .iter()
                .map(|candidate| place.join(candidate))
                .find(|path| path.exists())
                .with_context(|| {
                    format!(
                        "the packages of {release} have no {}",
                        candidates.join(" and no ")
                    )
                })
        };
        let image = first([
            format!("boot/vmlinuz-{release}"),
            format!("usr/lib/modules/{release}/vmlinuz"),
            format!("usr/lib/linux-image-{release}/vmlinuz"),
        ])?;
        let modules = first([
            format!("lib/modules/{release}/kernel"),
            format!("usr/lib/modules/{release}/kernel"),
            format!("usr/lib/linux-image-{release}/kernel"),
        ])?;
        let modules = modules.parent().unwrap_or(&modules).to_owned();
        Ok(Self {
            series,
            image,
            modules,
            release,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_found_where_old_and_new_packages_have_it() {
        let series: Series = "6.1".parse().unwrap();
        for (image, modules) in [
            ("boot/vmlinuz-6.1.0-9", "lib/modules/6.1.0-9"),
            ("boot/vmlinuz-6.1.0-9", "usr/lib/modules/6.1.0-9"),
            ("usr/lib/modules/6.1.0-9/vmlinuz", "usr/lib/modules/6.1.0-9"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let place = folder.path();
            fs::write(place.join(RELEASE), "6.1.0-9").unwrap();
            Kernel::unpacked(series, place).unwrap_err();
            fs::create_dir_all(place.join(modules).join("kernel")).unwrap();
            fs::create_dir_all(place.join("boot")).unwrap();
            fs::write(place.join(image), "").unwrap();
            let kernel = Kernel::unpacked(series, place).unwrap();
            assert_eq!(kernel.release, "6.1.0-9");
            assert_eq!(kernel.image, place.join(image));
            assert_eq!(kernel.modules, place.join(modules));
        }
    }
}
