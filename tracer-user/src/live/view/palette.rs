//! Colours, or none.

use ratatui::style::{Color, Modifier, Style};

use crate::live::verdict::Tone;

/// How things look.
#[derive(Clone, Copy, Debug)]
pub struct Palette {
    /// No colours: `NO_COLOR` is set.
    pub plain: bool,
}

impl Palette {
    fn coloured(self, colour: Color) -> Style {
        if self.plain {
            Style::new()
        } else {
            Style::new().fg(colour)
        }
    }

    pub fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// Names of things, heads.
    pub fn faint(self) -> Style {
        if self.plain {
            Style::new()
        } else {
            Style::new().add_modifier(Modifier::DIM)
        }
    }

    pub fn chart(self) -> Style {
        self.coloured(Color::Cyan)
    }

    pub fn tone(self, tone: Tone) -> Style {
        match tone {
            Tone::Plain => Style::new(),
            Tone::Good => self.coloured(Color::Green),
            Tone::Alarm => self.coloured(Color::Red).add_modifier(Modifier::BOLD),
        }
    }
}
