//! The sending end of a connection: puts messages and control frames into the form that travels.
//!
//! Frames are appended to a vector that the caller keeps, so nothing is allocated once it has grown. In crc mode a
//! message's data is not copied: the sealer says where in the vector it belongs, and the caller sends both parts and the
//! data between them with one gathered send. In secure mode the vector gets everything, because encrypting copies anyway.

use super::epilogue::{self, COMPLETE, SECURE_EPILOGUE_BYTES};
use super::gcm::{Gcm, TAG_BYTES};
use super::header::HEADER_BYTES;
use super::preamble::{PREAMBLE_BYTES, Preamble};
use super::secure::{FIRST_BLOCK_BYTES, padded, second_block_bytes};
use super::{Control, MessageHeader, NoncesExhausted, Tag};
use crate::codec::Encoder;
use crate::crc::{self, SEED};

const CRC_BYTES: usize = 4;

/// The sending end of a connection.
#[derive(Debug)]
pub struct Sealer {
    mode: Mode,
}

#[derive(Debug)]
enum Mode {
    Crc,
    Secure(Box<Gcm>),
}

/// Where the data of a message belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataPlace {
    /// The vector has it already, or there is none.
    Inside,
    /// Between the vector's bytes before this index and those behind it.
    At(usize),
}

impl Sealer {
    /// Of a connection in crc mode, as every connection begins.
    pub fn crc() -> Sealer {
        Sealer { mode: Mode::Crc }
    }

    pub(super) fn secure(cipher: Gcm) -> Sealer {
        Sealer { mode: Mode::Secure(Box::new(cipher)) }
    }

    /// Appends a message to `out`. `front` writes its fields; `data_crc` is the checksum of `data` from [`SEED`] on, if
    /// the caller knows it already, as it does when it sends a request again.
    ///
    /// Fails, with `out` as it was, when the connection has no nonces left.
    pub fn message(
        &mut self,
        out: &mut Vec<u8>,
        header: &MessageHeader,
        front: impl FnOnce(&mut Encoder<'_>),
        data: &[&[u8]],
        data_crc: Option<u32>,
    ) -> Result<DataPlace, NoncesExhausted> {
        self.message_with(out, &header.encode(), front, data, data_crc)
    }

    /// A message whose header is encoded already.
    pub(super) fn message_with(
        &mut self,
        out: &mut Vec<u8>,
        header: &[u8; HEADER_BYTES],
        front: impl FnOnce(&mut Encoder<'_>),
        data: &[&[u8]],
        data_crc: Option<u32>,
    ) -> Result<DataPlace, NoncesExhausted> {
        match &mut self.mode {
            Mode::Crc => Ok(crc_message(out, header, front, data, data_crc)),
            Mode::Secure(cipher) => {
                secure_message(cipher, out, header, front, data).map(|()| DataPlace::Inside)
            }
        }
    }

    /// Appends a control frame to `out`. Fails, with `out` as it was, when the connection has no nonces left.
    pub fn control(&mut self, out: &mut Vec<u8>, control: &Control<'_>) -> Result<(), NoncesExhausted> {
        match &mut self.mode {
            Mode::Crc => {
                crc_control(out, control);
                Ok(())
            }
            Mode::Secure(cipher) => secure_control(cipher, out, control),
        }
    }
}

fn crc_message(
    out: &mut Vec<u8>,
    header: &[u8; HEADER_BYTES],
    front: impl FnOnce(&mut Encoder<'_>),
    data: &[&[u8]],
    data_crc: Option<u32>,
) -> DataPlace {
    const FRONT_AT: usize = PREAMBLE_BYTES + HEADER_BYTES + CRC_BYTES;
    let start = out.len();
    out.resize(start + FRONT_AT, 0);
    front(&mut Encoder::new(out));
    let at = out.len();
    let data_bytes = total(data);
    let preamble = Preamble::new(Tag::Message, [HEADER_BYTES, at - start - FRONT_AT, 0, data_bytes]);
    let (head, front) = out[start..].split_at_mut(FRONT_AT);
    head[..PREAMBLE_BYTES].copy_from_slice(&preamble.encode());
    head[PREAMBLE_BYTES..FRONT_AT - CRC_BYTES].copy_from_slice(header);
    head[FRONT_AT - CRC_BYTES..].copy_from_slice(&crc::crc32c(SEED, header).to_le_bytes());
    if !preamble.has_epilogue() {
        return DataPlace::Inside;
    }
    let front_crc = crc::crc32c(SEED, front);
    let data_crc = data_crc.unwrap_or_else(|| crc::crc32c_slices(SEED, data));
    let end = epilogue::encode_crc(&preamble, [0, front_crc, SEED, data_crc]);
    out.extend_from_slice(&end);
    if data_bytes > 0 { DataPlace::At(at) } else { DataPlace::Inside }
}

fn secure_message(
    cipher: &mut Gcm,
    out: &mut Vec<u8>,
    header: &[u8; HEADER_BYTES],
    front: impl FnOnce(&mut Encoder<'_>),
    data: &[&[u8]],
) -> Result<(), NoncesExhausted> {
    const { assert!(HEADER_BYTES <= FIRST_BLOCK_BYTES - PREAMBLE_BYTES - TAG_BYTES) };
    cipher.ensure(2)?;
    let start = out.len();
    let front_at = start + FIRST_BLOCK_BYTES;
    out.resize(front_at, 0);
    front(&mut Encoder::new(out));
    let front_bytes = out.len() - front_at;
    let preamble = Preamble::new(Tag::Message, [HEADER_BYTES, front_bytes, 0, total(data)]);
    let header_at = start + PREAMBLE_BYTES;
    out[start..header_at].copy_from_slice(&preamble.encode());
    out[header_at..header_at + HEADER_BYTES].copy_from_slice(header);
    seal_inside(cipher, &mut out[start..front_at])?;
    if !preamble.has_epilogue() {
        return Ok(());
    }
    out.resize(front_at + padded(front_bytes), 0);
    let data_at = out.len();
    out.reserve(padded(total(data)) + SECURE_EPILOGUE_BYTES + TAG_BYTES);
    for slice in data {
        out.extend_from_slice(slice);
    }
    let end = data_at + padded(out.len() - data_at);
    out.resize(end + SECURE_EPILOGUE_BYTES + TAG_BYTES, 0);
    out[end] = COMPLETE;
    seal_inside(cipher, &mut out[front_at..])
}

fn crc_control(out: &mut Vec<u8>, control: &Control<'_>) {
    let start = out.len();
    out.resize(start + PREAMBLE_BYTES, 0);
    control.encode(&mut Encoder::new(out));
    let (head, payload) = out[start..].split_at_mut(PREAMBLE_BYTES);
    let preamble = Preamble::new(control.tag(), [payload.len(), 0, 0, 0]);
    head.copy_from_slice(&preamble.encode());
    if !payload.is_empty() {
        let crc = crc::crc32c(SEED, payload);
        out.extend_from_slice(&crc.to_le_bytes());
    }
}

fn secure_control(cipher: &mut Gcm, out: &mut Vec<u8>, control: &Control<'_>) -> Result<(), NoncesExhausted> {
    cipher.ensure(2)?;
    let start = out.len();
    out.resize(start + PREAMBLE_BYTES, 0);
    control.encode(&mut Encoder::new(out));
    let payload_bytes = out.len() - start - PREAMBLE_BYTES;
    let preamble = Preamble::new(control.tag(), [payload_bytes, 0, 0, 0]);
    out[start..start + PREAMBLE_BYTES].copy_from_slice(&preamble.encode());
    let first_end = start + FIRST_BLOCK_BYTES;
    let second_bytes = second_block_bytes(payload_bytes);
    let written = out.len();
    out.resize(first_end + second_bytes, 0);
    if second_bytes > 0 {
        // What does not fit into the first block makes room for that block's tag.
        let inline_end = first_end - TAG_BYTES;
        out.copy_within(inline_end..written, first_end);
        out[first_end + (written - inline_end)..].fill(0);
        seal_inside(cipher, &mut out[start..first_end])?;
        return seal_inside(cipher, &mut out[first_end..]);
    }
    seal_inside(cipher, &mut out[start..first_end])
}

/// Encrypts a block whose last bytes are room for its tag.
fn seal_inside(cipher: &mut Gcm, block: &mut [u8]) -> Result<(), NoncesExhausted> {
    let (block, room) = block.split_at_mut(block.len() - TAG_BYTES);
    room.copy_from_slice(&cipher.seal(block)?);
    Ok(())
}

fn total(slices: &[&[u8]]) -> usize {
    slices.iter().map(|slice| slice.len()).sum()
}
