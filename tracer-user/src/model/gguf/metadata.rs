//! Metadata values: scalars and text are kept, arrays only by place.

use std::io::Read;

use super::cursor::Cursor;
use super::error::{GgufError, GgufErrorKind};

/// Longest text value that is kept; chat templates have some 10 KiB. A longer one is known by its length only.
const MAX_TEXT_BYTES: u64 = 256 << 10;
/// Deepest nesting of arrays. llama.cpp accepts none in arrays; the format allows them.
const MAX_ARRAY_DEPTH: u32 = 4;

/// The type of a metadata value, by its number in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the names are the format's own
pub enum ValueType {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    Text,
    Array,
    U64,
    I64,
    F64,
}

impl ValueType {
    /// The type that has `number` in the file, if there is one.
    pub fn from_number(number: u32) -> Option<Self> {
        use ValueType::*;
        const BY_NUMBER: [ValueType; 13] = [
            U8, I8, U16, I16, U32, I32, F32, Bool, Text, Array, U64, I64, F64,
        ];
        BY_NUMBER.get(usize::try_from(number).ok()?).copied()
    }

    /// Bytes of one value; `None` for text and arrays, whose length varies.
    pub fn size_bytes(self) -> Option<u64> {
        use ValueType::*;
        match self {
            U8 | I8 | Bool => Some(1),
            U16 | I16 => Some(2),
            U32 | I32 | F32 => Some(4),
            U64 | I64 | F64 => Some(8),
            Text | Array => None,
        }
    }
}

/// Where an array lies; its elements are not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Array {
    /// Type of its elements.
    pub element_type: ValueType,
    /// Number of its elements.
    pub count: u64,
    /// Offset of its first element in the file.
    pub file_offset_bytes: u64,
    /// Bytes of all its elements.
    pub length_bytes: u64,
}

#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // the scalar names are the format's own
pub enum MetadataValue {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    U64(u64),
    I64(i64),
    F32(f32),
    F64(f64),
    /// Any byte but 0 is true, as llama.cpp takes it.
    Bool(bool),
    Text(String),
    /// Text of more than 256 KiB, which is not kept.
    LongText {
        length_bytes: u64,
    },
    Array(Array),
}

impl MetadataValue {
    /// The value, if it is a non-negative integer of any width.
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Self::U8(value) => Some(value.into()),
            Self::U16(value) => Some(value.into()),
            Self::U32(value) => Some(value.into()),
            Self::U64(value) => Some(value),
            Self::I8(value) => value.try_into().ok(),
            Self::I16(value) => value.try_into().ok(),
            Self::I32(value) => value.try_into().ok(),
            Self::I64(value) => value.try_into().ok(),
            _ => None,
        }
    }

    /// The value, if it is a floating-point number.
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Self::F32(value) => Some(value.into()),
            Self::F64(value) => Some(value),
            _ => None,
        }
    }

    /// The value, if it is text that was kept.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(value) => Some(value),
            _ => None,
        }
    }

    /// Reads a value of the type whose number comes first.
    pub(super) fn read<R: Read>(cursor: &mut Cursor<R>) -> Result<Self, GgufError> {
        let what = "a metadata value";
        Ok(match read_type(cursor)? {
            ValueType::U8 => Self::U8(u8::from_le_bytes(cursor.array(what)?)),
            ValueType::I8 => Self::I8(i8::from_le_bytes(cursor.array(what)?)),
            ValueType::U16 => Self::U16(u16::from_le_bytes(cursor.array(what)?)),
            ValueType::I16 => Self::I16(i16::from_le_bytes(cursor.array(what)?)),
            ValueType::U32 => Self::U32(cursor.u32(what)?),
            ValueType::I32 => Self::I32(i32::from_le_bytes(cursor.array(what)?)),
            ValueType::U64 => Self::U64(cursor.u64(what)?),
            ValueType::I64 => Self::I64(i64::from_le_bytes(cursor.array(what)?)),
            ValueType::F32 => Self::F32(f32::from_le_bytes(cursor.array(what)?)),
            ValueType::F64 => Self::F64(f64::from_le_bytes(cursor.array(what)?)),
            ValueType::Bool => Self::Bool(cursor.array::<1>(what)? != [0]),
            ValueType::Text => {
                let length_bytes = cursor.u64("a text's length")?;
                if length_bytes > MAX_TEXT_BYTES {
                    cursor.skip("a metadata text", length_bytes)?;
                    Self::LongText { length_bytes }
                } else {
                    Self::Text(cursor.text("a metadata text", length_bytes)?)
                }
            }
            ValueType::Array => Self::Array(skip_array(cursor, 0)?),
        })
    }
}

fn read_type<R: Read>(cursor: &mut Cursor<R>) -> Result<ValueType, GgufError> {
    let start = cursor.position_bytes();
    let number = cursor.u32("a metadata value's type")?;
    ValueType::from_number(number).ok_or_else(|| GgufErrorKind::ValueType(number).at(start))
}

fn skip_array<R: Read>(cursor: &mut Cursor<R>, depth: u32) -> Result<Array, GgufError> {
    let start = cursor.position_bytes();
    if depth >= MAX_ARRAY_DEPTH {
        let what = "the nesting of arrays";
        let (found, limit) = (u64::from(depth) + 1, u64::from(MAX_ARRAY_DEPTH));
        return Err(GgufErrorKind::Limit { what, found, limit }.at(start));
    }
    let element_type = read_type(cursor)?;
    let count = cursor.u64("an array's length")?;
    let file_offset_bytes = cursor.position_bytes();
    match (element_type, element_type.size_bytes()) {
        (_, Some(size_bytes)) => cursor.skip("an array", count.saturating_mul(size_bytes))?,
        (ValueType::Array, None) => {
            cursor.expect_room("an array of arrays", count, 12)?;
            for _ in 0..count {
                skip_array(cursor, depth + 1)?;
            }
        }
        (_, None) => {
            cursor.expect_room("an array of texts", count, 8)?;
            for _ in 0..count {
                let length_bytes = cursor.u64("a text's length")?;
                cursor.skip("a text in an array", length_bytes)?;
            }
        }
    }
    Ok(Array {
        element_type,
        count,
        file_offset_bytes,
        length_bytes: cursor.position_bytes() - file_offset_bytes,
    })
}
