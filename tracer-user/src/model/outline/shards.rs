//! Whether the files given are all shards of one model, in order.

use std::collections::HashSet;
use std::path::Path;

use super::error::OutlineError;
use super::notes::Notes;
use super::{ModelFormat, OutlineFile};
use crate::model::{file_names::SplitName, gguf::GgufHeader};

/// How many missing shards an error names.
const MOST_NAMED: usize = 16;

/// What a file says of its place in a split model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shard {
    /// Counted from 0, as `split.no` is.
    number: u64,
    count: u64,
    /// Tensors in all shards.
    tensors: Option<u64>,
}

/// What the keys `split.no`, `split.count` and `split.tensors.count` say.
pub(super) fn of_gguf(header: &GgufHeader) -> Option<Shard> {
    let figure = |key: &str| header.value(key)?.as_u64();
    Some(Shard {
        number: figure("split.no").unwrap_or(0),
        count: figure("split.count").filter(|&count| count > 0)?,
        tensors: figure("split.tensors.count"),
    })
}

/// What the name `NAME-00001-of-00003.safetensors` says.
pub(super) fn of_safetensors(path: &Path) -> Option<Shard> {
    let name = name_of(path)?;
    Some(Shard {
        number: u64::from(name.number.checked_sub(1)?),
        count: u64::from(name.count),
        tensors: None,
    })
}

fn name_of(path: &Path) -> Option<SplitName> {
    SplitName::with_any_numbers(path.file_name()?)
}

/// Fails unless the files are all shards of one model, in order. `tensor_count` is that of all files.
pub(super) fn check(
    format: ModelFormat,
    files: &[OutlineFile],
    shards: &[Option<Shard>],
    tensor_count: usize,
    notes: &mut Notes,
) -> Result<(), OutlineError> {
    let Some(first) = files.first() else {
        return Err(OutlineError::NoFiles);
    };
    let Some(count) = shards.iter().flatten().map(|shard| shard.count).next() else {
        if files.len() > 1 && format == ModelFormat::Safetensors {
            // Their names are free where an index says which files there are.
            notes.add(
                "the files have no shard numbers in their names: whether one lacks is not known",
            );
            return Ok(());
        }
        return match files.get(1) {
            Some(second) => Err(OutlineError::NotOfThisSplit {
                path: second.path.clone(),
                given: files.len(),
                reason: "no file says that it is a shard (split.count)".to_owned(),
            }),
            None => Ok(()),
        };
    };
    let first_name = name_of(&first.path);
    let model = first_name.as_ref().map(SplitName::model);
    for (file, shard) in files.iter().zip(shards) {
        let reason = match shard {
            None => "it does not say that it is a shard".to_owned(),
            Some(shard) if shard.count != count => {
                format!("it is one of {}, not of {count}", shard.count)
            }
            Some(shard) if shard.number >= count => {
                format!(
                    "its number {} is not below the {count} of all",
                    shard.number
                )
            }
            Some(_) if count < files.len() as u64 => format!("there are only {count} shards"),
            // GGUF files say themselves what they are; of safetensors files there is only the name.
            Some(_) if format == ModelFormat::Safetensors => {
                match name_of(&file.path).as_ref().map(SplitName::model) {
                    name if name == model => continue,
                    _ => "its name is that of another model".to_owned(),
                }
            }
            Some(_) => continue,
        };
        return Err(OutlineError::NotOfThisSplit {
            path: file.path.clone(),
            given: files.len(),
            reason,
        });
    }
    let present: HashSet<u64> = shards.iter().flatten().map(|shard| shard.number).collect();
    if (present.len() as u64) < count {
        return Err(OutlineError::MissingShards {
            path: first.path.clone(),
            count,
            missing: missing(&first.path, &present, count),
        });
    }
    for ((place, file), shard) in (0u64..).zip(files).zip(shards.iter().flatten()) {
        if shard.number != place {
            return Err(OutlineError::ShardOrder {
                path: file.path.clone(),
                found: shard.number.saturating_add(1),
                place: place + 1,
            });
        }
    }
    let expected = shards.iter().flatten().find_map(|shard| shard.tensors);
    match expected {
        Some(expected) if expected != tensor_count as u64 => Err(OutlineError::TensorCount {
            path: first.path.clone(),
            expected,
            found: tensor_count as u64,
        }),
        _ => Ok(()),
    }
}

/// The shards that are not there, by name where names are numbered.
fn missing(first: &Path, present: &HashSet<u64>, count: u64) -> Vec<String> {
    let name = name_of(first).filter(|name| u64::from(name.count) == count);
    let mut missing: Vec<String> = (0..count)
        .filter(|number| !present.contains(number))
        .take(MOST_NAMED)
        .map(|number| {
            let part = number + 1;
            match (&name, u32::try_from(part)) {
                (Some(name), Ok(part)) => name.name_of(part).to_string_lossy().into_owned(),
                _ => format!("shard {part} of {count}"),
            }
        })
        .collect();
    let more = count - present.len() as u64 - missing.len() as u64;
    if more > 0 {
        missing.push(format!("and {more} more"));
    }
    missing
}
