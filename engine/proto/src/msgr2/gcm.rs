//! The cipher of secure mode, one direction of it: AES-128-GCM with a nonce that counts.
//!
//! A nonce is four fixed bytes and a 64-bit counter. Both come from the connection's secret, and the counter moves on by
//! one with each block that is sealed or opened. No nonce is ever used twice: after 2^64 − 1 blocks the cipher refuses.

use super::{FrameError, NoncesExhausted};
use crate::auth::ConnectionSecret;
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

/// Bytes of the tag behind each block.
pub(super) const TAG_BYTES: usize = 16;

const KEY_BYTES: usize = 16;
const NONCE_BYTES: usize = 12;
const FIXED_BYTES: usize = 4;

/// One direction of a connection's cipher.
pub(super) struct Gcm {
    key: LessSafeKey,
    fixed: [u8; FIXED_BYTES],
    counter: u64,
    /// Blocks until the counter is where it began.
    left: u64,
}

impl std::fmt::Debug for Gcm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gcm(..)")
    }
}

/// The two directions of a connection's cipher, as its secret gives them.
pub(super) struct GcmPair {
    pub(super) server_to_client: Gcm,
    pub(super) client_to_server: Gcm,
}

impl GcmPair {
    pub(super) fn new(secret: &ConnectionSecret) -> GcmPair {
        let (key, nonces) = secret.0.split_first_chunk::<KEY_BYTES>().expect("a secret has 64 bytes");
        let (to_client, rest) = nonces.split_first_chunk::<NONCE_BYTES>().expect("a secret has 64 bytes");
        let to_server = rest.first_chunk::<NONCE_BYTES>().expect("a secret has 64 bytes");
        GcmPair { server_to_client: Gcm::new(key, to_client), client_to_server: Gcm::new(key, to_server) }
    }
}

impl Gcm {
    /// A cipher whose first nonce is `nonce`.
    pub(super) fn new(key: &[u8; KEY_BYTES], nonce: &[u8; NONCE_BYTES]) -> Gcm {
        let key = UnboundKey::new(&AES_128_GCM, key).expect("the key is as long as AES-128 wants it");
        let [a, b, c, d, counter @ ..] = *nonce;
        Gcm {
            key: LessSafeKey::new(key),
            fixed: [a, b, c, d],
            counter: u64::from_le_bytes(counter),
            left: u64::MAX,
        }
    }

    /// Fails unless `blocks` more blocks can be sealed.
    pub(super) fn ensure(&self, blocks: u64) -> Result<(), NoncesExhausted> {
        if self.left < blocks { Err(NoncesExhausted) } else { Ok(()) }
    }

    /// Encrypts a block in place; its tag is returned.
    pub(super) fn seal(&mut self, block: &mut [u8]) -> Result<[u8; TAG_BYTES], NoncesExhausted> {
        let nonce = self.next_nonce()?;
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::empty(), block);
        let tag = tag.expect("a block is shorter than 64 GiB");
        Ok(tag.as_ref().try_into().expect("the tag of AES-128-GCM has 16 bytes"))
    }

    /// Decrypts a block, with its tag behind it, in place.
    pub(super) fn open(&mut self, block: &mut [u8]) -> Result<(), FrameError> {
        let nonce = self.next_nonce()?;
        match self.key.open_in_place(nonce, Aad::empty(), block) {
            Ok(_) => Ok(()),
            Err(ring::error::Unspecified) => Err(FrameError::NotAuthentic),
        }
    }

    fn next_nonce(&mut self) -> Result<Nonce, NoncesExhausted> {
        self.left = self.left.checked_sub(1).ok_or(NoncesExhausted)?;
        let mut nonce = [0; NONCE_BYTES];
        nonce[..FIXED_BYTES].copy_from_slice(&self.fixed);
        nonce[FIXED_BYTES..].copy_from_slice(&self.counter.to_le_bytes());
        self.counter = self.counter.wrapping_add(1);
        Ok(Nonce::assume_unique_for_key(nonce))
    }

    /// As after all but `left` blocks.
    #[cfg(test)]
    pub(super) fn with_left(self, left: u64) -> Gcm {
        Gcm { left, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_nonce_is_used_twice() {
        let mut nonce = [7; NONCE_BYTES];
        nonce[FIXED_BYTES..].copy_from_slice(&(u64::MAX - 1).to_le_bytes());
        let cipher = || Gcm::new(&[1; KEY_BYTES], &nonce).with_left(3);
        let (mut seal, mut open) = (cipher(), cipher());
        let mut tags = Vec::new();
        for _ in 0..3 {
            let mut block = b"the same bytes".to_vec();
            let tag = seal.seal(&mut block).expect("nonces are left");
            block.extend_from_slice(&tag);
            open.open(&mut block).expect("the other end has the same nonce");
            assert!(block.starts_with(b"the same bytes"));
            tags.push(tag);
        }
        tags.sort_unstable();
        tags.dedup();
        assert_eq!(tags.len(), 3, "the counter passes its end and goes on");
        assert_eq!(seal.ensure(1), Err(NoncesExhausted));
        assert_eq!(seal.seal(&mut []), Err(NoncesExhausted));
        assert_eq!(open.open(&mut [0; TAG_BYTES]), Err(FrameError::NoncesExhausted(NoncesExhausted)));
    }
}
