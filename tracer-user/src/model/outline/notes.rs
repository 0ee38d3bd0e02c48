//! Remarks on a model that is odd but readable, bounded in number and length.

/// How many are kept.
const MOST_NOTES: usize = 32;
/// How long one may be; a tensor's name can have 64 KiB.
const MOST_CHARACTERS: usize = 400;

#[derive(Default)]
pub(super) struct Notes {
    kept: Vec<String>,
    more: u64,
}

impl Notes {
    /// Adds a remark; beyond the bound it is only counted.
    pub(super) fn add(&mut self, note: impl AsRef<str>) {
        if self.kept.len() >= MOST_NOTES - 1 {
            self.more += 1;
            return;
        }
        let note = note.as_ref();
        let short: String = note.chars().take(MOST_CHARACTERS).collect();
        let is_cut = short.len() < note.len();
        self.kept.push(if is_cut { short + " …" } else { short });
    }

    /// The remarks, and how many more there were.
    pub(super) fn finish(mut self) -> Vec<String> {
        if self.more > 0 {
            self.kept.push(format!("and {} more like these", self.more));
        }
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_and_long_notes_are_cut_and_counted() {
        let mut notes = Notes::default();
        notes.add("ä".repeat(1000));
        for number in 0..1000 {
            notes.add(format!("note {number}"));
        }
        let notes = notes.finish();
        assert_eq!(notes.len(), 32);
        assert_eq!(notes[0].chars().count(), 402);
        assert_eq!(notes[30], "note 29");
        assert_eq!(notes[31], "and 970 more like these");
    }
}
