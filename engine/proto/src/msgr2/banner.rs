//! The first bytes of a connection: both ends say at once that they speak the second messenger protocol, and which
//! revisions of it.

use super::BannerFeatures;
use super::handshake::HandshakeError;
use crate::codec::{Decoder, Encoder};

/// How a banner begins.
const PREFIX: &[u8; 8] = b"ceph v2\n";
/// How the first protocol's banner begins.
const FIRST_PROTOCOL: &[u8; 7] = b"ceph v0";
/// Bytes of the beginning and of the length that follows it.
const HEAD_BYTES: usize = PREFIX.len() + 2;
/// Bytes of the features.
const FEATURES_BYTES: u16 = 16;
/// Bytes that may follow the length. Releases so far send 16; a later one may append to them, but hardly this much.
const PAYLOAD_BYTES_MAX: u16 = 1024;

/// What an end announces of its messenger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Banner {
    /// What it can do.
    pub supported: BannerFeatures,
    /// What the other end must be able to do.
    pub required: BannerFeatures,
}

impl Banner {
    /// What ringbd announces. It requires nothing here, so that an old peer answers and can be named as what it is.
    pub const OURS: Banner = Banner { supported: BannerFeatures::SUPPORTED, required: BannerFeatures(0) };

    /// Writes it.
    pub fn encode(&self, e: &mut Encoder<'_>) {
        e.bytes(PREFIX).u16(FEATURES_BYTES).u64(self.supported.0).u64(self.required.0);
    }

    /// Reads one from the beginning of a connection, and how many bytes it took; none if there are too few.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Banner, usize)>, HandshakeError> {
        let begins = bytes.len().min(PREFIX.len());
        if bytes[..begins] != PREFIX[..begins] {
            let mut first = [0; 8];
            first[..begins].copy_from_slice(&bytes[..begins]);
            return Err(match first.starts_with(FIRST_PROTOCOL) {
                true => HandshakeError::FirstProtocol,
                false => HandshakeError::NotCeph { first },
            });
        }
        let Some(head) = bytes.first_chunk::<HEAD_BYTES>() else { return Ok(None) };
        let len = u16::from_le_bytes([head[HEAD_BYTES - 2], head[HEAD_BYTES - 1]]);
        if !(FEATURES_BYTES..=PAYLOAD_BYTES_MAX).contains(&len) {
            return Err(HandshakeError::BannerLength(len));
        }
        let end = HEAD_BYTES + usize::from(len);
        let Some(payload) = bytes.get(HEAD_BYTES..end) else { return Ok(None) };
        let mut d = Decoder::new("a banner", payload);
        let (supported, required) = (BannerFeatures(d.u64()?), BannerFeatures(d.u64()?));
        Ok(Some((Banner { supported, required }, end)))
    }

    /// Checks that ringbd can talk to who announces this.
    pub fn check(&self) -> Result<(), HandshakeError> {
        if !self.supported.contains(BannerFeatures::REVISION_1) {
            return Err(HandshakeError::NoRevision1 { supported: self.supported });
        }
        if !BannerFeatures::SUPPORTED.contains(self.required) {
            return Err(HandshakeError::MessengerTooNew { required: self.required });
        }
        Ok(())
    }
}
