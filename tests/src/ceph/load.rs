//! A load of writes that can be verified: every record must be there once, in order, and none that was acknowledged may
//! be missing.
//!
//! Each worker has an object of its own and appends records to it, one after the other, with up to [`AHEAD`] in flight. An
//! append that is done twice, not at all, or in another order than it was asked for shows in the object. A second object is
//! overwritten at random places, and read back against what was written there last.

use super::Cluster;
use ringbd::Buf;
use ringbd::rados::{GlobalId, IoCtx, OpError, Rados};
use ringbd::runtime::{CoreThread, JoinHandle, random_u64, spawn};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Bytes of a record: the worker, and the record's number.
const RECORD: usize = 16;
/// Appends of one worker in flight.
const AHEAD: usize = 4;
/// Workers of each core.
const WORKERS: u64 = 4;
/// Blocks of the object that is overwritten, and their size.
const BLOCKS: u64 = 16;
const BLOCK: usize = 4096;

/// How long the load may stand still or limp, whatever happens to the cluster.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running load.
pub struct Load {
    shared: Arc<Shared>,
    threads: Vec<CoreThread>,
    cores: u64,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    acknowledged: AtomicU64,
    next_worker: AtomicU64,
    workers_done: AtomicU64,
}

impl Load {
    /// Starts it on a client with so many cores of its own.
    #[must_use]
    pub fn start(cluster: &Cluster, pool: &str, options: &[(&str, &str)], cores: usize) -> Load {
        let shared = Arc::new(Shared::default());
        let (pool, state) = (pool.to_owned(), shared.clone());
        let threads = cluster.start_client(options, cores, move |rados| {
            let (pool, state) = (pool.clone(), state.clone());
            async move { run(&rados, &pool, &state).await }
        });
        Load { shared, threads, cores: cores as u64 }
    }

    /// Operations acknowledged so far.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until so many more operations are acknowledged: the load goes on.
    ///
    /// # Panics
    /// When it does not within a minute.
    pub fn await_progress(&self, operations: u64) {
        let (begin, deadline) = (self.acknowledged(), Instant::now() + PATIENCE);
        while self.acknowledged() < begin + operations {
            let done = self.acknowledged() - begin;
            assert!(
                Instant::now() < deadline,
                "the load on {} cores did {done} of {operations} operations in {PATIENCE:?}",
                self.cores
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Stops, verifies every record, and returns how many operations were acknowledged.
    ///
    /// # Panics
    /// When anything is lost, double or out of order.
    pub fn finish(self) -> u64 {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("no worker found anything wrong");
        }
        assert_eq!(self.shared.workers_done.load(Ordering::Relaxed), self.cores * WORKERS, "all verified");
        self.shared.acknowledged.load(Ordering::Relaxed)
    }
}

async fn run(rados: &Rados, pool: &str, shared: &Arc<Shared>) {
    let io = rados.pool(pool).await.expect("the pool is there");
    let workers: Vec<_> =
        (0..WORKERS).map(|_| spawn(work(io.clone(), rados.cluster().global_id(), shared.clone()))).collect();
    for worker in workers {
        worker.await;
    }
    // The other cores need this one's connections until all of them are done.
    let all = rados.cluster().cores() as u64 * WORKERS;
    while shared.workers_done.load(Ordering::Relaxed) < all {
        ringbd::runtime::sleep(Duration::from_millis(5)).await;
    }
    rados.cluster().close();
}

async fn work(io: IoCtx, client: GlobalId, shared: Arc<Shared>) {
    let worker = shared.next_worker.fetch_add(1, Ordering::Relaxed);
    let log = format!("log.{client}.{worker}").into_bytes();
    let blocks = format!("blocks.{client}.{worker}").into_bytes();
    let mut latest = [0u64; BLOCKS as usize];
    let mut in_flight: VecDeque<JoinHandle<Result<(), OpError>>> = VecDeque::new();
    let (began, mut asked_at) = (Instant::now(), Vec::new());
    let mut appended = 0u64;
    while !shared.stop.load(Ordering::Relaxed) {
        if in_flight.len() == AHEAD {
            let oldest = in_flight.pop_front().expect("it was just counted");
            oldest.await.expect("an append ends well");
            shared.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
        in_flight.push_back(spawn(append(io.clone(), log.clone(), record(worker, appended))));
        asked_at.push(began.elapsed());
        appended += 1;
        if appended.is_multiple_of(4) {
            let block = random_u64() % BLOCKS;
            let stamp = Buf::from_slice(&block_bytes(appended));
            io.write(&blocks, block * BLOCK as u64, stamp).await.expect("a write ends well");
            shared.acknowledged.fetch_add(1, Ordering::Relaxed);
            latest[block as usize] = appended;
        }
    }
    for append in in_flight {
        append.await.expect("an append ends well");
        shared.acknowledged.fetch_add(1, Ordering::Relaxed);
    }
    verify_log(&io, &log, worker, &asked_at).await;
    verify_blocks(&io, &blocks, &latest).await;
    shared.workers_done.fetch_add(1, Ordering::Relaxed);
}

async fn append(io: IoCtx, log: Vec<u8>, record: [u8; RECORD]) -> Result<(), OpError> {
    io.append(&log, Buf::from_slice(&record)).await
}

fn record(worker: u64, nth: u64) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    record[..8].copy_from_slice(&worker.to_le_bytes());
    record[8..].copy_from_slice(&nth.to_le_bytes());
    record
}

fn block_bytes(stamp: u64) -> Vec<u8> {
    stamp.to_le_bytes().repeat(BLOCK / 8)
}

async fn verify_log(io: &IoCtx, log: &[u8], worker: u64, asked_at: &[Duration]) {
    let wanted = asked_at.len() * RECORD;
    let (n, buf) = io.read(log, 0, Buf::zeroed(wanted + RECORD)).await.expect("the log can be read");
    let found: Vec<u64> = buf[..n].chunks(RECORD).map(|found| number_in(found, worker)).collect();
    if let Some(wrong) = (0..asked_at.len()).find(|&nth| found.get(nth) != Some(&(nth as u64))) {
        let around =
            &found[wrong.saturating_sub(2 * AHEAD).min(found.len())..found.len().min(wrong + 3 * AHEAD)];
        panic!(
            "worker {worker}: record {wrong} of {}, asked for at {:?}, is not where it belongs: {around:?}",
            asked_at.len(),
            asked_at[wrong]
        );
    }
    assert_eq!(n, wanted, "worker {worker}: nothing is there that was not asked for");
}

/// Which of a worker's records that is; the largest number for something else.
fn number_in(found: &[u8], worker: u64) -> u64 {
    let number = found.split_first_chunk::<8>().and_then(|(owner, rest)| {
        let nth = rest.try_into().ok().map(u64::from_le_bytes)?;
        (*owner == worker.to_le_bytes()).then_some(nth)
    });
    number.unwrap_or(u64::MAX)
}

async fn verify_blocks(io: &IoCtx, blocks: &[u8], latest: &[u64]) {
    for (block, &stamp) in latest.iter().enumerate().filter(|&(_, &stamp)| stamp > 0) {
        let offset = (block * BLOCK) as u64;
        let (n, buf) = io.read(blocks, offset, Buf::zeroed(BLOCK)).await.expect("the block can be read");
        assert_eq!(&buf[..n], &block_bytes(stamp)[..], "block {block} is as it was written last");
    }
}
