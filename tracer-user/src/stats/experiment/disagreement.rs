//! Runs that disagree with the others of their cell, and what in their records may be the cause.

use std::fmt;

use super::bootstrap::median;

/// Fewest runs of which one can be said to disagree with the others.
const FEWEST_RUNS: usize = 4;
/// Modified z-score beyond which a value is an outlier (Iglewicz and Hoaglin, "How to Detect and Handle Outliers",
/// 1993).
const OUTLIER_SCORE: f64 = 3.5;
/// Quartile of the normal distribution: the median absolute deviation / this estimates the standard deviation.
const NORMAL_QUARTILE: f64 = 0.6745;
/// A value so close to the median, relative to it, is no outlier however little the others spread.
const SMALLEST_DIFFERENCE: f64 = 0.01;

/// Places of the values that disagree with the others: 0.6745 |value − median| / median absolute deviation > 3.5, and
/// more than 1 % from the median. Fewer than 4 values cannot tell.
#[must_use]
pub fn outliers(values: &[f64]) -> Vec<usize> {
    let Some(middle) = median(values).filter(|_| values.len() >= FEWEST_RUNS) else {
        return Vec::new();
    };
    let distances: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
    let deviation = median(&distances).unwrap_or(0.0);
    let limit =
        (OUTLIER_SCORE * deviation / NORMAL_QUARTILE).max(SMALLEST_DIFFERENCE * middle.abs());
    distances
        .iter()
        .enumerate()
        .filter(|(_, distance)| **distance > limit)
        .map(|(at, _)| at)
        .collect()
}

/// What went on around a run. `None` was not observed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Circumstances {
    /// Bytes that its devices read for others than the model.
    pub foreign_bytes: Option<u64>,
    /// Time that a task of the machine waited for storage (PSI), seconds.
    pub io_pressure_s: Option<f64>,
    /// Time that a task of the machine waited for memory (PSI), seconds.
    pub memory_pressure_s: Option<f64>,
    /// Load average before the start.
    pub load_average: Option<f64>,
    /// Pieces of the model on the device.
    pub extents: Option<u64>,
    /// Version of the engine.
    pub engine_version: Option<String>,
    /// Release of the kernel.
    pub kernel: Option<String>,
    /// Temperature of the device before the start, degrees Celsius.
    pub device_temperature_celsius: Option<f64>,
    /// Bytes of the model in the page cache before the start.
    pub resident_before_bytes: Option<u64>,
    /// Size of the model.
    pub model_bytes: u64,
    /// Why the record is incomplete, where it is.
    pub incomplete: Option<String>,
}

/// A difference between a run and its siblings that may explain others. It was seen beside them; that it caused them
/// is not shown.
#[derive(Clone, Debug, PartialEq)]
pub enum LikelyCause {
    /// Events were lost, a check is violated, or the window was cut short.
    Incomplete(String),
    /// A part of the model was cached before the start, and other parts (or nothing) in the siblings.
    ResidentBefore {
        bytes: u64,
        /// Median of the siblings.
        typical_bytes: f64,
    },
    /// The file lay elsewhere.
    OtherExtents {
        extents: u64,
        /// Median of the siblings.
        typical: f64,
    },
    OtherEngine(String),
    OtherKernel(String),
    /// The device read more for others.
    ForeignReads {
        bytes: u64,
        /// Median of the siblings.
        typical_bytes: f64,
    },
    /// Tasks waited longer for storage or memory. The engine's own waits are among them.
    Pressure {
        /// `storage` or `memory`.
        of: &'static str,
        /// This run, seconds.
        seconds: f64,
        /// Median of the siblings, seconds.
        typical_s: f64,
    },
    /// The machine was busier before the start.
    Load {
        load_average: f64,
        /// Median of the siblings.
        typical: f64,
    },
    /// The device was hotter.
    HotDevice {
        /// This run, degrees Celsius.
        celsius: f64,
        /// Median of the siblings, degrees Celsius.
        typical_celsius: f64,
    },
}

impl fmt::Display for LikelyCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MIB: f64 = (1 << 20) as f64;
        let mib = |bytes: &u64| *bytes as f64 / MIB;
        match self {
            Self::Incomplete(why) => write!(f, "its record is incomplete: {why}"),
            Self::ResidentBefore {
                bytes,
                typical_bytes,
            } => write!(
                f,
                "{:.1} MiB of the model were cached before the start (its siblings: {:.1} MiB)",
                mib(bytes),
                typical_bytes / MIB
            ),
            Self::OtherExtents { extents, typical } => {
                write!(
                    f,
                    "the model lay in {extents} extents (its siblings: {typical:.0})"
                )
            }
            Self::OtherEngine(version) => write!(f, "another engine version: {version}"),
            Self::OtherKernel(kernel) => write!(f, "another kernel: {kernel}"),
            Self::ForeignReads {
                bytes,
                typical_bytes,
            } => write!(
                f,
                "the device read {:.1} MiB for others (its siblings: {:.1} MiB)",
                mib(bytes),
                typical_bytes / MIB
            ),
            Self::Pressure {
                of,
                seconds,
                typical_s,
            } => write!(
                f,
                "tasks waited {seconds:.2} s for {of} (its siblings: {typical_s:.2} s; the engine's own waits are among them)"
            ),
            Self::Load {
                load_average,
                typical,
            } => write!(
                f,
                "the load average was {load_average:.2} before the start (its siblings: {typical:.2})"
            ),
            Self::HotDevice {
                celsius,
                typical_celsius,
            } => write!(
                f,
                "the device had {celsius:.0} °C before the start (its siblings: {typical_celsius:.0} °C)"
            ),
        }
    }
}

/// Bytes for others that count: so large a share of the model, beyond the siblings' median.
const FOREIGN_SHARE: f64 = 0.01;
/// Resident bytes that count: so large a share of the model, away from the siblings' median.
const RESIDENT_SHARE: f64 = 0.01;
/// PSI that counts: so many times the siblings' median, and more by so many seconds.
const PRESSURE_FACTOR: f64 = 1.5;
const PRESSURE_S: f64 = 0.5;
/// Load average that counts, beyond the siblings' median.
const LOAD: f64 = 1.0;
/// Temperature that counts, beyond the siblings' median.
const CELSIUS: f64 = 10.0;

/// In what a run differs from its siblings that may explain other figures; nothing where nothing in the records does.
#[must_use]
pub fn likely_causes(run: &Circumstances, siblings: &[&Circumstances]) -> Vec<LikelyCause> {
    let typical = |pick: &dyn Fn(&Circumstances) -> Option<f64>| {
        let values: Vec<f64> = siblings.iter().filter_map(|other| pick(other)).collect();
        median(&values)
    };
    let model_bytes = run.model_bytes as f64;
    let mut causes = Vec::new();
    causes.extend(run.incomplete.clone().map(LikelyCause::Incomplete));
    if let (Some(bytes), Some(typical_bytes)) = (
        run.resident_before_bytes,
        typical(&|other| other.resident_before_bytes.map(|bytes| bytes as f64)),
    ) && (bytes as f64 - typical_bytes).abs() > RESIDENT_SHARE * model_bytes
    {
        causes.push(LikelyCause::ResidentBefore {
            bytes,
            typical_bytes,
        });
    }
    if let (Some(extents), Some(typical)) = (
        run.extents,
        typical(&|other| other.extents.map(|extents| extents as f64)),
    ) && extents as f64 != typical
    {
        causes.push(LikelyCause::OtherExtents { extents, typical });
    }
    let differs = |own: &Option<String>, pick: &dyn Fn(&Circumstances) -> Option<String>| {
        let others: Vec<String> = siblings.iter().filter_map(|other| pick(other)).collect();
        own.clone()
            .filter(|own| !others.is_empty() && !others.contains(own))
    };
    let engine = differs(&run.engine_version, &|other| other.engine_version.clone());
    causes.extend(engine.map(LikelyCause::OtherEngine));
    let kernel = differs(&run.kernel, &|other| other.kernel.clone());
    causes.extend(kernel.map(LikelyCause::OtherKernel));
    if let (Some(bytes), Some(typical_bytes)) = (
        run.foreign_bytes,
        typical(&|other| other.foreign_bytes.map(|bytes| bytes as f64)),
    ) && bytes as f64 - typical_bytes > FOREIGN_SHARE * model_bytes
    {
        causes.push(LikelyCause::ForeignReads {
            bytes,
            typical_bytes,
        });
    }
    for (of, pick) in [
        (
            "storage",
            &(|other: &Circumstances| other.io_pressure_s) as &dyn Fn(&_) -> _,
        ),
        ("memory", &|other: &Circumstances| other.memory_pressure_s),
    ] {
        if let (Some(seconds), Some(typical_s)) = (pick(run), typical(pick))
            && seconds > PRESSURE_FACTOR * typical_s
            && seconds - typical_s > PRESSURE_S
        {
            causes.push(LikelyCause::Pressure {
                of,
                seconds,
                typical_s,
            });
        }
    }
    if let (Some(load_average), Some(typical)) =
        (run.load_average, typical(&|other| other.load_average))
        && load_average - typical > LOAD
    {
        causes.push(LikelyCause::Load {
            load_average,
            typical,
        });
    }
    if let (Some(celsius), Some(typical_celsius)) = (
        run.device_temperature_celsius,
        typical(&|other| other.device_temperature_celsius),
    ) && celsius - typical_celsius > CELSIUS
    {
        causes.push(LikelyCause::HotDevice {
            celsius,
            typical_celsius,
        });
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::{Circumstances, LikelyCause, likely_causes, outliers};

    #[test]
    fn one_run_far_from_the_others_is_found() {
        assert_eq!(outliers(&[10.0, 10.1, 9.9, 10.05, 14.0]), [4]);
        assert!(outliers(&[10.0, 10.1, 9.9, 10.05, 10.2]).is_empty());
        assert!(outliers(&[7.0, 7.0, 7.0, 7.0, 7.05]).is_empty());
        assert_eq!(outliers(&[7.0, 7.0, 9.0, 7.0]), [2]);
        assert!(outliers(&[1.0, 1.0, 9.0]).is_empty());
    }

    fn usual() -> Circumstances {
        Circumstances {
            foreign_bytes: Some(1 << 20),
            io_pressure_s: Some(2.0),
            memory_pressure_s: Some(0.0),
            load_average: Some(0.4),
            extents: Some(1),
            engine_version: Some("b1".into()),
            kernel: Some("6.12".into()),
            device_temperature_celsius: Some(40.0),
            resident_before_bytes: Some(0),
            model_bytes: 1 << 30,
            incomplete: None,
        }
    }

    fn causes(run: Circumstances) -> Vec<LikelyCause> {
        let sibling = usual();
        likely_causes(&run, &[&sibling, &sibling, &sibling])
    }

    #[test]
    fn a_run_like_its_siblings_has_no_cause() {
        assert!(causes(usual()).is_empty());
        assert!(likely_causes(&usual(), &[]).is_empty());
    }

    #[test]
    fn each_difference_is_named_alone() {
        let name = |run: Circumstances| match causes(run).as_slice() {
            [cause] => cause.to_string(),
            other => panic!("{other:?}"),
        };
        for (run, words) in [
            (
                Circumstances {
                    foreign_bytes: Some(100 << 20),
                    ..usual()
                },
                "read 100.0 MiB for others",
            ),
            (
                Circumstances {
                    io_pressure_s: Some(4.0),
                    ..usual()
                },
                "4.00 s for storage",
            ),
            (
                Circumstances {
                    memory_pressure_s: Some(1.0),
                    ..usual()
                },
                "1.00 s for memory",
            ),
            (
                Circumstances {
                    load_average: Some(3.0),
                    ..usual()
                },
                "load average was 3.00",
            ),
            (
                Circumstances {
                    extents: Some(19),
                    ..usual()
                },
                "19 extents",
            ),
            (
                Circumstances {
                    engine_version: Some("b2".into()),
                    ..usual()
                },
                "engine version: b2",
            ),
            (
                Circumstances {
                    kernel: Some("7.1".into()),
                    ..usual()
                },
                "kernel: 7.1",
            ),
            (
                Circumstances {
                    device_temperature_celsius: Some(71.0),
                    ..usual()
                },
                "71 °C",
            ),
            (
                Circumstances {
                    resident_before_bytes: Some(512 << 20),
                    ..usual()
                },
                "512.0 MiB of the model were cached",
            ),
            (
                Circumstances {
                    incomplete: Some("3 records were lost".into()),
                    ..usual()
                },
                "3 records were lost",
            ),
        ] {
            let cause = name(run);
            assert!(cause.contains(words), "{cause}");
        }
    }

    #[test]
    fn what_was_not_observed_is_no_cause() {
        let unknown = Circumstances {
            model_bytes: 1 << 30,
            ..Default::default()
        };
        assert!(causes(unknown).is_empty());
    }
}
