//! What is traced → the kernel side's tables: its filter of sectors and files.

use anyhow::bail;
use tracer_common::{
    extent::{Extent, SECTORS_IN_BLOCK},
    gap::SECTOR_BYTES,
    settings::DeviceFilter,
};

use crate::{
    place::{ModelPieces, Owner, Spans, Subject, SubjectFile},
    probe::{DeviceKind, FilterTables, FilteredFile, SpanTables, page_bits},
    storage::{BlockDevice, DriverKind, Sector},
};

/// The kernel side's tables, made from the extents directly and not through the locator, so that each
/// side checks the other. With them, how the files are cut for counts by place.
///
/// # Errors
/// Numbers that do not fit the tables.
pub fn kernel_tables(
    subject: &Subject,
    pieces: &[ModelPieces],
) -> anyhow::Result<(FilterTables, Spans)> {
    let mut tables = FilterTables {
        models: subject.models.len(),
        device_kind: device_kind(subject)?,
        ..FilterTables::default()
    };
    let mut spans = Spans::default();
    let mut first_bit = 0u64;
    let mut first_slot = 0;
    for (slot, disk) in subject.disks.iter().enumerate() {
        let mut extents = Vec::new();
        for (file_slot, file) in subject.files.iter().enumerate() {
            if let Some(start) = subject.partition_start(file, slot) {
                // The blocks of a file begin where those of the bitmap do.
                let gap = first_bit.next_multiple_of(SECTORS_IN_BLOCK) - first_bit;
                first_bit += gap;
                spans.skip_sectors(gap);
                let owner = subject.owner(file_slot)?;
                let first = extents.len();
                push_extents(&mut extents, file, start, owner, u16::try_from(file_slot)?);
                for (extent, offset_bytes) in extents.iter_mut().skip(first) {
                    // In the order of the file, so that what follows in it follows in the bits.
                    extent.first_bit = first_bit;
                    let sectors = extent.end_sector - extent.start_sector;
                    first_bit += sectors;
                    let model = usize::from(owner.model);
                    if let Some(pieces) = pieces.get(model) {
                        spans.push_sectors(
                            model,
                            &pieces.table,
                            owner.file,
                            *offset_bytes,
                            sectors,
                        );
                    }
                }
            }
        }
        extents.sort_unstable_by_key(|(extent, _)| extent.start_sector);
        let mut extents: Vec<Extent> = extents.into_iter().map(|(extent, _)| extent).collect();
        let hardware_queues = u32::try_from(disk.queue.hardware_queue_count.max(1))?;
        let tags = disk
            .queue
            .nr_requests
            .max(disk.queue.max_tags)
            .unwrap_or(1024);
        let tags = u32::try_from(tags.max(1))?;
        tables.devices.push(DeviceFilter {
            major: disk.device.major(),
            first_minor: disk.device.minor(),
            first_extent: u32::try_from(tables.extents.len())?,
            extents: u32::try_from(extents.len())?,
            first_slot,
            tags,
            hardware_queues,
            reserved: 0,
        });
        first_slot += tags * hardware_queues;
        tables.extents.append(&mut extents);
    }
    for (slot, file) in subject.files.iter().enumerate() {
        let owner = subject.owner(slot)?;
        let pages = file.extents.size_bytes.div_ceil(procfs::page_size());
        let model = usize::from(owner.model);
        if let Some(pieces) = pieces.get(model) {
            spans.push_pages(model, &pieces.table, owner.file, pages, page_bits(pages));
        }
        tables.files.push(FilteredFile {
            key: file.key,
            pages,
            model: owner.model.into(),
        });
    }
    let (reads, shares) = spans.read_spans(&classes_of(pieces)?)?;
    tables.spans = SpanTables {
        reads,
        shares,
        pages: spans.page_spans(),
    };
    Ok((tables, spans))
}

/// By model: the class of each piece, which is its kind.
fn classes_of(pieces: &[ModelPieces]) -> anyhow::Result<Vec<Vec<u8>>> {
    pieces
        .iter()
        .map(|model| {
            let classes = model.classes();
            classes
                .of_pieces
                .iter()
                .map(|class| Ok(u8::try_from(*class)?))
                .collect()
        })
        .collect()
}

/// What the disks are handed.
fn device_kind(subject: &Subject) -> anyhow::Result<DeviceKind> {
    let is_bio_based = |disk: &&BlockDevice| matches!(disk.driver_kind, DriverKind::BioBased(_));
    let bio_based = subject.disks.iter().filter(is_bio_based).count();
    if bio_based == 0 {
        return Ok(DeviceKind::Requests);
    }
    if bio_based < subject.disks.len() {
        bail!(
            "the models lie on devices with requests and on devices without (device mapper, md, zram); trace them one at a time"
        );
    }
    Ok(DeviceKind::Bios)
}

/// The extents of one file on its disk, each with its place in the file in bytes, cut at the sector in which the file ends.
fn push_extents(
    extents: &mut Vec<(Extent, u64)>,
    file: &SubjectFile,
    partition_start: Sector,
    owner: Owner,
    file_slot: u16,
) {
    for of_file in &file.extents.extents {
        let inside_bytes = file
            .extents
            .size_bytes
            .saturating_sub(of_file.file_offset_bytes)
            .min(of_file.length_bytes);
        if inside_bytes == 0 {
            continue;
        }
        let start_sector = partition_start.0 + of_file.physical_bytes / SECTOR_BYTES;
        let sectors = inside_bytes.div_ceil(SECTOR_BYTES);
        // Below 512: the difference of a size and the same size rounded up to a sector.
        let beyond_end_bytes = (sectors * SECTOR_BYTES - inside_bytes) as u32;
        let extent = Extent {
            start_sector,
            end_sector: start_sector + sectors,
            first_bit: 0,
            beyond_end_bytes,
            model: owner.model,
            file: file_slot,
        };
        extents.push((extent, of_file.file_offset_bytes));
    }
}
