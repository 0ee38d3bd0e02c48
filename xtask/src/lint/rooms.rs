//! Which room imports which, against the table of the document.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    finding::Finding,
    graph::{Graph, knots, shortest_circle},
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

/// Which files of a room name another room, each with the first line that does.
type Arrows = BTreeMap<(String, String), BTreeMap<PathBuf, usize>>;

/// Compares what the rooms import with the table, in both directions. A room without a row imports nothing.
pub fn check(modules: &Modules, table: &Table) -> Vec<Finding> {
    let arrows = arrows(modules);
    let mut findings = table.findings.clone();
    findings.extend(not_in_the_table(&arrows, table));
    findings.extend(only_in_the_table(modules, &arrows, table));
    findings.extend(circles(table));
    findings
}

fn not_in_the_table(arrows: &Arrows, table: &Table) -> Vec<Finding> {
    let mut findings = Vec::new();
    for ((from, to), places) in arrows {
        let row = table.rows.get(from);
        if row.is_some_and(|row| row.imports.contains(to)) {
            continue;
        }
        let place = row.map_or_else(
            || format!("it has no row in {DOCUMENT}"),
            |row| format!("its row, {DOCUMENT}:{}, does not have it", row.line),
        );
        findings.extend(places.iter().map(|(file, line)| {
            Finding::new(
                file,
                *line,
                format!(
                    "the room `{from}` imports `{to}` ({place}): move the code to a room that may, or add the arrow there"
                ),
            )
        }));
    }
    findings
}

fn only_in_the_table(modules: &Modules, arrows: &Arrows, table: &Table) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (room, row) in &table.rows {
        let mut mistake =
            |what: String| findings.push(Finding::new(Path::new(DOCUMENT), row.line, what));
        if !rooms(modules).any(|name| name == room) {
            mistake(format!(
                "there is no room `{room}` (a module of the crate's root): remove its row"
            ));
            continue;
        }
        for to in &row.imports {
            if !arrows.contains_key(&(room.clone(), to.clone())) {
                mistake(format!(
                    "nothing in `{room}` imports `{to}`: remove it from the row"
                ));
            }
        }
    }
    findings
}

/// Rooms that the table lets import each other.
fn circles(table: &Table) -> Vec<Finding> {
    let mut graph: Graph<&str, usize> = Graph::new();
    for (room, row) in &table.rows {
        let to = row.imports.iter().map(|to| (to.as_str(), row.line));
        graph.insert(room, to.collect());
    }
    knots(&graph)
        .iter()
        .filter_map(|knot| {
            let circle = shortest_circle(&graph, knot);
            let (first, _, line) = circle.first()?;
            let way: String = circle
                .iter()
                .map(|(_, to, _)| format!(" -> `{to}`"))
                .collect();
            Some(Finding::new(
                Path::new(DOCUMENT),
                **line,
                format!("rooms import each other in a circle, `{first}`{way}: take one arrow out"),
            ))
        })
        .collect()
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
                let line = arrows
                    .entry((room.clone(), to))
                    .or_default()
                    .entry(module.file.clone())
                    .or_insert(reference.line);
                *line = reference.line.min(*line);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::sources::Sources;

    const A_NAMES_B: [(&str, &str); 3] = [
        ("src/lib.rs", "pub mod a;\npub mod b;"),
        (
            "src/a/mod.rs",
            "//! Doc.\nuse crate::b::B;\npub struct A(B);",
        ),
        ("src/b.rs", "pub struct B;"),
    ];

    fn found(files: &[(&str, &str)], rows: &str) -> Vec<String> {
        let files = files.iter().map(|(path, text)| ((*path).into(), *text));
        let sources = Sources::parse("src", files).expect("the sources are Rust");
        let table = Table::parse(&format!(
            "## Arrows\n\n| room | imports |\n|---|---|\n{rows}"
        ));
        check(&Modules::of(&sources, Path::new("src/lib.rs")), &table)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn the_table_is_as_the_code() {
        assert!(found(&A_NAMES_B, "| `a` | `b` |").is_empty());
    }

    #[test]
    fn an_import_that_the_table_does_not_have() {
        let here = "src/a/mod.rs:2: the room `a` imports `b`";
        let without = found(&A_NAMES_B, "| `a`, `b` | none |");
        assert_eq!(without.len(), 1);
        assert!(
            without[0].starts_with(&format!("{here} (its row, docs/ARCHITECTURE.md:5,")),
            "{without:?}"
        );
        let no_row = found(&A_NAMES_B, "| `b` | none |");
        assert_eq!(no_row.len(), 1);
        assert!(
            no_row[0].starts_with(&format!("{here} (it has no row")),
            "{no_row:?}"
        );
    }

    #[test]
    fn each_file_with_the_import_is_named() {
        let files = [
            A_NAMES_B[0],
            ("src/a/mod.rs", "mod deep; fn f() { crate::b::B; }"),
            (
                "src/a/deep.rs",
                "\nfn f() { crate::b::B; }\nfn g() { crate::b::B; }",
            ),
            A_NAMES_B[2],
        ];
        let found = found(&files, "| `a`, `b` | none |");
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("src/a/deep.rs:2: "));
    }

    #[test]
    fn a_table_entry_that_no_import_uses() {
        assert_eq!(
            found(&A_NAMES_B, "| `a` | `b` |\n| `b` | `common` |"),
            ["docs/ARCHITECTURE.md:6: nothing in `b` imports `common`: remove it from the row"]
        );
    }

    #[test]
    fn a_row_without_a_room() {
        assert_eq!(
            found(&A_NAMES_B, "| `a` | `b` |\n| `gone` | `b` |"),
            [
                "docs/ARCHITECTURE.md:6: there is no room `gone` (a module of the crate's root): remove its row"
            ]
        );
    }

    #[test]
    fn rooms_in_a_circle() {
        let files = [
            A_NAMES_B[0],
            A_NAMES_B[1],
            (
                "src/b.rs",
                "pub struct B; mod deep { fn f() { super::super::a::A; } }",
            ),
        ];
        assert_eq!(
            found(&files, "| `a` | `b` |\n| `b` | `a` |"),
            [
                "docs/ARCHITECTURE.md:5: rooms import each other in a circle, `a` -> `b` -> `a`: take one arrow out"
            ]
        );
    }

    #[test]
    fn other_crates_have_a_name_in_the_table() {
        let files = [
            ("src/lib.rs", "mod a; mod b;"),
            (
                "src/a.rs",
                "use tracer_common::Settings; use std::fs::File;",
            ),
            (
                "src/b.rs",
                "fn f() -> aya::Ebpf { todo!() }\nfn g() { aya_log::EbpfLogger::init(); }",
            ),
        ];
        assert!(found(&files, "| `a` | `common` |\n| `b` | `aya` |").is_empty());
        assert_eq!(found(&files, "| `a` | `common` |").len(), 1);
    }

    #[test]
    fn tests_may_import_any_room() {
        let files = [
            A_NAMES_B[0],
            A_NAMES_B[1],
            ("src/b.rs", "pub struct B; #[cfg(test)] mod tests;"),
            ("src/b/tests.rs", "use crate::a::A; use aya::Ebpf;"),
        ];
        assert!(found(&files, "| `a` | `b` |").is_empty());
    }
}
