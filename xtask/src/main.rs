//! `cargo xtask`: everything around the tracer that is not the tracer.

mod lint;
mod privilege;
mod progress;
mod run;
mod setup;
mod test;
mod workspace;

use std::ffi::OsString;

use clap::{Parser, Subcommand};

/// Set-up, run, test and lint of the tracer.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install what the build needs: toolchain components, and the eBPF linker into target/tools.
    Setup,
    /// Set up, build, and run the tracer as root with these arguments; without any, the demo.
    #[command(disable_help_flag = true)]
    Run {
        /// The tracer's arguments, passed on as they are.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Run the unit tests as you, then the tests on the real kernel as root.
    Test {
        /// A test that cannot run here is a failure.
        #[arg(long)]
        strict: bool,
        /// Run only the tests on the real kernel whose name contains one of these.
        filters: Vec<OsString>,
    },
    /// Check formatting, lints of both sides, and documentation.
    Lint,
}

fn main() {
    let result = match Arguments::parse().command {
        Command::Setup => setup::setup().map(|()| 0),
        Command::Run { arguments } => run::run(&arguments),
        Command::Test { strict, filters } => test::test(strict, &filters),
        Command::Lint => lint::lint().map(|()| 0),
    };
    match result {
        Ok(status) => std::process::exit(status),
        Err(error) => {
            eprintln!("xtask: {error:#}");
            std::process::exit(1);
        }
    }
}
