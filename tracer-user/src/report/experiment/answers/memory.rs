//! 4. What is the memory beside the file made of?

use crate::{
    figures::Unit,
    report::experiment::{
        groups::{Group, Traced},
        memory_tables::{ANONYMOUS_PURPOSES, beside_bytes, buffers, resident_bytes},
    },
    schema::PlannedPressure,
    stats::experiment::bootstrap::median,
};

use super::{Answer, Missing};

fn peak(
    run: &Traced<'_>,
    pick: fn(&crate::schema::PeakMemoryRecord) -> Option<u64>,
) -> Option<f64> {
    Some(pick(run.record.process.peak.as_ref()?)? as f64)
}

/// RssAnon − all anonymous buffers that the log names.
fn unnamed(run: &Traced<'_>) -> Option<f64> {
    Some(peak(run, |peak| peak.anonymous_bytes)? - buffers(run, &ANONYMOUS_PURPOSES)?)
}

pub(super) fn answer(groups: &[Group<'_>]) -> Answer {
    let used: Vec<&Group<'_>> = groups
        .iter()
        .filter(|group| !group.figures(beside_bytes).is_empty())
        .collect();
    let rows = used
        .iter()
        .map(|group| {
            let logged = |purposes: &'static [&'static str]| {
                group.show(Unit::Bytes, move |run| buffers(run, purposes))
            };
            vec![
                group.class.name().to_owned(),
                group.label(),
                group.count(),
                group.show(Unit::Bytes, |run| Some(run.model.model.size_bytes as f64)),
                group.show(Unit::Bytes, resident_bytes),
                group.show(Unit::Bytes, |run| peak(run, |peak| peak.file_bytes)),
                group.show(Unit::Bytes, |run| peak(run, |peak| peak.anonymous_bytes)),
                group.show(Unit::Bytes, |run| {
                    peak(run, |peak| peak.shared_memory_bytes)
                }),
                group.show(Unit::Bytes, |run| peak(run, |peak| peak.page_table_bytes)),
                logged(&["repack"]),
                logged(&["kv_cache", "recurrent_state"]),
                logged(&["compute", "input", "output"]),
                logged(&["model", "adapter"]),
                group.show(Unit::Bytes, unnamed),
            ]
        })
        .collect();
    let claims = used
        .iter()
        .filter(|group| group.pressure == PlannedPressure::None)
        .filter_map(|group| claim(group))
        .collect();
    Answer {
        question: "What is the memory beside the file made of?",
        claims,
        limits: vec![
            "RSS is the largest of samples 200 ms apart; a buffer counts with the size that the log states, though pages of it that were never touched are not resident.".into(),
        ],
        header: vec![
            "pressure", "cell", "runs", "size", "RssFile + RssAnon", "RssFile", "RssAnon",
            "RssShmem", "page tables", "repacked", "KV cache and state", "compute and output",
            "weights of its own", "RssAnon − named",
        ],
        rows,
        missing: missing(groups),
    }
}

fn claim(group: &Group<'_>) -> Option<String> {
    let middle = |pick: &dyn Fn(&Traced<'_>) -> Option<f64>| median(&group.figures(pick));
    let beside = middle(&beside_bytes).filter(|bytes| *bytes > 0.0)?;
    let part = |name: &str, bytes: f64| {
        format!(
            "{name} {} ({})",
            Unit::Bytes.show(bytes),
            Unit::Share.show(bytes / beside)
        )
    };
    let anonymous = middle(&|run| peak(run, |peak| peak.anonymous_bytes))?;
    let mut parts = vec![part("anonymous", anonymous)];
    let tables = middle(&|run| peak(run, |peak| peak.page_table_bytes))?;
    parts.push(part("page tables", tables));
    let named: Vec<String> = [
        ("repacked weights", &["repack"][..]),
        ("KV cache and state", &["kv_cache", "recurrent_state"]),
        ("compute, input and output", &["compute", "input", "output"]),
        ("weights of its own", &["model", "adapter"]),
    ]
    .into_iter()
    .filter_map(|(name, purposes)| {
        let bytes = middle(&|run| buffers(run, purposes)).filter(|bytes| *bytes > 0.0)?;
        Some(part(name, bytes))
    })
    .collect();
    let inside = match middle(&unnamed) {
        None => {
            "the log named no buffer, so what the anonymous part is for is not known".to_owned()
        }
        Some(rest) if rest < 0.0 => format!(
            "the log names {}: {} more than was resident, so not all of it had been touched",
            named.join(", "),
            Unit::Bytes.show(-rest)
        ),
        Some(rest) => format!(
            "of the anonymous part the log names {}; {} it does not name",
            if named.is_empty() {
                "nothing".to_owned()
            } else {
                named.join(", ")
            },
            Unit::Bytes.show(rest)
        ),
    };
    Some(format!(
        "{}: {} beside the file, of which {}; {inside}.",
        group.label(),
        Unit::Bytes.show(beside),
        parts.join(", ")
    ))
}

fn missing(groups: &[Group<'_>]) -> Vec<Missing> {
    let mut models: Vec<String> = groups
        .iter()
        .filter_map(|group| group.runs.first()?.run.cell.get("model").cloned())
        .collect();
    models.sort_unstable();
    models.dedup();
    if models.is_empty() {
        return vec![Missing {
            why: "runs without pressure".into(),
            template: "memory",
            repetitions: 3,
            axes: Vec::new(),
        }];
    }
    let has = |model: &String, test: &dyn Fn(&Traced<'_>) -> bool| {
        groups
            .iter()
            .filter(|group| group.pressure == PlannedPressure::None)
            .flat_map(Group::sound)
            .any(|run| run.run.cell.get("model") == Some(model) && test(run))
    };
    let ask = |models: Vec<String>, why: &str| {
        (!models.is_empty()).then(|| Missing {
            why: format!("{}: {why}", models.join(", ")),
            template: "memory",
            repetitions: 3,
            axes: vec![
                ("model".into(), models),
                ("pressure".into(), vec!["none".into()]),
            ],
        })
    };
    let (sampled, unsampled): (Vec<String>, Vec<String>) = models
        .into_iter()
        .partition(|model| has(model, &|run| beside_bytes(run).is_some()));
    let silent: Vec<String> = sampled
        .into_iter()
        .filter(|model| !has(model, &|run| unnamed(run).is_some()))
        .collect();
    [
        ask(
            unsampled,
            "runs without pressure with a sample of the resident set",
        ),
        ask(
            silent,
            "runs whose log states the buffers (llama.cpp of 2026: -lv 4 in the command)",
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}
