//! The header of a message: the first segment of its frame.

use super::MessageType;
use crate::types::Tid;

/// Bytes of an encoded header.
pub const HEADER_BYTES: usize = 41;

/// What is known of a message without looking into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageHeader {
    /// The message's number on its connection, from 1.
    pub seq: u64,
    /// What request and answer have in common.
    pub tid: Tid,
    /// What the message is.
    pub kind: MessageType,
    /// Where it is queued at its receiver.
    pub priority: u16,
    /// The layout of its front.
    pub version: u16,
    /// The oldest layout that a reader may know and still read it.
    pub compat_version: u16,
    /// The last number that arrived from the other side.
    pub ack_seq: u64,
    /// The low bits of the offset that the data is for, a hint of how to align it in memory.
    pub data_off: u16,
    /// Flags of the message's end. Their meaning is from the first protocol; 0 is right.
    pub flags: u8,
}

impl MessageHeader {
    /// Usual messages.
    pub const PRIORITY_DEFAULT: u16 = 127;
    /// Before usual ones.
    pub const PRIORITY_HIGH: u16 = 196;
    /// Before all others.
    pub const PRIORITY_HIGHEST: u16 = 255;
    /// A client's operations at an OSD. A backoff's acknowledgement must not overtake them, so it has the same.
    pub const PRIORITY_CLIENT_OP: u16 = 63;

    /// A message of this kind and layout; its connection fills in the numbers.
    pub const fn new(kind: MessageType, version: u16, compat_version: u16) -> MessageHeader {
        MessageHeader {
            seq: 0,
            tid: Tid(0),
            kind,
            priority: MessageHeader::PRIORITY_DEFAULT,
            version,
            compat_version,
            ack_seq: 0,
            data_off: 0,
            flags: 0,
        }
    }

    /// Reads one.
    pub fn decode(bytes: &[u8; HEADER_BYTES]) -> MessageHeader {
        MessageHeader {
            seq: u64_at(bytes, 0),
            tid: Tid(u64_at(bytes, 8)),
            kind: MessageType(u16_at(bytes, 16)),
            priority: u16_at(bytes, 18),
            version: u16_at(bytes, 20),
            // Bytes 22 to 26 are the length of a padding before the data, which nobody sends.
            data_off: u16_at(bytes, 26),
            ack_seq: u64_at(bytes, 28),
            flags: bytes[36],
            compat_version: u16_at(bytes, 37),
            // Bytes 39 and 40 are reserved.
        }
    }

    /// Writes it.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&self.seq.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.tid.0.to_le_bytes());
        bytes[16..18].copy_from_slice(&self.kind.0.to_le_bytes());
        bytes[18..20].copy_from_slice(&self.priority.to_le_bytes());
        bytes[20..22].copy_from_slice(&self.version.to_le_bytes());
        bytes[26..28].copy_from_slice(&self.data_off.to_le_bytes());
        bytes[28..36].copy_from_slice(&self.ack_seq.to_le_bytes());
        bytes[36] = self.flags;
        bytes[37..39].copy_from_slice(&self.compat_version.to_le_bytes());
        bytes
    }
}

fn u16_at(bytes: &[u8; HEADER_BYTES], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u64_at(bytes: &[u8; HEADER_BYTES], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|n| bytes[at + n]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_its_place() {
        let bytes: [u8; HEADER_BYTES] = std::array::from_fn(|at| match at {
            22..26 | 39.. => 0,
            _ => at as u8 + 1,
        });
        let header = MessageHeader::decode(&bytes);
        assert_eq!(header.encode(), bytes);
        assert_eq!(header.seq, 0x0807_0605_0403_0201);
        assert_eq!(header.kind, MessageType(0x1211));
        assert_eq!(header.compat_version, 0x2726);
    }
}
