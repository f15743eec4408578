//! A pool, or a namespace of one, as a place of images.

use super::call::{all_pages, call, or_missing};
use super::error::{RbdError, RbdErrorKind, Result};
use super::header::{Header, HeaderFault, find_id};
use super::image::RbdImage;
use super::names;
use crate::rados::{IoCtx, OpError, OsdOp, Rados};
use ringbd_proto::rbd::{Features, TrashEntry, directory, pool};
use ringbd_proto::types::PoolId;
use ringbd_reactor::{Buf, SharedBuf};

/// Entries of a directory asked for at once.
const PAGE: u64 = 1024;
/// What is written where images could be: they may.
const VALIDATED: &[u8] = b"overwrite validated";
/// What is written there first. Overwriting it is the proof.
const VALIDATE: &[u8] = b"validate";

/// A pool or a namespace of one.
#[derive(Clone)]
pub struct ImagePool {
    pub(super) rados: Rados,
    pub(super) io: IoCtx,
    pub(super) pool: String,
    pub(super) namespace: String,
}

/// An image in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
}

impl ImagePool {
    /// Opens a pool's namespace; the empty one is the default.
    ///
    /// # Errors
    /// There is no such pool, or it has no such namespace.
    pub async fn open(rados: &Rados, pool: &str, namespace: &str) -> Result<ImagePool> {
        let fail = |kind| RbdError::new("open", format_args!("pool {pool}"), kind);
        let found = find_pool(rados, pool).await.map_err(|error| fail(RbdErrorKind::Cluster(error)))?;
        let Some(io) = found else { return Err(fail(RbdErrorKind::NoPool(pool.to_owned()))) };
        let opened = ImagePool {
            rados: rados.clone(),
            io: io.with_namespace(namespace.as_bytes()),
            pool: pool.to_owned(),
            namespace: namespace.to_owned(),
        };
        if namespace.is_empty() || opened.namespaces().await?.iter().any(|name| name == namespace) {
            return Ok(opened);
        }
        Err(fail(RbdErrorKind::NoNamespace(namespace.to_owned())))
    }

    /// Tries also where the pool is full, because what is done frees space.
    #[must_use]
    pub fn with_full_try(mut self) -> ImagePool {
        self.io = self.io.with_full_try();
        self
    }

    /// A pool's name, where the map at hand has one.
    pub(super) fn name_of(&self, pool: PoolId) -> Option<String> {
        self.rados.map().and_then(|map| map.pool_name(pool).map(str::to_owned))
    }

    /// What an image here is called in messages.
    pub(super) fn path(&self, image: &str) -> String {
        match self.namespace.as_str() {
            "" => format!("{}/{image}", self.pool),
            namespace => format!("{}/{namespace}/{image}", self.pool),
        }
    }

    fn of_pool(&self, operation: &'static str) -> impl Fn(OpError) -> RbdError {
        let path = format!("pool {}", self.pool);
        move |error| RbdError::new(operation, &path, RbdErrorKind::Cluster(error))
    }

    /// The images here, by name.
    pub async fn images(&self) -> Result<Vec<Listed>> {
        let entries = all_pages(&self.io, names::DIRECTORY, PAGE, directory::list).await;
        let entries = entries.map_err(self.of_pool("list"))?;
        Ok(entries.into_iter().map(|(name, id)| Listed { name, id }).collect())
    }

    /// The namespaces of the pool.
    pub async fn namespaces(&self) -> Result<Vec<String>> {
        let io = self.io.clone().with_namespace(b"");
        let mut all: Vec<String> = Vec::new();
        loop {
            let after = all.last().map_or("", String::as_str);
            let page = call(&io, names::NAMESPACES, &pool::namespace_list(after, PAGE)).await;
            let page = or_missing(page).map_err(self.of_pool("list namespaces of"))?.unwrap_or_default();
            let last = (page.len() as u64) < PAGE;
            all.extend(page);
            if last {
                return Ok(all);
            }
        }
    }

    /// The images that were thrown away, by id.
    pub async fn trash(&self) -> Result<Vec<(String, TrashEntry)>> {
        let entries = all_pages(&self.io, names::TRASH, PAGE, pool::trash_list).await;
        entries.map_err(self.of_pool("list the trash of"))
    }

    /// Finds an image and reads its header.
    ///
    /// # Errors
    /// There is none, it is of format 1, or it needs a newer client.
    pub async fn image(&self, name: &str) -> Result<RbdImage> {
        let fail = |kind| RbdError::new("open image", self.path(name), kind);
        let cluster = |error| fail(RbdErrorKind::Cluster(error));
        let Some(id) = find_id(&self.io, name).await.map_err(cluster)? else {
            let old = self.io.exists(&names::old_header(name)).await.map_err(cluster)?;
            return Err(fail(if old { RbdErrorKind::OldFormat } else { RbdErrorKind::NoImage }));
        };
        self.open_id(name, &id).await
    }

    /// The same by its id.
    ///
    /// # Errors
    /// As [`image`](ImagePool::image).
    pub async fn image_by_id(&self, id: &str) -> Result<RbdImage> {
        let fail = |kind| RbdError::new("open image", self.path(id), kind);
        let cluster = |error| fail(RbdErrorKind::Cluster(error));
        let found = call(&self.io, names::DIRECTORY, &directory::get_name(id)).await;
        if let Some(name) = or_missing(found).map_err(cluster)? {
            return self.open_id(&name, id).await;
        }
        let trashed = call(&self.io, names::TRASH, &pool::trash_get(id)).await;
        match or_missing(trashed).map_err(cluster)? {
            Some(entry) => self.open_id(&entry.name, id).await,
            None => Err(fail(RbdErrorKind::NoImage)),
        }
    }

    async fn open_id(&self, name: &str, id: &str) -> Result<RbdImage> {
        let fail = |kind| RbdError::new("open image", self.path(name), kind);
        match Header::read(&self.io, id).await {
            Ok(header) => {
                let unknown = header.features.unknown();
                if unknown != Features(0) {
                    return Err(fail(RbdErrorKind::Unsupported(unknown)));
                }
                Ok(RbdImage::new(self.clone(), name, id, header))
            }
            Err(HeaderFault::Op(OpError::Errno(2))) => Err(fail(RbdErrorKind::NoImage)),
            Err(HeaderFault::Op(error)) => Err(fail(RbdErrorKind::Cluster(error))),
            Err(HeaderFault::Bad(why)) => Err(fail(RbdErrorKind::BadHeader(why))),
        }
    }

    /// Makes sure that a pool can hold images: that its clients number its snapshots, and that objects can be overwritten.
    /// What was found is written down, so that only the first image of a pool has to ask.
    pub(super) async fn validate(io: &IoCtx) -> std::result::Result<(), PoolFault> {
        let io = io.clone().with_namespace(b"");
        let (n, found) = match io.read(names::POOL_INFO, 0, Buf::zeroed(64)).await {
            Ok(read) => read,
            Err(OpError::Errno(2)) => (0, Buf::zeroed(0)),
            Err(error) => return Err(PoolFault::Op(error)),
        };
        let overwrite = async |bytes: &[u8]| {
            let data = SharedBuf::from(Buf::from_slice(bytes));
            match io.operate_write(names::POOL_INFO, &[OsdOp::Write { offset: 0, data }.into()]).await?.ok() {
                Err(OpError::Errno(95)) => Err(PoolFault::Unfit("its objects cannot be overwritten")),
                outcome => Ok(outcome.map(drop)?),
            }
        };
        if &found[..n] == VALIDATED {
            return Ok(());
        }
        if &found[..n] != VALIDATE {
            let snap = match io.create_selfmanaged_snap().await {
                Err(OpError::Errno(22)) => return Err(PoolFault::Unfit("it has snapshots of its own")),
                snap => snap?,
            };
            let written = overwrite(VALIDATE).await;
            io.remove_selfmanaged_snap(snap).await?;
            written?;
        }
        overwrite(VALIDATED).await
    }
}

/// A pool by its name, also one that is newer than the map at hand.
pub(super) async fn find_pool(rados: &Rados, name: &str) -> std::result::Result<Option<IoCtx>, OpError> {
    let id = || rados.map().and_then(|map| map.pool_named(name));
    if id().is_none() {
        rados.latest_map().await?;
    }
    Ok(id().map(|id| rados.pool_by_id(id)))
}

/// Why a pool does not hold images.
pub(super) enum PoolFault {
    Op(OpError),
    Unfit(&'static str),
}

impl From<OpError> for PoolFault {
    fn from(error: OpError) -> PoolFault {
        PoolFault::Op(error)
    }
}
