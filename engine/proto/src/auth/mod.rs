//! Proving who one is: the exchange that runs inside a connection's handshake.

mod error;
mod exchange;

pub use error::AuthError;
pub use exchange::{
    AuthDone, AuthMethod, ClientExchange, ConMode, ConnectionSecret, ServerExchange, ServerStep,
    SessionSecrets,
};
