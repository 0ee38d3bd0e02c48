//! The axis `extents`: the same model in a given number of pieces on the disk.

use std::{
    fs::{self, File},
    ops::ControlFlow,
    path::Path,
};

use anyhow::{Context as _, bail};

use crate::{
    run::bytes_progress,
    storage::{FileExtents, make_fragmented_copy},
};

use super::{folder::ExperimentFolder, identity::ModelIdentity, plan::Plan};

/// A model and the number of pieces that it is wanted in, where that is varied.
type Wanted = (String, Option<u64>);

/// Every model of the plan in every number of pieces.
fn wanted(plan: &Plan) -> Vec<Wanted> {
    let models = plan.axis("model").map_or(&[][..], |axis| &axis.values);
    let extents: Vec<Option<u64>> = match plan.axis("extents") {
        None => vec![None],
        Some(axis) => axis.values.iter().map(|value| value.parse().ok()).collect(),
    };
    models
        .iter()
        .flat_map(|model| extents.iter().map(|extents| (model.clone(), *extents)))
        .collect()
}

/// Sum of the sizes of the copies that have to be made, bytes.
///
/// # Errors
/// A model that cannot be looked at; one of several files, which cannot be copied.
pub fn copies_bytes(plan: &Plan, plan_directory: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for (name, extents) in wanted(plan) {
        let Some(extents) = extents else { continue };
        let model = ModelIdentity::of(&name, &plan_directory.join(&name))?;
        if needs_copy(&model, extents)? {
            bytes += model.size_bytes();
        }
    }
    Ok(bytes)
}

/// The identities of all models of a plan, after the copies have been made that it asks for. A model that lies in the wanted
/// number of pieces is used itself.
///
/// # Errors
/// A model that cannot be read, a copy that cannot be made.
pub fn prepare(
    plan: &Plan,
    plan_directory: &Path,
    folder: &ExperimentFolder,
) -> anyhow::Result<Vec<ModelIdentity>> {
    let mut models = Vec::new();
    for (name, extents) in wanted(plan) {
        let path = plan_directory.join(&name);
        let mut model = ModelIdentity::of(&name, &path)?;
        if let Some(wanted) = extents
            && needs_copy(&model, wanted)?
        {
            let target = folder.copy_path(&path, wanted)?;
            // One that an earlier session made whole is used again; whether it is the model's is seen below.
            if !target.exists() {
                copy(&path, &target, wanted, model.size_bytes())?;
                folder
                    .caller()
                    .give_path(&target)
                    .with_context(|| format!("cannot hand {} to its user", target.display()))?;
            }
            let copied = ModelIdentity::of(&name, &target)?;
            let same = copied.size_bytes() == model.size_bytes()
                && copied
                    .files
                    .iter()
                    .map(|file| &file.ends_digest)
                    .eq(model.files.iter().map(|file| &file.ends_digest));
            if !same {
                bail!(
                    "{} is no copy of {}; remove it",
                    target.display(),
                    path.display()
                );
            }
            model = copied;
        }
        model.extents = extents;
        models.push(model);
    }
    Ok(models)
}

/// Copies with progress; a copy that is not in the wanted number of pieces is none.
fn copy(source: &Path, target: &Path, extents: u64, size_bytes: u64) -> anyhow::Result<()> {
    // It is written, and then read again.
    let progress = bytes_progress(size_bytes.saturating_mul(2), "copying a model in pieces");
    let made = make_fragmented_copy(source, target, extents, &mut |done| {
        progress.set_position(done);
        ControlFlow::Continue(())
    })?;
    progress.finish_and_clear();
    if made.extents != extents {
        fs::remove_file(target).with_context(|| format!("cannot remove {}", target.display()))?;
        bail!(
            "the file system keeps a copy of {} in {} pieces and not in {extents}; choose another number for the axis `extents`",
            source.display(),
            made.extents
        );
    }
    Ok(())
}

fn needs_copy(model: &ModelIdentity, extents: u64) -> anyhow::Result<bool> {
    let [file] = model.files.as_slice() else {
        bail!(
            "the model {} has several files, which cannot be copied in pieces; leave the axis `extents` out",
            model.name
        );
    };
    let open =
        File::open(&file.path).with_context(|| format!("cannot open {}", file.path.display()))?;
    let found = FileExtents::of(&open)
        .with_context(|| format!("cannot find the extents of {}", file.path.display()))?;
    Ok(found.physical_extent_count != extents)
}
