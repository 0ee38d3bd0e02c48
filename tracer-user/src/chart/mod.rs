//! Charts: one description of what a chart shows, and its writer.
//!
//! A [`Chart`] is plain values with axes and units: it knows no record, no file and no colour. [`svg`] writes it for a page
//! or for a file of its own; whoever describes a chart says what stands in it, and never where a pixel goes.
//!
//! | file | what it decides |
//! |---|---|
//! | `description` | what a chart can show |
//! | `scale` | where a value lies on its axis |
//! | `ticks` | which values an axis names |
//! | `density` | how many reads become a grid of cells |
//! | `svg` | where things stand, and how they look |

mod density;
mod description;
mod scale;
mod svg;
mod ticks;

pub use density::DensityGrid;
pub use description::{
    Across, Axis, Bar, Cell, Chart, Dot, Edge, Ink, Mark, Piece, Point, Shape, Spread, SpreadAcross,
};
pub use scale::Scale;
pub use svg::{STYLE, Size, Stop, readout, standalone, svg};
