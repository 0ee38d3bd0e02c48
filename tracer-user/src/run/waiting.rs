//! What launch and attach do while the engine runs: look at it, and wait for its end, a signal, or the end of the time.

use std::time::Duration;

use tokio::{io::unix::AsyncFd, time};

use crate::process::ReceivedSignal;

use super::{onlooker::Ask, tracing::Opened, watch::engine::EngineWatch};

/// How often the engine's libraries are looked for at the start, while no decode call has been found.
const LIBRARY_INTERVAL: Duration = Duration::from_millis(5);

/// Each look at them is so much later than the one before, in hundredths, up to the next constant: an engine loads its own
/// libraries first, and what comes late loads a model before it decodes.
const LIBRARY_INTERVAL_GROWTH: u32 = 105;
const LONGEST_LIBRARY_INTERVAL: Duration = Duration::from_millis(50);

/// How long that goes on; later they are looked for with each sample.
const LIBRARY_SEARCH: Duration = Duration::from_secs(20);

/// How often the engine is looked at.
pub(super) const SAMPLE_INTERVAL: Duration = Duration::from_millis(200);

/// How often an engine is looked at that serves somebody, at the level `counts`, where nobody looks on and no log is read: each
/// look costs some hundred microseconds, which is most of what an idle tracer costs.
pub(super) const SERVING_INTERVAL: Duration = Duration::from_secs(1);

/// Whether the engine's libraries are looked for more often than with each sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Libraries {
    /// The engine starts now, and loads them.
    AreLoaded,
    /// It has run before.
    AreThere,
}

/// What ended a wait.
pub(super) enum Wake {
    /// The process has ended.
    Ended,
    /// A signal came to the tracer.
    Signal(ReceivedSignal),
    /// The time is up.
    TimeUp,
    /// Whoever looks on has asked for something.
    Asked(Ask),
}

/// How an engine is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looks {
    /// Whether its libraries are looked for more often.
    pub libraries: Libraries,
    /// Time between two looks.
    pub interval: Duration,
}

/// Looks at the engine again and again until something happens.
pub(super) async fn watch_until(
    watch: &mut EngineWatch,
    opened: &mut Opened,
    deadline: Option<time::Instant>,
    looks: Looks,
) -> anyhow::Result<Wake> {
    // SAFETY: an owned descriptor, open until the registration is dropped with it.
    let exit = unsafe { AsyncFd::register(watch.exit_descriptor()?) }?;
    let mut interval = time::interval(looks.interval);
    interval.set_missed_tick_behavior(time::MissedTickBehavior::Skip);
    let time_up = async {
        match deadline {
            Some(deadline) => time::sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(time_up);
    let mut library_interval = LIBRARY_INTERVAL;
    let mut next_library_look = time::Instant::now();
    let library_search_ends = time::Instant::now() + LIBRARY_SEARCH;
    loop {
        let searching = looks.libraries == Libraries::AreLoaded
            && !opened.finder.has_decode_call()
            && time::Instant::now() < library_search_ends;
        tokio::select! {
            readable = exit.readable() => {
                readable?.retain_ready();
                return Ok(Wake::Ended);
            }
            readable = opened.signals.readable() => {
                let mut readable = readable?;
                match readable.get_inner().next()? {
                    Some(signal) => return Ok(Wake::Signal(signal)),
                    None => readable.clear_ready(),
                }
            }
            () = &mut time_up => return Ok(Wake::TimeUp),
            Some(ask) = opened.asks.recv() => return Ok(Wake::Asked(ask)),
            () = time::sleep_until(next_library_look), if searching => {
                opened.finder.look_at_processes(&watch.process_ids);
                next_library_look = time::Instant::now() + library_interval;
                library_interval = (library_interval * LIBRARY_INTERVAL_GROWTH / 100)
                    .min(LONGEST_LIBRARY_INTERVAL);
            }
            _ = interval.tick() => opened.look_at(watch),
        }
    }
}
