//! Whose mapping it is, without a look at the inode: remembered by the mapping's address. Events come in runs of one file, so the
//! latest two are enough.
//!
//! The tracer holds the models' files open, so their mappings stay where they are for the whole run. So an address that was
//! found to be a model's file's is that for good, and one that was found to be another's never becomes a model's.

use tracer_common::page::{FileSlot, KnownFile};

use crate::{
    abilities::Abilities,
    atomic,
    field::Mapping,
    maps::{FILES, KNOWN_FILES, MAPPING_VERDICTS},
};

/// Whether a mapping is known to be that of a model's file. No means nothing.
#[inline(always)]
pub fn is_models(mapping: u64) -> bool {
    // SAFETY: values of the maps.
    MAPPING_VERDICTS
        .get_ptr(0)
        .map(|verdict| unsafe { (*verdict).file })
        .and_then(|file| KNOWN_FILES.get_ptr(file))
        .is_some_and(|known| unsafe { (*known).mapping } == mapping)
}

/// The file of a mapping, where it is a model's. Only while the gate is open: then no file gets another key any more.
#[inline(always)]
pub fn of_mapping<A: Abilities>(mapping: Mapping) -> Option<&'static FileSlot> {
    if !A::COUNTS_MODELS {
        // SAFETY: a value of a map whose entries are not removed while programs run.
        return FILES.get_ptr(mapping.file()).map(|slot| unsafe { &*slot });
    }
    let address = mapping.0 as u64;
    let verdict = MAPPING_VERDICTS.get_ptr_mut(0)?;
    // SAFETY: a value of the map. A program that interrupts this one may write it: each member for itself is true, since a
    // file counts only where its own mapping is this one.
    let verdict = unsafe { &mut *verdict };
    if verdict.foreign_mapping == address {
        return None;
    }
    if let Some(known) = KNOWN_FILES.get_ptr(verdict.file) {
        // SAFETY: a value of the map, whose slot is whole once it has a mapping.
        let known = unsafe { &*known };
        if known.mapping == address {
            return Some(&known.slot);
        }
    }
    // SAFETY: as above.
    let Some(slot) = FILES.get_ptr(mapping.file()).map(|slot| unsafe { &*slot }) else {
        verdict.foreign_mapping = address;
        return None;
    };
    let known: *mut KnownFile = KNOWN_FILES.get_ptr_mut(slot.file)?;
    // SAFETY: a value of the map; whoever else writes it now writes the same.
    unsafe {
        (*known).slot = *slot;
        atomic::publish(&raw mut (*known).mapping, address);
    }
    verdict.file = slot.file;
    Some(slot)
}
