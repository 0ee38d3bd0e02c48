//! What is traced → the user side's way from sectors to files.

use crate::storage::{DeviceExtents, Sector};

use super::{
    locator::{Layout, Locator},
    subject::{Placement, Subject, SubjectFile},
};

impl Subject {
    /// Start of the partition of a file on a disk. None for a file that is not there, or whose model is in part
    /// nowhere: figures of a part would pass for those of the model.
    #[must_use]
    pub fn partition_start(&self, file: &SubjectFile, slot: usize) -> Option<Sector> {
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
}
