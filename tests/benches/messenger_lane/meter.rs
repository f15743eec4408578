//! What a lane's operations took.

use hdrhistogram::Histogram;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

/// The longest operation that is told apart.
const LATENCY_NS_MAX: u64 = 10_000_000_000;
/// Of so many operations of one asker, one has its time taken: the clock would be a part of what is measured.
const TIMED: u64 = 8;

/// What one sample found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// CPU time of the whole process for one operation, and how much of that was the kernel's.
    pub(crate) cpu_us: f64,
    pub(crate) kernel_us: f64,
    /// Operations a second.
    pub(crate) rate: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// All operations of the process, also those that were not timed.
    pub(crate) all_operations: f64,
}

impl Sample {
    pub(crate) fn print(&self) {
        let Sample { cpu_us, kernel_us, rate, p50_us, p99_us, all_operations } = self;
        println!("{cpu_us} {kernel_us} {rate} {p50_us} {p99_us} {all_operations}");
    }

    pub(crate) fn parse(text: &str) -> Option<Sample> {
        let words: Vec<f64> = text.split_whitespace().map_while(|word| word.parse().ok()).collect();
        let &[cpu_us, kernel_us, rate, p50_us, p99_us, all_operations] = words.as_slice() else {
            return None;
        };
        Some(Sample { cpu_us, kernel_us, rate, p50_us, p99_us, all_operations })
    }
}

/// Counts operations.
pub(crate) struct Meter {
    done: Cell<u64>,
    latency_ns: RefCell<Histogram<u64>>,
}

/// Where a measurement began.
pub(crate) struct Begun {
    done: u64,
    cpu: Cpu,
    at: Instant,
}

/// When an operation began, if its time is taken.
pub(crate) struct Started(Option<Instant>);

struct Cpu {
    user: Duration,
    kernel: Duration,
}

impl Cpu {
    /// Of the whole process: the kernel's helpers of a ring are threads of it.
    fn now() -> Cpu {
        let usage = getrusage(UsageWho::RUSAGE_SELF).expect("a process has its own usage");
        let span = |time: nix::sys::time::TimeVal| {
            Duration::from_micros(u64::try_from(time.num_microseconds()).expect("time goes forward"))
        };
        Cpu { user: span(usage.user_time()), kernel: span(usage.system_time()) }
    }
}

impl Meter {
    pub(crate) fn new() -> Meter {
        let latency = Histogram::new_with_max(LATENCY_NS_MAX, 3).expect("three digits can be kept");
        Meter { done: Cell::new(0), latency_ns: RefCell::new(latency) }
    }

    /// The `nth` operation of an asker begins.
    pub(crate) fn start(&self, nth: u64) -> Started {
        Started(nth.is_multiple_of(TIMED).then(Instant::now))
    }

    /// An operation is done.
    pub(crate) fn finish(&self, started: &Started) {
        self.done.set(self.done.get() + 1);
        if let Started(Some(at)) = started {
            let nanos = u64::try_from(at.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.latency_ns.borrow_mut().saturating_record(nanos);
        }
    }

    /// The warm-up is over.
    pub(crate) fn begin(&self) -> Begun {
        self.latency_ns.borrow_mut().reset();
        Begun { done: self.done.get(), cpu: Cpu::now(), at: Instant::now() }
    }

    pub(crate) fn end(&self, begun: &Begun) -> Sample {
        let (cpu, wall) = (Cpu::now(), begun.at.elapsed());
        let operations = (self.done.get() - begun.done) as f64;
        let (user, kernel) = (cpu.user - begun.cpu.user, cpu.kernel - begun.cpu.kernel);
        let each_us = |time: Duration| time.as_secs_f64() * 1e6 / operations;
        let latency_ns = self.latency_ns.borrow();
        let quantile_us = |part| latency_ns.value_at_quantile(part) as f64 / 1e3;
        Sample {
            cpu_us: each_us(user + kernel),
            kernel_us: each_us(kernel),
            rate: operations / wall.as_secs_f64(),
            p50_us: quantile_us(0.5),
            p99_us: quantile_us(0.99),
            all_operations: self.done.get() as f64,
        }
    }
}
