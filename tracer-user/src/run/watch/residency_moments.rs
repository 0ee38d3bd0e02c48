//! Moments at which residency is taken.

use serde::{Deserialize, Serialize};

use crate::{
    place::Subject,
    process::monotonic_nanos,
    storage::{Residency, ResidencyMethod, residency},
};

/// Resident bytes of each model at one moment, and how that was seen.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ResidencyMoment {
    /// `CLOCK_MONOTONIC`, nanoseconds. A recording has it as the time of its sample.
    #[serde(skip)]
    pub at_nanos: u64,
    /// By model slot; None where it was not observed.
    pub bytes: Vec<Option<u64>>,
    /// By model slot: changed and not yet written; None where that was not observed.
    pub dirty_bytes: Vec<Option<u64>>,
    /// By model slot: evicted so recently that a read of them would count as a refault; None as above.
    pub recently_evicted_bytes: Vec<Option<u64>>,
    /// By model slot: the method, or why there is none.
    pub methods: Vec<String>,
}

/// Looks at the page cache now.
#[must_use]
pub fn residency_now(subject: &Subject) -> ResidencyMoment {
    let mut moment = ResidencyMoment {
        at_nanos: monotonic_nanos(),
        ..ResidencyMoment::default()
    };
    for model in &subject.models {
        let mut sum = Some(0u64);
        let (mut dirty, mut recently_evicted) = (Some(0u64), Some(0u64));
        let mut method = String::new();
        for file in model
            .files
            .iter()
            .filter_map(|file| subject.files.get(*file))
        {
            match residency(&file.open) {
                Ok(Residency::Observed(pages)) => {
                    let add = |sum: Option<u64>, pages_found: Option<u64>| {
                        Some(sum? + pages_found? * pages.page_bytes)
                    };
                    sum = add(sum, Some(pages.resident_pages));
                    dirty = add(dirty, pages.dirty_pages);
                    recently_evicted = add(recently_evicted, pages.recently_evicted_pages);
                    method = method_name(pages.method).to_owned();
                }
                Ok(Residency::Unobserved(reason)) => {
                    (sum, dirty, recently_evicted) = (None, None, None);
                    method = reason.to_string();
                }
                Err(error) => {
                    (sum, dirty, recently_evicted) = (None, None, None);
                    method = error.to_string();
                }
            }
        }
        moment.bytes.push(sum);
        moment.dirty_bytes.push(dirty);
        moment.recently_evicted_bytes.push(recently_evicted);
        moment.methods.push(method);
    }
    moment
}

const fn method_name(method: ResidencyMethod) -> &'static str {
    match method {
        ResidencyMethod::Cachestat => "by cachestat(2)",
        ResidencyMethod::Mincore => "by mincore(2) of a mapping of the tracer's own",
    }
}
