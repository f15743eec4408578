//! What can be wrong with a frame.

use super::Tag;
use crate::codec::DecodeError;
use thiserror::Error;

/// Why bytes are no frame that ringbd accepts. The connection is over: where the next frame begins is not known.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The preamble was damaged on its way, or it is none.
    #[error("a frame's preamble has the checksum {found:#010x} and should have {expected:#010x}")]
    PreambleChecksum {
        /// The checksum of the bytes.
        found: u32,
        /// The checksum that came with them.
        expected: u32,
    },
    /// A kind of frame that was not agreed on.
    #[error("a frame has the tag {0}, which this release does not know and never asks for")]
    UnknownTag(u8),
    /// Flags that were not agreed on, such as compression.
    #[error("a {tag} frame has the flags {flags:#04x}, which were not agreed on")]
    Flags {
        /// The frame.
        tag: Tag,
        /// Its flags.
        flags: u8,
    },
    /// No segments, or more than a frame can have.
    #[error("a {tag} frame announces {count} segments; a frame has 1 to 4")]
    SegmentCount {
        /// The frame.
        tag: Tag,
        /// Its segments.
        count: u8,
    },
    /// A last segment without bytes, which senders leave out.
    #[error("the last of the {count} segments of a {tag} frame is empty")]
    EmptyLastSegment {
        /// The frame.
        tag: Tag,
        /// Its segments.
        count: u8,
    },
    /// More bytes than such a segment may have now.
    #[error("segment {segment} of a {tag} frame announces {len} bytes; at most {max} are accepted here")]
    SegmentTooLong {
        /// The frame.
        tag: Tag,
        /// Which segment.
        segment: usize,
        /// What it announces.
        len: u32,
        /// What is accepted.
        max: u32,
    },
    /// A message's first segment is its header, which has one size.
    #[error("a message's header has {0} bytes; it should have 41")]
    HeaderLength(u32),
    /// A segment was damaged on its way.
    #[error(
        "segment {segment} of a {tag} frame has the checksum {found:#010x} and should have {expected:#010x}"
    )]
    SegmentChecksum {
        /// The frame.
        tag: Tag,
        /// Which segment.
        segment: usize,
        /// The checksum of the bytes.
        found: u32,
        /// The checksum that came with them.
        expected: u32,
    },
    /// An encrypted block was changed on its way, or the ends have different keys.
    #[error("an encrypted block is not what the peer sealed with the connection's key")]
    NotAuthentic,
    /// A frame's end says neither that it is complete nor that it was aborted.
    #[error("a {tag} frame ends with the status {status:#04x}, which is neither complete nor aborted")]
    LateStatus {
        /// The frame.
        tag: Tag,
        /// What its end says.
        status: u8,
    },
    /// The payload of a control frame is malformed.
    #[error("malformed frame: {0}")]
    Malformed(#[from] DecodeError),
    /// All nonces were used.
    #[error(transparent)]
    NoncesExhausted(#[from] NoncesExhausted),
}

/// Every nonce of a connection's key was used once. Using one again would give the key away, so the connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the connection has used all nonces of its key and must be made anew")]
pub struct NoncesExhausted;
