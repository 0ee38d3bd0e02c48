//! Figures, parts of the model, and the engine's output.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
    widgets::{Paragraph, Sparkline, SparklineBar},
};

use crate::live::board::{PartRow, Row};

use super::scene::View;

/// Widths of a row: its label, the window, the run.
const LABEL: usize = 12;
const WINDOW: usize = 13;
const RUN: usize = 15;

/// Where a chart begins, where there is room for one.
pub const CHART_FROM: u16 = (LABEL + WINDOW + RUN + 2) as u16;

/// A chart needs so many columns to say anything.
const SHORTEST_CHART: u16 = 8;

/// Lines of all figures on a screen of this width.
pub fn height(view: &View<'_>, width: u16) -> u16 {
    let lines: usize = view
        .board
        .lines
        .iter()
        .map(|line| words(&line.words, width).len())
        .sum();
    u16::try_from(1 + view.board.rows.len() + lines).unwrap_or(u16::MAX)
}

/// Words beside a label.
fn words(words: &str, width: u16) -> Vec<String> {
    let room = usize::from(width).saturating_sub(LABEL).max(10);
    textwrap::wrap(words, room)
        .into_iter()
        .map(std::borrow::Cow::into_owned)
        .collect()
}

/// The table of figures with their charts, and the lines below it.
pub fn draw(frame: &mut Frame<'_>, view: &View<'_>, area: Rect) {
    let palette = &view.palette;
    let board = view.board;
    let mut y = area.y;
    let mut next = |height: u16| {
        let place = Rect {
            y,
            height: height.min(area.bottom().saturating_sub(y)),
            ..area
        };
        y = y.saturating_add(height).min(area.bottom());
        place
    };
    let has_charts = area.width >= CHART_FROM + SHORTEST_CHART;
    let [window, run] = &board.heads;
    let mut heads = format!("{:LABEL$}{window:>WINDOW$}{run:>RUN$}", "");
    if has_charts {
        heads = format!("{heads}  {}", board.charted);
    }
    frame.render_widget(Line::styled(heads, palette.faint()), next(1));
    for row in &board.rows {
        let place = next(1);
        frame.render_widget(figure(row, view), place);
        if has_charts && !row.chart.is_empty() && place.height > 0 {
            let chart = Rect {
                x: place.x + CHART_FROM,
                width: place.width - CHART_FROM,
                ..place
            };
            frame.render_widget(self::chart(row, view), chart);
        }
    }
    for line in &board.lines {
        for (number, part) in words(&line.words, area.width).into_iter().enumerate() {
            let label = if number == 0 { line.label } else { "" };
            let spans = vec![
                Span::styled(format!("{label:LABEL$}"), palette.faint()),
                Span::styled(part, palette.tone(line.tone)),
            ];
            frame.render_widget(Line::from(spans), next(1));
        }
    }
}

fn figure(row: &Row, view: &View<'_>) -> Line<'static> {
    Line::from(vec![
        Span::styled(format!("{:LABEL$}", row.label), view.palette.faint()),
        Span::styled(format!("{:>WINDOW$}", row.window), view.palette.strong()),
        Span::raw(format!("{:>RUN$}", row.run)),
    ])
}

/// Heights are whole numbers to the widget: a thousandth of the largest.
fn chart(row: &Row, view: &View<'_>) -> Sparkline<'static> {
    let largest = row.chart.iter().flatten().copied().fold(0.0, f64::max);
    let bars: Vec<SparklineBar> = row
        .chart
        .iter()
        .map(|value| {
            let scaled = value.map(|value| {
                if largest > 0.0 {
                    (value / largest * 1000.0) as u64
                } else {
                    0
                }
            });
            SparklineBar::from(scaled)
        })
        .collect();
    Sparkline::default()
        .data(bars)
        .max(1000)
        .absent_value_symbol(" ")
        .style(view.palette.chart())
}

/// Parts of the model.
pub fn parts(frame: &mut Frame<'_>, view: &View<'_>, area: Rect) {
    if area.height < 2 {
        return;
    }
    let palette = &view.palette;
    let parts = &view.board.parts;
    let width = usize::from(area.width);
    let mut lines = vec![rule(&parts.title, width, view)];
    let names = parts.rows.iter().map(|row| row.name.chars().count());
    let name_width = names.max().unwrap_or(0).clamp(8, 24).min(width / 2);
    let room = usize::from(area.height) - 1;
    for row in parts.rows.iter().take(room) {
        lines.push(part(row, name_width, width, view));
    }
    if parts.rows.is_empty() && room > 0 {
        lines.push(Line::styled("nothing was read yet", palette.faint()));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

fn part(row: &PartRow, name_width: usize, width: usize, view: &View<'_>) -> Line<'static> {
    let name: String = row.name.chars().take(name_width).collect();
    let mut text = format!("{name:name_width$}");
    // What there is room for, the most important first.
    let columns = [(&row.read, 11), (&row.times, 8), (&row.rate, 14)];
    for (value, column) in columns {
        if text.chars().count() + column <= width {
            text = format!("{text}{value:>column$}");
        }
    }
    let rest = width.saturating_sub(text.chars().count() + 2);
    let bar = "▆".repeat((row.share * rest as f64).round() as usize);
    let mut spans = vec![Span::raw(text)];
    if rest >= 8 {
        spans.push(Span::styled(format!("  {bar}"), view.palette.chart()));
    }
    Line::from(spans)
}

/// What the engine printed last.
pub fn output(frame: &mut Frame<'_>, view: &View<'_>, area: Rect) {
    if area.height < 2 {
        return;
    }
    let room = usize::from(area.height) - 1;
    let mut lines = vec![rule("output", usize::from(area.width), view)];
    let last = view.pane.last(room);
    if last.is_empty() {
        lines.push(Line::styled("nothing yet", view.palette.faint()));
    }
    lines.extend(last.into_iter().map(Line::raw));
    frame.render_widget(Paragraph::new(lines), area);
}

/// A line with a title in it.
fn rule(title: &str, width: usize, view: &View<'_>) -> Line<'static> {
    let title: String = format!("── {title} ").chars().take(width).collect();
    let rest = width.saturating_sub(title.chars().count());
    Line::styled(format!("{title}{}", "─".repeat(rest)), view.palette.faint())
}
