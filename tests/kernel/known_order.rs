//! Reads in a known order give exactly the figures that were asked for.

use anyhow::Result;
use tests::{disk::FileSystem, model_file::ModelFile, reader::ReadMode};

use crate::{
    ground::{
        Case, FILE_SYSTEMS, Ground, Programs, Traced, case, check_content, check_figures,
        check_sound,
    },
    shapes::{self, FILE_BYTES, Shape},
};

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for file_system in FILE_SYSTEMS {
        for mode in [ReadMode::Direct, ReadMode::Buffered, ReadMode::Mmap] {
            for shape in Shape::ALL {
                let mode_name = format!("{mode:?}").to_lowercase();
                cases.push(case(
                    format!("known_order::{file_system}::{mode_name}_{}", shape.name()),
                    move |ground, _| known_order(ground, file_system, mode, shape),
                ));
            }
        }
    }
    cases
}

fn known_order(
    ground: &Ground,
    file_system: FileSystem,
    mode: ReadMode,
    shape: Shape,
) -> Result<()> {
    traced_with(ground, file_system, mode, shape, Programs::OfThisKernel)?;
    Ok(())
}

/// What these programs show of reads in a known order, which is right.
pub fn traced_with(
    ground: &Ground,
    file_system: FileSystem,
    mode: ReadMode,
    shape: Shape,
    programs: Programs,
) -> Result<Traced> {
    let disk = ground.disk(file_system)?;
    let file = ModelFile::contiguous(&disk, "model", FILE_BYTES)?;
    let plan = shape.plan(mode, &disk)?;
    let expected = shapes::expected(&plan, mode, &file, &disk)?;
    if shape == Shape::Strided {
        shapes::check_every_class(&expected)?;
    }
    let reader = ground.reader(&file, &plan, mode)?;
    let traced = ground.trace_reader_with(&file, &reader, programs)?;
    check_content(&traced.report, &file, &plan)?;
    check_figures(&traced.record, &expected)?;
    check_sound(&traced.record)?;
    Ok(traced)
}
