//! Tests of the protocol as a whole: recorded frames and handshakes, random ones, and ends that misbehave.

mod deviations;
mod golden_frames;
mod golden_handshakes;
mod limits;
mod naive;
mod pair;
mod streams;

use crate::auth::{
    AuthDone, AuthError, AuthMethod, ClientExchange, ConMode, ConnectionSecret, ServerExchange, ServerStep,
    SessionSecrets,
};
use crate::types::GlobalId;
use std::path::Path;

/// A recorded file.
pub(super) fn golden(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A recorded file in JSON.
pub(super) fn golden_json(name: &str) -> serde_json::Value {
    serde_json::from_slice(&golden(name)).unwrap()
}

/// The bytes that hexadecimal digits stand for.
pub(super) fn unhex(digits: &str) -> Vec<u8> {
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

/// A secret whose every byte is another.
pub(super) fn secret() -> ConnectionSecret {
    ConnectionSecret(std::array::from_fn(|at| at as u8))
}

fn secrets(con_mode: ConMode) -> SessionSecrets {
    SessionSecrets {
        signing_key: Some(b"a session key".to_vec()),
        connection_secret: (con_mode == ConMode::Secure).then(secret),
    }
}

/// An exchange in which the server asks once for more.
#[derive(Debug)]
pub(super) struct FakeClient {
    pub(super) method: AuthMethod,
}

impl ClientExchange for FakeClient {
    fn method(&self) -> AuthMethod {
        self.method
    }

    fn begin(&mut self) -> Vec<u8> {
        b"I am admin".to_vec()
    }

    fn more(&mut self, payload: &[u8]) -> Result<Vec<u8>, AuthError> {
        match payload {
            b"prove it" => Ok(b"here is the proof".to_vec()),
            _ => Err(AuthError::Proof("an unknown question")),
        }
    }

    fn done(&mut self, done: AuthDone<'_>) -> Result<SessionSecrets, AuthError> {
        match self.method {
            AuthMethod::None => Ok(SessionSecrets::default()),
            AuthMethod::Cephx if done.payload == b"welcome" => Ok(secrets(done.con_mode)),
            AuthMethod::Cephx => Err(AuthError::Proof("no welcome")),
        }
    }

    fn refused(&self, result: i32) -> AuthError {
        AuthError::Refused { result }
    }
}

/// The other end of [`FakeClient`].
#[derive(Debug, Default)]
pub(super) struct FakeServer {
    con_mode: Option<ConMode>,
}

impl ServerExchange for FakeServer {
    fn begin(
        &mut self,
        method: AuthMethod,
        con_mode: ConMode,
        payload: &[u8],
    ) -> Result<ServerStep, AuthError> {
        assert_eq!(payload, b"I am admin");
        self.con_mode = Some(con_mode);
        match method {
            AuthMethod::None => Ok(ServerStep::Done {
                global_id: GlobalId(4100),
                payload: Vec::new(),
                secrets: SessionSecrets::default(),
            }),
            AuthMethod::Cephx => Ok(ServerStep::More(b"prove it".to_vec())),
        }
    }

    fn more(&mut self, payload: &[u8]) -> Result<ServerStep, AuthError> {
        match payload {
            b"here is the proof" => Ok(ServerStep::Done {
                global_id: GlobalId(4100),
                payload: b"welcome".to_vec(),
                secrets: secrets(self.con_mode.unwrap()),
            }),
            _ => Err(AuthError::Proof("no proof")),
        }
    }
}
