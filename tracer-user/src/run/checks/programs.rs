//! Whether the programs saw everything.

use crate::{probe::ProgramRun, schema::Check};

/// The programs saw every event.
#[must_use]
pub fn of_programs(programs: &[ProgramRun]) -> Check {
    let unknown: Vec<&str> = programs
        .iter()
        .filter(|run| run.recursion_misses.is_none())
        .map(|run| run.program.name())
        .collect();
    let name = "no program was skipped by the kernel";
    let missed: u64 = programs.iter().filter_map(|run| run.recursion_misses).sum();
    if unknown.is_empty() || missed > 0 {
        Check::equal(
            name,
            ("recursion misses of all programs", missed),
            ("none", 0),
        )
    } else {
        Check::unobserved(
            name,
            "recursion misses",
            format!("this kernel does not count them for {}", unknown.join(", ")),
        )
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::program::Program;

    use crate::probe::ProgramRun;

    use super::of_programs;

    fn run(recursion_misses: Option<u64>) -> ProgramRun {
        ProgramRun {
            program: Program::BlockIssue,
            recursion_misses,
            run_time: None,
        }
    }

    #[test]
    fn a_skipped_program_is_a_violation_and_an_uncounted_one_is_unobserved() {
        assert_eq!(of_programs(&[run(Some(0))]).holds, Some(true));
        assert_eq!(
            of_programs(&[run(Some(0)), run(Some(76))]).holds,
            Some(false)
        );
        assert_eq!(of_programs(&[run(None)]).holds, None);
        assert_eq!(of_programs(&[run(None), run(Some(1))]).holds, Some(false));
    }
}
