//! What of an experiment is on disk: its folder and who holds it, its manifest, its models.

pub mod folder;
pub mod fragmented;
pub mod full;
pub mod identity;
pub mod listing;
pub mod manifest;
