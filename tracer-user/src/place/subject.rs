//! What is traced: models, their files, where these lie, and the tables for both sides made from that.

use std::{
    fs::{File, Metadata},
    io::ErrorKind,
    os::{fd::AsRawFd as _, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use tracer_common::page::FileKey;

use crate::{
    model::ModelFiles,
    stats::FileData,
    storage::{
        BlockDevice, ExtentsFingerprint, FileExtents, FileSystem, Mapping, Sector, map_file,
        residency,
    },
    units::bytes,
};

use super::owner::Owner;

/// A model that was asked for.
#[derive(Clone, Debug)]
pub struct RequestedModel {
    /// What to call it.
    pub name: String,
    /// Its files: the path to show and the path to open.
    pub files: Vec<(PathBuf, PathBuf)>,
}

impl RequestedModel {
    /// A model by one of its files.
    ///
    /// # Errors
    /// See [`crate::model::ModelFileError`].
    pub fn from_path(path: &Path) -> anyhow::Result<Self> {
        let files = ModelFiles::from_path(path)?;
        Ok(Self {
            name: match files.files.as_slice() {
                [only] => only.display().to_string(),
                _ => files.display_name,
            },
            files: files
                .files
                .into_iter()
                .map(|file| (file.clone(), file))
                .collect(),
        })
    }
}

/// What stat(2) tells a file from every other by, while it is there: behind an overlay not what the tracepoints carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileIdentity {
    pub device: u64,
    pub inode: u64,
}

impl From<&Metadata> for FileIdentity {
    fn from(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

/// A file of a model.
#[derive(Debug)]
pub struct SubjectFile {
    pub path: PathBuf,
    /// Path by which it was opened: its own, or one that leads to where another process sees it.
    pub opened_as: PathBuf,
    /// What that path named then.
    pub identity: FileIdentity,
    /// Path under which it can be opened and evicted: of the layer's file, behind an overlay.
    pub evictable_path: PathBuf,
    /// The file, open for reading.
    pub open: File,
    /// Its extents when the run began.
    pub extents: FileExtents,
    /// Name of its file system.
    pub filesystem: String,
    /// How the page-cache tracepoints name it.
    pub key: FileKey,
    /// Where its sectors are.
    pub placement: Placement,
}

/// Where the sectors of a file are.
#[derive(Clone, Debug)]
pub enum Placement {
    /// On a disk, whose requests can be told apart by sector.
    OnDisk {
        /// Slot of the disk.
        disk: usize,
        /// First sector of the partition.
        partition_start: Sector,
        /// The extents as they were.
        fingerprint: ExtentsFingerprint,
    },
    /// Nowhere that requests tell: only the page cache can be looked at. With the reason.
    CacheOnly(String),
}

impl SubjectFile {
    /// Slot of its disk.
    #[must_use]
    pub const fn disk(&self) -> Option<usize> {
        match &self.placement {
            Placement::OnDisk { disk, .. } => Some(*disk),
            Placement::CacheOnly(_) => None,
        }
    }

    /// Whether nothing of it is in the page cache.
    #[must_use]
    pub fn is_cold(&self) -> bool {
        residency(&self.open).is_ok_and(|residency| {
            residency
                .observed()
                .is_some_and(|pages| pages.resident_pages == 0)
        })
    }

    /// Whether a process that has this file open or mapped has this one: by the path that was given, or, behind an
    /// overlay, the layer's.
    #[must_use]
    pub fn is(&self, identity: FileIdentity) -> bool {
        let own = || self.open.metadata().ok();
        self.identity == identity
            || own().is_some_and(|metadata| FileIdentity::from(&metadata) == identity)
    }

    /// Says so where its path names another file by now, or none.
    #[must_use]
    pub fn replaced(&self) -> Option<String> {
        let path = self.path.display();
        match self.opened_as.metadata() {
            Ok(metadata) if FileIdentity::from(&metadata) == self.identity => None,
            Ok(metadata) => Some(format!(
                "{path} is no longer the file that was traced (inode {}): another one (inode {}) was put in its place. What was read of that one is in no figure",
                self.identity.inode,
                metadata.ino(),
            )),
            // Below /proc it may be the process that has ended.
            Err(error)
                if error.kind() == ErrorKind::NotFound && !self.opened_as.starts_with("/proc") =>
            {
                Some(format!(
                    "{path} was deleted or renamed during the run: the figures are those of the file that had this name at the start"
                ))
            }
            Err(_) => None,
        }
    }

    /// Says so where the file's end lies in the file system's metadata.
    #[must_use]
    pub fn tail_in_metadata(&self) -> Option<String> {
        let tail = self.extents.tail_in_metadata_bytes;
        (tail > 0).then(|| {
            format!(
                "the last {} of {} lie in the metadata of {}: reads of them are in no figure of the model",
                bytes(tail),
                self.path.display(),
                self.filesystem
            )
        })
    }

    /// Gives the kernel a hint on the whole file, which a file system may ignore.
    pub fn advise(&self, advice: libc::c_int) {
        // SAFETY: a descriptor and numbers.
        unsafe { libc::posix_fadvise(self.open.as_raw_fd(), 0, 0, advice) };
    }
}

#[derive(Clone, Debug)]
pub struct SubjectModel {
    /// What to call it.
    pub name: String,
    /// Slots of its files.
    pub files: Vec<usize>,
}

/// Everything that is traced.
#[derive(Debug)]
pub struct Subject {
    pub models: Vec<SubjectModel>,
    /// Files of all models.
    pub files: Vec<SubjectFile>,
    /// Whole disks that the files lie on.
    pub disks: Vec<BlockDevice>,
}

impl Subject {
    /// Opens the files and finds where they lie.
    ///
    /// # Errors
    /// A file that cannot be opened or whose sectors cannot be told; one file in two models.
    pub fn open(requested: Vec<RequestedModel>) -> anyhow::Result<Self> {
        let mut subject = Self {
            models: Vec::new(),
            files: Vec::new(),
            disks: Vec::new(),
        };
        for model in requested {
            let mut slots = Vec::with_capacity(model.files.len());
            for (path, openable) in model.files {
                slots.push(subject.add_file(path, &openable)?);
            }
            subject.models.push(SubjectModel {
                name: model.name,
                files: slots,
            });
        }
        Ok(subject)
    }

    fn add_file(&mut self, path: PathBuf, openable: &Path) -> anyhow::Result<usize> {
        let identity = FileIdentity::from(
            &openable
                .metadata()
                .with_context(|| format!("cannot look at {}", path.display()))?,
        );
        let placed = match map_file(openable)
            .with_context(|| format!("cannot find the device of {}", path.display()))?
        {
            Mapping::Mapped(placed) => *placed,
            Mapping::Unmappable(reason) => {
                return self.add_cached_file(path, openable, identity, reason.to_string());
            }
        };
        // Behind an overlay this is the layer's file, which is what the kernel reads and caches.
        let open = File::open(&placed.path)
            .with_context(|| format!("cannot open the model file {}", path.display()))?;
        let extents = FileExtents::of(&open)
            .with_context(|| format!("cannot find the extents of {}", path.display()))?;
        let key = FileKey {
            inode: placed.inode,
            device: u64::from(placed.file_system.mount.device.0),
        };
        self.refuse_twice(key, &path)?;
        let disk = match self
            .disks
            .iter()
            .position(|disk| disk.device == placed.disk.device)
        {
            Some(slot) => slot,
            None => {
                self.disks.push(placed.disk);
                self.disks.len() - 1
            }
        };
        self.files.push(SubjectFile {
            path,
            opened_as: openable.to_owned(),
            identity,
            open,
            evictable_path: placed.path,
            filesystem: placed.file_system.name().to_owned(),
            key,
            placement: Placement::OnDisk {
                disk,
                partition_start: placed.partition_start,
                fingerprint: extents.fingerprint(),
            },
            extents,
        });
        Ok(self.files.len() - 1)
    }

    /// A key that another file has already.
    ///
    /// # Errors
    /// There is such a file; both are named.
    pub fn refuse_twice(&self, key: FileKey, path: &Path) -> anyhow::Result<()> {
        match self.files.iter().find(|file| file.key == key) {
            Some(twice) => bail!(
                "{} and {} are the same file; name it once",
                twice.path.display(),
                path.display()
            ),
            None => Ok(()),
        }
    }

    /// Adds a file whose sectors nobody can tell. Its key is the file system's and may not be the one that the
    /// tracepoints carry, which are learnt when the programs are there.
    fn add_cached_file(
        &mut self,
        path: PathBuf,
        openable: &Path,
        identity: FileIdentity,
        reason: String,
    ) -> anyhow::Result<usize> {
        let open = File::open(openable)
            .with_context(|| format!("cannot open the model file {}", path.display()))?;
        let metadata = open
            .metadata()
            .with_context(|| format!("cannot look at {}", path.display()))?;
        let file_system = FileSystem::of(&open)
            .with_context(|| format!("cannot tell the file system of {}", path.display()))?;
        let key = FileKey {
            inode: metadata.ino(),
            device: u64::from(file_system.mount.device.0),
        };
        self.refuse_twice(key, &path)?;
        self.files.push(SubjectFile {
            path,
            opened_as: openable.to_owned(),
            identity,
            open,
            evictable_path: openable.to_owned(),
            filesystem: file_system.name().to_owned(),
            key,
            placement: Placement::CacheOnly(reason),
            extents: FileExtents {
                size_bytes: metadata.len(),
                ..FileExtents::default()
            },
        });
        Ok(self.files.len() - 1)
    }

    /// Why a model has no figures of its reads; None where it has.
    #[must_use]
    pub fn without_sectors(&self, model: &SubjectModel) -> Option<String> {
        self.files_of(model).find_map(|file| match &file.placement {
            Placement::OnDisk { .. } => None,
            Placement::CacheOnly(reason) => Some(reason.clone()),
        })
    }

    /// Files of one model.
    pub fn files_of(&self, model: &SubjectModel) -> impl Iterator<Item = &SubjectFile> {
        model.files.iter().filter_map(|file| self.files.get(*file))
    }

    /// Files whose extents are no longer what they were when the run began.
    #[must_use]
    pub fn moved_files(&self) -> Vec<&Path> {
        self.files
            .iter()
            .filter(|file| match &file.placement {
                Placement::OnDisk { fingerprint, .. } => !FileExtents::of(&file.open)
                    .is_ok_and(|extents| extents.fingerprint() == *fingerprint),
                Placement::CacheOnly(_) => false,
            })
            .map(|file| file.path.as_path())
            .collect()
    }

    /// What there is to read, by model and file.
    #[must_use]
    pub fn file_data(&self) -> Vec<Vec<FileData>> {
        self.models
            .iter()
            .map(|model| {
                self.files_of(model)
                    .map(|file| FileData {
                        size_bytes: file.extents.size_bytes,
                        hole_bytes: file.extents.holes_bytes,
                    })
                    .collect()
            })
            .collect()
    }

    /// Whose each file is, by slot.
    ///
    /// # Errors
    /// More files than there are numbers.
    pub fn owners(&self) -> anyhow::Result<Vec<Owner>> {
        (0..self.files.len()).map(|slot| self.owner(slot)).collect()
    }

    /// Who owns a file: its model, and its place in it.
    ///
    /// # Errors
    /// A file of no model; more files than there are numbers.
    pub fn owner(&self, slot: usize) -> anyhow::Result<Owner> {
        for (model, subject) in self.models.iter().enumerate() {
            if let Some(place) = subject.files.iter().position(|file| *file == slot) {
                return Ok(Owner {
                    model: u16::try_from(model)?,
                    file: u16::try_from(place)?,
                });
            }
        }
        bail!("a file without a model")
    }
}
