//! Sealing and reading a message with 4 KiB of data and the front of an OSD operation, in both modes.
//!
//! Reading includes the four ways that a frame can arrive: whole, or split in its front, its data or both; a stream of such
//! frames in receive buffers of 64 KiB shows their usual mixture.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ringbd_proto::auth::ConnectionSecret;
use ringbd_proto::crc;
use ringbd_proto::msgr2::{
    DataPlace, FrameLimits, FrameReader, Landing, MessageHeader, MessageType, Opener, Sealer, client_ends,
    server_ends,
};
use std::hint::black_box;

const DATA_BYTES: usize = 4096;
const FRONT: [u8; 230] = [7; 230];
/// Frames of a stream: about 256 KiB.
const FRAMES: usize = 60;
const PIECE_BYTES: usize = 64 << 10;

fn header() -> MessageHeader {
    MessageHeader::new(MessageType::OSD_OP, 8, 3)
}

/// The two ends of one direction.
fn ends(mode: &str) -> (Sealer, Opener) {
    let secret = ConnectionSecret([9; 64]);
    match mode {
        "crc" => (Sealer::crc(), Opener::crc()),
        _ => (client_ends(&secret).0, server_ends(&secret).1),
    }
}

fn seal(criterion: &mut Criterion) {
    let data = vec![3; DATA_BYTES];
    let data_crc = crc::crc32c(crc::SEED, &data);
    let mut group = criterion.benchmark_group("seal 4 KiB");
    group.throughput(Throughput::Bytes(DATA_BYTES as u64));
    for (name, mode, known) in [
        ("crc", "crc", None),
        ("crc, data's checksum known", "crc", Some(data_crc)),
        ("secure", "secure", None),
    ] {
        let (mut sealer, _) = ends(mode);
        let mut out = Vec::new();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                out.clear();
                let front = |e: &mut ringbd_proto::codec::Encoder<'_>| _ = e.bytes(black_box(&FRONT));
                sealer
                    .message(&mut out, &header(), front, &[black_box(&data)], known)
                    .expect("nonces are left")
            });
        });
    }
    group.finish();
}

/// Lends one buffer again and again, as a pool does.
struct Pool(Vec<Box<[u8]>>);

impl Landing for Pool {
    type Buf = Box<[u8]>;

    fn land(&mut self, _header: &MessageHeader, data_bytes: usize) -> Option<Box<[u8]>> {
        self.0.pop().filter(|buf| buf.len() == data_bytes)
    }
}

fn stream(sealer: &mut Sealer) -> Vec<u8> {
    let data = [3; DATA_BYTES];
    let (mut out, mut stream) = (Vec::new(), Vec::new());
    for _ in 0..FRAMES {
        out.clear();
        let place = sealer.message(&mut out, &header(), |e| _ = e.bytes(&FRONT), &[&data], None);
        match place.expect("nonces are left") {
            DataPlace::Inside => stream.extend_from_slice(&out),
            DataPlace::At(at) => {
                stream.extend_from_slice(&out[..at]);
                stream.extend_from_slice(&data);
                stream.extend_from_slice(&out[at..]);
            }
        }
    }
    stream
}

fn read(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("read 4 KiB");
    group.throughput(Throughput::Bytes((DATA_BYTES * FRAMES) as u64));
    for (name, mode, piece) in [
        ("crc, all whole", "crc", usize::MAX),
        ("crc, buffers of 64 KiB", "crc", PIECE_BYTES),
        ("secure, buffers of 64 KiB", "secure", PIECE_BYTES),
    ] {
        let stream = stream(&mut ends(mode).0);
        let mut pool = Pool(vec![vec![0; DATA_BYTES].into_boxed_slice()]);
        // Nonces count, so each round begins with a new end; its memory is part of the set-up.
        let new_end = || FrameReader::new(ends(mode).1, FrameLimits::ESTABLISHED);
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                new_end,
                |reader| {
                    for mut input in stream.chunks(piece.min(stream.len())) {
                        while let Some(frame) =
                            reader.next(&mut input, &mut pool).expect("the stream is good")
                        {
                            take(black_box(frame), &mut pool);
                        }
                    }
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// Uses a frame up: its buffer goes back to the pool.
fn take(frame: ringbd_proto::msgr2::Frame<'_, Box<[u8]>>, pool: &mut Pool) {
    use ringbd_proto::msgr2::{Data, Frame, Message};
    match frame {
        Frame::Message(Message { data: Data::Landed(buf), .. }) => pool.0.push(buf),
        Frame::Message(Message { data: Data::Borrowed(bytes), .. }) => _ = black_box(bytes),
        Frame::Control(control) => _ = black_box(control),
    }
}

criterion_group!(benches, seal, read);
criterion_main!(benches);
