//! What all daemons of a model cluster know, and what was found wrong with the clients.

use super::census::{Census, Seen};
use super::manners::Manners;
use super::maps::Maps;
use super::truth::Truth;
use super::watchers::Watchers;
use ringbd_proto::auth::server::{ClusterKeys, TicketLives};
use ringbd_proto::auth::{CephUser, ConMode, Credentials, CryptoKey, KeyKind};
use ringbd_proto::mon::{MonInfo, MonMap};
use ringbd_proto::osd::Redirect;
use ringbd_proto::types::{EntityAddr, EntityAddrVec, EntityType, Epoch, Fsid, GlobalId, OsdId, Utime};
use ringbd_reactor::Sender;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Findings that are kept; the first is what matters.
const VIOLATIONS_MAX: usize = 16;

/// The cluster's name for itself.
pub const FSID: Fsid = Fsid(*b"a model cluster!");

/// How clients prove who they are.
#[derive(Clone, Debug)]
pub enum Auth {
    /// Not at all.
    None,
    /// By cephx, with that connection mode and these keys.
    Cephx(ConMode, Arc<ClusterKeys>),
}

/// The key of the one user, which is no secret.
const USER_SECRET: [u8; 16] = *b"nobody's secret!";

impl Auth {
    /// By cephx, with tickets that live for `lives` and keys drawn from `seed`. There is one user, `client.admin`.
    ///
    /// # Panics
    /// Never: `admin` is a name that a user may have.
    pub fn cephx(mode: ConMode, lives: TicketLives, seed: u64) -> Auth {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut keys =
            ClusterKeys::new(KeyKind::Aes128, lives, Utime::default(), &mut |bytes: &mut [u8]| {
                random.fill(bytes);
            });
        let user = CephUser::client("admin").expect("a user may be called so");
        let caps = [(EntityType::Mon, "allow *"), (EntityType::Osd, "allow *")];
        keys.add_user(Credentials { user, key: user_key() }, &caps);
        Auth::Cephx(mode, Arc::new(keys))
    }

    /// Gives a service a new secret; the oldest is forgotten.
    pub fn rotate(&mut self, service: EntityType, random: &mut fastrand::Rng) {
        if let Auth::Cephx(_, keys) = self {
            let mut fill = |bytes: &mut [u8]| random.fill(bytes);
            Arc::make_mut(keys).rotate(service, Utime::default(), &mut fill);
        }
    }

    /// The options by which a client gets in.
    pub fn client_options(&self) -> Vec<(&'static str, String)> {
        match self {
            Auth::None => vec![("auth_client_required", "none".to_owned())],
            Auth::Cephx(mode, _) => {
                let mode = match mode {
                    ConMode::Crc => "crc",
                    ConMode::Secure => "secure",
                };
                vec![
                    ("auth_client_required", "cephx".to_owned()),
                    ("key", user_key().to_base64().to_string()),
                    ("ms_client_mode", mode.to_owned()),
                    ("ms_mon_client_mode", mode.to_owned()),
                ]
            }
        }
    }
}

fn user_key() -> CryptoKey {
    CryptoKey::aes128(Utime::default(), USER_SECRET)
}

/// What all daemons know.
#[derive(Debug)]
pub struct State {
    /// The OSDs' maps.
    pub maps: Maps,
    /// Where the monitors are, by their number.
    pub monitors: Vec<EntityAddrVec>,
    /// How clients prove who they are.
    pub auth: Auth,
    /// How the daemons behave.
    pub manners: Manners,
    /// What clients have asked of OSDs and got no answer to.
    pub asked: InFlight,
    /// The priorities by which operations were sent.
    pub priorities: BTreeSet<u16>,
    /// What the monitors have in their configuration for clients.
    pub monitor_config: Vec<(String, String)>,
    /// Whether OSDs keep objects.
    pub keeps: bool,
    /// How long an OSD that keeps nothing takes for an operation.
    pub service_time: Duration,
    /// The objects.
    pub truth: Truth,
    /// Objects that are to be found elsewhere, by the name under which they are asked for.
    pub elsewhere: BTreeMap<Vec<u8>, Redirect>,
    /// Who watches what.
    pub watchers: Watchers,
    /// What happened.
    pub census: Census,
    /// Clients by their global ids, each with the one address that it ever had.
    clients: BTreeMap<GlobalId, EntityAddr>,
    /// Global ids that a monitor did not let go on.
    disowned: BTreeSet<GlobalId>,
    violations: Vec<String>,
    next_global_id: u64,
    next_snap: u64,
    daemons: Vec<Sender<News>>,
}

/// Operations in flight, as OSDs see them in a cluster that loses none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InFlight {
    /// Operations now.
    pub ops: usize,
    /// The most there ever were.
    pub ops_max: usize,
    /// Bytes of their data now.
    pub bytes: usize,
    /// The most there ever were.
    pub bytes_max: usize,
}

impl InFlight {
    pub(super) fn begin(&mut self, bytes: usize) {
        self.ops += 1;
        self.bytes += bytes;
        self.ops_max = self.ops.max(self.ops_max);
        self.bytes_max = self.bytes.max(self.bytes_max);
    }

    /// What was dropped, and is answered after it was sent again, ends once more than it began.
    pub(super) fn end(&mut self, bytes: usize) {
        self.ops = self.ops.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// Something that daemons react to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// There is a new map.
    Map,
    /// That OSD hangs for a while.
    Stall(OsdId, Duration),
    /// That monitor hangs for a while.
    StallMonitor(usize, Duration),
    /// The monitors elect a leader for so long: they answer nothing, and those that were not reached for the whole time lose
    /// their sessions.
    Election(Duration),
}

/// A cluster as its daemons share it.
#[derive(Clone, Debug)]
pub struct Shared(Arc<Mutex<State>>);

impl Shared {
    /// A cluster with no daemons yet.
    pub fn new(maps: Maps, auth: Auth) -> Shared {
        Shared(Arc::new(Mutex::new(State {
            maps,
            monitors: Vec::new(),
            auth,
            manners: Manners::default(),
            asked: InFlight::default(),
            priorities: BTreeSet::new(),
            monitor_config: vec![("rbd_cache".to_owned(), "true".to_owned())],
            keeps: true,
            service_time: Duration::ZERO,
            truth: Truth::default(),
            elsewhere: BTreeMap::new(),
            watchers: Watchers::default(),
            census: Census::default(),
            clients: BTreeMap::new(),
            disowned: BTreeSet::new(),
            violations: Vec::new(),
            next_global_id: 4100,
            next_snap: 1,
            daemons: Vec::new(),
        })))
    }

    /// Looks at it, or changes it.
    pub fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes the next epoch and tells the daemons.
    pub fn publish(
        &self,
        change: impl FnOnce(&ringbd_proto::osdmap::OsdMap, &mut ringbd_proto::osdmap::Incremental),
    ) -> Epoch {
        let epoch = self.with(|state| state.maps.publish(change));
        self.tell(News::Map);
        epoch
    }

    /// Tells all daemons.
    pub fn tell(&self, news: News) {
        let daemons = self.with(|state| state.daemons.clone());
        daemons.iter().for_each(|daemon| daemon.send(news));
    }

    /// A daemon wants to be told.
    pub(super) fn subscribe(&self) -> ringbd_reactor::Receiver<News> {
        let (sender, receiver) = ringbd_reactor::mailbox();
        self.with(|state| state.daemons.push(sender));
        receiver
    }

    /// Writes down what no client may do.
    pub fn violation(&self, what: impl Into<String>) {
        self.with(|state| state.violation(what));
    }

    /// Counts something that happened.
    pub fn count(&self, what: Seen) {
        self.with(|state| state.census.count(what));
    }

    /// Fences a client: no OSD that has the map takes anything from that address.
    pub fn fence(&self, addr: &EntityAddr) -> Epoch {
        self.publish(|_, change| change.new_blocklist.extend([(*addr, Utime::default())]))
    }
}

impl State {
    /// Writes down what no client may do.
    pub fn violation(&mut self, what: impl Into<String>) {
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(what.into());
        }
    }

    /// What was found wrong.
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    /// A client is on a connection. It is wrong if it had another address before: who fenced that one fenced nothing.
    pub(super) fn introduce(&mut self, client: GlobalId, addr: EntityAddr) {
        let known = *self.clients.entry(client).or_insert(addr);
        if known != addr {
            self.violation(format!("client {client} came from {known}, and comes from {addr}"));
        }
    }

    /// The clients that ever were there.
    pub(super) fn clients(&self) -> impl Iterator<Item = (GlobalId, EntityAddr)> {
        self.clients.iter().map(|(client, addr)| (*client, *addr))
    }

    /// Whether a client is fenced by the newest map.
    pub fn is_fenced(&self, client: GlobalId) -> bool {
        let map = self.maps.map(self.maps.newest());
        self.clients.get(&client).is_some_and(|addr| map.is_blocklisted(addr))
    }

    /// A monitor did not let a client go on under its global id.
    pub(super) fn disown(&mut self, client: GlobalId) {
        self.disowned.insert(client);
    }

    /// Whether a monitor ever did that.
    pub fn is_disowned(&self, client: GlobalId) -> bool {
        self.disowned.contains(&client)
    }

    /// A monitor is there from now on, or again.
    pub(super) fn monitor_is_at(&mut self, num: usize, addrs: EntityAddrVec) {
        if self.monitors.len() <= num {
            self.monitors.resize(num + 1, EntityAddrVec::default());
        }
        self.monitors[num] = addrs;
    }

    pub(super) fn new_global_id(&mut self) -> GlobalId {
        self.next_global_id += 1;
        GlobalId(self.next_global_id)
    }

    pub(super) fn new_snap(&mut self) -> u64 {
        self.next_snap += 1;
        self.next_snap
    }

    pub(super) fn monmap(&self) -> MonMap {
        let name = |n: usize| char::from(b'a' + u8::try_from(n).expect("few monitors are made")).to_string();
        let mon = |(n, addrs): (usize, &EntityAddrVec)| MonInfo {
            name: name(n),
            addrs: addrs.clone(),
            priority: 0,
            weight: 0,
            crush_location: Vec::new(),
        };
        MonMap {
            fsid: FSID,
            epoch: Epoch(1),
            last_changed: Utime::default(),
            created: Utime::default(),
            persistent_features: 0,
            optional_features: 0,
            mons: self.monitors.iter().enumerate().map(mon).collect(),
            ranks: (0..self.monitors.len()).map(name).collect(),
            min_mon_release: 16,
        }
    }
}
