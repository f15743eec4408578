//! One sync of the data for everybody who waits for one.
//!
//! The rule: a flush is answered by a sync that *started* after the flush arrived, because only such a sync covers what was
//! acknowledged before it. So a flush that finds a sync under way waits for the next, and all who wait share that one, from
//! whichever core and image they come. Whoever finds no sync under way leads: it runs the sync on its own core.

use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use super::data::DataFile;
use super::error::{Result, StoreError};

/// The syncs of one store, counted.
#[derive(Default)]
pub(super) struct DataSync {
    state: Mutex<SyncState>,
}

#[derive(Default)]
struct SyncState {
    /// Syncs started so far.
    started: u64,
    /// The newest sync that ended, whichever way.
    ended: u64,
    running: bool,
    waiting: Vec<Waker>,
    /// How the sync that failed did so; it stays, because the data is poisoned then.
    failure: Option<StoreError>,
}

/// What a flush does next.
enum Turn {
    /// Run the sync.
    Lead,
    /// It is done.
    Done(Result<()>),
}

impl DataSync {
    /// Returns once everything written before the call is durable.
    pub(super) async fn flush(&self, data: &DataFile) -> Result<()> {
        data.check_poison()?;
        let wanted = self.lock().started + 1;
        loop {
            match poll_fn(|cx| self.poll_turn(wanted, cx.waker())).await {
                Turn::Done(result) => return result,
                Turn::Lead => {
                    let lead = Lead { sync: self, ended: None };
                    let synced = data.file.sync_data().await;
                    lead.end(synced.map_err(|e| data.set_poison(e)));
                }
            }
        }
    }

    /// How many syncs were run: fewer than flushes when they were shared.
    pub(super) fn count(&self) -> u64 {
        self.lock().started
    }

    fn poll_turn(&self, wanted: u64, waker: &Waker) -> Poll<Turn> {
        let mut state = self.lock();
        if let Some(failure) = &state.failure {
            return Poll::Ready(Turn::Done(Err(failure.clone())));
        }
        if state.ended >= wanted {
            return Poll::Ready(Turn::Done(Ok(())));
        }
        if state.running {
            state.waiting.push(waker.clone());
            return Poll::Pending;
        }
        state.running = true;
        state.started += 1;
        Poll::Ready(Turn::Lead)
    }

    fn lock(&self) -> MutexGuard<'_, SyncState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sync under way. Dropped without an end (its core died), it counts for nobody, and the next waiter leads.
struct Lead<'a> {
    sync: &'a DataSync,
    ended: Option<Result<()>>,
}

impl Lead<'_> {
    fn end(mut self, result: Result<()>) {
        self.ended = Some(result);
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        let mut state = self.sync.lock();
        assert!(state.running, "only one sync runs at a time");
        state.running = false;
        match self.ended.take() {
            Some(Ok(())) => state.ended = state.started,
            Some(Err(error)) => state.failure = Some(error),
            None => {}
        }
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }
}
