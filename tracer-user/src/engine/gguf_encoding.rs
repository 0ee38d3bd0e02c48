//! Writes the bytes of a GGUF version 3 header, and lays out its tensors. The counterpart of `crate::model`'s parser.

use crate::model::GgmlType;

/// `GGUF_DEFAULT_ALIGNMENT`: where tensors may start.
pub(super) const ALIGNMENT_BYTES: u64 = 32;

/// A metadata value of the kinds that the random model needs.
pub(super) enum Value {
    U32(u32),
    U64(u64),
    I32Array(Vec<i32>),
    F32(f32),
    F32Array(Vec<f32>),
    Text(String),
    TextArray(Vec<String>),
}

/// One tensor to be written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tensor {
    pub(super) name: String,
    pub(super) dimensions: Vec<u64>,
    /// F32 or F16.
    pub(super) element_type: GgmlType,
}

impl Tensor {
    /// Bytes of its data; saturated where they exceed u64.
    pub(super) fn length_bytes(&self) -> u64 {
        let element_bytes = if self.element_type == GgmlType::F16 {
            2
        } else {
            4
        };
        self.dimensions
            .iter()
            .fold(element_bytes, |bytes: u64, &size| {
                bytes.saturating_mul(size)
            })
    }

    /// Bytes of its data and the padding after it.
    pub(super) fn padded_bytes(&self) -> u64 {
        self.length_bytes()
            .div_ceil(ALIGNMENT_BYTES)
            .saturating_mul(ALIGNMENT_BYTES)
    }
}

/// The header, padded: its length is the data start. Each tensor follows the one before it, padded.
pub(super) fn header(metadata: &[(String, Value)], tensors: &[Tensor]) -> Vec<u8> {
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(3u32.to_le_bytes());
    bytes.extend((tensors.len() as u64).to_le_bytes());
    bytes.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata {
        push_text(&mut bytes, key);
        push_value(&mut bytes, value);
    }
    let mut offset_bytes = 0u64;
    for tensor in tensors {
        push_text(&mut bytes, &tensor.name);
        bytes.extend((tensor.dimensions.len() as u32).to_le_bytes());
        for size in &tensor.dimensions {
            bytes.extend(size.to_le_bytes());
        }
        bytes.extend(tensor.element_type.0.to_le_bytes());
        bytes.extend(offset_bytes.to_le_bytes());
        offset_bytes = offset_bytes.saturating_add(tensor.padded_bytes());
    }
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT_BYTES as usize), 0);
    bytes
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

fn push_value(bytes: &mut Vec<u8>, value: &Value) {
    // The numbers are the format's `gguf_metadata_value_type`.
    let mut kind = |number: u32| bytes.extend(number.to_le_bytes());
    match value {
        Value::U32(_) => kind(4),
        Value::F32(_) => kind(6),
        Value::Text(_) => kind(8),
        Value::U64(_) => kind(10),
        Value::I32Array(_) => [9, 5].into_iter().for_each(kind),
        Value::F32Array(_) => [9, 6].into_iter().for_each(kind),
        Value::TextArray(_) => [9, 8].into_iter().for_each(kind),
    }
    match value {
        Value::U32(value) => bytes.extend(value.to_le_bytes()),
        Value::U64(value) => bytes.extend(value.to_le_bytes()),
        Value::F32(value) => bytes.extend(value.to_le_bytes()),
        Value::Text(text) => push_text(bytes, text),
        Value::I32Array(values) => {
            bytes.extend((values.len() as u64).to_le_bytes());
            values
                .iter()
                .for_each(|value| bytes.extend(value.to_le_bytes()));
        }
        Value::F32Array(values) => {
            bytes.extend((values.len() as u64).to_le_bytes());
            values
                .iter()
                .for_each(|value| bytes.extend(value.to_le_bytes()));
        }
        Value::TextArray(values) => {
            bytes.extend((values.len() as u64).to_le_bytes());
            values.iter().for_each(|value| push_text(bytes, value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ALIGNMENT_BYTES, Tensor, Value, header};
    use crate::model::{GgmlType, GgufHeader, MetadataValue};

    #[test]
    fn tensors_of_odd_lengths_are_padded_and_values_come_back() {
        let tensor = |name: &str, dimensions: &[u64], element_type| Tensor {
            name: name.into(),
            dimensions: dimensions.into(),
            element_type,
        };
        let tensors = [
            tensor("a", &[3, 5], GgmlType::F16),
            tensor("b", &[1], GgmlType::F32),
            tensor("c", &[16], GgmlType::F16),
            tensor("d", &[7], GgmlType::F32),
        ];
        let metadata = [
            ("text", Value::Text("ü".into())),
            ("u32", Value::U32(7)),
            ("u64", Value::U64(u64::MAX)),
            ("f32", Value::F32(0.5)),
            ("texts", Value::TextArray(vec!["a".into(), "bc".into()])),
            ("i32s", Value::I32Array(vec![-1; 3])),
            ("f32s", Value::F32Array(vec![1.0; 2])),
        ]
        .map(|(key, value)| (key.to_string(), value));
        let mut file = header(&metadata, &tensors);
        let data_start = file.len() as u64;
        file.resize(
            file.len()
                + tensors
                    .iter()
                    .map(|tensor| tensor.padded_bytes() as usize)
                    .sum::<usize>(),
            0,
        );
        let read = GgufHeader::read(file.as_slice(), file.len() as u64).unwrap();
        assert_eq!(read.data_start_bytes, data_start);
        let places: Vec<_> = read
            .tensors
            .iter()
            .map(|tensor| (tensor.file_offset_bytes - data_start, tensor.length_bytes))
            .collect();
        assert_eq!(places, [(0, 30), (32, 4), (64, 32), (96, 28)]);
        assert!(
            read.tensors
                .iter()
                .all(|tensor| tensor.file_offset_bytes.is_multiple_of(ALIGNMENT_BYTES))
        );
        assert_eq!(read.value("text"), Some(&MetadataValue::Text("ü".into())));
        assert_eq!(read.value("u32"), Some(&MetadataValue::U32(7)));
        assert_eq!(read.value("u64"), Some(&MetadataValue::U64(u64::MAX)));
        assert_eq!(read.value("f32"), Some(&MetadataValue::F32(0.5)));
        let lengths = ["texts", "i32s", "f32s"].map(|key| match read.value(key) {
            Some(MetadataValue::Array(array)) => (array.count, array.length_bytes),
            other => panic!("{key} is {other:?}"),
        });
        assert_eq!(lengths, [(2, 8 + 1 + 8 + 2), (3, 12), (2, 8)]);
    }
}
