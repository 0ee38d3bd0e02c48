//! Lines of a log that the user knows: expressions for the begin of a phase and for a rate of tokens.

use std::str::FromStr;

use regex_lite::Regex;

use crate::stats::phases::given::GivenPhase;

/// `REGEX=PHASE`: a line that the expression matches says that the phase begins.
#[derive(Clone, Debug)]
pub struct PhaseLine {
    regex: Regex,
    phase: GivenPhase,
}

impl FromStr for PhaseLine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // An expression may hold the sign itself.
        let Some((pattern, phase)) = text.rsplit_once('=') else {
            return Err(
                "a phase is missing; write REGEX=PHASE, such as 'model loaded=idle'".to_owned(),
            );
        };
        Ok(Self {
            regex: compiled(pattern)?,
            phase: phase.parse()?,
        })
    }
}

/// A regular expression with one group, around the number of generated tokens per second.
#[derive(Clone, Debug)]
pub struct RateLine {
    regex: Regex,
}

impl FromStr for RateLine {
    type Err = String;

    fn from_str(pattern: &str) -> Result<Self, String> {
        let regex = compiled(pattern)?;
        // The whole match is one of the captures.
        if regex.captures_len() != 2 {
            return Err(
                "the regular expression needs exactly one group, around the number: 'speed: ([0-9.]+) tok'"
                    .to_owned(),
            );
        }
        Ok(Self { regex })
    }
}

fn compiled(pattern: &str) -> Result<Regex, String> {
    if pattern.is_empty() {
        return Err("the regular expression is empty: it would match every line".to_owned());
    }
    Regex::new(pattern).map_err(|error| format!("no regular expression: {error}"))
}

/// All that the user knows of a log.
#[derive(Clone, Debug, Default)]
pub struct UserLines {
    pub phases: Vec<PhaseLine>,
    pub rates: Vec<RateLine>,
}

impl UserLines {
    /// The phase that a line begins: of several expressions the first counts.
    pub(crate) fn phase(&self, line: &str) -> Option<GivenPhase> {
        let of_line = |own: &&PhaseLine| own.regex.is_match(line);
        self.phases.iter().find(of_line).map(|own| own.phase)
    }

    /// The rate that a line states, tokens per second: of several expressions the first counts.
    pub(crate) fn rate(&self, line: &str) -> Option<f64> {
        self.rates.iter().find_map(|own| {
            let number: f64 = own
                .regex
                .captures(line)?
                .get(1)?
                .as_str()
                .trim()
                .parse()
                .ok()?;
            (number.is_finite() && number > 0.0).then_some(number)
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::stats::phases::{given::GivenPhase, phase::Phase};

    use super::{PhaseLine, RateLine, UserLines};

    #[test]
    fn expressions_of_the_user() {
        let lines = UserLines {
            phases: ["state=ready=idle", "^go$=step", "go=prompt"]
                .map(|text| text.parse().expect("well-formed"))
                .to_vec(),
            rates: vec!["at ([0-9.]+) tok".parse().expect("well-formed")],
        };
        assert_eq!(
            lines.phase("state=ready"),
            Some(GivenPhase::Phase(Phase::Idle))
        );
        assert_eq!(lines.phase("go"), Some(GivenPhase::Step));
        assert_eq!(lines.phase("going"), Some(GivenPhase::Phase(Phase::Prompt)));
        assert_eq!(lines.phase("other"), None);
        assert_eq!(lines.rate("ran at 12.5 tok per s"), Some(12.5));
        for line in ["ran at 0 tok", "ran at . tok", "ran"] {
            assert_eq!(lines.rate(line), None, "{line}");
        }
    }

    #[test]
    fn a_mistake_says_what_to_write() {
        let phase = |text: &str| text.parse::<PhaseLine>().expect_err(text);
        assert!(phase("loaded").contains("REGEX=PHASE"));
        assert!(phase("loaded=ready").contains("generation"));
        assert!(phase("(=idle").contains("no regular expression"));
        assert!(phase("=idle").contains("every line"));
        let rate = |text: &str| text.parse::<RateLine>().expect_err(text);
        assert!(rate("tok/s").contains("one group"));
        assert!(rate("(a)(b)").contains("one group"));
    }
}
