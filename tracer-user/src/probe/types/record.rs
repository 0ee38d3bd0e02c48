//! The records of tracepoints as BTF has them (`struct trace_event_raw_…`), compared with their format files.

use btf_rs::{BtfType, Struct, Type};

use crate::probe::{programs::TracedEvent, tracepoint_format::TracepointFormat};

use super::{KernelTypes, TypesError, UNSUPPORTED};

/// The member with the fields that all records have, and what their names begin with in a format file
/// (`include/trace/trace_events.h`, `trace_define_common_fields` in `kernel/trace/trace_events.c`).
const COMMON: (&str, &str) = ("ent", "common_");
/// What follows the record.
const DATA: &str = "__data";
/// Beginnings of the names of references to it.
const REFERENCES: [&str; 2] = ["__data_loc_", "__rel_loc_"];

/// A field as BTF has it.
struct RecordField {
    name: String,
    offset_bytes: u32,
    size_bytes: u32,
    /// None where it is no integer, and no array of integers, or where they are bytes: BTF of 5.10 has no sign for `char`.
    is_signed: Option<bool>,
}

impl KernelTypes {
    /// Compares what BTF says of a tracepoint's record with its format file, which the kernel makes by another road: a
    /// kernel whose BTF is another one's, or wrong, would have the programs read something else.
    ///
    /// # Errors
    /// The first field that one of them lacks, or that they put elsewhere or give another size or sign; no record in BTF.
    pub fn check_record(
        &self,
        event: &TracedEvent,
        format: &TracepointFormat,
    ) -> Result<(), TypesError> {
        let differ = |field: &str, found: String, expected: String| {
            Err(TypesError::UnexpectedField {
                kernel: self.kernel.clone(),
                tracepoint: event.tracepoint,
                field: field.to_owned(),
                found,
                expected,
            })
        };
        let fields = self.record_fields(event)?;
        for found in &format.fields {
            let Some(expected) = fields.iter().find(|field| field.name == found.name) else {
                return differ(&found.name, found.to_string(), "no such field".to_owned());
            };
            if (found.offset_bytes, found.size_bytes)
                != (expected.offset_bytes, expected.size_bytes)
            {
                let expected =
                    format!("{} bytes at {}", expected.size_bytes, expected.offset_bytes);
                return differ(&found.name, found.to_string(), expected);
            }
            // The sign of a reference is that of what it leads to.
            if let Some(is_signed) = expected.is_signed
                && !found.is_reference
                && is_signed != found.is_signed
            {
                let with_sign = |is_signed| if is_signed { "signed" } else { "unsigned" };
                return differ(
                    &found.name,
                    with_sign(found.is_signed).to_owned(),
                    with_sign(is_signed).to_owned(),
                );
            }
        }
        let is_in_format =
            |field: &&RecordField| !format.fields.iter().any(|other| other.name == field.name);
        match fields.iter().find(is_in_format) {
            Some(missing) => differ(
                &missing.name,
                "missing".to_owned(),
                format!("{} bytes at {}", missing.size_bytes, missing.offset_bytes),
            ),
            None => Ok(()),
        }
    }

    fn record_fields(&self, event: &TracedEvent) -> Result<Vec<RecordField>, TypesError> {
        let record = std::iter::once(&event.tracepoint)
            .chain(event.classes)
            .find_map(|name| self.structures(&format!("trace_event_raw_{name}")).next())
            .ok_or_else(|| TypesError::MissingType {
                kernel: self.kernel.clone(),
                kind: "struct",
                name: format!("trace_event_raw_{}", event.tracepoint),
                hint: UNSUPPORTED,
            })?;
        let mut fields = Vec::new();
        for member in &record.members {
            let name = self.btf.resolve_name(member).unwrap_or_default();
            if name == DATA {
                continue;
            }
            if name == COMMON.0
                && let Some(common) = self.structure_of(member)
            {
                for inner in &common.members {
                    let name = self.btf.resolve_name(inner).unwrap_or_default();
                    let name = format!("{}{name}", COMMON.1);
                    fields.push(self.record_field(name, member.bit_offset(), inner));
                }
                continue;
            }
            let name = REFERENCES
                .iter()
                .find_map(|beginning| name.strip_prefix(beginning))
                .unwrap_or(&name);
            fields.push(self.record_field(name.to_owned(), 0, member));
        }
        Ok(fields)
    }

    fn record_field(&self, name: String, outer_bits: u32, member: &btf_rs::Member) -> RecordField {
        let (size_bytes, is_signed) = self.size_and_sign(member);
        RecordField {
            name,
            offset_bytes: outer_bits.saturating_add(member.bit_offset()) / 8,
            size_bytes: u32::try_from(size_bytes).unwrap_or(u32::MAX),
            is_signed,
        }
    }

    fn structure_of(&self, member: &btf_rs::Member) -> Option<Struct> {
        self.btf
            .chained_type_iter(member)
            .find_map(|target| match target {
                Type::Struct(found) => Some(found),
                _ => None,
            })
    }

    fn size_and_sign<T: BtfType + ?Sized>(&self, reference: &T) -> (usize, Option<bool>) {
        for target in self.btf.chained_type_iter(reference) {
            return match target {
                Type::Int(found) => {
                    let size_bytes = found.size();
                    (size_bytes, (size_bytes > 1).then(|| found.is_signed()))
                }
                Type::Ptr(_) => (size_of::<u64>(), None),
                Type::Struct(found) | Type::Union(found) => (found.size(), None),
                Type::Enum(found) => (found.size(), None),
                Type::Enum64(found) => (found.size(), None),
                Type::Float(found) => (found.size(), None),
                Type::Array(found) => {
                    let (size_bytes, is_signed) = self.size_and_sign(&found);
                    (size_bytes.saturating_mul(found.len()), is_signed)
                }
                _ => continue,
            };
        }
        (0, None)
    }
}

#[cfg(test)]
mod tests;
