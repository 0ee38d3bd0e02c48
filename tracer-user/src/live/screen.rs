//! The thread that looks on: asks for the figures, reads the keys, draws.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    os::fd::{AsFd as _, OwnedFd},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::{
    fcntl::OFlag,
    poll::{PollFd, PollFlags, poll},
};
use ratatui::{Terminal, backend::CrosstermBackend};

use crate::run::{
    PlayHandle, Speed,
    onlooker::{Ask, EngineNow, Onlook, RunBegun, RunHandle, RunSoFar},
};

use super::{
    board::board,
    history::History,
    keys::{Choices, Command, KeyBytes},
    pane::Pane,
    source::Source,
    terminal::{self, Taken},
    view::{self, Palette, View},
    watched::{Shared, Watched, milliseconds},
};

/// What becomes of the run when the screen is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenLeft {
    /// The engine runs on, and so does the tracing.
    GoesOn,
    /// The engine runs on, and the tracing ends with its report.
    Ends,
    /// A recording is played, and nothing runs.
    NothingRuns,
}

impl WhenLeft {
    const fn words(self) -> &'static str {
        match self {
            Self::GoesOn => "close the screen",
            Self::Ends => "end tracing",
            Self::NothingRuns => "leave",
        }
    }
}

/// Time between two frames.
const FRAME: Duration = Duration::from_millis(250);

/// The next figures are asked for after so many times what the last ones took to make: at most a hundredth of a core.
const PATIENCE: u32 = 100;

/// How long a message stands in the place of the keys.
const MESSAGE: Duration = Duration::from_secs(4);

/// The tracer's own messages that are kept for when the screen is gone, bytes.
const MOST_MESSAGES: usize = 64 << 10;

/// Stands in the place of the engine's output.
const OUTPUT_OF_RECORDING: &str = "The engine's output is in the run's folder, in engine.stdout and engine.stderr. When each line came was not recorded.\n";

/// The live screen of one run. It begins when the run says so, and is gone when this is dropped.
pub struct Screen {
    when_left: WhenLeft,
    shared: Arc<Shared>,
    /// Where the screen is to be.
    terminal: Mutex<Option<File>>,
    /// Where the engine's output goes while the screen is there.
    engine_output: Mutex<Option<OwnedFd>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Screen {
    /// A screen that waits for its run; without a terminal, lines.
    ///
    /// # Errors
    /// No descriptor left.
    pub fn new(when_left: WhenLeft) -> io::Result<Self> {
        Ok(Self {
            when_left,
            shared: Arc::new(Shared::new()?),
            terminal: Mutex::new(terminal::terminal()),
            engine_output: Mutex::default(),
            thread: Mutex::default(),
        })
    }

    /// The run is over: the terminal is as it was when this returns.
    pub fn finish(&self) {
        self.shared.tell(|inbox| inbox.over = true);
        drop(lock(&self.engine_output).take());
        if let Some(thread) = lock(&self.thread).take() {
            // Its panic has been printed.
            let _ = thread.join();
        }
    }

    /// Shows a recording, which is played at a speed. What it is made of follows as for a run: [`Onlook::closed`] at its end.
    ///
    /// # Errors
    /// The terminal cannot be taken over.
    pub fn show_recording(
        &self,
        run: RunBegun,
        handle: PlayHandle,
        speed: Speed,
    ) -> io::Result<()> {
        self.start(run, Source::Recording(handle), Some(speed))
    }

    /// Whether it is drawn on a terminal; else lines are written.
    pub fn is_drawn(&self) -> bool {
        lock(&self.engine_output).is_some()
    }

    /// Whether nobody looks on any more: the screen was left, or there never was one.
    pub fn is_left(&self) -> bool {
        lock(&self.thread)
            .as_ref()
            .is_none_or(JoinHandle::is_finished)
    }

    fn start(&self, run: RunBegun, source: Source, speed: Option<Speed>) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let terminal = lock(&self.terminal).take();
        let watched = Watched {
            run,
            source,
            history: History::default(),
            shared,
        };
        let work: Box<dyn FnOnce() + Send> = match terminal {
            Some(terminal) => {
                let pipe = || nix::unistd::pipe2(OFlag::O_CLOEXEC);
                let (engine_output, engine_writes) = pipe()?;
                let (messages, writes_messages) = pipe()?;
                let taken = Taken::take(&terminal, &writes_messages)?;
                drop(writes_messages);
                *lock(&self.engine_output) = Some(engine_writes);
                let mut pane = Pane::default();
                if speed.is_some() {
                    pane.push(OUTPUT_OF_RECORDING.as_bytes());
                }
                let screen = Drawing {
                    when_left: self.when_left,
                    watched,
                    keys: Some(terminal.try_clone()?),
                    drawn: Some((Terminal::new(CrosstermBackend::new(terminal))?, taken)),
                    engine_output: Some(engine_output),
                    messages: Some(messages),
                    said: Vec::new(),
                    pane,
                    choices: Choices {
                        speed,
                        ..Choices::default()
                    },
                    key_bytes: KeyBytes::default(),
                    message: None,
                    closed: false,
                };
                Box::new(move || screen.run())
            }
            None => Box::new(move || watched.write_lines()),
        };
        let thread = thread::Builder::new().name("live".to_owned()).spawn(work)?;
        *lock(&self.thread) = Some(thread);
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.finish();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Onlook for Screen {
    fn begun(&self, run: RunBegun, handle: RunHandle) {
        if let Err(error) = self.start(run, Source::Run(handle), None) {
            eprintln!("tracer: there is no live screen: {error}");
        }
    }

    fn engine_outputs(&self) -> [Option<OwnedFd>; 2] {
        use std::io::IsTerminal as _;
        let output = lock(&self.engine_output);
        let copy = || output.as_ref()?.try_clone().ok();
        // Standard error is led elsewhere only where it was a terminal.
        [
            copy().filter(|_| io::stdout().is_terminal()),
            copy().filter(|_| !io::stderr().is_terminal() && terminal::errors_are_led()),
        ]
    }

    fn engine(&self, engine: EngineNow) {
        self.shared.inbox().engine = engine;
    }

    fn reported(&self, folder: Result<PathBuf, String>) {
        let message = match folder {
            Ok(folder) => format!("A report of the run so far is in {}.", folder.display()),
            Err(error) => format!("No report was written: {error}"),
        };
        // For when the screen is gone.
        eprintln!("tracer: {message}");
        self.shared.tell(|inbox| inbox.message = Some(message));
    }

    fn closed(&self, last: RunSoFar) {
        self.shared.tell(|inbox| inbox.last = Some(last));
    }
}

/// The screen, or what is left of it when it was closed: then the engine's output is passed on.
struct Drawing {
    when_left: WhenLeft,
    watched: Watched,
    keys: Option<File>,
    drawn: Option<(Terminal<CrosstermBackend<File>>, Taken)>,
    engine_output: Option<OwnedFd>,
    messages: Option<OwnedFd>,
    /// The tracer's own messages meanwhile.
    said: Vec<u8>,
    pane: Pane,
    choices: Choices,
    key_bytes: KeyBytes,
    message: Option<(String, Instant)>,
    /// The last figures have come.
    closed: bool,
}

impl Drawing {
    fn run(mut self) {
        let mut due = Instant::now();
        loop {
            let timeout = due.saturating_duration_since(Instant::now());
            let [woken, keys, output, messages] = self.wait(timeout);
            if messages {
                self.read_messages();
            }
            if output {
                self.read_output();
            }
            let mut draw = keys && self.read_keys();
            if woken {
                let message = self.watched.shared.inbox().message.take();
                if let Some(message) = message {
                    self.say(&message);
                    draw = true;
                }
                let (has_last, over) = self.watched.told();
                if has_last {
                    self.closed = true;
                    self.choices.paused = false;
                    self.say(match self.when_left {
                        WhenLeft::NothingRuns => "The recording is over. q leaves.",
                        _ => "The run is over; its report is being written.",
                    });
                    draw = true;
                }
                if over {
                    break;
                }
            }
            if self.when_left == WhenLeft::NothingRuns && self.drawn.is_none() {
                // Nobody looks on any more.
                return;
            }
            if Instant::now() >= due {
                let took = if self.closed || self.choices.paused || self.drawn.is_none() {
                    None
                } else {
                    self.watched.look()
                };
                due = Instant::now() + FRAME.max(took.unwrap_or_default() * PATIENCE);
                draw = true;
            }
            if draw {
                self.draw();
            }
        }
        while let [_, _, true, _] = self.wait(Duration::ZERO) {
            self.read_output();
        }
        self.leave();
    }

    /// Waits for something: the run, keys, the engine's output, our own messages.
    fn wait(&self, timeout: Duration) -> [bool; 4] {
        let descriptors = [
            Some(self.watched.shared.wakes()),
            self.keys.as_ref().map(|keys| keys.as_fd()),
            self.engine_output.as_ref().map(|output| output.as_fd()),
            self.messages.as_ref().map(|messages| messages.as_fd()),
        ];
        let mut polled: Vec<PollFd<'_>> = descriptors
            .iter()
            .flatten()
            .map(|descriptor| PollFd::new(*descriptor, PollFlags::POLLIN))
            .collect();
        if poll(&mut polled, milliseconds(timeout)).is_err() {
            return [false; 4];
        }
        let mut ready = polled
            .iter()
            .map(|polled| polled.revents().is_some_and(|events| !events.is_empty()));
        descriptors.map(|descriptor| descriptor.is_some() && ready.next().unwrap_or(false))
    }

    fn say(&mut self, message: &str) {
        self.message = Some((message.to_owned(), Instant::now()));
    }

    /// Whether the screen has changed.
    fn read_keys(&mut self) -> bool {
        let mut bytes = [0; 64];
        let read = self.keys.as_mut().map(|keys| keys.read(&mut bytes));
        let Some(Ok(count @ 1..)) = read else {
            // The terminal is gone.
            self.keys = None;
            return false;
        };
        for byte in bytes.get(..count).unwrap_or_default() {
            if let Some(key) = self.key_bytes.byte(*byte) {
                self.key(key);
            }
        }
        true
    }

    fn key(&mut self, key: u8) {
        match self.choices.key(key, self.watched.run.models.len()) {
            None => {}
            Some(Command::Quit) => match self.when_left {
                WhenLeft::Ends => {
                    self.watched.source.ask(Ask::End);
                    self.say("The tracing ends; the process runs on.");
                }
                WhenLeft::GoesOn if !self.closed => {
                    self.leave();
                    let _ = writeln!(
                        io::stderr(),
                        "tracer: the screen is closed; the engine and the tracing go on, Ctrl-C ends both"
                    );
                }
                WhenLeft::GoesOn => {}
                WhenLeft::NothingRuns => self.leave(),
            },
            Some(Command::Pause(paused)) => self.watched.source.set_paused(paused),
            Some(Command::Play(speed)) => self.watched.source.set_speed(speed),
            Some(Command::Report) => {
                self.watched.source.ask(Ask::Report);
                self.say("A report is being written.");
            }
            Some(Command::Mark(phase)) => {
                if let Ok(given) = phase.parse()
                    && let Some(run) = self.watched.source.run()
                {
                    run.mark(given);
                    self.say(&format!("Marked: {phase} begins."));
                }
            }
        }
    }

    fn read_output(&mut self) {
        let Some(bytes) = read_from(&mut self.engine_output) else {
            return;
        };
        self.pane.push(&bytes);
        if self.drawn.is_none() {
            // As without a screen: a terminal that is gone does not end the run.
            let mut output = io::stdout().lock();
            let _ = output.write_all(&bytes).and_then(|()| output.flush());
        }
    }

    fn read_messages(&mut self) {
        let Some(bytes) = read_from(&mut self.messages) else {
            return;
        };
        self.pane.push(&bytes);
        let room = MOST_MESSAGES.saturating_sub(self.said.len());
        self.said.extend(bytes.into_iter().take(room));
    }

    fn draw(&mut self) {
        let Some((terminal, _)) = &mut self.drawn else {
            return;
        };
        if self
            .message
            .as_ref()
            .is_some_and(|(_, since)| since.elapsed() > MESSAGE && !self.closed)
        {
            self.message = None;
        }
        let width = terminal.size().map_or(80, |size| size.width);
        let columns = view::chart_columns(width);
        let watched = &self.watched;
        let board = board(&watched.run, &watched.history, &self.choices, columns);
        let view = View {
            board: &board,
            choices: &self.choices,
            pane: &self.pane,
            message: self.message.as_ref().map(|(message, _)| message.as_str()),
            quit: self.when_left.words(),
            palette: Palette {
                plain: std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
            },
        };
        if terminal.draw(|frame| view::draw(frame, &view)).is_err() {
            // The terminal is gone: the run goes on without a screen.
            self.drawn = None;
            self.keys = None;
        }
    }

    /// Gives the terminal back, and says there what was said meanwhile.
    fn leave(&mut self) {
        if self.drawn.take().is_none() {
            return;
        }
        self.keys = None;
        // Nobody writes there any more.
        while self.messages.is_some() && matches!(self.wait(Duration::ZERO), [.., true]) {
            self.read_messages();
        }
        let _ = io::stderr().write_all(&std::mem::take(&mut self.said));
    }
}

/// What has come on a pipe; nothing where none came. A pipe that ended is gone then.
fn read_from(pipe: &mut Option<OwnedFd>) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 16 << 10];
    match nix::unistd::read(pipe.as_ref()?, &mut bytes) {
        Ok(0) => {
            *pipe = None;
            None
        }
        Ok(count) => {
            bytes.truncate(count);
            Some(bytes)
        }
        Err(_) => None,
    }
}
