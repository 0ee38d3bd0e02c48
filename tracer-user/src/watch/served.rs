//! What the service serves: the metrics of all windows, and its own.

use nix::sys::resource::{UsageWho, getrusage};

use crate::metrics::{ServiceFigure, Source, Sources};

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
    let mut own = vec![
        (ServiceFigure::Engines, windows.len() as f64),
        (
            ServiceFigure::EnginesNotFollowed,
            counts.not_followed as f64,
        ),
        (ServiceFigure::Windows, counts.windows as f64),
        (ServiceFigure::WindowsLost, counts.windows_lost as f64),
        (ServiceFigure::Recordings, counts.recordings as f64),
    ];
    if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
        let seconds =
            |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
        own.push((
            ServiceFigure::OwnCpuSeconds,
            seconds(usage.user_time()) + seconds(usage.system_time()),
        ));
    }
    Sources { runs, own }
}
