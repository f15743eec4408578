//! A client and a server in memory: they meet, whatever the pieces are that their bytes arrive in, and then talk.

use super::{FakeClient, FakeServer};
use crate::auth::{AuthMethod, ConMode};
use crate::msgr2::{
    Accepted, ClientConfig, ClientHandshake, DataPlace, Established, Features, Frame, FrameLimits,
    FrameReader, HandshakeError, MessageHeader, MessageType, NoLanding, Opener, Progress, Sealer,
    ServerConfig, ServerHandshake,
};
use crate::types::{AddrKind, EntityAddr, EntityAddrVec, EntityType, GlobalId};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::net::SocketAddr;

pub(super) fn osd_addr() -> EntityAddr {
    let socket = Some(SocketAddr::from(([10, 0, 0, 5], 6800)));
    EntityAddr { kind: AddrKind::Msgr2, nonce: 4711, socket }
}

pub(super) fn client_config() -> ClientConfig {
    ClientConfig {
        peer_addr: osd_addr(),
        peer_type: EntityType::Osd,
        peer_num: Some(3),
        entity_type: EntityType::Client,
        ip: None,
        nonce: 99,
        con_modes: vec![ConMode::Crc],
        global_seq: 7,
        supported: Features::PACIFIC,
        required: Features::REQUIRED,
    }
}

pub(super) fn server_config() -> ServerConfig {
    let other = EntityAddr { kind: AddrKind::Legacy, ..osd_addr() };
    ServerConfig {
        addrs: EntityAddrVec(vec![osd_addr(), other]),
        entity_type: EntityType::Osd,
        num: 3,
        client_addr: EntityAddr {
            kind: AddrKind::Msgr2,
            nonce: 0,
            socket: Some(SocketAddr::from(([10, 0, 0, 9], 51234))),
        },
        methods: vec![AuthMethod::None, AuthMethod::Cephx],
        con_modes: vec![ConMode::Crc, ConMode::Secure],
        global_seq: 21,
        supported: Features::PACIFIC,
        required: Features::REQUIRED,
        refusal: None,
    }
}

/// Bytes on their way, which arrive in pieces.
struct Pipe {
    bytes: Vec<u8>,
    sizes: VecDeque<usize>,
}

impl Pipe {
    fn new(sizes: &[usize]) -> Pipe {
        Pipe { bytes: Vec::new(), sizes: sizes.iter().copied().collect() }
    }

    /// The next piece, and those that follow.
    fn piece(&mut self) -> Vec<u8> {
        let size = self.sizes.front().copied().unwrap_or(usize::MAX).min(self.bytes.len());
        self.sizes.rotate_left(1.min(self.sizes.len()));
        self.bytes.drain(..size).collect()
    }

    /// Bytes that were not used come first again.
    fn push_front(&mut self, rest: &[u8]) {
        self.bytes.splice(..0, rest.iter().copied());
    }
}

/// How a meeting ended.
pub(super) struct Meeting {
    pub(super) client: Result<Option<Established<FakeClient>>, HandshakeError>,
    pub(super) server: Result<Option<Accepted>, HandshakeError>,
}

/// Lets the two meet; `meddle` may change what is on its way to the client, and to the server.
pub(super) fn meet(
    client: ClientConfig,
    method: AuthMethod,
    server: ServerConfig,
    sizes: &[usize],
    mut meddle: impl FnMut(&mut Vec<u8>, &mut Vec<u8>),
) -> Meeting {
    let mut meeting = Meeting { client: Ok(None), server: Ok(None) };
    let mut client = ClientHandshake::begin(client, FakeClient { method });
    let mut server = ServerHandshake::begin(server, Box::<FakeServer>::default());
    let (mut to_client, mut to_server) = (Pipe::new(sizes), Pipe::new(sizes));
    loop {
        to_server.bytes.extend(client.take_output());
        to_client.bytes.extend(server.take_output());
        meddle(&mut to_client.bytes, &mut to_server.bytes);
        if to_client.bytes.is_empty() && to_server.bytes.is_empty() {
            return meeting;
        }
        let (for_server, for_client) = (to_server.piece(), to_client.piece());
        let mut input = &for_server[..];
        match server.handle(&mut input) {
            Ok(Progress::Pending) => assert!(input.is_empty()),
            Ok(Progress::Done(accepted)) => meeting.server = Ok(Some(accepted)),
            Err(error) => {
                meeting.server = Err(error);
                return meeting;
            }
        }
        to_server.push_front(input);
        let mut input = &for_client[..];
        match client.handle(&mut input) {
            Ok(Progress::Pending) => assert!(input.is_empty()),
            Ok(Progress::Done(established)) => meeting.client = Ok(Some(established)),
            Err(error) => {
                meeting.client = Err(error);
                return meeting;
            }
        }
        to_client.push_front(input);
    }
}

/// One message from one end to the other.
fn say(sealer: &mut Sealer, opener: Opener, data: &[u8]) -> FrameReader<Vec<u8>> {
    let mut out = Vec::new();
    let header = MessageHeader { seq: 1, ..MessageHeader::new(MessageType::PING, 1, 1) };
    let place = sealer.message(&mut out, &header, |e| _ = e.string("hello"), &[data], None).unwrap();
    let stream = match place {
        DataPlace::Inside => out,
        DataPlace::At(at) => [&out[..at], data, &out[at..]].concat(),
    };
    let mut reader = FrameReader::new(opener, FrameLimits::ESTABLISHED);
    let mut input = &stream[..];
    let Ok(Some(Frame::Message(message))) = reader.next(&mut input, &mut NoLanding) else {
        panic!("a message arrives");
    };
    assert_eq!((message.header, &*message.data), (header, data));
    reader
}

proptest! {
    #[test]
    fn two_ends_meet_and_talk(
        sizes in vec(1usize..200, 0..6),
        secure: bool,
        authenticated: bool,
    ) {
        let con_mode = if secure && authenticated { ConMode::Secure } else { ConMode::Crc };
        let method = if authenticated { AuthMethod::Cephx } else { AuthMethod::None };
        let config = ClientConfig { con_modes: vec![con_mode], ..client_config() };
        let Meeting { client, server } = meet(config, method, server_config(), &sizes, |_, _| {});
        let (mut client, mut server) = (client.unwrap().unwrap(), server.unwrap().unwrap());
        prop_assert_eq!((client.con_mode, server.con_mode), (con_mode, con_mode));
        prop_assert_eq!((client.global_id, server.global_id), (GlobalId(4100), GlobalId(4100)));
        prop_assert_eq!(client.addr.to_string(), "10.0.0.9:0/99");
        prop_assert_eq!(&server.client.addrs.0, &[client.addr]);
        prop_assert_eq!((client.peer.num, client.peer.global_seq), (3, 21));
        prop_assert_eq!((server.client.global_seq, server.client.target), (7, osd_addr()));
        prop_assert_eq!((client.features, server.features), (Features::PACIFIC, Features::PACIFIC));
        say(&mut client.sealer, server.opener, b"some data");
        say(&mut server.sealer, client.opener, b"");
    }

    #[test]
    fn a_changed_byte_never_lets_them_meet_as_if_nothing_was(
        at in 0usize..1200,
        change in 1u8..,
        to_client: bool,
        secure: bool,
    ) {
        let con_mode = if secure { ConMode::Secure } else { ConMode::Crc };
        let config = ClientConfig { con_modes: vec![con_mode], ..client_config() };
        let mut seen = 0;
        let mut changed = false;
        let meeting = meet(config, AuthMethod::Cephx, server_config(), &[], |for_client, for_server| {
            let bytes = if to_client { for_client } else { for_server };
            if (seen..seen + bytes.len()).contains(&at) {
                bytes[at - seen] ^= change;
                changed = true;
            }
            seen += bytes.len();
        });
        let both = matches!(&meeting, Meeting { client: Ok(Some(_)), server: Ok(Some(_)) });
        prop_assert_eq!(both, !changed);
    }
}

#[test]
fn the_first_mode_of_the_client_that_the_server_allows_is_chosen() {
    let config = ClientConfig { con_modes: vec![ConMode::Secure, ConMode::Crc], ..client_config() };
    let meeting = meet(config.clone(), AuthMethod::Cephx, server_config(), &[], |_, _| {});
    assert_eq!(meeting.client.unwrap().unwrap().con_mode, ConMode::Secure);
    let server = ServerConfig { con_modes: vec![ConMode::Crc], ..server_config() };
    let meeting = meet(config, AuthMethod::Cephx, server, &[], |_, _| {});
    assert_eq!(meeting.client.unwrap().unwrap().con_mode, ConMode::Crc);
}

#[test]
fn an_address_that_is_known_already_is_kept() {
    let config = ClientConfig { ip: Some([192, 0, 2, 1].into()), ..client_config() };
    let meeting = meet(config, AuthMethod::None, server_config(), &[], |_, _| {});
    assert_eq!(meeting.client.unwrap().unwrap().addr.to_string(), "192.0.2.1:0/99");
}
