//! Proving who one is: the exchange that runs inside a connection's handshake.
//!
//! A client first logs in at a monitor ([`cephx::Login`]) with its [`Credentials`], whose key comes from a
//! [`Keyring`] or stands alone, and gets [`cephx::Tickets`]: an immutable snapshot that all cores share, replaced
//! as a whole when tickets are renewed or the client logs in again. With its tickets it authenticates to OSDs and
//! managers ([`cephx::Authorizer`]). On clusters without authentication, [`NoneExchange`] takes the place of both.
//! [`server`] is the other side.
//!
//! Time and random numbers are passed in by the caller. Secrets are wiped when dropped and never printed.

mod aes128;
mod aes256k;
pub mod cephx;
mod error;
mod exchange;
mod key;
mod keyring;
mod none;
mod random;
pub mod server;
mod user;

pub use error::AuthError;
pub use exchange::{
    AuthDone, AuthMethod, ClientExchange, ConMode, ConnectionSecret, ServerExchange, ServerStep,
    SessionSecrets,
};
pub use key::{Confounder, CryptoKey, KeyError, KeyKind, KeyUsage};
pub use keyring::{KEYRING_BYTES_MAX, Keyring, KeyringEntry, KeyringError, KeyringErrorKind};
pub use none::NoneExchange;
pub use random::Random;
pub use user::{CephUser, Credentials, USER_ID_BYTES_MAX, UserNameError};
