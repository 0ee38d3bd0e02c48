//! A file that is read past the page cache.

use std::{
    fs::File,
    io,
    os::{fd::AsRawFd as _, unix::fs::OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use memmap2::MmapMut;

use super::{error::DeviceTestError, patterns::Request};

/// A file open with `O_DIRECT`, for reading only.
#[derive(Debug)]
pub struct DirectFile {
    file: File,
    path: PathBuf,
    /// Offsets and lengths are multiples of this, bytes.
    alignment: u64,
}

/// Where a thread's reads go: pages, which every device can write to.
#[derive(Debug)]
pub struct Buffer(MmapMut);

impl Buffer {
    /// Room for reads of so many bytes.
    ///
    /// # Errors
    /// No memory.
    pub fn new(bytes: u64) -> Result<Self, DeviceTestError> {
        let prepared = usize::try_from(bytes.max(1))
            .map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))
            .and_then(MmapMut::map_anon);
        prepared
            .map(Self)
            .map_err(|source| DeviceTestError::Resources {
                what: "memory to read into",
                source,
            })
    }
}

#[cfg(test)]
impl Buffer {
    /// What came.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl DirectFile {
    /// Opens a file and finds out what it takes: reads of the device's blocks, else of the file system's. `probe` is an
    /// offset at which there is data.
    ///
    /// # Errors
    /// The file system takes no direct reads.
    pub fn open(
        path: &Path,
        file_system: &str,
        alignments: [u64; 2],
        probe: u64,
    ) -> Result<Self, DeviceTestError> {
        let refused = |source| DeviceTestError::NoDirectReads {
            file_system: file_system.to_owned(),
            path: path.to_owned(),
            source,
        };
        let file = File::options()
            .read(true)
            .custom_flags(libc::O_DIRECT)
            .open(path)
            .map_err(refused)?;
        let mut direct = Self {
            file,
            path: path.to_owned(),
            alignment: 0,
        };
        let mut buffer = Buffer::new(alignments[1].max(alignments[0]))?;
        let mut last = io::Error::from_raw_os_error(libc::EINVAL);
        for alignment in alignments {
            direct.alignment = alignment.max(512);
            // An odd multiple where there is one, so that a larger alignment would be noticed.
            let offset = direct.round_down(probe) + direct.alignment;
            match direct.pread(offset, direct.alignment, &mut buffer) {
                Ok(_) => return Ok(direct),
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => last = error,
                Err(error) => return Err(refused(error)),
            }
        }
        Err(refused(last))
    }

    const fn round_down(&self, offset: u64) -> u64 {
        offset - offset % self.alignment
    }

    /// The smallest aligned read that holds these bytes.
    pub const fn aligned(&self, offset_bytes: u64, length_bytes: u64) -> Request {
        let offset = self.round_down(offset_bytes);
        let end = (offset_bytes + length_bytes).next_multiple_of(self.alignment);
        Request {
            offset_bytes: offset,
            length_bytes: end - offset,
        }
    }

    /// Offsets and lengths are multiples of this, bytes.
    pub const fn alignment(&self) -> u64 {
        self.alignment
    }

    /// Makes one read; bytes that came: fewer than asked for at the end of the file.
    ///
    /// # Errors
    /// What the device or the file system says.
    pub fn read(&self, request: Request, buffer: &mut Buffer) -> Result<u64, DeviceTestError> {
        let mut done = 0;
        while done < request.length_bytes {
            let came = self
                .pread(
                    request.offset_bytes + done,
                    request.length_bytes - done,
                    buffer,
                )
                .map_err(|source| DeviceTestError::Read {
                    path: self.path.clone(),
                    offset_bytes: request.offset_bytes,
                    length_bytes: request.length_bytes,
                    source,
                })?;
            done += came;
            // The end of the file; what is no multiple could not be continued anyway.
            if came == 0 || !came.is_multiple_of(self.alignment) {
                break;
            }
        }
        Ok(done)
    }

    fn pread(&self, offset: u64, length: u64, buffer: &mut Buffer) -> io::Result<u64> {
        let offset = libc::off_t::try_from(offset).map_err(io::Error::other)?;
        let length =
            usize::try_from(length).map_or(buffer.0.len(), |length| length.min(buffer.0.len()));
        loop {
            // SAFETY: the buffer is at least `length` bytes long and borrowed for the time of the call.
            let result = unsafe {
                libc::pread(
                    self.file.as_raw_fd(),
                    buffer.0.as_mut_ptr().cast(),
                    length,
                    offset,
                )
            };
            match u64::try_from(result) {
                Ok(bytes) => return Ok(bytes),
                Err(_) => {
                    let error = io::Error::last_os_error();
                    if error.kind() != io::ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
            }
        }
    }
}
