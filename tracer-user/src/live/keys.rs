//! Keys, and what they change on the screen.

use crate::run::Speed;

/// What a key asks for beside a change of the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Close the screen, or end the run.
    Quit,
    Report,
    /// The phase with this name begins.
    Mark(&'static str),
    /// The screen stands still, or goes on.
    Pause(bool),
    /// Play the recording so fast.
    Play(Speed),
}

/// What lies over the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overlay {
    #[default]
    None,
    Help,
    /// Which phase begins?
    Mark,
}

/// What the lower part shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lower {
    #[default]
    Kinds,
    Layers,
    Experts,
    Output,
}

/// By what parts of the model are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    #[default]
    MostRead,
    MostOften,
    AsInModel,
}

/// Windows in seconds; the last is the whole run.
const WINDOWS: [f64; 5] = [10.0, 60.0, 300.0, f64::INFINITY, 2.0];

/// Phases that a key can begin.
pub const PHASES: [(u8, &str); 6] = [
    (b'l', "load"),
    (b'w', "warm-up"),
    (b'p', "prompt"),
    (b'g', "generation"),
    (b'i', "idle"),
    (b'e', "end"),
];

/// What the person before the screen has chosen.
#[derive(Clone, Debug, Default)]
pub struct Choices {
    /// Number of the window.
    pub window: usize,
    pub sort: Sort,
    pub lower: Lower,
    pub paused: bool,
    pub overlay: Overlay,
    /// Slot of the model.
    pub model: usize,
    /// How fast a recording is played; None for a run that goes on.
    pub speed: Option<Speed>,
}

impl Choices {
    /// Length of the window in seconds; infinite for the whole run.
    pub fn window_s(&self) -> f64 {
        WINDOWS.get(self.window).copied().unwrap_or(f64::INFINITY)
    }

    /// Takes in a key. `models`: how many there are.
    pub fn key(&mut self, key: u8, models: usize) -> Option<Command> {
        match self.overlay {
            Overlay::Mark => {
                self.overlay = Overlay::None;
                let phase = PHASES.iter().find(|(own, _)| *own == key);
                return phase.map(|(_, phase)| Command::Mark(phase));
            }
            Overlay::Help => {
                self.overlay = Overlay::None;
                return None;
            }
            Overlay::None => {}
        }
        match key {
            b'q' => return Some(Command::Quit),
            b'p' | b' ' => {
                self.paused = !self.paused;
                return Some(Command::Pause(self.paused));
            }
            b'w' => self.window = (self.window + 1) % WINDOWS.len(),
            b's' => {
                self.sort = match self.sort {
                    Sort::MostRead => Sort::MostOften,
                    Sort::MostOften => Sort::AsInModel,
                    Sort::AsInModel => Sort::MostRead,
                }
            }
            b't' | b'\t' => {
                self.lower = match self.lower {
                    Lower::Kinds => Lower::Layers,
                    Lower::Layers => Lower::Experts,
                    Lower::Experts => Lower::Output,
                    Lower::Output => Lower::Kinds,
                }
            }
            b'n' => self.model = (self.model + 1) % models.max(1),
            b'?' | b'h' => self.overlay = Overlay::Help,
            _ => return self.key_of_source(key),
        }
        None
    }

    /// Keys that mean something only while a run goes on, or only for a recording.
    fn key_of_source(&mut self, key: u8) -> Option<Command> {
        let speed = match (key, self.speed) {
            (b'r', None) => return Some(Command::Report),
            (b'm', None) => {
                self.overlay = Overlay::Mark;
                return None;
            }
            (b'+' | b'=', Some(speed)) => speed.faster(),
            (b'-', Some(speed)) => speed.slower(),
            _ => return None,
        };
        self.speed = Some(speed);
        Some(Command::Play(speed))
    }
}

/// Bytes of the terminal → keys. What cursor keys and the like send begins with an escape and is left out whole.
#[derive(Clone, Debug, Default)]
pub struct KeyBytes {
    state: Escape,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    Outside,
    Begun,
    Inside,
}

impl KeyBytes {
    /// The key that a byte is, if it is one.
    pub fn byte(&mut self, byte: u8) -> Option<u8> {
        let (state, key) = match (self.state, byte) {
            (_, 0x1b) => (Escape::Begun, None),
            (Escape::Begun, b'[' | b'O') => (Escape::Inside, None),
            (Escape::Begun, _) => (Escape::Outside, None),
            (Escape::Inside, b'@'..=b'~') => (Escape::Outside, None),
            (Escape::Inside, _) => (Escape::Inside, None),
            (Escape::Outside, byte) => (Escape::Outside, Some(byte)),
        };
        self.state = state;
        key
    }
}

#[cfg(test)]
mod tests {
    use super::{Choices, Command, KeyBytes, Lower, Overlay, PHASES};
    use crate::run::Speed;
    use crate::stats::phases::given::GivenPhase;

    #[test]
    fn keys_change_the_view_and_overlays_take_one_key() {
        let mut choices = Choices::default();
        assert_eq!(choices.key(b'q', 1), Some(Command::Quit));
        assert_eq!(choices.key(b'?', 1), None);
        assert_eq!(choices.overlay, Overlay::Help);
        // The help goes, and nothing else happens.
        assert_eq!(choices.key(b'q', 1), None);
        assert_eq!(choices.overlay, Overlay::None);
        choices.key(b'm', 1);
        assert_eq!(choices.key(b'g', 1), Some(Command::Mark("generation")));
        choices.key(b'm', 1);
        assert_eq!(choices.key(b'x', 1), None);
        assert_eq!(choices.overlay, Overlay::None);
        choices.key(b'\t', 1);
        assert_eq!(choices.lower, Lower::Layers);
        choices.key(b'n', 2);
        assert_eq!(choices.model, 1);
        choices.key(b'n', 2);
        assert_eq!(choices.model, 0);
    }

    #[test]
    fn a_recording_has_a_speed_and_nothing_is_asked_of_it() {
        let mut run = Choices::default();
        assert_eq!(run.key(b'+', 1), None);
        assert_eq!(run.key(b'r', 1), Some(Command::Report));
        assert_eq!(run.key(b' ', 1), Some(Command::Pause(true)));
        let mut recording = Choices {
            speed: Some(Speed::AS_IT_WAS),
            ..Choices::default()
        };
        let twice = Speed::AS_IT_WAS.faster();
        assert_eq!(recording.key(b'+', 1), Some(Command::Play(twice)));
        assert_eq!(recording.speed, Some(twice));
        assert_eq!(
            recording.key(b'-', 1),
            Some(Command::Play(Speed::AS_IT_WAS))
        );
        assert_eq!(recording.key(b'r', 1), None);
        assert_eq!(recording.key(b'm', 1), None);
        assert_eq!(recording.overlay, Overlay::None);
    }

    #[test]
    fn all_windows_come_round() {
        let mut choices = Choices::default();
        let mut seen = vec![choices.window_s()];
        for _ in 0..4 {
            choices.key(b'w', 1);
            seen.push(choices.window_s());
        }
        assert_eq!(seen, [10.0, 60.0, 300.0, f64::INFINITY, 2.0]);
        choices.key(b'w', 1);
        assert_eq!(choices.window_s(), 10.0);
    }

    #[test]
    fn cursor_keys_are_no_letters() {
        let mut bytes = KeyBytes::default();
        let mut keys =
            |text: &[u8]| -> Vec<u8> { text.iter().filter_map(|byte| bytes.byte(*byte)).collect() };
        // Up, F1, page down, a click, and a letter after each.
        assert_eq!(keys(b"\x1b[Aq\x1bOPp\x1b[6~w\x1b[<0;1;2Ms"), b"qpws");
        assert_eq!(keys(b"\x1bqm"), b"m");
    }

    #[test]
    fn every_phase_that_a_key_begins_can_be_given() {
        for (_, phase) in PHASES {
            assert!(phase.parse::<GivenPhase>().is_ok(), "{phase}");
        }
    }
}
