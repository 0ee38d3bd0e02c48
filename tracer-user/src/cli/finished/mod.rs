//! Commands on runs that are over.

mod compare;
mod export;
mod how_much;
mod live;
mod open;

pub use compare::CompareArguments;
pub use export::ExportArguments;
pub use how_much::SizeArguments;
pub use live::LiveArguments;
pub use open::{OpenArguments, ValidateArguments};

pub(in crate::cli) use compare::compare;
pub(in crate::cli) use export::export;
pub(in crate::cli) use how_much::how_much;
pub(in crate::cli) use live::live;
pub(in crate::cli) use open::{open, validate};
