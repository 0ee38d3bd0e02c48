//! Which sectors and pages are whose: models, their files, where these lie, what they are made of.

mod file_selection;
mod inspect;
mod locator;
mod owner;
mod pieces;
mod spans;
mod subject;
mod tables;

pub use file_selection::FileSelection;
pub use inspect::inspect;
pub use locator::{Layout, Locator};
pub use owner::Owner;
pub use pieces::{ModelPieces, PieceClasses, PieceIdentity, resident_pages};
pub use spans::Spans;
pub use subject::{FileIdentity, Placement, RequestedModel, Subject, SubjectFile, SubjectModel};
