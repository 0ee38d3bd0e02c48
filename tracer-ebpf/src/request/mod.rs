//! Requests, and the bios of devices without requests: from issue to completion, and over the extents of the models.

pub mod arrival;
pub mod bio;
pub mod block;
pub mod origin;
pub mod parts;
pub mod stage;
pub mod transfer;
pub mod walk;
