//! What models are called, what headings say, and where the rest of a table is.

use crate::{
    report::document::Text,
    schema::{ModelRecord, RunRecord},
};

/// The last part of a path, by which a person knows a model.
pub(super) fn short(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A heading, with the model's name where the run had several.
pub(super) fn titled(record: &RunRecord, model: &ModelRecord, title: &str) -> String {
    if record.models.len() > 1 {
        format!("{title}: {}", short(&model.model.path))
    } else {
        title.to_owned()
    }
}

/// A table that does not show everything says where the rest is.
pub(super) fn left_out(shown: &str) -> Text {
    Text::plain(format!("{shown}. All of them are in "))
        .code("run.json")
        .then(".")
}
