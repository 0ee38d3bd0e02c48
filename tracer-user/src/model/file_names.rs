//! What names of files say: whether it is a model's, and which part of one that is split.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// Whether the name ends in `.gguf` or `.safetensors`, in any case.
pub(crate) fn has_model_extension(path: &Path) -> bool {
    path.extension().is_some_and(|extension| {
        extension.eq_ignore_ascii_case("gguf") || extension.eq_ignore_ascii_case("safetensors")
    })
}

/// `NAME-%05d-of-%05d.gguf`, and the same with other extensions: llama.cpp's `llama_split_path` and the Hugging Face sharding use the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SplitName {
    prefix: Vec<u8>,
    extension: Vec<u8>,
    /// Number of this part, 1 … count (another only from [`SplitName::with_any_numbers`]).
    pub number: u32,
    /// How many parts there are.
    pub count: u32,
}

impl SplitName {
    /// `None` if it is no name of a part of GGUF or safetensors.
    pub(crate) fn parse(name: &OsStr) -> Option<Self> {
        has_model_extension(Path::new(name))
            .then(|| Self::of_any_format(name))
            .flatten()
    }

    /// The same whatever the extension.
    pub(crate) fn of_any_format(name: &OsStr) -> Option<Self> {
        Self::with_any_numbers(name)
            .filter(|name| !name.prefix.is_empty() && (1..=name.count).contains(&name.number))
    }

    /// The same whatever extension and numbers: also a part 7 of 3, which an error can then say.
    pub(crate) fn with_any_numbers(name: &OsStr) -> Option<Self> {
        let bytes = name.as_bytes();
        let dot = bytes.iter().rposition(|&byte| byte == b'.')?;
        let (stem, extension) = (bytes.get(..dot)?, bytes.get(dot + 1..)?);
        // "-00001-of-00003"
        let (prefix, numbers) = stem.split_at(stem.len().checked_sub(15)?);
        let numbers = std::str::from_utf8(numbers).ok()?;
        let (number, count) = numbers.strip_prefix('-')?.split_once("-of-")?;
        let value = |digits: &str| {
            let all_digits = digits.len() == 5 && digits.bytes().all(|byte| byte.is_ascii_digit());
            all_digits.then(|| digits.parse::<u32>().ok()).flatten()
        };
        let (number, count) = (value(number)?, value(count)?);
        Some(Self {
            prefix: prefix.to_vec(),
            extension: extension.to_vec(),
            number,
            count,
        })
    }

    /// File name of a part.
    pub(crate) fn name_of(&self, number: u32) -> OsString {
        let mut name = self.prefix.clone();
        name.extend(format!("-{number:05}-of-{:05}.", self.count).bytes());
        name.extend(&self.extension);
        OsString::from_vec(name)
    }

    /// `NAME`; what is no UTF-8 in it is replaced.
    pub(crate) fn model(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.prefix)
    }

    /// `NAME.gguf`.
    pub(crate) fn display_name(&self) -> String {
        let extension = String::from_utf8_lossy(&self.extension);
        format!("{}.{extension}", self.model())
    }

    /// Whether this and another are parts of one model, where they lie in one directory.
    pub(crate) fn is_beside(&self, other: &Self) -> bool {
        (&self.prefix, &self.extension, self.count)
            == (&other.prefix, &other.extension, other.count)
    }
}
