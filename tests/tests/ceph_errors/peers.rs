//! Peers that are no monitor as it should be: made by hand, one thread each, on loopback.

use ringbd_proto::auth::server::NoneServer;
use ringbd_proto::auth::{AuthMethod, ConMode};
use ringbd_proto::msgr2::{Features, Progress, ServerConfig, ServerHandshake};
use ringbd_proto::types::{AddrKind, EntityAddr, EntityAddrVec, EntityType, GlobalId};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::spawn;
use std::time::Duration;

/// Listens, and serves each connection by itself, for as long as the test runs. Returns where.
fn listen(serve: impl Fn(TcpStream, SocketAddr) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let here = listener.local_addr().unwrap();
    spawn(move || {
        for stream in listener.incoming() {
            let (stream, serve) = (stream.unwrap(), serve.clone());
            stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            spawn(move || serve(stream, here));
        }
    });
    here
}

/// Says something at once, and listens until the client goes away.
fn says_first(words: &'static [u8]) -> SocketAddr {
    listen(move |mut stream, _| {
        drop(stream.write_all(words));
        while let Ok(1..) = stream.read(&mut [0; 4096]) {}
    })
}

/// A monitor of the first messenger protocol: its banner, and its address behind it.
pub(crate) fn first_protocol() -> SocketAddr {
    says_first(b"ceph v027\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")
}

/// A web server, which waits for a request and does not understand it.
pub(crate) fn web_server() -> SocketAddr {
    listen(|mut stream, _| {
        if stream.read(&mut [0; 4096]).is_ok() {
            drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"));
        }
    })
}

/// Somebody who never says anything.
pub(crate) fn silent() -> SocketAddr {
    says_first(b"")
}

/// The banner of a messenger that requires a feature which nobody has.
pub(crate) fn newer_messenger() -> SocketAddr {
    says_first(b"ceph v2\n\x10\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x40")
}

/// A monitor that requires features of its clients that ringbd does not have.
pub(crate) fn requires(features: Features) -> SocketAddr {
    listen(move |mut stream, here| {
        let client = stream.peer_addr().unwrap();
        let addr = |socket| EntityAddr { kind: AddrKind::Msgr2, nonce: 0, socket: Some(socket) };
        let config = ServerConfig {
            addrs: EntityAddrVec(vec![addr(here)]),
            entity_type: EntityType::Mon,
            num: 0,
            client_addr: addr(client),
            methods: vec![AuthMethod::None],
            con_modes: vec![ConMode::Crc],
            global_seq: 1,
            supported: Features(u64::MAX),
            required: Features(Features::REQUIRED.0 | features.0),
            refusal: None,
        };
        let mut handshake = ServerHandshake::begin(config, Box::new(NoneServer::new(GlobalId(4711))));
        let mut bytes = [0; 4096];
        loop {
            if stream.write_all(&handshake.take_output()).is_err() {
                return;
            }
            let Ok(n @ 1..) = stream.read(&mut bytes) else { return };
            match handshake.handle(&mut &bytes[..n]) {
                Ok(Progress::Pending) => {}
                Ok(Progress::Done(_)) => panic!("a client without {features} got in"),
                Err(_) => {
                    drop(stream.write_all(&handshake.take_output()));
                    return;
                }
            }
        }
    })
}
