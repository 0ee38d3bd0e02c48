//! What engines are called in the metrics.

use std::collections::BTreeMap;

use super::engine::EngineKey;

/// Names of the engines that are there, each another.
#[derive(Debug, Default)]
pub struct Labels(BTreeMap<EngineKey, String>);

impl Labels {
    /// `llama-server`, and `llama-server #2` where there is one already: the lowest number that nobody has, so that an engine that is
    /// started anew goes on with the series of before.
    pub fn of(&mut self, engine: EngineKey, name: &str) -> String {
        if let Some(label) = self.0.get(&engine) {
            return label.clone();
        }
        let is_free = |label: &String| self.0.values().all(|taken| taken != label);
        let numbered = (2..).map(|number| format!("{name} #{number}"));
        let label = std::iter::once(name.to_owned())
            .chain(numbered)
            .find(is_free)
            .unwrap_or_default();
        self.0.insert(engine, label.clone());
        label
    }

    /// Forgets engines that are gone.
    pub fn keep(&mut self, exists: impl Fn(EngineKey) -> bool) {
        self.0.retain(|engine, _| exists(*engine));
    }
}

#[cfg(test)]
mod tests {
    use super::{EngineKey, Labels};

    #[test]
    fn an_engine_that_is_started_anew_gets_the_name_of_before() {
        let key = |pid| EngineKey {
            start_time_ticks: 1,
            pid,
        };
        let mut labels = Labels::default();
        for (pid, label) in [(1, "x"), (2, "x #2"), (3, "x #3"), (2, "x #2")] {
            assert_eq!(labels.of(key(pid), "x"), label);
        }
        labels.keep(|engine| engine != key(2));
        assert_eq!(labels.of(key(4), "x"), "x #2");
        assert_eq!(labels.of(key(5), "y"), "y");
    }
}
