//! Right headers, each kind of error, and what the format's own reader says.

use super::{SafetensorsError, SafetensorsErrorKind as Kind, SafetensorsHeader};

/// A file of that JSON and so many bytes of data.
fn file(json: &str, data_bytes: usize) -> Vec<u8> {
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.extend(json.as_bytes());
    bytes.resize(bytes.len() + data_bytes, 0xAB);
    bytes
}

fn read(bytes: &[u8]) -> Result<SafetensorsHeader, SafetensorsError> {
    SafetensorsHeader::read(bytes, bytes.len() as u64)
}

const GOOD: &str = r#"{"__metadata__":{"format":"pt"},
"b":{"dtype":"BF16","shape":[2,3],"data_offsets":[4,16]},
"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},
"empty":{"dtype":"I64","shape":[0,7],"data_offsets":[4,4]},
"new":{"dtype":"F3_NEW","shape":[9],"data_offsets":[16,20]}}  "#;

#[test]
fn a_right_header_gives_the_places() {
    let bytes = file(GOOD, 20);
    let header = read(&bytes).unwrap();
    let start = 8 + GOOD.len() as u64;
    assert_eq!(header.data_start_bytes, start);
    let found: Vec<_> = header
        .tensors
        .iter()
        .map(|tensor| {
            (
                tensor.name.as_str(),
                tensor.file_offset_bytes - start,
                tensor.length_bytes,
                tensor.shape.as_slice(),
            )
        })
        .collect();
    let expected: [(&str, u64, u64, &[u64]); 4] = [
        ("a", 0, 4, &[]),
        ("empty", 4, 0, &[0, 7]),
        ("b", 4, 12, &[2, 3]),
        ("new", 16, 4, &[9]),
    ];
    assert_eq!(found, expected);
}

#[test]
fn only_the_header_is_read() {
    let bytes = file(GOOD, 20);
    let header_alone = &bytes[..bytes.len() - 20];
    let header = SafetensorsHeader::read(header_alone, bytes.len() as u64).unwrap();
    assert_eq!(header, read(&bytes).unwrap());
}

#[test]
fn bytes_that_belong_to_no_tensor_are_accepted() {
    let header = read(&file(
        r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[3,7]}}"#,
        20,
    ))
    .unwrap();
    assert_eq!(header.tensors[0].length_bytes, 4);
}

#[track_caller]
fn fails(bytes: &[u8], offset_bytes: u64, matches: impl Fn(&Kind) -> bool) {
    let error = read(bytes).unwrap_err();
    assert!(matches(&error.kind), "{error:?}");
    assert_eq!(error.offset_bytes, offset_bytes, "{error}");
}

#[test]
fn each_error_says_where() {
    fails(b"", 0, |kind| matches!(kind, Kind::Empty));
    fails(b"1234567", 0, |kind| {
        matches!(
            kind,
            Kind::HeaderBeyondFile {
                header_end_bytes: 8,
                ..
            }
        )
    });
    fails(&file("", 0)[..8], 8, |kind| matches!(kind, Kind::Json(_)));
    let mut cut = file(GOOD, 0);
    cut.truncate(100);
    fails(&cut, 0, |kind| {
        matches!(
            kind,
            Kind::HeaderBeyondFile {
                file_size_bytes: 100,
                ..
            }
        )
    });
    fails(&[0xFF; 64], 0, |kind| {
        matches!(
            kind,
            Kind::HeaderTooLong {
                found: u64::MAX,
                limit: 100_000_000
            }
        )
    });
    fails(&100_000_001u64.to_le_bytes(), 0, |kind| {
        matches!(kind, Kind::HeaderTooLong { .. })
    });
    fails(&file("{}\n  x", 0), 8 + 5, |kind| {
        matches!(kind, Kind::Json(_))
    });
    fails(&file("{\"a\"\n\n!", 0), 8 + 6, |kind| {
        matches!(kind, Kind::Json(_))
    });
    fails(&file("[1]", 0), 8, |kind| matches!(kind, Kind::Json(_)));

    let entry = |name: &str, shape: &str, begin: u64, end: u64| {
        format!(r#""{name}":{{"dtype":"F32","shape":{shape},"data_offsets":[{begin},{end}]}}"#)
    };
    let one = |entry: String| file(&format!("{{{entry}}}"), 16);
    let two = |one: String, other: String| file(&format!("{{{one},{other}}}"), 16);
    assert!(read(&two(entry("a", "[2]", 0, 8), entry("b", "[2]", 8, 16))).is_ok());
    fails(&one(entry("a", "[1]", 4, 0)), 9, |kind| {
        matches!(
            kind,
            Kind::Offsets {
                begin: 4,
                end: 0,
                ..
            }
        )
    });
    fails(&one(entry("a", "[5]", 0, 20)), 9, |kind| {
        matches!(kind, Kind::TensorBeyondFile { .. })
    });
    fails(&one(entry("a", "[0]", u64::MAX, u64::MAX)), 9, |kind| {
        matches!(
            kind,
            Kind::TensorBeyondFile {
                end_bytes: u64::MAX,
                ..
            }
        )
    });
    fails(
        &one(entry("a", "[3]", 0, 8)),
        9,
        |kind| matches!(kind, Kind::Length { length_bytes: 8, expected, .. } if expected == "the shape [3] of F32 takes 12 bytes"),
    );
    fails(
        &one(entry("a", "[4294967296,4294967296,0]", 0, 0)),
        9,
        |kind| matches!(kind, Kind::Length { expected, .. } if expected.ends_with("more than a file can have")),
    );
    let many = format!("[{}1]", "1,".repeat(32));
    fails(
        &one(entry("a", &many, 0, 4)),
        8 + 29 + 65,
        |kind| matches!(kind, Kind::Json(message) if message.contains("more than 32 dimensions")),
    );
    let first = entry("a", "[2]", 0, 8);
    fails(
        &two(first.clone(), entry("b", "[2]", 4, 12)),
        8 + 2 + first.len() as u64,
        |kind| matches!(kind, Kind::Overlap { first, second } if first == "a" && second == "b"),
    );
    fails(
        &two(first.clone(), entry("a", "[2]", 8, 16)),
        9,
        |kind| matches!(kind, Kind::DuplicateTensor(name) if name == "a"),
    );
    let odd = r#"{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}"#;
    fails(
        &file(odd, 16),
        9,
        |kind| matches!(kind, Kind::Length { expected, .. } if expected.contains("takes 12 bits")),
    );
    let long = format!(
        r#"{{"a":{{"dtype":"{}","shape":[3],"data_offsets":[0,1]}}}}"#,
        "x".repeat(65)
    );
    assert!(
        read(&file(&long, 16))
            .unwrap_err()
            .to_string()
            .contains("65 bytes")
    );
    let negative = r#"{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}"#;
    assert!(matches!(
        read(&file(negative, 16)).unwrap_err().kind,
        Kind::Json(_)
    ));
}

#[test]
fn a_source_shorter_than_said_is_an_error() {
    let bytes = file(GOOD, 20);
    for length in [0, 5, 8, 50] {
        let error = SafetensorsHeader::read(&bytes[..length], bytes.len() as u64).unwrap_err();
        assert!(matches!(error.kind, Kind::Io(_)), "{error:?}");
    }
}

/// Some 12 MB of entries would keep more than is accepted.
#[test]
fn memory_is_bounded() {
    let mut json = String::from("{");
    for number in 0..400_000 {
        json.push_str(&format!(
            r#""{number}":{{"dtype":"U8","shape":[],"data_offsets":[0,1]}},"#
        ));
    }
    let error = read(&file(&json, 1)).unwrap_err();
    assert!(error.to_string().contains("67108864"), "{error}");
}
