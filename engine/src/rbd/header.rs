//! An image's header, read in one operation, with its snapshots in a second.

use super::call::{answer, call, is_missing, op, or_missing};
use super::names;
use crate::rados::{IoCtx, OpError, OpFlags, Operation};
use ringbd_proto::rbd::lock::{self, LockInfo};
use ringbd_proto::rbd::{
    Features, ImageFlags, LOCK_NAME, OpFeatures, Parent, Protection, SnapSequence, Snapshot, Striping, header,
};
use ringbd_proto::types::{PoolId, SnapId, Utime};

/// Snapshots asked for in one operation, so that its answer stays small.
const SNAPSHOTS_PER_OP: usize = 128;
/// How often snapshots may come and go while they are read.
const ATTEMPTS_MAX: usize = 10;

/// What the header of an image says.
#[derive(Clone, Debug)]
pub struct Header {
    /// The size in bytes.
    pub size: u64,
    /// How its bytes go round its objects.
    pub striping: Striping,
    /// What it can do.
    pub features: Features,
    /// What it takes part in.
    pub op_features: OpFeatures,
    /// What is wrong with it.
    pub flags: ImageFlags,
    /// What the names of its data objects begin with.
    pub prefix: String,
    /// The pool of its data, if it is another.
    pub data_pool: Option<PoolId>,
    /// The snapshots that writes preserve.
    pub snap_sequence: SnapSequence,
    /// When it was made, last read and last written.
    pub created: Utime,
    /// When it was last read, roughly.
    pub accessed: Utime,
    /// When it was last written, roughly.
    pub modified: Utime,
    /// The snapshot that it is a clone of, and how many bytes that covers.
    pub parent: Option<(Parent, u64)>,
    /// Who may write.
    pub lock: LockInfo,
    /// How many snapshots it may have.
    pub snapshot_limit: Option<u64>,
    /// Its snapshots, newest first.
    pub snapshots: Vec<SnapshotState>,
}

/// A snapshot, and what the header says of it beside.
#[derive(Clone, Debug)]
pub struct SnapshotState {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Whether it may be removed.
    pub protection: Protection,
    /// What is wrong with its object map.
    pub flags: ImageFlags,
    /// How many bytes its parent covers.
    pub overlap: Option<u64>,
}

/// Why a header could not be read.
pub(super) enum HeaderFault {
    Op(OpError),
    Bad(&'static str),
}

impl From<OpError> for HeaderFault {
    fn from(error: OpError) -> HeaderFault {
        HeaderFault::Op(error)
    }
}

impl Header {
    /// Reads the header of the image with this id.
    pub(super) async fn read(io: &IoCtx, id: &str) -> Result<Header, HeaderFault> {
        let object = names::header(id);
        for _ in 1..ATTEMPTS_MAX {
            let mut header = Header::read_head(io, &object).await?;
            match read_snapshots(io, &object, &header.snap_sequence.snaps).await {
                // A snapshot went between the two operations.
                Err(error) if is_missing(&error) => {}
                snapshots => {
                    header.snapshots = snapshots?;
                    return Ok(header);
                }
            }
        }
        Err(HeaderFault::Bad("it lists snapshots that are not there"))
    }

    async fn read_head(io: &IoCtx, object: &[u8]) -> Result<Header, HeaderFault> {
        let head = SnapId::HEAD;
        let (size, prefix) = (header::get_size(head), header::get_object_prefix());
        let (features, op_features) = (header::get_features(head, true), header::op_features_get());
        let (flags, snaps) = (header::get_flags(head), header::get_snapcontext());
        let (data_pool, parent) = (header::get_data_pool(), header::parent_get());
        let (overlap, lock) = (header::parent_overlap_get(head), lock::get_info(LOCK_NAME));
        let (created, accessed) = (header::get_create_timestamp(), header::get_access_timestamp());
        let (modified, limit) = (header::get_modify_timestamp(), header::snapshot_get_limit());
        let stripes = header::get_stripe_unit_count();
        // An image without striping answers with an error, which must not fail the rest.
        let stripes_op = Operation { flags: OpFlags::FAILOK, ..op(&stripes) };
        let ops = [
            op(&size),
            op(&prefix),
            op(&features),
            op(&op_features),
            op(&flags),
            op(&snaps),
            op(&data_pool),
            op(&parent),
            op(&overlap),
            op(&lock),
            op(&created),
            op(&accessed),
            op(&modified),
            op(&limit),
            stripes_op,
        ];
        let reply = io.operate_read(object, &ops, None).await?.ok()?;
        let size = answer(&reply, 0, &size)?;
        let features = answer(&reply, 2, &features)?.all;
        let (unit, count) = match features.contains(Features::STRIPING) {
            true => answer(&reply, 14, &stripes)?,
            false => (0, 0),
        };
        let striping = Striping::new(size.order, unit, count)
            .map_err(|_| HeaderFault::Bad("its objects and stripes do not fit together"))?;
        let overlap = answer(&reply, 8, &overlap)?.unwrap_or(0);
        Ok(Header {
            size: size.size,
            striping,
            features,
            op_features: answer(&reply, 3, &op_features)?,
            flags: answer(&reply, 4, &flags)?,
            prefix: answer(&reply, 1, &prefix)?,
            data_pool: answer(&reply, 6, &data_pool)?,
            snap_sequence: answer(&reply, 5, &snaps)?,
            created: answer(&reply, 10, &created)?,
            accessed: answer(&reply, 11, &accessed)?,
            modified: answer(&reply, 12, &modified)?,
            parent: answer(&reply, 7, &parent)?.map(|parent| (parent, overlap)),
            lock: answer(&reply, 9, &lock)?,
            snapshot_limit: answer(&reply, 13, &limit)?,
            snapshots: Vec::new(),
        })
    }

    /// The objects that it can have.
    pub fn objects(&self) -> u64 {
        self.striping.objects(self.size)
    }

    /// The snapshot of a person with this name.
    pub fn snapshot(&self, name: &str) -> Option<&SnapshotState> {
        use ringbd_proto::rbd::SnapNamespace::User;
        self.snapshots.iter().find(|snap| snap.snapshot.name == name && snap.snapshot.namespace == User)
    }
}

async fn read_snapshots(io: &IoCtx, object: &[u8], snaps: &[SnapId]) -> Result<Vec<SnapshotState>, OpError> {
    const CALLS: usize = 4;
    let mut all = Vec::new();
    for some in snaps.chunks(SNAPSHOTS_PER_OP) {
        let ops: Vec<_> = some
            .iter()
            .flat_map(|&snap| {
                [
                    op(&header::snapshot_get(snap)),
                    op(&header::get_protection_status(snap)),
                    op(&header::get_flags(snap)),
                    op(&header::parent_overlap_get(snap)),
                ]
            })
            .collect();
        let reply = io.operate_read(object, &ops, None).await?.ok()?;
        for (nth, &snap) in some.iter().enumerate() {
            let at = nth * CALLS;
            all.push(SnapshotState {
                snapshot: answer(&reply, at, &header::snapshot_get(snap))?,
                protection: answer(&reply, at + 1, &header::get_protection_status(snap))?,
                flags: answer(&reply, at + 2, &header::get_flags(snap))?,
                overlap: answer(&reply, at + 3, &header::parent_overlap_get(snap))?,
            });
        }
    }
    Ok(all)
}

/// The id of an image by its name, from its own object or, where that is missing, from the directory.
pub(super) async fn find_id(io: &IoCtx, name: &str) -> Result<Option<String>, OpError> {
    if let Some(id) = or_missing(call(io, &names::id_object(name), &header::get_id()).await)? {
        return Ok(Some(id));
    }
    let by_directory = ringbd_proto::rbd::directory::get_id(name);
    or_missing(call(io, names::DIRECTORY, &by_directory).await)
}
