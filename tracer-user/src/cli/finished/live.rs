//! `tracer live`: the screen of a run that is over, from its recording.

use std::{path::PathBuf, thread, time::Duration};

use anyhow::Context as _;
use clap::Args;

use crate::{
    cli::examples,
    live::{Screen, WhenLeft},
    process::SignalWatch,
    run::{PlayEnd, Player, Speed, onlooker::Onlook as _},
};

/// `tracer live`.
#[derive(Clone, Debug, Args)]
#[command(after_help = examples::LIVE)]
pub struct LiveArguments {
    /// The folder of a run, with its recording.
    run: PathBuf,
    /// So many seconds of the run a second, such as 0.5 or 20; max does not wait.
    #[arg(long, default_value = "1", value_name = "SPEED")]
    speed: Speed,
    /// Begin here, such as 90s after the run's start; what came before is in the figures.
    #[arg(long, value_name = "TIME", value_parser = crate::cli::size::duration, default_value = "0s")]
    from: Duration,
}

/// How often it is looked whether somebody has left.
const LOOK: Duration = Duration::from_millis(50);

/// Shows what the live screen showed while the run went on.
pub(in crate::cli) fn live(
    arguments: &LiveArguments,
    signals: &SignalWatch,
) -> anyhow::Result<i32> {
    let (player, handle) = Player::open(&arguments.run, arguments.from, arguments.speed)?;
    let screen = Screen::new(WhenLeft::NothingRuns).context("cannot show a live screen")?;
    screen
        .show_recording(player.begun().clone(), handle, arguments.speed)
        .context("cannot show a live screen")?;
    let mut stopped = None;
    let mut is_stopped = || {
        if let Ok(Some(received)) = signals.next() {
            stopped.get_or_insert(received.signal);
        }
        stopped.is_some()
    };
    let PlayEnd { last, incomplete } = player.play(&mut is_stopped);
    if let Some(why) = incomplete {
        eprintln!("tracer: the recording is not whole: {why}");
    }
    if let Some(last) = last {
        screen.engine(last.engine);
        screen.closed(last.run);
        // Its end stays on the screen.
        while screen.is_drawn() && !screen.is_left() && !is_stopped() {
            thread::sleep(LOOK);
        }
    }
    screen.finish();
    Ok(stopped.map_or(0, |signal| 128 + signal as i32))
}
