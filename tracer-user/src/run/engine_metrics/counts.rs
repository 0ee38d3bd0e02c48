//! What an engine's metrics say of tokens.

use anyhow::Context as _;

use crate::exposition::{ParsedFamily, parse};

/// An engine whose metrics are known by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownMetrics {
    /// Pinned by a test on the real server.
    LlamaCpp,
    /// By its documentation (docs.vllm.ai, "Production Metrics"); not tried.
    Vllm,
}

impl KnownMetrics {
    const ALL: [Self; 2] = [Self::LlamaCpp, Self::Vllm];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LlamaCpp => "llama.cpp",
            Self::Vllm => "vLLM",
        }
    }

    const fn generated(self) -> &'static str {
        match self {
            Self::LlamaCpp => "llamacpp:tokens_predicted_total",
            Self::Vllm => "vllm:generation_tokens_total",
        }
    }

    const fn prompt(self) -> &'static str {
        match self {
            Self::LlamaCpp => "llamacpp:prompt_tokens_total",
            Self::Vllm => "vllm:prompt_tokens_total",
        }
    }
}

/// What the counters say at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EngineCounts {
    pub known: KnownMetrics,
    /// Tokens generated since the engine's start.
    pub generated_tokens: u64,
    /// Tokens of prompts since then, without those that a cache had.
    pub prompt_tokens: Option<u64>,
    /// Calls of `llama_decode`.
    pub decode_calls: Option<u64>,
    /// Most generated tokens that are in none of these yet: of an engine that counts a request's tokens when it ends, those of the
    /// requests in progress. None where it is not known.
    pub uncounted_at_most: Option<u64>,
}

/// Reads them.
///
/// # Errors
/// The text is no metrics, or those of no engine that is known.
pub fn engine_counts(text: &str) -> anyhow::Result<EngineCounts> {
    let families = parse(text).context("the answer is not in Prometheus's text format")?;
    let found = KnownMetrics::ALL
        .into_iter()
        .find_map(|known| Some((known, sum(&families, known.generated())?)));
    let (known, generated_tokens) = found.with_context(|| {
        let names = KnownMetrics::ALL.map(KnownMetrics::generated);
        format!(
            "the answer has no {}: is this the address of the engine's metrics?",
            names.join(" and no ")
        )
    })?;
    let uncounted_at_most = match known {
        // A token is generated for each request in progress that has not ended. The longest sequence that there was, prompt
        // included, is none of them longer than.
        KnownMetrics::LlamaCpp => {
            sum(&families, "llamacpp:requests_processing").and_then(|requests| match requests {
                0 => Some(0),
                requests => requests.checked_mul(sum(&families, "llamacpp:n_tokens_max")?),
            })
        }
        KnownMetrics::Vllm => Some(0),
    };
    Ok(EngineCounts {
        known,
        generated_tokens,
        prompt_tokens: sum(&families, known.prompt()),
        decode_calls: match known {
            KnownMetrics::LlamaCpp => sum(&families, "llamacpp:n_decode_total"),
            KnownMetrics::Vllm => None,
        },
        uncounted_at_most,
    })
}

/// Over all its series: models, or engines of one server.
fn sum(families: &[ParsedFamily], name: &str) -> Option<u64> {
    let family = families.iter().find(|family| family.name == name)?;
    let sum: f64 = family.samples.iter().map(|sample| sample.value).sum();
    let is_count = !family.samples.is_empty() && sum >= 0.0 && sum < 2f64.powi(53);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is in the range of whole numbers"
    )]
    is_count.then(|| sum.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::{EngineCounts, KnownMetrics, engine_counts};

    #[test]
    fn a_llama_server_in_the_middle_of_a_request_says_what_it_has_not_counted() {
        let text = |busy| {
            format!(
                "# HELP llamacpp:tokens_predicted_total Number of generation tokens processed\n# TYPE llamacpp:tokens_predicted_total counter\nllamacpp:tokens_predicted_total 100\nllamacpp:prompt_tokens_total 25\nllamacpp:n_decode_total 104\nllamacpp:n_tokens_max 124\nllamacpp:requests_processing {busy}\n"
            )
        };
        let counts = |uncounted| EngineCounts {
            known: KnownMetrics::LlamaCpp,
            generated_tokens: 100,
            prompt_tokens: Some(25),
            decode_calls: Some(104),
            uncounted_at_most: uncounted,
        };
        assert_eq!(engine_counts(&text("0")).expect("known"), counts(Some(0)));
        assert_eq!(engine_counts(&text("2")).expect("known"), counts(Some(248)));
        let without = text("2").replace("n_tokens_max", "other");
        assert_eq!(engine_counts(&without).expect("known"), counts(None));
        let idle = text("0").replace("n_tokens_max", "other");
        assert_eq!(engine_counts(&idle).expect("known"), counts(Some(0)));
    }

    #[test]
    fn a_vllm_with_two_engines_counts_both() {
        let text = "vllm:generation_tokens_total{engine=\"0\",model_name=\"m\"} 5.0\nvllm:generation_tokens_total{engine=\"1\",model_name=\"m\"} 7.0\nvllm:prompt_tokens_total{engine=\"0\",model_name=\"m\"} 1e3\n";
        let counts = engine_counts(text).expect("known");
        assert_eq!(
            (counts.known, counts.generated_tokens, counts.prompt_tokens),
            (KnownMetrics::Vllm, 12, Some(1000))
        );
        assert_eq!(counts.uncounted_at_most, Some(0));
    }

    #[test]
    fn other_metrics_and_other_texts_are_errors() {
        for (text, says) in [
            ("up 1\n", "llamacpp:tokens_predicted_total"),
            ("", "vllm:generation_tokens_total"),
            ("<html>", "text format"),
            ("llamacpp:tokens_predicted_total NaN\n", "has no"),
        ] {
            let error = engine_counts(text).expect_err(text);
            assert!(format!("{error:#}").contains(says), "{error:#}");
        }
    }
}
