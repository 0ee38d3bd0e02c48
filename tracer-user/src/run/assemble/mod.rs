//! Observations → the record of a run. Counts come from the kernel's aggregates, which need no room in the
//! ring buffer; order, time and sizes come from the stream.

mod attribution;
mod budget;
mod dead_pages;
mod device;
mod given_marks;
mod losses;
mod model;
mod residency;
mod waits_told;
mod window;

pub use attribution::{Surroundings, Told, fill as fill_attribution};
pub use dead_pages::add_dead_pages;
pub use given_marks::add_given_marks;
pub use residency::{ResidencyCourse, residency_course};
pub use waits_told::WaitsTold;
pub use window::{Observed, fill};
