//! The tables of `docs/METRICS.md` and `docs/METRICS_EXPORT.md`, which come from the catalogue of figures.

use std::process::Command;

use crate::{cargo, setup::Ready};

/// What the names of the tests have in common that compare a document with the catalogue.
const TEST: &str = "document::tests::the_document_shows";

/// Compares the documents with the catalogue; with `bless`, writes them anew.
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
