//! A pool as a user sees it, on one core: the place where objects are read and written.
//!
//! Named after librados's I/O context, whose calls these are: a pool, a namespace in it, a locator key, the snapshot that is
//! read, and the snapshots that a write preserves.

use super::core::Core;
use super::error::OpError;
use super::linger::{self, NotifyOutcome, Watch};
use super::list::Listing;
use super::message::Answer;
use super::objecter::{Place, Request};
use super::reply::OpReply;
use ringbd_proto::osd::{
    Access, Extent, ObjectLocator, OpEntry, OsdFlags, OsdOp, Placement, SnapContext, Stat,
};
use ringbd_proto::types::{Errno, PoolId, SnapId, Utime};
use ringbd_reactor::{Buf, SharedBuf, timeout, unix_time};
use std::rc::Rc;
use std::time::Duration;

/// An operation of a list, with its bulk data in a shared buffer.
pub type Operation<'a> = OpEntry<'a, SharedBuf>;

/// A pool, on one core. Clones can be set differently.
#[derive(Clone)]
pub struct IoCtx {
    core: Rc<Core>,
    locator: ObjectLocator,
    snap: SnapId,
    snapc: SnapContext,
    flags: OsdFlags,
}

impl IoCtx {
    pub(super) fn new(core: Rc<Core>, pool: PoolId) -> IoCtx {
        IoCtx {
            core,
            locator: ObjectLocator::pool(pool),
            snap: SnapId::HEAD,
            snapc: SnapContext::NONE,
            flags: OsdFlags::NONE,
        }
    }

    /// The pool's number.
    pub fn pool(&self) -> PoolId {
        self.locator.pool
    }

    /// Uses a namespace of the pool; the empty one is the default.
    #[must_use]
    pub fn with_namespace(mut self, namespace: &[u8]) -> IoCtx {
        self.locator.namespace = namespace.to_vec();
        self
    }

    /// Places objects by this key instead of their names, so that they lie together; none for their names again.
    #[must_use]
    pub fn with_locator(mut self, key: Option<&[u8]>) -> IoCtx {
        self.locator.placement = key.map_or(Placement::Name, |key| Placement::Key(key.to_vec()));
        self
    }

    /// Reads a snapshot; [`SnapId::HEAD`] reads what is there now.
    #[must_use]
    pub fn with_snap(mut self, snap: SnapId) -> IoCtx {
        self.snap = snap;
        self
    }

    /// Preserves these snapshots when it writes.
    #[must_use]
    pub fn with_snap_context(mut self, snapc: SnapContext) -> IoCtx {
        self.snapc = snapc;
        self
    }

    /// Tries also where the cluster or the pool is full, because what is done frees space; ENOSPC is an answer then.
    #[must_use]
    pub fn with_full_try(mut self) -> IoCtx {
        self.flags |= OsdFlags::FULL_TRY;
        self
    }

    pub(super) fn locator(&self) -> &ObjectLocator {
        &self.locator
    }

    pub(super) fn core(&self) -> &Rc<Core> {
        &self.core
    }

    pub(super) fn place_of(&self, object: &[u8]) -> Place {
        Place { pool: self.locator.pool, hash: self.locator.hash_of(object) }
    }

    // Lists of operations.

    /// Does a list of reading operations: all, or none of them.
    pub async fn operate_read(
        &self,
        object: &[u8],
        ops: &[Operation<'_>],
        landing: Option<Buf>,
    ) -> Result<OpReply, OpError> {
        let access = Access::Read { snap: self.snap };
        self.operate(object, access, ops, self.flags, landing).await.map(OpReply::new)
    }

    /// Does a list of operations of which some write: all, or none of them.
    pub async fn operate_write(&self, object: &[u8], ops: &[Operation<'_>]) -> Result<OpReply, OpError> {
        let access = Access::Write { snapc: &self.snapc, mtime: Utime::from(unix_time()) };
        self.operate(object, access, ops, self.flags, None).await.map(OpReply::new)
    }

    pub(super) async fn operate(
        &self,
        object: &[u8],
        access: Access<&SnapContext>,
        ops: &[Operation<'_>],
        flags: OsdFlags,
        landing: Option<Buf>,
    ) -> Result<Answer, OpError> {
        let hash = self.locator.hash_of(object);
        let request = Request { locator: &self.locator, name: object, hash, access, ops, flags, landing };
        self.within_limit(self.core.operate(request)).await
    }

    /// The same of an object that is elsewhere than this context says.
    pub(super) async fn operate_at(
        &self,
        locator: &ObjectLocator,
        object: &[u8],
        access: Access<&SnapContext>,
        ops: &[Operation<'_>],
        flags: OsdFlags,
    ) -> Result<OpReply, OpError> {
        let hash = locator.hash_of(object);
        let request = Request { locator, name: object, hash, access, ops, flags, landing: None };
        self.within_limit(self.core.operate(request)).await.map(OpReply::new)
    }

    async fn within_limit(
        &self,
        operation: impl Future<Output = Result<Answer, OpError>>,
    ) -> Result<Answer, OpError> {
        match self.core.op_timeout() {
            None => operation.await,
            Some(limit) => timeout(limit, operation).await.unwrap_or(Err(OpError::TimedOut)),
        }
    }

    pub(super) async fn read_op(&self, object: &[u8], op: OsdOp<'_, SharedBuf>) -> Result<OpReply, OpError> {
        self.operate_read(object, &[op.into()], None).await?.ok()
    }

    async fn write_op(&self, object: &[u8], op: OsdOp<'_, SharedBuf>) -> Result<OpReply, OpError> {
        self.operate_write(object, &[op.into()]).await?.ok()
    }

    /// A watch is nothing that a snapshot preserves.
    pub(super) async fn write_op_without_snaps(
        &self,
        object: &[u8],
        op: OsdOp<'_, SharedBuf>,
    ) -> Result<OpReply, OpError> {
        let access = Access::Write { snapc: &SnapContext::NONE, mtime: Utime::from(unix_time()) };
        let flags = self.flags | OsdFlags::FULL_TRY;
        self.operate(object, access, &[op.into()], flags, None).await.map(OpReply::new)?.ok()
    }

    // Single operations.

    /// Reads from `offset` into `buf`; returns how many bytes there were, and a buffer with them: `buf`, if it could be
    /// used. What lies behind the object's end is not there.
    pub async fn read(&self, object: &[u8], offset: u64, buf: Buf) -> Result<(usize, Buf), OpError> {
        let op = OsdOp::Read(Extent { offset, length: buf.len() as u64 });
        let reply = self.operate_read(object, &[op.into()], Some(buf)).await?.ok()?;
        Ok(reply.into_output())
    }

    /// Writes at `offset`. When this returns, the bytes are durable on all replicas.
    pub async fn write(&self, object: &[u8], offset: u64, data: impl Into<SharedBuf>) -> Result<(), OpError> {
        self.write_op(object, OsdOp::Write { offset, data: data.into() }).await.map(drop)
    }

    /// Replaces the whole object.
    pub async fn write_full(&self, object: &[u8], data: impl Into<SharedBuf>) -> Result<(), OpError> {
        self.write_op(object, OsdOp::WriteFull(data.into())).await.map(drop)
    }

    /// Writes behind the object's end.
    pub async fn append(&self, object: &[u8], data: impl Into<SharedBuf>) -> Result<(), OpError> {
        self.write_op(object, OsdOp::Append(data.into())).await.map(drop)
    }

    /// Size and modification time.
    pub async fn stat(&self, object: &[u8]) -> Result<Stat, OpError> {
        let reply = self.read_op(object, OsdOp::Stat).await?;
        Ok(Stat::decode(reply.output(0)?)?)
    }

    /// Removes the object.
    pub async fn remove(&self, object: &[u8]) -> Result<(), OpError> {
        self.write_op(object, OsdOp::Delete).await.map(drop)
    }

    /// Calls a class's method on the object. `writes` says whether it may change the object.
    pub async fn call(
        &self,
        object: &[u8],
        class: &str,
        method: &str,
        input: &[u8],
        writes: bool,
    ) -> Result<Vec<u8>, OpError> {
        let input = SharedBuf::from(Buf::from_slice(input));
        let op = OsdOp::Call { class: class.into(), method: method.into(), input };
        let reply = if writes { self.write_op(object, op).await? } else { self.read_op(object, op).await? };
        Ok(reply.output(0)?.to_vec())
    }

    /// Lists the objects of the namespace.
    pub fn list(&self) -> Listing {
        Listing::new(self.clone())
    }

    /// Lists the objects of all namespaces.
    pub fn list_all_namespaces(&self) -> Listing {
        Listing::new(self.clone().with_namespace(ObjectLocator::ALL_NAMESPACES))
    }

    // Watching.

    /// Watches an object; see [`Watch`].
    pub async fn watch(&self, object: &[u8]) -> Result<Watch, OpError> {
        Watch::start(self, object).await
    }

    /// Tells an object's watchers something, and waits up to `limit` (whole seconds) for their answers; without one, for as
    /// long as `client_notify_timeout` says.
    pub async fn notify(
        &self,
        object: &[u8],
        payload: &[u8],
        limit: impl Into<Option<Duration>>,
    ) -> Result<NotifyOutcome, OpError> {
        let limit = limit.into().unwrap_or_else(|| self.core.config().notify_timeout);
        linger::notify(self, object, payload, limit).await
    }

    /// Whether the object is there.
    pub async fn exists(&self, object: &[u8]) -> Result<bool, OpError> {
        match self.stat(object).await {
            Ok(_) => Ok(true),
            Err(OpError::Errno(errno)) if errno == Errno::ENOENT.number() => Ok(false),
            Err(error) => Err(error),
        }
    }
}
