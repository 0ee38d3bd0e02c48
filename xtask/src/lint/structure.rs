//! The structure of the sources: rooms, circles, conventions.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context as _, Result};

use super::{
    circles, conventions,
    finding::Finding,
    modules::Modules,
    rooms,
    sources::Sources,
    table::{DOCUMENT, Table},
};

/// The crate that has rooms.
const WITH_ROOMS: &str = "tracer-user/src";

/// What is checked.
const FOLDERS: [&str; 5] = [
    WITH_ROOMS,
    "tracer-common/src",
    "tracer-ebpf/src",
    "tests/src",
    "xtask/src",
];

/// Everything that is wrong, by file and line.
///
/// # Errors
/// A source or the document cannot be read, or a source is no Rust.
pub fn check(workspace: &Path) -> Result<Vec<Finding>> {
    let document = fs::read_to_string(workspace.join(DOCUMENT))
        .with_context(|| format!("{DOCUMENT} cannot be read"))?;
    let table = Table::parse(&document);
    let mut findings = Vec::new();
    for folder in FOLDERS {
        let sources = Sources::read(workspace, folder)?;
        let table = (folder == WITH_ROOMS).then_some(&table);
        findings.extend(check_sources(&sources, table));
    }
    findings.sort();
    findings.dedup();
    Ok(findings)
}

/// Checks a folder of sources, and its rooms where there is a table of them.
fn check_sources(sources: &Sources, table: Option<&Table>) -> Vec<Finding> {
    let mut findings = conventions::check(sources);
    let mut reached = BTreeSet::new();
    for root in sources.roots() {
        let modules = Modules::of(sources, root);
        findings.extend(modules.findings.iter().cloned());
        findings.extend(circles::check(&modules));
        if let (Some(table), true) = (table, root.ends_with("lib.rs")) {
            findings.extend(rooms::check(&modules, table));
        }
        reached.extend(modules.files);
    }
    for file in sources.files.keys() {
        if !reached.contains(file) {
            findings.push(Finding::of_all(
                file,
                "no `mod` leads to this file: declare it or remove it",
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let files = files.iter().map(|(path, text)| ((*path).into(), *text));
        let sources = Sources::parse("src", files).expect("the sources are Rust");
        let findings = check_sources(&sources, None);
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn programs_beside_a_library() {
        let files = [
            ("src/lib.rs", "mod a;"),
            ("src/a.rs", "#[cfg(test)] mod tests;"),
            ("src/a/tests.rs", ""),
            ("src/bin/program.rs", "fn main() {}"),
        ];
        assert!(found(&files).is_empty());
    }

    #[test]
    fn a_file_without_a_module_and_a_module_without_a_file() {
        let found = found(&[("src/main.rs", "\nmod gone;"), ("src/left.rs", "")]);
        assert_eq!(
            found,
            [
                "src/main.rs:2: there is no file for `mod gone`: make src/gone.rs",
                "src/left.rs: no `mod` leads to this file: declare it or remove it"
            ]
        );
    }
}
