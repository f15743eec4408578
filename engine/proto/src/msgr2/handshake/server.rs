//! The accepting end of a handshake, as model clusters and benches need it. It can be told to refuse, to show what a client
//! makes of that.

use super::line::{Line, unexpected};
use super::transcript::Awaited;
use super::{HandshakeError, Progress};
use crate::auth::{AuthMethod, ConMode, ServerExchange, ServerStep, SessionSecrets};
use crate::msgr2::secure::server_ends;
use crate::msgr2::{
    AuthBadMethod, AuthDone, AuthRequest, ClientIdent, Control, Features, Hello, IdentFlags, Opener, Sealer,
    ServerIdent,
};
use crate::types::{EntityAddr, EntityAddrVec, EntityType, GlobalId};

/// Linux's EACCES and EOPNOTSUPP, which is what travels.
const ACCESS: i32 = -13;
const NOT_SUPPORTED: i32 = -95;

/// Who accepts, and whom.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Where we are.
    pub addrs: EntityAddrVec,
    /// What we are.
    pub entity_type: EntityType,
    /// Our number among our kind.
    pub num: i64,
    /// Whence the client calls.
    pub client_addr: EntityAddr,
    /// The methods that are allowed.
    pub methods: Vec<AuthMethod>,
    /// The modes that are allowed. The client's order decides.
    pub con_modes: Vec<ConMode>,
    /// The number of this connection among all that we made.
    pub global_seq: u64,
    /// What we can do.
    pub supported: Features,
    /// What a client must be able to do.
    pub required: Features,
    /// How to refuse, if that is wanted.
    pub refusal: Option<Refusal>,
}

/// How to refuse a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// AUTH_BAD_METHOD with this result, to every AUTH_REQUEST.
    BadMethod(i32),
    /// WAIT, to CLIENT_IDENT.
    Wait,
    /// SESSION_RESET, to CLIENT_IDENT.
    Reset,
}

/// A connection whose session has begun.
#[derive(Debug)]
pub struct Accepted {
    /// Seals what is sent.
    pub sealer: Sealer,
    /// Opens what is received.
    pub opener: Opener,
    /// What protects the frames.
    pub con_mode: ConMode,
    /// What the client is called.
    pub global_id: GlobalId,
    /// Who the client is.
    pub client: ClientIdent,
    /// What both ends can do.
    pub features: Features,
}

/// The accepting end of a handshake.
pub struct ServerHandshake {
    config: ServerConfig,
    exchange: Box<dyn ServerExchange>,
    line: Line,
    state: State,
}

impl std::fmt::Debug for ServerHandshake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerHandshake").field("config", &self.config).field("state", &self.state).finish()
    }
}

#[derive(Debug)]
enum State {
    /// The client's banner is awaited.
    Banner,
    /// Its HELLO is awaited.
    Hello,
    /// Its AUTH_REQUEST is awaited, for the first time or after a refusal.
    Request,
    /// It is to say more.
    More { con_mode: ConMode, method: u32 },
    /// Its signature is awaited.
    Signed { con_mode: ConMode, global_id: GlobalId, awaited: Awaited },
    /// Its identity is awaited.
    Ident { con_mode: ConMode, global_id: GlobalId },
    /// Nothing is awaited any more.
    Done,
    /// The handshake failed.
    Failed(HandshakeError),
}

/// What a frame of the client comes to.
enum Step {
    /// The state moves on.
    Go(State),
    /// A frame to send, and the state after it.
    Say(Control<'static>, State),
    /// The client is to say more.
    More { payload: Vec<u8>, con_mode: ConMode, method: u32 },
    /// The client is who it says.
    Sign { con_mode: ConMode, global_id: GlobalId, payload: Vec<u8>, secrets: SessionSecrets },
    /// The session begins.
    Begin { con_mode: ConMode, global_id: GlobalId, client: ClientIdent },
}

impl ServerHandshake {
    /// Begins: there is output to send.
    pub fn begin(config: ServerConfig, exchange: Box<dyn ServerExchange>) -> ServerHandshake {
        ServerHandshake { config, exchange, line: Line::new(), state: State::Banner }
    }

    /// Bytes to send, if there are any.
    pub fn take_output(&mut self) -> Vec<u8> {
        self.line.take_output()
    }

    /// Reads what arrived. `input` is moved on past the bytes of the handshake, to those of the session.
    pub fn handle(&mut self, input: &mut &[u8]) -> Result<Progress<Accepted>, HandshakeError> {
        match self.advance(input) {
            Ok(progress) => Ok(progress),
            Err(error) => {
                self.state = State::Failed(error.clone());
                Err(error)
            }
        }
    }

    fn advance(&mut self, input: &mut &[u8]) -> Result<Progress<Accepted>, HandshakeError> {
        loop {
            match &self.state {
                State::Banner => {
                    if self.line.receive_banner(input)?.is_none() {
                        return Ok(Progress::Pending);
                    }
                    let hello = Hello {
                        entity_type: self.config.entity_type.bit(),
                        peer_addr: self.config.client_addr,
                    };
                    self.take(Step::Say(Control::Hello(hello), State::Hello))?;
                }
                State::Done => return Ok(Progress::Pending),
                State::Failed(error) => return Err(error.clone()),
                State::Hello
                | State::Request
                | State::More { .. }
                | State::Signed { .. }
                | State::Ident { .. } => {
                    let Some(frame) = self.line.receive(input)? else { return Ok(Progress::Pending) };
                    let step = step(&self.config, &mut *self.exchange, &self.state, frame)?;
                    if let Some(accepted) = self.take(step)? {
                        return Ok(Progress::Done(accepted));
                    }
                }
            }
        }
    }

    fn take(&mut self, step: Step) -> Result<Option<Accepted>, HandshakeError> {
        match step {
            Step::Go(state) => self.state = state,
            Step::Say(control, state) => {
                self.line.send(&control)?;
                self.state = state;
            }
            Step::More { payload, con_mode, method } => {
                self.line.send(&Control::AuthReplyMore(&payload))?;
                self.state = State::More { con_mode, method };
            }
            Step::Sign { con_mode, global_id, payload, secrets } => {
                let done = AuthDone { global_id, con_mode: con_mode.number(), payload: &payload };
                self.line.send(&Control::AuthDone(done))?;
                let awaited = self.line.sign(con_mode, secrets, server_ends)?;
                self.state = State::Signed { con_mode, global_id, awaited };
            }
            Step::Begin { con_mode, global_id, client } => {
                let ident = ServerIdent {
                    addrs: self.config.addrs.clone(),
                    num: self.config.num,
                    global_seq: self.config.global_seq,
                    supported: self.config.supported,
                    required: self.config.required,
                    flags: IdentFlags::LOSSY,
                    cookie: 0,
                };
                self.line.send(&Control::ServerIdent(ident))?;
                self.state = State::Done;
                let (sealer, opener) = self.line.take_ends();
                let features = self.config.supported.common(client.supported);
                return Ok(Some(Accepted { sealer, opener, con_mode, global_id, client, features }));
            }
        }
        Ok(None)
    }
}

/// What a frame of the client comes to in this state.
fn step(
    config: &ServerConfig,
    exchange: &mut dyn ServerExchange,
    state: &State,
    frame: Control<'_>,
) -> Result<Step, HandshakeError> {
    match state {
        State::Hello => match frame {
            Control::Hello(_) => Ok(Step::Go(State::Request)),
            other => Err(unexpected(&other, "HELLO")),
        },
        State::Request => match frame {
            Control::AuthRequest(request) => Ok(request_step(config, exchange, &request)),
            other => Err(unexpected(&other, "AUTH_REQUEST")),
        },
        State::More { con_mode, method } => match frame {
            Control::AuthRequestMore(payload) => {
                let answer = exchange.more(payload).map_err(|_| ACCESS);
                Ok(answer_step(config, *con_mode, *method, answer))
            }
            other => Err(unexpected(&other, "AUTH_REQUEST_MORE")),
        },
        State::Signed { con_mode, global_id, awaited } => match frame {
            Control::AuthSignature(signature) => {
                awaited.verify(&signature)?;
                Ok(Step::Go(State::Ident { con_mode: *con_mode, global_id: *global_id }))
            }
            other => Err(unexpected(&other, "AUTH_SIGNATURE")),
        },
        State::Ident { con_mode, global_id } => match frame {
            Control::ClientIdent(client) => ident_step(config, *con_mode, *global_id, client),
            other => Err(unexpected(&other, "CLIENT_IDENT")),
        },
        State::Banner | State::Done | State::Failed(_) => unreachable!("no frame is awaited in {state:?}"),
    }
}

fn request_step(config: &ServerConfig, exchange: &mut dyn ServerExchange, request: &AuthRequest<'_>) -> Step {
    let method = AuthMethod::from_number(request.method).filter(|method| config.methods.contains(method));
    let mut offered = request.con_modes.iter().filter_map(|&number| ConMode::from_number(number));
    let con_mode = offered.find(|mode| config.con_modes.contains(mode));
    match (config.refusal, method, con_mode) {
        (Some(Refusal::BadMethod(result)), _, _) => bad_method(config, request.method, result),
        (_, Some(method), Some(con_mode)) => {
            let answer = exchange.begin(method, con_mode, request.payload).map_err(|_| ACCESS);
            answer_step(config, con_mode, request.method, answer)
        }
        (_, None, _) | (_, _, None) => bad_method(config, request.method, NOT_SUPPORTED),
    }
}

fn answer_step(
    config: &ServerConfig,
    con_mode: ConMode,
    method: u32,
    answer: Result<ServerStep, i32>,
) -> Step {
    match answer {
        Ok(ServerStep::More(payload)) => Step::More { payload, con_mode, method },
        Ok(ServerStep::Done { global_id, payload, secrets }) => {
            Step::Sign { con_mode, global_id, payload, secrets }
        }
        Err(result) => bad_method(config, method, result),
    }
}

fn bad_method(config: &ServerConfig, method: u32, result: i32) -> Step {
    let bad = AuthBadMethod {
        method,
        result,
        allowed_methods: config.methods.iter().map(|method| method.number()).collect(),
        allowed_modes: config.con_modes.iter().map(|mode| mode.number()).collect(),
    };
    Step::Say(Control::AuthBadMethod(bad), State::Request)
}

/// Checks that the client means us and can talk to us.
fn ident_step(
    config: &ServerConfig,
    con_mode: ConMode,
    global_id: GlobalId,
    client: ClientIdent,
) -> Result<Step, HandshakeError> {
    if client.addrs.0.first().is_none_or(|addr| addr.socket.is_none()) {
        return Err(HandshakeError::NoClientAddress);
    }
    if !config.addrs.0.contains(&client.target) {
        return Err(HandshakeError::WrongTarget { wanted: client.target, here: config.addrs.clone() });
    }
    let again = State::Ident { con_mode, global_id };
    let missing = client.supported.missing(config.required);
    if !missing.is_empty() {
        return Ok(Step::Say(Control::IdentMissingFeatures(missing), again));
    }
    match config.refusal {
        Some(Refusal::Wait) => Ok(Step::Say(Control::Wait, again)),
        Some(Refusal::Reset) => Ok(Step::Say(Control::SessionReset(true), again)),
        Some(Refusal::BadMethod(_)) | None => Ok(Step::Begin { con_mode, global_id, client }),
    }
}
