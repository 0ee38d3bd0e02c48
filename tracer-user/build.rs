//! Builds the eBPF programs, which the loader embeds.
//!
//! `aya-build` hands every line of the inner cargo on as a warning of ours: some sixty of `Compiling …` in a build where
//! nothing is wrong. So it runs in a second process of this script, and what it prints passes through here.

use std::{
    env, fs,
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::Context as _;
use aya_build::{Package, Toolchain};
use object::{
    build::elf::{Builder, SectionData},
    elf::SHT_STRTAB,
};

/// The compiler of `rust-toolchain.toml`: compiler and linker then share one LLVM.
const TOOLCHAIN: &str = "1.95.0";

/// Set in the process that builds.
const BUILDS: &str = "TRACER_BUILDS_EBPF";

/// What a line for cargo begins with where a person is to see it.
const WARNING: &str = "cargo:warning=";

fn main() -> anyhow::Result<ExitCode> {
    if env::var_os(BUILDS).is_some() {
        build()?;
        return Ok(ExitCode::SUCCESS);
    }
    // aya-build reruns this for changes of the eBPF crate itself, not of what it shares with us.
    println!("cargo:rerun-if-changed=../tracer-common/src");
    let script = env::current_exe().context("the build script does not know its own file")?;
    let output = Command::new(script)
        .env(BUILDS, "1")
        // `-Z build-std=core` on the stable compiler: the target has no prebuilt `core`.
        .env("RUSTC_BOOTSTRAP", "1")
        // The same object wherever it is built: what the kernel is told of source lines names no folder of this machine.
        .env("CARGO_UNSTABLE_TRIM_PATHS", "true")
        .env("CARGO_PROFILE_RELEASE_TRIM_PATHS", "all")
        .output()
        .context("the build script cannot start itself again")?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        for line in printed.lines() {
            eprintln!("{}", line.strip_prefix(WARNING).unwrap_or(line));
        }
        eprint!("{errors}");
        return Ok(ExitCode::FAILURE);
    }
    for line in printed.lines() {
        if !line.strip_prefix(WARNING).is_some_and(is_progress) {
            println!("{line}");
        }
    }
    eprint!("{errors}");
    Ok(ExitCode::SUCCESS)
}

fn build() -> anyhow::Result<()> {
    aya_build::build_ebpf(
        [Package {
            name: "tracer-ebpf",
            root_dir: "../tracer-ebpf",
            ..Package::default()
        }],
        Toolchain::Custom(TOOLCHAIN),
    )
    .context(
        "building the eBPF programs failed; `cargo xtask setup` installs the linker and the sources of `core`",
    )?;
    let folder = env::var_os("OUT_DIR").context("cargo names no folder for the object")?;
    leave_out_debugging(&Path::new(&folder).join("tracer-ebpf"))
        .context("cannot make the eBPF object small")
}

/// What is for debuggers goes: the linker makes the kernel's types (BTF) of it, and nobody reads it after that. It is nine
/// tenths of the object, which every tracer carries.
fn leave_out_debugging(object: &Path) -> anyhow::Result<()> {
    let bytes = fs::read(object)?;
    let mut builder = Builder::read(&bytes[..])?;
    for section in &mut builder.sections {
        let name = section.name.to_vec();
        let of_debuggers = name.strip_prefix(b".rel").unwrap_or(&name);
        section.delete = of_debuggers.starts_with(b".debug_");
    }
    builder.delete_orphans();
    // The linker keeps the names of sections among those of symbols; whoever writes here wants them apart.
    let names = builder.sections.add();
    names.name = b".shstrtab"[..].into();
    names.sh_type = SHT_STRTAB;
    names.sh_addralign = 1;
    names.data = SectionData::SectionString;
    let mut smaller = Vec::new();
    builder.write(&mut smaller)?;
    fs::write(object, smaller)?;
    Ok(())
}

/// Whether a line of cargo's says how far it is, as `   Compiling core v0.0.0` does: a word that ends at the twelfth
/// column. What the compiler has to say looks otherwise.
fn is_progress(line: &str) -> bool {
    line.split_at_checked(12).is_some_and(|(status, rest)| {
        let word = status.trim_start();
        rest.starts_with(' ')
            && word.starts_with(|first: char| first.is_ascii_uppercase())
            && word.chars().all(|letter| letter.is_ascii_alphabetic())
    })
}
