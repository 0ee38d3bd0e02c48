//! Whether figures can be trusted, in words: what their self-checks say.

use crate::schema::Check;

use super::document::{Document, Table, Tone};

/// How many checks hold, and each that does not.
pub(super) fn of_checks(document: &mut Document, checks: &[Check]) {
    let checked = checks.iter().filter(|check| check.holds.is_some()).count();
    let violated: Vec<&Check> = checks
        .iter()
        .filter(|check| check.holds == Some(false))
        .collect();
    if checked == 0 {
        document.note(
            Tone::Caution,
            "No self-check could be made: nothing confirms these figures.",
        );
    } else if violated.is_empty() {
        document.note(Tone::Good, format!("{checked} self-checks, all hold."));
    } else {
        document.note(
            Tone::Alarm,
            format!(
                "{} of {checked} self-checks DO NOT HOLD; do not quote the figures they are about:",
                violated.len()
            ),
        );
        document.list(
            violated
                .into_iter()
                .map(|check| format!("{}: {} ≠ {}", check.name, check.left, check.right)),
        );
    }
}

/// Every check with both of its sides.
pub(super) fn table_of_checks(checks: &[Check]) -> Table {
    Table::new(["check", "", "one road", "other road"]).with_rows(checks.iter().map(|check| {
        let answer = match check.holds {
            Some(true) => "holds",
            Some(false) => "DOES NOT HOLD",
            None => "not observed",
        };
        [&check.name, answer, &check.left, &check.right]
    }))
}

#[cfg(test)]
mod tests {
    use crate::{
        report::document::{Document, markdown},
        schema::Check,
    };

    use super::of_checks;

    fn words(checks: &[Check]) -> String {
        let mut document = Document::default();
        of_checks(&mut document, checks);
        markdown(&document)
    }

    #[test]
    fn no_check_and_a_broken_check_do_not_read_like_checks_that_hold() {
        let holds = Check::equal("reads", ("kernel", 8), ("stream", 8));
        let broken = Check::equal("sectors", ("kernel", 8), ("stream", 7));
        assert_eq!(
            words(std::slice::from_ref(&holds)),
            "> 1 self-checks, all hold.\n"
        );
        assert!(words(&[]).contains("No self-check could be made"));
        let text = words(&[holds, broken]);
        assert!(text.contains("1 of 2 self-checks DO NOT HOLD"), "{text}");
        assert!(text.contains("- sectors: kernel: 8 ≠ stream: 7"), "{text}");
        assert!(!text.contains("all hold"), "{text}");
    }
}
