//! `cargo xtask`: sets up, builds, runs, tests and lints the workspace.
//!
//! Only what needs root gets it: the tracer, and the tests on the kernel. Everything else, all builds among
//! it, runs as the calling user.

mod bench;
mod caller_environment;
mod cargo;
mod dist;
mod executable;
mod kept;
mod lint;
mod packages;
mod privilege;
mod progress;
mod run;
mod setup;
mod shell;
mod supervise;
mod test;
mod toolchain;
mod tools;
mod vm;
mod workspace;

use std::{
    env,
    ffi::{OsStr, OsString},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

/// Sets up, builds, runs, tests and lints the workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check and install what a build needs: the toolchain's components, and the eBPF linker below target/.
    Setup,
    /// Build the tracer and run it as root, with the arguments as they are; without any, its demo.
    #[command(disable_help_flag = true)]
    Run {
        /// Arguments of the tracer.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Run the unit tests as the user, and the tests on the kernel as root.
    Test(test::Options),
    /// Measure what tracing costs, as root; `cargo xtask bench --help` says how.
    #[command(disable_help_flag = true)]
    Bench {
        /// Arguments of the program that measures.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Run the tracer and its tests on other kernels, in virtual machines.
    #[command(subcommand)]
    Vm(vm::Command),
    /// Check the structure of the sources and their formatting, run clippy on the user's side and on the eBPF side, and
    /// build the documentation.
    Lint(lint::Options),
    /// Make what is given to others, in target/dist/: static programs, packages for Debian and rpm, an
    /// image for containers, manual pages, completions, sums.
    Dist(dist::Options),
    /// Run libFuzzer on the parsers of headers, traces and what other programs print; needs a C++ compiler.
    Fuzz(test::fuzz::Options),
    /// Check licences, versions and sources of all dependencies, by deny.toml.
    Deny,
}

fn main() -> ExitCode {
    let mut given = env::args_os().skip(1);
    // Clap would take a leading `--` for itself, and the tracer gets its arguments as they were given.
    match given.next() {
        Some(first) if first == OsStr::new("run") => run::run(given.collect()),
        Some(first) if first == OsStr::new(run::SECOND_STAGE) => run::second_stage(given.collect()),
        _ => match Arguments::parse().command {
            Command::Run { arguments } => run::run(arguments),
            Command::Setup => report(setup::setup().map(|_ready| ())),
            Command::Test(options) => report(test::test(&options)),
            Command::Bench { arguments } => bench::bench(&arguments),
            Command::Vm(command) => vm::vm(command),
            Command::Lint(options) => report(lint::lint(&options)),
            Command::Dist(options) => report(dist::dist(&options)),
            Command::Fuzz(options) => report(test::fuzz::fuzz(&options)),
            Command::Deny => report(tools::deny::deny()),
        },
    }
}

/// The exit status of a command of ours, with its error printed.
fn report(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
