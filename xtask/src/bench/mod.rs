//! `cargo xtask bench`: what tracing costs. The program `bench` of the tests measures; here it is built, with what it
//! compares the tracer with, and run.

use std::{
    ffi::{OsStr, OsString},
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result};

use crate::{
    cargo,
    packages::Architecture,
    privilege::Elevation,
    progress,
    run::build_tracer,
    setup::{self, Ready},
    supervise,
    tools::{programs_of_tests, python},
    vm::StaticBuild,
};

/// What xtask exits with when it is xtask that failed, and not the measurement.
const FAILED: u8 = 125;

/// Builds the program that measures, and runs it as root. `static` as the first argument only builds program and
/// tracer, as files that run on another machine as they are; `document` writes the document of what was measured.
pub fn bench(arguments: &[OsString]) -> ExitCode {
    let result = match arguments.first() {
        Some(first) if first == OsStr::new("static") => build_static().map(|()| 0),
        Some(first) if first == OsStr::new("document") => write_document().map(|()| 0),
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
    let mut variables = vec![
        ("TRACER_BINARY", build_tracer(&ready)?.into()),
        (
            "PATH",
            programs_of_tests::search_path_of_measurements(&ready.workspace)?,
        ),
    ];
    variables.extend(revision().map(|revision| ("TRACER_BENCH_REVISION", revision.into())));
    if arguments[0] == OsStr::new("tokens") {
        let python = python::find(&ready, &python::ENGINE);
        variables.extend(python.map(|python| ("TRACER_TESTS_PYTHON", python.into())));
    }
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

/// The source's commit, by git; with `-dirty` where files differ from it.
fn revision() -> Option<String> {
    let output = Command::new("git")
        .args(["describe", "--always", "--dirty", "--exclude=*"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

fn only_asks_for_help(arguments: &[OsString]) -> bool {
    arguments
        .first()
        .is_none_or(|first| first == OsStr::new("help"))
        || arguments
            .iter()
            .any(|argument| argument == OsStr::new("--help") || argument == OsStr::new("-h"))
}

/// `bench document`, with these arguments after it, in the workspace's root.
pub fn document_command(ready: &Ready) -> Command {
    let mut command = cargo::cargo(&ready.workspace, &ready.toolchain);
    command.args([
        "run",
        "--quiet",
        "--package",
        "tests",
        "--bin",
        "bench",
        "--",
        "document",
    ]);
    command
}

fn write_document() -> Result<()> {
    cargo::succeed(&mut document_command(&setup::setup()?))
}

fn build_static() -> Result<()> {
    let ready = setup::setup()?;
    let architecture = Architecture::of_machine()
        .context("nothing static can be built for this machine's processor")?;
    let built = StaticBuild::bench(&ready, architecture)?;
    for program in built {
        println!("{}", program.display());
    }
    Ok(())
}
