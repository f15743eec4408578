//! Random frames in random pieces come out as they went in, in both modes; damaged ones never come out.

use super::naive::{ABORTED, COMPLETE, Naive};
use super::secret;
use crate::codec::Encoder;
use crate::crc::{self, SEED};
use crate::msgr2::{
    Control, Data, DataPlace, Frame, FrameError, FrameLimits, FrameReader, HEADER_BYTES, Landing,
    MessageHeader, NoLanding, Opener, Sealer, client_ends, server_ends,
};
use crate::types::{Tid, Utime};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// A frame that is sent.
#[derive(Clone, Debug)]
enum Sent {
    Message { tid: u64, front: Vec<u8>, middle: Vec<u8>, data: Vec<u8>, aborted: bool },
    Keepalive(u32),
    Challenge(Vec<u8>),
}

/// A frame that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Received {
    Message { tid: u64, front: Vec<u8>, middle: Vec<u8>, data: Vec<u8> },
    Control(String),
}

impl Sent {
    fn expected(&self) -> Option<Received> {
        match self.clone() {
            Sent::Message { aborted: true, .. } => None,
            Sent::Message { tid, front, middle, data, aborted: false } => {
                Some(Received::Message { tid, front, middle, data })
            }
            Sent::Keepalive(_) | Sent::Challenge(_) => {
                Some(Received::Control(format!("{:?}", self.control().unwrap())))
            }
        }
    }

    fn control(&self) -> Option<Control<'_>> {
        match self {
            Sent::Message { .. } => None,
            Sent::Keepalive(sec) => Some(Control::Keepalive2(Utime { sec: *sec, nsec: 5 })),
            Sent::Challenge(payload) => Some(Control::AuthReplyMore(payload)),
        }
    }

    fn by_model(&self, naive: &mut Naive) -> Vec<u8> {
        match self {
            Sent::Message { tid, front, middle, data, aborted } => {
                // Without further segments there is no end that could say that the frame was aborted.
                let has_end = !(front.is_empty() && middle.is_empty() && data.is_empty());
                let status = if *aborted && has_end { ABORTED } else { COMPLETE };
                naive.frame(17, &[&header(*tid).encode(), front, middle, data], status)
            }
            Sent::Keepalive(_) | Sent::Challenge(_) => {
                let control = self.control().unwrap();
                naive.frame(control.tag().number(), &[&Encoder::to_vec(|e| control.encode(e))], COMPLETE)
            }
        }
    }

    /// As the sealer makes it; none if it never makes such a frame.
    fn by_sealer(&self, sealer: &mut Sealer, cut: usize, known_crc: bool) -> Option<Vec<u8>> {
        let mut out = b"what was there before".to_vec();
        let before = out.len();
        let place = match self {
            Sent::Message { aborted: true, .. } => return None,
            Sent::Message { middle, .. } if !middle.is_empty() => return None,
            Sent::Message { tid, front, data, .. } => {
                let (a, b) = data.split_at(cut.min(data.len()));
                let crc = known_crc.then(|| crc::crc32c(SEED, data));
                sealer.message(&mut out, &header(*tid), |e| _ = e.bytes(front), &[a, b], crc).unwrap()
            }
            Sent::Keepalive(_) | Sent::Challenge(_) => {
                sealer.control(&mut out, &self.control().unwrap()).unwrap();
                DataPlace::Inside
            }
        };
        Some(match (place, self) {
            (DataPlace::At(at), Sent::Message { data, .. }) => [&out[before..at], data, &out[at..]].concat(),
            _ => out[before..].to_vec(),
        })
    }
}

fn header(tid: u64) -> MessageHeader {
    MessageHeader { tid: Tid(tid), seq: tid ^ 7, ..MessageHeader::new(crate::msgr2::MessageType(43), 8, 2) }
}

/// Takes the data of every message whose tid has some bit.
struct SomeLand(u64);

impl Landing for SomeLand {
    type Buf = Box<[u8]>;

    fn land(&mut self, header: &MessageHeader, data_bytes: usize) -> Option<Box<[u8]>> {
        assert!(data_bytes > 0);
        (header.tid.0 & self.0 != 0).then(|| vec![0xaa; data_bytes].into_boxed_slice())
    }
}

fn received<B: std::ops::Deref<Target = [u8]>>(frame: &Frame<'_, B>) -> Received {
    match frame {
        Frame::Message(message) => Received::Message {
            tid: message.header.tid.0,
            front: message.front.to_vec(),
            middle: message.middle.to_vec(),
            data: message.data.to_vec(),
        },
        Frame::Control(control) => Received::Control(format!("{control:?}")),
    }
}

/// Reads a stream in pieces; if `direct`, what a landing buffer misses is put into it directly, when the stream has it.
fn read(
    opener: Opener,
    mut stream: &[u8],
    pieces: &[usize],
    landing_bits: u64,
    direct: bool,
) -> (Vec<Received>, Result<bool, FrameError>) {
    let mut reader: FrameReader<Box<[u8]>> = FrameReader::new(opener, FrameLimits::ESTABLISHED);
    let mut landing = SomeLand(landing_bits);
    let (mut frames, mut sizes) = (Vec::new(), pieces.iter().cycle());
    while !stream.is_empty() {
        let size = (*sizes.next().unwrap()).min(stream.len());
        if direct && let Some(room) = reader.take_room(2) {
            let (mut buf, filled) = room.into_parts();
            let taken = size.min(buf.len() - filled);
            buf[filled..filled + taken].copy_from_slice(&stream[..taken]);
            reader.put_back(crate::msgr2::Room::from_parts(buf, filled), taken);
            stream = &stream[taken..];
            continue;
        }
        let (mut piece, rest) = stream.split_at(size);
        stream = rest;
        loop {
            match reader.next(&mut piece, &mut landing) {
                Ok(Some(frame)) => frames.push(received(&frame)),
                Ok(None) => break,
                Err(error) => return (frames, Err(error)),
            }
        }
        assert!(piece.is_empty(), "a reader that wants more has read all");
    }
    (frames, Ok(reader.is_between_frames()))
}

fn sent() -> impl Strategy<Value = Sent> {
    let bytes = |max: usize| prop_oneof![Just(Vec::new()), vec(any::<u8>(), 0..max)];
    let message = (any::<u64>(), bytes(300), bytes(20), bytes(3000), prop::bool::weighted(0.1));
    prop_oneof![
        6 => message.prop_map(|(tid, front, middle, data, aborted)| {
            // A middle or an abortion now and then; mostly what the sealer makes too.
            let middle = if tid % 4 == 0 { middle } else { Vec::new() };
            let aborted = aborted && !(front.is_empty() && middle.is_empty() && data.is_empty());
            Sent::Message { tid, front, middle, data, aborted }
        }),
        1 => any::<u32>().prop_map(Sent::Keepalive),
        1 => vec(any::<u8>(), 0..200).prop_map(Sent::Challenge),
    ]
}

/// The model's end and the sealer and opener of a mode.
fn mode(secure: bool) -> (Naive, Sealer, Opener) {
    if !secure {
        return (Naive::crc(), Sealer::crc(), Opener::crc());
    }
    let secret = secret();
    let naive = Naive::secure(&secret.0[..16], &secret.0[28..40]);
    (naive, client_ends(&secret).0, server_ends(&secret).1)
}

proptest! {
    #[test]
    fn frames_come_out_as_they_went_in(
        sent in vec(sent(), 1..8),
        pieces in vec(prop_oneof![1usize..40, 1usize..6000], 1..6),
        secure: bool,
        landing_bits: u64,
        direct: bool,
    ) {
        let (mut naive, _, opener) = mode(secure);
        let stream: Vec<u8> = sent.iter().flat_map(|sent| sent.by_model(&mut naive)).collect();
        let expected: Vec<Received> = sent.iter().filter_map(Sent::expected).collect();
        let (frames, end) = read(opener, &stream, &pieces, landing_bits, direct);
        prop_assert_eq!(frames, expected);
        prop_assert_eq!(end, Ok(true));
    }

    #[test]
    fn the_sealer_makes_what_the_model_makes(
        sent in vec(sent(), 1..8),
        secure: bool,
        cut in 0usize..4000,
        known_crc: bool,
    ) {
        let (mut naive, mut sealer, _) = mode(secure);
        for sent in &sent {
            if let Some(frame) = sent.by_sealer(&mut sealer, cut, known_crc) {
                prop_assert_eq!(frame, sent.by_model(&mut naive));
            }
        }
    }

    #[test]
    fn a_damaged_stream_gives_no_frame_that_was_not_sent(
        sent in vec(sent(), 1..5),
        pieces in vec(1usize..4000, 1..4),
        secure: bool,
        damage in vec((any::<Index>(), 0u8..8), 1..3),
        landing_bits: u64,
    ) {
        let (mut naive, _, opener) = mode(secure);
        let mut stream: Vec<u8> = sent.iter().flat_map(|sent| sent.by_model(&mut naive)).collect();
        let expected: Vec<Received> = sent.iter().filter_map(Sent::expected).collect();
        for (at, bit) in damage {
            let at = at.index(stream.len());
            stream[at] ^= 1 << bit;
        }
        let (frames, _) = read(opener, &stream, &pieces, landing_bits, false);
        prop_assert!(expected.starts_with(&frames));
    }

    #[test]
    fn any_bytes_end_in_an_error_or_wait_for_more(bytes in vec(any::<u8>(), 0..400), secure: bool, piece in 1usize..50) {
        let (_, _, opener) = mode(secure);
        let (frames, _) = read(opener, &bytes, &[piece], u64::MAX, true);
        prop_assert!(frames.is_empty());
    }
}

/// One frame of each shape.
fn one_of_each() -> Vec<Sent> {
    let message = |tid, front: &[u8], middle: &[u8], data: &[u8], aborted| Sent::Message {
        tid,
        front: front.to_vec(),
        middle: middle.to_vec(),
        data: data.to_vec(),
        aborted,
    };
    vec![
        message(1, b"", b"", b"", false),
        message(2, b"a front", b"", b"", false),
        Sent::Keepalive(1),
        message(3, b"", b"", b"some data", false),
        message(4, b"a front", b"", b"nothing worth", true),
        message(5, b"a front of more than sixteen bytes", b"and a middle", b"some data", false),
        Sent::Challenge(vec![7; 60]),
        message(6, b"", b"only a middle", b"", false),
    ]
}

#[test]
fn a_cut_at_any_place_changes_nothing() {
    let sent = one_of_each();
    let expected: Vec<Received> = sent.iter().filter_map(Sent::expected).collect();
    for secure in [false, true] {
        let (mut naive, ..) = mode(secure);
        let stream: Vec<u8> = sent.iter().flat_map(|sent| sent.by_model(&mut naive)).collect();
        for cut in 1..stream.len() {
            for landing in [0, u64::MAX] {
                let (frames, end) = read(mode(secure).2, &stream, &[cut, stream.len()], landing, false);
                assert_eq!((frames, end), (expected.clone(), Ok(true)), "secure {secure}, cut at {cut}");
            }
        }
        for pieces in [1, 2, 3, 31] {
            let (frames, end) = read(mode(secure).2, &stream, &[pieces], u64::MAX, pieces == 3);
            assert_eq!((frames, end), (expected.clone(), Ok(true)), "secure {secure}, pieces of {pieces}");
        }
    }
}

#[test]
fn every_single_flipped_bit_is_noticed_or_harmless() {
    let sent = one_of_each();
    let expected: Vec<Received> = sent.iter().filter_map(Sent::expected).collect();
    for secure in [false, true] {
        let (mut naive, ..) = mode(secure);
        let stream: Vec<u8> = sent.iter().flat_map(|sent| sent.by_model(&mut naive)).collect();
        for bit in 0..8 * stream.len() {
            let mut damaged = stream.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let (frames, end) = read(mode(secure).2, &damaged, &[damaged.len()], 0, false);
            // What nothing reads is harmless in crc mode: the status's upper half and checksums of absent segments.
            let unnoticed = !secure && end == Ok(true) && frames == expected;
            assert!(
                unnoticed || (end.is_err() && expected.starts_with(&frames)),
                "secure {secure}, bit {bit}"
            );
        }
    }
}

#[test]
fn whole_frames_are_borrowed_and_split_data_lands() {
    let data = vec![1; 5000];
    let frame = Naive::crc().frame(17, &[&header(1).encode(), b"front", b"", &data], COMPLETE);
    let data_at = 32 + HEADER_BYTES + 4 + 5;
    let mut reader = FrameReader::new(Opener::crc(), FrameLimits::ESTABLISHED);
    let mut input = &frame[..];
    let Some(Frame::Message(message)) = reader.next(&mut input, &mut SomeLand(1)).unwrap() else { panic!() };
    assert_eq!(message.front.as_ptr(), frame[data_at - 5..].as_ptr());
    let Data::Borrowed(bytes) = message.data else { panic!("a whole frame is borrowed") };
    assert_eq!(bytes.as_ptr(), frame[data_at..].as_ptr());
    // The data lies whole in the second piece: it is borrowed too.
    for cut in [10, data_at - 1, data_at] {
        assert!(reader.next(&mut &frame[..cut], &mut SomeLand(1)).unwrap().is_none());
        let mut input = &frame[cut..];
        let Some(Frame::Message(message)) = reader.next(&mut input, &mut SomeLand(1)).unwrap() else {
            panic!()
        };
        let Data::Borrowed(bytes) = message.data else { panic!("data that is whole is borrowed, cut {cut}") };
        assert_eq!(bytes.as_ptr(), frame[data_at..].as_ptr());
    }
    // It does not: it lands.
    assert!(reader.next(&mut &frame[..data_at + 1], &mut SomeLand(1)).unwrap().is_none());
    let mut input = &frame[data_at + 1..];
    let Some(Frame::Message(message)) = reader.next(&mut input, &mut SomeLand(1)).unwrap() else { panic!() };
    let Data::Landed(buf) = message.data else { panic!("split data lands") };
    assert_eq!(*buf, *data);
}

#[test]
fn long_data_can_be_received_directly() {
    let data: Vec<u8> = (0..200_000u32).map(|n| n as u8).collect();
    let frame = Naive::crc().frame(17, &[&header(1).encode(), b"front", b"", &data], COMPLETE);
    let data_at = 32 + HEADER_BYTES + 4 + 5;
    let mut reader = FrameReader::new(Opener::crc(), FrameLimits::ESTABLISHED);
    assert!(reader.take_room(1).is_none());
    // All before the data has arrived, and none of it.
    assert!(reader.next(&mut &frame[..data_at], &mut SomeLand(1)).unwrap().is_none());
    assert!(reader.take_room(200_001).is_none(), "there is less to receive");
    let mut room = reader.take_room(200_000).unwrap();
    assert_eq!(room.filled(), 0);
    room.buf_mut()[..150_000].copy_from_slice(&data[..150_000]);
    reader.put_back(room, 150_000);
    let mut input = &frame[data_at + 150_000..];
    let Some(Frame::Message(message)) = reader.next(&mut input, &mut SomeLand(1)).unwrap() else { panic!() };
    assert_eq!(*message.data, *data);
    assert!(matches!(message.data, Data::Landed(_)));
}

#[test]
fn a_wrong_end_status_is_an_error() {
    for secure in [false, true] {
        let (mut naive, _, opener) = mode(secure);
        let frame = naive.frame(17, &[&header(1).encode(), b"front"], 0x07);
        let mut reader = FrameReader::<Vec<u8>>::new(opener, FrameLimits::ESTABLISHED);
        let error = reader.next(&mut &frame[..], &mut NoLanding).unwrap_err();
        assert_eq!(error, FrameError::LateStatus { tag: crate::msgr2::Tag::Message, status: 7 });
    }
}
