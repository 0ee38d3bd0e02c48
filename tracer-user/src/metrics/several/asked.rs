//! Several runs, asked at the same time.

use std::{thread, time::Duration};

use crate::exposition::{ParsedFamily, parse};

use super::{
    said::SaidNow,
    scrape::scrape,
    sources::{SharedSources, Source, Sources},
};

/// One that does not answer in this time is left out. While a window closes nobody answers.
const ANSWER_WITHIN: Duration = Duration::from_millis(1500);

/// What each of them says, by its engine; one that begins or closes has nothing to say now.
pub fn asked(runs: &[Source]) -> Vec<(String, Vec<ParsedFamily>)> {
    thread::scope(|scope| {
        let asked: Vec<_> = runs
            .iter()
            .map(|run| {
                scope.spawn(|| {
                    let text = scrape(&run.socket, ANSWER_WITHIN).ok()?;
                    Some((run.engine.clone(), parse(&text).ok()?))
                })
            })
            .collect();
        asked
            .into_iter()
            // A panic has been printed.
            .filter_map(|asked| asked.join().ok().flatten())
            .collect()
    })
}

/// What all of them say now, and the service.
#[must_use]
pub fn said(sources: &SharedSources) -> SaidNow {
    let Sources { runs, own } = sources.now();
    let runs = asked(&runs).into_iter();
    SaidNow {
        runs: runs.map(|(engine, said)| (Some(engine), said)).collect(),
        own,
    }
}
