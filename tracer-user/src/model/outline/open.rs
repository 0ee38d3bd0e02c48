//! From files to an outline.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::companions;
use super::error::OutlineError;
use super::notes::Notes;
use super::places::{Figures, Placed};
use super::positioned_reader::PositionedReader;
use super::shards;
use super::{ModelFormat, ModelOutline, OutlineFile};
use crate::model::gguf::GgufHeader;
use crate::model::safetensors::SafetensorsHeader;

/// Enough to tell the formats apart: GGUF has its name first, safetensors a length of 8 bytes and then `{`.
const START_BYTES: u64 = 9;

/// One file to read: the path to show, its bytes, its size.
type Source<R> = (PathBuf, R, u64);

impl ModelOutline {
    /// The outline of one model from its files in order: one file, or all shards. Only headers are read, and for
    /// safetensors `config.json` and the shard index beside the first file.
    ///
    /// # Errors
    /// [`OutlineError`]: a file cannot be read, is wrong (and where), or the files are not all shards of one model.
    pub fn open(files: &[PathBuf]) -> Result<Self, OutlineError> {
        let opened = files
            .iter()
            .map(|path| {
                let failed = |source| OutlineError::Unreadable {
                    path: path.clone(),
                    source,
                };
                // The kind is asked before opening: opening a pipe would wait for a writer.
                if !path.metadata().map_err(failed)?.is_file() {
                    return Err(OutlineError::NotARegularFile { path: path.clone() });
                }
                File::open(path).map_err(failed)
            })
            .collect::<Result<Vec<_>, _>>()?;
        Self::of_open_files(files.iter().cloned().zip(&opened).collect())
    }

    /// The same from files that are open already, each with the path to show. Positions of the files are neither used
    /// nor moved.
    ///
    /// What lies beside a safetensors file is read from the first path's directory, if the path leads to a file of the
    /// same size and modification time as the open one; it need not, where the file was opened in another mount
    /// namespace. A note says when it does not.
    ///
    /// # Errors
    /// As for [`ModelOutline::open`].
    pub fn of_open_files(files: Vec<(PathBuf, &File)>) -> Result<Self, OutlineError> {
        let mut directory = None;
        let mut sources = Vec::new();
        for (path, file) in files {
            let metadata = file.metadata().map_err(|source| OutlineError::Unreadable {
                path: path.clone(),
                source,
            })?;
            if !metadata.is_file() {
                return Err(OutlineError::NotARegularFile { path });
            }
            if sources.is_empty() {
                directory = directory_of(&path, &metadata);
            }
            sources.push((path, PositionedReader::new(file), metadata.len()));
        }
        assemble(sources, directory.as_deref())
    }

    /// The same from anything that can be read, each with the path to show and the size of the file; at most that many
    /// bytes are read, and (buffering apart) not more than the header has. Nothing beside the files is looked at.
    ///
    /// # Errors
    /// As for [`ModelOutline::open`].
    pub fn read<R: Read>(files: Vec<(PathBuf, R, u64)>) -> Result<Self, OutlineError> {
        assemble(files, None)
    }
}

/// The directory in which `path` lies, if `path` leads to the file that is open.
fn directory_of(path: &Path, open: &Metadata) -> Option<PathBuf> {
    let seen = path.metadata().ok()?;
    let key = |metadata: &Metadata| (metadata.len(), metadata.mtime(), metadata.mtime_nsec());
    let is_same = seen.is_file() && key(&seen) == key(open);
    is_same.then(|| path.parent().unwrap_or(Path::new("")).to_owned())
}

enum Header {
    Gguf(GgufHeader),
    Safetensors(SafetensorsHeader),
}

fn assemble<R: Read>(
    sources: Vec<Source<R>>,
    directory: Option<&Path>,
) -> Result<ModelOutline, OutlineError> {
    if sources.len() > usize::from(u16::MAX) {
        return Err(OutlineError::TooManyFiles(sources.len()));
    }
    let mut format = None;
    let mut files = Vec::new();
    let mut shards = Vec::new();
    let mut figures = Figures::default();
    let mut placed = Placed::default();
    for (file, (path, source, size_bytes)) in (0u16..).zip(sources) {
        let header = read_header(&path, source, size_bytes)?;
        let (found, header_bytes, shard) = match header {
            Header::Gguf(header) => {
                if file == 0 {
                    figures = Figures::of_gguf(&header);
                }
                let data_start_bytes = header.data_start_bytes;
                let shard = shards::of_gguf(&header);
                placed.add_gguf(file, header)?;
                (ModelFormat::Gguf, data_start_bytes, shard)
            }
            Header::Safetensors(header) => {
                let data_start_bytes = header.data_start_bytes;
                let shard = shards::of_safetensors(&path);
                placed.add_safetensors(file, header)?;
                (ModelFormat::Safetensors, data_start_bytes, shard)
            }
        };
        if *format.get_or_insert(found) != found {
            return Err(OutlineError::MixedFormats { path });
        }
        files.push(OutlineFile {
            path,
            size_bytes,
            header_bytes: header_bytes.min(size_bytes),
        });
        shards.push(shard);
    }
    let (Some(format), Some(first)) = (format, files.first()) else {
        return Err(OutlineError::NoFiles);
    };

    let mut notes = Notes::default();
    shards::check(format, &files, &shards, placed.tensors.len(), &mut notes)?;
    placed.check_names(&files)?;
    if format == ModelFormat::Safetensors {
        match directory {
            Some(directory) => {
                figures = companions::read_config(directory, &mut notes);
                companions::check_index(directory, &files, &placed.tensors, &mut notes)?;
            }
            None => notes.add(format!(
                "what lies beside {} was not looked at: architecture and number of experts are not known",
                first.path.display()
            )),
        }
    }
    Ok(placed.finish(format, files, figures, notes))
}

fn read_header<R: Read>(
    path: &Path,
    mut source: R,
    size_bytes: u64,
) -> Result<Header, OutlineError> {
    let mut start = Vec::new();
    (&mut source)
        .take(START_BYTES.min(size_bytes))
        .read_to_end(&mut start)
        .map_err(|source| OutlineError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
    let has_extension = |wanted: &str| {
        path.extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case(wanted))
    };
    let starts_as_gguf = start.starts_with(b"GGUF");
    let starts_as_json = start.get(8) == Some(&b'{');
    let start = io::Cursor::new(start);
    if starts_as_gguf || (has_extension("gguf") && !starts_as_json) {
        return match GgufHeader::read(start.chain(source), size_bytes) {
            Ok(header) => Ok(Header::Gguf(header)),
            Err(error) => Err(OutlineError::Gguf {
                path: path.to_owned(),
                error: Box::new(error),
            }),
        };
    }
    if starts_as_json || has_extension("safetensors") {
        return match SafetensorsHeader::read(start.chain(source), size_bytes) {
            Ok(header) => Ok(Header::Safetensors(header)),
            Err(error) => Err(OutlineError::Safetensors {
                path: path.to_owned(),
                error: Box::new(error),
            }),
        };
    }
    Err(OutlineError::UnknownFormat {
        path: path.to_owned(),
        hint: hint(start.get_ref()),
        start: start.into_inner().escape_ascii().to_string(),
    })
}

/// What a file is that begins like this, and what to do.
fn hint(start: &[u8]) -> &'static str {
    const PICKLE: &str = "; this is a file of PyTorch (a pickle): its tensors cannot be told apart. For figures by tensor convert it to safetensors";
    const COMPRESSED: &str = "; this is a compressed file, which no engine reads in place: unpack it and name what comes out";
    // A zip archive is what torch.save writes; before, a pickle of protocol 2.
    if start.starts_with(b"PK\x03\x04") || start.starts_with(b"\x80\x02") {
        PICKLE
    } else if [&b"\x1f\x8b"[..], b"\x28\xb5\x2f\xfd", b"\xfd7zXZ", b"BZh"]
        .iter()
        .any(|beginning| start.starts_with(beginning))
    {
        COMPRESSED
    } else if start.starts_with(b"version ") {
        "; this is the pointer that Git LFS keeps in place of a file: fetch the file itself with `git lfs pull`"
    } else {
        ""
    }
}
