//! A part of a run: what was done with some tensors.

use std::ops::Range;

use glob::Pattern;
use tracer_common::record::{PageRecord, Record, WaitRecord, wait_kind};

use crate::{
    place::{FileSelection, ModelPieces, Owner},
    recording::RecordedEvent,
    schema::{ModelRecord, TensorRecord},
    stats::FileData,
};

use super::{error::ReopenError, setup::RecordedSetup};

/// Names that an error shows.
const SHOWN_NAMES: usize = 4;

/// Some tensors of the models of a recording, and their bytes.
pub struct TensorPart {
    patterns: Vec<Pattern>,
    selection: FileSelection,
    owners: Vec<Owner>,
    page_bytes: u64,
    count: u64,
}

impl TensorPart {
    /// The tensors whose names one of the patterns matches.
    ///
    /// # Errors
    /// There is none.
    pub fn of(
        patterns: &[Pattern],
        setup: &RecordedSetup,
        pieces: &[ModelPieces],
    ) -> Result<Self, ReopenError> {
        let mut part = Self {
            patterns: patterns.to_vec(),
            selection: FileSelection::default(),
            owners: setup.owners.clone(),
            page_bytes: setup.page_bytes,
            count: 0,
        };
        let mut others: Vec<String> = Vec::new();
        for (model, pieces) in (0u16..).zip(pieces) {
            // One tensor with its experts' slices, one after the other, counts once.
            let mut last = None;
            for piece in &pieces.pieces {
                let name = piece.name(pieces.outline.as_ref());
                if !part.matches(&name) {
                    if others.len() < SHOWN_NAMES && !others.iter().any(|other| **other == *name) {
                        others.push(name.into_owned());
                    }
                    continue;
                }
                part.count += u64::from(last.as_ref() != Some(&name));
                last = Some(name);
                let file = piece.file;
                let range = piece.offset_bytes..piece.offset_bytes.saturating_add(piece.bytes);
                part.selection.add(Owner { model, file }, range);
            }
        }
        if part.count == 0 {
            let patterns: Vec<&str> = patterns.iter().map(Pattern::as_str).collect();
            return Err(ReopenError::NoTensor {
                patterns: patterns.join(", "),
                others: others.join(", "),
            });
        }
        Ok(part)
    }

    /// Whether a tensor of this name is in it.
    pub fn matches(&self, name: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(name))
    }

    /// The bytes of the files that are in it.
    pub const fn selection(&self) -> &FileSelection {
        &self.selection
    }

    /// What is looked at, in words.
    pub fn words(&self) -> String {
        let patterns: Vec<&str> = self.patterns.iter().map(Pattern::as_str).collect();
        format!(
            "of the model only what {} matches is looked at: {} tensors",
            patterns.join(", "),
            self.count
        )
    }

    /// A file, with all bytes that are not in it taken for holes: coverage is of the tensors then.
    pub fn data(&self, owner: Owner, data: FileData) -> FileData {
        FileData {
            hole_bytes: data.size_bytes.saturating_sub(self.selection.bytes(owner)),
            ..data
        }
    }

    /// Hands on what of an event is in it. Reads are divided where they are located.
    pub fn take(&self, event: RecordedEvent, mut take: impl FnMut(RecordedEvent)) {
        match event {
            RecordedEvent::Kernel(Record::Page(page)) => {
                for pages in self.pages(page.file, page.first_page, page.pages) {
                    take(RecordedEvent::Kernel(Record::Page(PageRecord {
                        first_page: u32::try_from(pages.start).unwrap_or(u32::MAX),
                        pages: u32::try_from(pages.end - pages.start).unwrap_or(u32::MAX),
                        ..page
                    })));
                }
            }
            RecordedEvent::Kernel(Record::Wait(wait)) => {
                if self.is_of_it(&wait) {
                    take(event);
                }
            }
            other => take(other),
        }
    }

    fn pages(&self, file: u16, first_page: u32, pages: u32) -> Vec<Range<u64>> {
        let Some(owner) = self.owners.get(usize::from(file)) else {
            return Vec::new();
        };
        let first = u64::from(first_page);
        self.selection
            .pages(*owner, first..first + u64::from(pages), self.page_bytes)
    }

    /// Other I/O, reclaim and locks are not a tensor's.
    fn is_of_it(&self, wait: &WaitRecord) -> bool {
        wait.wait == wait_kind::MODEL_FOLIO && !self.pages(wait.file, wait.page, 1).is_empty()
    }

    /// Makes a model's size that of the part.
    pub fn identify(&self, slot: usize, record: &mut ModelRecord) {
        let model = u16::try_from(slot).unwrap_or(u16::MAX);
        let files = (0u16..).zip(&record.model.files);
        let bytes = files
            .map(|(file, _)| self.selection.bytes(Owner { model, file }))
            .sum();
        record.model.size_bytes = bytes;
        record.model.data_bytes = record.model.data_bytes.map(|_| bytes);
    }

    /// Takes from a model's figures what has no meaning for a part of its bytes.
    pub fn prune(&self, record: &mut ModelRecord) {
        // The read before may be of another tensor.
        record.gaps = None;
        // Whether a page was used is told by events of pages around it: `tensors` has it, from all events.
        record.page_cache = None;
        if let Some(tensors) = &mut record.tensors {
            tensors.retain(|tensor| self.matches(&tensor.name));
        }
        let tensors = record.tensors.as_deref().unwrap_or_default();
        for phase in record.phases.iter_mut().flatten() {
            phase.gaps = None;
            phase.waits = of_model(phase.waits);
            for kind in phase.kinds.iter_mut().flatten() {
                kind.bytes = bytes_of_kind(tensors, &kind.kind);
            }
            if let Some(kinds) = &mut phase.kinds {
                kinds.retain(|kind| kind.bytes > 0);
            }
        }
        for token in record.tokens.iter_mut().flatten() {
            token.waits = of_model(token.waits);
            // Of all that the step uses.
            (token.need_bytes, token.need_factor) = (None, None);
        }
    }
}

fn bytes_of_kind(tensors: &[TensorRecord], kind: &str) -> u64 {
    let own = tensors.iter().filter(|tensor| tensor.kind == kind);
    own.map(|tensor| tensor.bytes).sum()
}

fn of_model(waits: crate::schema::WaitRecord) -> crate::schema::WaitRecord {
    crate::schema::WaitRecord {
        stall_s: waits.stall_s,
        stall_threads_s: waits.stall_threads_s,
        ..crate::schema::WaitRecord::default()
    }
}

#[cfg(test)]
mod tests;
