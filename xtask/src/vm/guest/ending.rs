//! How a job in a guest ended, from what the guest reported before it went.

use std::{fmt, time::Duration};

use crate::vm::case_result::CaseResult;

/// How QEMU ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself: what that means is in the guest's report.
    ByItself,
    /// The limit was over.
    OutOfTime(Duration),
}

/// Lines of the console that are shown of a machine that died.
const LAST_LINES: usize = 30;

/// By these words the kernel says what is wrong, often more than so many lines before its end.
const TROUBLE: [&str; 5] = ["BUG:", "Kernel panic", "Oops", "RIP:", "WARNING:"];

/// How a machine ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ending {
    /// What happened to it.
    pub how: How,
    /// What the tests on the kernel reported until then.
    pub cases: Vec<CaseResult>,
}

/// What happened to a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// Its job ended with this status.
    Finished(u8),
    /// It ended before its job: what it said last.
    Died(String),
    /// It was stopped after so many seconds: what it said last.
    OutOfTime(u64, String),
}

impl Ending {
    /// Puts together what is known of a machine that has ended.
    pub fn parse(report: &str, ended: Ended, console: &str) -> Self {
        let status = report
            .lines()
            .find_map(|line| line.trim().strip_prefix("exit "))
            .and_then(|status| status.parse().ok());
        let cases = report
            .lines()
            // A line that was cut short by the machine's end says nothing.
            .filter_map(|line| CaseResult::parse(line.trim()))
            .collect();
        let how = match (status, ended) {
            (Some(status), _) => How::Finished(status),
            (None, Ended::ByItself) => How::Died(last_lines(console)),
            (None, Ended::OutOfTime(limit)) => How::OutOfTime(limit.as_secs(), last_lines(console)),
        };
        Self { how, cases }
    }

    /// The job's status, where it has one.
    pub fn status(&self) -> Option<u8> {
        match self.how {
            How::Finished(status) => Some(status),
            How::Died(_) | How::OutOfTime(..) => None,
        }
    }
}

impl fmt::Display for How {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let console = match self {
            Self::Finished(status) => return write!(formatter, "its job ended with {status}"),
            Self::Died(console) => {
                formatter.write_str("the machine died before its job ended")?;
                console
            }
            Self::OutOfTime(seconds, console) => {
                write!(formatter, "the machine was stopped after {seconds} s")?;
                console
            }
        };
        if console.is_empty() {
            formatter.write_str("; its console is empty")
        } else {
            write!(formatter, "; its console ends with:\n{console}")
        }
    }
}

fn last_lines(console: &str) -> String {
    let lines: Vec<&str> = console
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .collect();
    let first = lines.len().saturating_sub(LAST_LINES);
    lines
        .iter()
        .enumerate()
        .filter(|(number, line)| *number >= first || TROUBLE.iter().any(|word| line.contains(word)))
        .map(|(_, line)| *line)
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::case_result::Outcome;

    #[test]
    fn the_status_is_the_jobs_and_the_cases_come_with_it() {
        let report = "{\"name\":\"a::b\",\"outcome\":\"passed\"}\n\
            {\"name\":\"c\",\"outcome\":\"skipped\",\"reason\":\"no x\"}\nexit 3\n";
        let ending = Ending::parse(report, Ended::ByItself, "noise");
        assert_eq!(ending.status(), Some(3));
        let found: Vec<_> = ending
            .cases
            .iter()
            .map(|case| (case.name.as_str(), case.outcome, case.reason.as_deref()))
            .collect();
        assert_eq!(
            found,
            [
                ("a::b", Outcome::Passed, None),
                ("c", Outcome::Skipped, Some("no x"))
            ]
        );
    }

    #[test]
    fn a_panic_is_no_success_and_shows_the_consoles_end() {
        let console: String = (0..100).map(|line| format!("line {line}\r\n\n")).collect();
        let report = "{\"name\":\"a\",\"outcome\":\"started\"}\n{\"name\":\"a\",\"outc";
        let ending = Ending::parse(report, Ended::ByItself, &console);
        assert_eq!(ending.status(), None);
        assert_eq!(ending.cases.len(), 1);
        let text = ending.how.to_string();
        assert!(
            text.contains("died") && text.ends_with("\nline 98\nline 99"),
            "{text}"
        );
        assert!(
            !text.contains("line 69\n") && text.contains("line 70\n"),
            "{text}"
        );
    }

    #[test]
    fn what_the_kernel_died_of_is_shown_wherever_it_stands() {
        let noise: String = (0..50).map(|line| format!("line {line}\n")).collect();
        let console = format!("{noise}[ 1.0] Kernel panic - not syncing: x\n{noise}");
        let text = Ending::parse("", Ended::ByItself, &console).how.to_string();
        assert!(text.contains("not syncing: x\nline 20\n"), "{text}");
    }

    #[test]
    fn a_machine_that_was_stopped_says_when() {
        let ending = Ending::parse("", Ended::OutOfTime(Duration::from_secs(9)), "");
        let text = ending.how.to_string();
        assert!(
            text.contains("after 9 s") && text.contains("empty"),
            "{text}"
        );
        // Its job had ended; only switching off took too long.
        let ending = Ending::parse("exit 0\n", Ended::OutOfTime(Duration::from_secs(9)), "");
        assert_eq!(ending.status(), Some(0));
    }
}
