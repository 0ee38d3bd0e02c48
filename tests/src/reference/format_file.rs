//! The `format` files of tracepoints, read without the tracer's parser.

use std::fs;

use anyhow::{Context as _, Result};

use super::tracefs::tracefs;

/// A field of a tracepoint's record: name, offset, size, sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatField {
    /// Its type and name, as the file has them.
    pub declaration: String,
    /// Bytes from the record's start.
    pub offset_bytes: u64,
    /// Bytes.
    pub size_bytes: u64,
    /// Whether it, or what it leads to, has a sign.
    pub is_signed: bool,
}

impl FormatField {
    #[must_use]
    pub fn name(&self) -> &str {
        let before_array = match self.declaration.rsplit_once('[') {
            // `char[] cmd` has its brackets before the name.
            Some((before, after)) if after.ends_with(']') => before,
            _ => &self.declaration,
        };
        before_array
            .rsplit([' ', '*', ']'])
            .next()
            .unwrap_or_default()
    }
}

/// Fields of a tracepoint of the running kernel, such as `block/block_rq_issue`.
///
/// # Errors
/// [`crate::environment::Unavailable`] where tracefs cannot be mounted; the file cannot be read.
pub fn format_of(path: &str) -> Result<Vec<FormatField>> {
    let path = tracefs()?.join("events").join(path).join("format");
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    fields_of(&text)
}

/// Fields in a format file's text.
///
/// # Errors
/// A line that is not understood; no fields.
pub fn fields_of(text: &str) -> Result<Vec<FormatField>> {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("field:"))
        .map(|line| {
            let parts: Vec<&str> = line.split(';').map(str::trim).collect();
            let number = |position: usize, label: &str| -> Result<u64> {
                let part = parts.get(position).copied().unwrap_or_default();
                part.strip_prefix(label)
                    .and_then(|number| number.parse().ok())
                    .with_context(|| format!("no {label} in {line:?}"))
            };
            Ok(FormatField {
                declaration: parts.first().copied().unwrap_or_default().to_owned(),
                offset_bytes: number(1, "offset:")?,
                size_bytes: number(2, "size:")?,
                is_signed: number(3, "signed:")? != 0,
            })
        })
        .collect()
}
