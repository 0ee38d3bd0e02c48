//! What lies over the screen: help, and the choice of a phase.

use ratatui::{
    Frame,
    layout::Rect,
    text::Line,
    widgets::{Block, Clear, Paragraph, Wrap},
};

use crate::live::keys::PHASES;

use super::scene::{View, wrapped_lines};

const KEYS: [&str; 4] = [
    "w         window: 10 s, 1 min, 5 min, whole run, 2 s",
    "t, tab    parts: kinds, layers, experts, output",
    "s         sort the parts",
    "n         next model",
];

const KEYS_OF_RUN: [&str; 4] = [
    "p, space  pause; the run goes on",
    "m         a phase begins now",
    "r         write a report of the run so far",
    "Ctrl-C    end the run, as without the screen",
];

const KEYS_OF_RECORDING: [&str; 3] = [
    "p, space  pause",
    "+, -      twice, half as fast",
    "Ctrl-C    leave",
];

const FIGURES: [&str; 9] = [
    "from disk     bytes that came back; whole run: read, and times the model",
    "in memory     bytes of the model in the page cache",
    "waits for it  share of the time in which a thread waited for the model",
    "frees memory  share in which none did, and one freed memory",
    "read a token  bytes read for each decode step after the prompt",
    "read again    share of what came in that had been thrown out",
    "gaps          between reads: small < 128 KiB, large > 1 MiB",
    "pressure      share of the time in which some, or all, tasks waited",
    "–             not known at this level, or not yet",
];

/// All keys and figures.
pub fn help(frame: &mut Frame<'_>, view: &View<'_>) {
    let quit = format!("q         {}", view.quit);
    let of_source = if view.choices.speed.is_some() {
        &KEYS_OF_RECORDING[..]
    } else {
        &KEYS_OF_RUN[..]
    };
    let keys = KEYS.iter().chain(of_source);
    let lines: Vec<Line<'_>> = std::iter::once(quit.as_str())
        .chain(keys.copied())
        .chain(std::iter::once(""))
        .chain(FIGURES)
        .map(|line| Line::raw(line.to_owned()))
        .collect();
    over(frame, " help: any key goes back ", lines);
}

/// Which phase begins?
pub fn marks(frame: &mut Frame<'_>, view: &View<'_>) {
    let mut lines = vec![Line::raw("Which phase begins now?")];
    for (key, phase) in PHASES {
        let key = char::from(key);
        lines.push(Line::styled(
            format!("{key}  {phase}"),
            view.palette.strong(),
        ));
    }
    lines.push(Line::raw("any other key: none"));
    over(frame, " mark ", lines);
}

/// A box in the middle.
fn over(frame: &mut Frame<'_>, title: &'static str, lines: Vec<Line<'_>>) {
    let area = frame.area();
    let longest = lines.iter().map(Line::width).max().unwrap_or(0);
    let width = u16::try_from(longest + 2)
        .unwrap_or(u16::MAX)
        .min(area.width);
    let inner = usize::from(width.saturating_sub(2));
    let wrapped: usize = lines
        .iter()
        .map(|line| wrapped_lines(&line.to_string(), inner))
        .sum();
    let height = u16::try_from(wrapped + 2)
        .unwrap_or(u16::MAX)
        .min(area.height);
    let place = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    frame.render_widget(Clear, place);
    let text = Paragraph::new(lines)
        .wrap(Wrap { trim: false })
        .block(Block::bordered().title(title));
    frame.render_widget(text, place);
}
