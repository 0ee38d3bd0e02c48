//! The index of a model in several files, as Hugging Face writes it: `model.safetensors.index.json`,
//! `pytorch_model.bin.index.json`.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::file_names::SplitName;

/// Real ones have up to 10 MB.
const LARGEST_INDEX_BYTES: u64 = 100_000_000;
/// What an index is called, behind the model's name.
const ENDING: &str = ".index.json";

/// An index that has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShardIndex {
    /// `model.safetensors` for `model.safetensors.index.json`.
    pub display_name: String,
    /// The files that it names, beside it, each once and in the order of their names.
    pub files: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct Content {
    weight_map: BTreeMap<String, String>,
}

impl ShardIndex {
    /// Whether a file is called as an index is.
    pub(crate) fn has_its_name(path: &Path) -> bool {
        name_of_model(path).is_some()
    }

    /// Reads an index. The error says what is wrong with it.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(|error| error.to_string())?;
        file.take(LARGEST_INDEX_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| error.to_string())?;
        if bytes.len() as u64 > LARGEST_INDEX_BYTES {
            return Err(format!("it has more than {LARGEST_INDEX_BYTES} bytes"));
        }
        let content: Content = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
        let mut names: Vec<String> = content.weight_map.into_values().collect();
        names.sort();
        names.dedup();
        if names.is_empty() {
            return Err("its weight_map names no file".to_owned());
        }
        // A name that leads elsewhere would have any file of the machine traced.
        if let Some(odd) = names
            .iter()
            .find(|name| Path::new(name).file_name() != Some(OsStr::new(name)))
        {
            return Err(format!("it names {odd:?}, which is no file beside it"));
        }
        Ok(Self {
            display_name: name_of_model(path).unwrap_or("model").to_owned(),
            files: names.iter().map(|name| path.with_file_name(name)).collect(),
        })
    }

    /// The index beside a model's file that names this file among others.
    pub(crate) fn beside(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?;
        let usual = format!("model.{extension}{ENDING}");
        let name = path.file_name()?;
        let own = format!("{}{ENDING}", name.to_str()?);
        let of_all =
            SplitName::of_any_format(name).map(|part| format!("{}{ENDING}", part.display_name()));
        [Some(own), of_all, Some(usual)]
            .iter()
            .flatten()
            .find_map(|name| {
                let index = Self::read(&path.with_file_name(name)).ok()?;
                (index.files.len() > 1 && index.files.iter().any(|file| file == path))
                    .then_some(index)
            })
    }
}

fn name_of_model(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?.strip_suffix(ENDING)?;
    (!name.is_empty()).then_some(name)
}
