//! Figures of the service itself, beside those of its runs.

use crate::metrics::exported::Kind;

/// What the service says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceFigure {
    Engines,
    EnginesNotFollowed,
    Windows,
    WindowsLost,
    Recordings,
    OwnCpuSeconds,
}

impl ServiceFigure {
    pub const ALL: [Self; 6] = [
        Self::Engines,
        Self::EnginesNotFollowed,
        Self::Windows,
        Self::WindowsLost,
        Self::Recordings,
        Self::OwnCpuSeconds,
    ];

    /// Its metric.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Engines => "tracer_watch_engines",
            Self::EnginesNotFollowed => "tracer_watch_engines_not_followed",
            Self::Windows => "tracer_watch_windows_total",
            Self::WindowsLost => "tracer_watch_windows_lost_total",
            Self::Recordings => "tracer_watch_recordings_total",
            Self::OwnCpuSeconds => "tracer_watch_own_cpu_seconds_total",
        }
    }

    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Engines => "engines that are followed now",
            Self::EnginesNotFollowed => {
                "engines that have a model open and are not followed, since there are more than --engines-at-most"
            }
            Self::Windows => "windows that were written since the service was started",
            Self::WindowsLost => {
                "windows that left no record since then: the disk was full, a run could not begin or was killed"
            }
            Self::Recordings => "recordings that were written since then",
            Self::OwnCpuSeconds => {
                "user and system time of the service itself; each of its windows has tracer_own_cpu_seconds_total"
            }
        }
    }

    pub(in crate::metrics) const fn kind(self) -> Kind {
        match self {
            Self::Engines | Self::EnginesNotFollowed => Kind::Gauge,
            Self::Windows | Self::WindowsLost | Self::Recordings | Self::OwnCpuSeconds => {
                Kind::Counter
            }
        }
    }
}
