//! Figures as they are compared over runs: each with a name for a command line, and whether it grows with the work.

use crate::{
    schema::{ModelRecord, PhaseRecord, RunRecord, TokenRecord},
    stats::phases::phase::Phase,
};

use super::{Figure, InRun, Road, Unit, selections};

/// A figure of which a run has one value.
#[derive(Clone, Copy, Debug)]
pub enum AcrossRuns {
    Run(&'static Figure<RunRecord>),
    Model(&'static Figure<ModelRecord>),
    Phase(Phase, &'static Figure<PhaseRecord>),
    /// Its mean over the steps of the generation whose end is known.
    GeneratedToken(&'static Figure<TokenRecord>),
}

impl AcrossRuns {
    /// What a run is first asked: its speed, what it read, in which order.
    #[must_use]
    pub fn first() -> Vec<Self> {
        let mut figures = Vec::new();
        for figure in selections::COMPARED {
            match *figure {
                InRun::Run(figure) => figures.push(Self::Run(figure)),
                InRun::Model(figure) => figures.push(Self::Model(figure)),
                // Phases are compared whole.
                InRun::Phase { .. } => {}
            }
            if matches!(figure, InRun::Run(figure) if std::ptr::eq(*figure, &super::engine::TOKENS_PER_S))
            {
                figures.extend(
                    selections::GENERATED_TOKEN
                        .iter()
                        .copied()
                        .map(Self::GeneratedToken),
                );
            }
        }
        figures
    }

    /// What loading, prompt and generation read, and how long the engine stood still in them.
    #[must_use]
    pub fn first_of_phases() -> Vec<Self> {
        Self::of_phases_with(&[selections::PHASE_READS])
            .into_iter()
            .filter(|figure| {
                matches!(figure, Self::Phase(phase, _) if *phase == Phase::Load || phase.has_steps())
            })
            .collect()
    }

    /// What every phase read, how fast, and how long the engine stood still.
    #[must_use]
    pub fn of_phases() -> Vec<Self> {
        Self::of_phases_with(&[
            selections::PHASE_READS,
            selections::PHASE_ORDER,
            selections::PHASE_PAGES,
        ])
    }

    fn of_phases_with(groups: &[&'static [&'static Figure<PhaseRecord>]]) -> Vec<Self> {
        let of = |phase: &Phase| {
            let figures = groups.iter().copied().flatten();
            let figures = figures.map(|figure| Self::Phase(*phase, figure));
            figures.collect::<Vec<_>>()
        };
        Phase::ALL.iter().flat_map(of).collect()
    }

    /// What else is known of a run and of its model.
    #[must_use]
    pub fn details() -> Vec<Self> {
        let first = Self::first();
        let of_model = selections::MODEL_DETAILS
            .iter()
            .flat_map(|(_, figures)| figures.iter().copied().map(Self::Model));
        let of_run = selections::RUN_DETAILS
            .iter()
            .flat_map(|(_, figures)| figures.iter().copied().map(Self::Run));
        of_model
            .chain(of_run)
            .filter(|figure| !figure.is_condition())
            .filter(|figure| !first.iter().any(|known| known.name() == figure.name()))
            .collect()
    }

    /// All that are compared, each once.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut all = Self::first();
        all.extend(Self::of_phases());
        all.extend(Self::details());
        all
    }

    /// Finds one by its name or by what a person calls it, whatever the case of its letters.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        let name = name.trim().to_lowercase();
        Self::all().into_iter().find(|figure| {
            figure.name().to_lowercase() == name || figure.label().to_lowercase() == name
        })
    }

    /// The path of its member in `run.json`, with the name of the phase where it is one's: `reads.total_bytes`,
    /// `phases.generation.read_bytes`, `tokens.read_bytes`.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Run(figure) => figure.member.to_owned(),
            Self::Model(figure) => figure.member.to_owned(),
            Self::Phase(phase, figure) => format!("phases.{}.{}", phase.name(), figure.member),
            Self::GeneratedToken(figure) => format!("tokens.{}", figure.member),
        }
    }

    /// What a person calls it: `total read`, `generation: read`, `a token: read`.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Run(figure) => figure.label.to_owned(),
            Self::Model(figure) => figure.label.to_owned(),
            Self::Phase(phase, figure) => {
                format!("{}: {}", phase.name().replace('_', "-"), figure.label)
            }
            Self::GeneratedToken(figure) => format!("a token: {}", figure.label),
        }
    }

    #[must_use]
    pub const fn unit(&self) -> Unit {
        match self {
            Self::Run(figure) => figure.unit,
            Self::Model(figure) => figure.unit,
            Self::Phase(_, figure) => figure.unit,
            Self::GeneratedToken(figure) => match figure.unit {
                Unit::Count => Unit::Mean,
                unit => unit,
            },
        }
    }

    #[must_use]
    pub const fn road(&self) -> Road {
        match self {
            Self::Run(figure) => figure.road,
            Self::Model(figure) => figure.road,
            Self::Phase(_, figure) => figure.road,
            Self::GeneratedToken(figure) => figure.road,
        }
    }

    /// When it is null; empty: never, if there is such a phase.
    #[must_use]
    pub const fn null(&self) -> &'static str {
        match self {
            Self::Run(figure) => figure.null,
            Self::Model(figure) => figure.null,
            Self::Phase(_, figure) => figure.null,
            Self::GeneratedToken(figure) => figure.null,
        }
    }

    /// Whether it says something of the model's file, and not only of a time or a speed.
    #[must_use]
    pub const fn is_of_the_file(&self) -> bool {
        !matches!(self, Self::Run(_))
            && !matches!(
                self.unit(),
                Unit::Seconds | Unit::Microseconds | Unit::PerSecond | Unit::BytesPerSecond
            )
    }

    /// Whether more work makes it larger: a count, a sum, a time, what was covered. A rate and a share of gaps are not, nor a
    /// mean over tokens.
    #[must_use]
    pub fn grows(&self) -> bool {
        match self.unit() {
            _ if matches!(self, Self::GeneratedToken(_)) => false,
            Unit::Bytes
            | Unit::Count
            | Unit::Factor
            | Unit::Pages
            | Unit::Seconds
            | Unit::Sectors => true,
            Unit::Share => self.name().ends_with("coverage"),
            Unit::BytesPerSecond
            | Unit::Celsius
            | Unit::Kibibytes
            | Unit::Mean
            | Unit::Microseconds
            | Unit::PerSecond => false,
        }
    }

    /// Whether it was given from outside: it is no result.
    #[must_use]
    pub fn is_condition(&self) -> bool {
        let name = self.name();
        selections::CONDITIONS.iter().any(|figure| match figure {
            InRun::Run(figure) => figure.member == name,
            InRun::Model(figure) => figure.member == name,
            InRun::Phase { .. } => false,
        })
    }

    /// Its value; `None`: not observed, or there was no such phase or step.
    #[must_use]
    pub fn value(&self, run: &RunRecord, model: &ModelRecord) -> Option<f64> {
        match self {
            Self::Run(figure) => figure.value(run),
            Self::Model(figure) => figure.value(model),
            Self::Phase(phase, figure) => {
                let mut phases = model.phases.iter().flatten();
                figure.value(phases.find(|own| own.phase == phase.name())?)
            }
            Self::GeneratedToken(figure) => {
                let steps = model.tokens.iter().flatten().filter(|step| {
                    step.phase == Phase::Generation.name() && step.unended.is_none()
                });
                let values: Option<Vec<f64>> = steps.map(|step| figure.value(step)).collect();
                let values = values.filter(|values| !values.is_empty())?;
                Some(values.iter().sum::<f64>() / values.len() as f64)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::{
        figures::Unit,
        schema::{ModelRecord, RunRecord, TokenRecord},
    };

    use super::AcrossRuns;

    #[test]
    fn every_figure_is_found_by_its_name_and_by_its_label_and_stands_once() {
        let all = AcrossRuns::all();
        let names: BTreeSet<String> = all.iter().map(AcrossRuns::name).collect();
        assert_eq!(names.len(), all.len());
        for figure in &all {
            for name in [figure.name(), figure.label(), figure.label().to_uppercase()] {
                let found = AcrossRuns::find(&name).map(|found| found.name());
                assert_eq!(found, Some(figure.name()), "{name}");
            }
        }
        assert!(AcrossRuns::find("tok/s").is_some());
        assert!(AcrossRuns::find("phases.generation.read_bytes").is_some());
        assert!(AcrossRuns::find("speed").is_none());
    }

    #[test]
    fn a_token_is_the_mean_of_the_generations_steps_whose_end_is_known() {
        let step = |phase: &str, read_bytes, unended: Option<&str>| TokenRecord {
            phase: phase.into(),
            read_bytes,
            unended: unended.map(str::to_owned),
            ..TokenRecord::default()
        };
        let read = AcrossRuns::find("tokens.read_bytes").expect("a figure");
        let of = |steps: Vec<TokenRecord>| {
            let model = ModelRecord {
                tokens: Some(steps),
                ..ModelRecord::default()
            };
            read.value(&RunRecord::default(), &model)
        };
        assert_eq!(
            of(vec![
                step("prompt", Some(1000), None),
                step("generation", Some(10), None),
                step("generation", Some(20), None),
                step("generation", None, Some("the window ended in it")),
            ]),
            Some(15.0)
        );
        assert_eq!(of(vec![step("prompt", Some(1), None)]), None);
        // A step whose reads were not observed: a mean over the others would be of other tokens.
        let some = vec![
            step("generation", Some(1), None),
            step("generation", None, None),
        ];
        assert_eq!(of(some), None);
        assert_eq!(read.unit(), Unit::Bytes);
    }

    #[test]
    fn sums_grow_with_the_work_and_rates_do_not() {
        let grows = |name: &str| AcrossRuns::find(name).expect("a figure").grows();
        for name in [
            "reads.total_bytes",
            "reads.coverage",
            "reads.amplification",
            "time.wall_s",
            "phases.load.coverage",
        ] {
            assert!(grows(name), "{name}");
        }
        for name in [
            "tok/s",
            "gaps.backward.share",
            "latency_us.p99",
            "tokens.read_bytes",
            "tokens.major_faults",
        ] {
            assert!(!grows(name), "{name}");
        }
    }
}
