//! Handshakes recorded between a client and the daemons of a Ceph 16.2 cluster, replayed: from the recorded random
//! numbers our client makes the same payloads, and from the daemons' payloads it draws the recorded keys.

use super::wire::{Authorize, AuthorizerBase};
use super::*;
use crate::auth::key::KeyUsage;
use crate::auth::{
    AuthDone, AuthError, ClientExchange, ConMode, Confounder, Credentials, CryptoKey, SessionSecrets,
};
use crate::codec::Decoder;
use crate::types::{EntityType, GlobalId, Utime};
use std::sync::Arc;

/// The tags of the frames that carry authentication.
const AUTH_REQUEST: u8 = 2;
const AUTH_REPLY_MORE: u8 = 4;
const AUTH_REQUEST_MORE: u8 = 5;
const AUTH_DONE: u8 = 6;

/// One recorded connection: the payload of each frame, by its tag.
struct Recording {
    frames: Vec<(u8, &'static [u8])>,
    con_mode: ConMode,
}

macro_rules! recording {
    ($name:literal, $con_mode:expr) => {
        Recording::new(
            include_bytes!(concat!("../../../tests/golden/hs_", $name, ".client_to_server.bin")),
            include_bytes!(concat!("../../../tests/golden/hs_", $name, ".server_to_client.bin")),
            $con_mode,
        )
    };
}

impl Recording {
    fn new(client: &'static [u8], server: &'static [u8], con_mode: ConMode) -> Recording {
        Recording { frames: [frames(client), frames(server)].concat(), con_mode }
    }

    fn frame(&self, tag: u8) -> Decoder<'static> {
        let (_, payload) = self.frames.iter().find(|(found, _)| *found == tag).unwrap();
        Decoder::new("a recorded frame", payload)
    }

    fn blob(&self, tag: u8) -> &'static [u8] {
        self.frame(tag).blob().unwrap()
    }

    /// The payload of the first request, behind the method and the modes.
    fn request(&self) -> &'static [u8] {
        let mut d = self.frame(AUTH_REQUEST);
        assert_eq!(d.u32().unwrap(), 2, "cephx");
        assert_eq!(d.list(4, Decoder::u32).unwrap(), [self.con_mode.number()]);
        d.blob().unwrap()
    }

    fn done(&self) -> AuthDone<'static> {
        let mut d = self.frame(AUTH_DONE);
        let global_id = GlobalId::decode(&mut d).unwrap();
        let con_mode = ConMode::from_number(d.u32().unwrap()).unwrap();
        assert_eq!(con_mode, self.con_mode);
        AuthDone { global_id, con_mode, payload: d.blob().unwrap() }
    }

    /// Our client in place of the recorded one.
    fn replay(&self, exchange: &mut dyn ClientExchange) -> Result<SessionSecrets, AuthError> {
        assert_eq!(exchange.begin(), self.request());
        assert_eq!(exchange.more(self.blob(AUTH_REPLY_MORE))?, self.blob(AUTH_REQUEST_MORE));
        exchange.done(self.done())
    }
}

/// Splits a direction's bytes into frames of one segment, which all frames up to AUTH_DONE are.
fn frames(bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut d = Decoder::new("a recording", bytes);
    d.bytes("ceph v2\n".len() + 2 + 16).unwrap();
    let mut frames = Vec::new();
    while d.left() > 0 {
        let mut preamble = Decoder::new("a preamble", d.bytes(32).unwrap());
        let (tag, segments) = (preamble.u8().unwrap(), preamble.u8().unwrap());
        assert_eq!(segments, 1);
        let len = preamble.u32().unwrap();
        frames.push((tag, d.bytes(len as usize).unwrap()));
        d.u32().unwrap();
    }
    frames
}

/// Gives out what was recorded.
fn replayed(numbers: &[u64]) -> impl FnMut(&mut [u8]) {
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    let mut at = 0;
    move |wanted: &mut [u8]| {
        for byte in wanted {
            *byte = bytes.get(at).copied().unwrap_or(0);
            at += 1;
        }
    }
}

fn recorded_keys() -> serde_json::Value {
    serde_json::from_str(include_str!("../../../tests/golden/hs_keys.json")).unwrap()
}

fn admin() -> Arc<Credentials> {
    let key = CryptoKey::from_base64(recorded_keys()["client.admin key"].as_str().unwrap()).unwrap();
    Arc::new(Credentials { user: "client.admin".parse().unwrap(), key })
}

fn login(recording: &Recording) -> Login {
    let mut d = Decoder::new("an answer", recording.blob(AUTH_REQUEST_MORE));
    d.bytes(3).unwrap();
    let challenge = d.u64().unwrap();
    let now = Utime { sec: admin().key.created().sec + 60, nsec: 5 };
    Login::new(admin(), None, now, &mut replayed(&[challenge]))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn tickets(recording: &Recording) -> Tickets {
    let mut login = login(recording);
    recording.replay(&mut login).unwrap();
    login.take_tickets().unwrap()
}

#[test]
fn logins_draw_the_recorded_tickets() {
    for (recording, name) in [
        (recording!("mon_crc", ConMode::Crc), "tickets_crc"),
        (recording!("mon_secure", ConMode::Secure), "tickets_secure"),
    ] {
        let mut login = login(&recording);
        assert!(login.take_tickets().is_none());
        let secrets = recording.replay(&mut login).unwrap();
        let tickets = login.take_tickets().unwrap();
        assert!(login.take_tickets().is_none());
        assert_eq!(secrets.signing_key.as_deref(), Some(tickets.auth.session_key.secret()));
        assert_eq!(secrets.connection_secret.is_some(), recording.con_mode == ConMode::Secure);
        assert_eq!(tickets.global_id(), recording.done().global_id);
        let kinds = [EntityType::Auth, EntityType::Mon, EntityType::Osd, EntityType::Mgr];
        for kind in kinds {
            let ticket = tickets.ticket(kind).unwrap();
            let recorded = &recorded_keys()[name][u32::from(kind.bit()).to_string()];
            assert_eq!(hex(ticket.session_key().secret()), recorded["session_key"]);
            assert_eq!(ticket.secret_id(), recorded["secret_id"]);
            let life_s = if kind == EntityType::Auth { 259_200 } else { 3600 };
            assert_eq!(ticket.expires().sec, admin().key.created().sec + 60 + life_s);
            assert_eq!(ticket.renew_after().sec, ticket.expires().sec - life_s / 4);
        }
        assert!(tickets.clock_skew_s().abs() < 3600, "{}", tickets.clock_skew_s());
    }
}

#[test]
fn authorizers_are_the_recorded_ones() {
    for (mon, osd) in [
        (recording!("mon_crc", ConMode::Crc), recording!("osd_crc", ConMode::Crc)),
        (recording!("mon_secure", ConMode::Secure), recording!("osd_secure", ConMode::Secure)),
    ] {
        let tickets = tickets(&mon);
        let session_key = tickets.ticket(EntityType::Osd).unwrap().session_key();
        let mut d = Decoder::new("an authorizer", osd.request());
        AuthorizerBase::decode(&mut d).unwrap();
        let recorded =
            session_key.open(KeyUsage::Authorize, d.blob().unwrap(), |d| Ok(Authorize::decode(d)?)).unwrap();
        assert_eq!(recorded.challenge_plus_one, None);
        let now = tickets.auth.renew_after();
        assert_eq!(
            Authorizer::new(&tickets, EntityType::Osd, now, &mut replayed(&[])).unwrap_err(),
            AuthError::NoTicket(EntityType::Osd)
        );
        let now = tickets.ticket(EntityType::Osd).unwrap().renew_after();
        let mut authorizer =
            Authorizer::new(&tickets, EntityType::Osd, now, &mut replayed(&[recorded.nonce])).unwrap();
        let secrets = osd.replay(&mut authorizer).unwrap();
        assert_eq!(secrets.signing_key.as_deref(), Some(session_key.secret()));
        assert_eq!(secrets.connection_secret.is_some(), osd.con_mode == ConMode::Secure);
        let mut another =
            Authorizer::new(&tickets, EntityType::Osd, now, &mut replayed(&[recorded.nonce + 1])).unwrap();
        another.begin();
        another.more(osd.blob(AUTH_REPLY_MORE)).unwrap();
        let error = another.done(osd.done()).unwrap_err();
        assert_eq!(error, AuthError::Proof("the service's proof is not for our nonce"));
    }
}

#[test]
fn envelopes_and_answers_are_the_recorded_ones() {
    let key = CryptoKey::aes128(Utime::default(), std::array::from_fn(|at| at as u8));
    let sealed = key.seal(KeyUsage::Authorize, &Confounder([0; 16]), |e| {
        e.u64(1).u64(2);
    });
    assert_eq!(hex(&sealed), "440676a6b1aac350a068919f98244a7ef013539d2563e18289587b2bfe3525b1");
    assert_eq!(key.answer(1, 2), 0x8fcf_259d_ac68_ed2c);
}
