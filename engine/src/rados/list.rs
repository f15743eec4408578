//! Listing the objects of a pool: one placement group after the other, a page at a time.

use super::error::OpError;
use super::ioctx::IoCtx;
use ringbd_proto::osd::{Access, Hobject, ListedObjects, ObjectLocator, OsdFlags, OsdOp, Placement};
use ringbd_proto::types::SnapId;

/// Objects asked for at once; an OSD gives fewer when it likes.
const PAGE_MAX: u64 = 1024;

/// An object in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectName {
    /// Its namespace.
    pub namespace: Vec<u8>,
    /// Its name.
    pub name: Vec<u8>,
    /// The key that places it; empty if it is placed by its name.
    pub key: Vec<u8>,
}

/// A listing under way.
pub struct Listing {
    io: IoCtx,
    /// Where to go on; none at the end.
    cursor: Option<Hobject>,
}

impl Listing {
    pub(super) fn new(io: IoCtx) -> Listing {
        Listing { io, cursor: Some(Hobject::MIN) }
    }

    /// The next objects, in no order that means anything; none when all were listed. Objects that come or go meanwhile
    /// may be in it or not.
    pub async fn page(&mut self) -> Result<Option<Vec<ObjectName>>, OpError> {
        let Some(cursor) = self.cursor.clone() else { return Ok(None) };
        // A cursor's hash says in which placement group it lies; the smallest of all is in the first.
        let placement = Placement::Hash(cursor.hash().unwrap_or(0));
        let here = self.io.locator();
        let locator = ObjectLocator { pool: here.pool, namespace: here.namespace.clone(), placement };
        let epoch = self.io.core().with_map(|map| map.map_or_else(Default::default, |map| map.epoch()));
        let op = OsdOp::PgNls { cursor, max: PAGE_MAX, epoch };
        let access = Access::Read { snap: SnapId::HEAD };
        let reply = self.io.operate_at(&locator, b"", access, &[op.into()], OsdFlags::PGOP).await?.ok()?;
        let ListedObjects { cursor, objects } = ListedObjects::decode(reply.output(0)?)?;
        self.cursor = (cursor != Hobject::Max).then_some(cursor);
        let objects = objects.into_iter().map(|object| ObjectName {
            namespace: object.namespace.to_vec(),
            name: object.name.to_vec(),
            key: object.key.to_vec(),
        });
        Ok(Some(objects.collect()))
    }
}
