//! What a peer may do wrong, and what is then said of it.

use super::pair::{Meeting, client_config, meet, osd_addr, server_config};
use super::{FakeClient, FakeServer};
use crate::auth::{AuthError, AuthMethod, ConMode};
use crate::codec::Encoder;
use crate::msgr2::{
    AuthDone, Banner, BannerFeatures, ClientConfig, ClientHandshake, Control, Features, FrameError,
    HandshakeError, Hello, IdentFlags, Progress, Refusal, Sealer, ServerConfig, ServerHandshake, ServerIdent,
    Tag,
};
use crate::types::{EntityAddr, EntityAddrVec, EntityType, GlobalId, Utime};

fn client() -> ClientHandshake<FakeClient> {
    ClientHandshake::begin(client_config(), FakeClient { method: AuthMethod::None })
}

/// What a client says of a server that sends this.
fn verdict(bytes: &[u8]) -> HandshakeError {
    let mut client = client();
    let error = client.handle(&mut &bytes[..]).map(|_| ()).unwrap_err();
    let again = client.handle(&mut &b""[..]).map(|_| ()).unwrap_err();
    assert_eq!(error, again, "an error is the end");
    error
}

fn banner(supported: u64, required: u64) -> Vec<u8> {
    let (supported, required) = (BannerFeatures(supported), BannerFeatures(required));
    Encoder::to_vec(|e| Banner { supported, required }.encode(e))
}

fn hello() -> Control<'static> {
    let peer_addr = server_config().client_addr;
    Control::Hello(Hello { entity_type: EntityType::Osd.bit(), peer_addr })
}

fn done(con_mode: u32) -> Control<'static> {
    Control::AuthDone(AuthDone { global_id: GlobalId(5), con_mode, payload: b"" })
}

fn ident() -> ServerIdent {
    ServerIdent {
        addrs: EntityAddrVec(vec![osd_addr()]),
        num: 3,
        global_seq: 1,
        supported: Features::PACIFIC,
        required: Features::REQUIRED,
        flags: IdentFlags::LOSSY,
        cookie: 0,
    }
}

/// A banner and these frames.
fn script(controls: &[Control<'_>]) -> Vec<u8> {
    let mut bytes = banner(1, 0);
    for control in controls {
        Sealer::crc().control(&mut bytes, control).unwrap();
    }
    bytes
}

/// What a client says of a server that authenticates it and then sends this.
fn verdict_on_ident(answer: Control<'_>) -> HandshakeError {
    verdict(&script(&[hello(), done(1), Control::AuthSignature([0; 32]), answer]))
}

#[test]
fn peers_that_speak_something_else() {
    let error = verdict(b"ceph v027\0\0\0\0\x01\x02");
    assert_eq!(error, HandshakeError::FirstProtocol);
    assert!(error.to_string().starts_with("the peer speaks the first messenger protocol"));
    assert!(verdict(b"SSH-2.0-OpenSSH").to_string().contains("it begins with \"SSH-2.0-\""));
    assert_eq!(verdict(b"ceph v2\n\x08\0"), HandshakeError::BannerLength(8));
    assert_eq!(verdict(b"ceph v2\n\xff\xff"), HandshakeError::BannerLength(0xffff));
}

#[test]
fn peers_that_are_too_old_or_too_new() {
    let supported = BannerFeatures(0);
    assert_eq!(verdict(&banner(0, 0)), HandshakeError::NoRevision1 { supported });
    let required = BannerFeatures(2);
    assert_eq!(verdict(&banner(3, 2)), HandshakeError::MessengerTooNew { required });
    // Features beyond ours are welcome, also in a longer banner.
    let mut longer = banner(0xff, 1);
    longer[8] += 4;
    longer.extend_from_slice(b"more");
    assert!(matches!(client().handle(&mut &longer[..]), Ok(Progress::Pending)));
}

#[test]
fn a_peer_of_another_kind() {
    let (expected, found) = (EntityType::Osd, EntityType::Mon.bit());
    let peer_addr = server_config().client_addr;
    let error = verdict(&script(&[Control::Hello(Hello { entity_type: found, peer_addr })]));
    assert_eq!(error, HandshakeError::WrongPeerType { expected, found });
    assert_eq!(error.to_string(), "the peer at this address is of the kind mon, and osd was expected");
}

#[test]
fn a_peer_that_does_not_see_us() {
    for socket in [None, Some(([0, 0, 0, 0], 1234).into())] {
        let peer_addr = EntityAddr { socket, ..server_config().client_addr };
        let hello = Control::Hello(Hello { entity_type: EntityType::Osd.bit(), peer_addr });
        assert_eq!(verdict(&script(&[hello])), HandshakeError::NoAddress);
    }
}

#[test]
fn frames_out_of_turn() {
    let keepalive = Control::Keepalive2(Utime::default());
    for frames in [
        vec![keepalive.clone()],
        vec![hello(), hello()],
        vec![hello(), done(1), done(1)],
        vec![hello(), done(1), Control::AuthSignature([0; 32]), keepalive],
        vec![hello(), Control::ServerIdent(ident())],
    ] {
        let error = verdict(&script(&frames));
        let found = frames.last().unwrap().tag();
        assert!(matches!(error, HandshakeError::Unexpected { found: tag, .. } if tag == found), "{error}");
    }
    let mut bytes = script(&[hello()]);
    let header = crate::msgr2::MessageHeader::new(crate::msgr2::MessageType::PING, 1, 1);
    Sealer::crc().message(&mut bytes, &header, |_| {}, &[], None).unwrap();
    assert!(matches!(verdict(&bytes), HandshakeError::Unexpected { found: Tag::Message, .. }));
}

#[test]
fn a_mode_that_was_not_offered() {
    assert_eq!(verdict(&script(&[hello(), done(2)])), HandshakeError::ConModeNotOffered(ConMode::Secure));
    assert_eq!(verdict(&script(&[hello(), done(9)])), HandshakeError::UnknownConMode(9));
    // Without authentication there is no secret to draw keys from.
    let config = ClientConfig { con_modes: vec![ConMode::Secure], ..client_config() };
    let mut client = ClientHandshake::begin(config, FakeClient { method: AuthMethod::None });
    let error = client.handle(&mut &script(&[hello(), done(2)])[..]).map(|_| ()).unwrap_err();
    assert_eq!(error, HandshakeError::NoConnectionSecret);
}

#[test]
fn an_exchange_that_fails() {
    let error = verdict(&script(&[hello(), Control::AuthReplyMore(b"what?")]));
    assert_eq!(error, HandshakeError::Auth(AuthError::Proof("an unknown question")));
}

#[test]
fn a_signature_that_does_not_fit() {
    let signed = [hello(), done(1), Control::AuthSignature([1; 32])];
    assert_eq!(verdict(&script(&signed)), HandshakeError::BadSignature);
}

/// Somebody in between makes the server look as if it could compress: a change that no checksum notices.
#[test]
fn a_banner_that_was_changed_on_its_way() {
    let mut first = true;
    let Meeting { client, server } =
        meet(client_config(), AuthMethod::Cephx, server_config(), &[], |to_client, _| {
            if std::mem::take(&mut first) {
                to_client[10] = 3;
            }
        });
    assert_eq!(server.map(|_| ()).unwrap_err(), HandshakeError::BadSignature);
    assert!(client.unwrap().is_none());
}

#[test]
fn a_peer_that_was_not_wanted() {
    let restarted = EntityAddr { nonce: 4712, ..osd_addr() };
    let found = EntityAddrVec(vec![restarted]);
    let error = verdict_on_ident(Control::ServerIdent(ServerIdent { addrs: found.clone(), ..ident() }));
    assert_eq!(error, HandshakeError::WrongPeer { wanted: osd_addr(), found });
    let error = verdict_on_ident(Control::ServerIdent(ServerIdent { num: 4, ..ident() }));
    assert_eq!(error, HandshakeError::WrongPeerNum { wanted: 3, found: 4 });
    let flags = IdentFlags(0);
    let error = verdict_on_ident(Control::ServerIdent(ServerIdent { flags, ..ident() }));
    assert_eq!(error, HandshakeError::NotLossy);
}

#[test]
fn features_that_one_end_lacks() {
    let supported = Features(Features::PACIFIC.0 & !Features::MSG_ADDR2.0);
    let error = verdict_on_ident(Control::ServerIdent(ServerIdent { supported, ..ident() }));
    assert_eq!(error, HandshakeError::PeerFeaturesMissing(Features::MSG_ADDR2));
    let required = Features(1 << 33 | 1 << 59);
    let error = verdict_on_ident(Control::ServerIdent(ServerIdent { required, ..ident() }));
    assert_eq!(error, HandshakeError::FeaturesMissing(Features(1 << 33)));
    let server = ServerConfig { required: Features(1 << 33), ..server_config() };
    let meeting = meet(client_config(), AuthMethod::Cephx, server, &[], |_, _| {});
    let error = meeting.client.map(|_| ()).unwrap_err();
    assert_eq!(error, HandshakeError::FeaturesMissing(Features(1 << 33)));
    assert!(meeting.server.unwrap().is_none());
}

#[test]
fn answers_of_sessions_that_go_on() {
    assert_eq!(verdict_on_ident(Control::Wait), HandshakeError::Wait);
    for control in [
        Control::SessionReset(false),
        Control::SessionRetry(1),
        Control::SessionRetryGlobal(1),
        Control::SessionReconnectOk(1),
    ] {
        let tag = control.tag();
        assert_eq!(verdict_on_ident(control), HandshakeError::SessionFault(tag));
    }
}

#[test]
fn a_server_that_was_told_to_refuse() {
    let refused = |refusal| {
        let server = ServerConfig { refusal: Some(refusal), ..server_config() };
        let meeting = meet(client_config(), AuthMethod::Cephx, server, &[3, 50], |_, _| {});
        meeting.client.map(|_| ()).unwrap_err()
    };
    assert_eq!(refused(Refusal::Wait), HandshakeError::Wait);
    assert_eq!(refused(Refusal::Reset), HandshakeError::SessionFault(Tag::SessionReset));
    let denied = HandshakeError::Auth(AuthError::Refused { result: -13 });
    assert_eq!(refused(Refusal::BadMethod(-13)), denied, "the method says what it means");
    let HandshakeError::MethodRefused(bad) = refused(Refusal::BadMethod(-95)) else { panic!() };
    assert_eq!((bad.method, bad.result), (2, -95));
    assert_eq!((&bad.allowed_methods[..], &bad.allowed_modes[..]), (&[1, 2][..], &[1, 2][..]));
}

#[test]
fn a_method_or_a_mode_that_is_not_allowed() {
    let server = ServerConfig { methods: vec![AuthMethod::Cephx], ..server_config() };
    let meeting = meet(client_config(), AuthMethod::None, server, &[], |_, _| {});
    let error = meeting.client.map(|_| ()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the peer does not allow this method or any of the offered modes: it allows the methods cephx and the \
         connection modes crc, secure"
    );
    let server = ServerConfig { con_modes: vec![ConMode::Secure], ..server_config() };
    let meeting = meet(client_config(), AuthMethod::Cephx, server, &[], |_, _| {});
    let HandshakeError::MethodRefused(bad) = meeting.client.map(|_| ()).unwrap_err() else { panic!() };
    assert_eq!((bad.result, &bad.allowed_modes[..]), (-95, &[2][..]));
}

#[test]
fn clients_that_want_somebody_else_or_are_nowhere() {
    let restarted = EntityAddr { nonce: 4712, ..osd_addr() };
    let server = ServerConfig { addrs: EntityAddrVec(vec![restarted]), ..server_config() };
    let here = server.addrs.clone();
    let meeting = meet(client_config(), AuthMethod::Cephx, server, &[], |_, _| {});
    let error = meeting.server.map(|_| ()).unwrap_err();
    assert_eq!(error, HandshakeError::WrongTarget { wanted: osd_addr(), here });
}

/// A peer that asks for more for ever is not listened to for ever.
#[test]
fn a_handshake_without_end() {
    struct Patient;
    impl crate::auth::ClientExchange for Patient {
        fn method(&self) -> AuthMethod {
            AuthMethod::Cephx
        }
        fn begin(&mut self) -> Vec<u8> {
            Vec::new()
        }
        fn more(&mut self, _: &[u8]) -> Result<Vec<u8>, AuthError> {
            Ok(Vec::new())
        }
        fn done(&mut self, _: crate::auth::AuthDone<'_>) -> Result<crate::auth::SessionSecrets, AuthError> {
            unreachable!("the peer is never satisfied")
        }
        fn refused(&self, _: i32) -> AuthError {
            unreachable!("the peer never refuses")
        }
    }
    let mut client = ClientHandshake::begin(client_config(), Patient);
    assert!(client.handle(&mut &script(&[hello()])[..]).is_ok());
    let mut more = Vec::new();
    Sealer::crc().control(&mut more, &Control::AuthReplyMore(&[0; 1000])).unwrap();
    let error = (0..1000).find_map(|_| client.handle(&mut &more[..]).err());
    assert_eq!(error, Some(HandshakeError::TooLong(256 << 10)));
}

#[test]
fn a_server_hears_nonsense() {
    let mut server = ServerHandshake::begin(server_config(), Box::<FakeServer>::default());
    let mut bytes = banner(1, 0);
    bytes.extend_from_slice(&[0xff; 40]);
    let error = server.handle(&mut &bytes[..]).map(|_| ()).unwrap_err();
    assert!(matches!(error, HandshakeError::Frame(FrameError::PreambleChecksum { .. })), "{error}");
    assert_eq!(server.handle(&mut &b""[..]).map(|_| ()).unwrap_err(), error, "an error is the end");
}
