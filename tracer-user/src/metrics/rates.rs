//! Exported counters as what people call them, for conditions on how fast they grow.

use crate::figures::Unit;

use super::exported::{EXPORTED, Kind, Of};

/// A counter of a model that is exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Names that it can be asked for by: the middle of its metric's name, its member of `run.json`, the last part of that.
    pub names: Vec<String>,
    /// Its metric.
    pub metric: String,
    /// It counts bytes.
    pub is_bytes: bool,
}

/// All of them, in the order of the output.
#[must_use]
pub fn rates() -> Vec<Rate> {
    EXPORTED
        .iter()
        .filter(|exported| exported.kind == Kind::Counter)
        .filter_map(|exported| {
            let Of::Model(figure, _) = &exported.of else {
                return None;
            };
            let mut names = vec![exported.stem().to_owned(), figure.member.to_owned()];
            // `count` is the last part of several.
            let last = figure.member.rsplit('.').next().unwrap_or_default();
            if last != "count" && !names.iter().any(|name| name == last) {
                names.push(last.to_owned());
            }
            Some(Rate {
                names,
                metric: exported.name(),
                is_bytes: figure.unit == Unit::Bytes,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::rates;

    #[test]
    fn each_name_means_one_counter() {
        let mut seen = BTreeSet::new();
        for rate in rates() {
            for name in &rate.names {
                assert!(seen.insert(name.clone()), "{name} means two");
            }
        }
        for name in ["refaults", "read", "reads", "cache.refaults", "faults"] {
            assert!(seen.contains(name), "{name} is not there");
        }
    }
}
