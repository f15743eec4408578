//! Frames as another implementation makes them, byte for byte, in both directions.

use super::naive::{COMPLETE, Naive};
use super::{golden_json, unhex};
use crate::msgr2::gcm::Gcm;
use crate::msgr2::{
    Control, Data, DataPlace, Frame, FrameError, FrameLimits, FrameReader, NoLanding, Opener, Sealer,
};
use crate::types::Utime;

fn vector(name: &str) -> Vec<u8> {
    let vectors = golden_json("vectors.json");
    unhex(vectors[name].as_str().unwrap_or_else(|| panic!("there is no vector {name}")))
}

fn secure_vector(name: &str) -> Vec<u8> {
    vector(&format!("frame_secure {name} key=00..0f nonce=1c..27"))
}

const KEY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const NONCE: [u8; 12] = [28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39];
const STAMP: Utime = Utime { sec: 1, nsec: 2 };

fn cipher() -> Gcm {
    Gcm::new(&KEY, &NONCE)
}

fn naive() -> Naive {
    Naive::secure(&KEY, &NONCE)
}

/// The vectors' message: a header of letters, a front, no middle, data.
fn message(sealer: &mut Sealer) -> Vec<u8> {
    let mut out = Vec::new();
    let front = |e: &mut crate::codec::Encoder<'_>| {
        e.bytes(b"front");
    };
    let place = sealer.message_with(&mut out, &[b'h'; 41], front, &[b"data", b"data"], None).unwrap();
    match place {
        DataPlace::Inside => out,
        DataPlace::At(at) => [&out[..at], b"datadata", &out[at..]].concat(),
    }
}

fn keepalive(sealer: &mut Sealer) -> Vec<u8> {
    let mut out = Vec::new();
    sealer.control(&mut out, &Control::Keepalive2(STAMP)).unwrap();
    out
}

#[test]
fn sealed_frames_are_the_recorded_ones() {
    assert_eq!(keepalive(&mut Sealer::crc()), vector("frame_crc KEEPALIVE2(1,2)"));
    assert_eq!(message(&mut Sealer::crc()), vector("frame_crc MESSAGE(h*41,front,empty,datadata)"));
    assert_eq!(keepalive(&mut Sealer::secure(cipher())), secure_vector("KEEPALIVE2"));
    assert_eq!(message(&mut Sealer::secure(cipher())), secure_vector("MESSAGE"));
}

#[test]
fn the_model_makes_the_recorded_frames() {
    let segments: [&[u8]; 4] = [&[b'h'; 41], b"front", b"", b"datadata"];
    let stamp = [1, 0, 0, 0, 2, 0, 0, 0];
    assert_eq!(Naive::crc().frame(18, &[&stamp], COMPLETE), vector("frame_crc KEEPALIVE2(1,2)"));
    assert_eq!(
        Naive::crc().frame(17, &segments, COMPLETE),
        vector("frame_crc MESSAGE(h*41,front,empty,datadata)")
    );
    assert_eq!(naive().frame(18, &[&stamp], COMPLETE), secure_vector("KEEPALIVE2"));
    assert_eq!(naive().frame(17, &segments, COMPLETE), secure_vector("MESSAGE"));
    assert_eq!(naive().frame(17, &[&[b'x'; 100]], COMPLETE), secure_vector("seg0_100B"));
}

#[test]
fn a_control_frame_of_two_blocks_is_the_model_s() {
    for len in [40, 44, 45, 60, 96, 200] {
        let payload = vec![b'x'; len];
        let mut out = Vec::new();
        let control = Control::AuthReplyMore(&payload);
        Sealer::secure(cipher()).control(&mut out, &control).unwrap();
        let segment = crate::codec::Encoder::to_vec(|e| control.encode(e));
        assert_eq!(out, naive().frame(4, &[&segment], COMPLETE), "{len}");
    }
}

fn read_both(mode: &str, opener: impl Fn() -> Opener, keepalive: &[u8], message: &[u8]) {
    let mut reader = FrameReader::new(opener(), FrameLimits::ESTABLISHED);
    let mut input = keepalive;
    let frame = reader.next(&mut input, &mut NoLanding).unwrap();
    assert!(matches!(frame, Some(Frame::Control(Control::Keepalive2(STAMP)))), "{mode}: {frame:?}");
    assert!(input.is_empty());
    let mut reader = FrameReader::new(opener(), FrameLimits::ESTABLISHED);
    let mut input = message;
    let Ok(Some(Frame::Message(message))) = reader.next(&mut input, &mut NoLanding) else {
        panic!("{mode}: no message");
    };
    assert_eq!(message.header.seq, u64::from_le_bytes([b'h'; 8]));
    assert_eq!((message.front, message.middle), (&b"front"[..], &b""[..]));
    assert!(matches!(message.data, Data::Borrowed(b"datadata")));
}

#[test]
fn recorded_frames_are_read() {
    read_both(
        "crc",
        Opener::crc,
        &vector("frame_crc KEEPALIVE2(1,2)"),
        &vector("frame_crc MESSAGE(h*41,front,empty,datadata)"),
    );
    let opener = || Opener::secure(cipher());
    read_both("secure", opener, &secure_vector("KEEPALIVE2"), &secure_vector("MESSAGE"));
    // A message whose header has 100 bytes decrypts, and is refused for what it is.
    let mut reader = FrameReader::new(opener(), FrameLimits::ESTABLISHED);
    let error = reader.next(&mut &secure_vector("seg0_100B")[..], &mut NoLanding).unwrap_err();
    assert_eq!(error, FrameError::HeaderLength(100));
}
