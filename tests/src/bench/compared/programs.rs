//! What a tracer's programs are for, and what they cost above programs that do nothing.

use crate::bench::record::{Figure, RoundRecord};

/// What a program is for, told by its name: other builds are measured too, and other tracers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Reads.
    Block,
    /// Threads that wait.
    Waits,
    /// A folio enters the page cache.
    Insert,
    /// A folio leaves the page cache.
    Eviction,
    /// Faults and look-ups.
    OtherPages,
}

fn part(program: &str) -> Part {
    let has = |words: &[&str]| words.iter().any(|word| program.contains(word));
    if has(&["switch", "reclaim", "wait"]) {
        Part::Waits
    } else if has(&["filemap_add"]) {
        Part::Insert
    } else if has(&["filemap_del"]) {
        Part::Eviction
    } else if has(&["filemap", "fault", "map_pages"]) {
        Part::OtherPages
    } else {
        Part::Block
    }
}

/// What one run of a program that does nothing takes, ns: what the kernel's own measuring costs. Where there are such
/// programs on the part's own hooks, theirs: it is more where a hook is passed seldom.
fn floor_ns(empty: &RoundRecord, wanted: Part) -> Option<f64> {
    let on_same_hooks = above_floor(empty, |found| found == wanted, 0.0);
    let (time, runs) = on_same_hooks.or_else(|| above_floor(empty, |_| true, 0.0))?;
    Some(time / runs as f64)
}

/// Adds what a round's programs cost to its figures: by request where requests were counted, else by folio. `empty`
/// is the same round of programs that do nothing.
pub(super) fn add_figures(round: &mut RoundRecord, empty: Option<&RoundRecord>) {
    if round.programs.is_empty() {
        return;
    }
    let all: u64 = round.programs.iter().map(|program| program.time_ns).sum();
    let skipped: u64 = round.programs.iter().map(|program| program.skipped).sum();
    let time_above_floor = |wanted: Part| {
        let floor = floor_ns(empty?, wanted)?;
        above_floor(round, |found| found == wanted, floor)
    };
    let mut figures = vec![(Figure::SkippedRuns, Some(skipped as f64))];
    if round.requests > 0 {
        let requests = round.requests as f64;
        figures.push((Figure::ProgramsNsARead, Some(all as f64 / requests)));
        for (figure, wanted) in [
            (Figure::BlockNsARead, Part::Block),
            (Figure::WaitNsARead, Part::Waits),
        ] {
            let time = time_above_floor(wanted);
            figures.push((figure, time.map(|(time, _)| time / requests)));
        }
    } else {
        for (figure, wanted) in [
            (Figure::InsertNsAFolio, Part::Insert),
            (Figure::EvictionNsAFolio, Part::Eviction),
        ] {
            let time = time_above_floor(wanted);
            figures.push((figure, time.map(|(time, runs)| time / runs as f64)));
        }
    }
    round.figures.extend(
        figures
            .into_iter()
            .filter_map(|(figure, value)| Some((figure, value?))),
    );
}

/// Time of some programs above so much a run, ns, and their runs; none where there were none.
fn above_floor(
    round: &RoundRecord,
    is_wanted: impl Fn(Part) -> bool,
    floor_ns: f64,
) -> Option<(f64, u64)> {
    let (time, runs) = round
        .programs
        .iter()
        .filter(|program| is_wanted(part(&program.name)))
        .fold((0, 0), |(time, runs), program| {
            (time + program.time_ns, runs + program.runs)
        });
    (runs > 0).then_some((time as f64 - runs as f64 * floor_ns, runs))
}

#[cfg(test)]
mod tests {
    use super::{Part, add_figures, floor_ns};
    use crate::bench::record::{Figure, ProgramRecord, RoundRecord};

    fn round(programs: &[(&str, u64, u64)], requests: u64) -> RoundRecord {
        RoundRecord {
            programs: programs
                .iter()
                .map(|(name, runs, time_ns)| ProgramRecord {
                    name: (*name).to_owned(),
                    runs: *runs,
                    time_ns: *time_ns,
                    skipped: 0,
                })
                .collect(),
            requests,
            ..RoundRecord::default()
        }
    }

    #[test]
    fn the_floor_is_taken_off_each_run() {
        let empty = round(
            &[
                ("block_rq_issue", 100, 5000),
                ("block_rq_comple", 300, 7000),
            ],
            100,
        );
        assert_eq!(floor_ns(&empty, Part::Block), Some(30.0));
        assert_eq!(floor_ns(&empty, Part::Waits), Some(30.0));
        let mut round = round(
            &[
                ("block_rq_issue", 10, 1000),
                ("late_rq_issue", 10, 500),
                ("sched_switch", 20, 1600),
                ("filemap_add", 5, 650),
                ("filemap_delete", 4, 360),
                ("filemap_fault", 4, 99),
            ],
            10,
        );
        add_figures(&mut round, Some(&empty));
        let figure = |figure| round.figures.get(&figure).copied();
        assert_eq!(figure(Figure::BlockNsARead), Some(90.0));
        assert_eq!(figure(Figure::WaitNsARead), Some(100.0));
        assert_eq!(figure(Figure::InsertNsAFolio), None);
        assert_eq!(figure(Figure::ProgramsNsARead), Some(420.9));
    }

    #[test]
    fn the_page_caches_time_is_a_folios() {
        let empty = round(
            &[
                ("block_rq_issue", 10, 900),
                ("mm_filemap_add_", 10, 300),
                ("mm_filemap_dele", 10, 200),
            ],
            0,
        );
        let mut round = round(
            &[
                ("block_rq_issue", 10, 1000),
                ("filemap_add", 5, 650),
                ("filemap_delete", 4, 360),
                ("filemap_fault", 4, 99),
            ],
            0,
        );
        add_figures(&mut round, Some(&empty));
        let figure = |figure| round.figures.get(&figure).copied();
        assert_eq!(figure(Figure::InsertNsAFolio), Some(100.0));
        assert_eq!(figure(Figure::EvictionNsAFolio), Some(70.0));
        assert_eq!(figure(Figure::BlockNsARead), None);
    }

    #[test]
    fn what_did_not_run_has_no_figure() {
        let mut idle = round(&[], 10);
        add_figures(&mut idle, None);
        assert!(idle.figures.is_empty());
        assert_eq!(floor_ns(&idle, Part::Block), None);
        let mut no_floor = round(&[("block_rq_issue", 10, 1000)], 10);
        add_figures(&mut no_floor, None);
        assert_eq!(no_floor.figures.get(&Figure::BlockNsARead), None);
        assert_eq!(no_floor.figures.get(&Figure::ProgramsNsARead), Some(&100.0));
    }
}
