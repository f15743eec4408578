//! What a peer cannot make a connection do: hold memory for what it only announces, or go on after an error.

use super::naive::{COMPLETE, Naive};
use super::secret;
use crate::crc;
use crate::msgr2::{
    DataPlace, FrameError, FrameLimits, FrameReader, Landing, MessageHeader, MessageType, NoLanding, Opener,
    Sealer, Tag, client_ends, server_ends,
};

/// A preamble with this tag and these lengths, and the right checksum.
fn preamble(tag: u8, count: u8, len: u32) -> Vec<u8> {
    let mut bytes = vec![tag, count];
    for _ in 0..4 {
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.extend_from_slice(&8u16.to_le_bytes());
    }
    bytes.extend_from_slice(&[0, 0]);
    let crc = crc::crc32c(0, &bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

#[test]
fn sixteen_gibibytes_and_nine_segments_before_authentication_are_errors_and_allocate_nothing() {
    for (count, len) in [(4, u32::MAX), (1, u32::MAX), (9, 8), (255, 0)] {
        let mut reader = FrameReader::<Vec<u8>>::new(Opener::crc(), FrameLimits::HANDSHAKE);
        let error = reader.next(&mut &preamble(1, count, len)[..], &mut NoLanding).unwrap_err();
        match count {
            1 | 4 => assert!(matches!(error, FrameError::SegmentTooLong { len: u32::MAX, .. })),
            _ => assert_eq!(error, FrameError::SegmentCount { tag: Tag::Hello, count }),
        }
        assert_eq!(reader.scratch_capacity(), 0);
        assert_eq!(reader.next(&mut &b"more"[..], &mut NoLanding).unwrap_err(), error, "it is the end");
    }
}

/// A message with 64 MiB of front and 100 MiB of data, of which only the beginning arrives.
#[test]
fn memory_grows_with_what_arrives_not_with_what_is_announced() {
    let mut frame = preamble(17, 4, 0);
    for (segment, len) in [41u32, 64 << 20, 0, 100 << 20].into_iter().enumerate() {
        frame[2 + 6 * segment..6 + 6 * segment].copy_from_slice(&len.to_le_bytes());
    }
    let crc = crc::crc32c(0, &frame[..28]);
    frame[28..].copy_from_slice(&crc.to_le_bytes());
    frame.extend_from_slice(&[0; 41]);
    frame.extend_from_slice(&crc::crc32c(crc::SEED, &[0; 41]).to_le_bytes());
    frame.extend_from_slice(&[7; 3000]);
    let mut reader = FrameReader::<Vec<u8>>::new(Opener::crc(), FrameLimits::ESTABLISHED);
    assert!(reader.next(&mut &frame[..], &mut NoLanding).unwrap().is_none());
    assert!(reader.scratch_capacity() <= 2 * frame.len());
}

/// Lends each of its buffers again once it is back, as a pool does.
struct Pool {
    lands: usize,
}

impl Landing for Pool {
    type Buf = Vec<u8>;

    fn land(&mut self, _header: &MessageHeader, data_bytes: usize) -> Option<Vec<u8>> {
        self.lands += 1;
        Some(vec![0; data_bytes])
    }
}

/// Sends the same messages for ever, in pieces of one size, and sees that no vector grows after the first rounds.
#[test]
fn nothing_is_allocated_once_it_has_run_for_a_while() {
    let secure = || (client_ends(&secret()).0, server_ends(&secret()).1);
    for (mut sealer, opener) in [(Sealer::crc(), Opener::crc()), secure()] {
        let mut reader = FrameReader::new(opener, FrameLimits::ESTABLISHED);
        let (mut out, mut stream, mut landing) = (Vec::new(), Vec::new(), Pool { lands: 0 });
        let data = vec![3; 4096];
        let mut capacities = Vec::new();
        for _ in 0..200 {
            out.clear();
            stream.clear();
            for _ in 0..5 {
                let header = MessageHeader::new(MessageType::OSD_OP, 8, 3);
                let start = out.len();
                let place = sealer.message(&mut out, &header, |e| _ = e.zeros(200), &[&data], None).unwrap();
                let at = if let DataPlace::At(at) = place { at } else { out.len() };
                stream.extend_from_slice(&out[start..at]);
                if at < out.len() {
                    stream.extend_from_slice(&data);
                }
                stream.extend_from_slice(&out[at..]);
            }
            for piece in stream.chunks(6000) {
                let mut input = piece;
                while reader.next(&mut input, &mut landing).unwrap().is_some() {}
            }
            capacities.push((out.capacity(), reader.scratch_capacity()));
        }
        assert!(reader.is_between_frames());
        assert!(capacities[10..].iter().all(|now| *now == capacities[10]), "{capacities:?}");
    }
}

#[test]
fn a_large_frame_does_not_leave_its_memory_behind() {
    let front = vec![9; 5 << 20];
    let mut naive = Naive::crc();
    let mut frames = naive.frame(17, &[&[0; 41], &front], COMPLETE);
    frames.extend(naive.frame(17, &[&[0; 41]], COMPLETE));
    let mut reader = FrameReader::new(Opener::crc(), FrameLimits::ESTABLISHED);
    for mut piece in frames.chunks(60_000) {
        while reader.next(&mut piece, &mut NoLanding).unwrap().is_some() {}
    }
    let mut half = &naive.frame(17, &[&[0; 41]], COMPLETE)[..50];
    assert!(reader.next(&mut half, &mut NoLanding).unwrap().is_none());
    assert!(reader.scratch_capacity() <= 1 << 20, "{}", reader.scratch_capacity());
}
