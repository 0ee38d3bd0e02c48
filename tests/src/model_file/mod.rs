//! Files to read: how they are made, where they lie on the device, and what of them is cached.

mod build;
mod content;
mod extents;
mod gguf;
mod gguf_writer;
mod held_pages;
mod mapping;
mod residency;

pub use build::{FragmentedPair, ModelFile};
pub use content::{Checksum, content_at};
pub use extents::{Extent, extents_of};
pub use gguf::{GgufLayout, Piece};
pub use gguf_writer::{Element, GgufWriter, write_dense_model};
pub use held_pages::HeldPages;
pub use mapping::Mapping;
pub use residency::{evict, resident_pages};
