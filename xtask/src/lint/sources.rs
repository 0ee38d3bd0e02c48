//! The Rust sources of a folder, read and parsed once.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

/// One source file.
pub struct Source {
    /// Number of its lines.
    pub lines: usize,
    /// What it says.
    pub syntax: syn::File,
}

/// All source files of a folder, by their path from the workspace's root.
pub struct Sources {
    /// The folder, from the workspace's root.
    pub folder: PathBuf,
    /// The files.
    pub files: BTreeMap<PathBuf, Source>,
}

impl Sources {
    /// Reads a folder of the workspace, with the folders in it.
    ///
    /// # Errors
    /// A file cannot be read, or is no Rust.
    pub fn read(workspace: &Path, folder: &str) -> Result<Self> {
        let mut texts = Vec::new();
        collect(&workspace.join(folder), &mut texts)?;
        Self::parse(
            folder,
            texts.iter().map(|(path, text)| {
                let path = path.strip_prefix(workspace).unwrap_or(path);
                (path.to_owned(), text.as_str())
            }),
        )
    }

    /// Parses files that have been read.
    ///
    /// # Errors
    /// One is no Rust.
    pub fn parse<'a>(
        folder: &str,
        texts: impl IntoIterator<Item = (PathBuf, &'a str)>,
    ) -> Result<Self> {
        let mut files = BTreeMap::new();
        for (path, text) in texts {
            let syntax = syn::parse_file(text).map_err(|error| {
                let at = error.span().start();
                anyhow::anyhow!("{}:{}: {error}", path.display(), at.line)
            })?;
            files.insert(
                path,
                Source {
                    lines: text.lines().count(),
                    syntax,
                },
            );
        }
        Ok(Self {
            folder: folder.into(),
            files,
        })
    }

    /// The files that a crate may begin with: `lib.rs`, `main.rs` and programs in `bin`.
    pub fn roots(&self) -> impl Iterator<Item = &Path> {
        let programs = self.folder.join("bin");
        self.files.keys().map(PathBuf::as_path).filter(move |path| {
            let root = path.parent() == Some(&self.folder)
                && ["lib.rs", "main.rs"]
                    .iter()
                    .any(|name| path.ends_with(name));
            let parent = path.parent();
            // A program of several files has a folder.
            let in_folder = path.ends_with("main.rs")
                && parent.and_then(Path::parent) == Some(programs.as_path());
            root || parent == Some(&programs) || in_folder
        })
    }
}

fn collect(folder: &Path, texts: &mut Vec<(PathBuf, String)>) -> Result<()> {
    let entries = fs::read_dir(folder)
        .with_context(|| format!("the folder {} cannot be read", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, texts)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)
                .with_context(|| format!("{} cannot be read", path.display()))?;
            texts.push((path, text));
        }
    }
    Ok(())
}
