//! The tables of `docs/METRICS.md`, which come from the catalogue of figures.

use std::process::Command;

use crate::{cargo, setup::Ready};

/// The test that compares the document with the catalogue.
const TEST: &str = "figures::document::tests::the_document_shows_the_catalogue";

/// Compares the document with the catalogue; with `bless`, writes it anew.
pub fn command(ready: &Ready, bless: bool) -> Command {
    let mut command = cargo::cargo(&ready.workspace, &ready.toolchain);
    command.args(["test", "--quiet", "--package", "tracer-user", "--lib", TEST]);
    if bless {
        command.env("BLESS", "1");
    } else {
        command.env_remove("BLESS");
    }
    command
}
