//! Removing an image.
//!
//! ```text
//!   data objects ──▶ the parent's word of its clone ──▶ header ──▶ object map ──▶ id ──▶ directory
//! ```
//!
//! The name goes last, so that an interrupted removal can be found and finished.

use super::call::{call, is_missing, or_missing};
use super::error::{RbdError, RbdErrorKind, Result};
use super::header::find_id;
use super::image::RbdImage;
use super::maintenance::{WatchId, maintain, other_watchers};
use super::names;
use super::pool::ImagePool;
use super::trim::trim;
use crate::rados::{EntityAddr, OpError};
use ringbd_proto::rbd::{Child, OpFeatures, directory, header, pool};
use ringbd_proto::types::{AddrKind, SnapId};

const REMOVE: &str = "remove";

impl ImagePool {
    /// Removes an image, with up to `concurrent` operations at once. `progress` hears how many objects of how many are gone.
    ///
    /// # Errors
    /// It has snapshots, somebody has it open, or it is in a group.
    pub async fn remove(
        &self,
        name: &str,
        concurrent: usize,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<()> {
        let here = self.clone().with_full_try();
        let failed = |error| RbdError::new(REMOVE, here.path(name), RbdErrorKind::Cluster(error));
        match here.image(name).await {
            Ok(mut image) => {
                image.remove_content(concurrent, progress).await?;
                let parted = here.forget(name, &image.id).await;
                parted.map_err(failed)
            }
            // A removal that was interrupted behind the header is finished.
            Err(error) if *error.kind() == RbdErrorKind::NoImage => {
                match find_id(&here.io, name).await.map_err(failed)? {
                    Some(id) => here.forget(name, &id).await.map_err(failed),
                    None => Err(RbdError::new(REMOVE, here.path(name), RbdErrorKind::NoImage)),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Removes what is left of an image that has no data any more.
    async fn forget(&self, name: &str, id: &str) -> std::result::Result<(), OpError> {
        for object in [names::header(id), names::object_map(id, SnapId::HEAD), names::id_object(name)] {
            or_missing(self.io.remove(&object).await)?;
        }
        or_missing(call(&self.io, names::DIRECTORY, &directory::remove_image(name, id)).await).map(drop)
    }
}

impl RbdImage {
    /// Everything but the header and the names: its removal would take the watch with it.
    async fn remove_content(&mut self, concurrent: usize, progress: &mut dyn FnMut(u64, u64)) -> Result<()> {
        self.check_changeable(REMOVE)?;
        maintain(self, REMOVE, async |image, map, me| {
            image.check_removable(me).await?;
            trim(image, map, 0, concurrent, REMOVE, progress).await?;
            image.leave_parent().await
        })
        .await
    }

    async fn check_removable(&self, me: Option<&WatchId>) -> Result<()> {
        if !self.header.snapshots.is_empty() {
            return Err(self.error(REMOVE, RbdErrorKind::HasSnapshots(self.header.snapshots.len())));
        }
        let failed = |error| self.failed(REMOVE, error);
        let object = self.header_object();
        let watchers = other_watchers(self.io(), &object, me).await.map_err(failed)?;
        if let Some(watcher) = watchers.first() {
            let addr = EntityAddr { kind: AddrKind::Any, ..watcher.addr };
            let who = format!("{} at {addr}", watcher.name);
            return Err(self.error(REMOVE, RbdErrorKind::HasWatchers(who)));
        }
        match self.group().await? {
            Some(group) => Err(self.error(REMOVE, RbdErrorKind::InGroup(group))),
            None => Ok(()),
        }
    }

    /// The parent's snapshot has a clone less.
    async fn leave_parent(&self) -> Result<()> {
        let Some((parent, _)) = &self.header.parent else { return Ok(()) };
        let gone = match self.header.op_features.contains(OpFeatures::CLONE_CHILD) {
            true => {
                let io = self.pool.rados.pool_by_id(parent.pool);
                let io = io.with_namespace(parent.namespace.as_bytes());
                let child = Child {
                    pool: self.io().pool(),
                    image_id: self.id.clone(),
                    namespace: self.pool.namespace.clone(),
                };
                call(&io, &names::header(&parent.image_id), &header::child_detach(parent.snap, &child)).await
            }
            false => call(self.io(), names::CHILDREN, &pool::remove_child(parent, &self.id)).await,
        };
        match gone {
            Ok(()) | Err(OpError::NoPool) => Ok(()),
            Err(error) if is_missing(&error) => Ok(()),
            Err(error) => Err(self.failed(REMOVE, error)),
        }
    }
}
