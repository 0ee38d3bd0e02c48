//! Members of one model.

pub mod accounting;
pub mod attribution;
pub mod identity;
pub mod model;
pub mod reads;
