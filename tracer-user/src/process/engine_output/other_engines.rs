//! Engines that are not llama.cpp's own programs: each has a small reader of its lines.

mod intervals;
mod koboldcpp;
mod lm_studio;
mod number;
mod ollama;

use serde_json::{Map, Value};

use super::{
    engine_timings::{EngineTimings, IntervalMeans, TimingSource},
    report::Report,
};

use intervals::Intervals;
use koboldcpp::KoboldCpp;
use lm_studio::LmStudio;
use ollama::Ollama;

/// What they have said so far.
#[derive(Debug, Default)]
pub(crate) struct OtherEngines {
    ollama: Ollama,
    koboldcpp: KoboldCpp,
    lm_studio: LmStudio,
    intervals: Intervals,
}

impl OtherEngines {
    /// Takes a line. True if it is one of theirs.
    pub(crate) fn line(&mut self, text: &str) -> bool {
        self.ollama.line(text)
            || self.koboldcpp.line(text)
            || self.lm_studio.line(text)
            || self.intervals.line(text)
    }

    /// Takes a JSON object. True if it is one of theirs.
    pub(crate) fn answer(&mut self, object: &Map<String, Value>) -> bool {
        self.ollama.answer(object) || self.lm_studio.answer(object)
    }

    /// Reports of forms that tell requests apart.
    pub(crate) fn reports(&self) -> [(TimingSource, Option<&Report>); 3] {
        [
            (TimingSource::Ollama, self.ollama.report()),
            (TimingSource::KoboldCpp, self.koboldcpp.report()),
            (TimingSource::LmStudio, self.lm_studio.report()),
        ]
    }

    /// What is known of an engine that tells no request apart.
    pub(crate) fn without_requests(&self) -> Option<EngineTimings> {
        let (load, means) = (self.intervals.load_milliseconds(), self.means());
        if load.is_none() && means.is_none() {
            return None;
        }
        let report = Report {
            load_milliseconds: load,
            ..Report::default()
        };
        Some(report.finish(TimingSource::Intervals))
    }

    /// Means over intervals, where an engine prints them.
    pub(crate) fn means(&self) -> Option<IntervalMeans> {
        self.intervals.means()
    }
}
