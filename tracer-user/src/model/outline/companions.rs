//! What lies beside safetensors files: `config.json` and the shard index.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::error::OutlineError;
use super::notes::Notes;
use super::places::Figures;
use super::{OutlineFile, TensorPlace};
use crate::model::file_names::SplitName;

/// Real ones have some kilobytes. It is kept as a tree of values, some 30 times its size.
const MAX_CONFIG_BYTES: u64 = 1 << 20;
/// Real ones have up to 10 MB; entries are not kept.
const MAX_INDEX_BYTES: u64 = 100_000_000;
/// How many files that lack are named.
const MOST_NAMED: usize = 16;

/// What `config.json` in `directory` says; where it cannot be read, nothing, with a note.
pub(super) fn read_config(directory: &Path, notes: &mut Notes) -> Figures {
    let path = directory.join("config.json");
    let config = read_bounded(&path, MAX_CONFIG_BYTES)
        .and_then(|bytes| Ok(serde_json::from_slice::<Value>(&bytes)?));
    match config {
        Ok(config) => figures(&config),
        Err(error) => {
            notes.add(format!(
                "{}: {error}; architecture and number of experts are not known",
                path.display()
            ));
            Figures::default()
        }
    }
}

fn figures(config: &Value) -> Figures {
    // Models of text and images have the text model's figures one level down.
    let text = ["text_config", "llm_config", "language_config"]
        .iter()
        .find_map(|key| config.get(key))
        .unwrap_or(config);
    let value = |key: &str| text.get(key).or_else(|| config.get(key));
    let figure = |keys: &[&str]| {
        let found = keys.iter().find_map(|key| value(key)?.as_u64())?;
        u32::try_from(found).ok().filter(|&found| found > 0)
    };
    let name = |value: Option<&Value>| {
        let name = value?.as_str()?;
        (!name.is_empty()).then(|| name.to_owned())
    };
    let architectures = config.get("architectures").and_then(|list| list.get(0));
    Figures {
        architecture: name(architectures).or_else(|| name(config.get("model_type"))),
        name: name(config.get("_name_or_path")),
        layer_count: figure(&[
            "num_decoder_layers",
            "decoder_layers",
            "num_hidden_layers",
            "n_layer",
            "n_layers",
            "num_layers",
        ]),
        expert_count: figure(&[
            "num_local_experts",
            "num_experts",
            "n_routed_experts",
            "moe_num_experts",
        ]),
        expert_used_count: figure(&[
            "num_experts_per_tok",
            "num_experts_per_token",
            "experts_per_token",
            "moe_topk",
            "moe_k",
        ]),
        prediction_layer_count: None,
        tied: value("tie_word_embeddings").and_then(Value::as_bool),
    }
}

/// Checks the files against the shard index in `directory`, if there is one and it is theirs.
///
/// # Errors
/// [`OutlineError::MissingShards`] where the index has tensors in a file that was not given.
pub(super) fn check_index(
    directory: &Path,
    files: &[OutlineFile],
    tensors: &[TensorPlace],
    notes: &mut Notes,
) -> Result<(), OutlineError> {
    let Some(first) = files.first() else {
        return Err(OutlineError::NoFiles);
    };
    let split = first.path.file_name().and_then(SplitName::with_any_numbers);
    let model = match &split {
        Some(name) => Some(name.model()),
        None => first
            .path
            .file_stem()
            .and_then(OsStr::to_str)
            .map(Cow::from),
    };
    let Some(model) = model else {
        return Ok(());
    };
    let path = directory.join(format!("{model}.safetensors.index.json"));
    let mut check = IndexCheck {
        files: (0u16..)
            .zip(files)
            .filter_map(|(file, place)| Some((place.path.file_name()?.to_str()?, file)))
            .collect(),
        tensors: tensors
            .iter()
            .enumerate()
            .map(|(index, tensor)| (tensor.name.as_str(), (index, tensor.file)))
            .collect(),
        listed: vec![false; tensors.len()],
        is_theirs: false,
        missing_files: HashSet::new(),
        has_more_missing: false,
        notes: Notes::default(),
    };
    let read = match read_bounded(&path, MAX_INDEX_BYTES) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if files.len() > 1 {
                notes.add(format!("{} is not there", path.display()));
            }
            return Ok(());
        }
        Err(error) => Err(error),
        Ok(bytes) => check.read(&bytes).map_err(io::Error::from),
    };
    if let Err(error) = read {
        notes.add(format!("{}: {error}; it was not used", path.display()));
        return Ok(());
    }
    if !check.is_theirs {
        notes.add(format!(
            "{} names none of the files given; it was not used",
            path.display()
        ));
        return Ok(());
    }
    if !check.missing_files.is_empty() {
        let mut missing: Vec<String> = check.missing_files.into_iter().collect();
        missing.sort();
        let count = (files.len() + missing.len()) as u64;
        if check.has_more_missing {
            missing.push("and more".to_owned());
        }
        return Err(OutlineError::MissingShards {
            path: first.path.clone(),
            count,
            missing,
        });
    }
    for note in check.notes.finish() {
        notes.add(note);
    }
    let unlisted = tensors
        .iter()
        .zip(&check.listed)
        .filter(|&(_, listed)| !listed);
    for (tensor, _) in unlisted {
        notes.add(format!(
            "tensor {:?} is not in the shard index",
            tensor.name
        ));
    }
    Ok(())
}

/// What is found while the index is read; its entries are not kept.
struct IndexCheck<'a> {
    /// The files given, by name.
    files: HashMap<&'a str, u16>,
    /// Index and file of each tensor found.
    tensors: HashMap<&'a str, (usize, u16)>,
    /// Which tensors the index lists.
    listed: Vec<bool>,
    /// Whether it names any file that was given.
    is_theirs: bool,
    missing_files: HashSet<String>,
    has_more_missing: bool,
    notes: Notes,
}

impl IndexCheck<'_> {
    fn read(&mut self, json: &[u8]) -> Result<(), serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        Index(self).deserialize(&mut deserializer)?;
        deserializer.end()
    }

    fn entry(&mut self, name: &str, shard: &str) {
        let Some(&file) = self.files.get(shard) else {
            // No file name has more than 255 bytes (NAME_MAX).
            let shown: String = shard.escape_debug().take(255).collect();
            if self.missing_files.len() < MOST_NAMED {
                self.missing_files.insert(shown);
            } else {
                self.has_more_missing |= !self.missing_files.contains(&shown);
            }
            return;
        };
        self.is_theirs = true;
        match self.tensors.get(name) {
            None => self.notes.add(format!(
                "the shard index has tensor {name:?} in {shard:?}, but no file has it"
            )),
            Some(&(index, found)) => {
                if let Some(listed) = self.listed.get_mut(index) {
                    *listed = true;
                }
                if found != file {
                    self.notes.add(format!(
                        "the shard index has tensor {name:?} in {shard:?}, but it is in another file"
                    ));
                }
            }
        }
    }
}

/// The whole index: an object with `weight_map`.
struct Index<'a, 'b>(&'a mut IndexCheck<'b>);

impl<'de> DeserializeSeed<'de> for Index<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Index<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object with weight_map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "weight_map" => map.next_value_seed(WeightMap(self.0))?,
                _ => map.next_value::<IgnoredAny>().map(|_| ())?,
            }
        }
        Ok(())
    }
}

/// `weight_map`: tensor names to file names.
struct WeightMap<'a, 'b>(&'a mut IndexCheck<'b>);

impl<'de> DeserializeSeed<'de> for WeightMap<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for WeightMap<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of file names by tensor name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let shard: Shard = map.next_value()?;
            self.0.entry(&name, &shard.0);
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Shard(String);

/// The bytes of a regular file of at most `limit_bytes`.
fn read_bounded(path: &Path, limit_bytes: u64) -> io::Result<Vec<u8>> {
    // Asked before opening: opening a pipe would wait for a writer.
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?
        .take(limit_bytes + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit_bytes {
        let message = format!("has more than the {limit_bytes} bytes that are read");
        return Err(io::Error::other(message));
    }
    Ok(bytes)
}
