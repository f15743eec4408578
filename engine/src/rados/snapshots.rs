//! Snapshots that a pool's clients number themselves: the monitors give the numbers and take them back, the client names
//! them with every write.

use super::error::OpError;
use super::ioctx::IoCtx;
use super::monitor::MonRequest;
use ringbd_proto::mon::PoolChange;
use ringbd_proto::osd::OsdOp;
use ringbd_proto::types::SnapId;

impl IoCtx {
    /// A new snapshot's number, for the pool. From now on writes whose snapshot context names it preserve what is there.
    pub async fn create_selfmanaged_snap(&self) -> Result<SnapId, OpError> {
        let made = self.change_pool(PoolChange::CreateUnmanagedSnap).await?;
        made.ok_or(OpError::Errno(ringbd_proto::types::Errno::EIO.number()))
    }

    /// Gives a snapshot's number back; the OSDs then remove what only it needed.
    pub async fn remove_selfmanaged_snap(&self, snap: SnapId) -> Result<(), OpError> {
        self.change_pool(PoolChange::DeleteUnmanagedSnap(snap)).await.map(drop)
    }

    /// Makes an object what it was in a snapshot.
    pub async fn rollback_selfmanaged_snap(&self, object: &[u8], snap: SnapId) -> Result<(), OpError> {
        self.operate_write(object, &[OsdOp::Rollback(snap).into()]).await?.ok().map(drop)
    }

    async fn change_pool(&self, change: PoolChange<'static>) -> Result<Option<SnapId>, OpError> {
        let core = self.core();
        let asked = core.ask_monitors(|reply| MonRequest::PoolOp { pool: self.pool(), change, reply });
        let outcome = asked.await?;
        // What is written next must go out by a map that has the change.
        core.want_map(outcome.epoch).await?;
        Ok(outcome.snap)
    }
}
