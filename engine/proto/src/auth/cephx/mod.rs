//! Authentication with shared keys and tickets, Kerberos-like.
//!
//! ```text
//! client                          monitor                     OSD, manager
//!   │ user, global id                │                             │
//!   ├───────────────────────────────►│                             │
//!   │◄──────────────── its challenge ┤                             │
//!   │ answer, own challenge, old ticket                            │
//!   ├───────────────────────────────►│                             │
//!   │◄─ tickets, session keys, connection secret                   │
//!   │                                                              │
//!   │ ticket, nonce                                                │
//!   ├─────────────────────────────────────────────────────────────►│
//!   │◄────────────────────────────────────────────── its challenge ┤
//!   │ ticket, nonce, challenge + 1                                 │
//!   ├─────────────────────────────────────────────────────────────►│
//!   │◄──────────────────────────────── nonce + 1, connection secret┤
//! ```
//!
//! A ticket is opaque to the client: it names the client and its capabilities, encrypted with a secret that the
//! monitors share with the service, and goes with a session key that the client gets encrypted with its own key.
//! Tickets of services live for an hour and are renewed over the monitor session ([`Tickets::renewal`]); the ticket
//! of the authentication service itself lives for days and proves, at the next login, that the client is the one
//! that was here before and may keep its global id.

mod authorizer;
mod login;
mod renewal;
mod ticket;
pub(super) mod wire;

pub use authorizer::Authorizer;
pub use login::Login;
pub use ticket::{CLOCK_SKEW_S_MAX, TICKETS_WANTED, Ticket, Tickets};

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod golden_tests;
