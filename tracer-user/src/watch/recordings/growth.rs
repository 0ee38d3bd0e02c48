//! What an engine's window counted between two looks at the metrics that it serves.

use std::collections::{BTreeMap, BTreeSet};

use crate::exposition::ParsedFamily;

const RUN_SECONDS: &str = "tracer_run_seconds";
const PHASE_READ: &str = "tracer_phase_read_bytes";
const PHASE_STEPS: &str = "tracer_phase_steps";
/// The phase in which a step is a token.
const GENERATION: &str = "generation";

/// What the counters of one model grew by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Growth {
    /// Time of the window between the two.
    pub seconds: f64,
    /// By metric; those that were there both times.
    pub counters: BTreeMap<String, f64>,
    /// Bytes read in steps of the generation, and how many steps that were.
    pub generation: Option<(f64, f64)>,
}

impl Growth {
    /// How much a counter grew in a second.
    #[must_use]
    pub fn per_second(&self, metric: &str) -> Option<f64> {
        (self.seconds > 0.0).then(|| Some(self.counters.get(metric)? / self.seconds))?
    }

    /// Bytes that were read in a step of the generation.
    #[must_use]
    pub fn read_per_step(&self) -> Option<f64> {
        let (bytes, steps) = self.generation?;
        (steps > 0.0).then(|| bytes / steps)
    }
}

/// By model, what grew. Nothing where the two are not of one window in this order.
#[must_use]
pub fn growth(before: &[ParsedFamily], now: &[ParsedFamily]) -> Vec<(String, Growth)> {
    let seconds =
        |families: &[ParsedFamily]| Some(named(families, RUN_SECONDS)?.samples.first()?.value);
    let Some(seconds) = seconds(now)
        .zip(seconds(before))
        .map(|(now, then)| now - then)
    else {
        return Vec::new();
    };
    if seconds <= 0.0 {
        return Vec::new();
    }
    let models: BTreeSet<&str> = now
        .iter()
        .flat_map(|family| &family.samples)
        .filter_map(|sample| sample.label("model"))
        .collect();
    models
        .into_iter()
        .map(|model| {
            let counters = now
                .iter()
                .filter(|family| family.kind == "counter")
                .filter_map(|family| {
                    let earlier = named(before, &family.name)?;
                    let grown = sum(family, model, None)? - sum(earlier, model, None)?;
                    (grown >= 0.0).then(|| (family.name.clone(), grown))
                })
                .collect();
            let generation =
                |families, metric| sum(named(families, metric)?, model, Some(GENERATION));
            // Phases are arranged anew by later marks: what gets less is not known.
            let grown = |metric| {
                let now: f64 = generation(now, metric)?;
                let grown = now - generation(before, metric).unwrap_or(0.0);
                (grown >= 0.0).then_some(grown)
            };
            let growth = Growth {
                seconds,
                counters,
                generation: grown(PHASE_READ).zip(grown(PHASE_STEPS)),
            };
            (model.to_owned(), growth)
        })
        .collect()
}

fn named<'a>(families: &'a [ParsedFamily], name: &str) -> Option<&'a ParsedFamily> {
    families.iter().find(|family| family.name == name)
}

/// All numbers of a model, of one phase where one is meant. None where there is none.
fn sum(family: &ParsedFamily, model: &str, phase: Option<&str>) -> Option<f64> {
    let samples = family.samples.iter().filter(|sample| {
        sample.label("model") == Some(model)
            && phase.is_none_or(|phase| sample.label("phase") == Some(phase))
    });
    samples
        .map(|sample| sample.value)
        .reduce(|one, other| one + other)
}

#[cfg(test)]
mod tests {
    use super::growth;
    use crate::exposition::parse;

    fn at(seconds: f64, reads: u64, phases: &[(&str, u64, u64)]) -> String {
        let mut text = format!(
            "# TYPE tracer_run_seconds gauge\ntracer_run_seconds {seconds}\n# TYPE tracer_reads_total counter\ntracer_reads_total{{model=\"a\"}} {reads}\ntracer_reads_total{{model=\"b\"}} 1\n"
        );
        for (phase, bytes, steps) in phases {
            text += &format!(
                "tracer_phase_read_bytes{{model=\"a\",phase=\"{phase}\"}} {bytes}\ntracer_phase_steps{{model=\"a\",phase=\"{phase}\"}} {steps}\n"
            );
        }
        text
    }

    #[test]
    fn what_grew_is_told_by_model() {
        let before = parse(&at(10.0, 100, &[("prompt", 5000, 3)])).expect("valid");
        let now = parse(&at(
            20.0,
            150,
            &[("prompt", 6000, 3), ("generation", 900, 9)],
        ));
        let now = now.expect("valid");
        let grown = growth(&before, &now);
        let [(first, a), (second, b)] = grown.as_slice() else {
            panic!("{grown:?}")
        };
        assert_eq!((first.as_str(), second.as_str()), ("a", "b"));
        assert_eq!(a.per_second("tracer_reads_total"), Some(5.0));
        assert_eq!(b.per_second("tracer_reads_total"), Some(0.0));
        assert_eq!(a.per_second("tracer_faults_total"), None);
        assert_eq!(a.read_per_step(), Some(100.0), "the prompt is in it");
        assert_eq!(b.read_per_step(), None);
        // The order of two windows says nothing, nor does one look alone.
        assert_eq!(growth(&now, &before), []);
        assert_eq!(growth(&now, &now), []);
        assert_eq!(growth(&[], &now), []);
    }
}
