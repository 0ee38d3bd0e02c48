//! Whether the runs of one cell did the same work, so that their figures may be pooled.

use thiserror::Error;

/// What work a run did, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work<'a> {
    /// Number of the run.
    pub run: u64,
    /// Temperature 0 and a fixed seed.
    pub deterministic_sampling: bool,
    /// Digest of what was generated.
    pub output_digest: Option<&'a str>,
    /// What the digest is over.
    pub output_kind: Option<&'a str>,
    /// Version of the engine.
    pub engine_version: Option<&'a str>,
}

/// Why runs are not pooled.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotPooled {
    /// The sampler may choose other tokens, and with them other experts, in each run.
    #[error(
        "{} did not sample deterministically: set temperature 0 and a fixed seed in the plan",
        runs(.0)
    )]
    RandomSampling(Vec<u64>),
    /// Nothing shows that the outputs are the same.
    #[error("of {} no output is known, so that nothing shows that the work was the same", runs(.0))]
    UnknownOutput(Vec<u64>),
    /// The outputs differ, or are not comparable.
    #[error("their outputs differ: {}", groups(.0))]
    OtherOutput(Vec<Vec<u64>>),
    /// Another engine may read in another order.
    #[error("their engines differ: {}", groups(.0))]
    OtherEngine(Vec<Vec<u64>>),
}

/// "run 3", "runs 3, 5".
pub(super) fn runs(numbers: &[u64]) -> String {
    let names: Vec<String> = numbers.iter().map(u64::to_string).collect();
    let plural = if numbers.len() == 1 { "" } else { "s" };
    format!("run{plural} {}", names.join(", "))
}

fn groups(groups: &[Vec<u64>]) -> String {
    let names: Vec<String> = groups.iter().map(|group| runs(group)).collect();
    names.join("; ")
}

/// Whether these runs may be pooled. One run alone may: there is nothing to pool it with.
pub fn same_work(works: &[Work<'_>]) -> Result<(), NotPooled> {
    if works.len() < 2 {
        return Ok(());
    }
    let those = |unfit: &dyn Fn(&Work<'_>) -> bool| -> Vec<u64> {
        works
            .iter()
            .filter(|work| unfit(work))
            .map(|work| work.run)
            .collect()
    };
    let random = those(&|work| !work.deterministic_sampling);
    if !random.is_empty() {
        return Err(NotPooled::RandomSampling(random));
    }
    let unknown = those(&|work| work.output_digest.is_none());
    if !unknown.is_empty() {
        return Err(NotPooled::UnknownOutput(unknown));
    }
    let outputs = grouped(works, |work| (work.output_digest, work.output_kind));
    if outputs.len() > 1 {
        return Err(NotPooled::OtherOutput(outputs));
    }
    let engines = grouped(works, |work| work.engine_version);
    if engines.len() > 1 {
        return Err(NotPooled::OtherEngine(engines));
    }
    Ok(())
}

/// Runs with equal keys, in the order of their first run.
fn grouped<'a, K: PartialEq>(works: &[Work<'a>], key: impl Fn(&Work<'a>) -> K) -> Vec<Vec<u64>> {
    let mut groups: Vec<(K, Vec<u64>)> = Vec::new();
    for work in works {
        let own = key(work);
        match groups.iter_mut().find(|(key, _)| *key == own) {
            Some((_, runs)) => runs.push(work.run),
            None => groups.push((own, vec![work.run])),
        }
    }
    groups.into_iter().map(|(_, runs)| runs).collect()
}

#[cfg(test)]
mod tests {
    use super::{NotPooled, Work, same_work};

    fn work(run: u64) -> Work<'static> {
        Work {
            run,
            deterministic_sampling: true,
            output_digest: Some("ab"),
            output_kind: Some("token ids"),
            engine_version: Some("b11434"),
        }
    }

    #[test]
    fn the_same_output_of_the_same_engine_is_pooled() {
        assert_eq!(same_work(&[work(0), work(1), work(2)]), Ok(()));
        assert_eq!(same_work(&[]), Ok(()));
    }

    #[test]
    fn one_run_needs_no_digest() {
        let alone = Work {
            output_digest: None,
            deterministic_sampling: false,
            ..work(0)
        };
        assert_eq!(same_work(&[alone]), Ok(()));
    }

    #[test]
    fn what_differs_is_named() {
        let random = Work {
            deterministic_sampling: false,
            ..work(1)
        };
        assert_eq!(
            same_work(&[work(0), random]),
            Err(NotPooled::RandomSampling(vec![1]))
        );
        let unknown = Work {
            output_digest: None,
            ..work(2)
        };
        assert_eq!(
            same_work(&[work(0), unknown]),
            Err(NotPooled::UnknownOutput(vec![2]))
        );
        let other = Work {
            output_digest: Some("cd"),
            ..work(1)
        };
        let refused = same_work(&[work(0), other, work(2)]);
        assert_eq!(
            refused,
            Err(NotPooled::OtherOutput(vec![vec![0, 2], vec![1]]))
        );
        assert_eq!(
            refused.map_err(|error| error.to_string()),
            Err("their outputs differ: runs 0, 2; run 1".to_owned())
        );
        let newer = Work {
            engine_version: Some("b11435"),
            ..work(1)
        };
        assert_eq!(
            same_work(&[work(0), newer]),
            Err(NotPooled::OtherEngine(vec![vec![0], vec![1]]))
        );
        let other_kind = Work {
            output_kind: Some("text"),
            ..work(1)
        };
        assert!(matches!(
            same_work(&[work(0), other_kind]),
            Err(NotPooled::OtherOutput(_))
        ));
    }
}
