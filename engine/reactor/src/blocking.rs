//! Work that blocks, off the cores: a few helper threads, started when needed, ended when idle.
//! In a simulated world the work runs inline, after a virtual delay.

use crate::world::World;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Helper threads of the process. What runs here waits for disks (metadata commits), so a few are enough.
const THREADS_MAX: usize = 8;
/// How long a helper waits for more work.
const IDLE_LIMIT: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce() + Send>;

struct Helpers {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

static HELPERS: Mutex<Helpers> = Mutex::new(Helpers { jobs: VecDeque::new(), threads: 0, idle: 0 });
static WORK: Condvar = Condvar::new();

/// Runs `f` where it may block, and gives its result. A panic in `f` goes on in the caller.
pub async fn blocking<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    if let Some(world) = World::current().as_simulated() {
        crate::timer::sleep(world.blocking_latency()).await;
        return f();
    }
    let (done, result) = oneshot::channel();
    submit(Box::new(move || {
        let outcome = catch_unwind(AssertUnwindSafe(f));
        // A caller that was dropped does not want the result.
        drop(done.send(outcome));
    }));
    match result.await.expect("a helper runs every job to its end") {
        Ok(value) => value,
        Err(panic) => resume_unwind(panic),
    }
}

fn submit(job: Job) {
    let mut helpers = HELPERS.lock().unwrap_or_else(PoisonError::into_inner);
    helpers.jobs.push_back(job);
    if helpers.idle >= helpers.jobs.len() || helpers.threads == THREADS_MAX {
        WORK.notify_one();
        return;
    }
    let started = std::thread::Builder::new().name("ringbd-helper".to_owned()).spawn(help);
    match started {
        Ok(_) => helpers.threads += 1,
        Err(error) if helpers.threads > 0 => {
            tracing::warn!(%error, "no more helper threads; blocking work waits for the ones there are");
        }
        Err(error) => {
            panic!("no helper thread for blocking work: {error} (raise the limit on threads, `ulimit -u`)")
        }
    }
}

fn help() {
    let mut helpers = HELPERS.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if let Some(job) = helpers.jobs.pop_front() {
            drop(helpers);
            job();
            helpers = HELPERS.lock().unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        helpers.idle += 1;
        let (woken, waited) = WORK.wait_timeout(helpers, IDLE_LIMIT).unwrap_or_else(PoisonError::into_inner);
        helpers = woken;
        helpers.idle -= 1;
        if waited.timed_out() && helpers.jobs.is_empty() {
            helpers.threads -= 1;
            return;
        }
    }
}
