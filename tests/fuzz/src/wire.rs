//! The messenger's targets: whatever a peer sends, a connection ends in an error or waits for more; what it gives out does
//! not depend on the pieces that the bytes came in; and what was damaged is not given out.

use ringbd_proto::auth::{
    AuthDone, AuthError, AuthMethod, ClientExchange, ConMode, ConnectionSecret, ServerExchange, ServerStep,
    SessionSecrets,
};
use ringbd_proto::codec::Encoder;
use ringbd_proto::crc::{SEED, crc32c};
use ringbd_proto::msgr2::{
    ClientConfig, ClientHandshake, Control, DataPlace, Features, Frame, FrameLimits, FrameReader,
    HandshakeError, Landing, MessageHeader, Opener, Progress, Refusal, Sealer, ServerConfig, ServerHandshake,
    client_ends, server_ends,
};
use ringbd_proto::types::{AddrKind, EntityAddr, EntityAddrVec, EntityType, GlobalId};
use std::fmt::Write;

const PREAMBLE_BYTES: usize = 32;
const PREAMBLE_CRC_AT: usize = 28;
/// Bytes of a handshake before its frames.
const BANNER_BYTES: usize = 26;

/// Frames in crc mode, as they are and with their checksums put right. The first byte is the size of the pieces.
pub fn wire_crc(bytes: &[u8]) {
    let Some((&piece, stream)) = bytes.split_first() else { return };
    let limits = if piece.is_multiple_of(2) { FrameLimits::ESTABLISHED } else { FrameLimits::HANDSHAKE };
    for stream in [stream.to_vec(), with_checksums(stream)] {
        let whole = read(Opener::crc(), limits, &stream, stream.len().max(1));
        let pieces = read(Opener::crc(), limits, &stream, usize::from(piece) + 1);
        assert_eq!(whole, pieces, "pieces make a difference");
    }
}

/// Frames in secure mode. The bytes say what is sent: it is sealed, and comes out again in pieces of any size; then some of
/// it is changed on its way, and what comes out is the beginning of what was sent.
pub fn wire_secure(bytes: &[u8]) {
    let [piece, at, change, rest @ ..] = bytes else { return };
    let secret = ConnectionSecret([5; 64]);
    let opener = || server_ends(&secret).1;
    let mut stream = sealed(&mut client_ends(&secret).0, rest);
    let (sent, _) = read(opener(), FrameLimits::ESTABLISHED, &stream, stream.len().max(1));
    let in_pieces = read(opener(), FrameLimits::ESTABLISHED, &stream, usize::from(*piece) + 1);
    assert_eq!((sent.clone(), None), in_pieces, "pieces make a difference");
    assert_eq!(sent, read(Opener::crc(), FrameLimits::ESTABLISHED, &sealed(&mut Sealer::crc(), rest), 9).0);
    let at = usize::from(*at) * stream.len() / 256;
    if let Some(byte) = stream.get_mut(at) {
        *byte ^= *change;
        let (frames, _) = read(opener(), FrameLimits::ESTABLISHED, &stream, usize::from(*piece) + 1);
        assert!(sent.starts_with(&frames), "a damaged frame came out");
    }
    let _ = read(opener(), FrameLimits::ESTABLISHED, rest, usize::from(*piece) + 1);
}

/// What a server sends to a client that is connecting. The first byte is the size of the pieces.
pub fn wire_client(bytes: &[u8]) {
    let Some((&piece, stream)) = bytes.split_first() else { return };
    let wants_num = piece.is_multiple_of(3);
    for stream in [stream.to_vec(), after_banner(stream)] {
        let ends = [stream.len().max(1), usize::from(piece) + 1].map(|piece| {
            let mut client = ClientHandshake::begin(client_config(wants_num), Anything);
            let mut said = client.take_output().len();
            let mut end = String::new();
            drive(&stream, piece, |input| match client.handle(input) {
                Ok(Progress::Pending) => {
                    said += client.take_output().len();
                    true
                }
                Ok(Progress::Done(established)) => {
                    _ = write!(end, "{:?} {:?}", established.peer, established.addr);
                    false
                }
                Err(error) => {
                    _ = match error {
                        // As many of the first bytes are shown as had come.
                        HandshakeError::NotCeph { .. } => write!(end, "not Ceph"),
                        _ => write!(end, "{error}"),
                    };
                    assert_eq!(client.handle(&mut &b""[..]).map(|_| ()), Err(error), "an error is the end");
                    false
                }
            });
            assert!(said < 1 << 20, "a client says no more than it is asked");
            end
        });
        assert_eq!(ends[0], ends[1], "pieces make a difference");
    }
}

/// What a client sends to a server. The first byte is the size of the pieces, and whether the server refuses.
pub fn wire_server(bytes: &[u8]) {
    let Some((&piece, stream)) = bytes.split_first() else { return };
    for stream in [stream.to_vec(), after_banner(stream)] {
        let mut server = ServerHandshake::begin(server_config(piece), Box::new(Anything));
        drive(&stream, usize::from(piece) + 1, |input| match server.handle(input) {
            Ok(Progress::Pending) => {
                let _ = server.take_output();
                true
            }
            Ok(Progress::Done(accepted)) => {
                assert!(accepted.client.target == osd_addr());
                false
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                assert_eq!(server.handle(&mut &b""[..]).map(|_| ()), Err(error), "an error is the end");
                false
            }
        });
    }
}

/// Gives a stream to `handle` in pieces until it has enough.
fn drive(stream: &[u8], piece: usize, mut handle: impl FnMut(&mut &[u8]) -> bool) {
    for mut input in stream.chunks(piece) {
        if !handle(&mut input) {
            return;
        }
        assert!(input.is_empty(), "who wants more has read all");
    }
}

/// Lands data whose header has an odd tid.
struct Odd;

impl Landing for Odd {
    type Buf = Vec<u8>;

    fn land(&mut self, header: &MessageHeader, data_bytes: usize) -> Option<Vec<u8>> {
        // What a landing may spend is its own decision; a fuzzer's inputs are short.
        (header.tid.0 % 2 == 1 && data_bytes < 1 << 16).then(|| vec![0; data_bytes])
    }
}

/// The frames of a stream, and the error that it ends with.
fn read(opener: Opener, limits: FrameLimits, stream: &[u8], piece: usize) -> (Vec<String>, Option<String>) {
    let mut reader = FrameReader::new(opener, limits);
    let mut frames = Vec::new();
    for mut input in stream.chunks(piece) {
        loop {
            match reader.next(&mut input, &mut Odd) {
                Ok(Some(Frame::Control(control))) => frames.push(format!("{control:?}")),
                Ok(Some(Frame::Message(message))) => {
                    let (header, data) = (message.header, &*message.data);
                    frames.push(format!("{header:?} {:?} {:?} {data:?}", message.front, message.middle));
                }
                Ok(None) => break,
                Err(error) => return (frames, Some(error.to_string())),
            }
        }
        assert!(input.is_empty(), "a reader that wants more has read all");
    }
    (frames, None)
}

/// The frames that the bytes ask for: each takes a length of its front and one of its data, and begins with its tid.
fn sealed(sealer: &mut Sealer, mut rest: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    while let [front_bytes, data_bytes, tail @ ..] = rest {
        let (front, tail) = tail.split_at(usize::from(*front_bytes).min(tail.len()));
        let (data, tail) = tail.split_at(usize::from(*data_bytes).min(tail.len()));
        rest = tail;
        let mut out = Vec::new();
        if data.is_empty() {
            sealer.control(&mut out, &Control::AuthReplyMore(front)).expect("nonces are left");
            stream.extend(out);
            continue;
        }
        let mut header = [0; 41];
        header[8] = *front_bytes;
        let header = MessageHeader::decode(&header);
        let front = |e: &mut Encoder<'_>| _ = e.bytes(front);
        match sealer.message(&mut out, &header, front, &[data], None).expect("nonces are left") {
            DataPlace::Inside => stream.extend(out),
            DataPlace::At(at) => stream.extend([&out[..at], data, &out[at..]].concat()),
        }
    }
    stream
}

/// The stream with every checksum put right, as far as its frames can be followed.
fn with_checksums(stream: &[u8]) -> Vec<u8> {
    let mut stream = stream.to_vec();
    let mut rest = &mut stream[..];
    while rest.len() >= PREAMBLE_BYTES {
        let crc = crc32c(0, &rest[..PREAMBLE_CRC_AT]);
        rest[PREAMBLE_CRC_AT..PREAMBLE_BYTES].copy_from_slice(&crc.to_le_bytes());
        let segments = usize::from(rest[1]).min(4);
        let len =
            |at: usize| u32::from_le_bytes([rest[at], rest[at + 1], rest[at + 2], rest[at + 3]]) as usize;
        let lens: Vec<usize> = (0..segments).map(|segment| len(2 + 6 * segment)).collect();
        let Some((&first, others)) = lens.split_first() else { break };
        let (_, mut tail) = rest.split_at_mut(PREAMBLE_BYTES);
        if first > 0 {
            let Some((segment, after)) = tail.split_at_mut_checked(first) else { break };
            let Some((crc, after)) = after.split_at_mut_checked(4) else { break };
            crc.copy_from_slice(&crc32c(SEED, segment).to_le_bytes());
            tail = after;
        }
        let mut crcs = Vec::new();
        for &len in others {
            let Some((segment, after)) = std::mem::take(&mut tail).split_at_mut_checked(len) else { break };
            crcs.push(crc32c(SEED, segment));
            tail = after;
        }
        if segments > 1 && !tail.is_empty() && crcs.len() == others.len() {
            let Some((end, after)) = std::mem::take(&mut tail).split_at_mut_checked(13) else { break };
            for (at, crc) in crcs.iter().enumerate() {
                end[1 + 4 * at..5 + 4 * at].copy_from_slice(&crc.to_le_bytes());
            }
            tail = after;
        }
        rest = tail;
    }
    stream
}

/// A handshake's stream with the checksums of its frames put right.
fn after_banner(stream: &[u8]) -> Vec<u8> {
    let (banner, frames) = stream.split_at(BANNER_BYTES.min(stream.len()));
    [banner, &with_checksums(frames)].concat()
}

fn osd_addr() -> EntityAddr {
    let socket = Some(([127, 0, 0, 1], 3391).into());
    EntityAddr { kind: AddrKind::Msgr2, nonce: 0, socket }
}

fn client_config(wants_num: bool) -> ClientConfig {
    ClientConfig {
        peer_addr: osd_addr(),
        peer_type: EntityType::Mon,
        peer_num: wants_num.then_some(0),
        entity_type: EntityType::Client,
        ip: None,
        nonce: 1,
        con_modes: vec![ConMode::Secure, ConMode::Crc],
        global_seq: 1,
        supported: Features::PACIFIC,
        required: Features::REQUIRED,
    }
}

fn server_config(piece: u8) -> ServerConfig {
    ServerConfig {
        addrs: EntityAddrVec(vec![osd_addr()]),
        entity_type: EntityType::Mon,
        num: 0,
        client_addr: osd_addr(),
        methods: vec![AuthMethod::None, AuthMethod::Cephx],
        con_modes: vec![ConMode::Crc, ConMode::Secure],
        global_seq: 1,
        supported: Features::PACIFIC,
        required: Features::REQUIRED,
        refusal: match piece % 8 {
            5 => Some(Refusal::BadMethod(-13)),
            6 => Some(Refusal::Wait),
            7 => Some(Refusal::Reset),
            _ => None,
        },
    }
}

/// An exchange that takes anything, and signs with nothing, so that what follows it is reached.
struct Anything;

impl ClientExchange for Anything {
    fn method(&self) -> AuthMethod {
        AuthMethod::Cephx
    }

    fn begin(&mut self) -> Vec<u8> {
        vec![10]
    }

    fn more(&mut self, payload: &[u8]) -> Result<Vec<u8>, AuthError> {
        Ok(payload[..payload.len().min(8)].to_vec())
    }

    fn done(&mut self, _: AuthDone<'_>) -> Result<SessionSecrets, AuthError> {
        Ok(SessionSecrets { signing_key: None, connection_secret: None })
    }

    fn refused(&self, result: i32) -> AuthError {
        AuthError::Refused { result }
    }
}

impl ServerExchange for Anything {
    fn begin(&mut self, method: AuthMethod, _: ConMode, payload: &[u8]) -> Result<ServerStep, AuthError> {
        match method {
            AuthMethod::None => ServerExchange::more(self, payload),
            AuthMethod::Cephx => Ok(ServerStep::More(vec![1; 9])),
        }
    }

    fn more(&mut self, payload: &[u8]) -> Result<ServerStep, AuthError> {
        let global_id = GlobalId(payload.len() as u64);
        let secrets = SessionSecrets { signing_key: None, connection_secret: None };
        Ok(ServerStep::Done { global_id, payload: Vec::new(), secrets })
    }
}
