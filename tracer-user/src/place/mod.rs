//! Which sectors and pages are whose: models, their files, where these lie, what they are made of.

mod inspect;
mod locator;
mod pieces;
mod spans;
mod subject;
mod tables;

pub use inspect::inspect;
pub use locator::{Layout, Locator, Owner};
pub use pieces::{ModelPieces, PieceClasses, PieceIdentity};
pub use spans::Spans;
pub use subject::{FileIdentity, Placement, RequestedModel, Subject, SubjectFile, SubjectModel};
