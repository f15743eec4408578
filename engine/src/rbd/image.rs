//! An image that was found.

use super::call::change;
use super::error::{RbdError, RbdErrorKind, Result};
use super::header::{Header, HeaderFault};
use super::names;
use super::pool::ImagePool;
use crate::rados::{IoCtx, OpError, Operation};
use ringbd_proto::rbd::{Features, HeaderNotice};
use std::time::Duration;

/// How long the image's other users may take to hear of a change. They ask again when they next look.
pub(super) const NOTIFY_LIMIT: Duration = Duration::from_secs(5);

/// An image that was found, with its header as it was then.
#[derive(Clone)]
pub struct RbdImage {
    pub(super) pool: ImagePool,
    pub(super) name: String,
    pub(super) id: String,
    pub(super) header: Header,
}

impl RbdImage {
    pub(super) fn new(pool: ImagePool, name: &str, id: &str, header: Header) -> RbdImage {
        RbdImage { pool, name: name.to_owned(), id: id.to_owned(), header }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its id, which stays when it is renamed.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its header, as it was when it was last read.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Reads the header again.
    pub async fn refresh(&mut self) -> Result<()> {
        match Header::read(self.io(), &self.id).await {
            Ok(header) => {
                self.header = header;
                Ok(())
            }
            Err(HeaderFault::Op(error)) => Err(self.failed("open image", error)),
            Err(HeaderFault::Bad(why)) => Err(self.error("open image", RbdErrorKind::BadHeader(why))),
        }
    }

    pub(super) fn io(&self) -> &IoCtx {
        &self.pool.io
    }

    /// Where its data is.
    pub(super) fn data_io(&self) -> IoCtx {
        match self.header.data_pool {
            Some(pool) => {
                let io = self.pool.rados.pool_by_id(pool);
                io.with_namespace(self.pool.namespace.as_bytes())
            }
            None => self.io().clone(),
        }
    }

    pub(super) fn header_object(&self) -> Vec<u8> {
        names::header(&self.id)
    }

    pub(super) fn error(&self, operation: &'static str, kind: RbdErrorKind) -> RbdError {
        RbdError::new(operation, self.pool.path(&self.name), kind)
    }

    pub(super) fn failed(&self, operation: &'static str, error: OpError) -> RbdError {
        self.error(operation, RbdErrorKind::Cluster(error))
    }

    /// Refuses to change an image that must be changed in ways that this release does not know.
    pub(super) fn check_changeable(&self, operation: &'static str) -> Result<()> {
        let foreign = Features::JOURNALING
            .with(Features::MIGRATING)
            .with(Features::NON_PRIMARY)
            .with(Features::DIRTY_CACHE);
        let has = Features(self.header.features.0 & foreign.0);
        match has {
            Features(0) => Ok(()),
            has => Err(self.error(operation, RbdErrorKind::Unsupported(has))),
        }
    }

    /// Changes the header, and tells who has the image open.
    pub(super) async fn change_header(&self, operation: &'static str, ops: &[Operation<'_>]) -> Result<()> {
        let object = self.header_object();
        change(self.io(), &object, ops).await.map_err(|error| self.failed(operation, error))?;
        self.notify(&HeaderNotice::HeaderUpdate).await;
        Ok(())
    }

    /// Tells who has the image open. That somebody did not hear it in time is theirs to find out.
    pub(super) async fn notify(&self, notice: &HeaderNotice) {
        let told = self.io().notify(&self.header_object(), &notice.encode(), NOTIFY_LIMIT).await;
        if let Err(error) = told {
            tracing::debug!(%error, image = self.name, "others could not be told of a change");
        }
    }
}
