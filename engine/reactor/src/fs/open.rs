//! Opening files of the real world: blocking, on the control path.

use super::direct::{DirectIo, direct_io};
use super::{File, Inner, RealFile, SyncFile};
use crate::ring::Descriptor;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// How to open a file.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of open(2) are independent")]
pub struct OpenOptions {
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) create: bool,
    pub(crate) create_new: bool,
    pub(crate) truncate: bool,
    pub(crate) direct: bool,
}

impl OpenOptions {
    /// Nothing set.
    pub fn new() -> OpenOptions {
        OpenOptions::default()
    }

    /// For reading.
    #[must_use]
    pub fn read(mut self, yes: bool) -> OpenOptions {
        self.read = yes;
        self
    }

    /// For writing.
    #[must_use]
    pub fn write(mut self, yes: bool) -> OpenOptions {
        self.write = yes;
        self
    }

    /// Make the file if it is not there.
    #[must_use]
    pub fn create(mut self, yes: bool) -> OpenOptions {
        self.create = yes;
        self
    }

    /// Make the file; fail if it is there.
    #[must_use]
    pub fn create_new(mut self, yes: bool) -> OpenOptions {
        self.create_new = yes;
        self
    }

    /// Cut the file to nothing.
    #[must_use]
    pub fn truncate(mut self, yes: bool) -> OpenOptions {
        self.truncate = yes;
        self
    }

    /// Past the page cache (O_DIRECT). Where the file system refuses that, the file is opened buffered, with
    /// a warning.
    #[must_use]
    pub fn direct(mut self, yes: bool) -> OpenOptions {
        self.direct = yes;
        self
    }

    fn std(&self) -> std::fs::OpenOptions {
        let mut options = std::fs::OpenOptions::new();
        options
            .read(self.read)
            .write(self.write)
            .create(self.create)
            .create_new(self.create_new)
            .truncate(self.truncate);
        options
    }
}

/// Opens a file for asynchronous operations.
pub(crate) fn open(path: &Path, options: &OpenOptions) -> io::Result<File> {
    let (file, direct) = open_std(path, options)?;
    let block_device = file.metadata()?.file_type().is_block_device();
    let direct = if direct { direct_io(&file) } else { DirectIo::BUFFERED };
    // The ring works on a duplicate: same open file, same lock.
    let descriptor = Arc::new(Descriptor::new(OwnedFd::from(file.try_clone()?)));
    let locked = AtomicBool::new(false);
    Ok(File { inner: Inner::Real(Arc::new(RealFile { descriptor, file, direct, block_device, locked })) })
}

/// Opens a file for blocking operations.
pub(crate) fn open_sync(path: &Path, options: &OpenOptions) -> io::Result<SyncFile> {
    open_std(path, options).map(|(file, _)| SyncFile::real(file))
}

fn open_std(path: &Path, options: &OpenOptions) -> io::Result<(std::fs::File, bool)> {
    if !options.direct {
        return options.std().open(path).map(|file| (file, false));
    }
    match options.std().custom_flags(libc::O_DIRECT).open(path) {
        Ok(file) => Ok((file, true)),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            let path_shown = path.display();
            tracing::warn!(path = %path_shown, "the file system refuses O_DIRECT; using the page cache");
            // A refused open may have made the file already.
            let mut options = options.clone();
            if options.create_new {
                options.create_new = false;
                options.create = true;
            }
            options.std().open(path).map(|file| (file, false))
        }
        Err(error) => Err(error),
    }
}

/// Makes the entries of a directory durable.
pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    std::fs::File::open(path)?.sync_all()
}
