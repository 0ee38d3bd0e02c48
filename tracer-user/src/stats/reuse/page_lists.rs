//! What Linux' page cache reads of a mapped file, simulated: the classic two lists of each memory cgroup.
//!
//! After `mm/vmscan.c`, `mm/workingset.c` and `mm/filemap.c` of Linux 6.18, for pages that are mapped, clean, and not swapped:
//!
//! * What is read enters the inactive list. What comes back is put on the active list at once if fewer pages were evicted or
//!   activated since it left than the active list is long (`workingset_refault`).
//! * Reclaim takes the oldest inactive page. One that was used since it was looked at last goes round once more, and becomes
//!   active if that is so twice running (`folio_check_references`); else it is evicted.
//! * The active list gives its oldest pages to the inactive one where it is the longer one by the kernel's ratio, or where pages
//!   were activated since (`prepare_scan_control`), as many in proportion as are looked at there.
//! * A page that is missing brings those around it (`do_sync_mmap_readahead`), and a scan runs ahead of itself.

use super::cache::{Cache, ReadAround};

/// A page cache that is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageCache {
    /// Blocks that it can hold, at least 1.
    pub capacity_blocks: u32,
    /// Blocks that reclaim frees at a time, at least 1 (32 pages in the kernel).
    pub batch_blocks: u32,
    /// How many times as long the inactive list may be as the active one before the active one is left alone
    /// (`inactive_is_low`): 1 below 1 GiB, else √(10 × GiB).
    pub active_per_inactive: u32,
    pub read_around: ReadAround,
}

/// No block.
const NONE: u32 = u32::MAX;

/// Where a block is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Absent,
    Inactive,
    Active,
}

#[derive(Clone, Copy, Debug)]
struct Block {
    place: Place,
    /// Used since it was last looked at.
    young: bool,
    /// Was young when it was looked at on the inactive list.
    referenced: bool,
    /// Age of the cache when it was evicted. `None`: never.
    evicted_at: Option<u64>,
    newer: u32,
    older: u32,
}

/// A list by age.
#[derive(Clone, Copy, Debug)]
struct List {
    newest: u32,
    oldest: u32,
    blocks: u32,
}

const EMPTY: List = List {
    newest: NONE,
    oldest: NONE,
    blocks: 0,
};

/// The lists, and what was read.
#[derive(Clone, Debug)]
pub struct PageLists {
    cache: PageCache,
    blocks: Vec<Block>,
    inactive: List,
    active: List,
    /// Evictions and activations so far (`nonresident_age`).
    age: u64,
    /// Blocks came back to the active list since reclaim was last at it.
    activated: bool,
    read_blocks: u64,
}

impl PageLists {
    /// An empty cache for a file of so many blocks.
    #[must_use]
    pub fn new(cache: PageCache, file_blocks: u32) -> Self {
        let block = Block {
            place: Place::Absent,
            young: false,
            referenced: false,
            evicted_at: None,
            newer: NONE,
            older: NONE,
        };
        Self {
            cache: PageCache {
                capacity_blocks: cache.capacity_blocks.max(1),
                batch_blocks: cache.batch_blocks.max(1),
                ..cache
            },
            blocks: vec![block; file_blocks as usize],
            inactive: EMPTY,
            active: EMPTY,
            age: 0,
            activated: false,
            read_blocks: 0,
        }
    }

    /// Blocks in the cache.
    #[must_use]
    pub const fn resident_blocks(&self) -> u32 {
        self.inactive.blocks + self.active.blocks
    }

    fn bring_in(&mut self, number: u32) {
        if self.blocks[number as usize].place != Place::Absent {
            return;
        }
        self.read_blocks += 1;
        if self.resident_blocks() >= self.cache.capacity_blocks {
            self.reclaim();
        }
        let distance = self.blocks[number as usize]
            .evicted_at
            .map(|evicted_at| self.age - evicted_at);
        let block = &mut self.blocks[number as usize];
        block.referenced = false;
        block.young = false;
        if distance.is_some_and(|distance| distance <= u64::from(self.active.blocks)) {
            self.age += 1;
            self.activated = true;
            self.push(number, Place::Active);
        } else {
            self.push(number, Place::Inactive);
        }
    }

    /// Frees a batch, or what there is.
    fn reclaim(&mut self) {
        let batch = self.cache.batch_blocks.min(self.resident_blocks());
        let mut freed = 0;
        while freed < batch {
            let deactivates = self.activated
                || u64::from(self.inactive.blocks) * u64::from(self.cache.active_per_inactive)
                    < u64::from(self.active.blocks)
                || self.inactive.blocks == 0;
            if deactivates && self.active.blocks > 0 {
                let share = u64::from(batch) * u64::from(self.active.blocks)
                    / u64::from(self.inactive.blocks.max(1));
                let most = u64::from(self.active.blocks.min(batch.saturating_mul(4)));
                for _ in 0..share.clamp(1, most.max(1)) {
                    let oldest = self.active.oldest;
                    if oldest == NONE {
                        break;
                    }
                    self.take(oldest);
                    self.blocks[oldest as usize].young = false;
                    self.blocks[oldest as usize].referenced = false;
                    self.push(oldest, Place::Inactive);
                }
            }
            self.activated = false;
            for _ in 0..batch {
                let oldest = self.inactive.oldest;
                if oldest == NONE || freed >= batch {
                    break;
                }
                self.take(oldest);
                let block = &mut self.blocks[oldest as usize];
                match (std::mem::take(&mut block.young), block.referenced) {
                    (true, true) => {
                        self.age += 1;
                        self.push(oldest, Place::Active);
                    }
                    (true, false) => {
                        block.referenced = true;
                        self.push(oldest, Place::Inactive);
                    }
                    (false, _) => {
                        self.age += 1;
                        let age = self.age;
                        self.blocks[oldest as usize].evicted_at = Some(age);
                        freed += 1;
                    }
                }
            }
        }
    }

    const fn list(&mut self, place: Place) -> &mut List {
        match place {
            Place::Active => &mut self.active,
            Place::Inactive | Place::Absent => &mut self.inactive,
        }
    }

    fn push(&mut self, number: u32, place: Place) {
        let list = self.list(place);
        let second = std::mem::replace(&mut list.newest, number);
        list.blocks += 1;
        if second == NONE {
            list.oldest = number;
        } else {
            self.blocks[second as usize].newer = number;
        }
        let block = &mut self.blocks[number as usize];
        block.place = place;
        block.older = second;
        block.newer = NONE;
    }

    fn take(&mut self, number: u32) {
        let block = &mut self.blocks[number as usize];
        let (place, newer, older) = (block.place, block.newer, block.older);
        block.place = Place::Absent;
        if newer != NONE {
            self.blocks[newer as usize].older = older;
        }
        if older != NONE {
            self.blocks[older as usize].newer = newer;
        }
        let list = self.list(place);
        list.blocks -= 1;
        if newer == NONE {
            list.newest = older;
        }
        if older == NONE {
            list.oldest = newer;
        }
    }
}

impl Cache for PageLists {
    fn use_block(&mut self, number: u32) {
        let Some(block) = self.blocks.get(number as usize) else {
            return;
        };
        if block.place == Place::Absent {
            let around = self.cache.read_around.of(number, self.blocks.len());
            // The missing one last: what is read with it cannot push it out.
            for other in around.filter(|other| *other != number) {
                self.bring_in(other);
            }
            self.bring_in(number);
        }
        self.blocks[number as usize].young = true;
    }

    fn read_blocks(&self) -> u64 {
        self.read_blocks
    }
}
