//! The pieces of a model whose figures are told apart: tensors, experts' slices of them, headers, padding.

use std::{borrow::Cow, path::PathBuf, sync::Arc};

use anyhow::Context as _;

use crate::{
    model::{ModelOutline, PieceKind, TensorPlace},
    stats::{
        Nanos,
        pages::events::TouchEvents,
        phases::{attribution::Attribution, counted::CountedModel},
        pieces::table::{PieceSpan, PieceTable},
    },
    storage::resident_page_bitmap,
};

use super::subject::{Subject, SubjectFile, SubjectModel};

/// What the bytes of one model are, for its figures.
#[derive(Clone, Debug)]
pub struct ModelPieces {
    /// Which bytes are which piece.
    pub table: Arc<PieceTable>,
    /// The pieces by their number in the table.
    pub pieces: Vec<PieceIdentity>,
    /// What the headers say; None where they could not be read.
    pub outline: Option<ModelOutline>,
    /// What a reader should know of it.
    pub notes: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PieceIdentity {
    /// File of the model.
    pub file: u16,
    /// First byte in it.
    pub offset_bytes: u64,
    pub bytes: u64,
    /// What it is; None for a whole file whose inside is not known.
    pub what: Option<PieceKind>,
}

impl PieceIdentity {
    /// The tensor that it is, or is a slice of.
    #[must_use]
    pub fn tensor<'a>(&self, outline: Option<&'a ModelOutline>) -> Option<&'a TensorPlace> {
        match self.what {
            Some(PieceKind::Tensor { tensor, .. }) => outline?.tensors.get(tensor as usize),
            _ => None,
        }
    }

    /// The expert whose bytes it holds, where it is of one alone.
    #[must_use]
    pub const fn expert(&self) -> Option<u32> {
        match self.what {
            Some(PieceKind::Tensor { expert, .. }) => expert,
            _ => None,
        }
    }

    /// Its name: the tensor's, or its kind in parentheses.
    #[must_use]
    pub fn name<'a>(&self, outline: Option<&'a ModelOutline>) -> Cow<'a, str> {
        match self.tensor(outline) {
            Some(tensor) => Cow::Borrowed(&tensor.name),
            None => Cow::Owned(format!("({})", self.kind_name(outline))),
        }
    }

    /// Kind of the tensor; `header`, `padding` or `file` for what is none.
    #[must_use]
    pub fn kind_name(&self, outline: Option<&ModelOutline>) -> &'static str {
        match (self.what, self.tensor(outline)) {
            (_, Some(tensor)) => tensor.kind.as_str(),
            (Some(PieceKind::Header), None) => "header",
            (Some(PieceKind::Padding), None) => "padding",
            _ => "file",
        }
    }
}

impl ModelPieces {
    /// Of all models of a subject, by slot.
    ///
    /// # Errors
    /// As [`ModelPieces::of`].
    pub fn of_all(subject: &Subject) -> anyhow::Result<Vec<Self>> {
        subject
            .models
            .iter()
            .map(|model| Self::of(subject, model))
            .collect()
    }

    /// Reads the headers of a model's files. A model whose headers cannot be read is one piece a file.
    ///
    /// # Errors
    /// Files that are too large, or too many, to be told apart.
    pub fn of(subject: &Subject, model: &SubjectModel) -> anyhow::Result<Self> {
        let mut notes = Vec::new();
        let outline = match outline(subject, model) {
            Ok(outline) => {
                notes.extend(outline.notes.iter().cloned());
                notes.extend(outline.not_understood());
                Some(outline)
            }
            Err(reason) => {
                notes.push(format!(
                    "{}: no figures by tensor, since its header could not be read: {reason}",
                    model.name
                ));
                None
            }
        };
        let sizes: Vec<u64> = subject
            .files_of(model)
            .map(|file| file.extents.size_bytes)
            .collect();
        Self::of_outline(&model.name, &sizes, outline, procfs::page_size(), notes)
    }

    /// The pieces of files of these sizes, by what their headers say; without that, one a file.
    ///
    /// # Errors
    /// Files that are too large, or too many, to be told apart.
    pub fn of_outline(
        name: &str,
        sizes: &[u64],
        outline: Option<ModelOutline>,
        page_bytes: u64,
        notes: Vec<String>,
    ) -> anyhow::Result<Self> {
        let mut pieces = Vec::new();
        let mut spans = Vec::new();
        for (slot, size_bytes) in (0u16..).zip(sizes) {
            let parts = match &outline {
                Some(outline) => outline
                    .pieces(slot)
                    .into_iter()
                    .map(|piece| (piece.start_bytes, piece.end_bytes, Some(piece.what)))
                    .collect(),
                None => vec![(0, *size_bytes, None)],
            };
            let mut own = Vec::with_capacity(parts.len());
            for (start_bytes, end_bytes, what) in parts {
                own.push(PieceSpan {
                    start_bytes,
                    end_bytes,
                    piece: u32::try_from(pieces.len())?,
                });
                pieces.push(PieceIdentity {
                    file: slot,
                    offset_bytes: start_bytes,
                    bytes: end_bytes - start_bytes,
                    what,
                });
            }
            spans.push(own);
        }
        let table = PieceTable::new(spans)
            .with_context(|| format!("cannot tell the pieces of {name} apart"))?
            .with_page_bytes(page_bytes);
        Ok(Self {
            table: Arc::new(table),
            pieces,
            outline,
            notes,
        })
    }

    /// The kinds that the pieces are of, as classes.
    #[must_use]
    pub fn classes(&self) -> PieceClasses {
        let mut names: Vec<&'static str> = Vec::new();
        let mut classes = PieceClasses::default();
        for (number, piece) in (0u32..).zip(&self.pieces) {
            let name = piece.kind_name(self.outline.as_ref());
            let class = names
                .iter()
                .position(|own| *own == name)
                .unwrap_or_else(|| {
                    names.push(name);
                    classes.first_pieces.push(number);
                    names.len() - 1
                });
            classes.of_pieces.push(class);
        }
        classes
    }

    /// What counts by slice of time have to know, where the gate has been opened. `classes_are_told`: each slice has its bytes
    /// by class; `resident_before`: what was resident before the gate opened. Where it is not what is resident now, pages came
    /// or went while it was looked, and nobody knows how many of them were counted.
    #[must_use]
    pub fn counted(
        &self,
        subject: &Subject,
        model: &SubjectModel,
        classes_are_told: bool,
        resident_before: Option<&Vec<u64>>,
    ) -> CountedModel {
        let resident_now = self.resident_now(subject, model);
        let classes = self.classes();
        CountedModel {
            table: Arc::clone(&self.table),
            class_pieces: classes.first_pieces,
            piece_classes: classes.of_pieces,
            classes_are_told,
            resident_bytes: resident_now.filter(|now| resident_before == Some(now)),
        }
    }

    /// Bytes of each piece that are resident now; None where that cannot be observed.
    #[must_use]
    pub fn resident_now(&self, subject: &Subject, model: &SubjectModel) -> Option<Vec<u64>> {
        let mut resident = vec![0; self.table.piece_count()];
        for (slot, file) in (0u16..).zip(subject.files_of(model)) {
            let bitmap = resident_page_bitmap(&file.open).ok().flatten()?;
            for pages in runs(&bitmap) {
                for (piece, bytes) in self.table.page_overlaps(slot, pages) {
                    if let Some(sum) = resident.get_mut(piece as usize) {
                        *sum += bytes;
                    }
                }
            }
        }
        Some(resident)
    }

    /// An accumulator for a window from `start` on. `resident` is [`resident_pages`] at that moment.
    ///
    /// # Errors
    /// More pages than can be followed.
    pub fn attribution(
        &self,
        resident: &[Option<Vec<u64>>],
        touch_events: TouchEvents,
        start: Nanos,
        from_start: bool,
    ) -> anyhow::Result<Attribution> {
        let mut attribution =
            Attribution::new(Arc::clone(&self.table), touch_events, start, from_start)?;
        for (slot, bitmap) in (0u16..).zip(resident) {
            // Not observed: the residency at the start stays unknown.
            if let Some(bitmap) = bitmap {
                attribution
                    .resident_at_start(slot, bitmap)
                    .with_context(|| format!("cannot follow file {slot} of a model"))?;
            }
        }
        Ok(attribution)
    }
}

/// By file of a model: which of its pages are resident now, as [`Attribution::resident_at_start`] takes it; none where that
/// cannot be observed.
#[must_use]
pub fn resident_pages(subject: &Subject, model: &SubjectModel) -> Vec<Option<Vec<u64>>> {
    subject
        .files_of(model)
        .map(|file| resident_page_bitmap(&file.open).ok().flatten())
        .collect()
}

/// Classes of pieces: all of one kind are of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PieceClasses {
    /// Class of each piece.
    pub of_pieces: Vec<usize>,
    /// A piece of each class.
    pub first_pieces: Vec<u32>,
}

/// Runs of bits that are set.
fn runs(bitmap: &[u64]) -> Vec<std::ops::Range<u64>> {
    let mut runs: Vec<std::ops::Range<u64>> = Vec::new();
    let mut add = |start: u64, end: u64| match runs.last_mut() {
        Some(last) if last.end == start => last.end = end,
        _ => runs.push(start..end),
    };
    for (number, word) in (0u64..).zip(bitmap) {
        let first = number * 64;
        if *word == u64::MAX {
            add(first, first + 64);
            continue;
        }
        for bit in (0..64).filter(|bit| word >> bit & 1 == 1) {
            add(first + bit, first + bit + 1);
        }
    }
    runs
}

/// Reads the headers, and leaves a cold page cache as it was.
fn outline(subject: &Subject, model: &SubjectModel) -> Result<ModelOutline, String> {
    let cold: Vec<bool> = subject.files_of(model).map(SubjectFile::is_cold).collect();
    for file in subject.files_of(model) {
        // Only the header: no reading ahead into the tensors.
        file.advise(libc::POSIX_FADV_RANDOM);
    }
    let files: Vec<(PathBuf, &std::fs::File)> = subject
        .files_of(model)
        .map(|file| (file.path.clone(), &file.open))
        .collect();
    let outline = ModelOutline::of_open_files(files).map_err(|error| error.to_string());
    for (file, cold) in subject.files_of(model).zip(cold) {
        if cold {
            file.advise(libc::POSIX_FADV_DONTNEED);
        }
    }
    outline
}

#[cfg(test)]
mod tests {
    use super::runs;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn runs_have_the_bits_that_are_set(
            words in prop::collection::vec(prop_oneof![Just(0), Just(u64::MAX), any::<u64>()], 0..6),
        ) {
            let found = runs(&words);
            for two in found.windows(2) {
                prop_assert!(two[0].end < two[1].start);
            }
            let bits: Vec<u64> = found.into_iter().flatten().collect();
            let set: Vec<u64> = (0..words.len() as u64 * 64)
                .filter(|bit| words[(bit / 64) as usize] >> (bit % 64) & 1 == 1)
                .collect();
            prop_assert_eq!(bits, set);
        }
    }
}
