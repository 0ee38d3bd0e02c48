//! The `tracer` binary.

use clap::Parser as _;
use tracer_user::{
    cli::{Arguments, execute},
    target::ProgramError,
};

/// The tracer itself failed.
const FAILED: i32 = 125;

fn main() {
    let status = match execute(Arguments::parse()) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("tracer: {error:#}");
            error
                .downcast_ref::<ProgramError>()
                .map_or(FAILED, ProgramError::conventional_code)
        }
    };
    std::process::exit(status);
}
