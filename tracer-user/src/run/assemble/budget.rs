//! What the record says of the budget.

use crate::schema::{BudgetMeasurement, BudgetRecord, RunRecord};

/// Puts it into the record, with a note where it was exceeded.
pub fn add_budget(record: &mut RunRecord, budget: Option<BudgetRecord>) {
    let Some(budget) = budget else {
        return;
    };
    if let Some(measured) = &budget.stepped_down {
        record.notes.push(format!(
            "{}, more than the {} % of --budget: since then nothing gives a record, and the run is one of `counts`, from its start on",
            cost(measured),
            budget.percent
        ));
    }
    let last = budget.last.as_ref();
    if let Some(measured) = last.filter(|last| last.percent() > budget.percent)
        && budget.stepped_down.as_ref() != last
    {
        let level = record.detail.as_deref().unwrap_or("events");
        record.notes.push(format!(
            "{}, more than the {} % of --budget, and there is nothing below level `{level}` that this run could step down to",
            cost(measured),
            budget.percent
        ));
    }
    record.overhead.budget = Some(budget);
}

fn cost(measured: &BudgetMeasurement) -> String {
    format!(
        "after {:.1} s tracing cost {:.2} % of the CPU time of all CPUs (programs {:.2} %{}, tracer {:.2} %)",
        measured.at_s,
        measured.percent(),
        measured.programs_percent,
        if measured.estimated {
            " by estimate"
        } else {
            ""
        },
        measured.tracer_percent
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(at_s: f64, programs_percent: f64) -> Option<BudgetMeasurement> {
        Some(BudgetMeasurement {
            at_s,
            programs_percent,
            tracer_percent: 0.5,
            estimated: false,
        })
    }

    fn notes(
        stepped_down: Option<BudgetMeasurement>,
        last: Option<BudgetMeasurement>,
    ) -> Vec<String> {
        let mut record = RunRecord {
            detail: Some("counts".to_owned()),
            ..RunRecord::default()
        };
        let budget = BudgetRecord {
            percent: 1.0,
            measurements: 2,
            highest: last,
            last,
            stepped_down,
        };
        add_budget(&mut record, Some(budget.clone()));
        assert_eq!(record.overhead.budget, Some(budget));
        record.notes
    }

    #[test]
    fn a_budget_that_was_kept_needs_no_word() {
        assert_eq!(notes(None, measured(1.0, 0.5)), [""; 0]);
        assert_eq!(notes(None, None), [""; 0]);
    }

    #[test]
    fn stepping_down_is_said_with_time_and_cost() {
        let notes = notes(measured(1.1, 2.0), measured(2.2, 0.1));
        assert_eq!(notes.len(), 1);
        assert!(
            notes[0].contains("after 1.1 s tracing cost 2.50 %"),
            "{notes:?}"
        );
    }

    #[test]
    fn what_is_still_too_much_is_said() {
        let both = notes(measured(1.1, 2.0), measured(2.2, 0.9));
        assert_eq!(both.len(), 2);
        // The run ended before anything was measured after the step.
        assert_eq!(notes(measured(1.1, 2.0), measured(1.1, 2.0)).len(), 1);
        assert!(notes(None, measured(3.0, 1.0))[0].contains("nothing below level `counts`"));
    }
}
