//! The same program wherever it is built: no folder of this machine is in it.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::setup::Ready;

/// Separates flags in `CARGO_ENCODED_RUSTFLAGS`.
const SEPARATOR: &str = "\u{1f}";

/// Has a build of cargo's name sources by what they are of, not by where they lie. Flags that the environment has for the
/// compiler are left out: they would make another program. Those of `further` are added.
///
/// # Errors
/// The compiler does not say where it lies.
pub fn name_no_folder(command: &mut Command, ready: &Ready, further: &[&str]) -> Result<()> {
    let places = [
        (ready.workspace.root.clone(), "/tracer"),
        (cargo_home()?, "/cargo"),
        (sysroot(ready)?, "/rust"),
    ];
    command
        .env_remove("RUSTFLAGS")
        .env("CARGO_ENCODED_RUSTFLAGS", flags(&places, further)?)
        // What asks for the time of a build gets the same one.
        .env("SOURCE_DATE_EPOCH", "0");
    Ok(())
}

fn flags(places: &[(PathBuf, &str)], further: &[&str]) -> Result<String> {
    let mut flags = places
        .iter()
        .map(|(place, name)| {
            let place = place.to_str().with_context(|| {
                format!(
                    "{} is no UTF-8, which the compiler's flags are",
                    place.display()
                )
            })?;
            Ok(format!("--remap-path-prefix={place}={name}"))
        })
        .collect::<Result<Vec<_>>>()?;
    flags.extend(further.iter().map(|flag| (*flag).to_owned()));
    Ok(flags.join(SEPARATOR))
}

fn cargo_home() -> Result<PathBuf> {
    match env::var_os("CARGO_HOME") {
        Some(home) => Ok(PathBuf::from(home)),
        None => Ok(env::home_dir()
            .context("this user has no home folder, where cargo keeps the crates")?
            .join(".cargo")),
    }
}

fn sysroot(ready: &Ready) -> Result<PathBuf> {
    let output = Command::new("rustc")
        .env("RUSTUP_TOOLCHAIN", &ready.toolchain.channel)
        .args(["--print", "sysroot"])
        .output()
        .context("cannot run rustc")?;
    ensure!(
        output.status.success(),
        "the compiler does not say where it lies: {}",
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    Ok(PathBuf::from(
        String::from_utf8_lossy(&output.stdout).trim_end(),
    ))
}

/// Fails where a program names one of these folders.
///
/// # Errors
/// It does, or cannot be read.
pub fn check_names_no_folder(program: &Path, ready: &Ready) -> Result<()> {
    let bytes = std::fs::read(program).context("cannot read the program")?;
    for folder in [ready.workspace.root.clone(), cargo_home()?] {
        let name = folder.to_string_lossy().into_owned();
        ensure!(
            !holds(&bytes, name.as_bytes()),
            "{} holds {name}: built elsewhere it would be another program",
            program.display()
        );
    }
    Ok(())
}

fn holds(bytes: &[u8], name: &[u8]) -> bool {
    bytes.windows(name.len()).any(|window| window == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_folder_is_named_otherwise_and_a_space_is_no_end_of_a_flag() {
        let places = [
            (PathBuf::from("/my work/tracer"), "/tracer"),
            (PathBuf::from("/root/.cargo"), "/cargo"),
        ];
        assert_eq!(
            flags(&places, &["-Clink-arg=-x"]).expect("flags"),
            "--remap-path-prefix=/my work/tracer=/tracer\u{1f}--remap-path-prefix=/root/.cargo=/cargo\u{1f}-Clink-arg=-x"
        );
    }

    #[test]
    fn a_folder_in_a_program_is_found() {
        assert!(holds(b"..\0/home/a/src/main.rs\0", b"/home/a/"));
        assert!(!holds(b"..\0/tracer/src/main.rs\0", b"/home/a/"));
    }
}
