//! Every control frame comes back as it was written, and is refused when it is cut off.

use super::*;
use crate::types::{AddrKind, EntityAddr, EntityAddrVec, GlobalId};

fn addr(port: u16) -> EntityAddr {
    let socket = Some(std::net::SocketAddr::from(([127, 0, 0, 1], port)));
    EntityAddr { kind: AddrKind::Msgr2, nonce: u32::from(port), socket }
}

fn every_control() -> Vec<Control<'static>> {
    let addrs = EntityAddrVec(vec![addr(1), addr(2)]);
    vec![
        Control::Hello(Hello { entity_type: 8, peer_addr: addr(3300) }),
        Control::AuthRequest(AuthRequest { method: 2, con_modes: vec![2, 1], payload: b"please" }),
        Control::AuthBadMethod(AuthBadMethod {
            method: 2,
            result: -95,
            allowed_methods: vec![1],
            allowed_modes: vec![1, 2],
        }),
        Control::AuthReplyMore(b"prove it"),
        Control::AuthRequestMore(b"so"),
        Control::AuthDone(AuthDone { global_id: GlobalId(4100), con_mode: 2, payload: b"welcome" }),
        Control::AuthSignature([7; SIGNATURE_BYTES]),
        Control::ClientIdent(ClientIdent {
            addrs: addrs.clone(),
            target: addr(3),
            global_id: GlobalId(4100),
            global_seq: 5,
            supported: Features::PACIFIC,
            required: Features::REQUIRED,
            flags: IdentFlags::LOSSY,
            cookie: 6,
        }),
        Control::ServerIdent(ServerIdent {
            addrs: addrs.clone(),
            num: -1,
            global_seq: 5,
            supported: Features::PACIFIC,
            required: Features::REQUIRED,
            flags: IdentFlags(0),
            cookie: 6,
        }),
        Control::IdentMissingFeatures(Features::CRUSH_V2),
        Control::SessionReconnect(SessionReconnect {
            addrs,
            client_cookie: 1,
            server_cookie: 2,
            global_seq: 3,
            connect_seq: 4,
            msg_seq: 5,
        }),
        Control::SessionReset(true),
        Control::SessionRetry(1),
        Control::SessionRetryGlobal(2),
        Control::SessionReconnectOk(3),
        Control::Wait,
        Control::Keepalive2(Utime { sec: 1, nsec: 2 }),
        Control::Keepalive2Ack(Utime { sec: 3, nsec: 4 }),
        Control::Ack(9),
    ]
}

#[test]
fn every_control_comes_back() {
    let controls = every_control();
    let tags: Vec<_> = (0..=u8::MAX).filter_map(Tag::from_number).collect();
    assert_eq!(controls.len() + 1, tags.len(), "one of each, and the message");
    for control in &controls {
        let mut payload = Encoder::to_vec(|e| control.encode(e));
        assert_eq!(Control::decode(control.tag(), &payload), Ok(Some(control.clone())));
        for cut in 0..payload.len() {
            let error = Control::decode(control.tag(), &payload[..cut]).expect_err("it is cut off");
            assert!(error.offset <= cut, "{error}");
        }
        payload.extend_from_slice(b"from a later release");
        assert_eq!(Control::decode(control.tag(), &payload), Ok(Some(control.clone())));
    }
}

#[test]
fn the_numbers_of_tags_are_the_protocol_s() {
    for (number, tag) in [(1, Tag::Hello), (8, Tag::ClientIdent), (17, Tag::Message), (20, Tag::Ack)] {
        assert_eq!((tag.number(), Tag::from_number(number)), (number, Some(tag)));
    }
    assert_eq!(Tag::from_number(0).or(Tag::from_number(21)), None);
}
