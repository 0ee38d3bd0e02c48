//! A whole record explained.

use serde::Serialize;

use crate::schema::{DeviceTestRecord, RunRecord};

use super::{
    Answer, CAUSES, Cause, Cost, Evidence, Facts, OWN_DOING, Storage, TimeSplit, Unit, storage,
    time_split,
};

/// What a record says, model by model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    pub models: Vec<ModelExplanation>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelExplanation {
    /// Path of the model.
    pub model: String,
    pub storage: Storage,
    /// What times are of: a token, or the run.
    pub unit: Unit,
    /// Where the time went. Null where waits were not observed.
    pub time: Option<TimeSplit>,
    /// Causes that are present, the most expensive first; those of which the record gives no time are last.
    pub causes: Vec<Found>,
    pub not_decided: Vec<Undecided>,
    pub absent: Vec<Absent>,
}

/// A cause that is present.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Found {
    pub name: &'static str,
    pub title: &'static str,
    pub only_likely: bool,
    pub cost: Option<Cost>,
    pub evidence: Vec<Evidence>,
    pub refuted_by: &'static str,
    pub advice: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Undecided {
    pub name: &'static str,
    pub title: &'static str,
    pub why: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Absent {
    pub name: &'static str,
    pub title: &'static str,
    pub why: String,
}

/// Explains a record. With a test of the device on the model's file more can be decided.
#[must_use]
pub fn explain(run: &RunRecord, device_test: Option<&DeviceTestRecord>) -> Explanation {
    let models = run
        .all_models()
        .map(|model| of_model(&Facts::new(run, model, device_test)))
        .collect();
    Explanation { models }
}

fn of_model(facts: &Facts<'_>) -> ModelExplanation {
    let mut explanation = ModelExplanation {
        model: facts.model.model.path.clone(),
        storage: storage(facts),
        unit: facts.unit(),
        time: time_split(facts),
        causes: Vec::new(),
        not_decided: Vec::new(),
        absent: Vec::new(),
    };
    let own_doing = facts.run.pressure.shown_experts.is_some();
    for cause in CAUSES {
        let Cause { name, title, .. } = *cause;
        let answer = if own_doing {
            Answer::NotDecided(OWN_DOING.to_owned())
        } else {
            (cause.decide)(facts)
        };
        match answer {
            Answer::Present(present) => explanation.causes.push(Found {
                name,
                title,
                only_likely: present.only_likely,
                cost: present.cost,
                evidence: present.evidence,
                refuted_by: cause.refuted_by,
                advice: match present.advice {
                    Some(advice) => format!("{advice} {}", cause.remedy),
                    None => cause.remedy.to_owned(),
                },
            }),
            Answer::NotDecided(why) => explanation.not_decided.push(Undecided { name, title, why }),
            Answer::Absent(why) => explanation.absent.push(Absent { name, title, why }),
        }
    }
    rank(&mut explanation.causes);
    explanation
}

/// The most expensive first. Equal ones keep the order of the catalogue.
pub(super) fn rank(causes: &mut [Found]) {
    let seconds = |found: &Found| found.cost.map_or(-1.0, |cost| cost.seconds);
    causes.sort_by(|one, other| seconds(other).total_cmp(&seconds(one)));
}
