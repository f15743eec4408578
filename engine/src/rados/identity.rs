//! Who we are to the daemons: one address and nonce for all connections of a client.
//!
//! A client is fenced by blocklisting its address and nonce. If its cores had several, one that was fenced could go on
//! writing through the others.

use ringbd_proto::types::{AddrKind, EntityAddr};
use std::net::IpAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// One life of a client.
#[derive(Debug)]
pub(super) struct Identity {
    /// Our address as the first daemon saw it.
    ip: OnceLock<IpAddr>,
    nonce: u32,
    /// Connections made.
    global_seq: AtomicU64,
}

impl Identity {
    /// A new life. The nonce is random and not 0.
    pub(super) fn new(random: u64) -> Identity {
        let nonce = ((random ^ (random >> 32)) as u32).max(1);
        Identity { ip: OnceLock::new(), nonce, global_seq: AtomicU64::new(0) }
    }

    pub(super) fn ip(&self) -> Option<IpAddr> {
        self.ip.get().copied()
    }

    pub(super) fn nonce(&self) -> u32 {
        self.nonce
    }

    pub(super) fn next_global_seq(&self) -> u64 {
        self.global_seq.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Takes our address from the first connection that stands.
    pub(super) fn learn(&self, addr: &EntityAddr) {
        if let Some(socket) = addr.socket {
            self.ip.get_or_init(|| socket.ip());
        }
    }

    /// Our address as blocklists and watchers' lists show it.
    pub(super) fn addr(&self) -> Option<EntityAddr> {
        let socket = std::net::SocketAddr::new(self.ip()?, 0);
        Some(EntityAddr { kind: AddrKind::Any, nonce: self.nonce, socket: Some(socket) })
    }
}
