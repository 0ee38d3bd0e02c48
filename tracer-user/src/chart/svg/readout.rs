//! What a reader is told at a place of the chart, in words that are ready: the page's script computes no figure.

use std::collections::BTreeMap;

use crate::chart::{
    Scale,
    description::{Chart, Mark},
};

/// A place in the plot, and what is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Stop {
    /// 0 is the left end, 1 the right one.
    pub x: f64,
    /// 0 is the top, 1 the bottom; `None`: all of this height.
    pub y: Option<f64>,
    pub says: String,
}

/// The chart's stops, from left to right. Single reads and grids have none.
#[must_use]
pub fn readout(chart: &Chart) -> Vec<Stop> {
    let mut on_plane = Vec::new();
    // By the bits of a place, which are in the order of the numbers where these are not negative.
    let mut by_x: BTreeMap<u64, (f64, Vec<String>)> = BTreeMap::new();
    let place = |value: f64| chart.x.scale.place(value);
    let mut say = |at: f64, value: f64, words: String| {
        if (0.0..=1.0).contains(&at) {
            let entry = by_x
                .entry((at + 0.0).to_bits())
                .or_insert((value, Vec::new()));
            entry.1.push(words);
        }
    };
    for mark in &chart.marks {
        match mark {
            Mark::Line { name, points, .. } => {
                for point in points {
                    if let Some(value) = point.y {
                        let words = format!("{name} {}", chart.y.unit.show(value));
                        say(place(point.x), point.x, words.trim_start().to_owned());
                    }
                }
            }
            Mark::Bars { bars, .. } => {
                for bar in bars {
                    let middle = f64::midpoint(place(bar.from), place(bar.to));
                    say(middle, f64::NAN, bar.says.clone());
                }
            }
            Mark::Dots { dots, .. } => {
                for dot in dots {
                    on_plane.push(Stop {
                        x: place(dot.x),
                        y: Some(from_above(chart, dot.y)),
                        says: dot.says.clone(),
                    });
                }
            }
            Mark::Spreads { spreads, .. } => {
                for spread in spreads {
                    on_plane.push(Stop {
                        x: place(spread.x),
                        y: Some(from_above(chart, spread.middle)),
                        says: spread.says.clone(),
                    });
                }
            }
            Mark::SpreadsAcross { spreads, .. } => {
                for spread in spreads {
                    on_plane.push(Stop {
                        x: place(spread.middle),
                        y: Some(from_above(chart, spread.row as f64)),
                        says: spread.says.clone(),
                    });
                }
            }
            Mark::Cells { cells, .. } => {
                for cell in cells {
                    on_plane.push(Stop {
                        x: place(cell.column as f64),
                        y: Some(chart.y.scale.place(cell.row as f64)),
                        says: cell.says.clone(),
                    });
                }
            }
            Mark::Across { name, bars, .. } => {
                for bar in bars {
                    let row = match &chart.y.scale {
                        Scale::Names(names) => names.get(bar.row),
                        _ => None,
                    };
                    let row = row.map_or("", String::as_str);
                    let what = if name.is_empty() {
                        String::new()
                    } else {
                        format!("{name} ")
                    };
                    on_plane.push(Stop {
                        x: f64::midpoint(place(bar.from), place(bar.to)),
                        y: Some(chart.y.scale.place(bar.row as f64)),
                        says: format!("{row}: {what}{}", bar.says),
                    });
                }
            }
            Mark::Band { .. }
            | Mark::Pieces { .. }
            | Mark::Density { .. }
            | Mark::Level { .. }
            | Mark::Upright { .. }
            | Mark::Ticks { .. } => {}
        }
    }
    let lines = by_x.into_iter().map(|(at, (value, words))| {
        let mut says = Vec::new();
        if value.is_finite() {
            says.push(chart.x.unit.show(value));
            says.extend(band_at(chart, value));
        }
        says.extend(words);
        Stop {
            x: f64::from_bits(at),
            y: None,
            says: says.join(" · "),
        }
    });
    let mut stops: Vec<Stop> = lines.chain(on_plane).collect();
    stops.sort_by(|a, b| a.x.total_cmp(&b.x));
    stops
}

/// A place on the y axis, of which names begin at the top.
fn from_above(chart: &Chart, value: f64) -> f64 {
    let place = chart.y.scale.place(value);
    if matches!(chart.y.scale, Scale::Names(_)) {
        place
    } else {
        1.0 - place
    }
}

/// The name of the last band at this place.
fn band_at(chart: &Chart, at: f64) -> Option<String> {
    let bands = chart.marks.iter().rev();
    bands
        .filter_map(|mark| match mark {
            Mark::Band { name, from, to, .. } => Some((name, from, to)),
            _ => None,
        })
        .find(|(_, from, to)| (**from..**to).contains(&at))
        .map(|(name, _, _)| name.clone())
}
