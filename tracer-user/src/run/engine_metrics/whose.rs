//! Whether the metrics are the traced engine's.

use std::collections::BTreeSet;

use crate::{
    outward::HttpUrl,
    process::{Listeners, parents},
};

/// Who answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The engine, what it started, or what started it.
    Engines,
    /// Another process of this machine.
    Others,
    /// It cannot be told: another machine, a container's network, nobody listens.
    Unknown,
}

/// Looks who listens there now.
#[must_use]
pub fn whose(url: &HttpUrl, engine: &BTreeSet<u32>) -> Whose {
    let listeners = url.loopback_port().map(Listeners::on);
    let Some(Ok(listeners)) = listeners else {
        return Whose::Unknown;
    };
    if listeners.is_empty() {
        return Whose::Unknown;
    }
    let parents = parents().unwrap_or_default();
    let mut related: BTreeSet<i32> = engine
        .iter()
        .filter_map(|pid| i32::try_from(*pid).ok())
        .collect();
    let mut next: Vec<i32> = related.iter().copied().collect();
    while let Some(process) = next.pop() {
        // Init holds the sockets of services that start when somebody connects.
        if let Some(parent) = parents.get(&process).filter(|parent| **parent > 1)
            && related.insert(*parent)
        {
            next.push(*parent);
        }
    }
    if related.into_iter().any(|process| listeners.has(process)) {
        return Whose::Engines;
    }
    // Who may not look at another's descriptors sees nobody there.
    if parents.keys().any(|process| listeners.has(*process)) {
        Whose::Others
    } else {
        Whose::Unknown
    }
}
