//! `tracer model`: what a model is made of, where it lies, and how much of it is in memory.

use std::{collections::BTreeMap, path::Path};

use anyhow::Context as _;
use tracer_common::gap::SECTOR_BYTES;

use crate::{
    model::{ModelOutline, PieceKind},
    schema::{
        ExpertsRecord, InspectedExtent, InspectedFile, InspectedGroup, InspectedPiece,
        ModelInspection,
    },
    storage::resident_page_bitmap,
};

use super::{
    pieces::{ModelPieces, PieceIdentity},
    subject::{Placement, RequestedModel, Subject, SubjectFile},
};

/// Looks at the model that a file belongs to. Needs no privileges beyond reading the file.
///
/// # Errors
/// The file cannot be opened, or lies where nothing can be told of it.
pub fn inspect(path: &Path) -> anyhow::Result<ModelInspection> {
    let subject = Subject::open(vec![RequestedModel::from_path(path)?])?;
    let model = subject.models.first().context("a model without files")?;
    // Before the headers are read, which puts them into the page cache.
    let bitmaps: Vec<Option<Vec<u64>>> = subject
        .files_of(model)
        .map(|file| resident_page_bitmap(&file.open).ok().flatten())
        .collect();
    let pieces = ModelPieces::of(&subject, model)?;
    let outline = pieces.outline.as_ref();
    let order: Vec<InspectedPiece> = join_slices(&pieces)
        .into_iter()
        .map(|piece| inspected(&piece, outline, &bitmaps))
        .collect();
    Ok(ModelInspection {
        path: model.name.clone(),
        format: outline.map(|outline| outline.format.as_str().to_owned()),
        architecture: outline.and_then(|outline| outline.architecture.clone()),
        name: outline.and_then(|outline| outline.name.clone()),
        layers: outline.and_then(|outline| outline.layer_count.map(u64::from)),
        experts: outline.and_then(|outline| {
            Some(ExpertsRecord {
                count: outline.expert_count?.into(),
                used: outline.expert_used_count?.into(),
            })
        }),
        tied_output: outline.map(|outline| outline.tied_output),
        step_need_bytes: outline.and_then(ModelOutline::step_need_bytes),
        size_bytes: subject
            .files_of(model)
            .map(|file| file.extents.size_bytes)
            .sum(),
        resident_bytes: bitmaps
            .iter()
            .map(|bitmap| {
                let bitmap = bitmap.as_ref()?;
                let pages: u64 = bitmap.iter().map(|word| u64::from(word.count_ones())).sum();
                Some(pages * procfs::page_size())
            })
            .sum(),
        files: subject
            .files_of(model)
            .map(|file| inspected_file(&subject, file))
            .collect(),
        kinds: groups(&order, |piece| Some(piece.kind.clone()), true),
        layer_sizes: groups(&order, |piece| piece.layer, false),
        order,
        notes: pieces.notes,
    })
}

/// The pieces, with the slices of one tensor put together again.
fn join_slices(pieces: &ModelPieces) -> Vec<PieceIdentity> {
    let mut joined: Vec<PieceIdentity> = Vec::new();
    for piece in &pieces.pieces {
        let same_tensor = |last: &PieceIdentity| match (last.what, piece.what) {
            (
                Some(PieceKind::Tensor { tensor: one, .. }),
                Some(PieceKind::Tensor { tensor: other, .. }),
            ) => one == other,
            _ => false,
        };
        match joined.last_mut() {
            Some(last) if same_tensor(last) => last.bytes += piece.bytes,
            _ => joined.push(*piece),
        }
    }
    joined
}

fn inspected(
    piece: &PieceIdentity,
    outline: Option<&ModelOutline>,
    bitmaps: &[Option<Vec<u64>>],
) -> InspectedPiece {
    let place = piece.tensor(outline);
    let kind = piece.kind_name(outline);
    let bitmap = bitmaps
        .get(usize::from(piece.file))
        .and_then(Option::as_ref);
    InspectedPiece {
        name: place.map_or_else(|| format!("({kind})"), |place| place.name.clone()),
        kind: kind.to_owned(),
        layer: place.and_then(|place| place.layer),
        expert_slices: place.and_then(|place| place.expert_slices),
        expert: place.and_then(|place| place.expert),
        element_type: place.map(|place| place.element_type.clone()),
        dimensions: place
            .map(|place| place.dimensions.clone())
            .unwrap_or_default(),
        file: u64::from(piece.file),
        offset_bytes: piece.offset_bytes,
        bytes: piece.bytes,
        resident_bytes: bitmap.map(|bitmap| {
            resident_bytes(bitmap, procfs::page_size(), piece.offset_bytes, piece.bytes)
        }),
    }
}

/// Bytes of a range that lie in resident pages.
fn resident_bytes(bitmap: &[u64], page_bytes: u64, offset_bytes: u64, bytes: u64) -> u64 {
    let end = offset_bytes.saturating_add(bytes);
    (offset_bytes / page_bytes..end.div_ceil(page_bytes))
        .filter(|page| {
            bitmap
                .get((page / 64) as usize)
                .is_some_and(|word| word >> (page % 64) & 1 == 1)
        })
        .map(|page| {
            let first = (page * page_bytes).max(offset_bytes);
            let last = ((page + 1) * page_bytes).min(end);
            last.saturating_sub(first)
        })
        .sum()
}

fn inspected_file(subject: &Subject, file: &SubjectFile) -> InspectedFile {
    let (start, reason) = match &file.placement {
        Placement::OnDisk {
            partition_start, ..
        } => (Some(partition_start.0), None),
        Placement::CacheOnly(reason) => (None, Some(reason.clone())),
    };
    InspectedFile {
        path: file.path.display().to_string(),
        size_bytes: file.extents.size_bytes,
        filesystem: file.filesystem.clone(),
        device: file
            .disk()
            .and_then(|disk| subject.disks.get(disk))
            .map(|disk| disk.name.clone()),
        without_sectors: reason,
        extents: start.map(|start| {
            file.extents
                .extents
                .iter()
                .map(|extent| InspectedExtent {
                    file_offset_bytes: extent.file_offset_bytes,
                    disk_sector: start + extent.physical_bytes / SECTOR_BYTES,
                    length_bytes: extent.length_bytes,
                })
                .collect()
        }),
    }
}

/// Pieces put together by what `key` says of them.
fn groups<K: Ord + ToString>(
    pieces: &[InspectedPiece],
    key: impl Fn(&InspectedPiece) -> Option<K>,
    largest_first: bool,
) -> Vec<InspectedGroup> {
    let mut groups: BTreeMap<K, InspectedGroup> = BTreeMap::new();
    for piece in pieces {
        let Some(key) = key(piece) else {
            continue;
        };
        let name = key.to_string();
        let group = groups.entry(key).or_insert_with(|| InspectedGroup {
            name,
            resident_bytes: Some(0),
            ..InspectedGroup::default()
        });
        group.tensors += 1;
        group.bytes += piece.bytes;
        group.resident_bytes = group
            .resident_bytes
            .zip(piece.resident_bytes)
            .map(|(sum, more)| sum + more);
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    if largest_first {
        groups.sort_by_key(|group| std::cmp::Reverse(group.bytes));
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::resident_bytes;

    #[test]
    fn a_page_that_is_shared_counts_by_its_bytes() {
        // Pages 0 and 2 are resident.
        let bitmap = [0b101];
        assert_eq!(resident_bytes(&bitmap, 4096, 0, 100), 100);
        assert_eq!(resident_bytes(&bitmap, 4096, 4000, 200), 96);
        assert_eq!(resident_bytes(&bitmap, 4096, 4096, 4096), 0);
        assert_eq!(resident_bytes(&bitmap, 4096, 0, 3 * 4096), 2 * 4096);
        assert_eq!(resident_bytes(&bitmap, 4096, 64 * 4096, 4096), 0);
        // The same bits on a kernel with pages of 64 KiB.
        assert_eq!(resident_bytes(&bitmap, 65536, 4096, 4096), 4096);
        assert_eq!(resident_bytes(&bitmap, 65536, 65536, 65536), 0);
    }
}
