//! Which room imports which, against the table of the document.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    finding::Finding,
    modules::{Binding, Modules},
    resolve::absolute,
    table::{DOCUMENT, Table},
};

/// Other crates that the table has, by the name that the code has for them.
const CRATES: [(&str, &str); 4] = [
    ("tracer_common", "common"),
    ("aya", "aya"),
    ("aya_log", "aya"),
    ("aya_obj", "aya"),
];

/// Where a room names another first.
type Arrows = BTreeMap<(String, String), (PathBuf, usize)>;

/// Compares what the rooms import with the table, in both directions.
pub fn check(modules: &Modules, table: &Table) -> Vec<Finding> {
    let mut findings = table.findings.clone();
    let arrows = arrows(modules);
    for ((from, to), (file, line)) in &arrows {
        match table.rows.get(from) {
            Some(row) if row.imports.contains(to) => {}
            Some(row) => findings.push(Finding::new(
                file,
                *line,
                format!(
                    "`{from}` imports `{to}`, which its row ({DOCUMENT}:{}) does not have: \
                     move the code to where it may, or add the arrow to the row if it makes no circle of rooms",
                    row.line
                ),
            )),
            None => {}
        }
    }
    let document = Path::new(DOCUMENT);
    for (room, row) in &table.rows {
        if !rooms(modules).any(|name| name == room) {
            findings.push(Finding::new(
                document,
                row.line,
                format!("there is no room `{room}` (a module of the crate's root): remove its row"),
            ));
            continue;
        }
        for to in &row.imports {
            if !arrows.contains_key(&(room.clone(), to.clone())) {
                findings.push(Finding::new(
                    document,
                    row.line,
                    format!("nothing in `{room}` imports `{to}`: remove it from the row"),
                ));
            }
        }
    }
    for room in rooms(modules) {
        if !table.rows.contains_key(room) {
            let file = modules.all.first().map_or(document, |root| &root.file);
            findings.push(Finding::new(
                file,
                1,
                format!("the room `{room}` has no row in the table under `## Arrows` of {DOCUMENT}: add one"),
            ));
        }
    }
    findings
}

/// The modules of the crate's root.
fn rooms(modules: &Modules) -> impl Iterator<Item = &String> {
    let root = modules.all.first();
    root.into_iter()
        .flat_map(|root| &root.names)
        .filter(|(_, bindings)| {
            bindings
                .iter()
                .any(|binding| matches!(binding, Binding::Module(_)))
        })
        .map(|(name, _)| name)
}

fn arrows(modules: &Modules) -> Arrows {
    let mut arrows = Arrows::new();
    for (index, module) in modules.all.iter().enumerate() {
        let Some(room) = module.path.first() else {
            continue;
        };
        for reference in &module.references {
            let Some(to) = named(modules, index, &reference.segments) else {
                continue;
            };
            if to != *room {
                arrows
                    .entry((room.clone(), to))
                    .or_insert_with(|| (module.file.clone(), reference.line));
            }
        }
    }
    arrows
}

/// The room or the crate that a path names.
fn named(modules: &Modules, from: usize, segments: &[String]) -> Option<String> {
    if let Some(path) = absolute(modules, from, segments) {
        return path.into_iter().next();
    }
    let first = segments.first()?;
    CRATES
        .iter()
        .find(|(name, _)| name == first && segments.len() > 1 && !shadowed(modules, from, first))
        .map(|(_, name)| (*name).to_owned())
}

/// Whether the module has another thing of that name.
fn shadowed(modules: &Modules, module: usize, name: &str) -> bool {
    modules.all[module].names.get(name).is_some_and(|bindings| {
        bindings
            .iter()
            .any(|binding| matches!(binding, Binding::Module(_)))
    })
}
