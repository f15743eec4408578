//! All bytes of a handshake up to the signatures, and the signatures over them.

use super::HandshakeError;
use crate::msgr2::SIGNATURE_BYTES;
use ring::hmac;

/// Bytes of one direction that are kept. A usual handshake has under 2 KiB in each; with large tickets it may have some
/// more.
const TRANSCRIPT_BYTES_MAX: usize = 256 << 10;

/// What a handshake without authentication is signed with.
const NO_SIGNATURE: [u8; SIGNATURE_BYTES] = [0; SIGNATURE_BYTES];

/// All bytes of a handshake up to the signatures.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    sent: Vec<u8>,
    received: Vec<u8>,
}

impl Transcript {
    pub(super) fn note_sent(&mut self, bytes: &[u8]) -> Result<(), HandshakeError> {
        note(&mut self.sent, bytes)
    }

    pub(super) fn note_received(&mut self, bytes: &[u8]) -> Result<(), HandshakeError> {
        note(&mut self.received, bytes)
    }

    /// Our signature, and what the peer's is checked with. Both cover what was noted so far.
    pub(super) fn sign(self, key: Option<&[u8]>) -> ([u8; SIGNATURE_BYTES], Awaited) {
        let Some(key) = key else { return (NO_SIGNATURE, Awaited { key: None, sent: self.sent }) };
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        let ours = hmac::sign(&key, &self.received);
        let ours = ours.as_ref().try_into().expect("SHA-256 makes 32 bytes");
        (ours, Awaited { key: Some(key), sent: self.sent })
    }
}

/// The peer's signature, which is to come.
#[derive(Debug)]
pub(super) struct Awaited {
    key: Option<hmac::Key>,
    sent: Vec<u8>,
}

impl Awaited {
    pub(super) fn verify(&self, signature: &[u8; SIGNATURE_BYTES]) -> Result<(), HandshakeError> {
        let fits = match &self.key {
            Some(key) => hmac::verify(key, &self.sent, signature).is_ok(),
            None => *signature == NO_SIGNATURE,
        };
        if fits { Ok(()) } else { Err(HandshakeError::BadSignature) }
    }
}

fn note(bytes: &mut Vec<u8>, more: &[u8]) -> Result<(), HandshakeError> {
    if more.len() > TRANSCRIPT_BYTES_MAX - bytes.len() {
        return Err(HandshakeError::TooLong(TRANSCRIPT_BYTES_MAX));
    }
    bytes.extend_from_slice(more);
    Ok(())
}
