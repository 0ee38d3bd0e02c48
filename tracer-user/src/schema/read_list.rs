//! The list of reads beside a run's record.

use serde::{Deserialize, Serialize};

/// What became of the list of reads. All null but `error` where it could not be written whole: there is no list then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadListRecord {
    /// Name of the file in the run's folder.
    pub file: Option<String>,
    /// Rows in it.
    pub reads: Option<u64>,
    /// Bytes of the models in them.
    pub bytes: Option<u64>,
    /// Why there is none.
    pub error: Option<String>,
}
