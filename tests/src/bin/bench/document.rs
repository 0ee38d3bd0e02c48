//! `bench document`: the document of all measurements that are kept.

use std::{fs, path::PathBuf};

use ::tests::bench::{BenchRecord, document as document_of};
use anyhow::{Context as _, Result, bail};

use super::arguments::DocumentArguments;

/// Writes the document, or checks it.
pub fn document(arguments: &DocumentArguments) -> Result<()> {
    let introduction = arguments.folder.join("introduction.md");
    let introduction = fs::read_to_string(&introduction)
        .with_context(|| format!("read {}", introduction.display()))?;
    let mut paths: Vec<PathBuf> = fs::read_dir(&arguments.folder)
        .with_context(|| format!("list {}", arguments.folder.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    paths.sort();
    let records = paths
        .into_iter()
        .map(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            Ok((name.into_owned(), BenchRecord::load(&path)?))
        })
        .collect::<Result<Vec<_>>>()?;
    let text = document_of(&introduction, &records);
    let place = &arguments.document;
    if !arguments.check {
        return fs::write(place, text).with_context(|| format!("write {}", place.display()));
    }
    let found = fs::read_to_string(place).with_context(|| format!("read {}", place.display()))?;
    if found != text {
        bail!(
            "{} is not what {} holds: run `cargo xtask bench document`",
            place.display(),
            arguments.folder.display()
        );
    }
    Ok(())
}
