//! What happened, and whether the figures can be trusted, in words. Pure on the record.

use crate::{
    report::{
        document::{Document, Note, Text, Tone},
        verdict::of_checks,
    },
    schema::{ModelRecord, PhaseRecord, RunRecord},
    stats::formulas::{need_factor, quotient, ratio},
    units::{bytes, count, share},
};

use super::names::short;

/// Less than this beyond the unique bytes is not worth the word "again".
const READ_ONCE: f64 = 1.05;
/// From this coverage on "all of it" is no wrong word.
const WHOLE: f64 = 0.9995;
/// Below this share of the time, waiting for the disk is not what makes a token slow.
const HARDLY_WAITED: f64 = 0.01;
/// Phases in which tokens come, the one that says most first.
const DECODING: [&str; 3] = ["generation", "mixed", "inference"];

/// A run in words.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// What happened: a sentence or two for each model.
    pub happened: Vec<String>,
    /// How many self-checks hold, which do not, and what is incomplete.
    pub trust: Document,
    /// What a reader should know beside.
    pub notes: Vec<String>,
}

impl Verdict {
    /// All of it, the most important first.
    pub(super) fn write(self, document: &mut Document) {
        for sentence in self.happened {
            document.paragraph(sentence);
        }
        document.append(self.trust);
        for note in self.notes {
            document.note(Tone::Plain, Text::with_code(&format!("Note: {note}")));
        }
    }
}

/// What a record says.
#[must_use]
pub fn verdict(record: &RunRecord) -> Verdict {
    let reservations = reservations(record);
    let mut trust = Document::default();
    let checked = record.checks.iter().filter(|check| check.holds.is_some());
    match checked.count() {
        checked if checked > 0 && record.violations().next().is_none() => {
            if let Some(hidden) = hidden(record).filter(|_| reservations.is_empty()) {
                trust.note(
                    Tone::Good,
                    format!(
                        "{checked} self-checks, all hold. All figures are exact but latency, bandwidth and queue depth: {hidden}"
                    ),
                );
            } else if reservations.is_empty() {
                trust.note(
                    Tone::Good,
                    format!("These figures can be trusted: {checked} self-checks, all hold."),
                );
            } else {
                trust.note(
                    Tone::Caution,
                    format!("{checked} self-checks, all hold; but some figures are incomplete:"),
                );
            }
        }
        _ => of_checks(&mut trust, &record.checks),
    }
    if !reservations.is_empty()
        && let Some(hidden) = hidden(record)
    {
        trust.note(
            Tone::Caution,
            format!("INCOMPLETE: latency, bandwidth and queue depth: {hidden}"),
        );
    }
    trust.notes(reservations);
    Verdict {
        happened: record.all_models().map(happened).collect(),
        trust,
        notes: record.notes.clone(),
    }
}

fn happened(model: &ModelRecord) -> String {
    let mut words = reads(model);
    if let Some(tokens) = decoding(model).and_then(|phase| of_tokens(model, phase)) {
        words.push(' ');
        words.push_str(&tokens);
    }
    words
}

/// How much was read, and how much of it again.
fn reads(model: &ModelRecord) -> String {
    let name = short(&model.model.path);
    let Some(reads) = &model.reads else {
        let entered = model.page_cache.as_ref().map_or_else(
            || "what entered the page cache was not recorded".to_owned(),
            |pages| {
                format!(
                    "{} of it entered the page cache",
                    bytes(pages.inserted_bytes)
                )
            },
        );
        return format!(
            "How much of {name} was read from the disk is not known, since its sectors are not known: {entered}."
        );
    };
    if reads.amount.count == 0 {
        let resident = model
            .cache
            .before_bytes
            .map_or_else(String::new, |bytes_before| {
                format!(": {} were in memory before the start", bytes(bytes_before))
            });
        return format!("Nothing of {name} was read from the disk{resident}.");
    }
    let Some(amplification) = reads.amount.amplification else {
        return format!(
            "{} reads of {name} were sent to the disk, and nothing of them arrived.",
            count(reads.amount.count)
        );
    };
    let part = match reads.amount.coverage {
        Some(coverage) if coverage < WHOLE => format!("{} of {name}", share(Some(coverage))),
        _ => name.to_owned(),
    };
    if amplification < READ_ONCE {
        return format!(
            "{part} was read from the disk once, and hardly anything of it again: {} in all.",
            bytes(reads.amount.total_bytes)
        );
    }
    let again = reads
        .amount
        .total_bytes
        .saturating_sub(reads.amount.unique_bytes);
    let thrown_out = model
        .page_cache
        .as_ref()
        .is_some_and(|pages| pages.refaulted_bytes >= again / 2);
    format!(
        "{part} was read from the disk {amplification:.1} times over, {} for {}{}.",
        bytes(reads.amount.total_bytes),
        bytes(reads.amount.unique_bytes),
        if thrown_out {
            ", since it was thrown out of memory before it was needed again"
        } else {
            ""
        }
    )
}

/// The phase in which tokens came.
fn decoding(model: &ModelRecord) -> Option<&PhaseRecord> {
    let phases = model.phases.as_ref()?;
    DECODING
        .iter()
        .find_map(|name| phases.iter().find(|phase| phase.phase == *name))
        .filter(|phase| phase.steps > 0)
}

/// What a token read, needed, and waited.
fn of_tokens(model: &ModelRecord, phase: &PhaseRecord) -> Option<String> {
    let read = phase.read_bytes?;
    if read == 0 {
        return Some("Generating tokens read nothing.".to_owned());
    }
    let each = read / phase.steps;
    let needs: Option<Vec<u64>> = model
        .tokens
        .iter()
        .flatten()
        .filter(|token| token.phase == phase.phase)
        .map(|token| token.need_bytes)
        .collect();
    let need = needs
        .filter(|needs| needs.len() as u64 == phase.steps)
        .map(|needs| needs.iter().sum::<u64>() / phase.steps);
    let compared = need.and_then(|need| Some((need, need_factor(each, need)?)));
    let compared = compared.map_or_else(String::new, |(need, factor)| {
        if factor >= 1.0 {
            format!(", {factor:.1} times the {} that it uses", bytes(need))
        } else {
            format!(
                ", {} of the {} that it uses",
                share(Some(factor)),
                bytes(need)
            )
        }
    });
    let waited = phase
        .waits
        .stall_s
        .and_then(|stall| quotient(stall, phase.duration_s))
        .map_or_else(String::new, |part| {
            if part < HARDLY_WAITED {
                format!(
                    "; the engine hardly waited for it ({} of that time)",
                    share(Some(part))
                )
            } else {
                format!(
                    "; {} of that time a thread of the engine waited for it",
                    share(Some(part))
                )
            }
        });
    Some(format!(
        "A generated token read {} on average{compared}{waited}.",
        bytes(each)
    ))
}

/// Reads whose end the kernel showed to no program, among all of the devices'. Every other figure is exact all the same.
fn hidden(record: &RunRecord) -> Option<String> {
    let unseen = record.loss.unseen_completions;
    let reads = record.devices.iter().map(|device| device.reads).sum();
    (unseen > 0).then(|| {
        format!(
            "they leave out {} of {} reads ({}), whose end this kernel hid from all programs (docs/KERNELS.md).",
            count(unseen),
            count(reads),
            share(ratio(unseen, reads))
        )
    })
}

/// What is incomplete, and what is exact all the same.
fn reservations(record: &RunRecord) -> Vec<Note> {
    let mut notes = Vec::new();
    let mut caution = |words: String| notes.push(Note::new(Tone::Caution, Text::with_code(&words)));
    let loss = &record.loss;
    if loss.ring_buffer_records > 0 {
        caution(format!(
            "INCOMPLETE: {} records were lost (`--ring-buffer` makes room for more). {}",
            loss.ring_buffer_records,
            missed_by_losses(record)
        ));
    }
    if loss.late_issues > 0 {
        caution(format!(
            "INCOMPLETE: the kernel skipped the programs for the issue of {} reads, which were noticed when they completed. Reads, bytes and unique bytes are exact all the same; their order, phase and latency are not.",
            loss.late_issues
        ));
    }
    if record.partial {
        caution(format!(
            "PARTIAL: {}",
            record
                .partial_reason
                .as_deref()
                .unwrap_or("the window does not cover the whole run")
        ));
    }
    notes
}

/// Which figures miss the lost records. Where the kernel counts, reads and bytes do not.
fn missed_by_losses(record: &RunRecord) -> String {
    let loss = &record.loss;
    let counted = record
        .all_models()
        .filter_map(|model| model.reads.as_ref())
        .all(|reads| reads.writes.is_some());
    let of_requests =
        loss.ring_buffer_issues + loss.ring_buffer_completions + loss.ring_buffer_requeues;
    let mut missed = Vec::new();
    if of_requests > 0 {
        if !counted {
            missed.push("reads and bytes");
        }
        missed.push("latency, bandwidth, order, request sizes and phases");
    }
    if loss.ring_buffer_pages > 0 {
        missed.push("the page cache by phase and tensor");
    }
    if loss.ring_buffer_waits > 0 {
        missed.push("stalls");
    }
    if loss.ring_buffer_marks > 0 {
        missed.push("phases and steps");
    }
    if loss.ring_buffer_stages > 0 {
        missed.push("the audit");
    }
    let exact = if counted {
        " Reads, bytes, unique bytes and gap classes are counted in the kernel and exact all the same."
    } else {
        ""
    };
    if missed.is_empty() {
        return exact.trim().to_owned();
    }
    format!("They are missing in {}.{exact}", missed.join("; in "))
}

#[cfg(test)]
mod tests;
