//! What all daemons of a model cluster know, and what was found wrong with the client.

use super::maps::Maps;
use super::truth::Truth;
use ringbd_proto::auth::server::{ClusterKeys, TicketLives};
use ringbd_proto::auth::{CephUser, ConMode, Credentials, CryptoKey, KeyKind};
use ringbd_proto::mon::{MonInfo, MonMap};
use ringbd_proto::osd::Watcher;
use ringbd_proto::types::{EntityAddrVec, EntityType, Epoch, Fsid, GlobalId, OsdId, Utime};
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

    /// Gives the OSDs a new secret; the oldest is forgotten.
    pub fn rotate(&mut self, random: &mut fastrand::Rng) {
        if let Auth::Cephx(_, keys) = self {
            let mut fill = |bytes: &mut [u8]| random.fill(bytes);
            Arc::make_mut(keys).rotate(EntityType::Osd, Utime::default(), &mut fill);
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
    /// How likely an OSD is to be busy peering after it began to lead a placement group, and for how long at most.
    pub peering: (f64, Duration),
    /// How long an OSD takes to get a new map at most.
    pub map_lag: Duration,
    /// How long OSDs take to answer at most; only some answers take so long.
    pub answer_lag: Duration,
    /// How likely an object is to be busy when it is asked for.
    pub busy_objects: f64,
    /// How likely a read is to be answered by the request to ask anew.
    pub again: f64,
    /// Whether OSDs keep objects.
    pub keeps: bool,
    /// The objects.
    pub truth: Truth,
    /// Who watches an object.
    pub watches: BTreeMap<Vec<u8>, BTreeSet<Watcher>>,
    violations: Vec<String>,
    next_global_id: u64,
    next_snap: u64,
    daemons: Vec<Sender<News>>,
}

/// Something that daemons react to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// There is a new map.
    Map,
    /// That OSD hangs for a while.
    Stall(OsdId, Duration),
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
            peering: (0.0, Duration::ZERO),
            map_lag: Duration::ZERO,
            answer_lag: Duration::ZERO,
            busy_objects: 0.0,
            again: 0.0,
            keeps: true,
            truth: Truth::default(),
            watches: BTreeMap::new(),
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
