//! Giving an image another name.

use super::call::{call, change, op, or_missing};
use super::error::{RbdErrorKind, Result};
use super::image::RbdImage;
use super::names;
use crate::rados::{OpError, OpFlags, OsdOp};
use ringbd_proto::rbd::{HeaderNotice, directory, header};

const RENAME: &str = "rename";

impl RbdImage {
    /// Renames it, in its pool and namespace. Between the steps it can be found under either name.
    ///
    /// # Errors
    /// The name is taken.
    pub async fn rename(&mut self, to: &str) -> Result<()> {
        self.check_changeable(RENAME)?;
        let io = self.io().clone();
        let (old, new) = (names::id_object(&self.name), names::id_object(to));
        let make = [OsdOp::Create.with(OpFlags::EXCL), op(&header::set_id(&self.id))];
        match change(&io, &new, &make).await {
            Ok(()) => {}
            Err(OpError::Errno(17)) => return Err(self.error(RENAME, RbdErrorKind::Exists)),
            Err(error) => return Err(self.failed(RENAME, error)),
        }
        let moved = call(&io, names::DIRECTORY, &directory::rename_image(&self.name, to, &self.id)).await;
        if let Err(error) = moved {
            // Whatever happens to this, the image keeps its old name.
            drop(io.remove(&new).await);
            return Err(match error {
                OpError::Errno(17) => self.error(RENAME, RbdErrorKind::Exists),
                error => self.failed(RENAME, error),
            });
        }
        or_missing(io.remove(&old).await).map_err(|error| self.failed(RENAME, error))?;
        self.name = to.to_owned();
        self.notify(&HeaderNotice::HeaderUpdate).await;
        Ok(())
    }
}
