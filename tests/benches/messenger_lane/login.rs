//! How a lane gets to its OSD: a login at the monitor, the map, and a handshake with the OSD that everything goes to.
//!
//! None of it is measured, so it is done with blocking sockets. What is left is a [`Line`]: a connected socket and the two
//! ends of its frames, which each lane takes into its own runtime.

use ringbd_proto::auth::cephx::{Authorizer, Login, Tickets};
use ringbd_proto::auth::{CephUser, ClientExchange, ConMode, Credentials, CryptoKey, Random};
use ringbd_proto::message::{Front, FrontVersion};
use ringbd_proto::mon::{MMonSubscribe, MOsdMap, Subscription};
use ringbd_proto::msgr2::{
    ClientConfig, ClientHandshake, Established, Features, Frame, FrameLimits, FrameReader, MessageHeader,
    MessageType, NoLanding, Progress,
};
use ringbd_proto::osdmap::OsdMap;
use ringbd_proto::types::{AddrKind, EntityAddr, EntityType, OsdId, Utime};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// What is received at a time.
const RECEIVE_BYTES: usize = 64 << 10;

/// A client that has logged in.
pub(crate) struct Client {
    mode: ConMode,
    tickets: Tickets,
    /// Where everything is.
    pub(crate) map: OsdMap,
}

/// A connection whose handshake is done.
pub(crate) struct Line<S> {
    pub(crate) stream: S,
    pub(crate) established: Established<Authorizer>,
    /// What arrived behind the handshake.
    pub(crate) early: Vec<u8>,
}

impl Client {
    /// Logs in by the options that the daemons gave, as `name=value`.
    pub(crate) fn log_in(options: &[String]) -> Client {
        let option = |name: &str| {
            let value = options.iter().find_map(|option| option.strip_prefix(name)?.strip_prefix('='));
            value.unwrap_or_else(|| panic!("the daemons give {name}"))
        };
        let mode = if option("ms_client_mode") == "secure" { ConMode::Secure } else { ConMode::Crc };
        let key = CryptoKey::from_base64(option("key")).expect("the daemons give a key");
        let user = CephUser::client("admin").expect("a user may be called so");
        let login = Login::new(Arc::new(Credentials { user, key }), None, time(), &mut random());
        let address = option("mon_host").trim_start_matches("v2:").parse().expect("an address");
        let addr = EntityAddr { kind: AddrKind::Msgr2, nonce: 0, socket: Some(address) };
        let mut handshake = ClientHandshake::begin(config(addr, EntityType::Mon, mode), login);
        let mut line = shake_hands(address, &mut handshake);
        let tickets = line.established.exchange.take_tickets().expect("a login brings tickets");
        let map = map(&mut line);
        Client { mode, tickets, map }
    }

    /// Where the OSD is.
    pub(crate) fn osd(&self) -> SocketAddr {
        self.osd_addr().socket.expect("an OSD that is up has an address")
    }

    fn osd_addr(&self) -> EntityAddr {
        let addrs = self.map.osd_addrs(OsdId(0)).expect("the OSD is up");
        *addrs.msgr2().expect("the OSD speaks the second protocol")
    }

    /// A handshake with the OSD, to be carried out by whoever has the connection.
    pub(crate) fn handshake(&self) -> ClientHandshake<Authorizer> {
        let exchange = Authorizer::new(&self.tickets, EntityType::Osd, time(), &mut random());
        let exchange = exchange.expect("the tickets are new");
        ClientHandshake::begin(config(self.osd_addr(), EntityType::Osd, self.mode), exchange)
    }

    /// Connects to the OSD, with a blocking socket.
    pub(crate) fn connect(&self) -> Line<TcpStream> {
        let Shaken { stream, established, early } = shake_hands(self.osd(), &mut self.handshake());
        Line { stream, established, early }
    }
}

fn config(peer_addr: EntityAddr, peer_type: EntityType, mode: ConMode) -> ClientConfig {
    ClientConfig {
        peer_addr,
        peer_type,
        peer_num: None,
        entity_type: EntityType::Client,
        ip: None,
        nonce: std::process::id(),
        con_modes: vec![mode],
        global_seq: 1,
        supported: Features::PACIFIC,
        required: Features::REQUIRED,
    }
}

struct Shaken<X> {
    stream: TcpStream,
    established: Established<X>,
    early: Vec<u8>,
}

fn shake_hands<X: ClientExchange>(address: SocketAddr, handshake: &mut ClientHandshake<X>) -> Shaken<X> {
    let mut stream = TcpStream::connect(address).expect("the daemon is there");
    stream.set_nodelay(true).expect("it is a TCP socket");
    let mut bytes = vec![0; RECEIVE_BYTES];
    loop {
        stream.write_all(&handshake.take_output()).expect("the daemon listens");
        let received = stream.read(&mut bytes).expect("the daemon answers");
        assert!(received > 0, "the daemon closed the connection during the handshake");
        let mut rest = &bytes[..received];
        if let Progress::Done(established) = handshake.handle(&mut rest).expect("the daemon agrees") {
            stream.write_all(&handshake.take_output()).expect("the daemon listens");
            return Shaken { stream, established, early: rest.to_vec() };
        }
    }
}

/// Asks the monitor for the OSDs' map.
fn map(line: &mut Shaken<Login>) -> OsdMap {
    let what = vec![Subscription { what: "osdmap".into(), start: 0, one_time: true }];
    let front = MMonSubscribe { what, hostname: "".into() };
    let kind = MMonSubscribe::KIND;
    let header =
        MessageHeader { seq: 1, ..MessageHeader::new(MessageType(kind.number), kind.version, kind.compat) };
    let mut out = Vec::new();
    let sealed = line.established.sealer.message(&mut out, &header, |e| front.encode(e), &[], None);
    sealed.expect("a new connection has nonces");
    line.stream.write_all(&out).expect("the monitor listens");
    let opener = std::mem::replace(&mut line.established.opener, ringbd_proto::msgr2::Opener::crc());
    let mut reader = FrameReader::new(opener, FrameLimits::ESTABLISHED);
    let mut bytes = std::mem::take(&mut line.early);
    loop {
        let mut rest = &bytes[..];
        while let Some(frame) = reader.next(&mut rest, &mut NoLanding).expect("the monitor speaks well") {
            if let Frame::Message(message) = frame
                && message.header.kind == MessageType::OSD_MAP
            {
                let MessageHeader { version, compat_version: compat, .. } = message.header;
                let maps = MOsdMap::decode(FrontVersion { version, compat }, message.front);
                let maps = maps.expect("the monitor speaks well");
                let (_, whole) = maps.fulls.last().expect("who has none gets a whole map");
                return OsdMap::decode(whole).expect("the monitor's map is right");
            }
        }
        bytes.resize(RECEIVE_BYTES, 0);
        let received = line.stream.read(&mut bytes).expect("the monitor answers");
        assert!(received > 0, "the monitor closed the connection");
        bytes.truncate(received);
    }
}

fn time() -> Utime {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").into()
}

/// Good enough for daemons that keep nothing.
fn random() -> impl Random {
    let mut random = fastrand::Rng::new();
    move |bytes: &mut [u8]| random.fill(bytes)
}
