//! BTF for tests, made from a few words.
//!
//! A line is a type: `struct NAME MEMBER…`, `trace NAME TYPE…` (the arguments of a tracepoint), `func NAME TYPE…`.
//! A member is `name:TYPE`, or `name@BYTES:TYPE`; without a place it follows its predecessor. Types: `u4` and `s4` are
//! integers of so many bytes, `*name` is a pointer to a struct, `=name` is a struct of a line above, `u1[10]` an array,
//! `bit` a bit field of 1 bit, `~TYPE` the same type through a typedef and a qualifier.

use btf_rs::Btf;

use super::KernelTypes;

/// The release of the kernels that are made here.
pub(super) const RELEASE: &str = "9.8.7-test";

const KIND_INT: u32 = 1;
const KIND_POINTER: u32 = 2;
const KIND_ARRAY: u32 = 3;
const KIND_STRUCT: u32 = 4;
const KIND_FORWARD: u32 = 7;
const KIND_TYPEDEF: u32 = 8;
const KIND_VOLATILE: u32 = 9;
const KIND_FUNCTION: u32 = 12;
const KIND_PROTOTYPE: u32 = 13;
/// Offsets of members have the size of a bit field in their upper byte.
const WITH_BIT_FIELDS: u32 = 1 << 31;

#[derive(Default)]
struct Blob {
    types: Vec<u8>,
    strings: Vec<u8>,
    count: u32,
    structures: Vec<(String, u32, u32)>,
}

/// The types of a kernel.
pub(super) fn kernel(text: &str) -> KernelTypes {
    let mut blob = Blob {
        strings: vec![0],
        ..Blob::default()
    };
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        blob.line(line);
    }
    let lengths = [blob.types.len(), blob.strings.len()].map(|length| length as u32);
    let header = [24, 0, lengths[0], lengths[0], lengths[1]];
    let mut bytes = vec![0x9f, 0xeb, 1, 0];
    bytes.extend(header.iter().flat_map(|word: &u32| word.to_le_bytes()));
    bytes.extend(blob.types);
    bytes.extend(blob.strings);
    KernelTypes {
        btf: Btf::from_bytes(&bytes).expect("BTF"),
        kernel: RELEASE.to_owned(),
    }
}

impl Blob {
    fn line(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        let kind = words.next().expect("a kind");
        let name = words.next().expect("a name");
        match kind {
            "struct" => self.structure(name, words),
            "trace" => {
                let context = self.add("", KIND_POINTER, 0, &[]);
                let prototype = self.prototype(Some(context), words);
                let pointer = self.add("", KIND_POINTER, prototype, &[]);
                self.add(&format!("btf_trace_{name}"), KIND_TYPEDEF, pointer, &[]);
            }
            "func" => {
                let prototype = self.prototype(None, words);
                self.add(name, KIND_FUNCTION, prototype, &[]);
            }
            _ => panic!("{line:?}"),
        }
    }

    fn structure<'a>(&mut self, name: &str, members: impl Iterator<Item = &'a str>) {
        let mut words = Vec::new();
        let mut end_bits = 0_u32;
        for member in members {
            let (place, kind) = member.split_once(':').expect("a member");
            let (own_name, at) = match place.split_once('@') {
                Some((own_name, at)) => (own_name, Some(at.parse::<u32>().expect("a place"))),
                None => (place, None),
            };
            let (id, bits) = self.kind(kind);
            let alignment = if bits < 8 { 1 } else { bits.min(64) };
            let start = at.map_or(end_bits.next_multiple_of(alignment.max(1)), |at| at * 8);
            let field_bits = if bits < 8 { bits } else { 0 };
            words.extend([self.string(own_name), id, (field_bits << 24) | start]);
            end_bits = start + bits;
        }
        let size_bytes = end_bits.next_multiple_of(64) / 8;
        let info = (KIND_STRUCT << 24) | WITH_BIT_FIELDS | (words.len() as u32 / 3);
        let id = self.add_raw(name, info, size_bytes, &words);
        self.structures.push((name.to_owned(), id, size_bytes));
    }

    fn prototype<'a>(&mut self, first: Option<u32>, kinds: impl Iterator<Item = &'a str>) -> u32 {
        let mut ids: Vec<u32> = first.into_iter().collect();
        for kind in kinds {
            ids.push(self.kind(kind).0);
        }
        let words: Vec<u32> = ids.iter().flat_map(|id| [0, *id]).collect();
        self.add_raw("", (KIND_PROTOTYPE << 24) | ids.len() as u32, 0, &words)
    }

    /// A type's number and its size in bits.
    fn kind(&mut self, kind: &str) -> (u32, u32) {
        if let Some(inner) = kind.strip_prefix('~') {
            let (id, bits) = self.kind(inner);
            let qualified = self.add("", KIND_VOLATILE, id, &[]);
            return (self.add("some_t", KIND_TYPEDEF, qualified, &[]), bits);
        }
        if let Some(to) = kind.strip_prefix('*') {
            let known = self.structures.iter().find(|known| known.0 == to);
            let to = match known {
                Some((_, id, _)) => *id,
                None => self.add(to, KIND_FORWARD, 0, &[]),
            };
            return (self.add("", KIND_POINTER, to, &[]), 64);
        }
        if let Some(name) = kind.strip_prefix('=') {
            let known = self.structures.iter().find(|known| known.0 == name);
            let (_, id, size_bytes) = known.expect("a struct of a line above");
            return (*id, size_bytes * 8);
        }
        if let Some((element, count)) = kind.split_once('[') {
            let count: u32 = count.trim_end_matches(']').parse().expect("a count");
            let (id, bits) = self.kind(element);
            let array = self.add_raw("", KIND_ARRAY << 24, 0, &[id, id, count]);
            return (array, bits * count);
        }
        if kind == "bit" {
            return (self.integer(4, false), 1);
        }
        let (sign, bytes) = kind.split_at(1);
        let bytes: u32 = bytes.parse().expect("a size");
        (self.integer(bytes, sign == "s"), bytes * 8)
    }

    fn integer(&mut self, bytes: u32, is_signed: bool) -> u32 {
        self.add(
            "number",
            KIND_INT,
            bytes,
            &[(u32::from(is_signed) << 24) | (bytes * 8)],
        )
    }

    fn add(&mut self, name: &str, kind: u32, size_or_type: u32, words: &[u32]) -> u32 {
        self.add_raw(name, kind << 24, size_or_type, words)
    }

    fn add_raw(&mut self, name: &str, info: u32, size_or_type: u32, words: &[u32]) -> u32 {
        let name = self.string(name);
        let all = [name, info, size_or_type]
            .into_iter()
            .chain(words.iter().copied());
        self.types.extend(all.flat_map(u32::to_le_bytes));
        self.count += 1;
        self.count
    }

    fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let at = self.strings.len() as u32;
        self.strings.extend(text.bytes().chain([0]));
        at
    }
}
