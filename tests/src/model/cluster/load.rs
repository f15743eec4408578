//! The load: writers that number what they write, readers, a watcher and a notifier, on every core of the client. Each compares
//! what it is told with the truth.

use super::Plan;
use crate::model::state::Shared;
use crate::model::truth::{Stamp, checksum};
use ringbd::rados::{
    Cluster, ClusterStatus, Extent, IoCtx, OpError, OsdOp, Rados, Seat, SnapContext, SnapId, WatchNews,
};
use ringbd_reactor::{Buf, SharedBuf, sleep, spawn, timeout};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

/// Objects that all writers share.
const OBJECTS: usize = 5;
/// Room for all that is ever written to an object.
const LANDING_BYTES: usize = 64 << 10;
/// What is watched.
const WATCHED: &[u8] = b"watched";

/// The load of a simulation. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Load {
    plan: Plan,
    shared: Shared,
    client: Cluster,
    progress: Arc<Mutex<Progress>>,
}

#[derive(Debug, Default)]
struct Progress {
    /// Cores whose lanes are through.
    through: usize,
    /// Cores that are done.
    over: usize,
    going: BTreeMap<u64, String>,
    last_going: u64,
    /// By object: the newest version that anybody was told of.
    floors: BTreeMap<Vec<u8>, u64>,
    resends: u64,
}

type Going<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Waits for all, having begun them in their order.
async fn all(mut going: Vec<Going<'_>>) {
    poll_fn(|context| {
        going.retain_mut(|one| one.as_mut().poll(context).is_pending());
        if going.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

impl Load {
    pub(super) fn new(plan: &Plan, shared: Shared, client: Cluster) -> Load {
        Load { plan: plan.clone(), shared, client, progress: Arc::default() }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether every core is done.
    pub(super) fn is_over(&self) -> bool {
        self.progress().over == self.plan.cores
    }

    /// What is not answered.
    pub(super) fn going(&self) -> Vec<String> {
        self.progress().going.values().cloned().collect()
    }

    /// Ends the client.
    pub(super) fn close(&self) {
        self.client.close();
    }

    /// Operations that a map moved.
    pub(super) fn resends(&self) -> u64 {
        self.progress().resends
    }

    fn begin(&self, what: String) -> u64 {
        let mut progress = self.progress();
        progress.last_going += 1;
        let id = progress.last_going;
        progress.going.insert(id, what);
        id
    }

    fn end(&self, id: u64) {
        self.progress().going.remove(&id);
    }

    /// One core of the client.
    pub(super) async fn run(self, seat: Seat) {
        let rados = seat.join();
        let begun = self.begin("connect".to_owned());
        if let Err(error) = rados.ready().await {
            self.shared.violation(format!("the client could not connect: {error}"));
        }
        self.end(begun);
        let core = u64::from(rados.core().0);
        let io = rados.pool_by_id(crate::model::maps::DATA);
        let mut lanes = Vec::new();
        for writer in 0..self.plan.writers {
            let lane = Lane::new(&self, &io, core << 8 | writer);
            lanes.push(spawn(Rc::new(lane).write()));
        }
        lanes.push(spawn(Rc::new(Lane::new(&self, &io, core << 8 | 100)).give_up()));
        lanes.push(spawn(Rc::new(Lane::new(&self, &io, core << 8 | 101)).other_pool(rados.clone())));
        if core == 0 {
            lanes.push(spawn(Rc::new(Lane::new(&self, &io, 102)).watch_and_notify()));
        }
        for lane in lanes {
            lane.await;
        }
        self.progress().through += 1;
        self.leave(&rados).await;
        self.progress().over += 1;
    }

    /// Waits until all cores are through and nothing is left.
    async fn leave(&self, rados: &Rados) {
        let begun = self.begin("wait for the others".to_owned());
        while self.progress().through < self.plan.cores {
            sleep(Duration::from_millis(200)).await;
        }
        self.end(begun);
        let begun = self.begin(format!("wait for core {} to be empty", rados.core()));
        let moved = loop {
            let ClusterStatus { cores, sessions, .. } = rados.status().await;
            if cores.iter().all(|core| core.in_flight == 0)
                && sessions.iter().all(|session| session.in_flight == 0)
            {
                break cores.iter().find(|core| core.core == rados.core()).map_or(0, |core| core.moved);
            }
            sleep(Duration::from_millis(200)).await;
        };
        self.end(begun);
        self.progress().resends += moved;
    }
}

/// A sequence of operations.
struct Lane {
    load: Load,
    io: IoCtx,
    no: u64,
}

impl Lane {
    fn new(load: &Load, io: &IoCtx, no: u64) -> Lane {
        Lane { load: load.clone(), io: io.clone(), no }
    }

    fn random(&self) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.load.plan.seed ^ (self.no + 1) << 40)
    }

    fn violation(&self, what: String) {
        self.load.shared.violation(what);
    }

    async fn write(self: Rc<Self>) {
        let mut random = self.random();
        let mut seqs = [0; OBJECTS];
        for _ in 0..self.load.plan.rounds {
            let mut going: Vec<Going<'_>> = Vec::new();
            for _ in 0..random.usize(1..=4) {
                let object = random.usize(..OBJECTS);
                if random.u8(..4) == 0 {
                    going.push(Box::pin(self.read(object)));
                } else {
                    seqs[object] += 1;
                    let len =
                        if random.u8(..6) == 0 { random.usize(24..40_000) } else { random.usize(24..600) };
                    going.push(Box::pin(self.write_one(object, seqs[object], len)));
                }
            }
            all(going).await;
            sleep(Duration::from_millis(random.u64(0..1500))).await;
        }
        for (object, seq) in seqs.into_iter().enumerate() {
            self.read(object).await;
            let last = self.load.shared.with(|state| state.truth.last_of(&name(object), self.no));
            if last.unwrap_or(0) != seq {
                self.violation(format!(
                    "lane {} wrote {seq} times to object {object}; the last applied is {last:?}",
                    self.no
                ));
            }
        }
    }

    async fn write_one(&self, object: usize, seq: u64, len: usize) {
        let (name, stamp) = (name(object), Stamp { lane: self.no, seq });
        let begun = self.load.begin(format!("lane {} writes {seq} to object {object}", self.no));
        let mut data = Buf::zeroed(len);
        data[..Stamp::BYTES].copy_from_slice(&stamp.to_bytes());
        data[Stamp::BYTES..].fill(seq as u8);
        let io = self.io.clone().with_snap_context(snapc(object));
        let op = OsdOp::WriteFull(SharedBuf::from(data));
        let done = io.operate_write(&name, &[op.into()]).await;
        self.load.end(begun);
        match done {
            Ok(reply) if reply.result() == 0 => {
                let last = self.load.shared.with(|state| state.truth.last_of(&name, self.no));
                if last.is_none_or(|last| last < seq) {
                    self.violation(format!("write {seq} of lane {} was acknowledged and not done", self.no));
                }
                let version = reply.user_version();
                let mut progress = self.load.progress();
                let floor = progress.floors.entry(name).or_default();
                *floor = version.max(*floor);
            }
            Ok(reply) => self.violation(format!("a write came to {}", reply.result())),
            Err(error) => self.violation(format!("a write failed: {error}")),
        }
    }

    async fn read(&self, object: usize) {
        let name = name(object);
        let floor = self.load.progress().floors.get(&name).copied().unwrap_or(0);
        let begun = self.load.begin(format!("lane {} reads object {object}", self.no));
        let op = OsdOp::Read(Extent { offset: 0, length: 1 << 20 });
        // With a buffer for what is read, and without.
        let landing = begun.is_multiple_of(2).then(|| Buf::zeroed(LANDING_BYTES));
        let done = self.io.operate_read(&name, &[op.into()], landing).await;
        self.load.end(begun);
        let (version, result) = match &done {
            Ok(reply) => (reply.user_version(), reply.result()),
            Err(error) => return self.violation(format!("a read failed: {error}")),
        };
        if version < floor {
            self.violation(format!(
                "a read of object {object} saw version {version} after {floor} was known"
            ));
        }
        if result == -2 && version == 0 {
            return;
        }
        let Ok((len, data)) = done.and_then(|reply| Ok(reply.ok()?.into_output())) else {
            return self.violation(format!("a read came to {result}"));
        };
        let right = self.load.shared.with(|state| state.truth.contents_at(&name, version));
        if right != Some(checksum(&data[..len])) {
            self.violation(format!("a read of object {object} at version {version} saw something else"));
        }
    }

    /// Gives operations up half way: nothing of them may stay behind.
    async fn give_up(self: Rc<Self>) {
        let mut random = self.random();
        for n in 0..self.load.plan.rounds {
            let name = format!("given-up.{}.{n}", self.no);
            let limit = Duration::from_micros(random.u64(0..3000));
            let write = self.io.write(name.as_bytes(), 0, Buf::zeroed(random.usize(1..5000)));
            if let Ok(Err(error)) = timeout(limit, write).await {
                self.violation(format!("a write failed: {error}"));
            }
            sleep(Duration::from_millis(random.u64(0..2000))).await;
        }
    }

    /// Writes to a pool that may be deleted.
    async fn other_pool(self: Rc<Self>, rados: Rados) {
        let mut random = self.random();
        let io = rados.pool_by_id(crate::model::maps::OTHER);
        for n in 0..self.load.plan.rounds {
            let begun = self.load.begin(format!("lane {} writes to the other pool", self.no));
            let done = io.write(format!("{n}").as_bytes(), 0, Buf::zeroed(100)).await;
            self.load.end(begun);
            match done {
                Ok(()) | Err(OpError::NoPool) => {}
                Err(error) => self.violation(format!("a write to another pool failed: {error}")),
            }
            sleep(Duration::from_millis(random.u64(0..2000))).await;
        }
    }

    /// Watches an object and notifies itself.
    async fn watch_and_notify(self: Rc<Self>) {
        let begun = self.load.begin("watch".to_owned());
        if let Err(error) = self.io.write_full(WATCHED, Buf::empty()).await {
            self.violation(format!("the watched object cannot be made: {error}"));
        }
        let watch = match self.io.watch(WATCHED).await {
            Ok(watch) => Rc::new(watch),
            Err(error) => return self.violation(format!("a watch failed: {error}")),
        };
        self.load.end(begun);
        let (this, hears) = (self.clone(), watch.clone());
        let (stop, stopped) = oneshot::async_channel::<()>();
        let hearing = spawn(async move {
            let hear = async {
                loop {
                    match hears.next().await {
                        WatchNews::Notified(notification) => {
                            // The notifier may have given up meanwhile.
                            drop(hears.ack(&notification, b"heard").await);
                        }
                        WatchNews::Lost(error) => {
                            return this.violation(format!("a watch was lost: {error}"));
                        }
                    }
                }
            };
            let (mut hear, mut stopped) = (std::pin::pin!(hear), std::pin::pin!(stopped));
            poll_fn(|context| match stopped.as_mut().poll(context) {
                Poll::Ready(_) => Poll::Ready(()),
                Poll::Pending => hear.as_mut().poll(context),
            })
            .await;
        });
        let mut random = self.random();
        for n in 0..self.load.plan.rounds {
            let begun = self.load.begin(format!("notification {n}"));
            let done = self.io.notify(WATCHED, &n.to_le_bytes(), Duration::from_secs(5)).await;
            self.load.end(begun);
            match done {
                Ok(outcome) if outcome.replies.len() + outcome.timeouts.len() == 1 => {}
                Ok(outcome) => self.violation(format!("one watcher, and a notification came to {outcome:?}")),
                Err(error) => self.violation(format!("a notification failed: {error}")),
            }
            sleep(Duration::from_millis(random.u64(0..2000))).await;
        }
        drop(stop.send(()));
        hearing.await;
        let begun = self.load.begin("unwatch".to_owned());
        let watch = Rc::into_inner(watch).expect("the listener is gone");
        if let Err(error) = watch.close().await {
            self.violation(format!("a watch could not be closed: {error}"));
        }
        self.load.end(begun);
    }
}

fn name(object: usize) -> Vec<u8> {
    format!("object.{object}").into_bytes()
}

/// What writes to an object preserve: some have snapshots, always the same.
fn snapc(object: usize) -> SnapContext {
    match object % 2 {
        0 => SnapContext::NONE,
        _ => SnapContext::new(SnapId(9), vec![SnapId(9), SnapId(4)]).expect("newest first"),
    }
}
