//! The study's open questions, each answered from the runs that are there, or with the plan of the runs that are missing.
//!
//! An answer claims what its rows show and no more: it names the runs, the pressure and the token counts, and where two
//! things were seen together it does not say that one caused the other.

mod cache_delta;
mod coverage;
mod memory;
mod missing;
mod rereads;
mod seeks;
mod threshold;

use crate::{
    report::markdown::{escaped, table},
    schema::ExperimentRecord,
};

use super::{
    groups::groups,
    setup::{quoted, standing},
};
use missing::Missing;

/// One question and what the runs say.
struct Answer {
    pub question: &'static str,
    /// What the rows show. Empty: nothing.
    pub claims: Vec<String>,
    /// What bounds it, and what is not shown.
    pub limits: Vec<String>,
    pub header: Vec<&'static str>,
    /// The rows used.
    pub rows: Vec<Vec<String>>,
    /// Runs that would answer it, or answer it better.
    pub missing: Vec<Missing>,
}

/// All six questions, as Markdown.
#[must_use]
pub fn answer(experiment: &ExperimentRecord) -> String {
    let mut text = format!(
        "# Answers from experiment {}\n\n",
        escaped(&experiment.name)
    );
    quoted(&mut text, &standing(experiment));
    let groups = groups(experiment);
    let answers = [
        coverage::answer(experiment, &groups),
        cache_delta::answer(&groups),
        threshold::answer(experiment, &groups),
        memory::answer(&groups),
        rereads::answer(&groups),
        seeks::answer(&groups),
    ];
    for (answer, number) in answers.iter().zip(1..) {
        text.push_str(&format!("## {number}. {}\n\n", answer.question));
        if answer.claims.is_empty() {
            text.push_str("Not answered by these runs.\n\n");
        }
        for claim in &answer.claims {
            text.push_str(&format!("* {}\n", escaped(claim)));
        }
        for limit in &answer.limits {
            text.push_str(&format!("* Limit: {}\n", escaped(limit)));
        }
        text.push('\n');
        if !answer.rows.is_empty() {
            text.push_str("Rows used:\n\n");
            table(&mut text, &answer.header, &answer.rows);
        }
        for missing in &answer.missing {
            text.push_str(&missing.text(experiment));
        }
    }
    text
}

#[cfg(test)]
mod tests;
