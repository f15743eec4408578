//! Who watches what: a part of the truth, as in Ceph, where it lies with the object and outlives the OSD.

use ringbd_proto::osd::Watcher;
use ringbd_proto::osdmap::OsdMap;
use ringbd_proto::types::{EntityAddr, PgId, PoolId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How an object's watcher is known.
#[derive(Clone, Copy, Debug)]
pub struct Registered {
    /// Where the object is.
    pub pool: PoolId,
    /// What places it.
    pub hash: u32,
    /// After which silence it is forgotten.
    pub timeout: Duration,
    /// Whence it came.
    pub addr: EntityAddr,
}

impl Registered {
    /// The object's placement group by a map.
    pub(super) fn pg(&self, map: &OsdMap) -> Option<PgId> {
        map.pool(self.pool).map(|pool| pool.pg(self.pool, self.hash))
    }
}

/// All watchers.
#[derive(Debug, Default)]
pub struct Watchers {
    known: BTreeMap<(Vec<u8>, Watcher), Registered>,
    /// Those that were forgotten without having asked for it.
    forgotten: BTreeSet<(Vec<u8>, Watcher)>,
    ever: BTreeSet<(Vec<u8>, Watcher)>,
}

impl Watchers {
    /// Somebody watches an object.
    pub fn register(&mut self, object: &[u8], watcher: Watcher, registered: Registered) {
        self.known.insert((object.to_vec(), watcher), registered);
        self.ever.insert((object.to_vec(), watcher));
    }

    /// It does not any more.
    pub fn unregister(&mut self, object: &[u8], watcher: Watcher) {
        self.known.remove(&(object.to_vec(), watcher));
    }

    /// It was silent for too long, or is fenced.
    pub(super) fn forget(&mut self, object: &[u8], watcher: Watcher) {
        let key = (object.to_vec(), watcher);
        self.known.remove(&key);
        self.forgotten.insert(key);
    }

    /// The object is gone.
    pub(super) fn forget_all(&mut self, object: &[u8]) {
        for watcher in self.of(object).collect::<Vec<_>>() {
            self.forget(object, watcher);
        }
    }

    /// How a watcher is known, if it is.
    pub(super) fn registered(&self, object: &[u8], watcher: Watcher) -> Option<&Registered> {
        self.known.get(&(object.to_vec(), watcher))
    }

    /// Whether it watches.
    pub fn has(&self, object: &[u8], watcher: Watcher) -> bool {
        self.known.contains_key(&(object.to_vec(), watcher))
    }

    /// Whether it ever watched.
    pub fn ever_had(&self, object: &[u8], watcher: Watcher) -> bool {
        self.ever.contains(&(object.to_vec(), watcher))
    }

    /// Whether it was forgotten without having asked for it.
    pub fn has_forgotten(&self, object: &[u8], watcher: Watcher) -> bool {
        self.forgotten.contains(&(object.to_vec(), watcher))
    }

    /// Who watches an object.
    pub(super) fn of<'a>(&'a self, object: &'a [u8]) -> impl Iterator<Item = Watcher> + 'a {
        self.known.keys().filter(move |(name, _)| name == object).map(|(_, watcher)| *watcher)
    }

    /// All that are known.
    pub(super) fn all(&self) -> impl Iterator<Item = (&[u8], Watcher, &Registered)> {
        self.known.iter().map(|((object, watcher), registered)| (&object[..], *watcher, registered))
    }
}
