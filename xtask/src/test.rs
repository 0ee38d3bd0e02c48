//! `cargo xtask test`: unit tests as the user; the tests on the real kernel are built as the user, and only
//! their binary runs as root.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail};

use crate::{
    privilege::as_root,
    progress::step,
    run::{build_tracer, conventional},
    workspace::{cargo, root, tools},
};

/// The real engine of the tests: llama.cpp, prebuilt, from PyPI.
const ENGINE_PACKAGE: &str = "xllamacpp==2026.10.11549";

/// Runs all tests; returns the status of the first part that failed.
///
/// # Errors
/// Something could not be built or started.
pub fn test(strict: bool, filters: &[OsString]) -> anyhow::Result<i32> {
    let tracer = build_tracer()?;
    if filters.is_empty() {
        let status = unit_tests(strict)?;
        if status != 0 {
            return Ok(status);
        }
    }
    let binary = kernel_tests()?;
    let python = real_engine();
    if let Err(error) = &python {
        eprintln!("xtask: no real engine for the tests: {error:#}");
    }
    let python = python.unwrap_or_default();
    let directory = root().join("target/tests");
    std::fs::create_dir_all(&directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    let mut variables: Vec<(&str, &OsStr)> = vec![
        ("TRACER_BINARY", tracer.as_os_str()),
        ("TRACER_TESTS_DIRECTORY", directory.as_os_str()),
        ("TRACER_TESTS_PYTHON", python.as_os_str()),
    ];
    if strict {
        variables.push(("TRACER_TESTS_STRICT", OsStr::new("1")));
    }
    let status = as_root(&binary, variables)
        .args(filters)
        .status()
        .context("cannot start the tests on the real kernel; they need root or sudo")?;
    Ok(conventional(status))
}

/// Runs the unit tests. A few of them need root or a tool; where that is missing they print a line that
/// begins with `skipped:`, which the test runner hides and `strict` looks for.
fn unit_tests(strict: bool) -> anyhow::Result<i32> {
    // Of the tests' own crate only the library: its other part is the binary that needs root.
    let parts: [&[&str]; 2] = [
        &[
            "--workspace",
            "--exclude",
            "tests",
            "--exclude",
            "tracer-ebpf",
        ],
        &["--package", "tests", "--lib"],
    ];
    for part in parts {
        let status = unit_tests_of(part, strict)?;
        if status != 0 {
            return Ok(status);
        }
    }
    Ok(0)
}

fn unit_tests_of(part: &[&str], strict: bool) -> anyhow::Result<i32> {
    let mut command = cargo();
    command.arg("test").args(part);
    if !strict {
        let status = command.status().context("cannot run cargo test")?;
        return Ok(conventional(status));
    }
    let output = command
        .args(["--", "--show-output"])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo test")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let skipped: Vec<&str> = text.lines().filter(|line| is_skip(line)).collect();
    if !output.status.success() {
        print!("{text}");
        return Ok(conventional(output.status));
    }
    for line in text.lines().filter(|line| line.starts_with("test ")) {
        println!("{line}");
    }
    if skipped.is_empty() {
        return Ok(0);
    }
    for line in &skipped {
        eprintln!("xtask: a unit test was {line}");
    }
    eprintln!("xtask: --strict: {} unit tests were skipped", skipped.len());
    Ok(1)
}

fn is_skip(line: &str) -> bool {
    line.trim_start().starts_with("skipped:")
}

/// Builds the tests on the real kernel and finds their binary.
fn kernel_tests() -> anyhow::Result<PathBuf> {
    let output = cargo()
        .args([
            "test",
            "--release",
            "--package",
            "tests",
            "--no-run",
            "--message-format=json",
        ])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot build the tests")?;
    if !output.status.success() {
        bail!("building the tests on the real kernel failed");
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find_map(|message| {
            let target = message.get("target")?;
            (target.get("name")? == "kernel" && target.get("kind")?.get(0)? == "test")
                .then(|| message.get("executable")?.as_str().map(PathBuf::from))?
        })
        .context("cargo built no test binary named kernel")
}

/// Makes a Python virtual environment with the real engine, unless it is there; returns its Python.
fn real_engine() -> anyhow::Result<PathBuf> {
    let environment = tools().join("venv-xllamacpp");
    let python = environment.join("bin/python");
    let stamp = environment.join("installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|package| package == ENGINE_PACKAGE) {
        return Ok(python);
    }
    // A half-made environment is made anew.
    if environment.exists() {
        std::fs::remove_dir_all(&environment)?;
    }
    step(
        "making a Python environment for the real engine",
        Command::new("python3")
            .args([OsStr::new("-m"), OsStr::new("venv")])
            .arg(&environment),
    )?;
    step(
        &format!("installing {ENGINE_PACKAGE}"),
        Command::new(&python).args(["-m", "pip", "install", "--quiet", ENGINE_PACKAGE]),
    )?;
    write_stamp(&stamp)?;
    Ok(python)
}

fn write_stamp(stamp: &Path) -> anyhow::Result<()> {
    std::fs::write(stamp, ENGINE_PACKAGE)
        .with_context(|| format!("cannot write {}", stamp.display()))
}

#[cfg(test)]
mod tests {
    use super::is_skip;

    #[test]
    fn skips_are_told_from_results() {
        assert!(is_skip("skipped: needs root"));
        assert!(!is_skip("test a::that_is_skipped ... ok"));
    }
}
