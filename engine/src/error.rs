//! The one error type of the public API: what was being done, to what, why it failed and what to do about it.
//!
//! Every module below keeps its own precise errors and turns them into this one at its edge. `errno` gives the
//! positive number that librbd's callers (QEMU, fio, C hosts) expect.

use crate::store::StoreError;
use std::borrow::Cow;
use std::fmt;
use std::io;

/// What kind of failure it is; decides the errno and what a caller can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The pool, image, snapshot or store does not exist (ENOENT).
    NotFound,
    /// The name is taken (EEXIST).
    AlreadyExists,
    /// An argument, option, name or configuration value is wrong (EINVAL).
    InvalidInput,
    /// A write to a snapshot or to an image that was opened read-only (EROFS).
    ReadOnly,
    /// The store or its disk is full (ENOSPC).
    NoSpace,
    /// The disk or the network failed (EIO).
    Io,
    /// Somebody else holds it (EBUSY).
    Busy,
    /// This build, kernel or format does not do it (EOPNOTSUPP).
    NotSupported,
    /// Bytes on a disk or a wire are not what they must be (EUCLEAN).
    Corrupt,
    /// compare_and_write found other data (EILSEQ).
    Mismatch,
    /// Not allowed (EPERM).
    PermissionDenied,
    /// A file may not be read, or the cluster does not let the user in (EACCES).
    AccessDenied,
    /// The image or the engine was closed, or the client was fenced (ESHUTDOWN).
    Closed,
    /// A time limit passed (ETIMEDOUT).
    TimedOut,
}

impl ErrorKind {
    /// The Linux errno, positive.
    #[must_use]
    pub const fn errno(self) -> i32 {
        match self {
            Self::PermissionDenied => 1,
            Self::NotFound => 2,
            Self::Io => 5,
            Self::AccessDenied => 13,
            Self::Busy => 16,
            Self::AlreadyExists => 17,
            Self::InvalidInput => 22,
            Self::NoSpace => 28,
            Self::ReadOnly => 30,
            Self::Mismatch => 84,
            Self::NotSupported => 95,
            Self::Closed => 108,
            Self::TimedOut => 110,
            Self::Corrupt => 117,
        }
    }

    /// The text that strerror(3) has for the errno, for messages in the manner of the `rbd` tool.
    #[must_use]
    pub const fn strerror(self) -> &'static str {
        match self {
            Self::PermissionDenied => "Operation not permitted",
            Self::AccessDenied => "Permission denied",
            Self::NotFound => "No such file or directory",
            Self::Io => "Input/output error",
            Self::Busy => "Device or resource busy",
            Self::AlreadyExists => "File exists",
            Self::InvalidInput => "Invalid argument",
            Self::NoSpace => "No space left on device",
            Self::ReadOnly => "Read-only file system",
            Self::Mismatch => "Invalid or incomplete multibyte or wide character",
            Self::NotSupported => "Operation not supported",
            Self::TimedOut => "Connection timed out",
            Self::Closed => "Cannot send after transport endpoint shutdown",
            Self::Corrupt => "Structure needs cleaning",
        }
    }

    /// The kind that a positive errno belongs to; what has none of its own is EIO.
    #[must_use]
    pub fn of_errno(errno: i32) -> Self {
        match errno {
            1 => Self::PermissionDenied,
            13 => Self::AccessDenied,
            2 | 20 => Self::NotFound,
            11 | 16 => Self::Busy,
            17 => Self::AlreadyExists,
            22 | 36 => Self::InvalidInput,
            27 | 28 | 122 => Self::NoSpace,
            30 => Self::ReadOnly,
            38 | 95 => Self::NotSupported,
            84 => Self::Mismatch,
            108 => Self::Closed,
            110 => Self::TimedOut,
            117 => Self::Corrupt,
            _ => Self::Io,
        }
    }

    /// The kind of an operating-system error.
    #[must_use]
    pub fn of_io(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(errno) => Self::of_errno(errno),
            None => match error.kind() {
                io::ErrorKind::NotFound => Self::NotFound,
                io::ErrorKind::AlreadyExists => Self::AlreadyExists,
                io::ErrorKind::InvalidInput => Self::InvalidInput,
                io::ErrorKind::StorageFull => Self::NoSpace,
                io::ErrorKind::PermissionDenied => Self::AccessDenied,
                io::ErrorKind::Unsupported => Self::NotSupported,
                _ => Self::Io,
            },
        }
    }
}

/// A failed operation. `Display` is one line: `operation thing: reason (what to do)`.
#[derive(Debug, Clone)]
pub struct Error(Box<Detail>);

#[derive(Debug, Clone)]
struct Detail {
    kind: ErrorKind,
    operation: Cow<'static, str>,
    object: String,
    reason: String,
    hint: Option<Cow<'static, str>>,
}

/// What every fallible call of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of `kind` while doing `operation` to `object`.
    pub fn new(
        kind: ErrorKind,
        operation: impl Into<Cow<'static, str>>,
        object: impl fmt::Display,
        reason: impl fmt::Display,
    ) -> Self {
        Self(Box::new(Detail {
            kind,
            operation: operation.into(),
            object: object.to_string(),
            reason: reason.to_string(),
            hint: None,
        }))
    }

    /// An operating-system error while doing `operation` to `object`.
    pub fn from_io(
        operation: impl Into<Cow<'static, str>>,
        object: impl fmt::Display,
        error: &io::Error,
    ) -> Self {
        Self::new(ErrorKind::of_io(error), operation, object, error)
    }

    /// An error of the embedded store while doing `operation` to `object`.
    pub(crate) fn from_store(
        operation: impl Into<Cow<'static, str>>,
        object: impl fmt::Display,
        error: &StoreError,
    ) -> Self {
        Self::new(ErrorKind::of_errno(error.errno()), operation, object, error)
    }

    /// The same error with a sentence that says what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The positive errno that a caller of librbd would see.
    #[must_use]
    pub fn errno(&self) -> i32 {
        self.0.kind.errno()
    }

    /// What the failed operation was working on.
    #[must_use]
    pub fn object(&self) -> &str {
        &self.0.object
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Detail { operation, object, reason, hint, .. } = &*self.0;
        write!(f, "{operation} {}: {}", OneLine(object), OneLine(reason))?;
        match hint {
            Some(hint) => write!(f, " ({})", OneLine(hint)),
            None => Ok(()),
        }
    }
}

/// A text in which the names and paths that it quotes cannot begin a new line or move a terminal's cursor.
struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(char::is_control) {
            let (plain, control) = rest.split_at(at);
            f.write_str(plain)?;
            let mut chars = control.chars();
            let first = chars.next().expect("a control character was found");
            write!(f, "{}", first.escape_debug())?;
            rest = chars.as_str();
        }
        f.write_str(rest)
    }
}

impl std::error::Error for Error {}

/// What the operating system says, without its number.
pub(crate) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_operation_thing_reason_and_way_out() {
        let error = Error::new(ErrorKind::NotFound, "open image", "data/foo", "no such image")
            .hint("create it with `ringbd create data/foo --size 10G`");
        assert_eq!(
            error.to_string(),
            "open image data/foo: no such image (create it with `ringbd create data/foo --size 10G`)"
        );
        assert_eq!(error.errno(), 2);
    }

    #[test]
    fn display_is_one_line_whatever_it_quotes() {
        let error =
            Error::new(ErrorKind::NotFound, "open image", "a\nb\u{1b}[2J", "no\r\nsuch é").hint("try\tc");
        assert_eq!(error.to_string(), "open image a\\nb\\u{1b}[2J: no\\r\\nsuch é (try\\tc)");
    }

    #[test]
    fn operating_system_errors_keep_their_errno() {
        for (raw, kind) in [(2, ErrorKind::NotFound), (28, ErrorKind::NoSpace), (5, ErrorKind::Io)] {
            let error = Error::from_io("write", "data", &io::Error::from_raw_os_error(raw));
            assert_eq!(error.kind(), kind);
            assert_eq!(error.errno(), raw);
        }
    }
}
