//! Figures of a model.

pub mod gaps;
pub mod model;
pub mod pages;
pub mod reads;
pub mod speed;
