//! The programs for old kernels give the same figures, on this kernel too.

use anyhow::{Result, ensure};
use tests::{disk::FileSystem, model_file::ModelFile, plan::ReadPlan, reader::ReadMode};

use crate::{
    fragmented::{self, check_unordered},
    ground::{Case, FILE_SYSTEMS, Ground, Programs, case, check_content},
    known_order,
    shapes::{self, Shape},
};

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for mode in [ReadMode::Direct, ReadMode::Buffered, ReadMode::Mmap] {
        for shape in Shape::ALL {
            let mode_name = format!("{mode:?}").to_lowercase();
            cases.push(case(
                format!("early_programs::{mode_name}_{}", shape.name()),
                move |ground, _| known_order(ground, mode, shape),
            ));
        }
    }
    for file_system in FILE_SYSTEMS {
        cases.push(case(
            format!("early_programs::{file_system}::sixteen_threads"),
            move |ground, _| sixteen_threads(ground, file_system),
        ));
    }
    cases
}

fn known_order(ground: &Ground, mode: ReadMode, shape: Shape) -> Result<()> {
    let traced = known_order::traced_with(ground, FileSystem::Ext4, mode, shape, Programs::Early)?;
    ensure!(
        traced.record.is_null("reads.writes")?,
        "these programs cannot tell writes to the model from others"
    );
    Ok(())
}

/// Pieces of a file with a neighbour's between them: what a request has of which must be told apart in user space.
fn sixteen_threads(ground: &Ground, file_system: FileSystem) -> Result<()> {
    let disk = ground.disk(file_system)?;
    let pair = ModelFile::fragmented(
        &disk,
        "fragmented",
        fragmented::PIECES,
        fragmented::PIECE_BYTES,
    )?;
    let mut plan = ReadPlan::random(pair.model.size_bytes(), 16384, 4000, 6);
    plan.reads
        .extend(ReadPlan::sequential(pair.model.size_bytes(), 48 << 10).reads);
    let expected = shapes::expected(&plan, ReadMode::Direct, &pair.model, &disk)?;
    let reader = ground
        .reader(&pair.model, &plan, ReadMode::Direct)?
        .option_with("--threads", 16);
    let traced = ground.trace_reader_with(&pair.model, &reader, Programs::Early)?;
    check_content(&traced.report, &pair.model, &plan)?;
    check_unordered(&traced, &expected)
}
