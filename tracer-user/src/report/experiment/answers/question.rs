//! One question, and what the runs say to it.

use super::missing::Missing;

/// One question and what the runs say.
pub struct Answer {
    pub question: &'static str,
    /// What the rows show. Empty: nothing.
    pub claims: Vec<String>,
    /// What bounds it, and what is not shown.
    pub limits: Vec<String>,
    pub header: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
    /// Runs that would answer it, or answer it better.
    pub missing: Vec<Missing>,
}
