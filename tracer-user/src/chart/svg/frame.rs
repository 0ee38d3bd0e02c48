//! Where things stand: margins, axes with their names, the legend.

use crate::{
    chart::{
        description::{Chart, Mark},
        scale::Scale,
        ticks::{Tick, ticks},
    },
    markup::Markup,
};

use super::measures::{CHARACTER, Size, px};

/// The distance of two lines of text.
const LINE: f64 = 17.0;
/// The height of a plot that does not follow from rows.
const PLOT_HEIGHT: f64 = 230.0;
/// Room right of the plot for the last name of the x axis.
const RIGHT: f64 = 28.0;

/// A chart's measures, in pixels.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) plot_width: f64,
    pub(super) plot_height: f64,
    /// The widest name of the y axis, in characters.
    name_characters: usize,
    legend_top: f64,
    x_ticks: Vec<Tick>,
    y_ticks: Vec<Tick>,
}

impl Frame {
    pub(super) fn of(chart: &Chart, size: Size, alone: bool) -> Self {
        let width = size.width();
        let narrow = size == Size::Narrow;
        let plot_height = plot_height(chart);
        let y_ticks = ticks(&chart.y.scale, chart.y.unit, 5);
        let most_characters = if narrow { 22 } else { 34 };
        let widest = y_ticks.iter().map(|tick| tick.name.chars().count()).max();
        let name_characters = widest.unwrap_or(0).min(most_characters);
        let left = name_characters as f64 * CHARACTER + 14.0;
        let edges = chart.edges.iter().map(|edge| edge.name.chars().count());
        let right = edges
            .max()
            .map_or(RIGHT, |widest| widest as f64 * CHARACTER + 16.0);
        let plot_width = width - left - right;
        let legend_top = if alone { 40.0 } else { 14.0 };
        let mut frame = Self {
            width,
            height: 0.0,
            left,
            top: 0.0,
            plot_width,
            plot_height,
            name_characters,
            legend_top,
            x_ticks: ticks(&chart.x.scale, chart.x.unit, if narrow { 4 } else { 8 }),
            y_ticks,
        };
        let (_, lines) = frame.legend(chart);
        let label = if chart.y.label.is_empty() { 0.0 } else { LINE };
        frame.top = legend_top - 8.0 + lines as f64 * LINE + label;
        frame.height = frame.top + plot_height + 42.0;
        frame
    }

    /// A place on the x axis, in pixels of the plot.
    pub(super) fn x(&self, chart: &Chart, value: f64) -> f64 {
        chart.x.scale.place(value) * self.plot_width
    }

    /// A place on the y axis, in pixels of the plot, from above. Names begin at the top.
    pub(super) fn y(&self, chart: &Chart, value: f64) -> f64 {
        let place = chart.y.scale.place(value);
        let from_above = if matches!(chart.y.scale, Scale::Names(_)) {
            place
        } else {
            1.0 - place
        };
        from_above * self.plot_height
    }

    /// What lies behind the plot: lines of the axes.
    pub(super) fn write_behind(&self, markup: &mut Markup, chart: &Chart) {
        if matches!(chart.y.scale, Scale::Names(_)) {
            return;
        }
        markup.open("g", &[("class", "lines")]);
        for tick in &self.y_ticks {
            let y = px(self.top + (1.0 - tick.place) * self.plot_height);
            let (from, to) = (px(self.left), px(self.left + self.plot_width));
            markup.empty(
                "line",
                &[("x1", &from), ("x2", &to), ("y1", &y), ("y2", &y)],
            );
        }
        markup.close();
    }

    /// What stands around it: names of the axes, the legend.
    pub(super) fn write_front(&self, markup: &mut Markup, chart: &Chart) {
        self.write_legend(markup, chart);
        let bottom = self.top + self.plot_height;
        if !chart.y.label.is_empty() {
            let y = px(self.top - 8.0);
            markup.element(
                "text",
                &[("class", "label"), ("x", "4"), ("y", &y)],
                &chart.y.label,
            );
        }
        let right = px(self.left + self.plot_width);
        markup.element(
            "text",
            &[
                ("class", "label"),
                ("x", &right),
                ("y", &px(bottom + 34.0)),
                ("text-anchor", "end"),
            ],
            &chart.x.label,
        );
        markup.empty(
            "rect",
            &[
                ("class", "frame"),
                ("x", &px(self.left)),
                ("y", &px(self.top)),
                ("width", &px(self.plot_width)),
                ("height", &px(self.plot_height)),
            ],
        );
        self.write_y_names(markup, chart);
        markup.open("g", &[("class", "x-names")]);
        let mut free_from = f64::NEG_INFINITY;
        for tick in &self.x_ticks {
            let x = self.left + tick.place * self.plot_width;
            let half = tick.name.chars().count() as f64 * CHARACTER / 2.0;
            if x - half < free_from {
                continue;
            }
            free_from = x + half + 8.0;
            let (x, from, to) = (px(x), px(bottom), px(bottom + 4.0));
            markup.empty(
                "line",
                &[("x1", &x), ("x2", &x), ("y1", &from), ("y2", &to)],
            );
            markup.element(
                "text",
                &[
                    ("x", &x),
                    ("y", &px(bottom + 17.0)),
                    ("text-anchor", "middle"),
                ],
                &tick.name,
            );
        }
        markup.close();
        self.write_edges(markup, chart);
    }

    fn write_y_names(&self, markup: &mut Markup, chart: &Chart) {
        markup.open("g", &[("class", "y-names")]);
        let mut free_from = f64::NEG_INFINITY;
        let from_above = matches!(chart.y.scale, Scale::Names(_));
        let names: Vec<&Tick> = if from_above {
            self.y_ticks.iter().collect()
        } else {
            self.y_ticks.iter().rev().collect()
        };
        for tick in names {
            let place = if from_above {
                tick.place
            } else {
                1.0 - tick.place
            };
            let y = self.top + place * self.plot_height;
            if y < free_from {
                continue;
            }
            free_from = y + 12.0;
            markup.element(
                "text",
                &[
                    ("x", &px(self.left - 7.0)),
                    ("y", &px(y + 4.0)),
                    ("text-anchor", "end"),
                ],
                &shortened(&tick.name, self.name_characters),
            );
        }
        markup.close();
    }

    fn write_edges(&self, markup: &mut Markup, chart: &Chart) {
        if chart.edges.is_empty() {
            return;
        }
        markup.open("g", &[("class", "edges")]);
        let x = self.left + self.plot_width;
        let mut free_below = f64::INFINITY;
        for edge in &chart.edges {
            let (from, to) = (self.y(chart, edge.from), self.y(chart, edge.to));
            let border = px(self.top + to);
            markup.empty(
                "line",
                &[
                    ("x1", &px(x)),
                    ("x2", &px(x + 5.0)),
                    ("y1", &border),
                    ("y2", &border),
                ],
            );
            let middle = f64::midpoint(from, to);
            if middle > free_below || !(0.0..=self.plot_height).contains(&middle) {
                continue;
            }
            free_below = middle - 13.0;
            markup.element(
                "text",
                &[("x", &px(x + 8.0)), ("y", &px(self.top + middle + 4.0))],
                &edge.name,
            );
        }
        markup.close();
    }

    /// The named marks, each with its place, and how many lines they take.
    fn legend<'c>(&self, chart: &'c Chart) -> (Vec<(&'c Mark, &'c str, f64, f64)>, usize) {
        let mut entries = Vec::new();
        let (mut x, mut line) = (4.0, 0);
        for mark in &chart.marks {
            let Some(name) = in_legend(mark) else {
                continue;
            };
            if entries.iter().any(|(_, known, _, _)| *known == name) {
                continue;
            }
            let width = name.chars().count() as f64 * CHARACTER + 42.0;
            if x > 4.0 && x + width > self.width {
                (x, line) = (4.0, line + 1);
            }
            entries.push((mark, name, x, self.legend_top + f64::from(line) * LINE));
            x += width;
        }
        let lines = if entries.is_empty() {
            0
        } else {
            line as usize + 1
        };
        (entries, lines)
    }

    fn write_legend(&self, markup: &mut Markup, chart: &Chart) {
        let (entries, _) = self.legend(chart);
        if entries.is_empty() {
            return;
        }
        markup.open("g", &[("class", "legend")]);
        for (mark, name, x, y) in entries {
            let (class, is_line) = look(mark);
            if is_line {
                let (from, to, y) = (px(x), px(x + 22.0), px(y - 4.0));
                markup.empty(
                    "line",
                    &[
                        ("class", &class),
                        ("x1", &from),
                        ("x2", &to),
                        ("y1", &y),
                        ("y2", &y),
                    ],
                );
            } else {
                markup.empty(
                    "rect",
                    &[
                        ("class", &class),
                        ("x", &px(x + 6.0)),
                        ("y", &px(y - 10.0)),
                        ("width", "12"),
                        ("height", "12"),
                    ],
                );
            }
            markup.element("text", &[("x", &px(x + 27.0)), ("y", &px(y))], name);
        }
        markup.close();
    }
}

/// How a mark looks in the legend, and whether as a line.
fn look(mark: &Mark) -> (String, bool) {
    match mark {
        Mark::Line { ink, shape, .. } => match shape {
            super::super::Shape::Filled => (format!("filled {}", ink.class()), false),
            _ => (format!("line {}", ink.class()), true),
        },
        Mark::Spreads { ink, .. } | Mark::SpreadsAcross { ink, .. } => {
            (format!("median {}", ink.class()), true)
        }
        Mark::Level { ink, .. } | Mark::Upright { ink, .. } => {
            (format!("mark {}", ink.class()), true)
        }
        Mark::Cells { .. } => ("cell level-4".to_owned(), false),
        Mark::Band { ink, .. } => (
            format!("band {}", ink.map_or("", super::super::Ink::class)),
            false,
        ),
        Mark::Bars { ink, .. }
        | Mark::Across { ink, .. }
        | Mark::Dots { ink, .. }
        | Mark::Pieces { ink, .. }
        | Mark::Density { ink, .. }
        | Mark::Ticks { ink, .. } => (format!("filled {}", ink.class()), false),
    }
}

/// The name that the legend has for it.
fn in_legend(mark: &Mark) -> Option<&str> {
    let name = match mark {
        // A band without a colour has its name on it.
        Mark::Band { ink: None, .. } => "",
        Mark::Band { name, .. }
        | Mark::Line { name, .. }
        | Mark::Bars { name, .. }
        | Mark::Across { name, .. }
        | Mark::Dots { name, .. }
        | Mark::Pieces { name, .. }
        | Mark::Density { name, .. }
        | Mark::Cells { name, .. }
        | Mark::Spreads { name, .. }
        | Mark::SpreadsAcross { name, .. }
        | Mark::Level { name, .. }
        | Mark::Upright { name, .. }
        | Mark::Ticks { name, .. } => name,
    };
    Some(name).filter(|name| !name.is_empty())
}

fn plot_height(chart: &Chart) -> f64 {
    let Scale::Names(names) = &chart.y.scale else {
        return PLOT_HEIGHT;
    };
    let rows = names.len() as f64;
    if chart
        .marks
        .iter()
        .any(|mark| matches!(mark, Mark::Cells { .. }))
    {
        rows * (320.0 / rows).clamp(6.0, 22.0)
    } else {
        rows * 24.0
    }
}

/// The text in so many characters, its end where it differs from others.
fn shortened(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most || most < 4 {
        return text.to_owned();
    }
    let head: String = text.chars().take(most / 2 - 1).collect();
    let tail: String = text.chars().skip(count - (most - most / 2)).collect();
    format!("{head}…{tail}")
}
