//! Where the model lay when the trace was made: from its file as it lies now, from the saved output of filefrag, or
//! from what `tracer model --json` said.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::{
    assemble::identity,
    model::SplitName,
    place::{Layout, Locator, Owner, RequestedModel, Subject},
    schema::{InspectedExtent, InspectedFile, ModelFileRecord, ModelIdentity},
    stats::FileData,
    storage::{
        DeviceExtents, ExtentRecord, FileExtents, KernelDevice, SECTOR_BYTES, Sector,
        parse_filefrag,
    },
};

/// What is known of the model, before its place on the disk is.
#[derive(Debug)]
pub enum FoundModel {
    /// Its sectors on the whole disk.
    OnDisk(Box<ModelPlace>),
    /// Its extents in a file system whose place on the disk is still to be found.
    InFileSystem(UnplacedModel),
}

/// A model whose file system lies somewhere on the disk.
#[derive(Debug)]
pub struct UnplacedModel {
    name: String,
    files: Vec<(PathBuf, FileExtents)>,
    source: String,
}

/// A model and where it lies on the disk.
#[derive(Debug, Clone)]
pub struct ModelPlace {
    /// What the record says of it.
    pub identity: ModelIdentity,
    /// From sectors to its files; of one disk, slot 0.
    pub locator: Locator,
    /// Where the extents come from.
    pub source: String,
    files: Vec<FileData>,
}

impl ModelPlace {
    /// What there is to read of each file.
    #[must_use]
    pub fn file_data(&self) -> Vec<FileData> {
        self.files.clone()
    }

    /// From the first sector of the model to the one after its last.
    #[must_use]
    pub fn sector_range(&self) -> Option<(u64, u64)> {
        let ranges = || {
            self.locator
                .disks
                .iter()
                .flatten()
                .flat_map(|layout| layout.extents.sector_ranges())
        };
        let first = ranges().map(|(start, _)| start.0).min()?;
        let last = ranges()
            .map(|(start, sectors)| start.0.saturating_add(sectors))
            .max()?;
        Some((first, last))
    }
}

/// Finds the model. `extents_from` is a saved output of `filefrag -v`, or of `tracer model --json`; without it `model`
/// must still be there.
///
/// # Errors
/// A file that cannot be read or says nothing of extents.
pub fn find_model(
    model: Option<&Path>,
    extents_from: Option<&Path>,
) -> anyhow::Result<Option<FoundModel>> {
    match (model, extents_from) {
        (None, None) => Ok(None),
        (Some(model), None) => {
            if !model.exists() {
                bail!(
                    "{} is not there; give its extents with --extents-from: the saved output of filefrag -v, or of tracer model --json",
                    model.display()
                );
            }
            Ok(Some(FoundModel::OnDisk(Box::new(as_it_lies_now(model)?))))
        }
        (model, Some(source)) => from_saved(model, source).map(Some),
    }
}

fn as_it_lies_now(path: &Path) -> anyhow::Result<ModelPlace> {
    let subject = Subject::open(vec![RequestedModel::from_path(path)?])?;
    let model = subject.models.first().context("a model without files")?;
    let identity = identity(&subject, model, None);
    if let Some(reason) = &identity.without_sectors {
        bail!("the sectors of {} are not known: {reason}", path.display());
    }
    if subject.disks.len() != 1 {
        bail!(
            "the files of {} lie on {} disks; an old trace is looked at one device at a time",
            path.display(),
            subject.disks.len()
        );
    }
    Ok(ModelPlace {
        identity,
        locator: subject.locator()?,
        source: "the file as it lies now; right only where it has not been moved or written since the trace".to_owned(),
        files: subject.file_data().into_iter().flatten().collect(),
    })
}

fn from_saved(model: Option<&Path>, source: &Path) -> anyhow::Result<FoundModel> {
    let cannot = || format!("cannot take extents from {}", source.display());
    let bytes = fs::read(source).with_context(cannot)?;
    let text = String::from_utf8_lossy(&bytes);
    let name = |first: &Path| model.unwrap_or(first).display().to_string();
    if text.trim_start().starts_with('{') {
        let files = from_json(&text).with_context(cannot)?;
        let first = files.first().map(|(path, _)| path.clone());
        let name = name(&first.unwrap_or_default());
        // Sectors of the whole disk: nothing is added.
        let place = UnplacedModel {
            name,
            files,
            source: format!("{} (tracer model --json)", source.display()),
        }
        .at(Sector(0))?;
        return Ok(FoundModel::OnDisk(Box::new(place)));
    }
    let files =
        named_files(parse_filefrag(&text).with_context(cannot)?, model).with_context(cannot)?;
    let first = files.first().map(|(path, _)| path.clone());
    Ok(FoundModel::InFileSystem(UnplacedModel {
        name: name(&first.unwrap_or_default()),
        files,
        source: format!("{} (filefrag -v)", source.display()),
    }))
}

/// The shards of the model that one file is of, in order; that file alone where it is none.
///
/// # Errors
/// Shards that are not in the text.
fn with_its_shards(
    named: (PathBuf, FileExtents),
    others: Vec<(PathBuf, FileExtents)>,
) -> anyhow::Result<Vec<(PathBuf, FileExtents)>> {
    let split_name = |path: &Path| SplitName::of_any_format(path.file_name()?);
    let Some(own) = split_name(&named.0) else {
        return Ok(vec![named]);
    };
    let folder = named.0.parent().map(Path::to_owned);
    let mut shards = vec![(own.number, named)];
    shards.extend(others.into_iter().filter_map(|other| {
        let shard = split_name(&other.0)?;
        let is_its = shard.is_beside(&own)
            && other.0.parent() == folder.as_deref()
            && shard.number != own.number;
        is_its.then_some((shard.number, other))
    }));
    shards.sort_by_key(|(number, _)| *number);
    let numbers: Vec<u32> = shards.iter().map(|(number, _)| *number).collect();
    if !numbers.iter().copied().eq(1..=own.count) {
        bail!(
            "the model is in {} shards, and it has only {numbers:?} of them: save filefrag -v of all",
            own.count
        );
    }
    Ok(shards.into_iter().map(|(_, file)| file).collect())
}

/// The files that are meant, of a text that has several (`filefrag -v *`): the one of that path, or of that name where
/// no other has it; where it is a shard, all shards of its model.
fn named_files(
    files: Vec<(PathBuf, FileExtents)>,
    model: Option<&Path>,
) -> anyhow::Result<Vec<(PathBuf, FileExtents)>> {
    if files.len() < 2 {
        return Ok(files);
    }
    let names: Vec<String> = files
        .iter()
        .map(|(path, _)| path.display().to_string())
        .collect();
    let names = names.join(", ");
    let Some(model) = model else {
        bail!("it has several files ({names}): say with --model which of them is the model");
    };
    let (mut found, mut others): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|(path, _)| path == model);
    if found.is_empty() {
        (found, others) = others
            .into_iter()
            .partition(|(path, _)| path.file_name() == model.file_name());
    }
    if let [_] = found.as_slice()
        && let Some(named) = found.pop()
    {
        return with_its_shards(named, others);
    }
    match found.len() {
        0 => bail!(
            "it has several files ({names}), and none of them is named {}",
            model.display()
        ),
        _ => bail!(
            "several of its files are named {}: give the whole path that the text has ({names})",
            model.display()
        ),
    }
}

/// What is needed of a JSON file that has extents: those of `tracer model --json`, at the top or below `model`.
#[derive(Deserialize)]
struct SavedExtents {
    files: Option<Vec<InspectedFile>>,
    model: Option<Box<SavedExtents>>,
}

fn from_json(text: &str) -> anyhow::Result<Vec<(PathBuf, FileExtents)>> {
    const WANTED: &str = "this JSON has no extents: a run.json only says how many there are. Save the output of tracer model --json, or of filefrag -v";
    let saved: SavedExtents = serde_json::from_str(text).context(WANTED)?;
    let files = saved
        .files
        .or_else(|| saved.model.and_then(|model| model.files))
        .context(WANTED)?;
    files
        .iter()
        .map(|file| saved_extents(file, WANTED))
        .collect()
}

fn saved_extents(
    file: &InspectedFile,
    wanted: &'static str,
) -> anyhow::Result<(PathBuf, FileExtents)> {
    let extents = file.extents.as_ref().with_context(|| {
        file.without_sectors
            .clone()
            .unwrap_or_else(|| wanted.to_owned())
    })?;
    let record = |extent: &InspectedExtent| {
        let physical_bytes = Sector(extent.disk_sector).start_byte();
        Ok(ExtentRecord {
            logical_bytes: extent.file_offset_bytes,
            physical_bytes: physical_bytes.context("a sector beyond any disk")?,
            length_bytes: extent.length_bytes,
            flags: fiemap::FiemapExtentFlags::empty(),
        })
    };
    let records = extents
        .iter()
        .map(record)
        .collect::<anyhow::Result<Vec<_>>>()?;
    // The last extent reaches to the end of the file's last block.
    let end = records.last().map_or(0, |last| {
        last.logical_bytes.saturating_add(last.length_bytes)
    });
    let beyond = end.saturating_sub(file.size_bytes).max(SECTOR_BYTES);
    let block_bytes = beyond.checked_next_power_of_two().unwrap_or(SECTOR_BYTES);
    let extents = FileExtents::from_records(file.size_bytes, block_bytes, records)
        .with_context(|| file.path.clone())?;
    Ok((PathBuf::from(&file.path), extents))
}

impl UnplacedModel {
    /// The model on a disk whose partition begins at a sector.
    ///
    /// # Errors
    /// Extents that overlap or lie beyond the disk.
    pub fn at(self, partition_start: Sector) -> anyhow::Result<ModelPlace> {
        // Which disk this is, is known from the trace; here it only has to be the same one throughout.
        let disk = KernelDevice(0);
        let extents = DeviceExtents::new(
            disk,
            partition_start,
            self.files.iter().map(|(_, extents)| extents),
        )?;
        let mut owners = Vec::with_capacity(self.files.len());
        for slot in 0..self.files.len() {
            owners.push(Owner {
                model: 0,
                file: u16::try_from(slot).context("too many files")?,
            });
        }
        let sum = |pick: fn(&FileExtents) -> u64| -> u64 {
            self.files
                .iter()
                .fold(0, |sum, (_, extents)| sum.saturating_add(pick(extents)))
        };
        let data = |extents: &FileExtents| extents.size_bytes.saturating_sub(extents.holes_bytes);
        Ok(ModelPlace {
            identity: ModelIdentity {
                path: self.name,
                size_bytes: sum(|extents| extents.size_bytes),
                data_bytes: Some(sum(data)),
                extents: Some(sum(|extents| extents.physical_extent_count)),
                files: self
                    .files
                    .iter()
                    .map(|(path, extents)| ModelFileRecord {
                        path: path.display().to_string(),
                        size_bytes: extents.size_bytes,
                        inode: 0,
                        extents: Some(extents.physical_extent_count),
                    })
                    .collect(),
                ..ModelIdentity::default()
            },
            locator: Locator {
                disks: vec![vec![Layout { extents, owners }]],
                only: None,
            },
            source: self.source,
            files: self
                .files
                .iter()
                .map(|(_, extents)| FileData {
                    size_bytes: extents.size_bytes,
                    hole_bytes: extents.holes_bytes,
                })
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests;
