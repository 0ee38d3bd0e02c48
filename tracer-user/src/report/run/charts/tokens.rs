//! What each token read, and how long it waited.

use crate::{
    chart::{Axis, Bar, Chart, Ink, Mark, Point, Shape},
    figures::{Unit, selections::STEPS},
    report::{
        document::{Drawing, Table},
        figure_table,
    },
    schema::{ModelRecord, TokenRecord},
    units::{bytes, seconds, share},
};

/// Most bars side by side; of more tokens neighbours are put together.
const MOST_BARS: usize = 400;
/// Most rows of a table.
const MOST_ROWS: usize = 1000;

/// Tokens that share a bar: means of each.
struct Group<'a> {
    tokens: &'a [TokenRecord],
    first: u64,
}

impl Group<'_> {
    fn mean(&self, pick: impl Fn(&TokenRecord) -> Option<f64>) -> Option<f64> {
        let values: Option<Vec<f64>> = self.tokens.iter().map(pick).collect();
        values.map(|values| values.iter().sum::<f64>() / values.len().max(1) as f64)
    }

    fn name(&self) -> String {
        let phase = self
            .tokens
            .first()
            .map_or("", |token| &token.phase)
            .replace('_', "-");
        if self.tokens.len() == 1 {
            format!("step {} ({phase})", self.first)
        } else {
            format!(
                "mean of steps {} – {} ({phase})",
                self.first,
                self.first + self.tokens.len() as u64 - 1
            )
        }
    }

    fn span(&self) -> (f64, f64) {
        (
            self.first as f64,
            (self.first + self.tokens.len() as u64) as f64,
        )
    }
}

fn groups(tokens: &[TokenRecord]) -> Vec<Group<'_>> {
    let size = tokens.len().div_ceil(MOST_BARS).max(1);
    let chunks = tokens.chunks(size);
    chunks
        .map(|tokens| Group {
            tokens,
            first: tokens.first().map_or(0, |token| token.step),
        })
        .collect()
}

/// Phases, as bands over the steps.
fn phases(tokens: &[TokenRecord]) -> Vec<Mark> {
    let mut bands: Vec<(String, f64, f64)> = Vec::new();
    for token in tokens {
        let (from, to) = (token.step as f64, token.step as f64 + 1.0);
        match bands.last_mut() {
            Some((phase, _, end)) if *phase == token.phase => *end = to,
            _ => bands.push((token.phase.clone(), from, to)),
        }
    }
    bands
        .into_iter()
        .map(|(phase, from, to)| Mark::Band {
            name: phase.replace('_', "-"),
            from,
            to,
            ink: None,
        })
        .collect()
}

fn steps(model: &ModelRecord) -> Result<&[TokenRecord], String> {
    let tokens = model.tokens.as_deref().unwrap_or_default();
    if tokens.is_empty() {
        return Err("no decode step was seen, so nothing can be told token by token (`tracer launch --help` says how steps are found: --mark, --phase-line)".into());
    }
    Ok(tokens)
}

fn axis(tokens: &[TokenRecord]) -> Axis {
    let first = tokens.first().map_or(0, |token| token.step) as f64;
    Axis::linear(
        "step: a token, or a part of the prompt",
        Unit::Count,
        first,
        first + tokens.len() as f64,
    )
}

/// The steps' figures; of many the first ones.
fn table(tokens: &[TokenRecord]) -> Table {
    let lines = tokens.iter().take(MOST_ROWS).map(|token| {
        (
            format!("{} ({})", token.step, token.phase.replace('_', "-")),
            token,
        )
    });
    figure_table::beside("step", lines, STEPS)
}

/// Bytes read by each token beside those that it needs.
pub(super) fn read(model: &ModelRecord) -> Result<Drawing, String> {
    let tokens = steps(model)?;
    let groups = groups(tokens);
    let (mut bars, mut needs) = (Vec::new(), Vec::new());
    let mut most: f64 = 0.0;
    for group in &groups {
        let (from, to) = group.span();
        let read = group.mean(|token| token.read_bytes.map(|bytes| bytes as f64));
        let need = group.mean(|token| token.need_bytes.map(|bytes| bytes as f64));
        let shown = |value: Option<f64>| {
            value.map_or_else(
                || "not known".to_owned(),
                |value| bytes(value.round() as u64),
            )
        };
        if let Some(read) = read {
            most = most.max(read);
            bars.push(Bar {
                from,
                to,
                low: 0.0,
                high: read,
                says: format!(
                    "{} · read {} · needs {}",
                    group.name(),
                    shown(Some(read)),
                    shown(need)
                ),
            });
        }
        most = most.max(need.unwrap_or(0.0));
        needs.push(Point { x: from, y: need });
        needs.push(Point { x: to, y: need });
    }
    if bars.is_empty() {
        return Err("what each token read: the model's sectors are not known".into());
    }
    let mut marks = phases(tokens);
    marks.push(Mark::Bars {
        name: "read".into(),
        ink: Ink::Read,
        bars,
    });
    let known = needs.iter().any(|point| point.y.is_some());
    if known {
        marks.push(Mark::Line {
            name: "needs: the weights that it uses".into(),
            ink: Ink::Limit,
            shape: Shape::Straight,
            points: needs,
        });
    }
    let mut sees =
        "What was read from the disk for each token. With enough memory the bars are empty"
            .to_owned();
    sees.push_str(if known {
        "; bars above the line are bytes that were thrown away and read again, or read ahead for nothing."
    } else {
        "."
    });
    Ok(Drawing {
        chart: Chart {
            name: "tokens-read".into(),
            title: "Read for each token".into(),
            sees,
            x: axis(tokens),
            y: Axis::linear("bytes", Unit::Bytes, 0.0, most * 1.08),
            edges: Vec::new(),
            marks,
        },
        table: table(tokens),
    })
}

/// Time of each token, and how much of it was waited for the disk.
pub(super) fn stall(model: &ModelRecord) -> Result<Drawing, String> {
    let tokens = steps(model)?;
    let (mut whole, mut waited) = (Vec::new(), Vec::new());
    let mut most: f64 = 0.0;
    let (mut all, mut stalled) = (0.0, 0.0);
    for group in &groups(tokens) {
        let (from, to) = group.span();
        let Some(duration) = group.mean(|token| token.duration_s) else {
            continue;
        };
        most = most.max(duration);
        let stall = group.mean(|token| token.waits.stall_s);
        let words = stall.map_or_else(
            || {
                format!(
                    "{} · {} · waits not observed",
                    group.name(),
                    seconds(Some(duration))
                )
            },
            |stall| {
                let part = share(Some(stall / duration.max(f64::MIN_POSITIVE)));
                format!(
                    "{} · {}, of which {} ({part}) waiting for the disk",
                    group.name(),
                    seconds(Some(duration)),
                    seconds(Some(stall))
                )
            },
        );
        whole.push(Bar {
            from,
            to,
            low: stall.unwrap_or(0.0),
            high: duration,
            says: words,
        });
        if let Some(stall) = stall {
            all += duration * group.tokens.len() as f64;
            stalled += stall * group.tokens.len() as f64;
            waited.push(Bar {
                from,
                to,
                low: 0.0,
                high: stall,
                says: String::new(),
            });
        }
    }
    if whole.is_empty() {
        return Err("how long each token took: no step has a known end".into());
    }
    let mut marks = phases(tokens);
    marks.push(Mark::Bars {
        name: "the rest of the token's time".into(),
        ink: Ink::Other,
        bars: whole,
    });
    let sees = if waited.is_empty() {
        "How long each token took; waits were not observed.".to_owned()
    } else {
        marks.push(Mark::Bars {
            name: "a thread waited for the disk".into(),
            ink: Ink::Wait,
            bars: waited,
        });
        format!(
            "How long each token took, and for how much of it a thread of the engine stood still until bytes of the model came: {} of the time of all of them.",
            share(Some(stalled / all.max(f64::MIN_POSITIVE)))
        )
    };
    Ok(Drawing {
        chart: Chart {
            name: "tokens-stall".into(),
            title: "Time of each token, and what of it was waiting".into(),
            sees,
            x: axis(tokens),
            y: Axis::linear("seconds", Unit::Seconds, 0.0, most * 1.08),
            edges: Vec::new(),
            marks,
        },
        table: table(tokens),
    })
}
