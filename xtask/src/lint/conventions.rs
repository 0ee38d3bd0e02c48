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

/// Files and folders that may be larger, each with the reason.
const LARGER: [(&str, &str); 0] = [];

/// Checks a folder of sources.
pub fn check(sources: &Sources) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut folders: BTreeMap<&Path, usize> = BTreeMap::new();
    for (path, source) in &sources.files {
        *folders.entry(path.parent().unwrap_or(path)).or_default() += 1;
        if source.lines > MOST_LINES && !may_be_larger(path) {
            findings.push(Finding::new(
                path,
                source.lines,
                format!(
                    "{} lines, of at most {MOST_LINES}: one idea a file",
                    source.lines
                ),
            ));
        }
        if says_nothing(path) {
            findings.push(Finding::new(
                path,
                1,
                "the name does not say what is inside: name the idea",
            ));
        }
        let mut paths = GivenPaths(Vec::new());
        paths.visit_file(&source.syntax);
        findings.extend(paths.0.into_iter().map(|line| {
            Finding::new(
                path,
                line,
                "`#[path]`: put the file where `mod` looks for it (tests of `x.rs` in `x/tests.rs`)",
            )
        }));
    }
    for (folder, files) in folders {
        if files > MOST_FILES && !may_be_larger(folder) {
            findings.push(Finding::new(
                folder,
                1,
                format!(
                    "{files} files side by side, of at most {MOST_FILES}: a folder for each topic"
                ),
            ));
        }
    }
    findings
}

fn may_be_larger(path: &Path) -> bool {
    LARGER.iter().any(|(larger, _)| Path::new(larger) == path)
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
        if given_path(&item.attrs).is_some() {
            self.0.push(item.ident.span().start().line);
        }
        visit::visit_item_mod(self, item);
    }
}
