//! How sources lie in their folders.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use syn::{
    ItemMod,
    visit::{self, Visit},
};

use super::{finding::Finding, modules::given_path, sources::Sources};

/// A file should be read in one go.
const MOST_LINES: usize = 500;

/// A folder should be seen in one look.
const MOST_FILES: usize = 15;

/// Names that say nothing of what is inside.
const EMPTY_NAMES: [&str; 4] = ["utils", "common", "helpers", "misc"];

/// Files and folders that may be larger, each with the reason; one that needs it no longer is a mistake.
const LARGER: [(&str, &str); 4] = [
    (
        "tracer-user/src/model/gguf/tests.rs",
        "one parser's tests: every way in which a header can be wrong",
    ),
    (
        "tracer-user/src/model/outline/tests.rs",
        "one outline's tests: every family of models",
    ),
    (
        "tracer-user/src/process/launch/tests.rs",
        "the tests of one start share the helpers that make its programs",
    ),
    (
        "tracer-user/src/stats/phases/attribution.rs",
        "feeds each read, page and wait to what they were for, in one place",
    ),
];

/// Files that may say `#[path]`, each with the reason.
const GIVEN_PATHS: [(&str, &str); 1] = [(
    "xtask/src/vm/mod.rs",
    "the lines that the tests in a guest write have one definition; with the tests' crate xtask would build its libraries",
)];

/// Where the lists above are.
const LIST: &str = "xtask/src/lint/conventions.rs";

/// Checks a folder of sources.
pub fn check(sources: &Sources) -> Vec<Finding> {
    check_but(sources, &LARGER)
}

fn check_but(sources: &Sources, larger: &[(&str, &str)]) -> Vec<Finding> {
    let may_be_larger = |path: &Path| larger.iter().any(|(larger, _)| Path::new(larger) == path);
    let mut findings = Vec::new();
    let mut folders: BTreeMap<&Path, usize> = BTreeMap::new();
    for (path, source) in &sources.files {
        *folders.entry(path.parent().unwrap_or(path)).or_default() += 1;
        if source.lines > MOST_LINES && !may_be_larger(path) {
            findings.push(Finding::of_all(
                path,
                format!(
                    "{} lines, of at most {MOST_LINES}: give each idea a file of its own",
                    source.lines
                ),
            ));
        }
        if says_nothing(path) {
            findings.push(Finding::of_all(
                path,
                "the name does not say what is inside: name the idea",
            ));
        }
        let mut paths = GivenPaths(Vec::new());
        paths.visit_file(&source.syntax);
        let is_this = |(allowed, _): &(&str, &str)| Path::new(allowed) == path;
        if GIVEN_PATHS.iter().any(is_this) {
            if paths.0.is_empty() {
                let message = format!("says no `#[path]`: remove it from the list in {LIST}");
                findings.push(Finding::of_all(path, message));
            }
            continue;
        }
        findings.extend(paths.0.into_iter().map(|line| {
            Finding::new(
                path,
                line,
                "`#[path]`: put the file where `mod` looks for it (tests of `x.rs` in `x/tests.rs`)",
            )
        }));
    }
    for (&folder, &files) in &folders {
        if files > MOST_FILES && !may_be_larger(folder) {
            findings.push(Finding::of_all(
                folder,
                format!(
                    "{files} files side by side, of at most {MOST_FILES}: make a folder for a topic"
                ),
            ));
        }
    }
    for (path, _) in larger {
        let path = Path::new(path);
        let in_here = path.starts_with(&sources.folder);
        let file = sources
            .files
            .get(path)
            .is_some_and(|source| source.lines > MOST_LINES);
        let folder = folders.get(path).is_some_and(|files| *files > MOST_FILES);
        if in_here && !file && !folder {
            findings.push(Finding::of_all(
                path,
                format!("is no longer so large: remove it from the list in {LIST}"),
            ));
        }
    }
    findings
}

fn says_nothing(path: &Path) -> bool {
    let stem = if path.ends_with("mod.rs") {
        path.parent().map(Path::to_owned)
    } else {
        Some(path.with_extension(""))
    };
    let name: Option<PathBuf> = stem.and_then(|stem| stem.file_name().map(PathBuf::from));
    EMPTY_NAMES
        .iter()
        .any(|empty| name.as_deref() == Some(Path::new(empty)))
}

/// Lines of modules with `#[path]`.
struct GivenPaths(Vec<usize>);

impl<'ast> Visit<'ast> for GivenPaths {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.0.extend(given_path(&item.attrs).map(|(_, line)| line));
        visit::visit_item_mod(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(files: &[(&str, &str)]) -> Sources {
        let files = files.iter().map(|(path, text)| ((*path).into(), *text));
        Sources::parse("src", files).expect("the sources are Rust")
    }

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let findings = check(&sources(files));
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_given_path() {
        let found = found(&[(
            "src/a.rs",
            "mod b;\n#[cfg(test)]\n#[path = \"a_tests.rs\"]\nmod tests;",
        )]);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("src/a.rs:3: `#[path]`"), "{found:?}");
    }

    #[test]
    fn a_given_path_is_allowed_where_it_is_listed() {
        let (listed, _) = GIVEN_PATHS[0];
        assert!(found(&[(listed, "#[path = \"../a.rs\"] mod a;")]).is_empty());
        assert_eq!(found(&[(listed, "mod a;")]).len(), 1);
    }

    #[test]
    fn names_that_say_nothing() {
        let found = found(&[
            ("src/room/utils.rs", ""),
            ("src/common/mod.rs", ""),
            ("src/common_words.rs", ""),
        ]);
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn a_long_file_is_allowed_where_it_is_listed() {
        let long = "\n".repeat(MOST_LINES + 1);
        let just_right = "\n".repeat(MOST_LINES);
        let sources = sources(&[("src/a.rs", &long), ("src/b.rs", &just_right)]);
        assert_eq!(check_but(&sources, &[]).len(), 1);
        assert!(check_but(&sources, &[("src/a.rs", "one table")]).is_empty());
        // Of another folder of sources.
        assert_eq!(check_but(&sources, &[("other/a.rs", "one table")]).len(), 1);
    }

    #[test]
    fn a_full_folder_is_allowed_where_it_is_listed() {
        let names: Vec<_> = (0..=MOST_FILES)
            .map(|n| format!("src/room/f{n}.rs"))
            .collect();
        let files: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
        assert!(found(&files[1..]).is_empty());
        assert_eq!(found(&files).len(), 1);
        assert!(check_but(&sources(&files), &[("src/room", "one for each")]).is_empty());
    }

    #[test]
    fn the_list_has_no_more_than_it_needs() {
        let short = sources(&[("src/a.rs", "")]);
        for path in ["src/a.rs", "src/gone.rs", "src"] {
            assert_eq!(check_but(&short, &[(path, "")]).len(), 1, "{path}");
        }
    }
}
