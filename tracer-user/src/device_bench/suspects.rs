//! Devices whose answers may come from memory.

use crate::storage::{BlockDevice, DriverKind};

/// Why a device measures memory, where it is sure to.
pub fn measures_memory(disk: &BlockDevice) -> Option<String> {
    if let (Some(backing), Some(false)) = (&disk.backing_file, disk.loop_direct_io) {
        return Some(format!(
            "{} is a loop device without direct I/O: its reads come from the page cache of {}, and the figures are those of memory; attach it with losetup --direct-io=on",
            disk.name,
            backing.display()
        ));
    }
    match disk.driver_kind {
        DriverKind::BioBased(kind)
            if ["zram", "RAM disk", "persistent memory"]
                .iter()
                .any(|memory| kind.starts_with(memory)) =>
        {
            Some(format!(
                "{} is {kind}: the figures are those of memory",
                disk.name
            ))
        }
        _ => None,
    }
}

/// What may lie between the device and its medium.
pub fn caveats(disk: &BlockDevice) -> Vec<String> {
    let mut caveats = vec![
        "a device that has just been read is warm: its own cache may answer what was read a moment ago, in every pattern alike".to_owned(),
    ];
    if disk.backing_file.is_some() {
        caveats.push(format!(
            "{} is a loop device: the device below it, and the file system in between, are measured with it",
            disk.name
        ));
    }
    if disk.name.starts_with("vd") || disk.name.starts_with("xvd") {
        caveats.push(format!(
            "{} is a virtual disk: the host may answer from its memory, or limit the rate",
            disk.name
        ));
    }
    caveats
}

#[cfg(test)]
mod tests {
    use crate::storage::{BlockDevice, DriverKind, QueueFacts};

    use super::{caveats, measures_memory};

    fn disk(name: &str, kind: DriverKind, direct_io: Option<bool>) -> BlockDevice {
        BlockDevice {
            device: "7:0".parse().expect("a number"),
            name: name.to_owned(),
            size_sectors: 8,
            logical_block_bytes: 512,
            model: None,
            backing_file: direct_io.map(|_| "/image".into()),
            loop_direct_io: direct_io,
            lower_devices: Vec::new(),
            driver_kind: kind,
            queue: QueueFacts {
                scheduler: None,
                nr_requests: None,
                read_ahead_kib: None,
                max_sectors_kib: None,
                rotational: None,
                iostats: None,
                hardware_queue_count: 1,
                max_tags: None,
            },
        }
    }

    #[test]
    fn memory_is_told_from_disks() {
        let request = DriverKind::RequestBased;
        let cached = measures_memory(&disk("loop3", request.clone(), Some(false)));
        assert!(cached.is_some_and(|why| why.contains("loop3") && why.contains("/image")));
        assert_eq!(
            measures_memory(&disk("loop3", request.clone(), Some(true))),
            None
        );
        assert_eq!(
            measures_memory(&disk("nvme0n1", request.clone(), None)),
            None
        );
        let zram = DriverKind::BioBased("zram (compressed memory)");
        assert!(measures_memory(&disk("zram1", zram, None)).is_some());
        let mapper = DriverKind::BioBased("device mapper (LVM, LUKS)");
        assert_eq!(measures_memory(&disk("dm-0", mapper, None)), None);
        assert_eq!(caveats(&disk("vda", request.clone(), None)).len(), 2);
        assert_eq!(caveats(&disk("nvme0n1", request, None)).len(), 1);
    }
}
