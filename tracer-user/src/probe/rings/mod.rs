//! The rings of records, one for each CPU, as mapped memory.

mod time_order;

use std::{
    os::fd::{AsFd as _, AsRawFd as _},
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::Context as _;
use aya::maps::MapData;
use memmap2::{MmapOptions, MmapRaw};
use tracer_common::{
    record::{DecodeError, Record},
    ring::{LEAST_RING_SLOTS, RECORD_ROOM_BYTES, RingEnds, RingSlot},
};

pub(super) use time_order::TimeOrder;

/// Looks at a place that has been taken and is not filled yet, before it is left for the next time.
const LOOKS: u32 = 1000;

/// The rings of all CPUs.
pub(super) struct Rings {
    ends: MmapRaw,
    slots: MmapRaw,
    /// Places of one ring.
    size: u64,
    /// By CPU: places that have been read.
    read: Vec<u64>,
}

/// Places of each ring where all together may take so many bytes: a power of two.
pub(super) fn slots_for(all_bytes: u32, cpus: u32) -> u32 {
    let slots = all_bytes / cpus.max(1) / size_of::<RingSlot>() as u32;
    let power = slots.checked_ilog2().map_or(0, |log| 1 << log);
    power.max(LEAST_RING_SLOTS)
}

impl Rings {
    /// Maps the rings of so many CPUs with so many places each.
    pub fn map(ends: &MapData, slots: &MapData, cpus: u32, size: u32) -> anyhow::Result<Self> {
        let rings = cpus as usize;
        let mapped = |map: &MapData, bytes: usize| {
            MmapOptions::new()
                .len(bytes)
                .map_raw(map.fd().as_fd().as_raw_fd())
                .context("cannot map the rings of records")
        };
        Ok(Self {
            ends: mapped(ends, rings * size_of::<RingEnds>())?,
            slots: mapped(slots, rings * size as usize * size_of::<RingSlot>())?,
            size: u64::from(size),
            read: vec![0; rings],
        })
    }

    /// Takes out what is there, each CPU's records in the order in which they took their places. False where a place was
    /// taken and not filled yet, so that what comes behind it had to be left.
    pub fn drain(&mut self, mut take: impl FnMut(Record)) -> Result<bool, DecodeError> {
        let mut is_whole = true;
        for cpu in 0..self.read.len() {
            is_whole &= self.drain_one(cpu, &mut take)?;
        }
        Ok(is_whole)
    }

    fn drain_one(
        &mut self,
        cpu: usize,
        take: &mut impl FnMut(Record),
    ) -> Result<bool, DecodeError> {
        // SAFETY: within the mapping, which holds `RingEnds` of as many CPUs; its words are aligned, and are only changed
        // as atomics on this side.
        let (taken, read) = unsafe {
            let ends = self.ends.as_mut_ptr().cast::<RingEnds>().add(cpu);
            (
                AtomicU64::from_ptr(&raw mut (*ends).taken),
                AtomicU64::from_ptr(&raw mut (*ends).read),
            )
        };
        let taken = taken.load(Ordering::Acquire);
        let mut next = self.read.get(cpu).copied().unwrap_or(taken);
        let mut is_whole = true;
        while next < taken {
            // The remainder is below a ring's places, which are as many as a u32 counts.
            let place = cpu * self.size as usize + (next % self.size) as usize;
            // SAFETY: within the mapping, which holds so many places.
            let slot = unsafe { self.slots.as_mut_ptr().cast::<RingSlot>().add(place) };
            // SAFETY: an aligned word of the mapping.
            let whole = unsafe { AtomicU64::from_ptr(&raw mut (*slot).whole) };
            if !is_filled(whole, next + 1) {
                is_whole = false;
                break;
            }
            // SAFETY: the place is whole, and no program takes it again before it has been read.
            let room = unsafe { (*slot).record };
            take(Record::decode_first(&bytes_of(room))?);
            next += 1;
        }
        read.store(next, Ordering::Release);
        if let Some(own) = self.read.get_mut(cpu) {
            *own = next;
        }
        Ok(is_whole)
    }
}

fn is_filled(whole: &AtomicU64, number: u64) -> bool {
    for _ in 0..LOOKS {
        if whole.load(Ordering::Acquire) == number {
            return true;
        }
        std::hint::spin_loop();
    }
    false
}

fn bytes_of(words: [u64; RECORD_ROOM_BYTES / 8]) -> [u8; RECORD_ROOM_BYTES] {
    let mut bytes = [0; RECORD_ROOM_BYTES];
    for (to, word) in bytes.chunks_exact_mut(8).zip(words) {
        to.copy_from_slice(&word.to_ne_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use memmap2::MmapOptions;
    use tracer_common::{
        record::{KindByte, Record, UnseenRecord},
        ring::{RingEnds, RingSlot},
    };

    use super::{Rings, slots_for};

    const SIZE: u64 = 4;

    /// Two rings of four places, in memory of our own.
    fn rings() -> Rings {
        let mapped = |bytes: usize| {
            let memory = MmapOptions::new().len(bytes).map_anon().expect("memory");
            memmap2::MmapRaw::from(memory)
        };
        Rings {
            ends: mapped(2 * size_of::<RingEnds>()),
            slots: mapped(2 * SIZE as usize * size_of::<RingSlot>()),
            size: SIZE,
            read: vec![0; 2],
        }
    }

    fn ends(rings: &Rings, cpu: usize) -> (&AtomicU64, &AtomicU64) {
        // SAFETY: within the memory of `rings`.
        unsafe {
            let ends = rings.ends.as_mut_ptr().cast::<RingEnds>().add(cpu);
            (
                AtomicU64::from_ptr(&raw mut (*ends).taken),
                AtomicU64::from_ptr(&raw mut (*ends).read),
            )
        }
    }

    fn take_place(rings: &Rings, cpu: usize) -> u64 {
        ends(rings, cpu).0.fetch_add(1, Ordering::Relaxed)
    }

    fn fill(rings: &Rings, cpu: usize, place: u64, request: u64) {
        let record = UnseenRecord {
            kind: KindByte::NEW,
            device: 0,
            reserved: 0,
            reserved_too: 0,
            time_ns: 0,
            request,
        };
        let index = cpu * SIZE as usize + (place % SIZE) as usize;
        // SAFETY: within the memory of `rings`.
        unsafe {
            let slot = rings.slots.as_mut_ptr().cast::<RingSlot>().add(index);
            (&raw mut (*slot).record)
                .cast::<UnseenRecord>()
                .write(record);
            (*slot).whole = place + 1;
        }
    }

    fn drained(rings: &mut Rings) -> (Vec<u64>, bool) {
        let mut requests = Vec::new();
        let is_whole = rings
            .drain(|record| match record {
                Record::Unseen(record) => requests.push(record.request),
                other => panic!("{other:?}"),
            })
            .expect("records");
        (requests, is_whole)
    }

    #[test]
    fn records_come_once_in_the_order_of_their_places_turn_after_turn() {
        let mut rings = rings();
        for number in 0..20 {
            let place = take_place(&rings, 1);
            fill(&rings, 1, place, number);
            if number % 3 == 2 {
                let (requests, is_whole) = drained(&mut rings);
                assert_eq!(requests, [number - 2, number - 1, number]);
                assert!(is_whole);
                assert_eq!(ends(&rings, 1).1.load(Ordering::Relaxed), number + 1);
            }
        }
        assert_eq!(drained(&mut rings).0, [18, 19]);
        assert_eq!(drained(&mut rings).0, [0; 0]);
    }

    #[test]
    fn a_place_that_is_not_filled_holds_back_its_ring_and_no_other() {
        let mut rings = rings();
        let (slow, quick) = (take_place(&rings, 0), take_place(&rings, 0));
        fill(&rings, 0, quick, 2);
        let other = take_place(&rings, 1);
        fill(&rings, 1, other, 7);
        assert_eq!(drained(&mut rings), (vec![7], false));
        fill(&rings, 0, slow, 1);
        assert_eq!(drained(&mut rings), (vec![1, 2], true));
    }

    #[test]
    fn rings_share_the_bytes_and_have_a_least_size() {
        assert_eq!(slots_for(16 << 20, 16), 16_384);
        assert_eq!(slots_for(16 << 20, 3), 65_536);
        assert_eq!(slots_for(4096, 2), 128);
    }
}
