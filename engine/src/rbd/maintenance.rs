//! The image's lock, and its object map's, while an operation changes what others rely on.
//!
//! ```text
//!   watch the header ──▶ take the lock ──▶ read the header again ──▶ lock and load the object map
//!          │                 ├ a living owner has it: refused, and the owner named
//!          │                 └ a dead owner has it: fenced, its lock broken, taken
//!          └─ answered all the while: who asks for the lock hears that it comes soon
//!   the operation ──▶ unlock both, say so ──▶ watch no more
//! ```

use super::call::{call, change, op};
use super::error::{RbdErrorKind, Result};
use super::image::RbdImage;
use super::names;
use crate::rados::{EntityAddr, IoCtx, OpError, Watch, WatchNews};
use ringbd_proto::osd::{OsdOp, WatchItem, Watchers};
use ringbd_proto::rbd::lock::{self, Exclusive, LockKind, LockOwner};
use ringbd_proto::rbd::{
    ClientId, Features, HeaderNotice, ImageFlags, LOCK_NAME, LOCK_TAG, NoticeReply, ObjectMap, ObjectState,
    header, lock_cookie, object_maps, watch_of_cookie,
};
use ringbd_proto::types::{AddrKind, SnapId};
use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

/// How often the lock may be somebody else's when it was free just before.
const ATTEMPTS_MAX: usize = 10;
/// What the lock of an object map is held as.
const MAP_LOCK: Exclusive<'_> = Exclusive { name: LOCK_NAME, cookie: "", tag: "" };
/// What is wrong with a map that was found not to fit, or could not be kept exact.
const INVALID: ImageFlags = ImageFlags::OBJECT_MAP_INVALID.with(ImageFlags::FAST_DIFF_INVALID);

/// The object map while the image's lock is held.
pub(super) struct MapInHand {
    /// The image has one.
    exists: bool,
    /// It was read and fits; and no change of it failed since.
    trusted: Cell<bool>,
    map: Option<ObjectMap>,
}

impl MapInHand {
    fn none() -> MapInHand {
        MapInHand { exists: false, trusted: Cell::new(false), map: None }
    }

    /// The map as it was loaded, if it can be trusted.
    pub(super) fn map(&self) -> Option<&ObjectMap> {
        self.map.as_ref().filter(|_| self.trusted.get())
    }

    /// Sets the states of a range of objects, of those in state `only`.
    pub(super) async fn update(
        &self,
        image: &RbdImage,
        (begin, end): (u64, u64),
        state: ObjectState,
        only: ObjectState,
    ) -> Result<()> {
        let mut at = begin;
        while at < end && self.trusted.get() {
            let to = end.min(at.saturating_add(object_maps::UPDATE_OBJECTS_MAX));
            self.change(image, &object_maps::update(at, to, state, Some(only))).await?;
            at = to;
        }
        Ok(())
    }

    /// Sets the number of objects.
    pub(super) async fn resize(&self, image: &RbdImage, objects: u64) -> Result<()> {
        if !self.exists {
            return Ok(());
        }
        self.change(image, &object_maps::resize(objects, ObjectState::Nonexistent)).await
    }

    /// A map that cannot be kept exact is marked as such, and the operation goes on.
    async fn change(&self, image: &RbdImage, method: &ringbd_proto::rbd::Method<()>) -> Result<()> {
        let object = names::object_map(&image.id, SnapId::HEAD);
        let ops = [op(&MAP_LOCK.assert_locked()), op(method)];
        match change(image.io(), &object, &ops).await {
            Ok(()) => Ok(()),
            Err(error @ (OpError::Blocklisted | OpError::Closed | OpError::NoPool)) => {
                Err(image.failed("update the object map of", error))
            }
            Err(error) => {
                tracing::warn!(%error, image = image.name, "its object map is invalid from now on");
                self.trusted.set(false);
                invalidate(image).await
            }
        }
    }
}

async fn invalidate(image: &RbdImage) -> Result<()> {
    let method = header::set_flags(INVALID, INVALID, SnapId::HEAD);
    let done = call(image.io(), &image.header_object(), &method).await;
    done.map_err(|error| image.failed("invalidate the object map of", error))
}

/// Does `work` while nobody else may change the image's data or object map. The image's header is fresh then.
pub(super) async fn maintain<T>(
    image: &mut RbdImage,
    operation: &'static str,
    work: impl AsyncFnOnce(&mut RbdImage, &MapInHand, Option<&WatchId>) -> Result<T>,
) -> Result<T> {
    if !image.header.features.contains(Features::EXCLUSIVE_LOCK) {
        return work(image, &MapInHand::none(), None).await;
    }
    let object = image.header_object();
    let watch = image.io().watch(&object).await.map_err(|error| image.failed(operation, error))?;
    let me = WatchId { cookie: watch.cookie(), client: image.pool.rados.cluster().global_id().0 };
    let kept = image.clone();
    let outcome = answering(&watch, async {
        acquire(image, operation, &me).await?;
        let outcome = async {
            image.refresh().await?;
            let map = load_map(image, operation).await?;
            work(image, &map, Some(&me)).await
        }
        .await;
        release(&kept, &me).await;
        outcome
    })
    .await;
    if let Err(error) = watch.close().await {
        // The header may be gone, and its watches with it.
        tracing::debug!(%error, image = kept.name, "a watch could not be taken back");
    }
    outcome.unwrap_or_else(|lost| Err(kept.error(operation, RbdErrorKind::LostWatch(lost))))
}

/// Our own watch, among those of others.
pub(super) struct WatchId {
    cookie: u64,
    client: u64,
}

impl WatchId {
    fn notice_id(&self) -> ClientId {
        ClientId { client: ringbd_proto::types::GlobalId(self.client), watch: self.cookie }
    }

    fn is(&self, watcher: &WatchItem) -> bool {
        watcher.cookie == self.cookie && watcher.name.num.cast_unsigned() == self.client
    }
}

/// Who watches the header beside ourselves.
pub(super) async fn other_watchers(
    io: &IoCtx,
    object: &[u8],
    me: Option<&WatchId>,
) -> std::result::Result<Vec<WatchItem>, OpError> {
    let reply = io.operate_read(object, &[OsdOp::ListWatchers.into()], None).await?.ok()?;
    let Watchers(mut all) = Watchers::decode(reply.output(0)?)?;
    all.retain(|watcher| !me.is_some_and(|me| me.is(watcher)));
    Ok(all)
}

/// Does `work`, and meanwhile answers whoever notifies. The error is that of a lost watch.
async fn answering<T>(watch: &Watch, work: impl Future<Output = T>) -> std::result::Result<T, OpError> {
    let mut work = pin!(work);
    let mut answers = pin!(answer_all(watch));
    poll_fn(|context| {
        if let Poll::Ready(outcome) = work.as_mut().poll(context) {
            return Poll::Ready(Ok(outcome));
        }
        match answers.as_mut().poll(context) {
            Poll::Ready(lost) => Poll::Ready(Err(lost)),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Answers until the watch is lost.
async fn answer_all(watch: &Watch) -> OpError {
    loop {
        let notification = match watch.next().await {
            WatchNews::Lost(error) => return error,
            WatchNews::Notified(notification) => notification,
        };
        let reply = match HeaderNotice::decode(&notification.payload) {
            // We give the lock back soon, which whoever asks will hear.
            Ok(HeaderNotice::RequestLock { .. }) => NoticeReply(0).encode(),
            // All else is answered by owners that do what others ask for; we are one only for a moment.
            Ok(_) | Err(_) => Vec::new(),
        };
        if let Err(error) = watch.ack(&notification, &reply).await {
            tracing::debug!(%error, "a notification could not be answered");
        }
    }
}

async fn acquire(image: &RbdImage, operation: &'static str, me: &WatchId) -> Result<()> {
    let (io, object) = (image.io(), image.header_object());
    let failed = |error| image.failed(operation, error);
    let cookie = lock_cookie(me.cookie);
    let mine = Exclusive { name: LOCK_NAME, cookie: &cookie, tag: LOCK_TAG };
    for _ in 0..ATTEMPTS_MAX {
        match call(io, &object, &mine.lock("")).await {
            Ok(()) => {
                image.notify(&HeaderNotice::AcquiredLock(me.notice_id())).await;
                return Ok(());
            }
            Err(OpError::Errno(16)) => {}
            Err(error) => return Err(failed(error)),
        }
        let held = call(io, &object, &lock::get_info(LOCK_NAME)).await.map_err(failed)?;
        let Some(owner) = held.owners.first() else { continue };
        if held.tag != LOCK_TAG || held.kind != LockKind::Exclusive {
            let who = format!("{} by hand, as {:?}", owner_text(owner), owner.cookie);
            return Err(image.error(operation, RbdErrorKind::Locked(who)));
        }
        let watchers = other_watchers(io, &object, Some(me)).await.map_err(failed)?;
        if watchers.iter().any(|watcher| is_of(watcher, owner)) {
            return Err(image.error(operation, RbdErrorKind::Locked(owner_text(owner))));
        }
        // Its owner is dead. What it has sent may still arrive, so it is fenced before the lock is taken from it.
        tracing::warn!(image = image.name, owner = owner_text(owner), "a dead client's lock is broken");
        let addr = EntityAddr { kind: AddrKind::Any, ..owner.addr };
        image.pool.rados.blocklist_add(&addr, None).await.map_err(failed)?;
        match call(io, &object, &lock::break_lock(LOCK_NAME, owner.client, &owner.cookie)).await {
            // Somebody else was quicker.
            Ok(()) | Err(OpError::Errno(2)) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Err(image.error(operation, RbdErrorKind::Locked("one client after the other".to_owned())))
}

fn owner_text(owner: &LockOwner) -> String {
    let addr = EntityAddr { kind: AddrKind::Any, ..owner.addr };
    format!("{} at {addr}", owner.client)
}

/// Whether the watch is that of a lock's owner.
fn is_of(watcher: &WatchItem, owner: &LockOwner) -> bool {
    let same_life = watcher.addr.nonce == owner.addr.nonce
        && watcher.addr.socket.map(|socket| socket.ip()) == owner.addr.socket.map(|socket| socket.ip());
    same_life && watch_of_cookie(&owner.cookie) == Some(watcher.cookie)
}

/// Locks and loads the object map. One that does not fit the image is invalid from then on.
async fn load_map(image: &RbdImage, operation: &'static str) -> Result<MapInHand> {
    if !image.header.features.contains(Features::OBJECT_MAP) {
        return Ok(MapInHand::none());
    }
    let (io, object) = (image.io(), names::object_map(&image.id, SnapId::HEAD));
    let failed = |error| image.failed(operation, error);
    lock_map(io, &object).await.map_err(failed)?;
    let flagged = image.header.flags.contains(ImageFlags::OBJECT_MAP_INVALID);
    let untrusted = MapInHand { exists: true, trusted: Cell::new(false), map: None };
    match call(io, &object, &object_maps::load()).await {
        _ if flagged => Ok(untrusted),
        Ok(map) if map.objects() == image.header.objects() => {
            Ok(MapInHand { exists: true, trusted: Cell::new(true), map: Some(map) })
        }
        Ok(_) | Err(OpError::Errno(_) | OpError::Malformed(_)) => {
            tracing::warn!(image = image.name, "its object map does not fit it, and is invalid from now on");
            invalidate(image).await?;
            Ok(untrusted)
        }
        Err(error) => Err(failed(error)),
    }
}

/// Takes the map's lock. Whoever holds it has lost the image's lock, which we have.
async fn lock_map(io: &IoCtx, object: &[u8]) -> std::result::Result<(), OpError> {
    for _ in 0..ATTEMPTS_MAX {
        match call(io, object, &MAP_LOCK.lock("")).await {
            Err(OpError::Errno(16)) => {}
            Ok(()) | Err(OpError::Errno(17)) => return Ok(()),
            Err(error) => return Err(error),
        }
        for owner in call(io, object, &lock::get_info(LOCK_NAME)).await?.owners {
            match call(io, object, &lock::break_lock(LOCK_NAME, owner.client, &owner.cookie)).await {
                Ok(()) | Err(OpError::Errno(2)) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Err(OpError::Errno(16))
}

/// Gives both locks back, and says so. What an operation removed has none any more.
async fn release(image: &RbdImage, me: &WatchId) {
    let (io, object) = (image.io(), image.header_object());
    let map = names::object_map(&image.id, SnapId::HEAD);
    let cookie = lock_cookie(me.cookie);
    let mine = Exclusive { name: LOCK_NAME, cookie: &cookie, tag: LOCK_TAG };
    let mut unlocks = Vec::new();
    if image.header.features.contains(Features::OBJECT_MAP) {
        unlocks.push((map, MAP_LOCK.unlock()));
    }
    unlocks.push((object, mine.unlock()));
    for (object, unlock) in unlocks {
        match call(io, &object, &unlock).await {
            Ok(()) => {}
            Err(OpError::Errno(2)) => return,
            Err(error) => {
                tracing::warn!(%error, image = image.name, "a lock could not be given back");
                return;
            }
        }
    }
    image.notify(&HeaderNotice::ReleasedLock(me.notice_id())).await;
}
