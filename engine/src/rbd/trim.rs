//! The removal of data objects: those of an image that is removed, or that lie behind the new end of one that shrinks.

use super::error::{RbdErrorKind, Result};
use super::image::RbdImage;
use super::maintenance::MapInHand;
use super::names;
use crate::rados::{IoCtx, OpError, OsdOp, SnapContext};
use ringbd_proto::rbd::ObjectState;
use ringbd_reactor::spawn;
use std::collections::VecDeque;

/// Removes what an image of `size` bytes has no use for, with up to `concurrent` operations at once. `progress` hears how
/// many objects of how many are behind it.
///
/// Snapshots keep what they need of it. An interrupted removal leaves objects that are pending in the map, which the next
/// one removes.
pub(super) async fn trim(
    image: &RbdImage,
    map: &MapInHand,
    size: u64,
    concurrent: usize,
    operation: &'static str,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<()> {
    let header = &image.header;
    let (keep, all) = (header.striping.objects(size), header.objects());
    let io = data_io(image, operation)?;
    let removing = (keep, all);
    map.update(image, removing, ObjectState::Pending, ObjectState::Exists).await?;
    let mut window = Window { concurrent: concurrent.max(1), running: VecDeque::new() };
    let failed = |error| image.failed(operation, error);
    for object in keep..all {
        let there = map.map().is_none_or(|map| map.state(object) != ObjectState::Nonexistent);
        if there {
            window
                .start(io.clone(), names::data_object(&header.prefix, object), Cut::Remove)
                .await
                .map_err(failed)?;
            progress(object - keep, all - keep);
        }
    }
    cut_boundary(image, map, size, &io, &mut window, operation).await?;
    window.finish().await.map_err(failed)?;
    map.update(image, removing, ObjectState::Nonexistent, ObjectState::Pending).await?;
    progress(all - keep, all - keep);
    Ok(())
}

/// Shortens the objects that the new end lies in: with stripes, up to all of a set.
async fn cut_boundary(
    image: &RbdImage,
    map: &MapInHand,
    size: u64,
    io: &IoCtx,
    window: &mut Window,
    operation: &'static str,
) -> Result<()> {
    let striping = image.header.striping;
    let keep = striping.objects(size);
    for object in keep.saturating_sub(striping.count())..keep {
        let bytes = striping.object_bytes_within(object, size);
        let there = map.map().is_none_or(|map| map.state(object) != ObjectState::Nonexistent);
        // Nothing of it lies behind the new end, or was there before.
        if !there || bytes == striping.object_bytes_within(object, image.header.size) {
            continue;
        }
        map.update(image, (object, object + 1), ObjectState::Exists, ObjectState::Exists).await?;
        let name = names::data_object(&image.header.prefix, object);
        let started = window.start(io.clone(), name, Cut::Shorten(bytes)).await;
        started.map_err(|error| image.failed(operation, error))?;
    }
    Ok(())
}

/// Where the data is, with the snapshots that must be preserved.
fn data_io(image: &RbdImage, operation: &'static str) -> Result<IoCtx> {
    let sequence = &image.header.snap_sequence;
    let snapc = match sequence.snaps.is_empty() {
        true => SnapContext::all_removed(sequence.seq),
        false => SnapContext::new(sequence.seq, sequence.snaps.clone()),
    };
    let bad = |_| image.error(operation, RbdErrorKind::BadHeader("its snapshots are not in order"));
    Ok(image.data_io().with_full_try().with_snap_context(snapc.map_err(bad)?))
}

/// What is done to an object.
#[derive(Clone, Copy)]
enum Cut {
    Remove,
    Shorten(u64),
}

/// Operations under way, up to a number; the oldest is waited for first.
struct Window {
    concurrent: usize,
    running: VecDeque<ringbd_reactor::JoinHandle<std::result::Result<(), OpError>>>,
}

impl Window {
    async fn start(&mut self, io: IoCtx, object: Vec<u8>, cut: Cut) -> std::result::Result<(), OpError> {
        if self.running.len() >= self.concurrent
            && let Some(oldest) = self.running.pop_front()
        {
            oldest.await?;
        }
        self.running.push_back(spawn(async move {
            let op = match cut {
                Cut::Remove => OsdOp::Delete,
                Cut::Shorten(bytes) => OsdOp::Truncate(bytes),
            };
            match io.operate_write(&object, &[op.into()]).await?.ok() {
                // It was never written.
                Ok(_) | Err(OpError::Errno(2)) => Ok(()),
                Err(error) => Err(error),
            }
        }));
        Ok(())
    }

    async fn finish(mut self) -> std::result::Result<(), OpError> {
        while let Some(oldest) = self.running.pop_front() {
            oldest.await?;
        }
        Ok(())
    }
}
