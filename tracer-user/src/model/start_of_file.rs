//! Whether a file is a model by how it begins, whatever it is called.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// The largest header that the safetensors library reads (`MAX_HEADER_SIZE`).
const LARGEST_SAFETENSORS_HEADER: u64 = 100_000_000;

/// Whether a file begins as GGUF or safetensors does: with the name of the one, or with a length that fits into the
/// file and a JSON object, as the other. Reads ten bytes, with read-ahead off: the look must not bring a file into the
/// cache.
#[must_use]
pub fn starts_as_model(path: &Path) -> bool {
    // Only once its kind is known: opening a FIFO or a device does something.
    let Some(size_bytes) = path
        .metadata()
        .ok()
        .filter(|metadata| metadata.is_file() && metadata.len() >= 4)
        .map(|metadata| metadata.len())
    else {
        return false;
    };
    let Ok(file) = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
    else {
        return false;
    };
    // SAFETY: a descriptor that we own, and integers.
    unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_RANDOM) };
    let mut start = [0; 10];
    let length = file.read_at(&mut start, 0).unwrap_or(0);
    is_start_of_model(start.get(..length).unwrap_or_default(), size_bytes)
}

fn is_start_of_model(start: &[u8], size_bytes: u64) -> bool {
    if start.starts_with(b"GGUF") {
        return true;
    }
    let Some((length, object)) = start.split_first_chunk::<8>() else {
        return false;
    };
    let header_bytes = u64::from_le_bytes(*length);
    // The library writes `{"`; others may put white space between.
    let begins_object = matches!(object, [b'{', b'"' | b' ' | b'\n' | b'\t' | b'\r' | b'}']);
    begins_object
        && (2..=LARGEST_SAFETENSORS_HEADER).contains(&header_bytes)
        && header_bytes <= size_bytes.saturating_sub(8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_known_without_an_extension() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("0a1b2c");
        let mut safetensors = 40u64.to_le_bytes().to_vec();
        safetensors.extend(b"{\"__metadata__\":{}}                     weights");
        for (content, is_model) in [
            (b"GGUF\x03\0\0\0".to_vec(), true),
            (b"GGUF".to_vec(), true),
            (safetensors.clone(), true),
            (safetensors.get(..20).expect("long").to_vec(), false),
            (b"GGU".to_vec(), false),
            (b"{\"weight_map\": {}}".to_vec(), false),
            ([&[0xff; 8][..], b"{\"a\": 1}"].concat(), false),
            ([&40u64.to_le_bytes()[..], &[b'x'; 60]].concat(), false),
            (Vec::new(), false),
        ] {
            std::fs::write(&path, &content).expect("file");
            assert_eq!(
                starts_as_model(&path),
                is_model,
                "{}",
                content.escape_ascii()
            );
        }
        assert!(!starts_as_model(directory.path()));
        assert!(!starts_as_model(&directory.path().join("none")));
    }
}
