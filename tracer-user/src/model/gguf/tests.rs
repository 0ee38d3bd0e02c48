//! What is read from right files, and each kind of error by a file that has it.

mod laws;

use std::io::{self, Read};

use super::{
    GgmlType, GgufError, GgufErrorKind, GgufHeader, MetadataValue, TensorLength, ValueType,
};

/// Puts a file together value by value, right or wrong.
#[derive(Default, Clone)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn start(version: u32, tensors: u64, metadata: u64) -> Self {
        Self(b"GGUF".to_vec())
            .u32(version)
            .u64(tensors)
            .u64(metadata)
    }
    fn u32(mut self, value: u32) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }
    fn u64(mut self, value: u64) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }
    fn text(mut self, value: &[u8]) -> Self {
        self = self.u64(value.len() as u64);
        self.0.extend(value);
        self
    }
    fn raw(mut self, value: &[u8]) -> Self {
        self.0.extend(value);
        self
    }
    fn tensor(mut self, name: &str, dimensions: &[u64], element_type: u32, offset: u64) -> Self {
        self = self.text(name.as_bytes()).u32(dimensions.len() as u32);
        for &size in dimensions {
            self = self.u64(size);
        }
        self.u32(element_type).u64(offset)
    }
    fn data(mut self, alignment: usize, length: usize) -> Self {
        let start = self.0.len().next_multiple_of(alignment);
        self.0.resize(start + length, 0xAB);
        self
    }
    fn read(&self) -> Result<GgufHeader, GgufError> {
        GgufHeader::read(self.0.as_slice(), self.0.len() as u64)
    }
}

/// Every value type, nested arrays, a known and an unknown tensor type, data out of order.
fn rich_file() -> Bytes {
    let one_of_each: [(u32, &[u8]); 11] = [
        (0, &[200]),
        (1, &[0xFF]),
        (2, &[1, 2]),
        (3, &[0xFE, 0xFF]),
        (4, &[1, 0, 0, 0]),
        (5, &[0xFD, 0xFF, 0xFF, 0xFF]),
        (6, &[0, 0, 0x80, 0x3F]),
        (7, &[2]),
        (10, &[1, 0, 0, 0, 0, 0, 0, 0x80]),
        (11, &[0xFC, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
        (12, &[0, 0, 0, 0, 0, 0, 0xF0, 0x3F]),
    ];
    let mut file = Bytes::start(3, 4, 6 + one_of_each.len() as u64);
    file = file.text(b"general.architecture").u32(8).text(b"olmoe");
    file = file.text(b"general.alignment").u32(4).u32(64);
    file = file
        .text(b"texts")
        .u32(9)
        .u32(8)
        .u64(3)
        .text(b"a")
        .text(b"")
        .text(b"ccc");
    file = file.text(b"numbers").u32(9).u32(3).u64(5).raw(&[7; 10]);
    file = file
        .text(b"nested")
        .u32(9)
        .u32(9)
        .u64(2)
        .u32(0)
        .u64(1)
        .raw(&[1])
        .u32(8)
        .u64(1)
        .text(b"x");
    file = file.text(b"\xFFbad").u32(8).text(b"\xC3(");
    for (number, bytes) in one_of_each {
        file = file
            .text(format!("value{number}").as_bytes())
            .u32(number)
            .raw(bytes);
    }
    file.tensor("last", &[16], 0, 512)
        .tensor("quantised", &[64, 3], 2, 0)
        .tensor("new", &[1000, 7, 3], 777, 128)
        .tensor("scalar", &[], 0, 448)
        .data(64, 600)
}

#[test]
fn reads_every_value_type_and_places_tensors() {
    let file = rich_file();
    let header = file.read().unwrap();
    assert_eq!(
        (
            header.version,
            header.alignment_bytes,
            header.architecture()
        ),
        (3, 64, Some("olmoe"))
    );
    let expected = [
        (0, MetadataValue::U8(200)),
        (1, MetadataValue::I8(-1)),
        (2, MetadataValue::U16(513)),
        (3, MetadataValue::I16(-2)),
        (4, MetadataValue::U32(1)),
        (5, MetadataValue::I32(-3)),
        (6, MetadataValue::F32(1.0)),
        (7, MetadataValue::Bool(true)),
        (10, MetadataValue::U64((1 << 63) + 1)),
        (11, MetadataValue::I64(-4)),
        (12, MetadataValue::F64(1.0)),
    ];
    for (number, value) in expected {
        assert_eq!(header.value(&format!("value{number}")), Some(&value));
    }
    assert_eq!(
        header.value("\\xffbad"),
        Some(&MetadataValue::Text("\\xc3(".into()))
    );
    let Some(&MetadataValue::Array(texts)) = header.value("texts") else {
        panic!("texts is an array")
    };
    assert_eq!(
        (texts.element_type, texts.count, texts.length_bytes),
        (ValueType::Text, 3, 24 + 4)
    );
    assert_eq!(file.0[texts.file_offset_bytes as usize + 8], b'a');
    let Some(&MetadataValue::Array(nested)) = header.value("nested") else {
        panic!("nested is an array")
    };
    assert_eq!(
        (nested.element_type, nested.count, nested.length_bytes),
        (ValueType::Array, 2, 13 + 21)
    );

    let start = header.data_start_bytes;
    assert_eq!(start + 600, header.file_size_bytes);
    let place = |name: &str| {
        let tensor = header.tensor(name).unwrap();
        (
            tensor.file_offset_bytes - start,
            tensor.length_bytes,
            tensor.length,
        )
    };
    assert_eq!(place("quantised"), (0, 2 * 3 * 18, TensorLength::Exact));
    assert_eq!(place("new"), (128, 320, TensorLength::UpToNext));
    assert_eq!(place("scalar"), (448, 4, TensorLength::Exact));
    assert_eq!(place("last"), (512, 64, TensorLength::Exact));
    assert_eq!(header.tensor("new").unwrap().element_type, GgmlType(777));
    assert_eq!(
        header.tensor("new").unwrap().element_type.to_string(),
        "type 777"
    );
}

#[test]
fn an_unknown_type_at_the_end_reaches_to_the_file_end_and_version_2_is_read() {
    let header = Bytes::start(2, 1, 0)
        .tensor("t", &[1], 99, 32)
        .data(32, 100)
        .read()
        .unwrap();
    assert_eq!((header.version, header.tensors[0].length_bytes), (2, 68));
}

#[test]
fn a_header_without_tensors_is_one() {
    let header = Bytes::start(3, 0, 0).read().unwrap();
    assert_eq!((header.tensors.len(), header.data_start_bytes), (0, 32));
}

#[track_caller]
fn fails(file: Bytes, offset_bytes: u64, matches: impl Fn(&GgufErrorKind) -> bool) {
    let error = file.read().unwrap_err();
    assert!(matches(&error.kind), "{error:?}");
    assert_eq!(error.offset_bytes, offset_bytes, "{error}");
}

#[test]
fn each_error_says_where() {
    use GgufErrorKind as Kind;
    fails(Bytes::default(), 0, |kind| matches!(kind, Kind::Empty));
    fails(Bytes(b"GG".to_vec()), 0, |kind| {
        matches!(
            kind,
            Kind::BeyondFile {
                needed_bytes: 4,
                ..
            }
        )
    });
    fails(
        Bytes(b"\x7FELF____".to_vec()),
        0,
        |kind| matches!(kind, Kind::Magic(found) if found == "\\x7fELF"),
    );
    fails(Bytes::start(1, 0, 0), 4, |kind| {
        matches!(kind, Kind::Version(1))
    });
    fails(Bytes::start(4, 0, 0), 4, |kind| {
        matches!(kind, Kind::Version(4))
    });
    fails(Bytes::start(3u32.swap_bytes(), 0, 0), 4, |kind| {
        matches!(kind, Kind::BigEndian)
    });
    fails(Bytes::start(3, u64::MAX, 0), 24, |kind| {
        matches!(
            kind,
            Kind::BeyondFile {
                what: "the tensor infos",
                ..
            }
        )
    });
    fails(Bytes::start(3, 0, u64::MAX / 8), 24, |kind| {
        matches!(
            kind,
            Kind::BeyondFile {
                what: "the metadata",
                ..
            }
        )
    });
    let value = |number: u32| Bytes::start(3, 0, 1).text(b"key").u32(number);
    fails(value(13), 35, |kind| matches!(kind, Kind::ValueType(13)));
    fails(value(8).u64(10).raw(b"short"), 47, |kind| {
        matches!(
            kind,
            Kind::BeyondFile {
                needed_bytes: 10,
                ..
            }
        )
    });
    fails(value(9).u32(10).u64(u64::MAX), 51, |kind| {
        matches!(
            kind,
            Kind::BeyondFile {
                needed_bytes: u64::MAX,
                ..
            }
        )
    });
    fails(value(9).u32(8).u64(1 << 61), 51, |kind| {
        matches!(kind, Kind::BeyondFile { .. })
    });
    let nested = (0..5).fold(value(9), |file, _| file.u32(9).u64(1));
    fails(nested.raw(&[0; 64]), 39 + 4 * 12, |kind| {
        matches!(
            kind,
            Kind::Limit {
                found: 5,
                limit: 4,
                ..
            }
        )
    });
    let twice = Bytes::start(3, 0, 2)
        .text(b"key")
        .u32(0)
        .raw(&[1])
        .text(b"key")
        .u32(0)
        .raw(&[1]);
    fails(
        twice,
        40,
        |kind| matches!(kind, Kind::DuplicateKey(key) if key == "key"),
    );
    for alignment in [0, 48] {
        let file = Bytes::start(3, 0, 1)
            .text(b"general.alignment")
            .u32(4)
            .u32(alignment);
        fails(file, 24, |kind| matches!(kind, Kind::Alignment(_)));
    }

    let one = || Bytes::start(3, 1, 0);
    fails(one().tensor("t", &[8], 0, 0), 24, |kind| {
        matches!(kind, Kind::TensorBeyondFile { end_bytes: 96, .. })
    });
    fails(one().tensor("t", &[8], 0, u64::MAX), 24, |kind| {
        matches!(kind, Kind::TensorBeyondFile { .. })
    });
    fails(one().tensor("t", &[8], 77, 32).data(32, 31), 24, |kind| {
        matches!(kind, Kind::TensorBeyondFile { .. })
    });
    let huge = one().tensor("t", &[1 << 40, 1 << 40], 0, 0);
    fails(huge, 24, |kind| matches!(kind, Kind::TensorTooLarge { .. }));
    fails(one().tensor("t", &[33], 2, 0), 24, |kind| {
        matches!(
            kind,
            Kind::PartialBlock {
                block_elements: 32,
                ..
            }
        )
    });
    fails(one().tensor("t", &[1; 5], 0, 0), 24, |kind| {
        matches!(
            kind,
            Kind::Limit {
                found: 5,
                limit: 4,
                ..
            }
        )
    });
    let overlap = Bytes::start(3, 2, 0)
        .tensor("a", &[9], 0, 0)
        .tensor("b", &[8], 0, 32)
        .data(32, 64);
    fails(
        overlap,
        24,
        |kind| matches!(kind, Kind::Overlap { first, second } if first == "a" && second == "b"),
    );
    let twice = Bytes::start(3, 2, 0)
        .tensor("a", &[8], 0, 0)
        .tensor("a", &[8], 0, 32)
        .data(32, 64);
    fails(
        twice,
        24 + 33,
        |kind| matches!(kind, Kind::DuplicateTensor(name) if name == "a"),
    );
}

#[test]
fn empty_tensors_may_share_an_offset() {
    let file = Bytes::start(3, 2, 0)
        .tensor("full", &[8], 0, 0)
        .tensor("empty", &[0], 0, 0)
        .data(32, 32);
    assert_eq!(
        file.read().unwrap().tensor("empty").unwrap().length_bytes,
        0
    );
}

#[test]
fn a_tensor_without_elements_is_empty_whatever_its_type() {
    let file = Bytes::start(3, 2, 0)
        .tensor("full", &[8], 0, 0)
        .tensor("empty", &[3, 0], 999, 0)
        .data(32, 32);
    let header = file.read().unwrap();
    let empty = header.tensor("empty").unwrap();
    assert_eq!((empty.length_bytes, empty.length), (0, TensorLength::Exact));
}

/// A file of 2^60 bytes: damaged counts must be refused by the limits, not by running out of file.
#[test]
fn counts_of_a_huge_file_are_limited() {
    let huge = |file: Bytes| {
        let source = io::Cursor::new(file.0).chain(io::repeat(0));
        GgufHeader::read(source, 1 << 60).unwrap_err().kind
    };
    for file in [
        Bytes::start(3, 1 << 40, 0),
        Bytes::start(3, 0, 1 << 40),
        Bytes::start(3, 0, 1)
            .text(b"key")
            .u32(9)
            .u32(8)
            .u64(1 << 40),
        Bytes::start(3, 0, 1).text(b"key").u32(8).u64(1 << 40),
        Bytes::start(3, 0, 1).u64(1 << 40),
    ] {
        let kind = huge(file);
        assert!(matches!(kind, GgufErrorKind::Limit { .. }), "{kind:?}");
    }
    // A million tensors with 40 bytes each would fit the header's limit, but not the memory's.
    let names =
        (0..1u64 << 20).map(|number| Bytes::default().tensor(&number.to_string(), &[], 0, 0).0);
    let mut file = Bytes::start(3, 1 << 20, 0);
    names.for_each(|tensor| file.0.extend(tensor));
    let error = file.read().unwrap_err();
    assert!(
        matches!(
            error.kind,
            GgufErrorKind::Limit {
                limit: super::cursor::MAX_KEPT_BYTES,
                ..
            }
        ),
        "{error:?}"
    );
}

#[test]
fn a_source_shorter_than_said_is_an_error() {
    let file = rich_file();
    let short = &file.0[..200];
    let error = GgufHeader::read(short, file.0.len() as u64).unwrap_err();
    assert!(matches!(error.kind, GgufErrorKind::Io(_)), "{error:?}");
}

#[test]
fn a_source_that_ends_within_what_is_skipped_is_an_error() {
    let file = Bytes::start(3, 0, 1)
        .text(b"key")
        .u32(9)
        .u32(0)
        .u64(100_000)
        .raw(&[7; 50_000]);
    let error = GgufHeader::read(file.0.as_slice(), file.0.len() as u64 + 50_000).unwrap_err();
    assert!(matches!(error.kind, GgufErrorKind::Io(_)), "{error:?}");
}

#[test]
fn the_alignment_of_the_file_sets_the_data_start() {
    for (alignment, data_start) in [(8, 88), (32, 96), (64, 128), (4096, 4096)] {
        let file = Bytes::start(3, 1, 1)
            .text(b"general.alignment")
            .u32(4)
            .u32(alignment);
        let header = file
            .tensor("", &[], 0, 8)
            .data(alignment as usize, 12)
            .read()
            .unwrap();
        assert_eq!(
            (header.data_start_bytes, header.tensors[0].file_offset_bytes),
            (data_start, data_start + 8)
        );
    }
}

/// As `llama-quantize --help` and the commits that added the types name them.
#[test]
fn block_sizes_give_the_published_bits_per_weight() {
    let published = [
        ("F32", 32.0),
        ("F16", 16.0),
        ("BF16", 16.0),
        ("F64", 64.0),
        ("I8", 8.0),
        ("I16", 16.0),
        ("I32", 32.0),
        ("I64", 64.0),
        ("Q4_0", 4.5),
        ("Q4_1", 5.0),
        ("Q5_0", 5.5),
        ("Q5_1", 6.0),
        ("Q8_0", 8.5),
        ("Q2_K", 2.625),
        ("Q3_K", 3.4375),
        ("Q4_K", 4.5),
        ("Q5_K", 5.5),
        ("Q6_K", 6.5625),
        ("Q8_K", 9.125),
        ("IQ1_S", 1.5625),
        ("IQ1_M", 1.75),
        ("IQ2_XXS", 2.0625),
        ("IQ2_XS", 2.3125),
        ("IQ2_S", 2.5625),
        ("IQ3_XXS", 3.0625),
        ("IQ3_S", 3.4375),
        ("IQ4_NL", 4.5),
        ("IQ4_XS", 4.25),
        ("TQ1_0", 1.6875),
        ("TQ2_0", 2.0625),
        ("MXFP4", 4.25),
        ("NVFP4", 4.5),
        ("Q1_0", 1.125),
    ];
    let known: Vec<GgmlType> = (0..64)
        .map(GgmlType)
        .filter(|known| known.name().is_some())
        .collect();
    assert_eq!(known.len(), published.len());
    for known in known {
        let (elements, bytes) = known.block().unwrap();
        let bits = bytes as f64 * 8.0 / elements as f64;
        assert!(
            published.contains(&(known.name().unwrap(), bits)),
            "{known}: {bits}"
        );
    }
}
