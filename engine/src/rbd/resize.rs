//! Changing an image's size.
//!
//! Growing: the object map first, so that it is never shorter than the image. Shrinking: what lies behind the new end goes
//! first, then the size, then the map. Whoever is interrupted shrinks again.

use super::call::{change, op};
use super::error::{RbdErrorKind, Result};
use super::image::RbdImage;
use super::maintenance::{MapInHand, maintain};
use super::trim::trim;
use ringbd_proto::rbd::{Features, HeaderNotice, OBJECTS_MAX, header};

const RESIZE: &str = "resize";

impl RbdImage {
    /// Sets the size. What lies behind the new end of one that shrinks is lost, except for its snapshots. `progress` hears
    /// how many objects of how many are removed, of which up to `concurrent` at once.
    ///
    /// # Errors
    /// A living client owns the image's lock, or the image is a clone with snapshots that need what would be cut off.
    pub async fn resize(
        &mut self,
        size: u64,
        concurrent: usize,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<()> {
        self.check_changeable(RESIZE)?;
        maintain(self, RESIZE, async |image, map, _| {
            image.check_size(size)?;
            match size < image.header.size {
                true => image.shrink(map, size, concurrent, progress).await?,
                false => map.resize(image, image.header.striping.objects(size)).await?,
            }
            let object = image.header_object();
            let set = change(image.io(), &object, &[op(&header::set_size(size))]).await;
            set.map_err(|error| image.failed(RESIZE, error))?;
            let shrinks = size < image.header.size;
            image.header.size = size;
            if shrinks {
                map.resize(image, image.header.striping.objects(size)).await?;
            }
            image.notify(&HeaderNotice::HeaderUpdate).await;
            Ok(())
        })
        .await
    }

    fn check_size(&self, size: u64) -> Result<()> {
        let objects = self.header.striping.objects(size);
        if self.header.features.contains(Features::OBJECT_MAP) && objects > OBJECTS_MAX {
            return Err(self.error(RESIZE, RbdErrorKind::TooManyObjects(objects)));
        }
        Ok(())
    }

    async fn shrink(
        &self,
        map: &MapInHand,
        size: u64,
        concurrent: usize,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<()> {
        // Snapshots see the parent through objects that are not there, and a later flattening would pass those by.
        let seen_by_snapshots = self.header.snapshots.iter().any(|snap| snap.overlap > Some(size));
        if seen_by_snapshots {
            let why = "its snapshots need what its parent has behind the new end";
            return Err(self.error(RESIZE, RbdErrorKind::CannotShrink(why)));
        }
        trim(self, map, size, concurrent, RESIZE, progress).await
    }
}
