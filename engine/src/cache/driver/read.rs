//! Reads that the cache cannot serve at once, the fills behind them, and readahead.

use super::{Below, Driver};
use crate::cache::{Extent, Fetch, FillId, ReadPlan};
use crate::error::Result;
use ringbd_reactor::{Buf, JoinHandle, spawn, spawn_detached};
use std::rc::Rc;

impl<B: Below> Driver<B> {
    /// Reads if everything is in the cache; else leaves `buf` as it was.
    #[inline]
    pub(crate) fn try_read(&self, extent: Extent, buf: &mut [u8]) -> bool {
        self.shard.borrow_mut().try_read(extent, buf)
    }

    /// Reads an extent, from the cache where it can and from below where it must.
    pub(crate) async fn read(self: &Rc<Self>, extent: Extent, mut buf: Buf) -> (Result<()>, Buf) {
        let mut plan = ReadPlan::new(extent);
        while self.plan(&mut plan, &mut buf) {
            if let Some(&fetch) = plan.direct() {
                let result;
                (result, buf) = self.below.read(extent, buf).await;
                self.end_fill(fetch.fill, result.is_ok().then_some(&*buf));
                if result.is_err() {
                    return (result, buf);
                }
                plan.delivered(&fetch);
                continue;
            }
            if let Err(error) = self.fetch(&mut plan, Some(&mut buf)).await {
                return (Err(error), buf);
            }
            self.unblocked(&plan).await;
        }
        (Ok(()), buf)
    }

    fn plan(&self, plan: &mut ReadPlan, buf: &mut Buf) -> bool {
        !plan.is_done() && self.shard.borrow_mut().plan_read(plan, buf)
    }

    /// Performs the fetches of a round, all at once, and gives the reader its bytes. All end before this does, well or not.
    async fn fetch(self: &Rc<Self>, plan: &mut ReadPlan, mut reader: Option<&mut Buf>) -> Result<()> {
        let fetches = plan.fetches().to_vec();
        let under_way: Vec<_> = fetches.iter().map(|&fetch| self.begin_fetch(fetch)).collect();
        let mut outcome = Ok(());
        for (fetch, reading) in fetches.iter().zip(under_way) {
            let (result, data) = reading.await;
            self.end_fill(fetch.fill, result.is_ok().then_some(&*data));
            match (result, &mut reader) {
                (Ok(()), Some(buf)) => plan.deliver(fetch, &data, buf),
                (Ok(()), None) => {}
                (Err(error), _) => outcome = Err(error),
            }
        }
        outcome
    }

    fn begin_fetch(self: &Rc<Self>, fetch: Fetch) -> JoinHandle<(Result<()>, Buf)> {
        let below = self.below.clone();
        spawn(async move { below.read(fetch.extent, Buf::alloc(fetch.extent.len as usize)).await })
    }

    fn end_fill(&self, fill: Option<FillId>, data: Option<&[u8]>) {
        let Some(fill) = fill else { return };
        match data {
            Some(data) => self.shard.borrow_mut().complete_fill(fill, data),
            None => self.shard.borrow_mut().fail_fill(fill),
        }
        self.something_ended();
    }

    /// Waits for what a round of a plan waits for: fills that others perform, and a discard under way.
    async fn unblocked(&self, plan: &ReadPlan) {
        self.filled(plan.waits()).await;
        // Only where nothing was awaited since the plan was made is the discard surely under way still.
        if plan.waits_for_discard() && plan.fetches().is_empty() && plan.waits().is_empty() {
            self.changed.wait().await;
        }
    }

    /// Waits until these fills, which others perform, have ended.
    async fn filled(&self, fills: &[FillId]) {
        for &fill in fills {
            while self.shard.borrow().is_filling(fill) {
                self.changed.wait().await;
            }
        }
    }

    /// Brings the sectors that a write covers in part into the cache. When this ends, the caller tries its write in
    /// the same step.
    pub(super) async fn fill_edge(self: &Rc<Self>, edge: Extent) -> Result<()> {
        let mut plan = ReadPlan::new(edge);
        self.shard.borrow_mut().plan_edge(edge, &mut plan);
        self.unblocked(&plan).await;
        self.fetch(&mut plan, None).await
    }

    /// Brings an extent into the cache in the background.
    pub(crate) fn read_ahead(self: &Rc<Self>, extent: Extent) {
        let mut plan = ReadPlan::new(extent);
        self.shard.borrow_mut().plan_readahead(extent, &mut plan);
        if !plan.fetches().is_empty() {
            let driver = self.clone();
            spawn_detached(async move {
                // Nobody waits for readahead: the read that wants the bytes reports the error.
                let _ = driver.fetch(&mut plan, None).await;
            });
        }
    }
}
