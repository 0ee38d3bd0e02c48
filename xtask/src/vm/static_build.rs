//! What is tested, built without shared libraries: it runs in a guest that has none.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::guest::programs::Files;
use crate::{
    cargo::{self, Built},
    packages::Architecture,
    progress,
    setup::Ready,
};

/// What is built beside the tests on the kernel for their use.
const HELPERS: [&str; 2] = ["scripted_reader", "stepping_engine"];

/// Programs for the guest.
#[derive(Debug)]
pub struct StaticBuild {
    pub tracer: PathBuf,
    /// The tests on the kernel, where they were asked for.
    pub tests: Option<Built>,
    helpers: Vec<PathBuf>,
}

impl StaticBuild {
    /// Builds the tracer.
    ///
    /// # Errors
    /// The build fails, or Rust has no standard library for the target.
    pub fn tracer(ready: &Ready, architecture: Architecture) -> Result<Self> {
        ready.toolchain.ensure_target(architecture.rust_target())?;
        progress::say("building the tracer without shared libraries");
        let mut command = command(ready, architecture, "build");
        command.args(["--package", "tracer-user", "--bin", "tracer"]);
        Ok(Self {
            tracer: cargo::build(&mut command, "tracer")?.executable,
            tests: None,
            helpers: Vec::new(),
        })
    }

    /// Builds the tracer and the tests on the kernel.
    ///
    /// # Errors
    /// The build fails, or Rust has no standard library for the target.
    pub fn tests(ready: &Ready, architecture: Architecture) -> Result<Self> {
        let mut built = Self::tracer(ready, architecture)?;
        progress::say("building the tests on the kernel without shared libraries");
        let mut command = command(ready, architecture, "test");
        command.args(["--no-run", "--package", "tests", "--test", "kernel"]);
        let mut programs = cargo::build_all(&mut command)?;
        let mut take = |name: &str| {
            programs
                .remove(name)
                .with_context(|| format!("cargo has built no program `{name}`"))
        };
        built.tests = Some(take("kernel")?);
        built.helpers = HELPERS
            .map(|name| Ok(take(name)?.executable))
            .into_iter()
            .collect::<Result<_>>()?;
        Ok(built)
    }

    /// Builds the tracer and the program that measures what it costs; their paths.
    ///
    /// # Errors
    /// The build fails, or Rust has no standard library for the target.
    pub fn bench(ready: &Ready, architecture: Architecture) -> Result<[PathBuf; 2]> {
        let tracer = Self::tracer(ready, architecture)?.tracer;
        let mut command = command(ready, architecture, "build");
        command.args(["--package", "tests", "--bin", "bench"]);
        Ok([tracer, cargo::build(&mut command, "bench")?.executable])
    }

    /// Puts the programs into the guest: the tracer into its search path, the others where they are here, since the
    /// tests have their helpers' paths built in.
    pub fn add_to(&self, files: &mut Files) {
        files.insert("/bin/tracer".into(), self.tracer.clone());
        let tests = self.tests.iter().map(|tests| &tests.executable);
        for program in self.helpers.iter().chain(tests) {
            files.insert(program.clone(), program.clone());
        }
    }

    /// Where the guest has the tracer.
    pub fn tracer_in_guest() -> &'static Path {
        Path::new("/bin/tracer")
    }
}

fn command(ready: &Ready, architecture: Architecture, what: &str) -> std::process::Command {
    let mut command = cargo::cargo(&ready.workspace, &ready.toolchain);
    command
        .args([what, "--release", "--target", architecture.rust_target()])
        // The guest's files take its memory. As an environment variable it would reach the eBPF build, whose types
        // are debug information.
        .args(["--config", "profile.release.strip=\"debuginfo\""]);
    command
}
