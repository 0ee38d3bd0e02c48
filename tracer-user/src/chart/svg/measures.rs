//! How large a chart is, and how exact its lengths are written.

/// How wide a chart is drawn, in pixels of text that is 12 high. The height follows from what it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// For a screen, for paper.
    Wide,
    /// For a phone.
    Narrow,
}

impl Size {
    pub(super) const fn width(self) -> f64 {
        match self {
            Self::Wide => 860.0,
            Self::Narrow => 380.0,
        }
    }
}

/// About how wide a character of the axes is.
pub(super) const CHARACTER: f64 = 7.0;

/// A length in pixels, as exact as can be seen.
pub(super) fn px(length: f64) -> String {
    let text = format!("{length:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}
