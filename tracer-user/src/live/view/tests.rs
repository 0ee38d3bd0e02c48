//! The screen at several sizes, drawn on a terminal that only remembers.

use std::{collections::BTreeMap, sync::Arc};

use ratatui::{Terminal, backend::TestBackend, style::Color};

use crate::{
    live::{
        board::board,
        history::{History, tests::point},
        keys::{Choices, Lower, Overlay},
        pane::Pane,
    },
    probe::Detail,
    run::onlooker::{
        ModelBegun, ModelFiguresSoFar, PagesSoFar, PartBytes, PartsSoFar, ReadsSoFar, RunBegun,
        WaitSeconds,
    },
    stats::phases::{
        phase::Phase,
        so_far::{PhaseSoFar, PhasesSoFar},
    },
};

use super::{Palette, View, chart_columns, draw};

fn begun(detail: Detail) -> RunBegun {
    RunBegun {
        recorded_s: None,
        directory: "/runs/1".into(),
        detail,
        models: vec![ModelBegun {
            name: "/models/m.gguf".to_owned(),
            size_bytes: 1 << 30,
            page_bytes: 4096,
            has_sectors: true,
        }],
    }
}

fn part(name: &str, read_bytes: u64) -> PartBytes {
    PartBytes {
        name: name.into(),
        size_bytes: 100 << 20,
        read_bytes,
    }
}

/// A run that thrashes, `at_s` seconds after its start.
fn thrashing(at_s: f64, events: bool) -> ModelFiguresSoFar {
    let bytes = (at_s * 500.0) as u64 * (1 << 20);
    let steps = (at_s * 2.0) as u64;
    ModelFiguresSoFar {
        reads: Some(ReadsSoFar {
            count: bytes >> 17,
            total_bytes: bytes,
            completed_bytes: bytes,
            unique_bytes: events.then_some(1 << 30),
            amplification: None,
            reread_factor: Some(1.0),
            gaps: [600, 100, 50, 200, 50].map(|share| share * (at_s as u64)),
        }),
        pages: PagesSoFar {
            inserts: Some(bytes / 4096),
            refaults: Some(bytes / 4096 / 10 * 9),
            evictions: Some(bytes / 4096),
            faults: Some(steps * 100),
        },
        resident_bytes: Some(700 << 20),
        latencies: None,
        waits: events.then_some(WaitSeconds {
            since_s: 0.0,
            until_s: at_s,
            stall_s: Some(at_s * 0.6),
            reclaim_s: Some(at_s * 0.2),
        }),
        parts: Arc::new(PartsSoFar {
            phases: PhasesSoFar {
                phases: BTreeMap::from([(
                    Phase::Generation,
                    PhaseSoFar {
                        nanos: (at_s * 1e9) as u64,
                        steps,
                        tokens: Some(steps),
                        read_bytes: bytes,
                    },
                )]),
                current: Some(Phase::Generation),
            },
            kinds: vec![part("attention", bytes / 10), part("expert ffn", bytes / 2)],
            layers: vec![part("layer 0", bytes / 3)],
            experts: Vec::new(),
            expert_count: 0,
        }),
    }
}

fn history(events: bool) -> History {
    let mut history = History::default();
    for quarter in 1..=80 {
        let at_s = f64::from(quarter) / 4.0;
        history.push(point(at_s, thrashing(at_s, events)));
    }
    history
}

struct Shown {
    text: String,
    colours: usize,
}

fn shown(width: u16, height: u16, choices: &Choices, history: &History, plain: bool) -> Shown {
    let detail = if history
        .latest()
        .is_some_and(|point| point.model(0).is_some_and(|model| model.waits.is_some()))
    {
        Detail::Events
    } else {
        Detail::Counts
    };
    let board = board(&begun(detail), history, choices, chart_columns(width));
    let mut pane = Pane::default();
    pane.push(b"load finished\n17 4 99");
    let view = View {
        board: &board,
        choices,
        pane: &pane,
        message: None,
        quit: "close the screen",
        palette: Palette { plain },
    };
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("never fails");
    terminal
        .draw(|frame| draw(frame, &view))
        .expect("never fails");
    let buffer = terminal.backend().buffer();
    let mut text = String::new();
    for y in 0..height {
        for x in 0..width {
            text.push_str(buffer[(x, y)].symbol());
        }
        text.push('\n');
    }
    let colours = buffer
        .content()
        .iter()
        .filter(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
        .count();
    Shown { text, colours }
}

#[test]
fn what_matters_is_there_at_every_width() {
    for (width, height) in [(40, 24), (80, 24), (160, 40), (300, 80)] {
        let shown = shown(width, height, &Choices::default(), &history(true), false);
        // However it is wrapped.
        let words = shown.text.split_whitespace().collect::<Vec<_>>().join(" ");
        for expected in [
            "The engine waits for storage: 60 % of the last 10 s",
            "500.00 MiB/s",
            "9.77 GiB 9.8×",
            "2.00 tok/s",
            "250.00 MiB",
            "m.gguf",
            "? help",
            "0:20 generation 40 tokens",
        ] {
            assert!(
                words.contains(expected),
                "{width}: {expected}\n{}",
                shown.text
            );
        }
        assert!(shown.colours > 0);
    }
}

#[test]
fn charts_and_parts_come_where_there_is_room() {
    let at = |width, height| shown(width, height, &Choices::default(), &history(true), false).text;
    assert!(at(80, 24).contains('█'));
    assert!(!at(40, 24).contains('█'));
    assert!(at(80, 24).contains("expert ffn"));
    // The engine's output has its place on a large screen, and by a key on a small one.
    assert!(at(160, 40).contains("load finished"));
    assert!(!at(80, 24).contains("load finished"));
    let choices = Choices {
        lower: Lower::Output,
        ..Choices::default()
    };
    let output = shown(80, 24, &choices, &history(true), false).text;
    assert!(output.contains("17 4 99"), "{output}");
}

#[test]
fn what_counts_do_not_know_is_a_dash() {
    let text = shown(80, 24, &Choices::default(), &history(false), false).text;
    for label in ["waits for it", "frees memory"] {
        let line = text
            .lines()
            .find(|line| line.starts_with(label))
            .expect(label);
        let values: Vec<&str> = line.split_whitespace().skip(2).collect();
        let values: Vec<&str> = values.into_iter().filter(|word| *word != "it").collect();
        assert_eq!(values, ["–", "–"], "{line}");
    }
    assert!(text.contains("500.00 MiB/s"), "{text}");
}

#[test]
fn no_colour_is_no_colour() {
    assert_eq!(
        shown(80, 24, &Choices::default(), &history(true), true).colours,
        0
    );
}

#[test]
fn no_size_and_no_moment_is_too_small() {
    for overlay in [Overlay::None, Overlay::Help, Overlay::Mark] {
        let choices = Choices {
            overlay,
            ..Choices::default()
        };
        for width in [1, 2, 7, 20, 39, 41, 109, 110] {
            for height in [1, 2, 3, 5, 9, 23] {
                shown(width, height, &choices, &history(true), false);
                shown(width, height, &choices, &History::default(), true);
            }
        }
    }
    let nothing = shown(80, 24, &Choices::default(), &History::default(), false);
    assert!(nothing.text.contains("Nothing has been seen yet."));
}

#[test]
fn help_names_every_key() {
    let choices = Choices {
        overlay: Overlay::Help,
        ..Choices::default()
    };
    let text = shown(100, 40, &choices, &history(true), false).text;
    for key in [
        "q ", "p, space", "w ", "t, tab", "s ", "m ", "r ", "n ", "Ctrl-C",
    ] {
        assert!(text.contains(&format!("│{key}")), "{key}\n{text}");
    }
}
