//! Commands on runs that are over.

mod compare;
mod export;
mod open;

pub use compare::CompareArguments;
pub use export::ExportArguments;
pub use open::{OpenArguments, ValidateArguments};

pub(in crate::cli) use compare::compare;
pub(in crate::cli) use export::export;
pub(in crate::cli) use open::{open, validate};
