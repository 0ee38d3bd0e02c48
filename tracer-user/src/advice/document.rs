//! Words that several views need, and the catalogue of causes for `docs/ADVICE.md`.

use super::{CAUSES, Cost, CostKind, Unit};

/// A cost in words: `about 0.12 s a token`.
#[must_use]
pub fn cost(cost: Cost, unit: Unit) -> String {
    let kind = match cost.kind {
        CostKind::AtMost => "at most",
        CostKind::About => "about",
    };
    let time = if cost.seconds < 0.1 {
        format!("{:.2} ms", cost.seconds * 1000.0)
    } else {
        format!("{:.2} s", cost.seconds)
    };
    format!("{kind} {time} {}", unit.words())
}

/// Every cause, as the document shows it.
#[must_use]
pub fn catalogue() -> String {
    CAUSES
        .iter()
        .map(|cause| {
            format!(
                "### {}\n\n`{}`\n\n* **Present when** {}\n* **Refuted by** {}\n* **What to do:** {}\n",
                cause.title, cause.name, cause.bounds, cause.refuted_by, cause.remedy
            )
        })
        .collect::<Vec<_>>()
        .join("\n")
}
