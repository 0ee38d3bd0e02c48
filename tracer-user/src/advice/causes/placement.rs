//! Where the model lies.

use crate::{
    advice::{Answer, Cause, Cost, Evidence, Facts, Present},
    stats::formulas::ratio,
    units::{bytes, count},
};

/// File systems that stand between the reader and a local disk. (An overlay over a local disk is not among them: it gives the
/// lower file's own pages and reads.)
const IN_THE_WAY: [&str; 9] = [
    "overlay", "nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "ceph", "fuse",
];
/// File systems whose files are memory.
const MEMORY: [&str; 3] = ["tmpfs", "ramfs", "hugetlbfs"];
/// Extents so small cut requests: two of the largest that the device takes.
const REQUESTS_AN_EXTENT: u64 = 2;
/// Where the device does not say its largest request, KiB: the kernel's default.
const USUAL_REQUEST_KIB: u64 = 1280;

pub const FILE_SYSTEM: Cause = Cause {
    name: "file_system",
    title: "A file system or mount stands between the engine and the disk",
    bounds: "the model lies on a network, shared or layered file system (NFS, CIFS, 9p, virtiofs, Ceph, FUSE), or its sectors are not known, or it lies in an image on a loop device without direct I/O: then the page cache has it twice. An overlay (a container's image) over a local disk is not in the way: the lower file is read. Only likely: the record has no speed of the way without it.",
    refuted_by: "the same speed with a copy of the model on a local file system.",
    remedy: "Copy the model to a local ext4 or xfs and run again; in a container mount that folder as a volume. An image is attached with `losetup --direct-io=on`.",
    decide: file_system,
};

pub const FRAGMENTATION: Cause = Cause {
    name: "fragmentation",
    title: "The file lies in so many pieces that reads are cut small",
    bounds: "the model's extents are on average smaller than two of the largest requests that the device takes. (A study's 3.8 GB in 19 extents was not slower than in one.) Its time needs `tracer device MODEL --run RUN`, which measures what the order of the reads costs; without it, it is only likely.",
    refuted_by: "`order.recorded_to_sorted` of the device test near 1: then the order of the reads costs nothing.",
    remedy: "`tracer device MODEL --run RUN --out DIR` measures the cost. Then copy the file to a file system with room (`cp` and rename), or use `e4defrag` or `xfs_fsr`.",
    decide: fragmentation,
};

fn file_system(facts: &Facts<'_>) -> Answer {
    let model = &facts.model.model;
    if model.filesystem.is_empty() && model.without_sectors.is_none() {
        return facts.missing("The file system", "model.filesystem");
    }
    let kind = model.filesystem.split('.').next().unwrap_or_default();
    let in_the_way = IN_THE_WAY.contains(&kind);
    let cached_twice = facts
        .device
        .filter(|device| device.loop_direct_io == Some(false));
    if MEMORY.contains(&kind) {
        return Answer::absent(format!(
            "the model lies on {}, which is memory",
            model.filesystem
        ));
    }
    if !in_the_way && model.without_sectors.is_none() && cached_twice.is_none() {
        return Answer::absent(format!("the model lies on {}", model.filesystem));
    }
    let mut evidence = Vec::new();
    if in_the_way {
        evidence.push(Evidence::new(
            "model.filesystem",
            "file system of the model",
            &model.filesystem,
        ));
    }
    if let Some(device) = cached_twice {
        evidence.push(Evidence::new(
            "devices[].loop_direct_io",
            format!("{} reads its file past the page cache", device.name),
            "no: what is read from it is cached twice",
        ));
    }
    if let Some(why) = &model.without_sectors {
        evidence.push(Evidence::new(
            "model.without_sectors",
            "its sectors are not known",
            why,
        ));
    }
    Answer::Present(Present {
        only_likely: true,
        evidence,
        ..Present::default()
    })
}

fn fragmentation(facts: &Facts<'_>) -> Answer {
    let model = &facts.model.model;
    let (Some(extents), Some(data)) = (model.extents, model.data_bytes) else {
        return facts.missing("In how many pieces the file lies", "model.extents");
    };
    let pieces = model.files.len().max(1) as u64;
    let Some(mean) = ratio(data, extents) else {
        return Answer::absent("the file has no extents");
    };
    let largest = facts
        .device
        .and_then(|device| device.max_sectors_kb)
        .unwrap_or(USUAL_REQUEST_KIB)
        << 10;
    if extents <= pieces || mean >= (REQUESTS_AN_EXTENT * largest) as f64 {
        return Answer::absent(format!(
            "{} extents of {} on average",
            count(extents),
            bytes(mean as u64)
        ));
    }
    let mut evidence = vec![Evidence::new(
        "model.extents",
        "extents, and their mean size",
        format!("{}, {}", count(extents), bytes(mean as u64)),
    )];
    let cost = facts
        .device_test
        .and_then(|test| test.order.as_ref()?.recorded_to_sorted)
        .map(|order| order.median);
    if let Some(factor) = cost {
        evidence.push(Evidence::new(
            "model.extents",
            "the same reads in the order of the disk take (device test)",
            format!("1 / {factor:.2} of the time"),
        ));
        if factor < 1.05 {
            return Answer::absent(format!(
                "{} extents, and the order of the reads costs nothing ({factor:.2} by the device test)",
                count(extents)
            ));
        }
    }
    Answer::Present(Present {
        only_likely: cost.is_none(),
        cost: Cost::about(
            cost.filter(|factor| *factor >= 1.0)
                .and_then(|factor| Some(facts.stall()? * (1.0 - 1.0 / factor))),
        ),
        evidence,
        ..Present::default()
    })
}

#[cfg(test)]
mod tests {
    use crate::advice::{
        explain,
        sample::{healthy, model_of},
    };

    #[test]
    fn a_loop_device_is_in_the_way_only_without_direct_reads() {
        for (direct_io, comes) in [(None, false), (Some(true), false), (Some(false), true)] {
            let mut run = healthy();
            run.devices[0].loop_direct_io = direct_io;
            let found = explain(&run, None).models.remove(0).causes;
            let found = found.iter().any(|cause| cause.name == "file_system");
            assert_eq!(found, comes, "{direct_io:?}");
        }
        // What lies in memory has no sectors, and no way to go.
        let mut run = healthy();
        model_of(&mut run).model.filesystem = "tmpfs".into();
        model_of(&mut run).model.without_sectors = Some("it is memory".into());
        let found = explain(&run, None).models.remove(0).causes;
        assert!(found.iter().all(|cause| cause.name != "file_system"));
    }
}
