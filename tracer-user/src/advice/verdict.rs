//! Two sentences for the top of a report.

use super::{Explanation, Found, ModelExplanation, Storage};

/// For each model: whether it is storage, then the most expensive cause and what to do, or where the time is.
#[must_use]
pub fn verdict(explanation: &Explanation) -> Vec<String> {
    explanation.models.iter().map(of_model).collect()
}

fn of_model(model: &ModelExplanation) -> String {
    let first = model.storage.sentence();
    let second = match &model.storage {
        Storage::No { .. } => model.time.as_ref().and_then(|time| {
            let rest = time.parts.iter().find(|part| part.name == "rest")?;
            Some(format!(
                "{:.0} % of the time or more went into computing, or into what this tool does not watch.",
                (rest.share * 100.0).floor()
            ))
        }),
        Storage::Yes { .. } => Some(model.causes.iter().find(|cause| cause.cost.is_some()).map_or_else(
            || "Which cause it is, this record does not decide: `tracer explain` says what would.".to_owned(),
            |cause| why(cause, model),
        )),
        Storage::NotDecided { .. } => None,
    };
    match second {
        Some(second) => format!("{first} {second}"),
        None => first.to_owned(),
    }
}

fn why(cause: &Found, model: &ModelExplanation) -> String {
    let cost = cause.cost.map_or_else(String::new, |cost| {
        format!(" ({})", super::document::cost(cost, model.unit))
    });
    let likely = if cause.only_likely {
        "Most likely cause"
    } else {
        "First cause"
    };
    format!(
        "{likely}: {}{cost}; `tracer explain` says what to do.",
        uncapitalised(cause.title)
    )
}

fn uncapitalised(title: &str) -> String {
    let mut letters = title.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(letters).collect()
    })
}
