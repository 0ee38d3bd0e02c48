//! The courses of the runs over each other, on one axis.

use crate::{
    chart::{Axis, Chart, Ink, Mark, Point, Shape},
    figures::{Figure, Unit, step},
    report::document::{Column, Document, Drawing, Table},
    schema::TokenRecord,
    stats::experiment::bootstrap::median,
    units::seconds,
};

use super::{
    Side,
    columns::{Beside, ColumnRuns, OneRun, side_by_side},
    letter,
};

/// More lines than there are kinds of them cannot be told apart.
const INKS: [Ink; 5] = [Ink::Read, Ink::Again, Ink::Memory, Ink::Wait, Ink::Other];
/// Most rows of a chart's table.
const MOST_ROWS: usize = 1000;

/// A column's line: its letter and its points.
struct Line {
    letter: String,
    points: Vec<(f64, f64)>,
}

/// The charts of every table, with the reason for each that is left out.
pub(super) fn charts(sides: &[Side]) -> Document {
    let mut document = Document::default();
    let (tables, _) = side_by_side(sides);
    for (number, table) in tables.iter().enumerate() {
        let mut missing = Vec::new();
        let mut drawn = Vec::new();
        let all = [
            steps(
                table,
                number,
                "tokens-read",
                "Read for each step",
                &step::READ_BYTES,
            ),
            steps(
                table,
                number,
                "tokens-time",
                "Time of each step",
                &step::DURATION_S,
            ),
            residency(table, number),
        ];
        for chart in all {
            match chart {
                Ok(drawing) => drawn.push(drawing),
                Err(why) => missing.push(why),
            }
        }
        if !drawn.is_empty() {
            document.heading(
                2,
                if table.title.is_empty() {
                    "Side by side".to_owned()
                } else {
                    format!("Side by side: {}", table.title)
                },
            );
        }
        for drawing in drawn {
            document.drawing(drawing);
        }
        if table.columns.len() > INKS.len() {
            missing.push(format!(
                "the columns after the first {}: more lines cannot be told apart",
                INKS.len()
            ));
        }
        if !missing.is_empty() {
            document.heading(2, "Not shown");
            document.list(missing);
        }
    }
    document
}

/// The run of a column that took the time in the middle: one that was, and no mean of several.
fn middle<'c, 'a>(column: &'c ColumnRuns<'a>) -> Option<&'c OneRun<'a>> {
    let times: Vec<f64> = column
        .runs
        .iter()
        .map(|run| run.record.time.wall_s)
        .collect();
    let middle = median(&times)?;
    column.runs.iter().min_by(|one, other| {
        let far = |run: &OneRun<'_>| (run.record.time.wall_s - middle).abs();
        far(one).total_cmp(&far(other))
    })
}

fn lines(table: &Beside<'_>, points: impl Fn(&OneRun<'_>) -> Vec<(f64, f64)>) -> Vec<Line> {
    (0..)
        .zip(table.columns.iter().take(INKS.len()))
        .filter_map(|(at, column)| {
            let points = points(middle(column)?);
            (!points.is_empty()).then(|| Line {
                letter: letter(at),
                points,
            })
        })
        .collect()
}

fn steps(
    table: &Beside<'_>,
    number: usize,
    name: &str,
    title: &str,
    figure: &'static Figure<TokenRecord>,
) -> Result<Drawing, String> {
    let lines = lines(table, |run| {
        let steps = run.model.tokens.iter().flatten();
        steps
            .filter_map(|step| Some((step.step as f64, figure.value(step)?)))
            .collect()
    });
    drawing(
        lines,
        Words {
            name: format!("{name}-{number}"),
            title: title.to_owned(),
            sees: format!(
                "{}. Of a side with several runs the one that took the time in the middle is drawn.",
                title
            ),
            x: "step: a token, or a part of the prompt",
            y: figure.label,
            missing: "no two of the runs have steps with it",
        },
        (Unit::Count, figure.unit),
        Shape::Steps,
    )
}

fn residency(table: &Beside<'_>, number: usize) -> Result<Drawing, String> {
    let lines = lines(table, |run| {
        let slot = run
            .record
            .all_models()
            .position(|model| model.model.path == run.model.model.path)
            .unwrap_or(0);
        run.record
            .residency_course
            .iter()
            .filter_map(|point| Some((point.at_s, (*point.by_events_bytes.get(slot)?)? as f64)))
            .collect()
    });
    drawing(
        lines,
        Words {
            name: format!("residency-time-{number}"),
            title: "How much of the model was in memory".to_owned(),
            sees: "How much of the model was in memory over the time of each run.".to_owned(),
            x: "time from the start of each run",
            y: "bytes of the model in memory",
            missing: "no two of the runs have it",
        },
        (Unit::Seconds, Unit::Bytes),
        Shape::Straight,
    )
}

struct Words {
    name: String,
    title: String,
    sees: String,
    x: &'static str,
    y: &'static str,
    missing: &'static str,
}

fn drawing(
    lines: Vec<Line>,
    words: Words,
    (x, y): (Unit, Unit),
    shape: Shape,
) -> Result<Drawing, String> {
    if lines.len() < 2 {
        return Err(format!("{}: {}", words.title, words.missing));
    }
    let all = || lines.iter().flat_map(|line| line.points.iter());
    let first = all().map(|(x, _)| *x).fold(f64::INFINITY, f64::min);
    let last = all().map(|(x, _)| *x).fold(f64::NEG_INFINITY, f64::max);
    let most = all().map(|(_, y)| *y).fold(0.0, f64::max);
    let mut table = Table::new([
        Column::left("of"),
        Column::right(words.x),
        Column::right(words.y),
    ]);
    let rows = lines
        .iter()
        .flat_map(|line| line.points.iter().map(|point| (&line.letter, point)));
    for (letter, (at, value)) in rows.take(MOST_ROWS) {
        let at = match x {
            Unit::Seconds => seconds(Some(*at)),
            _ => x.show(*at),
        };
        table.row([letter.clone(), at, y.show(*value)]);
    }
    let marks = lines.iter().zip(INKS).map(|(line, ink)| Mark::Line {
        name: line.letter.clone(),
        ink,
        shape,
        points: line
            .points
            .iter()
            .map(|(x, y)| Point { x: *x, y: Some(*y) })
            .collect(),
    });
    Ok(Drawing {
        chart: Chart {
            name: words.name,
            title: words.title,
            sees: words.sees,
            x: Axis::linear(words.x, x, first, last),
            y: Axis::linear(words.y, y, 0.0, most * 1.08),
            edges: Vec::new(),
            marks: marks.collect(),
        },
        table,
    })
}
