//! What can go wrong with a store, each with the thing it happened to and the way out.
//!
//! Cloneable, because one failed group commit answers many callers.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::superblock::BlockError;

/// The result of a store operation.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// An error of the embedded store.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no store.
    #[error("store {}: {reason} (make one with `ringbd store create`, or check ringbd_store=)", dir.display())]
    NotAStore {
        /// The directory that was opened.
        dir: PathBuf,
        /// What is missing or wrong.
        reason: String,
    },
    /// There is a store already, or something that must not be overwritten.
    #[error("store {}: {reason}", path.display())]
    Occupied {
        /// The directory, file or device in the way.
        path: PathBuf,
        /// What was found, and what to do about it.
        reason: String,
    },
    /// Another opener has the store.
    #[error(
        "store {} is in use by process {owner}; close it there, or run the jobs as threads of one process (fio: thread=1)",
        dir.display()
    )]
    Locked {
        /// The store's directory.
        dir: PathBuf,
        /// Its owner as the lock file names it: pid and name.
        owner: String,
    },
    /// A fixed block is damaged, foreign or of another version.
    #[error("{}: {source} (restore the file from a backup; if it is another program's, move it away)", path.display())]
    Block {
        /// The file or device.
        path: PathBuf,
        /// What is wrong with it.
        source: BlockError,
    },
    /// The store uses features that this code does not know.
    #[error("store {}: it uses {kind} features {bits:#x} that this ringbd does not know (use a newer ringbd)", dir.display())]
    Features {
        /// The store's directory.
        dir: PathBuf,
        /// `incompatible` or `write`.
        kind: &'static str,
        /// The unknown bits.
        bits: u64,
    },
    /// The metadata or the data do not make sense.
    #[error("{}: {what} ({hint})", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        what: String,
        /// What to do.
        hint: &'static str,
    },
    /// A pool, image or metadata key that is not there.
    #[error("{kind} {name}: it does not exist (`ringbd ls` shows what does)")]
    NotFound {
        /// `pool`, `image` or `image metadata`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// A pool or image that is there already.
    #[error("{kind} {name}: it exists already (choose another name, or remove it first)")]
    Exists {
        /// `pool` or `image`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// It is open, or not empty, so it cannot be removed or changed now.
    #[error("{kind} {name}: {reason}")]
    Busy {
        /// `pool`, `image` or `object`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The caller asked for something that cannot be.
    #[error("{what}: {reason}")]
    Invalid {
        /// The argument.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// No slot is left.
    #[error("store {}: no space left: {reason}", dir.display())]
    Full {
        /// The store's directory.
        dir: PathBuf,
        /// Which limit was reached and what frees space.
        reason: String,
    },
    /// The store was opened for reading.
    #[error("store {}: it is open read-only", dir.display())]
    ReadOnly {
        /// The store's directory.
        dir: PathBuf,
    },
    /// An earlier sync or commit failed, so nothing written since the last good one can be promised.
    #[error("{}: an earlier {operation} failed ({source}), so what was written since may be lost; close the store, check the disk, open it again", path.display())]
    Poisoned {
        /// The file or device.
        path: PathBuf,
        /// The operation that failed first.
        operation: &'static str,
        /// How it failed.
        source: Arc<io::Error>,
    },
    /// The system refused an operation.
    #[error("{operation} {}: {source}", path.display())]
    Io {
        /// What was being done.
        operation: &'static str,
        /// To what.
        path: PathBuf,
        /// The system's answer.
        source: Arc<io::Error>,
    },
}

impl StoreError {
    /// Wraps the system's answer to `operation` on `path`.
    pub fn io(operation: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io { operation, path: path.into(), source: Arc::new(source) }
    }

    /// The positive errno that librbd would return for this.
    pub fn errno(&self) -> i32 {
        match self {
            Self::NotAStore { .. } | Self::NotFound { .. } => ENOENT,
            Self::Occupied { .. } | Self::Exists { .. } => EEXIST,
            Self::Locked { .. } | Self::Busy { .. } => EBUSY,
            Self::Invalid { .. } => EINVAL,
            Self::Full { .. } => ENOSPC,
            Self::ReadOnly { .. } => EROFS,
            Self::Features { .. } => EOPNOTSUPP,
            Self::Block { .. } | Self::Corrupt { .. } | Self::Poisoned { .. } => EIO,
            Self::Io { source, .. } => source.raw_os_error().unwrap_or(EIO),
        }
    }

    /// True if space ran out and the operation may succeed once some is freed.
    pub fn is_out_of_space(&self) -> bool {
        const EDQUOT: i32 = 122;
        matches!(self.errno(), ENOSPC | EDQUOT)
    }
}

// Linux's numbers: the same on every architecture ringbd runs on.
const ENOENT: i32 = 2;
const EIO: i32 = 5;
const EBUSY: i32 = 16;
const EEXIST: i32 = 17;
const EINVAL: i32 = 22;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;
const EOPNOTSUPP: i32 = 95;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_librbds_errno() {
        let full = StoreError::io("write", "/x", io::Error::from_raw_os_error(28));
        assert_eq!(full.errno(), 28);
        assert!(full.is_out_of_space());
        let vague = StoreError::io("write", "/x", io::Error::other("no number"));
        assert_eq!(vague.errno(), 5);
        assert_eq!(StoreError::Exists { kind: "image", name: "a".into() }.errno(), 17);
    }

    #[test]
    fn the_lock_error_names_the_owner() {
        let text = StoreError::Locked { dir: "/srv/ring".into(), owner: "42 (fio)".into() }.to_string();
        assert!(text.starts_with("store /srv/ring is in use by process 42 (fio);"), "{text}");
    }
}
