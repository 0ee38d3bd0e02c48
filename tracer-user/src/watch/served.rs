//! What the service serves: the metrics of all windows, and its own.

use nix::sys::resource::{UsageWho, getrusage};

use crate::metrics::{OwnFigure, Source, Sources};

use super::follow::Followed;

/// What the service has done since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Windows with a record.
    pub windows: u64,
    /// Windows that left none.
    pub windows_lost: u64,
    pub recordings: u64,
    /// Engines beyond the number that may be followed, now.
    pub not_followed: u64,
}

/// All of it.
#[must_use]
pub fn served(windows: &[Followed], counts: &Counts, serves: bool) -> Sources {
    if !serves {
        return Sources::default();
    }
    let mut runs: Vec<Source> = windows
        .iter()
        .filter_map(|window| {
            Some(Source {
                engine: window.label.clone(),
                socket: window.socket.clone()?,
            })
        })
        .collect();
    runs.sort_by(|one, other| one.engine.cmp(&other.engine));
    let figure = |name, meaning, is_counter, value| OwnFigure {
        name,
        meaning,
        is_counter,
        value,
    };
    let mut own = vec![
        figure(
            "watch_engines",
            "engines that are followed now",
            false,
            windows.len() as f64,
        ),
        figure(
            "watch_engines_not_followed",
            "engines that have a model open and are not followed, since there are more than --engines-at-most",
            false,
            counts.not_followed as f64,
        ),
        figure(
            "watch_windows_total",
            "windows that were written since the service was started",
            true,
            counts.windows as f64,
        ),
        figure(
            "watch_windows_lost_total",
            "windows that left no record: the disk was full, a run could not begin or was killed",
            true,
            counts.windows_lost as f64,
        ),
        figure(
            "watch_recordings_total",
            "recordings that were written since the service was started",
            true,
            counts.recordings as f64,
        ),
    ];
    if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
        let seconds =
            |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
        own.push(figure(
            "watch_own_cpu_seconds_total",
            "user and system time of the service itself; its windows have tracer_own_cpu_seconds_total",
            true,
            seconds(usage.user_time()) + seconds(usage.system_time()),
        ));
    }
    Sources { runs, own }
}
