//! A client of a Ceph cluster: made once, then joined by the cores that use it.
//!
//! ```text
//!   Cluster::new(config, cores) ──▶ Cluster + one Seat for each core
//!   on each core: Seat::join ──▶ Rados ──▶ ready() ──▶ pool("data") ──▶ IoCtx: read, write, …
//! ```
//!
//! One client is one identity to the cluster, however many cores it has: one global id, one address and nonce, one space of
//! tids. Each OSD is spoken to over one connection, which lives on one of the cores; operations of the others go there as
//! encoded messages.

use super::config::ClusterConfig;
use super::core::Core;
use super::error::OpError;
use super::identity::Identity;
use super::ioctx::IoCtx;
use super::message::{CoreNo, Message};
use super::monitor::{CommandOutput, MonRequest};
use super::shared::Shared;
use super::status::{self, ClusterStatus};
use crate::error::{Error, ErrorKind, Result};
use ringbd_proto::osdmap::OsdMap;
use ringbd_proto::types::{EntityAddr, Epoch, GlobalId, PoolId};
use ringbd_reactor::{Elapsed, Receiver, World, mailbox, now, sleep, timeout};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Cores of one client: what the core's part of a tid counts.
pub const CORES_MAX: usize = 1 << 8;

/// How often connections are counted while they are waited for; a handshake takes a few milliseconds.
const CONNECT_POLL: Duration = Duration::from_millis(5);

/// A client of a cluster, from any thread.
#[derive(Clone, Debug)]
pub struct Cluster {
    shared: Arc<Shared>,
}

/// The right to be one core of a client, taken to the thread that will be it.
#[derive(Debug)]
pub struct Seat {
    no: CoreNo,
    shared: Arc<Shared>,
    mailbox: Receiver<Message>,
    monitor: Option<Receiver<MonRequest>>,
}

impl Cluster {
    /// A client with that many cores. It begins to connect when the first seat is taken.
    ///
    /// # Panics
    /// When `cores` is 0 or more than [`CORES_MAX`].
    pub fn new(world: &World, config: ClusterConfig, cores: usize) -> (Cluster, Vec<Seat>) {
        assert!((1..=CORES_MAX).contains(&cores), "a client has 1 to {CORES_MAX} cores");
        let (mail, boxes): (Vec<_>, Vec<_>) = (0..cores).map(|_| mailbox()).unzip();
        let (to_monitor, monitor) = mailbox();
        let identity = Identity::new(world.random_u64());
        let shared = Arc::new(Shared::new(config, identity, mail, to_monitor));
        let mut monitor = Some(monitor);
        let seats = boxes.into_iter().enumerate().map(|(no, mailbox)| {
            let no = CoreNo(u8::try_from(no).expect("cores are counted to CORES_MAX"));
            Seat { no, shared: shared.clone(), mailbox, monitor: monitor.take() }
        });
        let seats = seats.collect();
        (Cluster { shared }, seats)
    }

    /// How many cores it has.
    pub fn cores(&self) -> usize {
        self.shared.cores()
    }

    /// What the monitors call this client; 0 before the first login.
    pub fn global_id(&self) -> GlobalId {
        self.shared.global_id()
    }

    /// Our address, as blocklists and lists of watchers show it; none before the first connection.
    pub fn addr(&self) -> Option<EntityAddr> {
        self.shared.identity.addr()
    }

    /// The options that the monitors' configuration database has for this client, as of now.
    pub fn monitor_config(&self) -> Vec<(String, String)> {
        self.shared.monitor_config()
    }

    /// Whether the cluster has fenced this client.
    pub fn is_fenced(&self) -> bool {
        self.shared.over() == Some(&OpError::Blocklisted)
    }

    /// Ends the client on all its cores: what is in flight fails, and its tasks end.
    pub fn close(&self) {
        if self.shared.close() {
            self.shared.ask_monitor(MonRequest::Stop);
            self.shared.tell_all(|| Message::Stop);
        }
    }
}

impl Seat {
    /// Makes the running core a core of the client.
    pub fn join(self) -> Rados {
        let Seat { no, shared, mailbox, monitor } = self;
        Rados { core: Core::start(no, shared, mailbox, monitor) }
    }
}

/// The client, on one of its cores.
#[derive(Clone)]
pub struct Rados {
    core: Rc<Core>,
}

impl Rados {
    /// Waits until the client knows the cluster, for as long as `client_mount_timeout` lets it.
    ///
    /// # Errors
    /// No monitor takes it: what each said, and what to do about it.
    pub async fn ready(&self) -> Result<()> {
        let (reply, ready) = oneshot::async_channel();
        self.core.shared().ask_monitor(MonRequest::Ready(reply));
        let (began, limit) = (now(), self.core.config().mount_timeout);
        let closed = || OpError::Closed.of("connect to", "the cluster");
        match timeout(limit, ready).await {
            Ok(Ok(outcome)) => outcome?,
            Ok(Err(_)) => return Err(closed()),
            Err(Elapsed) => {
                let (reply, reason) = oneshot::async_channel();
                self.core.shared().ask_monitor(MonRequest::WhyNotReady { waited: began.elapsed(), reply });
                return Err(reason.await.unwrap_or_else(|_| closed()));
            }
        }
        // The map reaches this core's mailbox before the word that there is one does.
        self.core.wait_for_map(Epoch(1)).await;
        Ok(())
    }

    /// The client as any thread sees it.
    pub fn cluster(&self) -> Cluster {
        Cluster { shared: self.core.shared().clone() }
    }

    /// This core's number.
    pub fn core(&self) -> CoreNo {
        self.core.no()
    }

    /// The newest map that this core has seen.
    pub fn map(&self) -> Option<Arc<OsdMap>> {
        self.core.map()
    }

    /// A pool by its name.
    ///
    /// # Errors
    /// There is no such pool, also not in the newest map; the error names those that there are and are called alike.
    pub async fn pool(&self, name: &str) -> Result<IoCtx> {
        if let Some(id) = self.pool_id(name) {
            return Ok(IoCtx::new(self.core.clone(), id));
        }
        self.latest_map().await.map_err(|error| error.of("look up", format_args!("pool {name}")))?;
        match self.pool_id(name) {
            Some(id) => Ok(IoCtx::new(self.core.clone(), id)),
            None => Err(self.no_such_pool(name)),
        }
    }

    /// A pool by its number.
    pub fn pool_by_id(&self, id: PoolId) -> IoCtx {
        IoCtx::new(self.core.clone(), id)
    }

    fn pool_id(&self, name: &str) -> Option<PoolId> {
        self.core.with_map(|map| map?.pool_named(name))
    }

    fn no_such_pool(&self, name: &str) -> Error {
        let names: Vec<String> = self.core.with_map(|map| {
            let names = |map: &OsdMap| {
                map.pools().filter_map(|(id, _)| map.pool_name(id).map(str::to_owned)).collect()
            };
            map.map(names).unwrap_or_default()
        });
        let alike = crate::config::near_matches(name, names.iter().map(String::as_str));
        let error =
            Error::new(ErrorKind::NotFound, "open", format_args!("pool {name}"), "there is no such pool");
        match alike.first() {
            Some(other) => error.hint(format!("did you mean {other}?")),
            None => error.hint("`ceph osd pool ls` lists the pools; `ceph osd pool create` makes one"),
        }
    }

    /// Waits until this core has the newest map that there is.
    pub async fn latest_map(&self) -> std::result::Result<(), OpError> {
        let newest = self.version("osdmap").await?;
        let epoch = Epoch(u32::try_from(newest).unwrap_or(u32::MAX));
        self.core.want_map(epoch).await
    }

    async fn version(&self, what: &'static str) -> std::result::Result<u64, OpError> {
        self.core.ask_monitors(|reply| MonRequest::Version { what, reply }).await
    }

    /// Gives the monitors a command in JSON (`{"prefix":"osd tree","format":"json"}`) and waits for what they say.
    pub async fn mon_command(&self, json: &str, input: &[u8]) -> std::result::Result<CommandOutput, OpError> {
        let (text, input) = (json.to_owned(), input.to_vec());
        self.core.ask_monitors(|reply| MonRequest::Command { text, input, reply }).await
    }

    /// Fences a client: the cluster takes nothing from that address any more, for as long as `expire`, or for the time
    /// that the cluster has set. Returns when this client's map has it, so that what is written next comes after the fence.
    ///
    /// # Errors
    /// The monitors refuse, or do not answer in time.
    pub async fn blocklist_add(
        &self,
        addr: &EntityAddr,
        expire: Option<Duration>,
    ) -> std::result::Result<(), OpError> {
        let expire = expire.map_or(String::new(), |expire| format!(r#","expire":{}.0"#, expire.as_secs()));
        let mut refused = 0;
        // Clusters before Pacific know the command by its older name.
        for word in ["blocklist", "blacklist"] {
            let command = format!(r#"{{"prefix":"osd {word}","{word}op":"add","addr":"{addr}"{expire}}}"#);
            let output = self.mon_command(&command, b"").await?;
            if output.result == 0 {
                return self.latest_map().await;
            }
            refused = output.result;
        }
        Err(OpError::of_result(refused))
    }

    /// What the client knows of the cluster, and what all its cores and connections do.
    pub async fn status(&self) -> ClusterStatus {
        status::of(self.core.shared()).await
    }

    /// Connects to every OSD that is up, which operations do only when they need one, and waits until that is done or
    /// `limit` is over. [`status`](Self::status) tells to whom there are connections then, and why not to others.
    pub async fn connect_to_osds(&self, limit: Duration) {
        self.core.greet_osds();
        let connected = async {
            loop {
                let status = self.status().await;
                let connections = status.sessions.iter().filter(|session| session.connection.is_some());
                if connections.count() >= status.osds.up {
                    return;
                }
                sleep(CONNECT_POLL).await;
            }
        };
        let _: std::result::Result<(), Elapsed> = timeout(limit, connected).await;
    }
}
