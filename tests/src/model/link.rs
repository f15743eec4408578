//! One accepted connection: the handshake's other side, messages in, messages out.

use ringbd_proto::auth::{AuthMethod, ConMode, ServerExchange};
use ringbd_proto::codec::Encoder;
use ringbd_proto::crc;
use ringbd_proto::message::{Front, FrontVersion};
use ringbd_proto::msgr2::{
    Control, DataPlace, Features, Frame, FrameLimits, FrameReader, Message, MessageHeader, MessageType,
    NoLanding, Progress, Sealer, ServerConfig, ServerHandshake,
};
use ringbd_proto::types::{AddrKind, EntityAddr, EntityAddrVec, EntityType, GlobalId, Tid};
use ringbd_reactor::{
    Gather, Instant, SharedBuf, TcpListener, TcpStream, WaitQueue, sleep_until, spawn_detached,
};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Who accepts connections.
pub(super) trait Daemon: 'static {
    /// What a connection carries for this daemon.
    type Session: Default;

    fn kind(&self) -> EntityType;
    fn num(&self) -> i64;
    fn addrs(&self) -> EntityAddrVec;
    fn methods(&self) -> (Vec<AuthMethod>, Vec<ConMode>);
    fn exchange(&self) -> Box<dyn ServerExchange>;

    /// Until when it hangs, if it does: it then reads nothing.
    fn stalled(&self) -> Option<Instant> {
        None
    }

    /// A connection stands.
    fn begin(self: &Rc<Self>, link: &Rc<Link<Self::Session>>);

    /// A message came. False ends the connection.
    fn message(self: &Rc<Self>, link: &Rc<Link<Self::Session>>, message: &Message<'_, Vec<u8>>) -> bool;

    /// A connection is gone.
    fn ended(self: &Rc<Self>, link: &Rc<Link<Self::Session>>);
}

/// A connection that stands.
pub(super) struct Link<S> {
    pub(super) global_id: GlobalId,
    pub(super) session: RefCell<S>,
    stream: TcpStream,
    outgoing: RefCell<Outgoing>,
    something: WaitQueue,
    ended: Cell<bool>,
}

struct Outgoing {
    sealer: Sealer,
    gather: Gather,
    seq: u64,
    /// The last data sent and its checksum: a model without objects sends the same again and again.
    last: (SharedBuf, u32),
}

impl<S> Link<S> {
    /// Sends a message.
    pub(super) fn send(
        &self,
        mut header: MessageHeader,
        front: impl FnOnce(&mut Encoder<'_>),
        data: SharedBuf,
    ) {
        if self.ended.get() {
            return;
        }
        let mut outgoing = self.outgoing.borrow_mut();
        let Outgoing { sealer, gather, seq, last } = &mut *outgoing;
        *seq += 1;
        header.seq = *seq;
        if !std::ptr::eq(&raw const *last.0, &raw const *data) {
            *last = (data.clone(), crc::crc32c(crc::SEED, &data));
        }
        let place = sealer.message(gather.bytes(), &header, front, &[&data], Some(last.1));
        match place {
            Ok(DataPlace::Inside) => {}
            Ok(DataPlace::At(place)) => gather.insert(place, data),
            Err(_) => self.end(),
        }
        self.something.wake_one();
    }

    /// Sends a message that has nothing but fields, or small data.
    pub(super) fn post<'a, F: Front<'a>>(&self, tid: Tid, front: &F, data: SharedBuf) {
        let kind = F::KIND;
        let header =
            MessageHeader { tid, ..MessageHeader::new(MessageType(kind.number), kind.version, kind.compat) };
        self.send(header, |e| front.encode(e), data);
    }

    pub(super) fn end(&self) {
        self.ended.set(true);
        self.stream.shutdown();
        self.something.wake_all();
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.get()
    }
}

/// The versions in a message's header.
pub(super) fn versions(header: &MessageHeader) -> FrontVersion {
    FrontVersion { version: header.version, compat: header.compat_version }
}

/// Where a daemon that listens is.
pub(super) fn address(listener: &TcpListener, nonce: u32) -> EntityAddrVec {
    let socket = listener.local_addr().expect("a listener has an address");
    EntityAddrVec(vec![EntityAddr { kind: AddrKind::Msgr2, nonce, socket: Some(socket) }])
}

/// Accepts connections for ever.
pub(super) async fn accept<D: Daemon>(daemon: Rc<D>, listener: TcpListener) {
    let mut global_seq = 0;
    while let Ok((stream, peer)) = listener.accept().await {
        global_seq += 1;
        spawn_detached(serve(daemon.clone(), stream, peer, global_seq));
    }
}

async fn serve<D: Daemon>(daemon: Rc<D>, stream: TcpStream, peer: std::net::SocketAddr, global_seq: u64) {
    // Who goes away, or does not get in, is no matter.
    let _: Option<()> = session(&daemon, stream, peer, global_seq).await;
}

async fn session<D: Daemon>(
    daemon: &Rc<D>,
    stream: TcpStream,
    peer: std::net::SocketAddr,
    global_seq: u64,
) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let (methods, con_modes) = daemon.methods();
    let config = ServerConfig {
        addrs: daemon.addrs(),
        entity_type: daemon.kind(),
        num: daemon.num(),
        client_addr: EntityAddr { kind: AddrKind::Msgr2, nonce: 0, socket: Some(peer) },
        methods,
        con_modes,
        global_seq,
        supported: Features::PACIFIC,
        required: Features::REQUIRED,
        refusal: None,
    };
    let mut handshake = ServerHandshake::begin(config, daemon.exchange());
    let mut receive = stream.receiver();
    let (accepted, early) = loop {
        send(&stream, handshake.take_output()).await?;
        let bytes = receive.next().await?.ok()?;
        let mut rest = &bytes[..];
        if let Progress::Done(accepted) = handshake.handle(&mut rest).ok()? {
            break (accepted, rest.to_vec());
        }
    };
    send(&stream, handshake.take_output()).await?;
    let link = Rc::new(Link {
        global_id: accepted.global_id,
        session: RefCell::default(),
        stream,
        outgoing: RefCell::new(Outgoing {
            sealer: accepted.sealer,
            gather: Gather::new(),
            seq: 0,
            last: (SharedBuf::empty(), crc::SEED),
        }),
        something: WaitQueue::new(),
        ended: Cell::new(false),
    });
    spawn_detached(write(link.clone()));
    daemon.begin(&link);
    let mut reader = FrameReader::new(accepted.opener, FrameLimits::ESTABLISHED);
    let mut goes_on = read(daemon, &link, &mut reader, &early);
    while goes_on {
        let received = receive.next().await;
        while let Some(until) = daemon.stalled() {
            sleep_until(until).await;
        }
        goes_on = match received {
            Some(Ok(bytes)) => read(daemon, &link, &mut reader, &bytes),
            Some(Err(_)) | None => false,
        };
    }
    link.end();
    daemon.ended(&link);
    Some(())
}

/// Hands frames to the daemon. False ends the connection.
fn read<D: Daemon>(
    daemon: &Rc<D>,
    link: &Rc<Link<D::Session>>,
    reader: &mut FrameReader<Vec<u8>>,
    mut bytes: &[u8],
) -> bool {
    loop {
        match reader.next(&mut bytes, &mut NoLanding) {
            Ok(None) => return true,
            Ok(Some(Frame::Message(message))) => {
                if !daemon.message(link, &message) {
                    return false;
                }
            }
            Ok(Some(Frame::Control(Control::Keepalive2(stamp)))) => {
                let mut outgoing = link.outgoing.borrow_mut();
                let Outgoing { sealer, gather, .. } = &mut *outgoing;
                if sealer.control(gather.bytes(), &Control::Keepalive2Ack(stamp)).is_err() {
                    return false;
                }
                link.something.wake_one();
            }
            Ok(Some(Frame::Control(Control::Keepalive2Ack(_) | Control::Ack(_)))) => {}
            Ok(Some(Frame::Control(_))) | Err(_) => return false,
        }
        if link.has_ended() {
            return false;
        }
    }
}

async fn write<S>(link: Rc<Link<S>>) {
    let mut gather = Gather::new();
    while !link.ended.get() {
        if link.outgoing.borrow().gather.is_empty() {
            link.something.wait().await;
            continue;
        }
        std::mem::swap(&mut gather, &mut link.outgoing.borrow_mut().gather);
        let result;
        (result, gather) = link.stream.send(gather).await;
        gather.clear();
        if result.is_err() {
            link.end();
        }
    }
}

async fn send(stream: &TcpStream, bytes: Vec<u8>) -> Option<()> {
    let mut gather = Gather::new();
    *gather.bytes() = bytes;
    stream.send(gather).await.0.ok()
}
