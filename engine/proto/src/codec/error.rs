//! Why bytes could not be decoded.

use thiserror::Error;

/// Bytes that are not what they should be: what was being read, and how far into the message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{what} at byte {offset}: {kind}")]
pub struct DecodeError {
    /// What was being read.
    pub what: &'static str,
    /// Where in the outermost input.
    pub offset: usize,
    /// What is wrong.
    pub kind: DecodeErrorKind,
}

/// What is wrong with the bytes.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeErrorKind {
    /// The input ends too early.
    #[error("{needed} bytes are needed and {left} are left")]
    Truncated {
        /// Bytes that the next field takes.
        needed: usize,
        /// Bytes that there are.
        left: usize,
    },
    /// A list that is longer than the rest of the input could hold.
    #[error("{count} elements cannot be in {left} bytes")]
    TooMany {
        /// Elements announced.
        count: usize,
        /// Bytes that there are.
        left: usize,
    },
    /// The sender says that readers of our version cannot understand it.
    #[error("needs a reader of version {compat}, and this one knows {known}; a newer ringbd is needed")]
    Incompatible {
        /// The oldest version that can read it.
        compat: u8,
        /// The version known here.
        known: u8,
    },
    /// A value that makes no sense.
    #[error("{0}")]
    Invalid(&'static str),
    /// Bytes after the end.
    #[error("{0} bytes are left over")]
    Trailing(usize),
    /// A checksum that does not fit.
    #[error("the checksum is {found:#010x} and should be {expected:#010x}")]
    Checksum {
        /// The checksum of the bytes.
        found: u32,
        /// The checksum that came with them.
        expected: u32,
    },
}
