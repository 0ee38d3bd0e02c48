//! `cargo xtask bench`: what tracing costs. The program `bench` of the tests measures; here it is built, with what it
//! compares the tracer with, and run.

mod others;

use std::{
    ffi::{OsStr, OsString},
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result};

use crate::{
    cargo,
    privilege::Elevation,
    progress,
    run::build_tracer,
    setup::{self, Ready},
    supervise,
    vm::{Architecture, StaticBuild},
};

/// What xtask exits with when it is xtask that failed, and not the measurement.
const FAILED: u8 = 125;

/// Builds the program that measures, and runs it as root. With `static` as the first argument it only builds program
/// and tracer, as files that run on another machine as they are.
pub fn bench(arguments: &[OsString]) -> ExitCode {
    let result = match arguments.first() {
        Some(first) if first == OsStr::new("static") => build_static().map(|()| 0),
        _ => build_and_run(arguments),
    };
    match result {
        Ok(status) => status.into(),
        Err(error) => {
            eprintln!("xtask: {error:#}");
            FAILED.into()
        }
    }
}

fn build_and_run(arguments: &[OsString]) -> Result<u8> {
    let ready = setup::setup()?;
    progress::say("building the program that measures");
    let mut build = cargo::cargo(&ready.workspace, &ready.toolchain);
    build.args(["build", "--release", "--package", "tests", "--bin", "bench"]);
    let bench = cargo::build(&mut build, "bench")?.executable;
    if only_asks_for_help(arguments) {
        let status = Command::new(bench)
            .args(arguments)
            .status()
            .context("cannot run the program that measures")?;
        return Ok(supervise::exit_code(status));
    }
    let mut variables = others::variables(&ready);
    variables.push(("TRACER_BINARY", build_tracer(&ready)?.into()));
    let by_hand = std::iter::once(OsString::from("env"))
        .chain(variables.iter().map(|(name, value)| {
            let mut assignment = OsString::from(format!("{name}="));
            assignment.push(value);
            assignment
        }))
        .chain([bench.clone().into()])
        .chain(arguments.iter().cloned());
    let elevation = Elevation::find(by_hand)?;
    let mut command = elevation.command(&bench, arguments, &variables);
    Ok(supervise::exit_code(supervise::run(
        &mut command,
        &elevation,
    )?))
}

fn only_asks_for_help(arguments: &[OsString]) -> bool {
    arguments
        .first()
        .is_none_or(|first| first == OsStr::new("help"))
        || arguments
            .iter()
            .any(|argument| argument == OsStr::new("--help") || argument == OsStr::new("-h"))
}

fn build_static() -> Result<()> {
    let ready: Ready = setup::setup()?;
    let built = StaticBuild::bench(&ready, Architecture::of_machine()?)?;
    for program in built {
        println!("{}", program.display());
    }
    Ok(())
}
