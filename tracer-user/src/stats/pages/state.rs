//! What is known of each page of one file, in bits: 5 bits a page, and 4 bytes from the first eviction on.

use std::ops::Range;

/// One bit for each page.
#[derive(Clone, Debug, Default)]
struct PageBits {
    words: Vec<u64>,
}

impl PageBits {
    fn new(pages: u64) -> Self {
        Self {
            words: vec![0; pages.div_ceil(64) as usize],
        }
    }

    fn get(&self, page: u64) -> bool {
        self.words
            .get((page / 64) as usize)
            .is_some_and(|word| word >> (page % 64) & 1 == 1)
    }

    fn set(&mut self, page: u64, value: bool) {
        if let Some(word) = self.words.get_mut((page / 64) as usize) {
            let mask = 1 << (page % 64);
            if value {
                *word |= mask;
            } else {
                *word &= !mask;
            }
        }
    }

    /// Sets the bits of `pages`, of those only that `among` has where it is given.
    fn set_range(&mut self, pages: Range<u64>, among: Option<&Self>) {
        if pages.is_empty() {
            return;
        }
        let (first, last) = (pages.start / 64, (pages.end - 1) / 64);
        for index in first..=last {
            let mut mask = u64::MAX;
            if index == first {
                mask &= u64::MAX << (pages.start % 64);
            }
            if index == last {
                mask &= u64::MAX >> (63 - (pages.end - 1) % 64);
            }
            if let Some(among) = among {
                mask &= among.words.get(index as usize).copied().unwrap_or(0);
            }
            if let Some(word) = self.words.get_mut(index as usize) {
                *word |= mask;
            }
        }
    }
}

/// The clock of an eviction that came after all values the clock can take.
const CLOCK_FULL: u32 = u32::MAX;

/// The pages of one file.
#[derive(Clone, Debug)]
pub(super) struct FilePages {
    pages: u64,
    /// Residency at the start is known.
    start_known: bool,
    /// An insert or an eviction was seen.
    changed: bool,
    resident: PageBits,
    /// The page's latest change was an eviction seen in this run.
    evicted: PageBits,
    /// The page is resident, and the insert that made it so was seen.
    insert_seen: PageBits,
    /// A fault or a lookup named the page since its insert; or, while it is absent, since its eviction: a fault
    /// is traced before the insert that it causes.
    touched: PageBits,
    /// The page was resident inside a map window since its insert.
    windowed: PageBits,
    /// Pages inserted before the page's latest eviction; empty until the first one.
    eviction_clock: Vec<u32>,
}

/// What an insert did to a page.
pub(super) struct Inserted {
    /// It was absent, as far as the events tell.
    pub(super) was_absent: bool,
    /// Nothing had been known of it: not resident at the start, no insert, no eviction.
    pub(super) first_seen: bool,
    /// Its latest change was an eviction.
    pub(super) refault: bool,
    /// The clock of that eviction.
    pub(super) eviction_clock: Option<u32>,
}

/// Whether a page was used between its insert and its eviction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// It was; or its insert was not seen.
    SeenOrUnknown,
    /// It lay in a map window: it may have been.
    Possible,
    /// No event says so.
    Unseen,
}

/// What an eviction did to a page.
pub(super) struct Evicted {
    /// It was resident, as far as the events tell.
    pub(super) was_resident: bool,
    /// It must have been resident at the start, which was not known.
    pub(super) start_learned: bool,
    /// Whether it had been used.
    pub(super) used: Use,
}

impl FilePages {
    pub(super) fn new(pages: u64) -> Self {
        Self {
            pages,
            // Of no page, everything is known.
            start_known: pages == 0,
            changed: false,
            resident: PageBits::new(pages),
            evicted: PageBits::new(pages),
            insert_seen: PageBits::new(pages),
            touched: PageBits::new(pages),
            windowed: PageBits::new(pages),
            eviction_clock: Vec::new(),
        }
    }

    pub(super) const fn pages(&self) -> u64 {
        self.pages
    }

    pub(super) const fn start_known(&self) -> bool {
        self.start_known
    }

    pub(super) const fn changed(&self) -> bool {
        self.changed
    }

    /// Those of `pages` pages from `first_page` on that lie in the file.
    pub(super) fn within(&self, first_page: u64, pages: u64) -> Range<u64> {
        let end = first_page.saturating_add(pages).min(self.pages);
        first_page.min(end)..end
    }

    /// Takes in the residency at the start; says whether a page is resident.
    pub(super) fn start(&mut self, bitmap: &[u64]) {
        self.start_known = true;
        self.resident
            .words
            .iter_mut()
            .zip(bitmap)
            .for_each(|(word, resident)| *word = *resident);
        if let (Some(last), rest) = (self.resident.words.last_mut(), self.pages % 64)
            && rest != 0
        {
            *last &= u64::MAX >> (64 - rest);
        }
    }

    pub(super) fn is_resident(&self, page: u64) -> bool {
        self.resident.get(page)
    }

    pub(super) fn insert(&mut self, page: u64) -> Inserted {
        self.changed = true;
        let was_absent = !self.resident.get(page);
        let refault = self.evicted.get(page);
        let inserted = Inserted {
            was_absent,
            first_seen: was_absent && !refault,
            refault,
            eviction_clock: refault
                .then(|| self.eviction_clock.get(page as usize).copied())
                .flatten()
                .filter(|clock| *clock != CLOCK_FULL),
        };
        if !was_absent {
            // An eviction was missed, and nobody knows on which side of it the touches lie: they are no longer
            // evidence of a use, but still of a possible one. So both bounds stay bounds.
            if self.touched.get(page) {
                self.windowed.set(page, true);
            }
            self.touched.set(page, false);
        }
        self.resident.set(page, true);
        self.evicted.set(page, false);
        self.insert_seen.set(page, true);
        inserted
    }

    pub(super) fn evict(&mut self, page: u64, clock: u64) -> Evicted {
        self.changed = true;
        let was_resident = self.resident.get(page);
        let used = if !self.insert_seen.get(page) || self.touched.get(page) {
            Use::SeenOrUnknown
        } else if self.windowed.get(page) {
            Use::Possible
        } else {
            Use::Unseen
        };
        let evicted = Evicted {
            was_resident,
            start_learned: !was_resident && !self.evicted.get(page) && !self.start_known,
            used,
        };
        if self.eviction_clock.is_empty() {
            self.eviction_clock = vec![0; self.pages as usize];
        }
        if let Some(at) = self.eviction_clock.get_mut(page as usize) {
            *at = u32::try_from(clock).unwrap_or(CLOCK_FULL);
        }
        self.resident.set(page, false);
        self.evicted.set(page, true);
        self.insert_seen.set(page, false);
        self.touched.set(page, false);
        self.windowed.set(page, false);
        evicted
    }

    /// Whether a use of one of these pages, or a map window over it, was seen since its insert.
    pub(super) fn use_was_seen(&self, mut pages: Range<u64>) -> bool {
        pages.any(|page| self.touched.get(page) || self.windowed.get(page))
    }

    pub(super) fn touch(&mut self, pages: Range<u64>) {
        self.touched.set_range(pages, None);
    }

    pub(super) fn map(&mut self, pages: Range<u64>) {
        // The kernel maps what is in the cache, so a window says nothing of absent pages.
        self.windowed.set_range(pages, Some(&self.resident));
    }
}

#[cfg(test)]
mod tests {
    use super::{FilePages, PageBits};
    use proptest::prelude::*;

    #[test]
    fn a_clock_beyond_its_range_is_unknown_and_not_wrong() {
        let mut pages = FilePages::new(1);
        for (clock, expected) in [
            (5, Some(5)),
            (u64::from(u32::MAX) - 1, Some(u32::MAX - 1)),
            (u64::from(u32::MAX), None),
            (u64::from(u32::MAX) + 5, None),
        ] {
            pages.evict(0, clock);
            assert_eq!(pages.insert(0).eviction_clock, expected);
        }
    }

    proptest! {
        #[test]
        fn a_range_of_bits_is_its_bits(start in 0u64..200, length in 0u64..200, among: [u64; 3]) {
            let end = (start + length).min(190);
            let pages = start.min(end)..end;
            let among = PageBits { words: among.to_vec() };
            let (mut all, mut some) = (PageBits::new(190), PageBits::new(190));
            all.set_range(pages.clone(), None);
            some.set_range(pages.clone(), Some(&among));
            for page in 0..192 {
                prop_assert_eq!(all.get(page), pages.contains(&page));
                prop_assert_eq!(some.get(page), pages.contains(&page) && among.get(page));
            }
        }
    }
}
