//! The whole header: length, JSON, and each tensor's place in the file.

use std::io::Read;

use safetensors::Dtype;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as NoSuchName, StrDeserializer};

use super::error::{SafetensorsError, SafetensorsErrorKind};
use super::info::{Entry, entries};

/// The format's own limit (`MAX_HEADER_SIZE` in `safetensors/src/tensor.rs`).
const MAX_HEADER_BYTES: u64 = 100_000_000;
/// How much of a JSON error's message is kept.
const MAX_MESSAGE_CHARACTERS: usize = 400;
/// The u64 that comes before the JSON.
const LENGTH_FIELD_BYTES: u64 = 8;

/// What the header of a safetensors file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SafetensorsHeader {
    /// Size of the file, as given to [`SafetensorsHeader::read`].
    pub file_size_bytes: u64,
    /// Where the tensor data starts, counted from the start of the file; never beyond its end.
    pub data_start_bytes: u64,
    /// Tensors in the order of their data; names are unique, data does not overlap and lies between `data_start_bytes`
    /// and the file's end.
    pub tensors: Vec<SafetensorsTensor>,
}

/// One tensor of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SafetensorsTensor {
    /// Its name, such as `model.layers.0.self_attn.q_proj.weight`.
    pub name: String,
    /// Its element type by the name in the file, known here or not.
    pub element_type: String,
    /// Elements in each dimension, outermost first, as the file has it.
    pub shape: Vec<u64>,
    /// Where its data starts, counted from the start of the file.
    pub file_offset_bytes: u64,
    /// Bytes of its data.
    pub length_bytes: u64,
}

impl SafetensorsTensor {
    /// Where its data ends, counted from the start of the file; never beyond the file's end.
    pub fn end_bytes(&self) -> u64 {
        self.file_offset_bytes + self.length_bytes
    }
}

impl SafetensorsHeader {
    /// Reads the header from `source`, which stands at the first byte of a file of `file_size_bytes` bytes. Nothing
    /// beyond the header is read.
    ///
    /// Bytes between tensors or after the last one are accepted (the format's own reader refuses them): they belong to
    /// no tensor. So is an element type that is not known; its tensor has the length that the offsets give.
    ///
    /// # Errors
    /// [`SafetensorsError`] with the byte offset; a `source` that ends before the header does is an I/O error.
    pub fn read<R: Read>(mut source: R, file_size_bytes: u64) -> Result<Self, SafetensorsError> {
        use SafetensorsErrorKind as Kind;
        if file_size_bytes == 0 {
            return Err(Kind::Empty.at(0));
        }
        if file_size_bytes < LENGTH_FIELD_BYTES {
            let header_end_bytes = LENGTH_FIELD_BYTES;
            return Err(Kind::HeaderBeyondFile {
                header_end_bytes,
                file_size_bytes,
            }
            .at(0));
        }
        let mut length_field = [0; LENGTH_FIELD_BYTES as usize];
        source
            .read_exact(&mut length_field)
            .map_err(|error| Kind::Io(error).at(0))?;
        let json_bytes = u64::from_le_bytes(length_field);
        if json_bytes > MAX_HEADER_BYTES {
            let limit = MAX_HEADER_BYTES;
            return Err(Kind::HeaderTooLong {
                found: json_bytes,
                limit,
            }
            .at(0));
        }
        let data_start_bytes = LENGTH_FIELD_BYTES + json_bytes;
        if data_start_bytes > file_size_bytes {
            return Err(Kind::HeaderBeyondFile {
                header_end_bytes: data_start_bytes,
                file_size_bytes,
            }
            .at(0));
        }
        let mut json = Vec::new();
        let io = |error| Kind::Io(error).at(LENGTH_FIELD_BYTES);
        let copied = source.take(json_bytes).read_to_end(&mut json).map_err(io)?;
        if (copied as u64) < json_bytes {
            return Err(io(std::io::ErrorKind::UnexpectedEof.into()));
        }
        let entries =
            entries(&json).map_err(|error| Kind::Json(message(&error)).at(place(&json, &error)))?;
        let tensors = tensors(entries, data_start_bytes, file_size_bytes)
            .map_err(|(name, kind)| kind.at(place_of_name(&json, &name)))?;
        Ok(Self {
            file_size_bytes,
            data_start_bytes,
            tensors,
        })
    }
}

/// serde_json quotes what it did not expect, which can be as long as the header.
fn message(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.char_indices().nth(MAX_MESSAGE_CHARACTERS) {
        Some((end, _)) => format!("{} …", message.get(..end).unwrap_or_default()),
        None => message,
    }
}

/// Offset in the file at which `error` was found. serde_json counts lines from 1 and a line's bytes from 1; column 0 is
/// the line feed before the line.
fn place(json: &[u8], error: &serde_json::Error) -> u64 {
    let before: usize = json
        .split_inclusive(|&byte| byte == b'\n')
        .take(error.line().saturating_sub(1))
        .map(<[u8]>::len)
        .sum();
    let offset = (before + error.column().saturating_sub(1)).min(json.len());
    LENGTH_FIELD_BYTES + offset as u64
}

/// Offset in the file of the first entry of that name; of the JSON, where the name is written with escapes.
fn place_of_name(json: &[u8], name: &str) -> u64 {
    let quoted = format!("\"{name}\"");
    let found = json
        .windows(quoted.len())
        .position(|window| window == quoted.as_bytes());
    LENGTH_FIELD_BYTES + found.unwrap_or(0) as u64
}

type NamedFault = (String, SafetensorsErrorKind);

/// The tensors in the order of their data, all checks done.
fn tensors(
    entries: Vec<Entry>,
    data_start_bytes: u64,
    file_size_bytes: u64,
) -> Result<Vec<SafetensorsTensor>, NamedFault> {
    use SafetensorsErrorKind as Kind;
    let mut tensors = entries
        .into_iter()
        .map(|entry| tensor(entry, data_start_bytes, file_size_bytes))
        .collect::<Result<Vec<_>, _>>()?;

    tensors.sort_by(|one, other| one.name.cmp(&other.name));
    for pair in tensors.windows(2) {
        if let [one, other] = pair
            && one.name == other.name
        {
            return Err((one.name.clone(), Kind::DuplicateTensor(one.name.clone())));
        }
    }
    // An empty tensor may share its offset with the next one, and then comes first.
    tensors.sort_by_key(|tensor| (tensor.file_offset_bytes, tensor.length_bytes));
    for pair in tensors.windows(2) {
        if let [one, other] = pair
            && one.end_bytes() > other.file_offset_bytes
        {
            let (first, second) = (one.name.clone(), other.name.clone());
            return Err((second.clone(), Kind::Overlap { first, second }));
        }
    }
    Ok(tensors)
}

fn tensor(
    Entry { name, info }: Entry,
    data_start_bytes: u64,
    file_size_bytes: u64,
) -> Result<SafetensorsTensor, NamedFault> {
    use SafetensorsErrorKind as Kind;
    let (begin, end) = info.data_offsets;
    let Some(length_bytes) = end.checked_sub(begin) else {
        let kind = Kind::Offsets {
            name: name.clone(),
            begin,
            end,
        };
        return Err((name, kind));
    };
    let end_bytes = data_start_bytes.saturating_add(end);
    if end_bytes > file_size_bytes {
        let kind = Kind::TensorBeyondFile {
            name: name.clone(),
            end_bytes,
            file_size_bytes,
        };
        return Err((name, kind));
    }
    if let Some(element_bits) = element_bits(&info.dtype) {
        let bits = info
            .shape
            .0
            .iter()
            .try_fold(1u64, |product, &size| product.checked_mul(size))
            .and_then(|elements| elements.checked_mul(element_bits));
        if bits != length_bytes.checked_mul(8) || bits.is_none() {
            let takes = match bits {
                Some(bits) if bits % 8 == 0 => format!("{} bytes", bits / 8),
                Some(bits) => format!("{bits} bits, no whole number of bytes"),
                None => "more than a file can have".to_owned(),
            };
            let kind = Kind::Length {
                name: name.clone(),
                length_bytes,
                expected: format!(
                    "the shape {:?} of {} takes {takes}",
                    info.shape.0, info.dtype
                ),
            };
            return Err((name, kind));
        }
    }
    Ok(SafetensorsTensor {
        name,
        element_type: info.dtype,
        shape: info.shape.0,
        // No overflow: not more than `end_bytes`, which is within the file.
        file_offset_bytes: data_start_bytes + begin,
        length_bytes,
    })
}

/// Bits of one element; `None` for a type that the crate does not know.
fn element_bits(element_type: &str) -> Option<u64> {
    let name: StrDeserializer<'_, NoSuchName> = element_type.into_deserializer();
    let known = Dtype::deserialize(name).ok()?;
    Some(known.bitsize() as u64)
}
