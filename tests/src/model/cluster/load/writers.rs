//! Lanes that write: in order, to objects that all share; giving up half way; and to a pool that may be deleted.

use super::lane::{Lane, Told, heard};
use crate::model::census::Seen;
use crate::model::cluster::plan::OBJECTS;
use crate::model::cluster::{object_name, pool_of};
use crate::model::maps::OTHER;
use crate::model::truth::{Stamp, checksum};
use ringbd::ErrorKind;
use ringbd::rados::{Extent, OpError, OsdOp, SnapContext, SnapId};
use ringbd_reactor::{Buf, SharedBuf, sleep, timeout};
use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

/// Room for all that is ever written to an object.
const LANDING_BYTES: usize = 64 << 10;

type Going<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// What a writer wrote to one object.
#[derive(Default)]
struct Written {
    /// How often it asked.
    asked: Cell<u64>,
    /// The last that was acknowledged.
    acknowledged: Cell<u64>,
}

/// Waits for all, having begun them in their order.
async fn all(mut going: Vec<Going<'_>>) {
    poll_fn(|context| {
        going.retain_mut(|one| one.as_mut().poll(context).is_pending());
        if going.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

impl Lane {
    pub(super) async fn write(self: Rc<Self>) {
        let mut random = self.random();
        let written: [Written; OBJECTS] = Default::default();
        for _ in 0..self.load.plan.rounds {
            let mut going: Vec<Going<'_>> = Vec::new();
            for _ in 0..random.usize(1..=4) {
                let object = random.usize(..OBJECTS);
                if random.u8(..4) == 0 {
                    going.push(Box::pin(self.read(object)));
                } else {
                    let written = &written[object];
                    written.asked.set(written.asked.get() + 1);
                    let len =
                        if random.u8(..6) == 0 { random.usize(24..40_000) } else { random.usize(24..600) };
                    going.push(Box::pin(self.write_one(object, written, written.asked.get(), len)));
                }
            }
            all(going).await;
            if self.is_over() {
                break;
            }
            sleep(Duration::from_millis(random.u64(0..1500))).await;
        }
        for (object, written) in written.iter().enumerate() {
            if !self.is_over() {
                self.read(object).await;
            }
            self.check(object, written);
        }
    }

    /// What was acknowledged is there; and all is, if nothing ended without an answer.
    fn check(&self, object: usize, written: &Written) {
        let last = self.load.shared.with(|state| state.truth.last_of(&object_name(object), self.no));
        let last = last.unwrap_or(0);
        let Written { asked, acknowledged, .. } = written;
        if last < acknowledged.get() || last > asked.get() {
            self.violation(format!(
                "lane {:#x} wrote {} times to object {object}; {} was acknowledged, and {last} is the last",
                self.no,
                asked.get(),
                acknowledged.get()
            ));
        }
    }

    async fn write_one(&self, object: usize, written: &Written, seq: u64, len: usize) {
        let (name, stamp) = (object_name(object), Stamp { lane: self.no, seq });
        let mut data = Buf::zeroed(len);
        data[..Stamp::BYTES].copy_from_slice(&stamp.to_bytes());
        data[Stamp::BYTES..].fill(seq as u8);
        let io = self.rados.pool_by_id(pool_of(object)).with_snap_context(snapc(object));
        let ops = [OsdOp::WriteFull(SharedBuf::from(data)).into()];
        let write = async { io.operate_write(&name, &ops).await.and_then(heard) };
        let what = format!("lane {:#x} writes {seq} to object {object}", self.no);
        let Ok(reply) = self.operate(what, write).await else { return };
        if reply.result() != 0 {
            return self.violation(format!("a write came to {}", reply.result()));
        }
        let last = self.load.shared.with(|state| state.truth.last_of(&name, self.no));
        if last.is_none_or(|last| last < seq) {
            self.violation(format!("write {seq} of lane {:#x} was acknowledged and not done", self.no));
        }
        written.acknowledged.set(seq.max(written.acknowledged.get()));
        let version = reply.user_version();
        let mut told = super::lock(&self.load.told);
        let floor = told.floors.entry(name).or_default();
        *floor = version.max(*floor);
    }

    async fn read(&self, object: usize) {
        let name = object_name(object);
        let floor = super::lock(&self.load.told).floors.get(&name).copied().unwrap_or(0);
        let io = self.rados.pool_by_id(pool_of(object));
        let ops = [OsdOp::Read(Extent { offset: 0, length: 1 << 20 }).into()];
        // With a buffer for what is read, and without.
        let landing = floor.is_multiple_of(2).then(|| Buf::zeroed(LANDING_BYTES));
        let read = async { io.operate_read(&name, &ops, landing).await.and_then(heard) };
        let what = format!("lane {:#x} reads object {object}", self.no);
        let Ok(reply) = self.operate(what, read).await else { return };
        let (version, result) = (reply.user_version(), reply.result());
        if version < floor {
            self.violation(format!(
                "a read of object {object} saw version {version} after {floor} was known"
            ));
        }
        if result == -2 && version == 0 {
            return;
        }
        let Ok((len, data)) = reply.ok().map(|reply| reply.into_output()) else {
            return self.violation(format!("a read came to {result}"));
        };
        let right = self.load.shared.with(|state| state.truth.contents_at(&name, version));
        if right != Some(checksum(&data[..len])) {
            self.violation(format!("a read of object {object} at version {version} saw something else"));
        }
    }

    /// Gives operations up half way: nothing of them may stay behind.
    pub(super) async fn give_up(self: Rc<Self>) {
        let mut random = self.random();
        let io = super::data(&self.rados);
        for n in 0..self.load.plan.rounds {
            let name = format!("given-up.{}.{n}", self.no);
            let limit = Duration::from_micros(random.u64(0..3000));
            let len = random.usize(1..5000);
            let write = async {
                let write = io.write(name.as_bytes(), 0, Buf::zeroed(len));
                timeout(limit, write).await.unwrap_or(Ok(()))
            };
            if let Err(Told::Fenced | Told::IdentityLost) =
                self.operate("a short write".to_owned(), write).await
            {
                return;
            }
            sleep(Duration::from_millis(random.u64(0..2000))).await;
        }
    }

    /// Writes to a pool that may be deleted, and looks for it by its name again.
    pub(super) async fn write_to_other_pool(self: Rc<Self>) {
        let mut random = self.random();
        for n in 0..self.load.plan.rounds {
            let begun = self.load.begin(format!("lane {:#x} looks for the other pool", self.no));
            let found = self.rados.pool(OTHER).await;
            self.load.end(begun);
            match found {
                Ok(io) => self.write_to_what_may_be_gone(&io, n).await,
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                // The next operation hears of it.
                Err(_) if self.may_be_over() => return,
                Err(error) => self.violation(format!("the other pool: {error}")),
            }
            if self.is_over() {
                return;
            }
            sleep(Duration::from_millis(random.u64(0..2000))).await;
        }
    }

    async fn write_to_what_may_be_gone(&self, io: &ringbd::rados::IoCtx, n: u64) {
        let write = async {
            match io.write(format!("{n}").as_bytes(), 0, Buf::zeroed(100)).await {
                Err(OpError::NoPool) => Ok(false),
                other => other.map(|()| true),
            }
        };
        let what = format!("lane {:#x} writes to the other pool", self.no);
        if let Ok(false) = self.operate(what, write).await {
            let is_there = self.load.shared.with(|state| {
                state.census.count(Seen::NoPool);
                state.maps.map(state.maps.newest()).pool(io.pool()).is_some()
            });
            if is_there {
                self.violation(format!("pool {} is there, and was said not to be", io.pool()));
            }
        }
    }
}

/// What writes to an object preserve: some have snapshots, always the same.
fn snapc(object: usize) -> SnapContext {
    match object % 2 {
        0 => SnapContext::NONE,
        _ => SnapContext::new(SnapId(9), vec![SnapId(9), SnapId(4)]).expect("newest first"),
    }
}
