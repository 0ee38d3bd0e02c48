//! `cargo xtask dist`: what is given to others, in `target/dist/`.

mod debian;
mod documents;
mod image;
mod materials;
mod reproducible;
mod rpm;
mod tree;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use documents::Documents;

use crate::{
    cargo,
    packages::Architecture,
    progress,
    setup::{self, Ready},
};

/// What a program for others should not be larger than, bytes.
const LARGEST_PROGRAM: u64 = 12 << 20;

/// What names the linker for x86_64 to cargo; `.cargo/config.toml` has that for aarch64.
const LINKER_OF_AMD64: &str = "CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER";

/// Places that hold addresses as a bitmap (`DT_RELR`), which musl's start code reads: 3 KiB of them and not 460. Not tried on aarch64.
const SMALL_RELOCATIONS: &[&str] = &["-Clink-arg=-zpack-relative-relocs"];

/// What to make.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// For which processors, with commas between them.
    #[arg(long, value_delimiter = ',', value_name = "NAME", default_values = ["amd64", "arm64"], value_parser = architecture)]
    architectures: Vec<Architecture>,
}

fn architecture(name: &str) -> Result<Architecture, String> {
    [Architecture::Amd64, Architecture::Arm64]
        .into_iter()
        .find(|architecture| architecture.debian() == name)
        .ok_or_else(|| format!("{name} is none of amd64, arm64"))
}

/// Makes everything anew.
///
/// # Errors
/// A build fails, or a program that packs is missing.
pub fn dist(options: &Options) -> Result<()> {
    let ready = setup::setup()?;
    let target = ready
        .workspace
        .tools()
        .parent()
        .context("the tools lie in the target folder")?
        .to_owned();
    let folder = target.join("dist");
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let documents = Documents::write(&ready, &folder)?;
    materials::write(&ready, &folder.join("tracer.cdx.json"))?;
    let rpm_tools = rpm::Tools::get(&ready.workspace)?;
    let mut programs = Vec::new();
    for architecture in &options.architectures {
        let program = program(&ready, *architecture)?;
        let size = program
            .metadata()
            .context("cannot look at the program")?
            .len();
        let name = folder.join(format!("tracer-{}", architecture.rust_target()));
        fs::copy(&program, &name).with_context(|| format!("cannot write {}", name.display()))?;
        progress::say(&format!(
            "{} has {:.1} MiB{}",
            name.display(),
            size as f64 / f64::from(1 << 20),
            if size > LARGEST_PROGRAM {
                ", more than the 12 MiB that it should have"
            } else {
                ""
            }
        ));
        let package = debian::pack(&folder, *architecture, &program, &documents)?;
        if architecture.is_of_machine() {
            debian::try_out(&package)?;
        }
        let package = rpm::pack(&rpm_tools, &folder, *architecture, &program, &documents)?;
        if architecture.is_of_machine() {
            rpm::try_out(&rpm_tools, &package)?;
        }
        programs.push((*architecture, program));
    }
    image::pack(&folder, &programs, &documents)?;
    write_sums(&folder)?;
    progress::say(&format!("all of it is in {}", folder.display()));
    Ok(())
}

fn program(ready: &Ready, architecture: Architecture) -> Result<PathBuf> {
    ready.toolchain.ensure_target(architecture.rust_target())?;
    progress::say(&format!(
        "building the tracer for {}",
        architecture.rust_target()
    ));
    let mut command = cargo::cargo(&ready.workspace, &ready.toolchain);
    command.args([
        "build",
        "--profile",
        "packaged",
        "--target",
        architecture.rust_target(),
    ]);
    command.args(["--package", "tracer-user", "--bin", "tracer"]);
    let further = if architecture == Architecture::Amd64 {
        // Rust's own linker, whatever this machine has: another would make other bytes.
        command.env(LINKER_OF_AMD64, "rust-lld");
        SMALL_RELOCATIONS
    } else {
        &[]
    };
    reproducible::name_no_folder(&mut command, ready, further)?;
    let program = cargo::build(&mut command, "tracer")?.executable;
    reproducible::check_names_no_folder(&program, ready)?;
    Ok(program)
}

/// `SHA256SUMS`, as `sha256sum --check` reads it.
fn write_sums(folder: &Path) -> Result<()> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .context("cannot list what was made")?
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .map(|entry| entry.file_name())
        .collect();
    names.sort();
    let output = Command::new("sha256sum")
        .args(&names)
        .current_dir(folder)
        .output()
        .context("cannot run sha256sum")?;
    ensure!(
        output.status.success(),
        "sha256sum ended with {}",
        output.status
    );
    fs::write(folder.join("SHA256SUMS"), output.stdout).context("cannot write SHA256SUMS")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_architecture_is_named_as_debian_does() {
        assert_eq!(architecture("arm64"), Ok(Architecture::Arm64));
        assert!(architecture("aarch64").is_err());
    }

    #[test]
    fn sums_are_of_files_alone_and_can_be_checked() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("man")).expect("a folder in it");
        fs::write(folder.path().join("a"), "x").expect("a file");
        write_sums(folder.path()).expect("sums");
        let sums = fs::read_to_string(folder.path().join("SHA256SUMS")).expect("written");
        assert_eq!(
            sums,
            "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881  a\n"
        );
    }
}
