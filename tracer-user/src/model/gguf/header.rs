//! The whole header: counts, metadata, tensor infos, and from them each tensor's place in the file.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::mem;
use std::path::Path;

use super::cursor::Cursor;
use super::error::{GgufError, GgufErrorKind};
use super::metadata::MetadataValue;
use super::tensor::{GgmlType, TensorInfo, TensorLength};

/// `GGML_MAX_DIMS` of ggml.
const MAX_DIMENSIONS: u32 = 4;
/// `GGUF_DEFAULT_ALIGNMENT` of ggml.
const DEFAULT_ALIGNMENT_BYTES: u64 = 32;
/// Smallest metadata entry: empty key's length, type, a one-byte value.
const LEAST_METADATA_BYTES: u64 = 8 + 4 + 1;
/// Smallest tensor info: empty name's length, number of dimensions (0), type, offset.
const LEAST_TENSOR_BYTES: u64 = 8 + 4 + 4 + 8;

/// What the header of a GGUF file says.
#[derive(Debug, Clone, PartialEq)]
pub struct GgufHeader {
    /// Version of the format: 2 or 3.
    pub version: u32,
    /// Size of the file, as given to [`GgufHeader::read`].
    pub file_size_bytes: u64,
    /// Keys and values in the order of the file; keys are unique.
    pub metadata: Vec<(String, MetadataValue)>,
    /// Tensors in the order of the header, which need not be the order of their data; names are unique, data does not
    /// overlap and lies between `data_start_bytes` and the file's end.
    pub tensors: Vec<TensorInfo>,
    /// `general.alignment`, or 32.
    pub alignment_bytes: u64,
    /// Where the tensor data starts, counted from the start of the file. It can lie beyond the end of a file without
    /// tensors.
    pub data_start_bytes: u64,
}

/// A tensor info as it stands in the file.
struct RawTensor {
    info_offset_bytes: u64,
    name: String,
    dimensions: Vec<u64>,
    element_type: GgmlType,
    data_offset_bytes: u64,
}

impl GgufHeader {
    /// Reads the header of the file at `path`.
    ///
    /// # Errors
    /// [`GgufError`]: the file cannot be opened or read, is no regular file, or its header is wrong.
    pub fn open(path: &Path) -> Result<Self, GgufError> {
        let io = |error| GgufErrorKind::Io(error).at(0);
        // The kind is asked before opening: opening a pipe would wait for a writer.
        if !path.metadata().map_err(io)?.is_file() {
            return Err(GgufErrorKind::NotARegularFile.at(0));
        }
        let file = File::open(path).map_err(io)?;
        let file_size_bytes = file.metadata().map_err(io)?.len();
        Self::read(file, file_size_bytes)
    }

    /// Reads the header from `source`, which stands at the first byte of a file of `file_size_bytes` bytes. At most that
    /// many bytes are read, and (buffering apart) not more than the header has.
    ///
    /// # Errors
    /// [`GgufError`] with the byte offset; a `source` that ends before `file_size_bytes` is an I/O error.
    pub fn read<R: Read>(source: R, file_size_bytes: u64) -> Result<Self, GgufError> {
        let mut cursor = Cursor::new(source, file_size_bytes);
        let version = read_version(&mut cursor)?;

        let tensor_count = cursor.u64("the tensor count")?;
        let metadata_count = cursor.u64("the metadata count")?;
        cursor.expect_room("the metadata", metadata_count, LEAST_METADATA_BYTES)?;
        cursor.expect_room("the tensor infos", tensor_count, LEAST_TENSOR_BYTES)?;

        let (metadata, alignment_bytes) = read_metadata(&mut cursor, metadata_count)?;
        let raw_tensors = read_tensors(&mut cursor, tensor_count)?;

        let data_start_bytes = cursor.position_bytes().next_multiple_of(alignment_bytes);
        let tensors = place(raw_tensors, data_start_bytes, file_size_bytes)?;
        Ok(Self {
            version,
            file_size_bytes,
            metadata,
            tensors,
            alignment_bytes,
            data_start_bytes,
        })
    }

    /// The value of a metadata key.
    pub fn value(&self, key: &str) -> Option<&MetadataValue> {
        self.metadata
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }

    /// `general.architecture`, such as `llama` or `olmoe`.
    pub fn architecture(&self) -> Option<&str> {
        self.value("general.architecture")?.as_text()
    }

    /// The tensor of that name.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }
}

fn read_version<R: Read>(cursor: &mut Cursor<R>) -> Result<u32, GgufError> {
    if cursor.file_size_bytes() == 0 {
        return Err(GgufErrorKind::Empty.at(0));
    }
    let magic: [u8; 4] = cursor.array("the magic number")?;
    if magic != *b"GGUF" {
        return Err(GgufErrorKind::Magic(magic.escape_ascii().to_string()).at(0));
    }
    let start = cursor.position_bytes();
    match cursor.u32("the version")? {
        version @ (2 | 3) => Ok(version),
        version if matches!(version.swap_bytes(), 1..=3) => Err(GgufErrorKind::BigEndian.at(start)),
        version => Err(GgufErrorKind::Version(version).at(start)),
    }
}

/// The metadata, and the alignment that it sets.
fn read_metadata<R: Read>(
    cursor: &mut Cursor<R>,
    count: u64,
) -> Result<(Vec<(String, MetadataValue)>, u64), GgufError> {
    // No capacity from `count`: each entry is accounted for before it is kept.
    let mut metadata = Vec::new();
    let mut keys = HashSet::new();
    let mut alignment_bytes = DEFAULT_ALIGNMENT_BYTES;
    for _ in 0..count {
        let start = cursor.position_bytes();
        // Twice the structure: a growing vector has up to twice its length as capacity.
        cursor.keep(2 * mem::size_of::<(String, String, MetadataValue)>() as u64)?;
        let key = cursor.name("a metadata key's length")?;
        cursor.keep(key.len() as u64)?;
        if !keys.insert(key.clone()) {
            return Err(GgufErrorKind::DuplicateKey(key).at(start));
        }
        let value = MetadataValue::read(cursor)?;
        if key == "general.alignment" {
            alignment_bytes = alignment(&value, start)?;
        }
        metadata.push((key, value));
    }
    Ok((metadata, alignment_bytes))
}

fn alignment(value: &MetadataValue, offset_bytes: u64) -> Result<u64, GgufError> {
    match *value {
        MetadataValue::U32(bytes) => Some(u64::from(bytes)),
        // Not more than u32 can hold, as llama.cpp has it: the data start then cannot overflow.
        MetadataValue::U64(bytes) if bytes <= u64::from(u32::MAX) => Some(bytes),
        _ => None,
    }
    .filter(|bytes| bytes.is_power_of_two())
    .ok_or_else(|| GgufErrorKind::Alignment(format!("{value:?}")).at(offset_bytes))
}

fn read_tensors<R: Read>(cursor: &mut Cursor<R>, count: u64) -> Result<Vec<RawTensor>, GgufError> {
    let mut tensors = Vec::new();
    let mut names = HashSet::new();
    for _ in 0..count {
        let info_offset_bytes = cursor.position_bytes();
        let held = mem::size_of::<(
            RawTensor,
            TensorInfo,
            String,
            [u64; MAX_DIMENSIONS as usize],
        )>();
        cursor.keep(2 * held as u64)?;
        let name = cursor.name("a tensor name's length")?;
        cursor.keep(name.len() as u64)?;
        if !names.insert(name.clone()) {
            return Err(GgufErrorKind::DuplicateTensor(name).at(info_offset_bytes));
        }
        let dimension_count = cursor.u32("a tensor's number of dimensions")?;
        if dimension_count > MAX_DIMENSIONS {
            let (found, limit) = (dimension_count.into(), MAX_DIMENSIONS.into());
            let kind = GgufErrorKind::Limit {
                what: "a tensor's number of dimensions",
                found,
                limit,
            };
            return Err(kind.at(info_offset_bytes));
        }
        let mut dimensions = Vec::new();
        for _ in 0..dimension_count {
            dimensions.push(cursor.u64("a tensor's dimension")?);
        }
        let element_type = GgmlType(cursor.u32("a tensor's type")?);
        let data_offset_bytes = cursor.u64("a tensor's offset")?;
        tensors.push(RawTensor {
            info_offset_bytes,
            name,
            dimensions,
            element_type,
            data_offset_bytes,
        });
    }
    Ok(tensors)
}

impl RawTensor {
    /// Bytes of the data, from dimensions and type; `None` for a type that is not known here.
    fn exact_length_bytes(&self) -> Result<Option<u64>, GgufError> {
        let Some((block_elements, block_bytes)) = self.element_type.block() else {
            // No elements have no bytes, whatever their type.
            return Ok(self.dimensions.contains(&0).then_some(0));
        };
        let row_elements = self.dimensions.first().copied().unwrap_or(1);
        if !row_elements.is_multiple_of(block_elements) {
            let kind = GgufErrorKind::PartialBlock {
                name: self.name.clone(),
                row_elements,
                block_elements,
            };
            return Err(kind.at(self.info_offset_bytes));
        }
        let row_blocks = row_elements / block_elements;
        let rows = self
            .dimensions
            .iter()
            .skip(1)
            .try_fold(1u64, |product, &size| product.checked_mul(size));
        rows.and_then(|rows| rows.checked_mul(row_blocks)?.checked_mul(block_bytes))
            .map(Some)
            .ok_or_else(|| {
                let kind = GgufErrorKind::TensorTooLarge {
                    name: self.name.clone(),
                    dimensions: self.dimensions.clone(),
                };
                kind.at(self.info_offset_bytes)
            })
    }
}

/// Turns offsets from the data start into places in the file, and checks that they lie in it and do not overlap.
fn place(
    raw: Vec<RawTensor>,
    data_start_bytes: u64,
    file_size_bytes: u64,
) -> Result<Vec<TensorInfo>, GgufError> {
    let mut by_offset: Vec<usize> = (0..raw.len()).collect();
    // An empty tensor may share its offset with the next one, and then comes first.
    let lengths = raw
        .iter()
        .map(RawTensor::exact_length_bytes)
        .collect::<Result<Vec<_>, _>>()?;
    by_offset.sort_by_key(|&index| {
        (
            raw[index].data_offset_bytes,
            lengths[index].unwrap_or(u64::MAX),
        )
    });

    let mut placed = vec![(0, 0, TensorLength::Exact); raw.len()];
    for (order, &index) in by_offset.iter().enumerate() {
        let tensor = &raw[index];
        let next = by_offset.get(order + 1).map(|&next| &raw[next]);
        let start = data_start_bytes.checked_add(tensor.data_offset_bytes);
        let exact = lengths[index];
        let end = start.and_then(|start| start.checked_add(exact.unwrap_or(0)));
        let (Some(start), Some(end)) = (start, end.filter(|&end| end <= file_size_bytes)) else {
            let end_bytes = end.unwrap_or(u64::MAX);
            let kind = GgufErrorKind::TensorBeyondFile {
                name: tensor.name.clone(),
                end_bytes,
                file_size_bytes,
            };
            return Err(kind.at(tensor.info_offset_bytes));
        };
        let next_start = next.map_or(file_size_bytes, |next| {
            data_start_bytes.saturating_add(next.data_offset_bytes)
        });
        if let Some(next) = next
            && end > next_start
        {
            let kind = GgufErrorKind::Overlap {
                first: tensor.name.clone(),
                second: next.name.clone(),
            };
            return Err(kind.at(tensor.info_offset_bytes));
        }
        placed[index] = match exact {
            Some(length_bytes) => (start, length_bytes, TensorLength::Exact),
            None => (
                start,
                next_start.min(file_size_bytes) - start,
                TensorLength::UpToNext,
            ),
        };
    }
    let with_place = raw.into_iter().zip(placed);
    Ok(with_place
        .map(
            |(tensor, (file_offset_bytes, length_bytes, length))| TensorInfo {
                name: tensor.name,
                dimensions: tensor.dimensions,
                element_type: tensor.element_type,
                file_offset_bytes,
                length_bytes,
                length,
            },
        )
        .collect())
}
