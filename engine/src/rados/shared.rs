//! What all cores of a client share: who it is, what the monitors gave it, and everybody's mailbox.
//!
//! The rule: nothing here is looked at for every operation. Tickets are read when a connection is made, homes when an OSD is
//! first spoken to, and a core has its own reference to the map.

use super::config::ClusterConfig;
use super::error::OpError;
use super::identity::Identity;
use super::message::{CoreNo, Message};
use super::monitor::MonRequest;
use ringbd_proto::auth::CephUser;
use ringbd_proto::auth::cephx::Tickets;
use ringbd_proto::types::{GlobalId, OsdId};
use ringbd_reactor::Sender;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

#[derive(Debug)]
pub(super) struct Shared {
    /// As the client was made; each core has it as the monitors have tuned it since.
    pub(super) config: Arc<ClusterConfig>,
    pub(super) identity: Identity,
    /// 0 before the first login.
    global_id: AtomicU64,
    tickets: Mutex<Option<Arc<Tickets>>>,
    /// Options as the monitors have them for us.
    monitor_config: Mutex<Vec<(String, String)>>,
    /// Why the client can do nothing any more, for good.
    over: OnceLock<OpError>,
    closed: AtomicBool,
    /// By core.
    mail: Vec<Sender<Message>>,
    monitor: Sender<MonRequest>,
    /// Which core has the connection to an OSD, for as long as the client lives.
    homes: Mutex<BTreeMap<OsdId, CoreNo>>,
    /// How many watches and notifications there are at an OSD, whose connection must stay.
    lingering: Mutex<BTreeMap<OsdId, usize>>,
}

/// A mutex here guards plain tables that no panic leaves half-changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(
        config: ClusterConfig,
        identity: Identity,
        mail: Vec<Sender<Message>>,
        monitor: Sender<MonRequest>,
    ) -> Shared {
        Shared {
            config: Arc::new(config),
            identity,
            global_id: AtomicU64::new(0),
            tickets: Mutex::new(None),
            monitor_config: Mutex::default(),
            over: OnceLock::new(),
            closed: AtomicBool::new(false),
            mail,
            monitor,
            homes: Mutex::default(),
            lingering: Mutex::default(),
        }
    }

    pub(super) fn cores(&self) -> usize {
        self.mail.len()
    }

    pub(super) fn send(&self, to: CoreNo, message: Message) {
        self.mail[usize::from(to.0)].send(message);
    }

    /// Tells every core.
    pub(super) fn tell_all(&self, mut message: impl FnMut() -> Message) {
        self.mail.iter().for_each(|mail| mail.send(message()));
    }

    /// Asks the core that speaks to the monitors.
    pub(super) fn ask_monitor(&self, request: MonRequest) {
        self.monitor.send(request);
    }

    /// The core that has the connection to an OSD: the one with the fewest takes a new one.
    pub(super) fn home_of(&self, osd: OsdId) -> CoreNo {
        let mut homes = lock(&self.homes);
        if let Some(&home) = homes.get(&osd) {
            return home;
        }
        let mut connections = vec![0; self.cores()];
        homes.values().for_each(|home| connections[usize::from(home.0)] += 1);
        let emptiest = connections.iter().enumerate().min_by_key(|&(_, count)| count);
        let (place, _) = emptiest.expect("a client has a core");
        let home = CoreNo(u8::try_from(place).expect("a client has no more cores than CoreNo counts"));
        homes.insert(osd, home);
        home
    }

    pub(super) fn user(&self) -> &CephUser {
        &self.config.user
    }

    pub(super) fn global_id(&self) -> GlobalId {
        GlobalId(self.global_id.load(Ordering::Relaxed))
    }

    pub(super) fn tickets(&self) -> Option<Arc<Tickets>> {
        lock(&self.tickets).clone()
    }

    /// The options that the monitors' database has for us.
    pub(super) fn monitor_config(&self) -> Vec<(String, String)> {
        lock(&self.monitor_config).clone()
    }

    pub(super) fn set_monitor_config(&self, options: Vec<(String, String)>) {
        *lock(&self.monitor_config) = options;
    }

    /// Takes what a login or a renewal brought.
    pub(super) fn log_in(&self, global_id: GlobalId, tickets: Option<Tickets>) {
        *lock(&self.tickets) = tickets.map(Arc::new);
        self.global_id.store(global_id.0, Ordering::Relaxed);
    }

    /// Why the client can do nothing any more, if it cannot.
    pub(super) fn over(&self) -> Option<&OpError> {
        self.over.get()
    }

    /// From now on everything fails with `error`. True the first time.
    pub(super) fn end_with(&self, error: OpError) -> bool {
        self.over.set(error).is_ok()
    }

    /// Something begins to linger at an OSD.
    pub(super) fn linger_at(&self, osd: OsdId) {
        *lock(&self.lingering).entry(osd).or_default() += 1;
    }

    /// Something lingers there no more.
    pub(super) fn leave(&self, osd: OsdId) {
        let mut lingering = lock(&self.lingering);
        let count = lingering.get_mut(&osd).expect("what leaves has come");
        *count -= 1;
        if *count == 0 {
            lingering.remove(&osd);
        }
    }

    /// Whether something lingers at an OSD.
    pub(super) fn lingers_at(&self, osd: OsdId) -> bool {
        lock(&self.lingering).contains_key(&osd)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// The client ends. True the first time.
    pub(super) fn close(&self) -> bool {
        !self.closed.swap(true, Ordering::Relaxed)
    }
}
