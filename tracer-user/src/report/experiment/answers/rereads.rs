//! 5. What is read again, and do experts change the pattern?

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    figures::Unit,
    report::experiment::{
        groups::{Group, Traced},
        tables::memory::resident_bytes,
    },
    stats::formulas::quotient,
};

use super::{missing::Missing, question::Answer};

/// Bytes of one kind of tensor, summed over sound runs.
#[derive(Clone, Copy, Default)]
struct Sum {
    bytes: f64,
    read_bytes: f64,
    again_bytes: f64,
}

impl Sum {
    fn add(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.read_bytes += other.read_bytes;
        self.again_bytes += other.again_bytes;
    }
}

fn kinds(group: &Group<'_>) -> BTreeMap<String, Sum> {
    let mut kinds: BTreeMap<String, Sum> = BTreeMap::new();
    for tensor in group.sound().filter_map(tensors).flatten() {
        kinds.entry(tensor.kind.clone()).or_default().add(Sum {
            bytes: tensor.bytes as f64,
            read_bytes: tensor.read_bytes.unwrap_or(0) as f64,
            again_bytes: tensor.refaults_bytes.unwrap_or(0) as f64,
        });
    }
    kinds
}

/// The tensors of a run whose reads and page-cache events are both known, for all of them.
fn tensors<'a>(run: &Traced<'a>) -> Option<&'a [crate::schema::TensorRecord]> {
    let tensors = run.model.tensors.as_deref()?;
    let known = tensors
        .iter()
        .all(|tensor| tensor.read_bytes.is_some() && tensor.refaults_bytes.is_some());
    known.then_some(tensors)
}

fn again(group: &Group<'_>) -> f64 {
    kinds(group).values().map(|sum| sum.again_bytes).sum()
}

/// Read / size of every (layer, expert), over all sound runs together.
fn experts(group: &Group<'_>) -> Vec<f64> {
    let mut experts: BTreeMap<(Option<u32>, u32), Sum> = BTreeMap::new();
    for tensor in group.sound().filter_map(tensors).flatten() {
        if let Some(expert) = tensor.expert {
            experts.entry((tensor.layer, expert)).or_default().add(Sum {
                bytes: tensor.bytes as f64,
                read_bytes: tensor.read_bytes.unwrap_or(0) as f64,
                again_bytes: 0.0,
            });
        }
    }
    let sums = experts.values();
    sums.filter_map(|sum| quotient(sum.read_bytes, sum.bytes))
        .collect()
}

pub(super) fn answer(groups: &[Group<'_>]) -> Answer {
    let used: Vec<&Group<'_>> = groups.iter().filter(|group| again(group) > 0.0).collect();
    let mut rows = Vec::new();
    let mut claims = Vec::new();
    for group in &used {
        let kinds = Kinds::of(group);
        rows.extend(kinds.rows(group));
        claims.push(kinds.claim(group));
        let experts = experts(group);
        if !experts.is_empty() {
            claims.push(format!(
                "{}: its {} experts (layer by layer) were read {} times their size.",
                group.label(),
                experts.len(),
                Unit::Factor.show_range(&experts)
            ));
        }
    }
    Answer {
        question: "What is re-read: embeddings, norms, shared tensors, which experts? Does MoE change the pattern?",
        claims,
        limits: limits(&used),
        header: vec![
            "pressure",
            "cell",
            "runs",
            "kind",
            "size",
            "of the model",
            "read a run",
            "read / size",
            "came back a run",
            "of all that came back",
        ],
        rows,
        missing: missing(groups, &used),
    }
}

/// What each kind of tensor of a group was read, those first of which most came back.
struct Kinds {
    sums: Vec<(String, Sum)>,
    all: Sum,
    /// Runs that the sums are over.
    runs: f64,
}

impl Kinds {
    fn of(group: &Group<'_>) -> Self {
        let mut sums: Vec<(String, Sum)> = kinds(group).into_iter().collect();
        sums.sort_by(|(_, one), (_, other)| other.again_bytes.total_cmp(&one.again_bytes));
        let mut all = Sum::default();
        for (_, sum) in &sums {
            all.add(*sum);
        }
        let runs = group.sound().filter(|run| tensors(run).is_some()).count();
        Self {
            sums,
            all,
            runs: runs.max(1) as f64,
        }
    }

    fn rows(&self, group: &Group<'_>) -> Vec<Vec<String>> {
        let (all, runs) = (self.all, self.runs);
        let rows = self.sums.iter().map(|(kind, sum)| {
            let read_for_size = quotient(sum.read_bytes, sum.bytes).unwrap_or(0.0);
            vec![
                group.class.name().to_owned(),
                group.label(),
                runs.to_string(),
                kind.replace('_', " "),
                Unit::Bytes.show(sum.bytes / runs),
                Unit::Share.show_observed(quotient(sum.bytes, all.bytes)),
                Unit::Bytes.show(sum.read_bytes / runs),
                Unit::Factor.show(read_for_size),
                Unit::Bytes.show(sum.again_bytes / runs),
                Unit::Share.show_observed(quotient(sum.again_bytes, all.again_bytes)),
            ]
        });
        rows.collect()
    }

    fn claim(&self, group: &Group<'_>) -> String {
        let parts: Vec<String> = self
            .sums
            .iter()
            .filter(|(_, sum)| sum.again_bytes > 0.0)
            .map(|(kind, sum)| {
                format!(
                    "{} {} ({} of the model)",
                    kind.replace('_', " "),
                    Unit::Share.show_observed(quotient(sum.again_bytes, self.all.again_bytes)),
                    Unit::Share.show_observed(quotient(sum.bytes, self.all.bytes))
                )
            })
            .collect();
        format!(
            "{}: of {} that came back after an eviction in a run, {}.",
            group.label(),
            Unit::Bytes.show(self.all.again_bytes / self.runs),
            parts.join(", ")
        )
    }
}

/// Whether a group's model has routed experts.
fn has_experts(group: &Group<'_>) -> bool {
    group.runs.iter().any(|run| {
        run.model
            .model
            .experts
            .is_some_and(|experts| experts.count > 0)
            || tensors(run)
                .is_some_and(|tensors| tensors.iter().any(|tensor| tensor.expert.is_some()))
    })
}

fn limits(used: &[&Group<'_>]) -> Vec<String> {
    let sides: BTreeSet<bool> = used.iter().map(|group| has_experts(group)).collect();
    let mut limits = Vec::new();
    if sides.len() == 1 {
        limits.push("models with and without routed experts did not both re-read: whether MoE changes the pattern is not shown.".to_owned());
    } else if sides.len() == 2 {
        limits.push("models with and without experts differ in more than that (size, quantisation, memory / size): the rows show the pattern of each, not its cause.".to_owned());
    }
    limits
}

fn missing(groups: &[Group<'_>], used: &[&Group<'_>]) -> Vec<Missing> {
    let cell_model = |group: &Group<'_>| group.runs.first()?.run.cell.get("model").cloned();
    let read_again: BTreeSet<String> = used.iter().filter_map(|group| cell_model(group)).collect();
    let mut plans: BTreeMap<String, Missing> = BTreeMap::new();
    for group in groups {
        let (Some(model), Some(run)) = (cell_model(group), group.runs.first()) else {
            continue;
        };
        if read_again.contains(&model) {
            continue;
        }
        let needed = resident_bytes(run).map_or(run.model.model.size_bytes, |bytes| bytes as u64);
        plans.entry(model.clone()).or_insert_with(|| Missing {
            why: format!("runs of {} in which something is read again (less memory than it needs), with page records", group.model),
            template: "rereads",
            repetitions: 3,
            axes: vec![
                ("model".into(), vec![model]),
                ("pressure".into(), [7, 6, 4].map(|eighths| format!("memory-max={}", needed / 8 * eighths)).into()),
            ],
        });
    }
    let mut missing: Vec<Missing> = plans.into_values().collect();
    let sides: BTreeSet<bool> = groups.iter().map(has_experts).collect();
    if sides.len() < 2 {
        missing.push(Missing {
            why: "a model with routed experts and one without".into(),
            template: "rereads",
            repetitions: 3,
            axes: Vec::new(),
        });
    }
    missing
}
