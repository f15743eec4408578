//! How two ends meet: banners, hellos, authentication, signatures, identities.
//!
//! ```text
//! client                                                server
//! banner, HELLO, AUTH_REQUEST  ────────────────────────▶
//!                              ◀──────────────────────── banner, HELLO
//!                              ◀──────────────────────── AUTH_REPLY_MORE     ┐ as often as the
//! AUTH_REQUEST_MORE            ────────────────────────▶                     ┘ method wants
//!                              ◀──────────────────────── AUTH_DONE
//!                 ─ ─ from here on encrypted, if the mode is secure ─ ─
//! AUTH_SIGNATURE               ◀───────────────────────▶ AUTH_SIGNATURE
//! CLIENT_IDENT                 ────────────────────────▶
//!                              ◀──────────────────────── SERVER_IDENT
//! ```
//!
//! The client's first frames do not depend on what the server says, so they go out with the banner. Each signature
//! covers every byte that its sender received before, from the banner to AUTH_DONE, so nobody in between can have changed
//! what was announced or agreed on.
//!
//! Both machines are driven alike: give what arrives to `handle`, send what `take_output` gives, until `handle` is done.
//! An error is the end. Whoever drives them sets a time limit.

mod client;
mod error;
mod line;
mod server;
mod transcript;

pub use client::{ClientConfig, ClientHandshake, Established};
pub use error::HandshakeError;
pub use server::{Accepted, Refusal, ServerConfig, ServerHandshake};

/// How far a handshake has come.
#[derive(Debug)]
pub enum Progress<T> {
    /// It waits for the peer.
    Pending,
    /// It is over. There may still be output to send, and input that belongs to the session.
    Done(T),
}
