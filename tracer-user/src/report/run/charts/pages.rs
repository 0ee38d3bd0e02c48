//! What left memory and came back, over time: where in the file, and by whom it was thrown out.

use crate::{
    chart::{Axis, Chart, DensityGrid, Ink, Mark, Point, Shape},
    figures::Unit,
    report::document::{Column, Drawing, Table},
    schema::{EvictionsByAgent, ModelRecord, PageCourseFigures, RunRecord},
    units::{bytes, rate, seconds, share},
};

use super::{over_time, places::layers, reads::TimeWindow};

fn course(model: &ModelRecord) -> Result<&PageCourseFigures, String> {
    let course = model.page_course.as_ref().ok_or(
        "the record does not have the page cache over time: pages were only counted, or the tracer was an earlier one",
    )?;
    if sum(&course.evicted_bytes) == 0 {
        return Err("nothing of the model left memory".into());
    }
    Ok(course)
}

fn sum(cells: &[Vec<u64>]) -> u64 {
    cells.iter().flatten().sum()
}

/// The columns of a window: the number of the first one, and how many.
fn columns(
    record: &RunRecord,
    course: &PageCourseFigures,
    window: Option<TimeWindow>,
) -> (usize, usize) {
    let window = window.unwrap_or(TimeWindow {
        from_s: 0.0,
        to_s: record.time.wall_s,
    });
    let length = course.column_s.max(f64::MIN_POSITIVE);
    let first = (window.from_s / length).floor().max(0.0) as usize;
    let end = (window.to_s / length).ceil().max(0.0) as usize;
    (first, end.saturating_sub(first).clamp(1, 4096))
}

/// The cells of the window as a grid of the whole plot.
fn grid(cells: &[Vec<u64>], first: usize, columns: usize, rows: usize) -> DensityGrid {
    let mut grid = DensityGrid::new(columns, rows);
    for (column, cells) in cells.iter().skip(first).take(columns).enumerate() {
        for (row, bytes) in cells.iter().enumerate().filter(|(_, bytes)| **bytes > 0) {
            let middle = |at: usize, of: usize| (at as f64 + 0.5) / of as f64;
            let (x, y) = (middle(column, columns), middle(row, rows));
            grid.add(x, y, y, *bytes as f64);
        }
    }
    grid
}

/// Which parts of the file left memory when, and which came back.
pub(super) fn evicted(
    record: &RunRecord,
    model: &ModelRecord,
    window: Option<TimeWindow>,
) -> Result<Drawing, String> {
    let course =
        course(model).map_err(|why| format!("what left memory and came back, over time: {why}"))?;
    let (first, count) = columns(record, course, window);
    let rows = model.model.size_bytes.div_ceil(course.row_bytes.max(1));
    let rows = usize::try_from(rows).unwrap_or(1).clamp(1, 4096);
    let mut marks = over_time::phases(model);
    for (cells, ink, name) in [
        (
            &course.evicted_bytes,
            Ink::Other,
            "thrown out of memory (more colour: more bytes)",
        ),
        (&course.refaulted_bytes, Ink::Again, "brought back"),
    ] {
        let grid = grid(cells, first, count, rows);
        if grid.largest() > 0.0 {
            marks.push(Mark::Density {
                name: name.into(),
                ink,
                grid,
            });
        }
    }
    let (evicted, back) = (sum(&course.evicted_bytes), sum(&course.refaulted_bytes));
    let mut sees = format!(
        "When each part of the file left memory: {} in all",
        bytes(evicted)
    );
    if back == 0 {
        sees.push_str(", and nothing of it was needed again.");
    } else {
        sees.push_str(&format!(
            ", of which {} came back ({}). What leaves just before it is needed again is memory that is short by that much.",
            bytes(back),
            share(Some(back as f64 / evicted as f64))
        ));
    }
    let mut table =
        Table::new(["from", "entered", "thrown out", "brought back"].map(Column::right));
    for column in first..first + count {
        let of = |cells: &[Vec<u64>]| cells.get(column).map_or(0, |cells| cells.iter().sum());
        table.row([
            seconds(Some(column as f64 * course.column_s)),
            bytes(of(&course.inserted_bytes)),
            bytes(of(&course.evicted_bytes)),
            bytes(of(&course.refaulted_bytes)),
        ]);
    }
    Ok(Drawing {
        chart: Chart {
            name: "evicted-time".into(),
            title: "What left memory and came back, over time".into(),
            sees,
            x: time_axis(course, first, count),
            y: Axis::linear(
                "place in the file",
                Unit::Bytes,
                0.0,
                (rows as u64 * course.row_bytes) as f64,
            ),
            edges: layers(model),
            marks,
        },
        table,
    })
}

/// Whole columns: up to one more than the run took.
fn time_axis(course: &PageCourseFigures, first: usize, count: usize) -> Axis {
    Axis::linear(
        "time since the start",
        Unit::Seconds,
        first as f64 * course.column_s,
        (first + count) as f64 * course.column_s,
    )
}

/// Who threw pages of the model out of memory.
type Agent = (&'static str, Ink, fn(&EvictionsByAgent) -> u64);

const AGENTS: [Agent; 4] = [
    (
        "whoever wanted memory (direct reclaim)",
        Ink::Wait,
        |pages| pages.direct_reclaim,
    ),
    (
        "the kernel in the background (kswapd)",
        Ink::Read,
        |pages| pages.kswapd,
    ),
    ("another kernel thread", Ink::Memory, |pages| {
        pages.kernel_thread
    }),
    ("dropped or truncated, no reclaim", Ink::Other, |pages| {
        pages.invalidation
    }),
];

/// How much of the model was thrown out of memory each moment, and by whom.
pub(super) fn reclaim(
    record: &RunRecord,
    model: &ModelRecord,
    window: Option<TimeWindow>,
) -> Result<Drawing, String> {
    let course = course(model).map_err(|why| format!("reclaim over time: {why}"))?;
    let (first, count) = columns(record, course, window);
    let none = EvictionsByAgent::default();
    let at = |column: usize| course.evictions_by_agent.get(column).unwrap_or(&none);
    let of_pages = |pages: u64| pages.saturating_mul(course.page_bytes);
    let a_second = |pages: u64| of_pages(pages) as f64 / course.column_s.max(f64::MIN_POSITIVE);
    let mut marks = over_time::phases(model);
    let mut most = 0.0_f64;
    let mut words = Vec::new();
    let seen: Vec<&Agent> = AGENTS
        .iter()
        .filter(|(_, _, pick)| {
            course
                .evictions_by_agent
                .iter()
                .any(|pages| pick(pages) > 0)
        })
        .collect();
    for (name, ink, pick) in &seen {
        let points: Vec<Point> = (first..=first + count)
            .map(|column| Point {
                x: column as f64 * course.column_s,
                y: Some(a_second(pick(at(column)))),
            })
            .collect();
        most = points
            .iter()
            .filter_map(|point| point.y)
            .fold(most, f64::max);
        let all: u64 = course.evictions_by_agent.iter().map(pick).sum();
        words.push(format!("{name}: {}", bytes(of_pages(all))));
        marks.push(Mark::Line {
            name: (*name).into(),
            ink: *ink,
            shape: Shape::Steps,
            points,
        });
    }
    let heads = seen.iter().map(|(name, ..)| Column::right(*name));
    let mut table = Table::new(std::iter::once(Column::right("from")).chain(heads));
    for column in first..first + count {
        let rates = seen
            .iter()
            .map(|(_, _, pick)| rate(Some(a_second(pick(at(column))))));
        table.row(std::iter::once(seconds(Some(column as f64 * course.column_s))).chain(rates));
    }
    Ok(Drawing {
        chart: Chart {
            name: "reclaim-time".into(),
            title: "What was thrown out of memory, by whom".into(),
            sees: format!(
                "How much of the model was thrown out of memory each moment. {}. Where whoever wanted memory had to do it, that thread stood still meanwhile.",
                words.join("; ")
            ),
            x: time_axis(course, first, count),
            y: Axis::linear(
                "thrown out, a second",
                Unit::BytesPerSecond,
                0.0,
                if most > 0.0 { most * 1.08 } else { 1.0 },
            ),
            edges: Vec::new(),
            marks,
        },
        table,
    })
}

#[cfg(test)]
mod tests {
    use crate::{
        chart::Mark,
        schema::{EvictionsByAgent, ModelRecord, PageCourseFigures, RunRecord},
    };

    use super::{evicted, reclaim};

    fn sample() -> (RunRecord, ModelRecord) {
        let mut record = RunRecord::default();
        record.time.wall_s = 0.35;
        let mut model = ModelRecord::default();
        model.model.size_bytes = 3 << 20;
        model.page_course = Some(PageCourseFigures {
            column_s: 0.1,
            row_bytes: 1 << 20,
            page_bytes: 4096,
            inserted_bytes: vec![vec![1 << 20], vec![], vec![0, 4096], vec![]],
            evicted_bytes: vec![vec![], vec![8192, 4096], vec![], vec![]],
            refaulted_bytes: vec![vec![], vec![], vec![0, 4096], vec![]],
            evictions_by_agent: vec![
                EvictionsByAgent::default(),
                EvictionsByAgent {
                    direct_reclaim: 3,
                    ..Default::default()
                },
            ],
        });
        (record, model)
    }

    #[test]
    fn each_cell_of_the_record_is_one_of_the_chart() {
        let (record, model) = sample();
        let drawn = evicted(&record, &model, None).expect("a chart");
        let grids: Vec<_> = drawn
            .chart
            .marks
            .iter()
            .filter_map(|mark| match mark {
                Mark::Density { grid, .. } => Some(grid),
                _ => None,
            })
            .collect();
        assert_eq!((grids[0].columns(), grids[0].rows()), (4, 3));
        assert_eq!(grids[0].cell(1, 0), 8192.0);
        assert_eq!(grids[0].cell(1, 1), 4096.0);
        assert_eq!(grids[0].sum(), 12288.0);
        assert_eq!((grids[1].cell(2, 1), grids[1].sum()), (4096.0, 4096.0));
        assert_eq!(drawn.chart.x.scale.ends(), (0.0, 0.4));
        assert!(
            drawn
                .chart
                .sees
                .contains("12.00 KiB in all, of which 4.00 KiB came back (33.3 %)")
        );
    }

    #[test]
    fn who_threw_out_is_drawn_where_somebody_did() {
        let (record, mut model) = sample();
        let drawn = reclaim(&record, &model, None).expect("a chart");
        let lines = drawn.chart.marks.iter().filter_map(|mark| match mark {
            Mark::Line { name, points, .. } => Some((name.as_str(), points[1].y)),
            _ => None,
        });
        let lines: Vec<_> = lines.collect();
        assert_eq!(
            lines,
            [("whoever wanted memory (direct reclaim)", Some(122_880.0))]
        );
        if let Some(course) = &mut model.page_course {
            course.evicted_bytes.clear();
        }
        let why = reclaim(&record, &model, None).expect_err("nothing to draw");
        assert_eq!(why, "reclaim over time: nothing of the model left memory");
        model.page_course = None;
        assert!(evicted(&record, &model, None).is_err());
    }
}
