//! Moments at which residency is taken.

use crate::storage::{Residency, ResidencyMethod, residency};

use super::subject::Subject;

/// Resident bytes of each model at one moment, and how that was seen.
#[derive(Clone, Debug, Default)]
pub struct ResidencyMoment {
    /// By model slot; None where it was not observed.
    pub bytes: Vec<Option<u64>>,
    /// By model slot: the method, or why there is none.
    pub methods: Vec<String>,
}

/// Looks at the page cache now.
#[must_use]
pub fn residency_now(subject: &Subject) -> ResidencyMoment {
    let mut moment = ResidencyMoment::default();
    for model in &subject.models {
        let mut sum = Some(0u64);
        let mut method = String::new();
        for file in model
            .files
            .iter()
            .filter_map(|file| subject.files.get(*file))
        {
            match residency(&file.open) {
                Ok(Residency::Observed(pages)) => {
                    sum = sum.map(|sum| sum + pages.resident_bytes());
                    method = method_name(pages.method).to_owned();
                }
                Ok(Residency::Unobserved(reason)) => {
                    sum = None;
                    method = reason.to_string();
                }
                Err(error) => {
                    sum = None;
                    method = error.to_string();
                }
            }
        }
        moment.bytes.push(sum);
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
