//! Members of one model.

pub mod attribution;
pub mod identity;
pub mod model;
pub mod reads;
