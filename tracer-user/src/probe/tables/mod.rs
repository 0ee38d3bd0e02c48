//! What the programs look at, and the maps that it fills.

mod extent_index;
pub(super) mod read_bits;
mod span_index;

use anyhow::{Context as _, anyhow};
use aya::{
    Ebpf,
    maps::{Array, HashMap},
};
use tracer_common::{
    extent::{Extent, MAX_DEVICES, MAX_EXTENTS, MAX_MODELS},
    page::{FileKey, FileSlot, MAX_FILES},
    record::NO_PREVIOUS_END,
    settings::DeviceFilter,
    slice::{PageSpan, ReadSpan, SectorShares},
};

use super::{aggregates::Plain, programs::DeviceKind};
use read_bits::sectors_of;

pub(super) use extent_index::build as build_extent_index;
pub(super) use span_index::build as build_span_index;

/// What the programs look at.
#[derive(Clone, Debug, Default)]
pub struct FilterTables {
    /// Traced devices; `first_extent` and `extents` point into [`FilterTables::extents`].
    pub devices: Vec<DeviceFilter>,
    /// Extents of all models, sorted by device and start, not overlapping.
    pub extents: Vec<Extent>,
    /// What the devices are handed.
    pub device_kind: DeviceKind,
    pub models: usize,
    /// The files; the position is the file's slot.
    pub files: Vec<FilteredFile>,
    /// How the files are cut where counts are kept by place; empty where they are not.
    pub spans: SpanTables,
}

/// A file whose page-cache events are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilteredFile {
    /// As the tracepoints name it.
    pub key: FileKey,
    /// Its size in pages.
    pub pages: u64,
    /// Slot of the model that it is of.
    pub model: u32,
}

/// How the files are cut: the spans of sectors and those of pages, each without gap from bit 0 on.
#[derive(Clone, Debug, Default)]
pub struct SpanTables {
    pub reads: Vec<ReadSpan>,
    /// What sectors of some of those have of classes.
    pub shares: Vec<SectorShares>,
    pub pages: Vec<PageSpan>,
}

impl FilterTables {
    /// The first thing in the tables that the programs could not work with: their binary search wants
    /// sorted extents that do not overlap.
    pub(super) fn fault(&self) -> Option<String> {
        if self.devices.len() > MAX_DEVICES {
            return Some(format!(
                "the models lie on {} devices; at most {MAX_DEVICES} can be traced together",
                self.devices.len()
            ));
        }
        if self.models > MAX_MODELS {
            return Some(format!(
                "{} models; at most {MAX_MODELS} can be traced together",
                self.models
            ));
        }
        if self.files.len() > MAX_FILES as usize || self.extents.len() > MAX_EXTENTS as usize {
            return Some(format!(
                "{} files with {} extents; at most {MAX_FILES} files with {MAX_EXTENTS} extents can be traced together",
                self.files.len(),
                self.extents.len()
            ));
        }
        for device in &self.devices {
            let first = device.first_extent as usize;
            let own = self
                .extents
                .get(first..first + device.extents as usize)
                .unwrap_or_default();
            for (one, next) in own.iter().zip(own.iter().skip(1)) {
                if one.end_sector > next.start_sector {
                    return Some(format!(
                        "two pieces of the models' files share the sectors {} – {} (a reflinked copy, or one file given twice); trace one of them at a time",
                        next.start_sector,
                        one.end_sector.min(next.end_sector)
                    ));
                }
            }
        }
        None
    }

    /// What counts by span could not work with: their table numbers sectors with 32 bits.
    pub(super) fn fault_of_counts(&self) -> Option<String> {
        (sectors_of(&self.extents) > u64::from(u32::MAX)).then(|| {
            "the models have more than 2 TiB on their devices, too many sectors for --detail counts; trace fewer of them together, or with --detail events".to_owned()
        })
    }
}

/// The values, and as many of the default as an array of the settings has beyond them.
pub(super) fn padded<T: Copy + Default>(values: &[T]) -> [T; MAX_DEVICES] {
    std::array::from_fn(|slot| values.get(slot).copied().unwrap_or_default())
}

pub(super) fn fill_tables(
    ebpf: &mut Ebpf,
    tables: &FilterTables,
    file_slots: &[(FileKey, FileSlot)],
) -> anyhow::Result<()> {
    fill(ebpf, "DEVICES", &tables.devices)?;
    fill(ebpf, "EXTENTS", &tables.extents)?;
    fill(
        ebpf,
        "LAST_ENDS",
        &[NO_PREVIOUS_END; MAX_MODELS * MAX_DEVICES],
    )?;
    let map = ebpf
        .map_mut("FILES")
        .ok_or_else(|| anyhow!("the eBPF object has no map FILES"))?;
    let mut files: HashMap<_, Plain<FileKey>, Plain<FileSlot>> = HashMap::try_from(map)?;
    for (key, slot) in file_slots {
        files.insert(Plain(*key), Plain(*slot), 0)?;
    }
    Ok(())
}

pub(super) fn fill<T: Copy + 'static>(
    ebpf: &mut Ebpf,
    name: &str,
    values: &[T],
) -> anyhow::Result<()> {
    let map = ebpf
        .map_mut(name)
        .ok_or_else(|| anyhow!("the eBPF object has no map {name}"))?;
    let mut array = Array::<_, Plain<T>>::try_from(map)?;
    for (slot, value) in values.iter().enumerate() {
        array.set(u32::try_from(slot)?, Plain(*value), 0)?;
    }
    Ok(())
}

/// 64-bit words for so many bits.
pub(super) fn words_for(bits: u64) -> anyhow::Result<u32> {
    u32::try_from(bits.div_ceil(64)).context("the models are too large for one bitmap")
}

/// Gives each file its part of the bitmap of evicted pages; returns the words of all parts together.
pub(super) fn file_slots(
    files: &[FilteredFile],
) -> anyhow::Result<(Vec<(FileKey, FileSlot)>, u32)> {
    let mut first_bit = 0u64;
    let mut slots = Vec::with_capacity(files.len());
    for (slot, file) in files.iter().enumerate() {
        slots.push((
            file.key,
            FileSlot {
                first_bit,
                pages: file.pages,
                file: u32::try_from(slot)?,
                model: file.model,
            },
        ));
        first_bit += page_bits(file.pages);
    }
    Ok((slots, words_for(first_bit)?))
}

/// Bits of the bitmap of evicted pages that a file of so many pages has: a large folio can reach beyond the end of the file, up
/// to its own size.
#[must_use]
pub const fn page_bits(pages: u64) -> u64 {
    const LARGEST_FOLIO_PAGES: u64 = 4096;
    (pages + LARGEST_FOLIO_PAGES).next_multiple_of(64)
}

#[cfg(test)]
mod tests {
    use super::{FilterTables, FilteredFile, file_slots};
    use tracer_common::{extent::Extent, page::FileKey, settings::DeviceFilter};

    fn extent(start_sector: u64, end_sector: u64) -> Extent {
        Extent {
            start_sector,
            end_sector,
            first_bit: 0,
            beyond_end_bytes: 0,
            model: 0,
            file: 0,
        }
    }

    #[test]
    fn overlapping_extents_are_refused_with_their_place() {
        let mut tables = FilterTables {
            devices: vec![DeviceFilter {
                extents: 2,
                ..Default::default()
            }],
            extents: vec![extent(0, 8), extent(8, 16)],
            models: 1,
            ..Default::default()
        };
        assert_eq!(tables.fault(), None);
        tables.extents = vec![extent(0, 9), extent(8, 16)];
        assert!(tables.fault().is_some_and(|fault| fault.contains("8 – 9")));
    }

    #[test]
    fn more_sectors_than_counts_can_number_are_refused_to_counts_alone() {
        let mut tables = FilterTables {
            devices: vec![DeviceFilter {
                extents: 1,
                ..Default::default()
            }],
            extents: vec![extent(0, u64::from(u32::MAX))],
            models: 1,
            ..Default::default()
        };
        assert_eq!((tables.fault(), tables.fault_of_counts()), (None, None));
        tables.extents = vec![extent(0, u64::from(u32::MAX) + 1)];
        assert_eq!(tables.fault(), None);
        let fault = tables.fault_of_counts().expect("too many");
        assert!(fault.contains("--detail events"), "{fault}");
    }

    #[test]
    fn bitmap_parts_are_word_aligned_and_apart() {
        let key = |inode| FileKey { inode, device: 1 };
        let file = |inode, pages| FilteredFile {
            key: key(inode),
            pages,
            model: 0,
        };
        let (slots, words) = file_slots(&[file(1, 3), file(2, 100)]).expect("small");
        let [(_, first), (_, second)] = slots.as_slice() else {
            panic!("two files");
        };
        assert_eq!(first.first_bit % 64 + second.first_bit % 64, 0);
        assert!(second.first_bit >= first.first_bit + first.pages + 4096);
        assert!(u64::from(words) * 64 >= second.first_bit + second.pages + 4096);
    }
}
