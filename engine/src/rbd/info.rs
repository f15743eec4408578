//! What people want to know of an image: its header, with names in place of numbers.

use super::call::{call, or_missing};
use super::error::{RbdErrorKind, Result};
use super::image::RbdImage;
use super::names;
use crate::rados::OpError;
use ringbd_proto::rbd::{
    Features, ImageFlags, OpFeatures, Parent, Protection, SnapNamespace, directory, header, pool,
};
use ringbd_proto::types::Utime;

/// What is to know of an image, or of a snapshot of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageInfo {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// Its size in bytes.
    pub size: u64,
    /// The objects that it can have.
    pub objects: u64,
    /// The size of its objects as a power of two.
    pub order: u8,
    /// Its snapshots.
    pub snapshots: usize,
    /// The pool of its data, if it is another.
    pub data_pool: Option<String>,
    /// What the names of its data objects begin with.
    pub prefix: String,
    /// What it can do.
    pub features: Features,
    /// What it takes part in.
    pub op_features: OpFeatures,
    /// What is wrong with it.
    pub flags: ImageFlags,
    /// The group that it is in.
    pub group: Option<String>,
    /// When it was made.
    pub created: Utime,
    /// When it was last read, roughly.
    pub accessed: Utime,
    /// When it was last written, roughly.
    pub modified: Utime,
    /// Whether the snapshot may be removed; none of the image itself.
    pub protected: Option<bool>,
    /// How many snapshots it may have.
    pub snapshot_limit: Option<u64>,
    /// What it is a clone of.
    pub parent: Option<ParentInfo>,
    /// Bytes of a stripe unit, and objects of a stripe.
    pub stripes: Option<(u64, u64)>,
}

/// What an image is a clone of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParentInfo {
    /// The pool.
    pub pool: String,
    /// The namespace in it.
    pub namespace: String,
    /// The image's name.
    pub image: String,
    /// Its id.
    pub id: String,
    /// The snapshot.
    pub snapshot: String,
    /// Whether the image was thrown away.
    pub trash: bool,
    /// How many bytes it has for the clone.
    pub overlap: u64,
}

impl RbdImage {
    /// What is to know of it, or of its snapshot of that name.
    ///
    /// # Errors
    /// There is no such snapshot.
    pub async fn info(&self, snap: Option<&str>) -> Result<ImageInfo> {
        let header = &self.header;
        let snap = match snap {
            None => None,
            Some(name) => Some(
                header
                    .snapshot(name)
                    .ok_or_else(|| self.error("open image", RbdErrorKind::NoSnapshot(name.to_owned())))?,
            ),
        };
        let size = snap.map_or(header.size, |snap| snap.snapshot.size);
        let data_pool = header.data_pool.filter(|pool| *pool != self.io().pool());
        let missing = |pool| format!("<missing data pool {pool}>");
        let striped = header.features.contains(Features::STRIPING);
        let overlap = snap.map(|snap| snap.overlap.unwrap_or(0));
        let parent = match &header.parent {
            Some((parent, of_head)) => Some(self.parent_info(parent, overlap.unwrap_or(*of_head)).await?),
            None => None,
        };
        Ok(ImageInfo {
            name: self.name.clone(),
            id: self.id.clone(),
            size,
            objects: header.striping.objects(size),
            order: header.striping.order(),
            snapshots: header.snapshots.len(),
            data_pool: data_pool.map(|pool| self.pool.name_of(pool).unwrap_or_else(|| missing(pool))),
            prefix: header.prefix.clone(),
            features: header.features,
            op_features: header.op_features,
            flags: snap.map_or(header.flags, |snap| snap.flags),
            group: self.group().await?,
            created: header.created,
            accessed: header.accessed,
            modified: header.modified,
            protected: snap.map(|snap| snap.protection == Protection::Protected),
            snapshot_limit: header.snapshot_limit,
            parent,
            stripes: striped.then(|| (header.striping.unit(), header.striping.count())),
        })
    }

    /// What the image is a clone of, with names.
    ///
    /// # Errors
    /// The parent cannot be read.
    pub async fn parent(&self) -> Result<Option<ParentInfo>> {
        match &self.header.parent {
            Some((parent, overlap)) => self.parent_info(parent, *overlap).await.map(Some),
            None => Ok(None),
        }
    }

    async fn parent_info(&self, parent: &Parent, overlap: u64) -> Result<ParentInfo> {
        let io = self.pool.rados.pool_by_id(parent.pool).with_namespace(parent.namespace.as_bytes());
        let named = call(&io, names::DIRECTORY, &directory::get_name(&parent.image_id)).await;
        let failed = |error: OpError| self.failed("read the parent of", error);
        let (image, trash) = match or_missing(named).map_err(failed)? {
            Some(name) => (name, false),
            None => {
                let thrown = call(&io, names::TRASH, &pool::trash_get(&parent.image_id)).await;
                (or_missing(thrown).map_err(failed)?.map(|entry| entry.name).unwrap_or_default(), true)
            }
        };
        let snapshot = call(&io, &names::header(&parent.image_id), &header::snapshot_get(parent.snap)).await;
        let snapshot = or_missing(snapshot).map_err(failed)?;
        Ok(ParentInfo {
            pool: self.pool.name_of(parent.pool).unwrap_or_default(),
            namespace: parent.namespace.clone(),
            image,
            id: parent.image_id.clone(),
            snapshot: snapshot.map(|snap| snap.name).unwrap_or_default(),
            trash,
            overlap,
        })
    }

    /// The group that it is in, as `pool/group`.
    pub(super) async fn group(&self) -> Result<Option<String>> {
        let failed = |error: OpError| self.failed("read the group of", error);
        let group = call(self.io(), &self.header_object(), &header::image_group_get()).await;
        let Some(group) = or_missing(group).map_err(failed)?.flatten() else { return Ok(None) };
        let io = self.pool.rados.pool_by_id(group.pool).with_namespace(self.pool.namespace.as_bytes());
        let named = call(&io, names::GROUP_DIRECTORY, &directory::get_name(&group.group_id)).await;
        let name = or_missing(named).map_err(failed)?.unwrap_or(group.group_id);
        let pool = self.pool.name_of(group.pool);
        let pool = pool.unwrap_or_else(|| format!("<missing group pool {}>", group.pool));
        Ok(Some(match self.pool.namespace.as_str() {
            "" => format!("{pool}/{name}"),
            namespace => format!("{pool}/{namespace}/{name}"),
        }))
    }

    /// Whether a snapshot of the image is one that people made.
    pub fn user_snapshots(&self) -> impl Iterator<Item = &super::SnapshotState> {
        self.header.snapshots.iter().filter(|snap| snap.snapshot.namespace == SnapNamespace::User)
    }
}
