//! Commands on runs that are over.

mod compare;
mod export;
mod live;
mod open;

pub use compare::CompareArguments;
pub use export::ExportArguments;
pub use live::LiveArguments;
pub use open::{OpenArguments, ValidateArguments};

pub(in crate::cli) use compare::compare;
pub(in crate::cli) use export::export;
pub(in crate::cli) use live::live;
pub(in crate::cli) use open::{open, validate};
