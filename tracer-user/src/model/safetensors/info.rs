//! The header's JSON, read entry by entry so that nothing is kept that was not accounted for.

use std::cell::Cell;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What may be kept in memory of one header.
pub(super) const MAX_KEPT_BYTES: u64 = 64 << 20;
/// More dimensions than any tensor has; NumPy allows 64, ggml 4.
pub(super) const MAX_DIMENSIONS: usize = 32;
/// Longest name of an element type; the longest known one has 12 bytes.
const MAX_ELEMENT_TYPE_BYTES: usize = 64;

/// One entry as it stands in the header.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) info: Info,
}

/// The value of an entry. Keys that are not known are passed over, as the format's own reader does.
#[derive(Deserialize)]
pub(super) struct Info {
    pub(super) dtype: String,
    pub(super) shape: Shape,
    pub(super) data_offsets: (u64, u64),
}

pub(super) struct Shape(pub(super) Vec<u64>);

/// The entries of a header, in its order.
pub(super) fn entries(json: &[u8]) -> Result<Vec<Entry>, serde_json::Error> {
    let budget = Cell::new(MAX_KEPT_BYTES);
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let entries = Entries { budget: &budget }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(entries)
}

struct Entries<'a> {
    /// Bytes that may still be kept.
    budget: &'a Cell<u64>,
}

impl Entries<'_> {
    fn keep<E: de::Error>(&self, bytes: usize) -> Result<(), E> {
        let left = self.budget.get().checked_sub(bytes as u64).ok_or_else(|| {
            E::custom(format_args!(
                "names and shapes take more than the {MAX_KEPT_BYTES} bytes that are accepted"
            ))
        })?;
        self.budget.set(left);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Entries<'_> {
    type Value = Vec<Entry>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Entry>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = Vec<Entry>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of tensors by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<Entry>, A::Error> {
        let mut entries = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let info: Info = map.next_value()?;
            // Three times the structure: a growing vector, and the tensor that is made of it.
            self.keep(
                3 * size_of::<Entry>() + name.len() + info.dtype.len() + 8 * info.shape.0.len(),
            )?;
            if info.dtype.len() > MAX_ELEMENT_TYPE_BYTES {
                return Err(de::Error::custom(format_args!(
                    "the dtype of tensor {name:?} is a name of {} bytes",
                    info.dtype.len()
                )));
            }
            entries.push(Entry { name, info });
        }
        Ok(entries)
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Dimensions;
        impl<'de> Visitor<'de> for Dimensions {
            type Value = Shape;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an array of dimensions")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Shape, A::Error> {
                let mut shape = Vec::new();
                while let Some(dimension) = sequence.next_element::<u64>()? {
                    if shape.len() == MAX_DIMENSIONS {
                        return Err(de::Error::custom(format_args!(
                            "a shape has more than {MAX_DIMENSIONS} dimensions"
                        )));
                    }
                    shape.push(dimension);
                }
                Ok(Shape(shape))
            }
        }
        deserializer.deserialize_seq(Dimensions)
    }
}
