//! The engine's count of tokens beside what was read for them.

use crate::schema::{EngineMetricsRecord, RunRecord};

use super::counts::EngineCounts;

/// The answers may leave out at most this share of the window, before the first and after the last of them.
const EDGES_AT_MOST: f64 = 0.05;

/// What may have been generated, but is not known to have been, may be at most this share of the count.
const UNSURE_AT_MOST: f64 = 0.1;

/// The counters at a moment of the window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// Seconds since the gate was opened.
    pub at_s: f64,
    pub counts: EngineCounts,
}

/// What was answered in a window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers {
    pub first: Option<Answer>,
    pub last: Option<Answer>,
    /// A counter went down: another server answers since then.
    pub restarted: bool,
    /// Why the last time nothing was answered that counts.
    pub failure: Option<String>,
}

impl Answers {
    /// Takes the next one in.
    pub fn take(&mut self, answer: Answer) {
        self.failure = None;
        if let Some(last) = &self.last
            && (answer.counts.generated_tokens < last.counts.generated_tokens
                || answer.counts.known != last.counts.known)
        {
            self.restarted = true;
        }
        self.first.get_or_insert(answer);
        self.last = Some(answer);
    }
}

/// Puts them into the record, with the ratios to what it has already.
pub fn add_engine_metrics(
    record: &mut RunRecord,
    url: String,
    answers: &Answers,
    other: Option<&str>,
) {
    let mut joined = EngineMetricsRecord {
        url: Some(url),
        ..EngineMetricsRecord::default()
    };
    joined.reason = (|| {
        if let Some(other) = other {
            return Some(other.to_owned());
        }
        let (Some(first), Some(last)) = (&answers.first, &answers.last) else {
            let why = answers
                .failure
                .as_deref()
                .unwrap_or("it was not asked in time");
            return Some(format!("the engine's metrics could not be had: {why}"));
        };
        joined.names = Some(last.counts.known.name().to_owned());
        joined.from_s = Some(first.at_s);
        joined.until_s = Some(last.at_s);
        if answers.restarted {
            return Some(
                "a counter of the engine went down: it was started anew in the window".to_owned(),
            );
        }
        if last.at_s <= first.at_s {
            return Some(match &answers.failure {
                Some(why) => format!("the engine's metrics could be had only once: {why}"),
                None => "the engine's metrics could be had only once".to_owned(),
            });
        }
        let grown = |pick: fn(&EngineCounts) -> Option<u64>| {
            pick(&last.counts)?.checked_sub(pick(&first.counts)?)
        };
        let generated = grown(|counts| Some(counts.generated_tokens))?;
        joined.generated_tokens = Some(generated);
        joined.prompt_tokens = grown(|counts| counts.prompt_tokens);
        joined.decode_calls = grown(|counts| counts.decode_calls);
        // What was generated before the window and counted in it; what was generated in it and not counted yet.
        let before = first.counts.uncounted_at_most;
        let after = last.counts.uncounted_at_most;
        joined.generated_tokens_at_least = before.map(|before| generated.saturating_sub(before));
        joined.generated_tokens_at_most = after.map(|after| generated.saturating_add(after));
        let edges = first.at_s + (record.time.wall_s - last.at_s).max(0.0);
        if edges > EDGES_AT_MOST * record.time.wall_s {
            return Some(format!(
                "the engine's counters are known from {:.1} s to {:.1} s of a window of {:.1} s, and reads of all of it",
                first.at_s, last.at_s, record.time.wall_s
            ));
        }
        let reads = per_call(record, joined.decode_calls);
        joined.read_bytes_per_decode_call = reads;
        if generated == 0 {
            return Some("no request ended in the window, or none generated a token".to_owned());
        }
        let (Some(least), Some(most)) = (
            joined.generated_tokens_at_least,
            joined.generated_tokens_at_most,
        ) else {
            return Some(
                "requests were in progress at an edge of the window, whose tokens the engine counts when they end"
                    .to_owned(),
            );
        };
        if (most - least) as f64 > UNSURE_AT_MOST * generated as f64 {
            return Some(format!(
                "requests were in progress at an edge of the window, whose tokens the engine counts when they end: in the window {least} to {most} were generated. A longer window knows it better"
            ));
        }
        joined.read_bytes_per_generated_token = per_call(record, Some(generated));
        joined.stall_s_per_million_generated_tokens =
            stall_s(record).map(|stall_s| stall_s / generated as f64 * 1e6);
        None
    })();
    record.engine_metrics = Some(joined);
}

/// Bytes of all models for each; None where they are not known, or there was none.
fn per_call(record: &RunRecord, number: Option<u64>) -> Option<f64> {
    let number = number.filter(|number| *number > 0)?;
    let bytes = record
        .all_models()
        .map(|model| Some(model.reads.as_ref()?.amount.total_bytes))
        .sum::<Option<u64>>()?;
    Some(bytes as f64 / number as f64)
}

/// Stall of all phases; None where one is not known, or where models' stalls may overlap.
fn stall_s(record: &RunRecord) -> Option<f64> {
    let model = record.single.as_ref()?;
    let phases = model.phases.as_ref()?;
    phases.iter().map(|phase| phase.waits.stall_s).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Answer, Answers, add_engine_metrics};
    use crate::{
        run::engine_metrics::counts::{EngineCounts, KnownMetrics},
        schema::{EngineMetricsRecord, ModelRecord, PhaseRecord, ReadsRecord, RunRecord},
    };

    const READ_BYTES: u64 = 1_000_000;

    fn answer(at_s: f64, generated_tokens: u64, uncounted: u64) -> Answer {
        Answer {
            at_s,
            counts: EngineCounts {
                known: KnownMetrics::LlamaCpp,
                generated_tokens,
                prompt_tokens: Some(generated_tokens / 2),
                decode_calls: Some(2 * generated_tokens),
                uncounted_at_most: Some(uncounted),
            },
        }
    }

    /// A window of 100 s that read a million bytes and stood still for 5 s.
    fn joined(all: &[Answer], other: Option<&str>) -> EngineMetricsRecord {
        let mut answers = Answers::default();
        for answer in all {
            answers.take(*answer);
        }
        let mut reads = ReadsRecord::default();
        reads.amount.total_bytes = READ_BYTES;
        let mut phase = PhaseRecord::default();
        phase.waits.stall_s = Some(2.5);
        let mut record = RunRecord {
            single: Some(ModelRecord {
                reads: Some(reads),
                phases: Some(vec![phase.clone(), phase]),
                ..ModelRecord::default()
            }),
            ..RunRecord::default()
        };
        record.time.wall_s = 100.0;
        add_engine_metrics(&mut record, "u".to_owned(), &answers, other);
        record.engine_metrics.expect("it is there")
    }

    #[test]
    fn what_was_read_is_divided_by_what_was_generated_meanwhile() {
        let all = [
            answer(0.5, 100, 0),
            answer(50.0, 150, 300),
            answer(99.5, 300, 0),
        ];
        let record = joined(&all, None);
        let expected = EngineMetricsRecord {
            url: Some("u".to_owned()),
            names: Some("llama.cpp".to_owned()),
            from_s: Some(0.5),
            until_s: Some(99.5),
            generated_tokens: Some(200),
            generated_tokens_at_least: Some(200),
            generated_tokens_at_most: Some(200),
            prompt_tokens: Some(100),
            decode_calls: Some(400),
            read_bytes_per_decode_call: Some(2500.0),
            read_bytes_per_generated_token: Some(5000.0),
            stall_s_per_million_generated_tokens: Some(25_000.0),
            reason: None,
        };
        assert_eq!(record, expected);
    }

    #[test]
    fn a_figure_that_is_not_known_is_null_with_its_reason() {
        let cases: [(&[Answer], Option<&str>, &str); 8] = [
            (&[], None, "could not be had: it was not asked in time"),
            (&[answer(0.5, 1, 0)], None, "only once"),
            (
                &[answer(0.5, 9, 0), answer(99.0, 8, 0)],
                None,
                "started anew",
            ),
            (
                &[answer(0.5, 9, 0), answer(50.0, 1, 0), answer(99.0, 20, 0)],
                None,
                "started anew",
            ),
            (
                &[answer(0.5, 9, 0), answer(94.0, 90, 0)],
                None,
                "0.5 s to 94.0 s",
            ),
            (
                &[answer(0.5, 9, 0), answer(99.0, 9, 0)],
                None,
                "no request ended",
            ),
            (
                &[answer(0.5, 0, 0), answer(99.0, 100, 30)],
                None,
                "100 to 130",
            ),
            (
                &[answer(0.5, 0, 0), answer(99.0, 100, 0)],
                Some("others"),
                "others",
            ),
        ];
        for (answers, other, says) in cases {
            let record = joined(answers, other);
            let reason = record.reason.expect("a reason");
            assert!(reason.contains(says), "{reason} does not say {says}");
            assert_eq!(record.read_bytes_per_generated_token, None, "{says}");
            assert_eq!(record.stall_s_per_million_generated_tokens, None, "{says}");
        }
        // Decode calls are counted while a request is in progress.
        let busy = joined(&[answer(0.5, 0, 0), answer(99.0, 100, 30)], None);
        assert_eq!(busy.read_bytes_per_decode_call, Some(5000.0));
    }

    proptest! {
        /// Requests as a server counts them: what was really generated in the window lies between the bounds, and the ratio is
        /// off by no more than they are apart.
        #[test]
        fn what_was_generated_lies_between_the_bounds(
            requests in prop::collection::vec((-50i64..100, 1i64..60), 0..20),
        ) {
            // Each request generates a token a second from its begin on, and is counted when it ends.
            let at = |time: i64| {
                let ended = requests.iter().filter(|(begin, tokens)| begin + tokens <= time);
                let busy: Vec<i64> = requests
                    .iter()
                    .filter(|(begin, tokens)| *begin < time && time < begin + tokens)
                    .map(|(begin, _)| time - begin)
                    .collect();
                let longest = requests.iter().map(|(begin, tokens)| (time - begin).clamp(0, *tokens)).max();
                let uncounted = busy.len() as i64 * longest.unwrap_or(0);
                let really: i64 = requests.iter().map(|(begin, tokens)| (time - begin).clamp(0, *tokens)).sum();
                let generated: i64 = ended.map(|(_, tokens)| tokens).sum();
                (answer(time as f64, generated as u64, uncounted as u64), really as u64)
            };
            let ((first, before), (last, after)) = (at(0), at(100));
            let record = joined(&[first, last], None);
            let really = after - before;
            let least = record.generated_tokens_at_least.expect("known");
            let most = record.generated_tokens_at_most.expect("known");
            prop_assert!((least..=most).contains(&really), "{really} is not in {least} to {most}");
            if let Some(per_token) = record.read_bytes_per_generated_token {
                let error = (READ_BYTES as f64 / really as f64 / per_token - 1.0).abs();
                prop_assert!(error < 0.12, "{per_token} is off by {error}");
            }
        }
    }
}
