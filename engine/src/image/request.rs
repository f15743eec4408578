//! What a caller can ask of an image, and what comes back.

use crate::error::Result;
use ringbd_reactor::Buf;

/// The operations of a block device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// Fill the buffer.
    Read,
    /// Write the buffer.
    Write,
    /// Give the range back. It may read as zeros or as before where it is smaller than the discard granularity.
    Discard,
    /// The range reads as zeros afterwards.
    WriteZeroes,
    /// Write the buffer if the range holds what `compare` holds, within one object.
    CompareAndWrite,
    /// Make everything that was acknowledged durable.
    Flush,
}

impl Op {
    /// Every operation, in the order of their statistics.
    pub const ALL: [Self; 6] =
        [Self::Read, Self::Write, Self::Discard, Self::WriteZeroes, Self::CompareAndWrite, Self::Flush];

    /// Whether the operation changes the image.
    #[must_use]
    pub fn is_write(self) -> bool {
        match self {
            Self::Write | Self::Discard | Self::WriteZeroes | Self::CompareAndWrite => true,
            Self::Read | Self::Flush => false,
        }
    }

    /// The name in statistics and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Discard => "discard",
            Self::WriteZeroes => "write_zeroes",
            Self::CompareAndWrite => "compare_and_write",
            Self::Flush => "flush",
        }
    }
}

/// One operation on an image. Build it with the function named after the operation.
#[derive(Debug)]
pub struct Request {
    pub(crate) op: Op,
    pub(crate) offset: u64,
    pub(crate) len: u64,
    pub(crate) buf: Buf,
    pub(crate) compare: Option<Buf>,
}

impl Request {
    /// Reads `buf.len()` bytes at `offset`.
    #[inline]
    #[must_use]
    pub fn read(offset: u64, buf: Buf) -> Self {
        Self { op: Op::Read, offset, len: buf.len() as u64, buf, compare: None }
    }

    /// Writes `buf` at `offset`.
    #[inline]
    #[must_use]
    pub fn write(offset: u64, buf: Buf) -> Self {
        Self { op: Op::Write, offset, len: buf.len() as u64, buf, compare: None }
    }

    /// Discards `len` bytes at `offset`.
    #[must_use]
    pub fn discard(offset: u64, len: u64) -> Self {
        Self { op: Op::Discard, offset, len, buf: Buf::empty(), compare: None }
    }

    /// Zeroes `len` bytes at `offset`.
    #[must_use]
    pub fn write_zeroes(offset: u64, len: u64) -> Self {
        Self { op: Op::WriteZeroes, offset, len, buf: Buf::empty(), compare: None }
    }

    /// Writes `buf` at `offset` if the image holds `compare` there.
    ///
    /// Both must be of the same length; the range must lie within one object, as librbd demands of a stripe unit.
    #[must_use]
    pub fn compare_and_write(offset: u64, compare: Buf, buf: Buf) -> Self {
        Self { op: Op::CompareAndWrite, offset, len: buf.len() as u64, buf, compare: Some(compare) }
    }

    /// Makes everything that was acknowledged before durable.
    #[must_use]
    pub fn flush() -> Self {
        Self { op: Op::Flush, offset: 0, len: 0, buf: Buf::empty(), compare: None }
    }

    /// The operation.
    #[must_use]
    pub fn op(&self) -> Op {
        self.op
    }
}

/// The end of a request.
#[derive(Debug)]
pub struct Completion {
    /// The token that the caller gave with the request.
    pub token: u64,
    /// How many bytes were done (fewer than asked for at the end of the image), or why not.
    pub result: Result<u64>,
    /// The request's buffer.
    pub buf: Buf,
}
