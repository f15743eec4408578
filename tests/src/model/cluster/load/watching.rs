//! Lanes that watch an object, and one that notifies its watchers.
//!
//! The rule: a watcher hears of every notification that it is said to have answered; it is told when it watches no more, and
//! only then.

use super::lane::{Lane, Told};
use crate::model::census::Seen;
use crate::model::cluster::WATCHED;
use ringbd::rados::{OpError, Watch, WatchNews, Watcher};
use ringbd_reactor::{Buf, Elapsed, sleep, spawn_detached, timeout};
use std::rc::Rc;
use std::time::Duration;

/// What every watcher answers.
const ANSWER: &[u8] = b"heard";

/// How often a watcher looks up from its watch.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Within which a watcher that watches no more must have been told once nothing fails any more: also if its client first has
/// to wait for the end of its ticket to know that it is over.
const TOLD_WITHIN: Duration = Duration::from_secs(200);

/// How long a slow watcher takes to answer at most: longer than notifiers wait.
const SLOW_ANSWER_MS: u64 = 8000;

/// How long notifiers wait.
const NOTIFY_LIMIT: Duration = Duration::from_secs(5);

impl Lane {
    /// Watches for as long as somebody notifies, and again when the watch was lost.
    pub(super) async fn watch(self: Rc<Self>, slow: bool) {
        let mut random = self.random();
        while !self.is_over() && !self.load.progress().notified_out {
            match self.begin_to_watch().await {
                Some(watch) => {
                    self.hear_out(&watch, slow, &mut random).await;
                    self.end_watch(watch).await;
                }
                None => sleep(LOOK_INTERVAL).await,
            }
        }
    }

    async fn begin_to_watch(&self) -> Option<Rc<Watch>> {
        let io = super::data(&self.rados);
        let watch = async {
            match io.watch(WATCHED).await {
                // It was removed, or not made yet.
                Err(OpError::Errno(2)) => Ok(None),
                other => other.map(Some),
            }
        };
        let watch = self.operate("watch".to_owned(), watch).await;
        watch.ok().flatten().map(Rc::new)
    }

    fn me(&self, watch: &Watch) -> Watcher {
        Watcher { client: self.load.client.global_id(), cookie: watch.cookie() }
    }

    /// Listens until nobody notifies any more, or the watch is lost.
    async fn hear_out(&self, watch: &Rc<Watch>, slow: bool, random: &mut fastrand::Rng) {
        let me = self.me(watch);
        let mut untold = Duration::ZERO;
        loop {
            match timeout(LOOK_INTERVAL, watch.next()).await {
                Ok(WatchNews::Notified(notification)) => {
                    let wait = if slow { random.u64(0..SLOW_ANSWER_MS) } else { 0 };
                    let (watch, wait) = (watch.clone(), Duration::from_millis(wait));
                    spawn_detached(async move {
                        sleep(wait).await;
                        // The notifier may have given up meanwhile.
                        drop(watch.ack(&notification, ANSWER).await);
                    });
                }
                Ok(WatchNews::Lost(error)) => return self.lost(me, &error),
                Err(Elapsed) => {}
            }
            let watches = self.load.shared.with(|state| state.watchers.has(WATCHED, me));
            let (mended, out) = {
                let progress = self.load.progress();
                (progress.mended, progress.notified_out)
            };
            untold = if watches || !mended { Duration::ZERO } else { untold + LOOK_INTERVAL };
            if untold > TOLD_WITHIN {
                return self.violation("a watch is lost, and the watcher was not told".to_owned());
            }
            if out && watches {
                return;
            }
        }
    }

    /// A watch is lost only if the cluster forgot the watcher, or the client is over.
    fn lost(&self, me: Watcher, error: &OpError) {
        let forgotten = self.load.shared.with(|state| {
            state.census.count(Seen::WatchLost);
            state.watchers.has_forgotten(WATCHED, me)
        });
        match error {
            OpError::Blocklisted | OpError::IdentityLost => {}
            OpError::Errno(_) if forgotten => {}
            error => self.violation(format!("a watch was lost without reason: {error}")),
        }
    }

    async fn end_watch(&self, watch: Rc<Watch>) {
        // Answers that are on their way hold it too.
        let mut watch = watch;
        let watch = loop {
            match Rc::try_unwrap(watch) {
                Ok(watch) => break watch,
                Err(shared) => watch = shared,
            }
            sleep(LOOK_INTERVAL).await;
        };
        let close = async {
            match watch.close().await {
                // The object was removed meanwhile.
                Err(OpError::Errno(2)) => Ok(()),
                other => other,
            }
        };
        // What did not come to an end was said in any case.
        let _: Result<(), Told> = self.operate("unwatch".to_owned(), close).await;
    }

    /// Makes the object that is watched, notifies its watchers, and removes it now and then.
    pub(super) async fn notify(self: Rc<Self>) {
        let mut random = self.random();
        let io = super::data(&self.rados);
        for n in 0..self.load.plan.rounds {
            if n == 0 || random.u8(..8) == 0 {
                let make = async {
                    match io.remove(WATCHED).await {
                        Ok(()) | Err(OpError::Errno(2)) => {}
                        Err(error) => return Err(error),
                    }
                    io.write_full(WATCHED, Buf::empty()).await
                };
                // Two operations, of which each has a limit of its own.
                let _: Result<(), Told> = self.ask("make what is watched".to_owned(), make).await;
            }
            self.notify_once(&io, n).await;
            if self.is_over() {
                break;
            }
            sleep(Duration::from_millis(random.u64(0..2000))).await;
        }
        self.load.progress().notified_out = true;
    }

    async fn notify_once(&self, io: &ringbd::rados::IoCtx, n: u64) {
        let notify = async {
            match io.notify(WATCHED, &n.to_le_bytes(), NOTIFY_LIMIT).await {
                Err(OpError::Errno(2)) => Ok(None),
                other => other.map(Some),
            }
        };
        let told: Result<_, Told> = self.ask(format!("notification {n}"), notify).await;
        let Ok(Some(outcome)) = told else { return };
        let answered = outcome.replies.iter().map(|reply| reply.watcher);
        for watcher in answered.chain(outcome.timeouts.iter().copied()) {
            if !self.load.shared.with(|state| state.watchers.ever_had(WATCHED, watcher)) {
                self.violation(format!("{watcher:?} was notified, and never watched"));
            }
        }
        if outcome.replies.iter().any(|reply| reply.payload != ANSWER) {
            self.violation(format!("a notification was answered by {:?}", outcome.replies));
        }
    }
}
