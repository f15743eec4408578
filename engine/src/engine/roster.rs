//! What every core of an engine can see: the published map of shards, everybody's mailbox, the open images, and what
//! is parked while there is no core.
//!
//! The rule: the roster is an immutable snapshot behind a version number. A core looks at the number (one relaxed
//! load) before it routes an operation and takes the new snapshot only when it changed. Joining and leaving happen
//! under one mutex, so whatever is parked is taken up by exactly one core.

use super::lanes::Served;
use super::message::{ImageNo, Message};
use super::topology::{CoreNo, ShardNo, Topology};
use crate::image::shard_load::ShardLoad;
use crate::image::shared::ImageShared;
use crate::store::Store;
use ringbd_reactor::{Receiver, Sender, World, mailbox};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// One published state of the engine's cores.
pub(crate) struct Roster {
    pub(crate) topology: Topology,
    /// By core number; a core that left still has its entry, its mailbox was inherited.
    mail: Vec<Sender<Message>>,
}

impl Roster {
    pub(crate) fn send(&self, to: CoreNo, message: Message) {
        self.mail[to.0 as usize].send(message);
    }
}

/// What waits for the next core while the engine has none.
#[derive(Default)]
pub(crate) struct Parked {
    loads: Vec<(ImageNo, ShardNo, ShardLoad)>,
    mailboxes: Vec<(CoreNo, Receiver<Message>)>,
    lanes: Vec<Served>,
}

/// The state that all threads of an engine share.
pub(crate) struct EngineShared {
    pub(crate) world: World,
    pub(crate) store: Store,
    roster: RwLock<Arc<Roster>>,
    version: AtomicU64,
    membership: Mutex<Parked>,
    images: Mutex<BTreeMap<ImageNo, Arc<ImageShared>>>,
    next_image: AtomicU64,
    /// Cores that an image's cache is shared out to at least, though they may not have joined yet.
    cores_expected: usize,
}

/// A mutex here guards plain tables that no panic leaves half-changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl EngineShared {
    pub(crate) fn new(world: World, store: Store, cores_expected: usize) -> Self {
        let roster = Roster { topology: Topology::empty(), mail: Vec::new() };
        Self {
            world,
            store,
            roster: RwLock::new(Arc::new(roster)),
            version: AtomicU64::new(0),
            membership: Mutex::default(),
            images: Mutex::default(),
            next_image: AtomicU64::new(0),
            cores_expected,
        }
    }

    #[inline]
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub(crate) fn roster(&self) -> Arc<Roster> {
        self.roster.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn publish(&self, topology: Topology, mail: Vec<Sender<Message>>) -> Arc<Roster> {
        let version = topology.version();
        let roster = Arc::new(Roster { topology, mail });
        *self.roster.write().unwrap_or_else(PoisonError::into_inner) = roster.clone();
        self.version.store(version, Ordering::Release);
        for &core in roster.topology.cores() {
            roster.send(core, Message::Rebalance);
        }
        roster
    }

    /// A new core: its number, its mailbox, and what was parked for it.
    pub(crate) fn join(&self) -> (CoreNo, Receiver<Message>) {
        let mut parked = lock(&self.membership);
        let before = self.roster();
        let core = CoreNo(before.mail.len() as u32);
        let (sender, receiver) = mailbox();
        let mut mail = before.mail.clone();
        mail.push(sender);
        let roster = self.publish(before.topology.with(core), mail);
        let parked = std::mem::take(&mut *parked);
        for (former, mailbox) in parked.mailboxes {
            roster.send(core, Message::Inherit(former, mailbox));
        }
        for lane in parked.lanes {
            roster.send(core, Message::Lane(lane));
        }
        for (image, shard, load) in parked.loads {
            self.deliver_to(&roster, image, shard, load);
        }
        (core, receiver)
    }

    /// Takes a core out of the map. Its shards are still with it; it gives them away next.
    pub(crate) fn leave(&self, core: CoreNo) {
        let _membership = lock(&self.membership);
        let before = self.roster();
        self.publish(before.topology.without(core), before.mail.clone());
    }

    /// Sends a shard to its owner, or parks it while there is no core.
    pub(crate) fn deliver(&self, image: ImageNo, shard: ShardNo, load: ShardLoad) {
        let mut parked = lock(&self.membership);
        let roster = self.roster();
        if roster.topology.owner(shard).is_none() {
            parked.loads.push((image, shard, load));
        } else {
            self.deliver_to(&roster, image, shard, load);
        }
    }

    fn deliver_to(&self, roster: &Roster, image: ImageNo, shard: ShardNo, load: ShardLoad) {
        let owner = roster.topology.owner(shard).expect("a map with a core has an owner for every shard");
        roster.send(owner, Message::Adopt { image, shards: vec![(shard, load)] });
    }

    /// Hands the mailbox of a core that left to another, with the lanes that end there; it answers what still arrives.
    pub(crate) fn bequeath(&self, core: CoreNo, mailbox: Receiver<Message>, lanes: Vec<Served>) {
        let mut parked = lock(&self.membership);
        let roster = self.roster();
        match roster.topology.cores().first() {
            Some(&heir) => {
                roster.send(heir, Message::Inherit(core, mailbox));
                lanes.into_iter().for_each(|lane| roster.send(heir, Message::Lane(lane)));
            }
            None => {
                parked.mailboxes.push((core, mailbox));
                parked.lanes.extend(lanes);
            }
        }
    }

    /// How many cores share an image's cache.
    pub(crate) fn cache_shares(&self) -> usize {
        self.roster().topology.cores().len().max(self.cores_expected).max(1)
    }

    pub(crate) fn next_image_no(&self) -> ImageNo {
        self.next_image.fetch_add(1, Ordering::Relaxed) as ImageNo
    }

    /// Makes an image known and gives its shards to their cores.
    pub(crate) fn attach(&self, image: Arc<ImageShared>, loads: impl Iterator<Item = (ShardNo, ShardLoad)>) {
        let no = image.no;
        lock(&self.images).insert(no, image);
        for (shard, load) in loads {
            self.deliver(no, shard, load);
        }
    }

    pub(crate) fn image(&self, no: ImageNo) -> Option<Arc<ImageShared>> {
        lock(&self.images).get(&no).cloned()
    }

    /// Forgets an image; what was parked of it goes too.
    pub(crate) fn detach(&self, no: ImageNo) {
        lock(&self.images).remove(&no);
        lock(&self.membership).loads.retain(|(image, _, _)| *image != no);
    }
}
