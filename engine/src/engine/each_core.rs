//! Work that every core of an engine, or any one of them, is asked to do: readings, barriers, closing.

use super::Engine;
use super::message::{ImageNo, Message, Work};
use super::state::CoreState;
use crate::stats::{CacheStats, Stats};
use ringbd_reactor::{spawn_detached, thread_cpu_time};
use std::rc::Rc;

impl Engine {
    /// Begins a task on every core; the receivers give what the tasks returned, or an error if the core ended.
    pub(crate) fn on_every_core<T, F, Fut>(&self, work: F) -> Vec<oneshot::AsyncReceiver<T>>
    where
        T: Send + 'static,
        F: Fn(Rc<CoreState>) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = T> + 'static,
    {
        let roster = self.shared().roster();
        let ask = |&core| {
            let (sender, receiver) = oneshot::async_channel();
            let work = work.clone();
            let run = move |state: &Rc<CoreState>| {
                let task = work(state.clone());
                // Whoever asked may have gone away.
                spawn_detached(async move { drop(sender.send(task.await)) });
            };
            roster.send(core, Message::Run(Box::new(run)));
            receiver
        };
        roster.topology.cores().iter().map(ask).collect()
    }

    /// Runs `work` on some core. False if there is none.
    pub(crate) fn on_a_core(&self, work: Work) -> bool {
        let roster = self.shared().roster();
        let Some(&core) = roster.topology.cores().first() else { return false };
        roster.send(core, Message::Run(work));
        true
    }

    /// Reads every core's counters. Cores on lent threads answer when they are next polled.
    pub async fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        for reading in self.on_every_core(|state| async move { state.read_stats() }) {
            if let Ok(reading) = reading.await {
                stats.merge(&reading);
            }
        }
        stats
    }
}

impl CoreState {
    fn read_stats(&self) -> Stats {
        let mut stats = self.stats.read();
        for image in self.core_images() {
            stats.cache.merge(&image.cache_stats());
            stats.store.merge(&image.store_latencies());
        }
        stats.cpu = thread_cpu_time();
        stats
    }

    /// What this core caches of an image.
    pub(crate) fn cache_stats_of(&self, no: ImageNo) -> CacheStats {
        let image = self.core_images().into_iter().find(|image| image.shared.no == no);
        image.map_or_else(CacheStats::default, |image| image.cache_stats())
    }

    /// Forgets an image that was closed, with all that is cached of it.
    pub(crate) async fn close_image(&self, no: ImageNo) {
        if let Some(image) = self.forget_image(no) {
            image.close().await;
        }
    }

    /// Makes everything of every image durable, as closing does: the last core leaves.
    pub(crate) async fn write_everything_back(self: &Rc<Self>) {
        for image in self.core_images() {
            if let Err(error) = self.flush_always(&image.shared).await {
                tracing::error!(image = image.shared.name, %error, "dirty data could not be written back");
            }
        }
    }
}
