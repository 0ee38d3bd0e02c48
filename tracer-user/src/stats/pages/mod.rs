//! What happens to the pages of a model in the page cache.

pub mod course;
pub mod events;
pub mod figures;
pub mod first_touch;
pub mod history;
pub mod miss_stream;
pub mod state;
