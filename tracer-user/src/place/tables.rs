//! What is traced → the tables of both sides: the kernel's filter, and the user side's way from sectors to files.

use anyhow::bail;
use tracer_common::{extent::Extent, gap::SECTOR_BYTES, page::PAGE_BYTES, settings::DeviceFilter};

use crate::{
    probe::{DeviceKind, FilterTables},
    storage::{BlockDevice, DeviceExtents, DriverKind, Sector},
};

use super::{
    locator::{Layout, Locator, Owner},
    subject::{Placement, Subject, SubjectFile},
};

impl Subject {
    /// Start of the partition of a file on a disk. None for a file that is not there, or whose model is in part
    /// nowhere: figures of a part would pass for those of the model.
    fn partition_start(&self, file: &SubjectFile, slot: usize) -> Option<Sector> {
        let model = self
            .models
            .iter()
            .find(|model| self.files_of(model).any(|own| std::ptr::eq(own, file)))?;
        if self.without_sectors(model).is_some() {
            return None;
        }
        match &file.placement {
            Placement::OnDisk {
                disk,
                partition_start,
                ..
            } if *disk == slot => Some(*partition_start),
            _ => None,
        }
    }

    /// What the disks are handed.
    fn device_kind(&self) -> anyhow::Result<DeviceKind> {
        let is_bio_based =
            |disk: &&BlockDevice| matches!(disk.driver_kind, DriverKind::BioBased(_));
        let bio_based = self.disks.iter().filter(is_bio_based).count();
        if bio_based == 0 {
            return Ok(DeviceKind::Requests);
        }
        if bio_based < self.disks.len() {
            bail!(
                "the models lie on devices with requests and on devices without (device mapper, md, zram); trace them one at a time"
            );
        }
        Ok(DeviceKind::Bios)
    }

    /// The user side's way from sectors to files.
    ///
    /// # Errors
    /// A file that shares blocks with itself.
    pub fn locator(&self) -> anyhow::Result<Locator> {
        let mut locator = Locator::default();
        for (slot, disk) in self.disks.iter().enumerate() {
            let mut layouts: Vec<(Sector, Vec<usize>)> = Vec::new();
            for (file, subject) in self.files.iter().enumerate() {
                let Some(partition_start) = self.partition_start(subject, slot) else {
                    continue;
                };
                match layouts
                    .iter_mut()
                    .find(|(start, _)| *start == partition_start)
                {
                    Some((_, files)) => files.push(file),
                    None => layouts.push((partition_start, vec![file])),
                }
            }
            let mut placed = Vec::with_capacity(layouts.len());
            for (start, files) in layouts {
                let extents = files
                    .iter()
                    .filter_map(|file| self.files.get(*file))
                    .map(|file| &file.extents);
                placed.push(Layout {
                    extents: DeviceExtents::new(disk.device, start, extents)?,
                    owners: files
                        .iter()
                        .map(|file| self.owner(*file))
                        .collect::<anyhow::Result<_>>()?,
                });
            }
            locator.disks.push(placed);
        }
        Ok(locator)
    }

    /// The kernel side's tables, made from the extents directly and not through the locator, so that each
    /// side checks the other.
    ///
    /// # Errors
    /// Numbers that do not fit the tables.
    pub fn tables(&self) -> anyhow::Result<FilterTables> {
        let mut tables = FilterTables {
            models: self.models.len(),
            device_kind: self.device_kind()?,
            ..FilterTables::default()
        };
        let mut first_bit = 0;
        let mut first_slot = 0;
        for (slot, disk) in self.disks.iter().enumerate() {
            let mut extents = Vec::new();
            for (file_slot, file) in self.files.iter().enumerate() {
                if let Some(start) = self.partition_start(file, slot) {
                    let owner = self.owner(file_slot)?;
                    push_extents(&mut extents, file, start, owner, u16::try_from(file_slot)?);
                }
            }
            extents.sort_unstable_by_key(|extent| extent.start_sector);
            for extent in &mut extents {
                extent.first_bit = first_bit;
                first_bit += extent.end_sector - extent.start_sector;
            }
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
        tables.files = self
            .files
            .iter()
            .map(|file| (file.key, file.extents.size_bytes.div_ceil(PAGE_BYTES)))
            .collect();
        Ok(tables)
    }
}

/// The extents of one file on its disk, cut at the sector in which the file ends.
fn push_extents(
    extents: &mut Vec<Extent>,
    file: &SubjectFile,
    partition_start: Sector,
    owner: Owner,
    file_slot: u16,
) {
    for extent in &file.extents.extents {
        let inside_bytes = file
            .extents
            .size_bytes
            .saturating_sub(extent.file_offset_bytes)
            .min(extent.length_bytes);
        if inside_bytes == 0 {
            continue;
        }
        let start_sector = partition_start.0 + extent.physical_bytes / SECTOR_BYTES;
        let sectors = inside_bytes.div_ceil(SECTOR_BYTES);
        // Below 512: the difference of a size and the same size rounded up to a sector.
        let beyond_end_bytes = (sectors * SECTOR_BYTES - inside_bytes) as u32;
        extents.push(Extent {
            start_sector,
            end_sector: start_sector + sectors,
            first_bit: 0,
            beyond_end_bytes,
            model: owner.model,
            file: file_slot,
        });
    }
}
