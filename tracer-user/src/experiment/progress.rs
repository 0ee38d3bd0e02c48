//! How far an experiment is: one line that changes where there is a terminal, else a line for each run.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::estimate::in_words;

/// Shows how far it is.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    /// What became of the last run.
    last: Option<String>,
}

impl Progress {
    /// `done` of `total` runs were made before.
    #[must_use]
    pub fn new(total: usize, done: usize) -> Self {
        let bar = ProgressBar::new(total as u64).with_position(done as u64);
        // The template is a constant; where it were wrong, the plain bar would do. What finds no room is cut: a line that
        // breaks could not be written over.
        if let Ok(style) = ProgressStyle::with_template("{pos} of {len} made {bar:16} {wide_msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_secs(1));
        Self { bar, last: None }
    }

    /// A run begins: what it is, and how long the runs that are missing take together.
    pub fn begin(&self, directory: &str, description: &str, left: Option<Duration>) {
        let words = words(description, self.last.as_deref(), left);
        if self.bar.is_hidden() {
            let total = self.bar.length().unwrap_or_default();
            let position = self.bar.position() + 1;
            eprintln!("tracer: {position} of {total}, {directory}: {words}");
        } else {
            self.bar.set_message(words);
        }
    }

    /// A run is over.
    pub fn end(
        &mut self,
        directory: &str,
        wall: Duration,
        failure: Option<&str>,
        tokens_per_s: Option<f64>,
    ) {
        self.bar.inc(1);
        self.last = Some(result(wall, failure.is_some(), tokens_per_s));
        if let Some(failure) = failure {
            self.say(&format!(
                "tracer: {directory} failed after {}: {failure}",
                in_words(wall)
            ));
        }
    }

    /// A search goes on.
    pub fn extend(&self, total: usize) {
        self.bar.set_length(total as u64);
    }

    /// A line that stays.
    pub fn say(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn words(description: &str, last: Option<&str>, left: Option<Duration>) -> String {
    let mut words = description.to_owned();
    if let Some(last) = last {
        words.push_str(&format!("; the last: {last}"));
    }
    if let Some(left) = left {
        words.push_str(&format!("; about {} left", in_words(left)));
    }
    words
}

fn result(wall: Duration, failed: bool, tokens_per_s: Option<f64>) -> String {
    let took = in_words(wall);
    match tokens_per_s {
        _ if failed => format!("failed after {took}"),
        Some(rate) => format!("{rate:.2} tokens/s in {took}"),
        None => format!("{took}, tokens/s unknown"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{result, words};

    #[test]
    fn a_line_says_what_runs_how_the_last_one_went_and_how_long_it_takes() {
        let seconds = Duration::from_secs;
        assert_eq!(words("limit 102.86 MiB", None, None), "limit 102.86 MiB");
        let last = result(seconds(12), false, Some(4.1));
        assert_eq!(
            words("limit 102.86 MiB", Some(&last), Some(seconds(451))),
            "limit 102.86 MiB; the last: 4.10 tokens/s in 12s; about 7m 31s left"
        );
        assert_eq!(result(seconds(3), true, Some(4.1)), "failed after 3s");
    }
}
