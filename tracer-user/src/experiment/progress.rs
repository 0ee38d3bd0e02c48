//! How far an experiment is: a bar where there is a terminal, else a line for each run.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::estimate::in_words;

/// Shows how far it is.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// `done` of `total` runs were made before.
    #[must_use]
    pub fn new(total: usize, done: usize) -> Self {
        let bar = ProgressBar::new(total as u64).with_position(done as u64);
        // The template is a constant; where it were wrong, the plain bar would do.
        if let Ok(style) = ProgressStyle::with_template("{pos} of {len} made {wide_bar} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_secs(1));
        Self { bar }
    }

    pub fn begin(&self, directory: &str, description: &str, left: Option<Duration>) {
        let left = left.map_or_else(String::new, |left| {
            format!(", about {} left", in_words(left))
        });
        if self.bar.is_hidden() {
            let total = self.bar.length().unwrap_or_default();
            let position = self.bar.position() + 1;
            eprintln!("tracer: {position} of {total}, {directory}: {description}{left}");
        } else {
            self.bar.set_message(format!("{description}{left}"));
        }
    }

    /// A run is over.
    pub fn end(&self, directory: &str, wall: Duration, failure: Option<&str>) {
        self.bar.inc(1);
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
