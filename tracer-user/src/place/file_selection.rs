//! A part of the models' bytes: those of some tensors.

use std::ops::Range;

use super::owner::Owner;

/// Ranges of the models' files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileSelection {
    /// By model and file: ascending, apart from each other.
    models: Vec<Vec<Vec<Range<u64>>>>,
}

impl FileSelection {
    /// Adds a range that begins where the last one of its file ends, or behind it.
    pub fn add(&mut self, owner: Owner, range: Range<u64>) {
        let (model, file) = (usize::from(owner.model), usize::from(owner.file));
        if self.models.len() <= model {
            self.models.resize_with(model + 1, Vec::new);
        }
        let Some(files) = self.models.get_mut(model) else {
            return;
        };
        if files.len() <= file {
            files.resize_with(file + 1, Vec::new);
        }
        let Some(ranges) = files.get_mut(file) else {
            return;
        };
        match ranges.last_mut() {
            Some(last) if last.end >= range.start => last.end = last.end.max(range.end),
            _ => ranges.push(range),
        }
    }

    /// All ranges of a file.
    #[must_use]
    pub fn of(&self, owner: Owner) -> &[Range<u64>] {
        self.models
            .get(usize::from(owner.model))
            .and_then(|files| files.get(usize::from(owner.file)))
            .map_or(&[], Vec::as_slice)
    }

    /// Bytes of a file that are in it.
    #[must_use]
    pub fn bytes(&self, owner: Owner) -> u64 {
        let ranges = self.of(owner).iter();
        ranges.map(|range| range.end - range.start).sum()
    }

    /// What of a range of a file is in it, ascending.
    pub fn within(&self, owner: Owner, range: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        let ranges = self.of(owner);
        let first = ranges.partition_point(|own| own.end <= range.start);
        let touched = ranges.get(first..).unwrap_or_default().iter();
        touched
            .take_while({
                let end = range.end;
                move |own| own.start < end
            })
            .map(move |own| own.start.max(range.start)..own.end.min(range.end))
    }

    /// Pages of a file that hold a byte of it, among those of a range of pages: ascending, each once.
    #[must_use]
    pub fn pages(&self, owner: Owner, pages: Range<u64>, page_bytes: u64) -> Vec<Range<u64>> {
        let page_bytes = page_bytes.max(1);
        let bytes = pages.start.saturating_mul(page_bytes)..pages.end.saturating_mul(page_bytes);
        let mut found: Vec<Range<u64>> = Vec::new();
        for own in self.within(owner, bytes) {
            let own = own.start / page_bytes..own.end.div_ceil(page_bytes);
            match found.last_mut() {
                Some(last) if last.end >= own.start => last.end = own.end,
                _ => found.push(own),
            }
        }
        found
    }

    /// What of a bitmap of a file's pages is in it.
    #[must_use]
    pub fn of_bitmap(&self, owner: Owner, bitmap: &[u64], page_bytes: u64) -> Vec<u64> {
        let mut own = vec![0u64; bitmap.len()];
        let all = 0..bitmap.len() as u64 * 64;
        for page in self.pages(owner, all, page_bytes).into_iter().flatten() {
            let (word, bit) = ((page / 64) as usize, 1u64 << (page % 64));
            if let (Some(own), Some(whole)) = (own.get_mut(word), bitmap.get(word)) {
                *own |= whole & bit;
            }
        }
        own
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{FileSelection, Owner};

    const OWNER: Owner = Owner { model: 1, file: 2 };

    proptest! {
        #[test]
        fn each_byte_and_each_page_is_found_once(
            lengths in proptest::collection::vec((0u64..40, 1u64..40), 1..20),
            from in 0u64..400, length in 0u64..400,
        ) {
            let mut selection = FileSelection::default();
            let mut bytes = vec![false; 4_000];
            let mut at = 0;
            for (gap, own) in &lengths {
                at += gap;
                selection.add(OWNER, at..at + own);
                bytes[at as usize..(at + own) as usize].fill(true);
                at += own;
            }
            let expected = |range: std::ops::Range<usize>| {
                bytes[range].iter().filter(|own| **own).count() as u64
            };
            prop_assert_eq!(selection.bytes(OWNER), expected(0..4_000));
            let within: Vec<_> = selection.within(OWNER, from..from + length).collect();
            prop_assert!(within.is_sorted_by(|one, other| one.end < other.start));
            prop_assert!(within.iter().all(|own| own.start >= from && own.end <= from + length));
            let found: u64 = within.iter().map(|own| own.end - own.start).sum();
            prop_assert_eq!(found, expected(from as usize..(from + length) as usize));
            let pages: Vec<u64> = selection.pages(OWNER, 0..250, 16).into_iter().flatten().collect();
            let own: Vec<u64> = (0..250u64)
                .filter(|page| expected(*page as usize * 16..(*page as usize + 1) * 16) > 0)
                .collect();
            prop_assert_eq!(pages, own);
            prop_assert_eq!(selection.of(Owner { model: 0, file: 2 }), &[]);
        }
    }
}
