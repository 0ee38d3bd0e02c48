//! Spark in local mode with a Java of Debian's, for one test by night: `cargo xtask test --spark spark::`.
//!
//! 518 MB of Python packages and 185 MB of Java, two to three minutes to fetch and unpack: too much for each change.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::{python, starter::write_starter};
use crate::{
    packages::{Architecture, Unpacked},
    progress,
    setup::{self, Ready},
};

/// Whatever version the machine's Debian has.
const PACKAGE: &str = "default-jre-headless";

/// A Python that has Spark and finds Java; where it cannot be had, that is said.
pub fn find(ready: &Ready) -> Option<PathBuf> {
    ensure(ready)
        .inspect_err(|error| {
            progress::say(&format!("the test of Spark cannot run: {error:#}"));
        })
        .ok()
}

fn ensure(ready: &Ready) -> Result<PathBuf> {
    let architecture =
        Architecture::of_machine().context("Debian's packages are for other processors")?;
    let python = python::find(ready, &python::SPARK).context("there is no Python with pyspark")?;
    let root = ready.workspace.tools().join("java");
    let _lock = setup::lock(&ready.workspace)?;
    let stamp = root.join("xtask-stamp");
    if !stamp.exists() {
        if root.exists() {
            fs::remove_dir_all(&root)
                .with_context(|| format!("cannot remove {}", root.display()))?;
        }
        let unpacked = Unpacked {
            root: &root,
            architecture,
        };
        let apt = ready.workspace.tools().join("apt");
        unpacked.fetch(&[PACKAGE.to_owned()], apt, "for the test of Spark")?;
        fs::write(&stamp, PACKAGE).with_context(|| format!("cannot write {}", stamp.display()))?;
    }
    let starter = root.join("python");
    // Also where all is there: the target folder may have been moved. Java finds its own libraries beside itself.
    let home =
        java_home(&root.join("usr/lib/jvm")).or_else(|| java_home(Path::new("/usr/lib/jvm")));
    let home = home.with_context(|| format!("{PACKAGE} brought no Java"))?;
    write_starter(&starter, &python, &[("JAVA_HOME", home.into())])?;
    Ok(starter)
}

/// The folder of a Java.
fn java_home(folder: &Path) -> Option<PathBuf> {
    let versions = fs::read_dir(folder).ok()?.flatten();
    versions
        .map(|version| version.path())
        .find(|version| version.join("bin/java").is_file())
}
