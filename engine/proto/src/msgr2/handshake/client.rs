//! The connecting end of a handshake.

use super::line::{Line, unexpected};
use super::transcript::Awaited;
use super::{HandshakeError, Progress};
use crate::auth::{self, AuthError, AuthMethod, ClientExchange, ConMode, SessionSecrets};
use crate::msgr2::secure::client_ends;
use crate::msgr2::{
    AuthDone, AuthRequest, ClientIdent, Control, Features, Hello, IdentFlags, Opener, Sealer, ServerIdent,
};
use crate::types::{AddrKind, EntityAddr, EntityAddrVec, EntityType, GlobalId};
use std::net::{IpAddr, SocketAddr};

/// Linux's EOPNOTSUPP, which is what travels.
const NOT_SUPPORTED: i32 = -95;

/// What a handshake is to lead to.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The address that was dialled, as the map has it, with its nonce.
    pub peer_addr: EntityAddr,
    /// What should be there.
    pub peer_type: EntityType,
    /// Which one should be there, if it matters.
    pub peer_num: Option<i64>,
    /// What we are.
    pub entity_type: EntityType,
    /// Our IP address, as an earlier connection learned it. It must be the same on all connections of a client, because a
    /// client is fenced by its address. None on the first connection: then the peer says it.
    pub ip: Option<IpAddr>,
    /// The nonce of this life of the client, the same on all its connections.
    pub nonce: u32,
    /// The modes that will do, the best first.
    pub con_modes: Vec<ConMode>,
    /// The number of this connection among all that the client made.
    pub global_seq: u64,
    /// What we can do.
    pub supported: Features,
    /// What the peer must be able to do.
    pub required: Features,
}

/// A connection whose session has begun.
#[derive(Debug)]
pub struct Established<X> {
    /// Seals what is sent.
    pub sealer: Sealer,
    /// Opens what is received.
    pub opener: Opener,
    /// What protects the frames.
    pub con_mode: ConMode,
    /// What the client is called.
    pub global_id: GlobalId,
    /// Our address.
    pub addr: EntityAddr,
    /// Who the peer is.
    pub peer: ServerIdent,
    /// What both ends can do.
    pub features: Features,
    /// The exchange, with what it has learned.
    pub exchange: X,
}

/// The connecting end of a handshake.
#[derive(Debug)]
pub struct ClientHandshake<X = Box<dyn ClientExchange>> {
    config: ClientConfig,
    /// None once the handshake is done.
    exchange: Option<X>,
    line: Line,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The peer's banner is awaited.
    Banner,
    /// The peer's HELLO is awaited.
    Hello,
    /// The peer wants to hear more, or is satisfied.
    Authenticating { ip: IpAddr },
    /// The peer's signature is awaited.
    Signed { ip: IpAddr, con_mode: ConMode, global_id: GlobalId, awaited: Awaited },
    /// The peer's identity is awaited.
    Identified { addr: EntityAddr, con_mode: ConMode, global_id: GlobalId },
    /// Nothing is awaited any more.
    Done,
    /// The handshake failed.
    Failed(HandshakeError),
}

/// What a frame of the peer comes to.
enum Step {
    /// A frame to send, and the state after it.
    Say(Control<'static>, State),
    /// The state moves on.
    Go(State),
    /// The next part of the method's exchange.
    More(Vec<u8>),
    /// The peer is satisfied.
    Sign { ip: IpAddr, con_mode: ConMode, global_id: GlobalId, secrets: SessionSecrets },
    /// The session begins.
    Begin { addr: EntityAddr, con_mode: ConMode, global_id: GlobalId, peer: ServerIdent },
}

impl<T: ClientExchange + ?Sized> ClientExchange for Box<T> {
    fn method(&self) -> AuthMethod {
        (**self).method()
    }

    fn begin(&mut self) -> Vec<u8> {
        (**self).begin()
    }

    fn more(&mut self, payload: &[u8]) -> Result<Vec<u8>, AuthError> {
        (**self).more(payload)
    }

    fn done(&mut self, done: auth::AuthDone<'_>) -> Result<SessionSecrets, AuthError> {
        (**self).done(done)
    }

    fn refused(&self, result: i32) -> AuthError {
        (**self).refused(result)
    }
}

impl<X: ClientExchange> ClientHandshake<X> {
    /// Begins: there is output to send.
    pub fn begin(config: ClientConfig, mut exchange: X) -> ClientHandshake<X> {
        assert!(config.peer_addr.socket.is_some(), "an address that was dialled has a socket");
        assert!(!config.con_modes.is_empty(), "some mode must do");
        let mut line = Line::new();
        let hello = Hello { entity_type: config.entity_type.bit(), peer_addr: config.peer_addr };
        let request = AuthRequest {
            method: exchange.method().number(),
            con_modes: config.con_modes.iter().map(|mode| mode.number()).collect(),
            payload: &exchange.begin(),
        };
        let mut state = State::Banner;
        for control in [Control::Hello(hello), Control::AuthRequest(request)] {
            if let Err(error) = line.send(&control) {
                state = State::Failed(error);
            }
        }
        ClientHandshake { config, exchange: Some(exchange), line, state }
    }

    /// Bytes to send, if there are any.
    pub fn take_output(&mut self) -> Vec<u8> {
        self.line.take_output()
    }

    /// Reads what arrived. `input` is moved on past the bytes of the handshake, to those of the session.
    pub fn handle(&mut self, input: &mut &[u8]) -> Result<Progress<Established<X>>, HandshakeError> {
        match self.advance(input) {
            Ok(progress) => Ok(progress),
            Err(error) => {
                self.state = State::Failed(error.clone());
                Err(error)
            }
        }
    }

    fn advance(&mut self, input: &mut &[u8]) -> Result<Progress<Established<X>>, HandshakeError> {
        loop {
            match &self.state {
                State::Banner => match self.line.receive_banner(input)? {
                    Some(_) => self.state = State::Hello,
                    None => return Ok(Progress::Pending),
                },
                State::Done => return Ok(Progress::Pending),
                State::Failed(error) => return Err(error.clone()),
                State::Hello
                | State::Authenticating { .. }
                | State::Signed { .. }
                | State::Identified { .. } => {
                    let Some(frame) = self.line.receive(input)? else { return Ok(Progress::Pending) };
                    let exchange = self.exchange.as_mut().expect("the exchange is there until the end");
                    let step = step(&self.config, exchange, &self.state, frame)?;
                    if let Some(established) = self.take(step)? {
                        return Ok(Progress::Done(established));
                    }
                }
            }
        }
    }

    fn take(&mut self, step: Step) -> Result<Option<Established<X>>, HandshakeError> {
        match step {
            Step::Say(control, state) => {
                self.line.send(&control)?;
                self.state = state;
            }
            Step::Go(state) => self.state = state,
            Step::More(payload) => self.line.send(&Control::AuthRequestMore(&payload))?,
            Step::Sign { ip, con_mode, global_id, secrets } => {
                let awaited = self.line.sign(con_mode, secrets, client_ends)?;
                self.state = State::Signed { ip, con_mode, global_id, awaited };
            }
            Step::Begin { addr, con_mode, global_id, peer } => {
                self.state = State::Done;
                let (sealer, opener) = self.line.take_ends();
                let features = self.config.supported.common(peer.supported);
                let exchange = self.exchange.take().expect("a handshake ends once");
                return Ok(Some(Established {
                    sealer,
                    opener,
                    con_mode,
                    global_id,
                    addr,
                    peer,
                    features,
                    exchange,
                }));
            }
        }
        Ok(None)
    }
}

/// What a frame of the peer comes to in this state.
fn step(
    config: &ClientConfig,
    exchange: &mut impl ClientExchange,
    state: &State,
    frame: Control<'_>,
) -> Result<Step, HandshakeError> {
    match state {
        State::Hello => hello(config, &frame),
        State::Authenticating { ip } => authenticate(config, exchange, *ip, frame),
        State::Signed { ip, con_mode, global_id, awaited } => {
            let Control::AuthSignature(signature) = frame else {
                return Err(unexpected(&frame, "AUTH_SIGNATURE"));
            };
            awaited.verify(&signature)?;
            Ok(identify(config, *ip, *con_mode, *global_id))
        }
        State::Identified { addr, con_mode, global_id } => {
            let peer = meet(config, frame)?;
            Ok(Step::Begin { addr: *addr, con_mode: *con_mode, global_id: *global_id, peer })
        }
        State::Banner | State::Done | State::Failed(_) => unreachable!("no frame is awaited in {state:?}"),
    }
}

fn hello(config: &ClientConfig, frame: &Control<'_>) -> Result<Step, HandshakeError> {
    let Control::Hello(hello) = frame else { return Err(unexpected(frame, "HELLO")) };
    if hello.entity_type != config.peer_type.bit() {
        let (expected, found) = (config.peer_type, hello.entity_type);
        return Err(HandshakeError::WrongPeerType { expected, found });
    }
    let seen = hello.peer_addr.socket.map(|socket| socket.ip()).filter(|ip| !ip.is_unspecified());
    let ip = config.ip.or(seen).ok_or(HandshakeError::NoAddress)?;
    Ok(Step::Go(State::Authenticating { ip }))
}

fn authenticate(
    config: &ClientConfig,
    exchange: &mut impl ClientExchange,
    ip: IpAddr,
    frame: Control<'_>,
) -> Result<Step, HandshakeError> {
    match frame {
        Control::AuthReplyMore(payload) => Ok(Step::More(exchange.more(payload)?)),
        // The methods and modes that are allowed matter when ours are not; everything else the method can explain.
        Control::AuthBadMethod(bad) if bad.result == NOT_SUPPORTED => Err(HandshakeError::MethodRefused(bad)),
        Control::AuthBadMethod(bad) => Err(HandshakeError::Auth(exchange.refused(bad.result))),
        Control::AuthDone(AuthDone { global_id, con_mode, payload }) => {
            let con_mode = ConMode::from_number(con_mode).ok_or(HandshakeError::UnknownConMode(con_mode))?;
            if !config.con_modes.contains(&con_mode) {
                return Err(HandshakeError::ConModeNotOffered(con_mode));
            }
            let secrets = exchange.done(auth::AuthDone { global_id, con_mode, payload })?;
            Ok(Step::Sign { ip, con_mode, global_id, secrets })
        }
        other => Err(unexpected(&other, "AUTH_REPLY_MORE or AUTH_DONE")),
    }
}

fn identify(config: &ClientConfig, ip: IpAddr, con_mode: ConMode, global_id: GlobalId) -> Step {
    let socket = Some(SocketAddr::new(ip, 0));
    let addr = EntityAddr { kind: AddrKind::Any, nonce: config.nonce, socket };
    let ident = ClientIdent {
        addrs: EntityAddrVec(vec![addr]),
        target: config.peer_addr,
        global_id,
        global_seq: config.global_seq,
        supported: config.supported,
        required: config.required,
        flags: IdentFlags::LOSSY,
        cookie: 0,
    };
    Step::Say(Control::ClientIdent(ident), State::Identified { addr, con_mode, global_id })
}

/// Checks that the peer is who was wanted, and that the session is of the kind that was wanted.
fn meet(config: &ClientConfig, frame: Control<'_>) -> Result<ServerIdent, HandshakeError> {
    let peer = match frame {
        Control::ServerIdent(peer) => peer,
        Control::IdentMissingFeatures(missing) => return Err(HandshakeError::FeaturesMissing(missing)),
        Control::Wait => return Err(HandshakeError::Wait),
        Control::SessionReset(_)
        | Control::SessionRetry(_)
        | Control::SessionRetryGlobal(_)
        | Control::SessionReconnectOk(_) => return Err(HandshakeError::SessionFault(frame.tag())),
        other => return Err(unexpected(&other, "SERVER_IDENT")),
    };
    if !peer.addrs.0.contains(&config.peer_addr) {
        return Err(HandshakeError::WrongPeer { wanted: config.peer_addr, found: peer.addrs });
    }
    if let Some(wanted) = config.peer_num.filter(|&wanted| wanted != peer.num) {
        return Err(HandshakeError::WrongPeerNum { wanted, found: peer.num });
    }
    if !config.supported.contains(peer.required) {
        return Err(HandshakeError::FeaturesMissing(config.supported.missing(peer.required)));
    }
    if !peer.supported.contains(config.required) {
        return Err(HandshakeError::PeerFeaturesMissing(peer.supported.missing(config.required)));
    }
    if !peer.flags.is_lossy() {
        return Err(HandshakeError::NotLossy);
    }
    Ok(peer)
}
