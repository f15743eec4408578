//! compare_and_write: the comparison and the write are one step, so nothing comes between them.

use super::{Below, Driver, now_ns};
use crate::cache::{Extent, WriteOutcome};
use crate::error::{Error, ErrorKind, Result};
use std::rc::Rc;

/// Rounds of bringing the bytes in and finding them evicted before they were compared. More than a few mean that the
/// cache is too small for the extent.
const ROUNDS_MAX: usize = 100;

impl<B: Below> Driver<B> {
    /// Writes `data` if the extent holds `compare`; else says at which byte it differs.
    pub(crate) async fn compare_and_write(
        self: &Rc<Self>,
        extent: Extent,
        compare: &[u8],
        data: &[u8],
    ) -> Result<Option<usize>> {
        let mut found = vec![0; extent.len as usize];
        let begun = self.begun.get();
        for _ in 0..ROUNDS_MAX {
            if !self.try_read(extent, &mut found) {
                self.fill_edge(extent).await?;
                continue;
            }
            if let Some(at) = found.iter().zip(compare).position(|(found, wanted)| found != wanted) {
                return Ok(Some(at));
            }
            let outcome = self.shard.borrow_mut().write(extent, data, now_ns());
            match outcome {
                WriteOutcome::Accepted | WriteOutcome::Deferred => {
                    self.more_is_dirty();
                    return self.acknowledge(extent).await.map(|()| None);
                }
                WriteOutcome::NeedsFill(edge) => self.fill_edge(edge).await?,
                WriteOutcome::Held(_) => {
                    self.more_is_dirty();
                    self.changed.wait().await;
                    self.failed_since(begun)?;
                }
            }
        }
        let reason = format!("{} bytes do not stay in the cache long enough to be compared", extent.len);
        Err(Error::new(ErrorKind::Busy, "compare_and_write", format!("object {}", extent.object), reason)
            .hint("compare fewer bytes, or raise rbd_cache_size"))
    }
}
