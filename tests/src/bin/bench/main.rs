//! Measures what tracing costs, on this machine.

mod arguments;
mod document;
mod measure;

use std::process::ExitCode;

use clap::Parser as _;

use arguments::{Arguments, Command};

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Cost(arguments) => measure::cost(&arguments),
        Command::Scale(arguments) => measure::scale(&arguments),
        Command::Cache(arguments) => measure::cache(&arguments),
        Command::Idle(arguments) => measure::idle(&arguments),
        Command::Tokens(arguments) => measure::tokens(&arguments),
        Command::Document(arguments) => document::document(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
