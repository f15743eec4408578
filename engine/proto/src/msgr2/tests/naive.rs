//! Frames put together in the plainest way, any frames: the model that the sealer is compared with, and the source of
//! frames that it never makes.

use crate::crc::{SEED, crc32c};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

/// How a frame ends that its sender completed.
pub(super) const COMPLETE: u8 = 0x0e;
/// How one ends that its sender gave up.
pub(super) const ABORTED: u8 = 0x01;

/// The sending end of a connection.
pub(super) struct Naive {
    cipher: Option<Cipher>,
}

struct Cipher {
    key: LessSafeKey,
    fixed: Vec<u8>,
    counter: u64,
}

impl Naive {
    pub(super) fn crc() -> Naive {
        Naive { cipher: None }
    }

    pub(super) fn secure(key: &[u8], nonce: &[u8]) -> Naive {
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, key).unwrap());
        let counter = u64::from_le_bytes(nonce[4..].try_into().unwrap());
        Naive { cipher: Some(Cipher { key, fixed: nonce[..4].to_vec(), counter }) }
    }

    /// A frame of these segments, empty ones at the end left out.
    pub(super) fn frame(&mut self, tag: u8, segments: &[&[u8]], status: u8) -> Vec<u8> {
        let mut segments = segments.to_vec();
        while segments.len() > 1 && segments.last().unwrap().is_empty() {
            segments.pop();
        }
        let preamble = preamble(tag, &segments);
        match &mut self.cipher {
            None => crc_frame(preamble, &segments, status),
            Some(cipher) => secure_frame(cipher, preamble, &segments, status),
        }
    }
}

fn preamble(tag: u8, segments: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![tag, segments.len() as u8];
    for at in 0..4 {
        let (len, align) = match segments.get(at) {
            Some(segment) => (segment.len() as u32, if at == 3 { 4096u16 } else { 8 }),
            None => (0, 0),
        };
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.extend_from_slice(&align.to_le_bytes());
    }
    bytes.extend_from_slice(&[0, 0]);
    let crc = crc32c(0, &bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

fn crc_frame(mut frame: Vec<u8>, segments: &[&[u8]], status: u8) -> Vec<u8> {
    frame.extend_from_slice(segments[0]);
    if !segments[0].is_empty() {
        frame.extend_from_slice(&crc32c(SEED, segments[0]).to_le_bytes());
    }
    if segments.len() > 1 {
        segments[1..].iter().for_each(|segment| frame.extend_from_slice(segment));
        frame.push(status);
        for at in 1..4 {
            let crc = segments.get(at).map_or(0, |segment| crc32c(SEED, segment));
            frame.extend_from_slice(&crc.to_le_bytes());
        }
    }
    frame
}

fn secure_frame(cipher: &mut Cipher, preamble: Vec<u8>, segments: &[&[u8]], status: u8) -> Vec<u8> {
    let mut first = padded(segments[0]);
    let rest = first.split_off(first.len().min(48));
    first.resize(48, 0);
    let mut frame = cipher.block([preamble, first].concat());
    if !rest.is_empty() {
        frame.extend(cipher.block(rest));
    }
    if segments.len() > 1 {
        let mut third: Vec<u8> = segments[1..].iter().flat_map(|segment| padded(segment)).collect();
        third.extend(padded(&[status]));
        frame.extend(cipher.block(third));
    }
    frame
}

fn padded(segment: &[u8]) -> Vec<u8> {
    let mut padded = segment.to_vec();
    padded.resize(segment.len().div_ceil(16) * 16, 0);
    padded
}

impl Cipher {
    fn block(&mut self, mut block: Vec<u8>) -> Vec<u8> {
        let nonce = [&self.fixed[..], &self.counter.to_le_bytes()].concat();
        self.counter = self.counter.wrapping_add(1);
        let nonce = Nonce::try_assume_unique_for_key(&nonce).unwrap();
        self.key.seal_in_place_append_tag(nonce, Aad::empty(), &mut block).unwrap();
        block
    }
}
