//! Which model it is → the record.

use crate::{
    place::{ModelPieces, Subject, SubjectModel},
    schema::{ExpertsRecord, ModelFileRecord, ModelIdentity},
    storage::FileExtents,
};

/// What a model is: name, files, format, what its headers say. Extents and data bytes are none where its sectors are not known.
#[must_use]
pub fn identity(
    subject: &Subject,
    model: &SubjectModel,
    pieces: Option<&ModelPieces>,
) -> ModelIdentity {
    let outline = pieces.and_then(|pieces| pieces.outline.as_ref());
    let without_sectors = subject.without_sectors(model);
    let known = |figure: u64| Some(figure).filter(|_| without_sectors.is_none());
    let sum = |pick: fn(&FileExtents) -> u64| {
        known(
            subject
                .files_of(model)
                .map(|file| pick(&file.extents))
                .sum(),
        )
    };
    let mut identity = ModelIdentity {
        path: model.name.clone(),
        data_bytes: sum(|extents| extents.size_bytes - extents.holes_bytes),
        extents: sum(|extents| extents.physical_extent_count),
        format: outline.map(|outline| outline.format.as_str().to_owned()),
        architecture: outline.and_then(|outline| outline.architecture.clone()),
        layers: outline.and_then(|outline| outline.layer_count.map(u64::from)),
        experts: outline.and_then(|outline| {
            Some(ExpertsRecord {
                count: outline.expert_count?.into(),
                used: outline.expert_used_count?.into(),
            })
        }),
        ..ModelIdentity::default()
    };
    for file in subject.files_of(model) {
        identity.size_bytes += file.extents.size_bytes;
        identity.filesystem.clone_from(&file.filesystem);
        identity.files.push(ModelFileRecord {
            path: file.path.display().to_string(),
            size_bytes: file.extents.size_bytes,
            inode: file.key.inode,
            extents: known(file.extents.physical_extent_count),
        });
    }
    identity.without_sectors = without_sectors;
    identity
}
