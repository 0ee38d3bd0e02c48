//! A tracepoint's `format` file in tracefs: what its record looks like, as ftrace says it.
//!
//! The programs read no such record. It is a second road to what BTF says, and BTF is what every offset comes from
//! ([`super::KernelTypes::check_record`]).

use std::fmt;

/// Why a format file could not be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Linux {kernel}, format file of tracepoint {tracepoint}: {fault}")]
pub struct FormatError {
    /// The kernel's release.
    pub kernel: String,
    /// The tracepoint.
    pub tracepoint: String,
    /// What is wrong with it.
    pub fault: FormatFault,
}

/// What is wrong with a format file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatFault {
    /// A line that is none of the known ones.
    #[error("line {line} is {found:?}; expected {expected}")]
    Line {
        /// Its number, from 1 on.
        line: usize,
        /// Its beginning.
        found: String,
        /// What may stand there.
        expected: &'static str,
    },
    /// The file is of another tracepoint.
    #[error("it is the format of {found:?}")]
    OtherTracepoint {
        /// The name in it.
        found: String,
    },
    /// Two fields of one name.
    #[error("field {field} is there twice")]
    Twice {
        /// The field.
        field: String,
    },
    /// A field that lies on its predecessor.
    #[error(
        "field {field} begins at byte {offset_bytes}, before the end of the field before it, at {end_bytes}"
    )]
    Overlap {
        /// The field.
        field: String,
        /// Where it begins.
        offset_bytes: u32,
        /// Where the one before ends.
        end_bytes: u32,
    },
    /// The file ends too early.
    #[error("it ends before {expected}")]
    CutOff {
        /// What is missing.
        expected: &'static str,
    },
}

/// A field of a tracepoint's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatField {
    /// Its name.
    pub name: String,
    /// Whether it is a reference to data behind the record (`__data_loc`, `__rel_loc`); the sign is then that of the data.
    pub is_reference: bool,
    /// Where it begins.
    pub offset_bytes: u32,
    /// Its size; of an array, that of all of it.
    pub size_bytes: u32,
    /// Whether the field, or an array's elements, have a sign.
    pub is_signed: bool,
}

/// A tracepoint's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracepointFormat {
    /// The tracepoint.
    pub tracepoint: String,
    /// Its fields, in their order; those that all records have come first, with names that begin with `common_`.
    pub fields: Vec<FormatField>,
}

impl TracepointFormat {
    /// Reads the format file of a tracepoint.
    ///
    /// # Errors
    /// What is not as `f_show` in `kernel/trace/trace_events.c` writes it, with the kernel's and the tracepoint's names.
    pub fn parse(kernel: &str, tracepoint: &str, text: &str) -> Result<Self, FormatError> {
        fields(tracepoint, text)
            .map(|fields| Self {
                tracepoint: tracepoint.to_owned(),
                fields,
            })
            .map_err(|fault| FormatError {
                kernel: kernel.to_owned(),
                tracepoint: tracepoint.to_owned(),
                fault,
            })
    }
}

impl fmt::Display for FormatField {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} bytes at {}",
            self.size_bytes, self.offset_bytes
        )
    }
}

fn fields(tracepoint: &str, text: &str) -> Result<Vec<FormatField>, FormatFault> {
    let mut lines = text.lines().zip(1..);
    let mut head = |prefix: &'static str| {
        let (line, number) = lines
            .next()
            .ok_or(FormatFault::CutOff { expected: prefix })?;
        line.strip_prefix(prefix)
            .map(str::trim)
            .ok_or_else(|| unexpected(line, number, prefix))
    };
    let name = head("name:")?;
    if name != tracepoint {
        return Err(FormatFault::OtherTracepoint {
            found: beginning(name),
        });
    }
    head("ID:")?;
    head("format:")?;
    let mut fields: Vec<FormatField> = Vec::new();
    let mut end_bytes = 0;
    for (line, number) in lines {
        let line = line.trim();
        if line.starts_with("print fmt:") {
            return if fields.is_empty() {
                Err(FormatFault::CutOff { expected: "field:" })
            } else {
                Ok(fields)
            };
        }
        if line.is_empty() {
            continue;
        }
        let (field, own_end_bytes) = field(line).ok_or_else(|| {
            unexpected(
                line,
                number,
                "field:TYPE NAME; offset:BYTES; size:BYTES; signed:0 or 1;",
            )
        })?;
        if fields.iter().any(|other| other.name == field.name) {
            return Err(FormatFault::Twice { field: field.name });
        }
        if field.offset_bytes < end_bytes {
            return Err(FormatFault::Overlap {
                field: field.name,
                offset_bytes: field.offset_bytes,
                end_bytes,
            });
        }
        end_bytes = own_end_bytes;
        fields.push(field);
    }
    Err(FormatFault::CutOff {
        expected: "print fmt:",
    })
}

/// A field and its end.
fn field(line: &str) -> Option<(FormatField, u32)> {
    let mut parts = line.split(';').map(str::trim);
    let declaration = parts.next()?.strip_prefix("field:")?;
    let offset_bytes: u32 = parts.next()?.strip_prefix("offset:")?.parse().ok()?;
    let size_bytes: u32 = parts.next()?.strip_prefix("size:")?.parse().ok()?;
    let is_signed = match parts.next()?.strip_prefix("signed:")? {
        "0" => false,
        "1" => true,
        _ => return None,
    };
    if parts.any(|rest| !rest.is_empty()) {
        return None;
    }
    let end_bytes = offset_bytes.checked_add(size_bytes)?;
    let (kind, name) = split_declaration(declaration)?;
    let field = FormatField {
        name: name.to_owned(),
        is_reference: kind.starts_with("__data_loc ") || kind.starts_with("__rel_loc "),
        offset_bytes,
        size_bytes,
        is_signed,
    };
    Some((field, end_bytes))
}

/// Type and name of `char rwbs[8]`, `struct file * file`, `__data_loc char[] cmd`.
fn split_declaration(declaration: &str) -> Option<(&str, &str)> {
    let without_array = match declaration.strip_suffix(']') {
        Some(before) => before.rsplit_once('[')?.0,
        None => declaration,
    };
    let (kind, name) = without_array
        .rfind(|character: char| !(character.is_ascii_alphanumeric() || character == '_'))
        .and_then(|at| without_array.split_at_checked(at + 1))?;
    let is_name =
        name.starts_with(|character: char| character.is_ascii_alphabetic() || character == '_');
    (is_name && !kind.trim().is_empty()).then_some((kind, name))
}

fn unexpected(line: &str, number: usize, expected: &'static str) -> FormatFault {
    FormatFault::Line {
        line: number,
        found: beginning(line),
        expected,
    }
}

/// As much of a line as an error can show.
fn beginning(line: &str) -> String {
    line.chars().take(80).collect()
}

#[cfg(test)]
pub(crate) mod tests;
