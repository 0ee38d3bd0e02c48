//! The `tracer` binary.

use clap::Parser as _;
use tracer_user::{
    cli::{Arguments, execute},
    process::{LaunchError, ProgramError},
};

/// The tracer itself failed.
const FAILED: i32 = 125;

fn main() {
    let status = match execute(Arguments::parse()) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("tracer: {error:#}");
            program_error(&error).map_or(FAILED, ProgramError::conventional_code)
        }
    };
    std::process::exit(status);
}

/// What is wrong with the engine's program, where that is what failed: found before anything was touched, or
/// by exec itself.
fn program_error(error: &anyhow::Error) -> Option<&ProgramError> {
    match error.downcast_ref::<LaunchError>() {
        Some(LaunchError::Program(program)) => Some(program),
        _ => error.downcast_ref::<ProgramError>(),
    }
}
