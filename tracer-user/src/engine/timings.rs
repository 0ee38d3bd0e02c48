//! What a run of the built-in engine took, and its printed form.

use std::fmt;
use std::time::Duration;

/// What a run of the built-in engine did and took. Its `Display` is the form of llama.cpp's `llama_perf_context_print`,
/// with the prefix `builtin_perf_print`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineReport {
    /// From the start until the file is mapped; with `LoadMode::Populate` until it has been read.
    pub load_time: Duration,
    /// The steps of the prompt, one for each of its tokens.
    pub prompt_time: Duration,
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    pub eval_time: Duration,
    /// Generation steps: one fewer than `tokens`, the first of which comes from the prompt's last step.
    pub eval_steps: u32,
    /// From the start to the last token.
    pub total_time: Duration,
    pub tokens: Vec<u32>,
}

impl EngineReport {
    /// Tells two outputs apart: FNV-1a, 64 bit, over the tokens as little-endian u32.
    pub fn token_hash(&self) -> u64 {
        // Offset basis and prime: draft-eastlake-fnv, section 5.
        let bytes = self.tokens.iter().flat_map(|token| token.to_le_bytes());
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }
}

const PREFIX: &str = "builtin_perf_print";

/// A phase's line; none where it had no step, since a mean over none would be printed as a number.
fn phase_line(
    formatter: &mut fmt::Formatter<'_>,
    name: &str,
    time: Duration,
    steps: u32,
    unit: &str,
) -> fmt::Result {
    if steps == 0 {
        return Ok(());
    }
    let milliseconds = milliseconds(time);
    let each = milliseconds / f64::from(steps);
    writeln!(
        formatter,
        "{PREFIX}: {name} = {milliseconds:10.2} ms / {steps:5} {unit} ({each:8.2} ms per token, {:8.2} tokens per second)",
        1e3 / each
    )
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

impl fmt::Display for EngineReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "{PREFIX}:        load time = {:10.2} ms",
            milliseconds(self.load_time)
        )?;
        phase_line(
            formatter,
            "prompt eval time",
            self.prompt_time,
            self.prompt_tokens,
            "tokens",
        )?;
        phase_line(
            formatter,
            "       eval time",
            self.eval_time,
            self.eval_steps,
            "runs  ",
        )?;
        let steps = u64::from(self.prompt_tokens) + u64::from(self.eval_steps);
        writeln!(
            formatter,
            "{PREFIX}:       total time = {:10.2} ms / {steps:5} tokens",
            milliseconds(self.total_time)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(tokens: u32) -> EngineReport {
        EngineReport {
            load_time: Duration::from_micros(1_234_560),
            prompt_time: Duration::from_millis(100),
            prompt_tokens: 5,
            eval_time: Duration::from_millis(50) * (tokens - 1),
            eval_steps: tokens - 1,
            total_time: Duration::from_millis(2000),
            tokens: vec![1; tokens as usize],
        }
    }

    #[test]
    fn prints_the_form_of_llama_cpp() {
        assert_eq!(
            report(20).to_string(),
            "builtin_perf_print:        load time =    1234.56 ms\n\
             builtin_perf_print: prompt eval time =     100.00 ms /     5 tokens (   20.00 ms per token,    50.00 tokens per second)\n\
             builtin_perf_print:        eval time =     950.00 ms /    19 runs   (   50.00 ms per token,    20.00 tokens per second)\n\
             builtin_perf_print:       total time =    2000.00 ms /    24 tokens\n"
        );
    }

    #[test]
    fn without_a_generation_step_there_is_no_eval_line() {
        let text = report(1).to_string();
        assert!(
            !text.contains(" eval time =       0.00") && !text.contains("runs"),
            "{text}"
        );
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        let hash = |tokens: &[u32]| {
            EngineReport {
                tokens: tokens.into(),
                ..report(1)
            }
            .token_hash()
        };
        assert_eq!(hash(&[]), 0xcbf2_9ce4_8422_2325);
        // "chongo w" in two words; computed with another implementation (Python, from the draft's text).
        assert_eq!(
            hash(&[u32::from_le_bytes(*b"chon"), u32::from_le_bytes(*b"go w")]),
            0xd1ed_d10b_5073_44d0
        );
    }
}
