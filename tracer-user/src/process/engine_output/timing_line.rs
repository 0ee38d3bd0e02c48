//! One line of an engine's output → what it says about time.
//!
//! A line is bytes that may be no valid UTF-8 (a model prints broken characters), may carry ANSI colours, and has a
//! time stamp and a level letter in front in current builds (`0.03.595.703 I common_perf_print: …`). So a line is
//! recognised by the printing function's name anywhere in it, and only what follows that name is read.

use std::borrow::Cow;

/// Who printed a block of timings with `load`, `prompt eval`, `eval` and `total` lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PerfForm {
    /// The tracer's own engine.
    Builtin,
    /// `common_perf_print`, llama.cpp since late 2025.
    Common,
    /// `llama_perf_context_print`, llama.cpp 2024 – 25.
    PerfContext,
    /// `llama_print_timings`, llama.cpp before September 2024.
    PrintTimings,
}

/// Time and tokens of one kind of work.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Work {
    /// Milliseconds, finite and above 0.
    pub milliseconds: f64,
    /// Tokens (or decode runs), above 0; `None` if the line has no count.
    pub tokens: Option<u64>,
    /// Tokens per second as printed, if the line has it.
    pub printed_rate: Option<f64>,
}

/// One `… time = X ms` line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum TimingItem {
    /// `load time`, milliseconds.
    Load(f64),
    /// `prompt eval time`; `None` where nothing was evaluated.
    Prompt(Option<Work>),
    /// `eval time` (or `generation eval time`); `None` where nothing was evaluated.
    Eval(Option<Work>),
    /// `total time`, milliseconds.
    Total(f64),
}

/// What a line is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TimingLine {
    /// A line of a block that one function prints.
    Perf(PerfForm, TimingItem),
    /// A server's line for one request.
    Slot(TimingItem),
    /// `slot print_timing: id 0 | task 0 |` with nothing after it: the items follow on lines of their own.
    SlotOpen,
    /// A bare item, which counts only after [`TimingLine::SlotOpen`].
    Bare(TimingItem),
    /// `[ Prompt: 20.1 t/s | Generation: 9.9 t/s ]`.
    Rates {
        /// Prompt tokens per second.
        prompt: Option<f64>,
        /// Generated tokens per second.
        generation: Option<f64>,
    },
}

/// Lossy text of a line without ANSI sequences and without its end of line.
pub(crate) fn plain_text(line: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(line);
    if !text.contains('\u{1b}') {
        return text;
    }
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\u{1b}' {
            plain.push(character);
            continue;
        }
        // CSI: ESC [ parameters final, the final byte in @ … ~ (ECMA-48 §5.4). Other escapes here have one more byte.
        if characters.next() == Some('[') {
            let _ = characters.find(|c| ('\u{40}'..='\u{7e}').contains(c));
        }
    }
    Cow::Owned(plain)
}

/// Reads one segment of output (no `\n`, no `\r` in it).
pub(crate) fn parse(text: &str) -> Option<TimingLine> {
    const PERF: [(&str, PerfForm); 4] = [
        ("builtin_perf_print:", PerfForm::Builtin),
        ("common_perf_print:", PerfForm::Common),
        ("llama_perf_context_print:", PerfForm::PerfContext),
        ("llama_print_timings:", PerfForm::PrintTimings),
    ];
    for (label, form) in PERF {
        if let Some((_, rest)) = text.rsplit_once(label) {
            return parse_item(rest).map(|item| TimingLine::Perf(form, item));
        }
    }
    if let Some((_, rest)) = text.rsplit_once("print_timing: id") {
        // " 0 | task 12 | ITEM"
        let mut parts = rest.splitn(3, '|');
        let (_slot, task, item) = (parts.next()?, parts.next()?, parts.next()?);
        task.trim().strip_prefix("task")?;
        if item.trim().is_empty() {
            return Some(TimingLine::SlotOpen);
        }
        return parse_item(item).map(TimingLine::Slot);
    }
    // The server of 2024: "INFO [ print_timings] generation eval time = … | tid=… id_slot=0".
    if let Some((_, rest)) = text.rsplit_once("print_timings] ") {
        return parse_item(rest).map(TimingLine::Slot);
    }
    // The server of 2023; its successor writes the same as JSON, where the parser of documents puts the label before it.
    if let Some((_, rest)) = text.rsplit_once("print_timings:") {
        return parse_item(rest).map(TimingLine::Slot);
    }
    if let Some(rates) = parse_rates(text) {
        return Some(rates);
    }
    // A router puts "[42027] " before each line of the server that it started.
    let bare = match text.strip_prefix('[').and_then(|t| t.split_once("] ")) {
        Some((port, rest)) if port.bytes().all(|b| b.is_ascii_digit()) => rest,
        _ => text,
    };
    parse_item(bare).map(TimingLine::Bare)
}

fn parse_rates(text: &str) -> Option<TimingLine> {
    let (_, rest) = text.rsplit_once("[ Prompt:")?;
    let (prompt, rest) = rest.split_once("t/s")?;
    let generation = rest
        .trim_start()
        .strip_prefix('|')?
        .trim_start()
        .strip_prefix("Generation:")?;
    let (generation, rest) = generation.split_once("t/s")?;
    if !rest.contains(']') {
        return None;
    }
    Some(TimingLine::Rates {
        prompt: positive(prompt),
        generation: positive(generation),
    })
}

/// `   eval time =  553.96 ms /  29 runs   (   19.10 ms per token,    52.35 tokens per second)`
fn parse_item(text: &str) -> Option<TimingItem> {
    let (name, rest) = text.split_once('=')?;
    let name = name.trim();
    let (value, rest) = rest.split_once("ms")?;
    let milliseconds = number(value)?;
    match name {
        "load time" => Some(TimingItem::Load(milliseconds)),
        "total time" => Some(TimingItem::Total(milliseconds)),
        "prompt eval time" => Some(TimingItem::Prompt(work(milliseconds, rest))),
        "eval time" | "generation eval time" => Some(TimingItem::Eval(work(milliseconds, rest))),
        _ => None,
    }
}

/// llama.cpp prints `max(1, n)` for its counts, so "0.00 ms / 1 runs (…, inf tokens per second)" means that nothing
/// ran: `None`.
fn work(milliseconds: f64, rest: &str) -> Option<Work> {
    if milliseconds <= 0.0 {
        return None;
    }
    let Some(counted) = rest.trim_start().strip_prefix('/') else {
        return Some(Work {
            milliseconds,
            tokens: None,
            printed_rate: None,
        });
    };
    let digits = counted
        .trim_start()
        .split(|c: char| !c.is_ascii_digit())
        .next()?;
    let tokens: u64 = digits.parse().ok()?;
    if tokens == 0 {
        return None;
    }
    let printed_rate = counted
        .split_once("tokens per second")
        .and_then(|(before, _)| before.rsplit([',', '(']).next())
        .and_then(positive);
    Some(Work {
        milliseconds,
        tokens: Some(tokens),
        printed_rate,
    })
}

/// The unit of a rate of tokens that a line states in some form: `12.3 tok/s`, `4.46T/s`, `Tokens/Second: 31.59`,
/// `throughput (token/s): 12.3`.
pub(crate) fn stated_rate(text: &str) -> Option<&'static str> {
    const UNITS: [&str; 10] = [
        "tokens/sec",
        "tokens/s",
        "token/s",
        "toks/s",
        "tok/s",
        "t/s",
        "T/s",
        "tokens per second",
        "Tokens/Second",
        "tokens_per_second",
    ];
    let is_number = |character: char| character.is_ascii_digit();
    UNITS.into_iter().find(|unit| {
        text.match_indices(unit).any(|(at, _)| {
            let before = text.get(..at).unwrap_or_default();
            let after = text.get(at + unit.len()..).unwrap_or_default();
            // Not the end of another word: `bit/s`.
            let begins_a_word = !before.ends_with(|last: char| last.is_alphabetic());
            let after = after.trim_start_matches(|between: char| "ond)\"'".contains(between));
            before.trim_end().ends_with(is_number)
                || (begins_a_word
                    && after
                        .strip_prefix([':', '='])
                        .is_some_and(|value| value.trim_start().starts_with(is_number)))
        })
    })
}

/// A finite number, 0 or above.
fn number(text: &str) -> Option<f64> {
    let value: f64 = text.trim().parse().ok()?;
    (value.is_finite() && value >= 0.0).then_some(value)
}

fn positive(text: &str) -> Option<f64> {
    number(text).filter(|value| *value > 0.0)
}

/// Whether a printed rate is what tokens and time give, within the rounding of a time printed to `time_step`
/// milliseconds and a rate printed to `rate_step`.
pub(crate) fn rate_agrees(work: &Work, time_step: f64, rate_step: f64) -> bool {
    let (Some(tokens), Some(printed)) = (work.tokens, work.printed_rate) else {
        return true;
    };
    let half = time_step / 2.0;
    let rate = |milliseconds: f64| 1e3 * tokens as f64 / milliseconds;
    let slack = rate_step / 2.0 + 1e-9 * printed;
    let lowest = rate(work.milliseconds + half) - slack;
    let highest = if work.milliseconds > half {
        rate(work.milliseconds - half) + slack
    } else {
        f64::INFINITY
    };
    (lowest..=highest).contains(&printed)
}

/// A server's generation as decode steps. Its count holds the first token, which comes from the prompt's last
/// step; since 2026 its rate and its time per token are over the steps after it (`n − 1`). Where the printed
/// rate says so, the count is brought to what the rate is over; a rate that fits neither is left to contradict.
pub(crate) fn as_decode_steps(work: &Work, time_step: f64, rate_step: f64) -> Work {
    let steps = Work {
        tokens: work.tokens.map(|tokens| tokens.saturating_sub(1)),
        ..*work
    };
    if !rate_agrees(work, time_step, rate_step) && rate_agrees(&steps, time_step, rate_step) {
        steps
    } else {
        *work
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_stamps_and_text_before_the_label_do_not_matter() {
        let line = b"\xff\xfe t12\x1b[0m0.03.595.706 \x1b[32mI\x1b[0m common_perf_print:        eval time =     553.96 ms /    29 runs   (   19.10 ms per token,    52.35 tokens per second)";
        assert_eq!(
            parse(&plain_text(line)),
            Some(TimingLine::Perf(
                PerfForm::Common,
                TimingItem::Eval(Some(Work {
                    milliseconds: 553.96,
                    tokens: Some(29),
                    printed_rate: Some(52.35)
                }))
            ))
        );
    }

    #[test]
    fn a_servers_count_is_brought_to_what_its_rate_is_over() {
        let work = |tokens, printed_rate| Work {
            milliseconds: 11959.971,
            tokens: Some(tokens),
            printed_rate: Some(printed_rate),
        };
        // 19 steps for 20 tokens, as the server of 2026-10 printed it.
        let new = as_decode_steps(&work(20, 1.588_632_614_577_41), 0.002, 1e-3);
        assert_eq!(new.tokens, Some(19));
        let old = as_decode_steps(&work(20, 1.672_244), 0.002, 1e-3);
        assert_eq!(old.tokens, Some(20));
        let wrong = as_decode_steps(&work(20, 9.0), 0.002, 1e-3);
        assert_eq!(wrong.tokens, Some(20));
        assert!(!rate_agrees(&wrong, 0.002, 1e-3));
    }

    #[test]
    fn nothing_evaluated_is_none() {
        for line in [
            "common_perf_print:        eval time =       0.00 ms /     1 runs   (    0.00 ms per token,      inf tokens per second)",
            "llama_print_timings:      eval time =       5.00 ms /     0 runs   (    nan ms per token,      nan tokens per second)",
        ] {
            assert!(
                matches!(
                    parse(line),
                    Some(TimingLine::Perf(_, TimingItem::Eval(None)))
                ),
                "{line}"
            );
        }
        assert_eq!(
            parse("common_perf_print:        eval time =       nan ms /     1 runs"),
            None
        );
    }

    #[test]
    fn server_progress_lines_are_no_timings() {
        for line in [
            "slot print_timing: id  0 | task 388 | n_decoded =    172, tg =  12.00 t/s",
            "slot print_timing: id  0 | task 0 | prompt processing, n_tokens =   1536, progress = 0.10, t =   3.42 s / 448.61 tokens per second",
            "slot print_timing: id  0 | task 160 |    graphs reused =          0",
            "slot print_timing: id  0 | task 160 | draft acceptance = 0.46218 (   55 accepted /   119 generated), mean len =  2.38",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    #[test]
    fn a_rate_is_checked_to_its_rounding() {
        let work = |printed| Work {
            milliseconds: 553.96,
            tokens: Some(29),
            printed_rate: Some(printed),
        };
        assert!(rate_agrees(&work(52.35), 0.01, 0.01));
        assert!(!rate_agrees(&work(52.37), 0.01, 0.01));
        // 1 token in 0.00 – 0.01 ms, printed to two decimals: any high rate is possible.
        assert!(rate_agrees(
            &Work {
                milliseconds: 0.01,
                tokens: Some(1),
                printed_rate: Some(180_000.0)
            },
            0.01,
            0.01
        ));
    }
}
