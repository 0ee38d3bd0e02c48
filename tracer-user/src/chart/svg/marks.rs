//! What is drawn in the plot.

use std::fmt::Write as _;

use crate::{
    chart::{
        DensityGrid,
        description::{Chart, Ink, Mark, Point, Shape},
        scale::Scale,
    },
    markup::Markup,
};

use super::{
    frame::Frame,
    measures::{CHARACTER, px},
};

/// Shades of a grid or a map.
const LEVELS: usize = 5;
/// Draws a mark where zooming moves it.
pub(super) fn write(markup: &mut Markup, chart: &Chart, frame: &Frame, mark: &Mark) {
    let x = |value: f64| frame.x(chart, value);
    let y = |value: f64| frame.y(chart, value);
    match mark {
        Mark::Band { from, to, ink, .. } => {
            let class = format!("band {}", ink.map_or("", Ink::class));
            rect(markup, &class, x(*from), 0.0, x(*to), frame.plot_height);
        }
        Mark::Line {
            ink, shape, points, ..
        } => {
            let bottom = y(chart.y.scale.ends().0);
            for part in parts(points) {
                let line = path(&part, *shape, &x, &y);
                if *shape == Shape::Filled
                    && let (Some(first), Some(last)) = (part.first(), part.last())
                {
                    let area = format!("{line}V{}H{}z", px(bottom), px(x(first.0)));
                    let _ = last;
                    element(markup, &format!("filled {}", ink.class()), &area);
                }
                element(markup, &format!("line {}", ink.class()), &line);
            }
        }
        Mark::Bars { ink, bars, .. } => {
            let class = format!("filled {}", ink.class());
            for bar in bars {
                let (from, to) = (x(bar.from), x(bar.to));
                // A hair between bars, as long as they are wide enough.
                let apart = if to - from > 3.0 { 0.5 } else { 0.0 };
                rect(
                    markup,
                    &class,
                    from + apart,
                    y(bar.high),
                    to - apart,
                    y(bar.low),
                );
            }
        }
        Mark::Across { ink, bars, .. } => {
            let class = format!("filled {}", ink.class());
            for bar in bars {
                let middle = y(bar.row as f64);
                rect(
                    markup,
                    &class,
                    x(bar.from),
                    middle - 8.0,
                    x(bar.to).max(x(bar.from) + 1.0),
                    middle + 8.0,
                );
            }
        }
        Mark::Dots { ink, dots, .. } => {
            let mut d = String::new();
            for dot in dots {
                let _ = write!(d, "M{} {}h0", px(x(dot.x)), px(y(dot.y)));
            }
            element(markup, &format!("dot {}", ink.class()), &d);
        }
        Mark::Pieces { ink, pieces, .. } => {
            let mut d = String::with_capacity(pieces.len() * 14);
            for piece in pieces {
                let (low, high) = (y(piece.low), y(piece.high));
                let _ = write!(d, "M{} {}v{}", px(x(piece.x)), px(low), px(high - low));
            }
            element(markup, &format!("piece {}", ink.class()), &d);
        }
        Mark::Density { ink, grid, .. } => density(markup, frame, *ink, grid),
        Mark::Cells { most, cells, .. } => {
            let (columns, rows) = (names(&chart.x.scale), names(&chart.y.scale));
            let (width, height) = (frame.plot_width / columns, frame.plot_height / rows);
            for cell in cells {
                let class = format!("cell level-{}", cell_level(cell.value, *most));
                let (left, top) = (cell.column as f64 * width, cell.row as f64 * height);
                rect(markup, &class, left, top, left + width, top + height);
            }
        }
        Mark::Spreads { ink, spreads, .. } => {
            for spread in spreads {
                let at = x(spread.x);
                let (low, middle, high) = (y(spread.low), y(spread.middle), y(spread.high));
                let d = format!(
                    "M{a} {low}V{high}M{l} {low}H{r}M{l} {high}H{r}",
                    a = px(at),
                    low = px(low),
                    high = px(high),
                    l = px(at - 4.0),
                    r = px(at + 4.0)
                );
                element(markup, &format!("line {}", ink.class()), &d);
                let d = format!("M{} {}H{}", px(at - 8.0), px(middle), px(at + 8.0));
                element(markup, &format!("median {}", ink.class()), &d);
            }
        }
        Mark::SpreadsAcross { ink, spreads, .. } => {
            for spread in spreads {
                let at = y(spread.row as f64);
                let (low, middle, high) = (x(spread.low), x(spread.middle), x(spread.high));
                let d = format!(
                    "M{low} {a}H{high}M{low} {t}V{b}M{high} {t}V{b}",
                    a = px(at),
                    low = px(low),
                    high = px(high),
                    t = px(at - 4.0),
                    b = px(at + 4.0)
                );
                element(markup, &format!("line {}", ink.class()), &d);
                let d = format!("M{} {}V{}", px(middle), px(at - 8.0), px(at + 8.0));
                element(markup, &format!("median {}", ink.class()), &d);
            }
        }
        Mark::Level { ink, at, .. } => {
            let d = format!("M0 {}H{}", px(y(*at)), px(frame.plot_width));
            element(markup, &format!("mark {}", ink.class()), &d);
        }
        Mark::Upright { ink, at, .. } => {
            let d = format!("M{} 0V{}", px(x(*at)), px(frame.plot_height));
            element(markup, &format!("mark {}", ink.class()), &d);
        }
        Mark::Ticks { ink, ticks, .. } => {
            for (at, weight) in ticks {
                let height = 4.0 + 34.0 * weight.clamp(0.0, 1.0);
                let d = format!("M{} {}v-{}", px(x(*at)), px(frame.plot_height), px(height));
                element(markup, &format!("tick {}", ink.class()), &d);
            }
        }
    }
}

/// Words in the plot, which zooming does not stretch: names of bands, of upright lines, behind bars that lie.
pub(super) fn write_words(markup: &mut Markup, chart: &Chart, frame: &Frame) {
    markup.open("g", &[("class", "words")]);
    let mut free_from = 0.0;
    for mark in &chart.marks {
        match mark {
            Mark::Band {
                name,
                from,
                to,
                ink: None,
            } => {
                let (from, to) = (frame.x(chart, *from), frame.x(chart, *to));
                let from = from.max(0.0);
                let width = name.chars().count() as f64 * CHARACTER + 6.0;
                let start = from + 4.0;
                if start < free_from || to.min(frame.plot_width) - start < width {
                    continue;
                }
                free_from = start + width;
                let place = (from / frame.plot_width).to_string();
                markup.element(
                    "text",
                    &[("data-place", &place), ("x", &px(start)), ("y", "13")],
                    name,
                );
            }
            Mark::Across { bars, .. } => {
                for bar in bars.iter().filter(|bar| !bar.says.is_empty()) {
                    let end = frame.x(chart, bar.to);
                    let width = bar.says.chars().count() as f64 * CHARACTER;
                    let y = px(frame.y(chart, bar.row as f64) + 4.0);
                    if end + width + 6.0 <= frame.plot_width {
                        markup.element("text", &[("x", &px(end + 5.0)), ("y", &y)], &bar.says);
                        continue;
                    }
                    // Words that begin left of the bar would lose their first digits: they go across its end instead.
                    let is_within = width + 10.0 <= end;
                    let (class, x) = if is_within {
                        ("within", end - 5.0)
                    } else {
                        ("across", frame.plot_width - 3.0)
                    };
                    markup.element(
                        "text",
                        &[
                            ("class", class),
                            ("x", &px(x)),
                            ("y", &y),
                            ("text-anchor", "end"),
                        ],
                        &bar.says,
                    );
                }
            }
            _ => {}
        }
    }
    markup.close();
}

/// The cells that are not empty, by shade: a run of cells of one shade is one line.
fn density(markup: &mut Markup, frame: &Frame, ink: Ink, grid: &DensityGrid) {
    let most = grid.largest();
    if most <= 0.0 {
        return;
    }
    let mut shades = vec![String::new(); LEVELS + 1];
    for row in 0..grid.rows() {
        let from_above = grid.rows() - 1 - row;
        let mut column = 0;
        while column < grid.columns() {
            let shade = level(grid.cell(column, row), most);
            let start = column;
            while column < grid.columns() && level(grid.cell(column, row), most) == shade {
                column += 1;
            }
            if shade > 0
                && let Some(d) = shades.get_mut(shade)
            {
                let _ = write!(d, "M{start} {from_above}h{}", column - start);
            }
        }
    }
    let transform = format!(
        "scale({} {}) translate(0 .5)",
        frame.plot_width / grid.columns() as f64,
        frame.plot_height / grid.rows() as f64
    );
    let class = format!("density {}", ink.class());
    markup.open("g", &[("class", &class), ("transform", &transform)]);
    for (shade, d) in shades.iter().enumerate().filter(|(_, d)| !d.is_empty()) {
        element(markup, &format!("level-{shade}"), d);
    }
    markup.close();
}

/// A shade: 0 for nothing, at least 1 for something, however little.
fn level(value: f64, most: f64) -> usize {
    if value <= 0.0 || most <= 0.0 {
        return 0;
    }
    // Each shade less is a fifth of it.
    let below = ((most / value).ln() / 5.0_f64.ln()).floor().max(0.0) as usize;
    LEVELS.saturating_sub(below).max(1)
}

/// A shade of a map, whose values lie close together: in proportion to the largest.
fn cell_level(value: f64, most: f64) -> usize {
    if value <= 0.0 || most <= 0.0 {
        return 0;
    }
    ((value / most * LEVELS as f64).ceil() as usize).clamp(1, LEVELS)
}

fn names(scale: &Scale) -> f64 {
    scale.ends().1 + 1.0
}

/// Points that are joined: a missing one parts them.
fn parts(points: &[Point]) -> Vec<Vec<(f64, f64)>> {
    let mut parts = vec![Vec::new()];
    for point in points {
        match (point.y, parts.last_mut()) {
            (Some(y), Some(part)) => part.push((point.x, y)),
            _ => parts.push(Vec::new()),
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

fn path(
    points: &[(f64, f64)],
    shape: Shape,
    x: &impl Fn(f64) -> f64,
    y: &impl Fn(f64) -> f64,
) -> String {
    let mut d = String::new();
    for (at, (px_x, px_y)) in points
        .iter()
        .map(|(a, b)| (px(x(*a)), px(y(*b))))
        .enumerate()
    {
        let _ = if at == 0 {
            write!(d, "M{px_x} {px_y}")
        } else if shape == Shape::Straight {
            write!(d, "L{px_x} {px_y}")
        } else {
            write!(d, "H{px_x}V{px_y}")
        };
    }
    d
}

fn element(markup: &mut Markup, class: &str, d: &str) {
    markup.empty("path", &[("class", class), ("d", d)]);
}

fn rect(markup: &mut Markup, class: &str, left: f64, top: f64, right: f64, bottom: f64) {
    markup.empty(
        "rect",
        &[
            ("class", class),
            ("x", &px(left)),
            ("y", &px(top)),
            ("width", &format!("{:.2}", (right - left).max(0.0))),
            ("height", &format!("{:.2}", (bottom - top).max(0.0))),
        ],
    );
}

#[cfg(test)]
mod tests {
    use super::{LEVELS, level};

    #[test]
    fn the_least_is_seen_and_the_most_is_darkest() {
        assert_eq!(level(0.0, 1e9), 0);
        assert_eq!(level(1.0, 1e9), 1);
        assert_eq!(level(1e9, 1e9), LEVELS);
        assert_eq!(level(0.3e9, 1e9), LEVELS);
        assert_eq!(level(0.1e9, 1e9), LEVELS - 1);
    }
}
