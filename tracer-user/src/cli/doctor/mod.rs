//! `tracer doctor`: everything that the tracer needs, and a model's file system and device.

mod rights;

use std::path::Path;

use crate::{
    place::RequestedModel,
    pressure::{CgroupVersion, memory_cgroup_version},
    probe::{Requirement, inspect_programs, requirements},
    storage::{FileExtents, Mapping, map_file},
};

pub use rights::how_to_get_them;

/// Checks the machine, each program where asked for, and the model where there is one.
#[must_use]
pub fn examine(model: Option<&Path>, programs: bool) -> Vec<Requirement> {
    let mut list = requirements();
    if programs && !list.iter().any(Requirement::is_missing) {
        list.extend(inspect_programs());
    }
    list.push(match memory_cgroup_version() {
        Ok(version) => Requirement::present(
            "memory cgroup",
            match version {
                CgroupVersion::V1 => "version 1",
                CgroupVersion::V2 => "version 2",
            },
        ),
        Err(error) => Requirement::reduced(
            "memory cgroup",
            format!("no --memory-max and no demo: {error}"),
        ),
    });
    list.extend(rights::of_commands());
    if let Some(model) = model {
        list.extend(examine_model(model));
    }
    list
}

fn examine_model(path: &Path) -> Vec<Requirement> {
    const FILE: &str = "model";
    const DEVICE: &str = "device of the model";
    let requested = match RequestedModel::from_path(path) {
        Ok(requested) => requested,
        Err(error) => {
            return vec![Requirement::missing(
                FILE,
                format!("{error:#}"),
                "name a file of a model",
            )];
        }
    };
    let mut list = Vec::new();
    for (shown, openable) in &requested.files {
        match map_file(openable) {
            Ok(Mapping::Mapped(placed)) => {
                let extents = std::fs::File::open(&placed.path)
                    .map_err(|error| error.to_string())
                    .and_then(|file| FileExtents::of(&file).map_err(|error| error.to_string()));
                list.push(match extents {
                    Ok(extents) => Requirement::present(
                        FILE,
                        format!(
                            "{}: {} in {} extents on {}",
                            shown.display(),
                            crate::units::bytes(extents.size_bytes),
                            extents.physical_extent_count,
                            placed.file_system.name()
                        ),
                    ),
                    Err(error) => Requirement::missing(
                        FILE,
                        format!("{}: {error}", shown.display()),
                        "copy the model to ext4 or xfs on a disk or partition",
                    ),
                });
                list.push(Requirement::present(
                    DEVICE,
                    format!(
                        "{} ({}), {} hardware queues, read-ahead {} KiB",
                        placed.disk.name,
                        placed.disk.device,
                        placed.disk.queue.hardware_queue_count,
                        placed
                            .disk
                            .queue
                            .read_ahead_kib
                            .map_or_else(|| "unknown".to_owned(), |kib| kib.to_string())
                    ),
                ));
            }
            Ok(Mapping::Unmappable(reason)) => list.push(Requirement::reduced(
                DEVICE,
                format!(
                    "{}: the page cache alone can be traced, no reads: {reason}",
                    shown.display()
                ),
            )),
            Err(error) => list.push(Requirement::missing(
                FILE,
                error.to_string(),
                "name a file of a model",
            )),
        }
    }
    list
}
