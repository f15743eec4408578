//! Making a connection: TCP and the handshake, within a time limit.

use super::incoming::Incoming;
use super::outgoing::write;
use super::{ConnectError, Connection};
use crate::rados::identity::Identity;
use ringbd_proto::auth::{ClientExchange, ConMode};
use ringbd_proto::msgr2::{
    ClientConfig, ClientHandshake, Established, Features, FrameLimits, FrameReader, Progress, ServerIdent,
};
use ringbd_proto::types::{EntityAddr, EntityType, GlobalId};
use ringbd_reactor::{Buf, Gather, TcpStream, spawn_detached, timeout};
use std::rc::Rc;
use std::time::Duration;

/// Who is to be at the other end.
#[derive(Clone, Copy, Debug)]
pub(in crate::rados) struct Peer {
    pub(in crate::rados) addr: EntityAddr,
    pub(in crate::rados) kind: EntityType,
    /// Its number, where it matters.
    pub(in crate::rados) num: Option<i64>,
}

/// A connection that stands.
pub(in crate::rados) struct Opened<X> {
    pub(in crate::rados) connection: Rc<Connection>,
    pub(in crate::rados) incoming: Incoming,
    pub(in crate::rados) global_id: GlobalId,
    pub(in crate::rados) peer: ServerIdent,
    /// The exchange, with what it learned.
    pub(in crate::rados) exchange: X,
}

/// Connects to `peer` and shakes hands. `modes` are the connection modes that will do, the best first.
pub(in crate::rados) async fn open<X: ClientExchange>(
    identity: &Identity,
    peer: Peer,
    modes: &[ConMode],
    exchange: X,
    limit: Duration,
) -> Result<Opened<X>, ConnectError> {
    match timeout(limit, connect(identity, peer, modes, exchange)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(ConnectError::TimedOut(limit)),
    }
}

async fn connect<X: ClientExchange>(
    identity: &Identity,
    peer: Peer,
    modes: &[ConMode],
    exchange: X,
) -> Result<Opened<X>, ConnectError> {
    let socket = peer.addr.socket.expect("who is dialled has an address");
    let stream = TcpStream::connect(socket).await?;
    stream.set_nodelay(true)?;
    let config = ClientConfig {
        peer_addr: peer.addr,
        peer_type: peer.kind,
        peer_num: peer.num,
        entity_type: EntityType::Client,
        ip: identity.ip(),
        nonce: identity.nonce(),
        con_modes: modes.to_vec(),
        global_seq: identity.next_global_seq(),
        supported: Features::PACIFIC,
        required: Features::REQUIRED,
    };
    let mut handshake = ClientHandshake::begin(config, exchange);
    let mut receive = stream.receiver();
    loop {
        send(&stream, handshake.take_output()).await?;
        let bytes = receive.next().await.ok_or(ConnectError::Closed)??;
        let mut rest = &bytes[..];
        let Progress::Done(established) = handshake.handle(&mut rest)? else { continue };
        let early = rest.to_vec();
        drop(bytes);
        send(&stream, handshake.take_output()).await?;
        let Established { sealer, opener, con_mode, global_id, addr, peer, features, exchange } = established;
        identity.learn(&addr);
        let connection = Connection::new(stream, sealer, con_mode, features);
        spawn_detached(write(Rc::clone(&connection)));
        let reader: FrameReader<Buf> = FrameReader::new(opener, FrameLimits::ESTABLISHED);
        let incoming = Incoming { receive, reader, early };
        return Ok(Opened { connection, incoming, global_id, peer, exchange });
    }
}

async fn send(stream: &TcpStream, bytes: Vec<u8>) -> Result<(), ConnectError> {
    let mut gather = Gather::new();
    *gather.bytes() = bytes;
    stream.send(gather).await.0.map_err(ConnectError::Io)
}
