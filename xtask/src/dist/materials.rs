//! What the program is made of: every crate with version, source and licence, as CycloneDX (a software bill of materials).

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context as _, Result};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};
use serde_json::{Value, json};

use crate::setup::Ready;

/// The crate that the program is.
const PROGRAM: &str = "tracer-user";

/// Writes the bill.
///
/// # Errors
/// Cargo cannot say what the program is made of.
pub fn write(ready: &Ready, path: &Path) -> Result<()> {
    let metadata = MetadataCommand::new()
        .manifest_path(ready.workspace.root.join("Cargo.toml"))
        .other_options(["--locked".to_owned()])
        .exec()
        .context("cannot ask cargo for the dependencies")?;
    let text = serde_json::to_string_pretty(&bill(&metadata)?).context("cannot write JSON")?;
    fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
}

fn bill(metadata: &Metadata) -> Result<Value> {
    let used = used(metadata)?;
    let mut components: Vec<Value> = Vec::new();
    for package in metadata
        .packages
        .iter()
        .filter(|package| used.contains(&package.id))
    {
        if package.name.as_str() == PROGRAM {
            continue;
        }
        components.push(json!({
            "type": "library",
            "name": package.name,
            "version": package.version.to_string(),
            "purl": format!("pkg:cargo/{}@{}", package.name, package.version),
            "licenses": [{ "expression": package.license }],
        }));
    }
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": { "type": "application", "name": "tracer", "version": env!("CARGO_PKG_VERSION") },
        },
        "components": components,
    }))
}

/// What is linked in, not what tests and builds use.
fn used(metadata: &Metadata) -> Result<BTreeSet<PackageId>> {
    let resolved = metadata
        .resolve
        .as_ref()
        .context("cargo says nothing of the dependencies")?;
    let mut waiting: Vec<PackageId> = metadata
        .packages
        .iter()
        .filter(|package| package.name.as_str() == PROGRAM)
        .map(|package| package.id.clone())
        .collect();
    let mut used = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        if !used.insert(id.clone()) {
            continue;
        }
        let node = resolved.nodes.iter().find(|node| node.id == id);
        for dependency in node.iter().flat_map(|node| &node.deps) {
            let is_linked = dependency
                .dep_kinds
                .iter()
                .any(|kind| kind.kind == DependencyKind::Normal);
            if is_linked {
                waiting.push(dependency.pkg.clone());
            }
        }
    }
    Ok(used)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bill_has_what_is_linked_and_not_what_tests_use() {
        let metadata = MetadataCommand::new()
            .other_options(["--offline".to_owned()])
            .exec()
            .expect("cargo says what this workspace is");
        let bill = bill(&metadata).expect("a bill");
        let names: Vec<&str> = bill["components"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|component| component["name"].as_str())
            .collect();
        assert!(names.contains(&"aya") && names.contains(&"tracer-common"));
        assert!(!names.contains(&"proptest") && !names.contains(&PROGRAM));
    }
}
