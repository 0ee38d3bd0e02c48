//! The seeds of the fuzz targets (`fuzz/corpus/` of the project), and mutations of them, through the parsers.
//!
//! The seeds are written by `cargo test write_the_corpus -- --ignored`. A file `good-…` must be accepted, a file `bad-…`
//! refused; files that the fuzzer itself has added have other names, and need only give an answer.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ::safetensors::SafeTensors;

use super::outline::test_files::{GgufFile, SafetensorsFile, mixture};
use super::outline::test_laws::{check_need, check_partition};
use super::{ModelOutline, OutlineError, SafetensorsErrorKind};

/// Mutations over all seeds of one format.
const MUTATIONS: u64 = 15_000;
/// What the GGUF parser's buffer may take beyond the header.
const BUFFER_BYTES: u64 = 8 << 10;

/// The seeds of a fuzz target.
pub(crate) fn corpus(target: &str) -> PathBuf {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    project.join("fuzz/corpus").join(target)
}

/// The file's bytes and then zeros without end, counted: whoever reads beyond the file is seen.
struct Endless<'a> {
    bytes: &'a [u8],
    taken_bytes: u64,
}

impl Read for Endless<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.chain(io::repeat(0)).read(buffer)?;
        self.bytes = self.bytes.get(count..).unwrap_or_default();
        self.taken_bytes += count as u64;
        Ok(count)
    }
}

/// Everything that must hold for any bytes; the answer.
fn check(bytes: &[u8], name: &str) -> Result<ModelOutline, OutlineError> {
    let size_bytes = bytes.len() as u64;
    let mut source = Endless {
        bytes,
        taken_bytes: 0,
    };
    let answer = ModelOutline::read(vec![(PathBuf::from(name), &mut source, size_bytes)]);
    assert!(source.taken_bytes <= size_bytes, "read beyond the file");
    match &answer {
        Ok(outline) => {
            let read_bytes = source.taken_bytes;
            assert!(read_bytes <= outline.files[0].header_bytes + BUFFER_BYTES);
            check_partition(outline);
            check_need(outline);
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            let offset_bytes = match error {
                OutlineError::Gguf { error, .. } => error.offset_bytes,
                OutlineError::Safetensors { error, .. } => error.offset_bytes,
                _ => 0,
            };
            assert!(offset_bytes <= size_bytes, "{error}");
        }
    }
    answer
}

/// As [`check`], and: what the format's own reader accepts is accepted, with the same places.
fn check_safetensors(bytes: &[u8]) -> Result<ModelOutline, OutlineError> {
    let ours = check(bytes, "x.safetensors");
    if bytes.starts_with(b"GGUF") {
        return ours;
    }
    let Ok((json_bytes, metadata)) = SafeTensors::read_metadata(bytes) else {
        return ours;
    };
    let theirs = metadata.tensors();
    match &ours {
        Ok(outline) => {
            assert_eq!(outline.tensors.len(), theirs.len());
            for tensor in &outline.tensors {
                let (begin, end) = theirs[&tensor.name].data_offsets;
                let start = 8 + json_bytes;
                assert_eq!(tensor.offset_bytes, (start + begin) as u64);
                assert_eq!(tensor.end_bytes(), (start + end) as u64);
            }
        }
        // Theirs takes the last of two tensors of one name, and any number of dimensions.
        Err(OutlineError::Safetensors { error, .. }) => {
            let is_known = match &error.kind {
                SafetensorsErrorKind::DuplicateTensor(_) => true,
                SafetensorsErrorKind::Json(message) => message.contains("32 dimensions"),
                _ => false,
            };
            assert!(is_known, "the crate accepts what is refused here: {error}");
        }
        Err(other) => panic!("the crate accepts what is refused here: {other}"),
    }
    ours
}

/// Runs every seed and mutations of them through `check`.
fn run(target: &str, least_seeds: usize, check: fn(&[u8]) -> Result<ModelOutline, OutlineError>) {
    let mut seeds: Vec<PathBuf> = fs::read_dir(corpus(target))
        .unwrap_or_else(|error| panic!("{}: {error}", corpus(target).display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    seeds.sort();
    assert!(seeds.len() >= least_seeds, "{} seeds", seeds.len());
    let mut contents = Vec::new();
    for seed in seeds {
        let bytes = fs::read(&seed).unwrap();
        let name = seed.file_name().unwrap().to_string_lossy().into_owned();
        let answer = check(&bytes);
        if name.starts_with("good-") {
            assert!(answer.is_ok(), "{name}: {}", answer.unwrap_err());
        } else if name.starts_with("bad-") {
            assert!(answer.is_err(), "{name} was accepted");
        }
        contents.push(bytes);
    }
    let mut random = Random(0x7E57_5EED);
    let mut accepted = 0;
    for number in 0..MUTATIONS {
        let mut bytes = contents[number as usize % contents.len()].clone();
        for _ in 0..=random.below(3) {
            mutate(&mut bytes, &mut random);
        }
        accepted += u64::from(check(&bytes).is_ok());
    }
    // Mutations that are all refused at the first bytes, or all accepted, would test little.
    assert!(
        (MUTATIONS / 50..MUTATIONS * 9 / 10).contains(&accepted),
        "{accepted} of {MUTATIONS} accepted"
    );
}

#[test]
fn gguf_seeds_and_mutations_of_them_give_an_answer() {
    run("gguf_header", 20, |bytes| check(bytes, "x.gguf"));
}

#[test]
fn safetensors_seeds_and_mutations_of_them_give_an_answer() {
    run("safetensors_header", 15, check_safetensors);
}

/// Splitmix64: the same mutations in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

const EXTREMES: [u64; 12] = [
    0,
    1,
    7,
    255,
    1 << 16,
    (1 << 31) - 1,
    1 << 32,
    100_000_000,
    1 << 40,
    1 << 63,
    u64::MAX - 7,
    u64::MAX,
];

pub(crate) fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    // Most of a seed is data, which nobody reads: the front gets most of the changes.
    let reach = if random.below(4) == 0 {
        bytes.len()
    } else {
        bytes.len().min(600)
    };
    let at = random.below(reach);
    let extreme = EXTREMES[random.below(EXTREMES.len())];
    match random.below(7) {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = random.next() as u8;
            }
        }
        2 => bytes.truncate(at),
        3 => overwrite(bytes, at, &extreme.to_le_bytes()),
        4 => overwrite(bytes, at, &(extreme as u32).to_le_bytes()),
        5 => {
            let some = bytes.get(at..(at + random.below(40)).min(bytes.len()));
            let some = some.unwrap_or_default().to_vec();
            let to = random.below(bytes.len());
            bytes.splice(to..to, some);
        }
        _ => replace_figure(bytes, at, extreme),
    }
}

fn overwrite(bytes: &mut [u8], at: usize, with: &[u8]) {
    for (byte, with) in bytes.iter_mut().skip(at).zip(with) {
        *byte = *with;
    }
}

/// The decimal figure at or after `at` becomes `figure`; a safetensors length field is kept right.
fn replace_figure(bytes: &mut Vec<u8>, at: usize, figure: u64) {
    let is_digit = |byte: &u8| byte.is_ascii_digit();
    let Some(start) = bytes.iter().skip(at.max(8)).position(is_digit) else {
        return;
    };
    let start = start + at.max(8);
    let digits = bytes.iter().skip(start).take_while(|byte| is_digit(byte));
    let old = digits.count();
    let new = figure.to_string().into_bytes();
    let length_field = bytes.first_chunk::<8>().copied().unwrap_or_default();
    let json_bytes = u64::from_le_bytes(length_field)
        .wrapping_add(new.len() as u64)
        .wrapping_sub(old as u64);
    bytes.splice(start..start + old, new);
    if length_field.get(4..) == Some(&[0; 4]) {
        overwrite(bytes, 0, &json_bytes.to_le_bytes());
    }
}

/// Not a test: writes the seeds.
#[test]
#[ignore = "writes the seeds of the fuzz targets into fuzz/corpus"]
fn write_the_corpus() {
    for (target, seeds) in [
        ("gguf_header", gguf_seeds()),
        ("safetensors_header", safetensors_seeds()),
    ] {
        let directory = corpus(target);
        fs::create_dir_all(&directory).unwrap();
        for (name, bytes) in seeds {
            fs::write(directory.join(name), bytes).unwrap();
        }
    }
}

fn gguf_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let dense = || {
        GgufFile::new()
            .text("general.architecture", "llama")
            .figure("llama.block_count", 1)
            .f32("token_embd.weight", &[8, 4])
            .f32("blk.0.attn_q.weight", &[8, 8])
    };
    let changed = |at: usize, with: &[u8]| {
        let mut bytes = dense().bytes();
        overwrite(&mut bytes, at, with);
        bytes
    };
    let cut = |length: usize| dense().bytes().get(..length).unwrap_or_default().to_vec();
    let huge = u64::MAX.to_le_bytes();
    let mut experts_apart = GgufFile::new()
        .text("general.architecture", "llama")
        .figure("llama.expert_count", 2)
        .figure("llama.expert_used_count", 1);
    for name in ["blk.0.ffn_up.0.weight", "blk.0.ffn_up.1.weight"] {
        experts_apart = experts_apart.f32(name, &[8]);
    }
    let hole = dense().tensor("hole", &[1], 0, 100).f32("after", &[1]);
    let mut trailing = dense().bytes();
    trailing.extend([1; 50]);
    let array = {
        // An array of texts, and one of arrays.
        let mut bytes = b"GGUF\x03\0\0\0".to_vec();
        bytes.extend(0u64.to_le_bytes());
        bytes.extend(2u64.to_le_bytes());
        for (key, value) in [(b'a', &[9u8, 8, 2, 1, 1][..]), (b'b', &[9, 9, 1, 4, 0][..])] {
            bytes.extend(1u64.to_le_bytes());
            bytes.push(key);
            bytes.extend(u32::from(value[0]).to_le_bytes());
            bytes.extend(u32::from(value[1]).to_le_bytes());
            bytes.extend(u64::from(value[2]).to_le_bytes());
            if key == b'a' {
                for text in [b'x', b'y'] {
                    bytes.extend(1u64.to_le_bytes());
                    bytes.push(text);
                }
            } else {
                bytes.extend(u32::from(value[3]).to_le_bytes());
                bytes.extend(u64::from(value[4]).to_le_bytes());
            }
        }
        bytes
    };
    vec![
        ("good-v3-dense", dense().bytes()),
        ("good-v2-dense", dense().version(2).bytes()),
        ("good-v3-mixture", mixture().bytes()),
        ("good-experts-apart", experts_apart.bytes()),
        (
            "good-unknown-type",
            dense().tensor("new", &[5], 999, 7).bytes(),
        ),
        (
            "good-empty-tensor",
            dense().f32("empty", &[0, 3]).f32("last", &[2]).bytes(),
        ),
        ("good-no-tensors", GgufFile::new().bytes()),
        ("good-hole", hole.bytes()),
        ("good-trailing-bytes", trailing),
        (
            "good-alignment-64",
            GgufFile::new().figure("general.alignment", 64).bytes(),
        ),
        ("good-arrays", array),
        (
            "good-one-shard-of-one",
            dense()
                .figure16("split.no", 0)
                .figure16("split.count", 1)
                .bytes(),
        ),
        (
            "bad-one-shard-of-two",
            dense()
                .figure16("split.no", 0)
                .figure16("split.count", 2)
                .bytes(),
        ),
        ("bad-empty", Vec::new()),
        ("bad-magic", changed(0, b"GGML")),
        ("bad-version-1", dense().version(1).bytes()),
        ("bad-version-4", dense().version(4).bytes()),
        ("bad-big-endian", dense().version(3 << 24).bytes()),
        ("bad-cut-in-magic", cut(3)),
        ("bad-cut-in-counts", cut(20)),
        ("bad-cut-in-metadata", cut(60)),
        ("bad-cut-in-infos", cut(150)),
        ("bad-cut-in-data", cut(dense().bytes().len() - 1)),
        ("bad-tensor-count", changed(8, &huge)),
        ("bad-metadata-count", changed(16, &huge)),
        ("bad-key-length", changed(24, &huge)),
        ("bad-value-type", changed(52, &13u32.to_le_bytes())),
        ("bad-text-length", changed(56, &huge)),
        (
            "bad-alignment-48",
            GgufFile::new().figure("general.alignment", 48).bytes(),
        ),
        (
            "bad-alignment-0",
            GgufFile::new().figure("general.alignment", 0).bytes(),
        ),
        (
            "bad-overlap",
            dense().tensor_at("over", &[8], 0, 32).bytes(),
        ),
        (
            "bad-beyond-file",
            dense().tensor_at("far", &[8], 0, 1 << 40).bytes(),
        ),
        (
            "bad-offset-overflow",
            dense().tensor_at("far", &[8], 0, u64::MAX - 8).bytes(),
        ),
        (
            "bad-dimensions-overflow",
            dense()
                .tensor_at("vast", &[1 << 40, 1 << 40], 0, 512)
                .bytes(),
        ),
        (
            "bad-five-dimensions",
            dense().tensor_at("deep", &[1; 5], 0, 512).bytes(),
        ),
        (
            "bad-part-of-a-block",
            dense().tensor_at("odd", &[33], 2, 512).bytes(),
        ),
        (
            "bad-same-name",
            dense().f32("same", &[1]).f32("same", &[1]).bytes(),
        ),
        (
            "bad-same-key",
            GgufFile::new().figure("k", 1).figure("k", 1).bytes(),
        ),
    ]
}

fn safetensors_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let dense = || {
        SafetensorsFile::new()
            .bf16("model.embed_tokens.weight", &[4, 8])
            .bf16("model.layers.0.self_attn.q_proj.weight", &[8, 8])
            .tensor("model.norm.weight", &[8], "F32", 32)
    };
    let of = |json: &str| SafetensorsFile::new().bf16("x", &[4]).bytes_of(json);
    let one = |shape: &str, offsets: &str| {
        of(&format!(
            r#"{{"a":{{"dtype":"U8","shape":{shape},"data_offsets":{offsets}}}}}"#
        ))
    };
    let two = |first: &str, second: &str| {
        let entry = |name: &str, offsets: &str| {
            format!(r#""{name}":{{"dtype":"U8","shape":[4],"data_offsets":{offsets}}}"#)
        };
        of(&format!(
            "{{{},{}}}",
            entry("a", first),
            entry(if second == "[4,8]" { "a" } else { "b" }, second)
        ))
    };
    let mut cut = dense().bytes();
    cut.truncate(cut.len() - 1);
    let mut cut_header = dense().bytes();
    cut_header.truncate(40);
    let mut trailing = dense().bytes();
    trailing.extend([1; 50]);
    let length = |length: u64| {
        let mut bytes = dense().bytes();
        overwrite(&mut bytes, 0, &length.to_le_bytes());
        bytes
    };
    vec![
        ("good-dense", dense().bytes()),
        (
            "good-experts",
            dense()
                .bf16("model.layers.0.mlp.experts.0.up_proj.weight", &[4, 8])
                .bf16("model.layers.0.mlp.experts.gate_up_proj", &[2, 4, 8])
                .bytes(),
        ),
        (
            "good-metadata-and-spaces",
            of(r#"{"__metadata__":{"format":"pt","x":"\u00e9"}}       "#),
        ),
        ("good-no-tensors", of("{}")),
        (
            "good-unknown-type",
            dense().tensor("new", &[5], "F5_NEW", 7).bytes(),
        ),
        (
            "good-empty-tensor",
            dense().bf16("empty", &[0, 3]).bf16("last", &[2]).bytes(),
        ),
        (
            "good-scalar-of-4-bits",
            dense().tensor("small", &[2, 3], "F4", 3).bytes(),
        ),
        ("good-hole", one("[2]", "[3,5]")),
        ("good-trailing-bytes", trailing),
        ("bad-empty", Vec::new()),
        ("bad-seven-bytes", vec![1; 7]),
        ("bad-cut-in-header", cut_header),
        ("bad-cut-in-data", cut),
        ("bad-length-beyond-file", length(1 << 20)),
        ("bad-length-beyond-limit", length(100_000_001)),
        ("bad-length-most", length(u64::MAX)),
        ("bad-length-too-short", length(30)),
        ("bad-length-zero", length(0)),
        ("bad-json", of("{\"a\":")),
        ("bad-array", of("[]")),
        ("bad-no-utf-8", {
            let mut bytes = of("{\"aaaa\":1}");
            overwrite(&mut bytes, 11, b"\xff");
            bytes
        }),
        ("bad-deep", of(&"{\"a\":".repeat(200))),
        ("bad-overlap", two("[0,4]", "[3,7]")),
        ("bad-same-name", two("[0,4]", "[4,8]")),
        ("bad-backwards", one("[2]", "[4,2]")),
        ("bad-beyond-file", one("[9]", "[0,9]")),
        (
            "bad-offset-most",
            one("[1]", "[18446744073709551614,18446744073709551615]"),
        ),
        (
            "bad-shape-overflow",
            one("[4294967296,4294967296]", "[0,0]"),
        ),
        ("bad-shape-and-length", one("[3]", "[0,4]")),
        ("bad-negative", one("[-1]", "[0,4]")),
        ("bad-fraction", one("[1.5]", "[0,4]")),
        (
            "bad-many-dimensions",
            one(&format!("[{}1]", "1,".repeat(40)), "[0,1]"),
        ),
    ]
}
