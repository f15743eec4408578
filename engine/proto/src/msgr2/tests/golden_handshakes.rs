//! Handshakes recorded between another client and real daemons (a monitor and an OSD, in crc and in secure mode): both ends
//! of ours, given what was received, send what was sent, byte for byte.

use super::{golden, golden_json, unhex};
use crate::auth::{
    self, AuthError, AuthMethod, ClientExchange, ConMode, ConnectionSecret, ServerExchange, ServerStep,
    SessionSecrets,
};
use crate::codec::{Decoder, Encoder};
use crate::msgr2::{
    Banner, BannerFeatures, ClientConfig, ClientHandshake, Control, Features, Frame, FrameLimits,
    FrameReader, NoLanding, Opener, Progress, Sealer, ServerConfig, ServerHandshake, client_ends,
    server_ends,
};
use crate::types::{AddrKind, EntityAddr, EntityAddrVec, EntityType, GlobalId};
use aes::cipher::{BlockModeDecrypt, KeyIvInit, block_padding::Pkcs7};
use ring::hmac;
use std::net::SocketAddr;

/// A recorded handshake.
struct Recording {
    peer: EntityType,
    con_mode: ConMode,
    client: Vec<u8>,
    server: Vec<u8>,
}

/// What the payloads of a recording are.
#[derive(Clone, Debug)]
struct Payloads {
    begin: Vec<u8>,
    challenge: Vec<u8>,
    proof: Vec<u8>,
    done: Vec<u8>,
    global_id: GlobalId,
    dialled: EntityAddr,
    seen: EntityAddr,
}

fn recordings() -> Vec<Recording> {
    let mut recordings = Vec::new();
    for (peer, peer_word) in [(EntityType::Mon, "mon"), (EntityType::Osd, "osd")] {
        for (con_mode, mode_word) in [(ConMode::Crc, "crc"), (ConMode::Secure, "secure")] {
            let file = |direction| golden(&format!("hs_{peer_word}_{mode_word}.{direction}.bin"));
            let (client, server) = (file("client_to_server"), file("server_to_client"));
            recordings.push(Recording { peer, con_mode, client, server });
        }
    }
    recordings
}

/// The frames of one direction behind its banner.
fn frames(bytes: &[u8], mut see: impl FnMut(Control<'_>)) -> usize {
    let (banner, end) = Banner::decode(bytes).unwrap().unwrap();
    assert!(banner.supported.contains(BannerFeatures::REVISION_1));
    let mut reader = FrameReader::new(Opener::crc(), FrameLimits::HANDSHAKE);
    let (mut input, mut count) = (&bytes[end..], 0);
    while let Some(frame) = reader.next(&mut input, &mut NoLanding).unwrap() {
        let Frame::Control(control) = frame else { panic!("a message in a handshake") };
        see(control);
        count += 1;
    }
    assert!(reader.is_between_frames(), "nothing is left");
    count
}

impl Recording {
    fn payloads(&self) -> Payloads {
        let blank = EntityAddr::default();
        let mut payloads = Payloads {
            begin: Vec::new(),
            challenge: Vec::new(),
            proof: Vec::new(),
            done: Vec::new(),
            global_id: GlobalId(0),
            dialled: blank,
            seen: blank,
        };
        let count = frames(&self.client, |control| match control {
            Control::Hello(hello) => {
                assert_eq!(hello.entity_type, EntityType::Client.bit());
                payloads.dialled = hello.peer_addr;
            }
            Control::AuthRequest(request) => {
                assert_eq!(request.method, AuthMethod::Cephx.number());
                assert_eq!(request.con_modes, [self.con_mode.number()]);
                payloads.begin = request.payload.to_vec();
            }
            Control::AuthRequestMore(payload) => payloads.proof = payload.to_vec(),
            other => panic!("{other:?} from the client"),
        });
        assert_eq!(count, 3);
        let count = frames(&self.server, |control| match control {
            Control::Hello(hello) => {
                assert_eq!(hello.entity_type, self.peer.bit());
                payloads.seen = hello.peer_addr;
            }
            Control::AuthReplyMore(payload) => payloads.challenge = payload.to_vec(),
            Control::AuthDone(done) => {
                assert_eq!(done.con_mode, self.con_mode.number());
                payloads.global_id = done.global_id;
                payloads.done = done.payload.to_vec();
            }
            other => panic!("{other:?} from the server"),
        });
        assert_eq!(count, 3);
        payloads
    }

    /// The key of the session, as the client that was recorded knew it.
    fn session_key(&self) -> Vec<u8> {
        let tickets = match self.con_mode {
            ConMode::Crc => "tickets_crc",
            ConMode::Secure => "tickets_secure",
        };
        let service = match self.peer {
            EntityType::Osd => EntityType::Osd,
            _ => EntityType::Auth,
        };
        let keys = golden_json("hs_keys.json");
        unhex(keys[tickets][service.bit().to_string()]["session_key"].as_str().unwrap())
    }

    fn secrets(&self) -> SessionSecrets {
        let key = self.session_key();
        let connection_secret = (self.con_mode == ConMode::Secure)
            .then(|| connection_secret(self.peer, &key, &self.payloads().done));
        SessionSecrets { signing_key: Some(key), connection_secret }
    }
}

/// The connection's secret in the last payload of the authentication.
fn connection_secret(peer: EntityType, key: &[u8], done: &[u8]) -> ConnectionSecret {
    let mut d = Decoder::new("a recorded AUTH_DONE", done);
    let secret = if peer == EntityType::Osd {
        let opened = decrypt(key, d.blob().unwrap());
        Decoder::new("an authorizer's reply", &opened[9..]).blob().unwrap().to_vec()
    } else {
        d.bytes(2 + 4 + 1).unwrap();
        for _ in 0..d.u32().unwrap() {
            d.bytes(4 + 1).unwrap();
            d.blob().unwrap();
            d.u8().unwrap();
            d.blob().unwrap();
        }
        let mut envelope = d.nested("a connection's secret").unwrap();
        let opened = decrypt(key, envelope.blob().unwrap());
        Decoder::new("a connection's secret", &opened).blob().unwrap().to_vec()
    };
    ConnectionSecret(secret.try_into().unwrap())
}

/// Opens an envelope: what is behind its version and magic.
fn decrypt(key: &[u8], envelope: &[u8]) -> Vec<u8> {
    let mut bytes = envelope.to_vec();
    let cipher = cbc::Decryptor::<aes::Aes128>::new_from_slices(key, b"cephsageyudagreg").unwrap();
    let opened = cipher.decrypt_padded::<Pkcs7>(&mut bytes).unwrap();
    assert_eq!(opened[1..9], 0xff00_9cad_8826_aa55_u64.to_le_bytes());
    opened[9..].to_vec()
}

/// Says what was recorded, and checks that it hears what was recorded.
struct Replay {
    payloads: Payloads,
    secrets: SessionSecrets,
}

impl ClientExchange for Replay {
    fn method(&self) -> AuthMethod {
        AuthMethod::Cephx
    }

    fn begin(&mut self) -> Vec<u8> {
        self.payloads.begin.clone()
    }

    fn more(&mut self, payload: &[u8]) -> Result<Vec<u8>, AuthError> {
        assert_eq!(payload, self.payloads.challenge);
        Ok(self.payloads.proof.clone())
    }

    fn done(&mut self, done: auth::AuthDone<'_>) -> Result<SessionSecrets, AuthError> {
        assert_eq!((done.payload, done.global_id), (&self.payloads.done[..], self.payloads.global_id));
        Ok(self.secrets.clone())
    }

    fn refused(&self, result: i32) -> AuthError {
        AuthError::Refused { result }
    }
}

impl ServerExchange for Replay {
    fn begin(&mut self, method: AuthMethod, _: ConMode, payload: &[u8]) -> Result<ServerStep, AuthError> {
        assert_eq!((method, payload), (AuthMethod::Cephx, &self.payloads.begin[..]));
        Ok(ServerStep::More(self.payloads.challenge.clone()))
    }

    fn more(&mut self, payload: &[u8]) -> Result<ServerStep, AuthError> {
        assert_eq!(payload, self.payloads.proof);
        Ok(ServerStep::Done {
            global_id: self.payloads.global_id,
            payload: self.payloads.done.clone(),
            secrets: self.secrets.clone(),
        })
    }
}

fn client(recording: &Recording) -> ClientHandshake<Replay> {
    let payloads = recording.payloads();
    let config = ClientConfig {
        peer_addr: payloads.dialled,
        peer_type: recording.peer,
        peer_num: None,
        entity_type: EntityType::Client,
        ip: None,
        nonce: 77,
        con_modes: vec![recording.con_mode],
        global_seq: 1,
        supported: Features::PACIFIC,
        required: Features::REQUIRED,
    };
    ClientHandshake::begin(config, Replay { payloads, secrets: recording.secrets() })
}

/// The signature of `bytes` under the recording's key.
fn signature(recording: &Recording, bytes: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &recording.session_key());
    hmac::sign(&key, bytes).as_ref().to_vec()
}

/// The two ends of the session that was recorded, of one side.
fn ends(
    recording: &Recording,
    draw: impl FnOnce(&ConnectionSecret) -> (Sealer, Opener),
) -> (Sealer, FrameReader<Vec<u8>>) {
    let (sealer, opener) = match &recording.secrets().connection_secret {
        None => (Sealer::crc(), Opener::crc()),
        Some(secret) => draw(secret),
    };
    (sealer, FrameReader::new(opener, FrameLimits::ESTABLISHED))
}

#[test]
fn our_client_says_what_the_recorded_one_said() {
    for recording in recordings() {
        let mut handshake = client(&recording);
        let mut said = handshake.take_output();
        for mut piece in recording.server.chunks(7) {
            assert!(matches!(handshake.handle(&mut piece), Ok(Progress::Pending)));
            said.extend(handshake.take_output());
        }
        let (recorded, signed) = said.split_at(recording.client.len());
        assert_eq!(recorded, recording.client);
        let (mut sealer, mut reader) = ends(&recording, server_ends);
        let mut input = signed;
        let Ok(Some(Frame::Control(Control::AuthSignature(ours)))) = reader.next(&mut input, &mut NoLanding)
        else {
            panic!("the client signs");
        };
        assert_eq!(ours, *signature(&recording, &recording.server));
        // The daemon's own signature was not recorded; with it the client goes on to say who it is.
        let theirs = signature(&recording, &recording.client).try_into().unwrap();
        let mut frame = Vec::new();
        sealer.control(&mut frame, &Control::AuthSignature(theirs)).unwrap();
        assert!(matches!(handshake.handle(&mut &frame[..]), Ok(Progress::Pending)));
        let said = handshake.take_output();
        let Ok(Some(Frame::Control(Control::ClientIdent(ident)))) =
            reader.next(&mut &said[..], &mut NoLanding)
        else {
            panic!("the client says who it is");
        };
        let payloads = recording.payloads();
        assert_eq!((ident.target, ident.global_id), (payloads.dialled, payloads.global_id));
        let socket = Some(SocketAddr::new(payloads.seen.socket.unwrap().ip(), 0));
        assert_eq!(ident.addrs.0, [EntityAddr { kind: AddrKind::Any, nonce: 77, socket }]);
    }
}

#[test]
fn our_server_says_what_the_recorded_one_said() {
    for recording in recordings() {
        let payloads = recording.payloads();
        let config = ServerConfig {
            addrs: EntityAddrVec(vec![payloads.dialled]),
            entity_type: recording.peer,
            num: 0,
            client_addr: payloads.seen,
            methods: vec![AuthMethod::Cephx],
            con_modes: vec![ConMode::Crc, ConMode::Secure],
            global_seq: 1,
            supported: Features::PACIFIC,
            required: Features::REQUIRED,
            refusal: None,
        };
        let replay = Replay { payloads, secrets: recording.secrets() };
        let mut handshake = ServerHandshake::begin(config, Box::new(replay));
        let mut said = handshake.take_output();
        for mut piece in recording.client.chunks(7) {
            assert!(matches!(handshake.handle(&mut piece), Ok(Progress::Pending)));
            said.extend(handshake.take_output());
        }
        let (recorded, mut signed) = said.split_at(recording.server.len());
        assert_eq!(recorded, recording.server);
        let (_, mut reader) = ends(&recording, client_ends);
        let Ok(Some(Frame::Control(Control::AuthSignature(ours)))) = reader.next(&mut signed, &mut NoLanding)
        else {
            panic!("the server signs");
        };
        assert_eq!(ours, *signature(&recording, &recording.client));
    }
}

#[test]
fn a_banner_is_the_recorded_one() {
    let ours = Encoder::to_vec(|e| Banner::OURS.encode(e));
    for recording in recordings() {
        assert!(recording.client.starts_with(&ours));
        assert_eq!(Banner::decode(&recording.server), Ok(Some((Banner::OURS, 26))));
    }
}
