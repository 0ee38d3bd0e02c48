//! `cargo xtask vm`: the tracer and its tests on other kernels, in virtual machines.
//!
//! Kernels come as packages of Debian's, programs for the guest from this machine where it has the guest's
//! architecture, else from Debian too; nothing is installed for it but QEMU. What is tested is built static, so that it runs in a guest that has nothing.

#[path = "../../../tests/src/case_result.rs"]
mod case_result;
mod document;
mod folder;
mod guest;
mod host_tools;
mod own_kernel;
mod prepared;
mod recordings;
mod results;
mod series;
mod static_build;
mod table;
mod test;

use std::{ffi::OsString, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Result;

pub use own_kernel::keep as keep_own_results;
pub use static_build::StaticBuild;

use crate::vm::{
    guest::{job::Job, machine::Settings},
    prepared::prepare,
    series::Series,
};

/// What xtask exits with when it is xtask that failed, and not the job.
const FAILED: u8 = 125;

/// What to do with a virtual machine.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Run a command in a guest, which has the tracer in its search path; its status is passed on.
    Run(RunOptions),
    /// Open a shell in a guest, which has the tracer in its search path.
    Shell {
        /// Which kernel.
        #[arg(long, default_value = "6.12")]
        kernel: Series,
    },
    /// Run the tests on the kernel in guests, and show how they went on each kernel.
    Test(test::Options),
    /// Write the tables of docs/KERNELS.md: what the tracer says on each kernel, and how the tests went there last.
    Document,
    /// Record reads with blktrace, as samples of its binary files with the text that blkparse makes of them.
    RecordBlktrace {
        /// Which kernels.
        #[arg(long = "kernel", value_delimiter = ',', default_values = ["6.1", "6.12"])]
        kernels: Vec<Series>,
        /// The folder that gets a folder for each kernel.
        #[arg(long)]
        out: PathBuf,
    },
}

/// A command for a guest.
#[derive(Debug, clap::Args)]
pub struct RunOptions {
    /// Which kernel.
    #[arg(long, default_value = "6.12")]
    kernel: Series,
    /// Stop the machine after so many seconds.
    #[arg(long, default_value_t = 600)]
    limit: u64,
    /// A file that the guest is to have, by the same absolute path; may be given again.
    #[arg(long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Gets what the command leaves in /guest/out.
    #[arg(long)]
    out: Option<PathBuf>,
    /// The command.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Does it. The status is that of the guest's command where there is one.
pub fn vm(command: Command) -> ExitCode {
    let result = match command {
        Command::Run(options) => run(options),
        Command::Shell { kernel } => shell(kernel),
        Command::Test(options) => test::test(&options).map(|()| 0),
        Command::Document => document::document().map(|()| 0),
        Command::RecordBlktrace { kernels, out } => recordings::record(&kernels, &out).map(|()| 0),
    };
    match result {
        Ok(status) => status.into(),
        Err(error) => {
            eprintln!("xtask: {error:#}");
            FAILED.into()
        }
    }
}

fn run(options: RunOptions) -> Result<u8> {
    let prepared = prepare(&[options.kernel])?;
    let programs = prepared.programs_with_tracer(options.kernel.architecture)?;
    let mut job = Job::of(options.command);
    for file in options.files {
        job.files.push(std::path::absolute(file)?);
    }
    let settings = Settings {
        limit: Some(Duration::from_secs(options.limit)),
        out: options.out,
    };
    prepared.run(options.kernel, &programs, &job, &settings)
}

fn shell(series: Series) -> Result<u8> {
    let prepared = prepare(&[series])?;
    let programs = prepared.programs_with_tracer(series.architecture)?;
    let mut job = Job::of(["busybox", "ash", "-l"]);
    job.terminal = Some(terminal_size());
    prepared.run(series, &programs, &job, &Settings::default())
}

/// Rows and columns of our terminal; 24 and 80 where there is none.
fn terminal_size() -> (u16, u16) {
    let ask = || -> Option<(u16, u16)> {
        let output = std::process::Command::new("stty")
            .arg("size")
            .stdin(std::process::Stdio::inherit())
            .stderr(std::process::Stdio::null())
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        let (rows, columns) = text.trim().split_once(' ')?;
        // A terminal that does not know says 0.
        let (rows, columns) = (rows.parse().ok()?, columns.parse().ok()?);
        (rows > 0 && columns > 0).then_some((rows, columns))
    };
    ask().unwrap_or((24, 80))
}
