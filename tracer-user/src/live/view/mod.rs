//! Where on the screen what goes, by its size.

mod figures;
mod overlay;
mod palette;
mod scene;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span},
    widgets::{Paragraph, Wrap},
};

use super::keys::{Lower, Overlay};

pub use palette::Palette;
pub use scene::View;

use scene::wrapped_lines;

/// From this width on the parts of the model stand beside the figures.
const BESIDE_FROM: u16 = 110;

/// Width of the figures then.
const FIGURES_BESIDE: u16 = 72;

/// How many values a chart has on a screen of this width.
pub fn chart_columns(width: u16) -> usize {
    let figures = if width >= BESIDE_FROM {
        FIGURES_BESIDE
    } else {
        width
    };
    usize::from(figures.saturating_sub(figures::CHART_FROM))
}

/// Draws everything.
pub fn draw(frame: &mut Frame<'_>, view: &View<'_>) {
    let area = frame.area();
    if area.width == 0 || area.height == 0 {
        return;
    }
    let verdict = verdict(view);
    let most_verdict = area.height / 4;
    let verdict_height = wrapped_height(&verdict, area.width).clamp(1, most_verdict.max(1));
    let [title, verdict_area, body, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(verdict_height),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(self::title(view, title.width), title);
    frame.render_widget(
        Paragraph::new(verdict).wrap(Wrap { trim: true }),
        verdict_area,
    );
    if area.width >= BESIDE_FROM {
        beside(frame, view, body);
    } else {
        below(frame, view, body);
    }
    frame.render_widget(self::keys(view, keys.width), keys);
    match view.choices.overlay {
        Overlay::None => {}
        Overlay::Help => overlay::help(frame, view),
        Overlay::Mark => overlay::marks(frame, view),
    }
}

/// Figures above, parts or output below.
fn below(frame: &mut Frame<'_>, view: &View<'_>, area: Rect) {
    let figures = figures::height(view, area.width).min(area.height);
    let rest = area.height - figures;
    let output_height = match view.choices.lower {
        Lower::Output => rest,
        // Both, where each has room.
        _ if rest >= 14 => rest / 2,
        _ => 0,
    };
    let [figures, parts, output] = Layout::vertical([
        Constraint::Length(figures),
        Constraint::Fill(1),
        Constraint::Length(output_height),
    ])
    .areas(area);
    figures::draw(frame, view, figures);
    figures::parts(frame, view, parts);
    figures::output(frame, view, output);
}

/// Figures to the left, parts to the right, output below both.
fn beside(frame: &mut Frame<'_>, view: &View<'_>, area: Rect) {
    let upper_height = figures::height(view, FIGURES_BESIDE).min(area.height);
    let [upper, output] =
        Layout::vertical([Constraint::Length(upper_height), Constraint::Fill(1)]).areas(area);
    let [figures, _, parts] = Layout::horizontal([
        Constraint::Length(FIGURES_BESIDE),
        Constraint::Length(2),
        Constraint::Fill(1),
    ])
    .areas(upper);
    figures::draw(frame, view, figures);
    figures::parts(frame, view, parts);
    figures::output(frame, view, output);
}

fn title(view: &View<'_>, width: u16) -> Line<'static> {
    let (title, state) = (&view.board.title, &view.board.state);
    let room = usize::from(width);
    let state_width = state.chars().count();
    let name: String = title
        .chars()
        .take(room.saturating_sub(state_width + 2))
        .collect();
    let space = room.saturating_sub(name.chars().count() + state_width);
    Line::from(vec![
        Span::styled(name, view.palette.strong()),
        Span::raw(" ".repeat(space)),
        Span::styled(state.clone(), view.palette.strong()),
    ])
}

fn verdict(view: &View<'_>) -> Vec<Line<'static>> {
    let sentences = view.board.verdict.iter();
    sentences
        .map(|(tone, sentence)| Line::styled(sentence.clone(), view.palette.tone(*tone)))
        .collect()
}

fn wrapped_height(lines: &[Line<'_>], width: u16) -> u16 {
    let height: usize = lines
        .iter()
        .map(|line| wrapped_lines(&line.to_string(), usize::from(width)))
        .sum();
    u16::try_from(height).unwrap_or(u16::MAX)
}

fn keys(view: &View<'_>, width: u16) -> Line<'static> {
    let palette = &view.palette;
    if let Some(message) = view.message {
        let message: String = message.chars().take(usize::from(width)).collect();
        return Line::styled(message, palette.strong());
    }
    let pause = if view.choices.paused {
        "go on"
    } else {
        "pause"
    };
    let of_source = if view.choices.speed.is_some() {
        [("+", "faster"), ("-", "slower")]
    } else {
        [("m", "mark"), ("r", "report")]
    };
    let keys = [
        ("q", view.quit),
        ("p", pause),
        ("w", "window"),
        ("t", "parts"),
        ("s", "sort"),
    ];
    let keys = keys.into_iter().chain(of_source).chain([("?", "help")]);
    let mut spans = Vec::new();
    let mut room = usize::from(width);
    for (key, what) in keys {
        let needed = key.len() + what.chars().count() + 3;
        // The way to all of them is always there.
        if room < needed + 8 && key != "?" {
            continue;
        }
        room = room.saturating_sub(needed);
        spans.push(Span::styled(key, palette.strong()));
        spans.push(Span::styled(format!(" {what}  "), palette.faint()));
    }
    Line::from(spans)
}

#[cfg(test)]
mod tests;
