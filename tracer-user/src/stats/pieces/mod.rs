//! Bytes by piece of a model: tensors, experts, headers.

pub mod reads;
pub mod steps;
pub mod table;
