//! What is said of a moment, for whoever hands it on.

use crate::exposition::ParsedFamily;

use super::service::ServiceFigure;

/// What runs and the service say.
#[derive(Clone, Debug, Default)]
pub struct SaidNow {
    /// What each run says, by its engine where there are several.
    pub runs: Vec<(Option<String>, Vec<ParsedFamily>)>,
    /// What the service says of itself.
    pub own: Vec<(ServiceFigure, f64)>,
}
