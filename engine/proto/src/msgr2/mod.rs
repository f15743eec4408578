//! The second messenger protocol: how two ends meet, and how messages travel between them.
//!
//! A connection begins with a handshake in the clear: [`ClientHandshake`] makes one, [`ServerHandshake`] accepts one, for
//! model clusters. Its result is a [`Sealer`] for what is sent and an [`Opener`] for what is received, which a
//! [`FrameReader`] makes frames of. None of them does I/O: bytes go in, bytes come out.
//!
//! Frames are of the protocol's revision 1. In *crc mode* checksums protect them against accidents, in *secure mode*
//! AES-128-GCM protects them against people. Every connection begins in crc mode.
//!
//! The sessions here are *lossy*: they end with their connection, and the layers above send again what was not answered.

mod banner;
mod control;
mod epilogue;
mod error;
mod features;
mod frame;
mod gcm;
mod handshake;
mod header;
mod message_type;
mod preamble;
mod reader;
mod sealer;
mod secure;
mod tag;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

pub use banner::Banner;
pub use control::{
    AuthBadMethod, AuthDone, AuthRequest, ClientIdent, Control, Hello, IdentFlags, SIGNATURE_BYTES,
    ServerIdent, SessionReconnect,
};
pub use error::{FrameError, NoncesExhausted};
pub use features::{BannerFeatures, Features};
pub use frame::{Data, Frame, Landing, Message, NoLanding};
pub use handshake::{
    Accepted, ClientConfig, ClientHandshake, Established, HandshakeError, Progress, Refusal, ServerConfig,
    ServerHandshake,
};
pub use header::{HEADER_BYTES, MessageHeader};
pub use message_type::MessageType;
pub use preamble::FrameLimits;
pub use reader::{FrameReader, Opener, Room};
pub use sealer::{DataPlace, Sealer};
pub use secure::{client_ends, server_ends};
pub use tag::Tag;
