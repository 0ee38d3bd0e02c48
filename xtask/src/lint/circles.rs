//! Files that import each other in a circle.

use std::{collections::BTreeSet, path::Path};

use super::{
    finding::Finding,
    graph::{Graph, knots, shortest_circle},
    modules::Modules,
    resolve::{Target, resolve},
};

/// Which file names something of which, with the first line that does.
type Arrows<'a> = Graph<&'a Path, usize>;

/// One finding for each knot: files of which each leads to each.
pub fn check(modules: &Modules) -> Vec<Finding> {
    let arrows = arrows(modules);
    knots(&arrows)
        .iter()
        .filter_map(|knot| finding(&arrows, knot))
        .collect()
}

fn arrows(modules: &Modules) -> Arrows<'_> {
    let mut arrows = Arrows::new();
    for (index, module) in modules.all.iter().enumerate() {
        for reference in &module.references {
            if reference.handed_on {
                continue;
            }
            // A module alone is no arrow: what is used of it is.
            let Some(Target::ItemOf(defined)) = resolve(modules, index, &reference.segments) else {
                continue;
            };
            let to = modules.all[defined].file.as_path();
            if to != module.file {
                let line = arrows
                    .entry(&module.file)
                    .or_default()
                    .entry(to)
                    .or_insert(reference.line);
                *line = reference.line.min(*line);
            }
        }
    }
    arrows
}

fn finding(arrows: &Arrows<'_>, knot: &BTreeSet<&Path>) -> Option<Finding> {
    let circle = shortest_circle(arrows, knot);
    let (first, _, first_line) = circle.first()?;
    let mut message =
        "these files import each other in a circle: move what both need to a file of its own"
            .to_owned();
    for (from, to, line) in &circle {
        message += &format!("\n    {}:{line} -> {}", from.display(), to.display());
    }
    let others: Vec<_> = knot
        .iter()
        .filter(|file| circle.iter().all(|(from, _, _)| from != *file))
        .collect();
    if !others.is_empty() {
        message += "\n  in longer circles with them:";
        for file in others {
            message += &format!("\n    {}", file.display());
        }
    }
    Some(Finding::new(first, **first_line, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::sources::Sources;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let sources = Sources::parse(
            "src",
            files.iter().map(|(path, text)| ((*path).into(), *text)),
        )
        .expect("the sources are Rust");
        check(&Modules::of(&sources, Path::new("src/lib.rs")))
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    /// Two modules that are siblings, with what they say.
    fn two(a: &str, b: &str) -> Vec<String> {
        found(&[
            ("src/lib.rs", "mod a; mod b;"),
            ("src/a.rs", a),
            ("src/b.rs", b),
        ])
    }

    #[test]
    fn two_files_that_use_each_other() {
        let found = two(
            "\nuse crate::b::B;\npub struct A(B);",
            "pub struct B;\nfn f() { super::a::A; }",
        );
        assert_eq!(
            found,
            [
                "src/a.rs:2: these files import each other in a circle: move what both need to a file of its own\
                 \n    src/a.rs:2 -> src/b.rs\
                 \n    src/b.rs:2 -> src/a.rs"
            ]
        );
    }

    #[test]
    fn one_way_is_no_circle() {
        assert!(two("use crate::b::B; pub struct A(B);", "pub struct B;").is_empty());
    }

    #[test]
    fn tests_are_not_looked_at() {
        assert!(
            two(
                "use crate::b::B; pub struct A(B);",
                "pub struct B;
                 #[cfg(test)] mod tests { use crate::a::A; fn f() { A; } }
                 #[cfg(test)] use crate::a::A;
                 #[test] fn f() { crate::a::A; }
                 #[cfg(all(unix, test))] impl B { fn g() { crate::a::A; } }
                 impl B { #[cfg(test)] fn h() { crate::a::A; } }"
            )
            .is_empty()
        );
        let not_for_tests = "pub struct B; #[cfg(not(test))] fn f() { crate::a::A; }";
        assert_eq!(
            two("use crate::b::B; pub struct A(B);", not_for_tests).len(),
            1
        );
    }

    #[test]
    fn paths_in_macros_types_and_bounds_count() {
        for way in [
            "fn f() { println!(\"{}\", vec![crate::a::A]); }",
            "fn f(x: Vec<crate::a::A>) {}",
            "fn f<T: Into<crate::a::A>>(t: T) {}",
            "use crate::a; fn f() { format!(\"{}\", a::A); }",
            "#[derive(Serialize)] struct S { #[serde(with = \"crate::a::A\")] member: u8 }",
            "fn f() { use super::a::A; }",
            "fn f() { use super::a; a::A::new(); }",
            "use super::*; fn f() { a::A; }",
            "mod inner { fn f() { super::super::a::A; } }",
            "use crate::{a::{self as other}}; fn f() { other::A; }",
        ] {
            let b = format!("pub struct B; {way}");
            assert_eq!(
                two("pub struct A; fn f() { crate::b::B; }", &b).len(),
                1,
                "{way}"
            );
        }
    }

    /// A folder: what its `mod.rs` hands on leads to where it is defined.
    fn folder(module: &str, child: &str, sibling: &str) -> Vec<String> {
        found(&[
            ("src/lib.rs", "mod room;"),
            ("src/room/mod.rs", module),
            ("src/room/child.rs", child),
            ("src/room/sibling.rs", sibling),
        ])
    }

    #[test]
    fn a_name_that_is_handed_on_leads_to_its_definition() {
        let module = "mod child; mod sibling; pub use child::X; pub use sibling::*;";
        assert!(folder(module, "pub struct X;", "use super::X; pub struct Y(X);").is_empty());
        let found = folder(
            module,
            "pub struct X; fn f(y: super::Y) {}",
            "use super::X; pub struct Y(X);",
        );
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("src/room/child.rs:1 -> src/room/sibling.rs"));
    }

    #[test]
    fn a_folder_that_uses_its_files_and_is_used_by_them() {
        let found = folder(
            "mod child; mod sibling; use child::X; pub struct M(X);",
            "pub struct X; fn f(m: super::M) {}",
            "",
        );
        assert_eq!(found.len(), 1, "{found:?}");
        // Handed on only, nothing of `mod.rs` needs the child.
        let handed_on = folder(
            "mod child; mod sibling; pub use child::X; pub struct M;",
            "pub struct X; fn f(m: super::M) {}",
            "",
        );
        assert!(handed_on.is_empty(), "{handed_on:?}");
    }

    #[test]
    fn a_function_may_have_the_name_of_its_module() {
        let found = folder(
            "mod child; mod sibling; pub use child::child;",
            "pub fn child() { super::sibling::s(); }",
            "pub fn s() { super::child(); }",
        );
        assert_eq!(found.len(), 1, "{found:?}");
        let found = folder(
            "mod child; mod sibling; pub use child::child;",
            "pub fn child() {} pub fn other() { super::sibling::s(); }",
            "pub fn s() { super::child::other(); }",
        );
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn re_exports_in_a_circle_end() {
        assert!(two("pub use crate::b::X; fn f(x: X) {}", "pub use crate::a::X;").is_empty());
    }
}
