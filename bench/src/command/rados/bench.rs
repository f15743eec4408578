//! `ringbd rados bench`: how fast objects are written and read, printed as `rados bench` prints it, with the CPU that it costs
//! beside.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use hdrhistogram::Histogram;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use ringbd::rados::{IoCtx, OpError, Rados};
use ringbd::runtime::{now, random_u64, sleep, spawn};
use ringbd::{Buf, SharedBuf};
use serde::{Deserialize, Serialize};

use super::super::{print, print_json};
use crate::cli::Format;
use crate::cluster_status::OsdRow;
use crate::failure::Failure;
use crate::size::parse_bytes;

/// The object that says what a write run left behind.
const LEDGER: &[u8] = b"ringbd_bench_ledger";
const MIB: f64 = 1048576.0;
/// The longest latency that is told apart: an hour.
const LATENCY_MAX_US: u64 = 3_600_000_000;

/// Measure writing, then reading, of whole objects.
#[derive(Debug, clap::Args)]
pub(crate) struct Bench {
    /// How long
    seconds: u64,
    /// What to do: reads need the objects of a write run with --no-cleanup
    #[arg(value_enum)]
    mode: Mode,
    /// Bytes of one operation
    #[arg(short = 'b', long, value_name = "SIZE", default_value = "4M", value_parser = parse_bytes)]
    block_size: u64,
    /// Bytes of one object [default: those of one operation]
    #[arg(short = 'O', long, value_name = "SIZE", value_parser = parse_bytes)]
    object_size: Option<u64>,
    /// Operations in flight
    #[arg(short = 't', long, value_name = "COUNT", default_value_t = 16)]
    concurrent_ios: usize,
    /// At most so many objects, over and over; 0: new ones for as long as it runs
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    max_objects: u64,
    /// Leave the objects there, to be read
    #[arg(long)]
    no_cleanup: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Mode {
    /// Write objects, one after the other
    Write,
    /// Read them in that order
    Seq,
    /// Read blocks of them in any order
    Rand,
    /// Write blocks of them in any order
    Randwrite,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Mode::Write => "write",
            Mode::Seq => "seq",
            Mode::Rand => "rand",
            Mode::Randwrite => "randwrite",
        }
    }

    fn verb(self) -> &'static str {
        match self {
            Mode::Write | Mode::Randwrite => "writes",
            Mode::Seq | Mode::Rand => "reads",
        }
    }
}

/// What a write run left behind.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Ledger {
    prefix: String,
    objects: u64,
    object_bytes: u64,
    block_bytes: u64,
}

/// A run under way, shared by its operations.
struct Run {
    io: IoCtx,
    mode: Mode,
    ledger: Ledger,
    /// Objects may be added: the number of those there are is not fixed.
    grows: bool,
    data: SharedBuf,
    started: Cell<u64>,
    finished: Cell<u64>,
    latencies: RefCell<Histogram<u64>>,
    last_us: Cell<u64>,
    over: Cell<bool>,
    failed: RefCell<Option<OpError>>,
}

/// What a run found.
#[derive(Debug, Serialize)]
struct Answer {
    mode: &'static str,
    seconds: f64,
    operations: u64,
    block_bytes: u64,
    object_bytes: u64,
    concurrent_ios: usize,
    iops: f64,
    mib_per_second: f64,
    latency_us: Latency,
    /// User and system, of the whole process.
    cpu_us_per_operation: f64,
    per_second_iops: Vec<f64>,
    osds: Vec<OsdRow>,
}

#[derive(Debug, Serialize)]
struct Latency {
    average: f64,
    stddev: f64,
    min: u64,
    max: u64,
    p50: u64,
    p99: u64,
    p99_9: u64,
}

impl Bench {
    /// Runs it.
    pub(super) async fn run(&self, rados: &Rados, io: &IoCtx, format: Format) -> Result<(), Failure> {
        let run = Rc::new(self.prepare(rados, io).await?);
        if format == Format::Plain {
            self.announce(&run)?;
        }
        let cpu = process_cpu_time();
        let began = now();
        let workers: Vec<_> = (0..self.concurrent_ios.max(1)).map(|_| spawn(work(run.clone()))).collect();
        let per_second = self.watch_over(&run, format).await?;
        run.over.set(true);
        for worker in workers {
            worker.await;
        }
        let seconds = began.elapsed().as_secs_f64();
        if let Some(error) = run.failed.borrow_mut().take() {
            return Err(Failure::of("error during benchmark", &error.of("benchmark", "objects")));
        }
        let cpu = process_cpu_time().saturating_sub(cpu);
        let osds = OsdRow::all(&rados.status().await);
        let answer = self.answer(&run, seconds, cpu, per_second, osds);
        match format {
            Format::Json => print_json(&answer)?,
            Format::Plain => print(&answer.plain())?,
        }
        if self.mode == Mode::Write { self.leave(&run).await } else { Ok(()) }
    }

    async fn prepare(&self, rados: &Rados, io: &IoCtx) -> Result<Run, Failure> {
        let object_bytes = self.object_size.unwrap_or(self.block_size).max(self.block_size);
        if self.block_size == 0 || !object_bytes.is_multiple_of(self.block_size) {
            return Err(Failure::invalid("an object's size is a multiple of an operation's, which is not 0"));
        }
        let ledger = match self.mode {
            Mode::Write => Ledger {
                prefix: format!("benchmark_data_{}_object", rados.cluster().global_id()),
                objects: self.max_objects,
                object_bytes,
                block_bytes: self.block_size,
            },
            Mode::Seq | Mode::Rand | Mode::Randwrite => read_ledger(io).await?,
        };
        let block = usize::try_from(ledger.block_bytes)
            .map_err(|_| Failure::invalid("the operation is too large"))?;
        let mut data = Buf::zeroed(block);
        data.iter_mut().enumerate().for_each(|(at, byte)| *byte = (at % 251) as u8);
        Ok(Run {
            io: io.clone(),
            mode: self.mode,
            grows: self.mode == Mode::Write && self.max_objects == 0,
            ledger,
            data: data.into(),
            started: Cell::new(0),
            finished: Cell::new(0),
            latencies: RefCell::new(
                Histogram::new_with_bounds(1, LATENCY_MAX_US, 3).expect("the bounds are valid constants"),
            ),
            last_us: Cell::new(0),
            over: Cell::new(false),
            failed: RefCell::new(None),
        })
    }

    fn announce(&self, run: &Run) -> Result<(), Failure> {
        let Ledger { block_bytes, object_bytes, prefix, .. } = &run.ledger;
        let what = self.mode.verb();
        print(&format!(
            "Maintaining {} concurrent {what} of {block_bytes} bytes to objects of size {object_bytes} for up to {} \
             seconds\nObject prefix: {prefix}\n  sec Cur ops   started  finished  avg MB/s  cur MB/s last lat(s)  avg lat(s)\n",
            self.concurrent_ios, self.seconds
        ))
    }

    /// Prints a line each second until the time is over; gives the operations of each.
    async fn watch_over(&self, run: &Run, format: Format) -> Result<Vec<f64>, Failure> {
        let mut per_second = Vec::new();
        let mut before = 0;
        for second in 1..=self.seconds {
            sleep(Duration::from_secs(1)).await;
            if run.failed.borrow().is_some() {
                break;
            }
            let finished = run.finished.get();
            per_second.push((finished - before) as f64);
            if format == Format::Plain {
                print(&run.line(second, finished, finished - before))?;
            }
            before = finished;
        }
        Ok(per_second)
    }

    /// Removes what was written, or says what there is to read.
    async fn leave(&self, run: &Run) -> Result<(), Failure> {
        let fail = |error: OpError| Failure::of("error cleaning up", &error.of("clean up", "objects"));
        let objects = run.objects();
        if self.no_cleanup {
            let ledger = Ledger { objects, ..run.ledger.clone() };
            let text = serde_json::to_vec(&ledger).map_err(|error| Failure::new(1, error.to_string()))?;
            return run.io.write_full(LEDGER, Buf::from_slice(&text)).await.map_err(fail);
        }
        for object in 0..objects {
            run.io.remove(&run.name(object)).await.map_err(fail)?;
        }
        Ok(())
    }

    fn answer(
        &self,
        run: &Run,
        seconds: f64,
        cpu: Duration,
        per_second_iops: Vec<f64>,
        osds: Vec<OsdRow>,
    ) -> Answer {
        let (operations, latencies) = (run.finished.get(), run.latencies.borrow());
        let iops = operations as f64 / seconds;
        Answer {
            mode: self.mode.name(),
            seconds,
            operations,
            block_bytes: run.ledger.block_bytes,
            object_bytes: run.ledger.object_bytes,
            concurrent_ios: self.concurrent_ios,
            iops,
            mib_per_second: iops * run.ledger.block_bytes as f64 / MIB,
            latency_us: Latency {
                average: latencies.mean(),
                stddev: latencies.stdev(),
                min: latencies.min(),
                max: latencies.max(),
                p50: latencies.value_at_quantile(0.5),
                p99: latencies.value_at_quantile(0.99),
                p99_9: latencies.value_at_quantile(0.999),
            },
            cpu_us_per_operation: cpu.as_secs_f64() * 1e6 / operations.max(1) as f64,
            per_second_iops,
            osds,
        }
    }
}

/// User and system time of the whole process so far.
fn process_cpu_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("a process may know its own usage");
    let us = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(u64::try_from(us).unwrap_or(0))
}

async fn read_ledger(io: &IoCtx) -> Result<Ledger, Failure> {
    let nothing = || {
        Failure::invalid(
            "there are no objects to read: run `ringbd rados bench SECONDS write --no-cleanup` first",
        )
    };
    let (n, buf) = io.read(LEDGER, 0, Buf::zeroed(4096)).await.map_err(|error| match error {
        OpError::Errno(2) => nothing(),
        error => Failure::of("error reading the ledger", &error.of("read", "the ledger")),
    })?;
    let ledger: Ledger = serde_json::from_slice(&buf[..n]).map_err(|_| nothing())?;
    if ledger.objects == 0 || ledger.block_bytes == 0 || ledger.object_bytes < ledger.block_bytes {
        return Err(nothing());
    }
    Ok(ledger)
}

/// One of the operations in flight, over and over.
async fn work(run: Rc<Run>) {
    let mut buf = Buf::zeroed(run.data.len());
    while !run.over.get() {
        let nth = run.started.get();
        run.started.set(nth + 1);
        let (object, offset) = run.place(nth);
        let name = run.name(object);
        let began = now();
        let done = match run.mode {
            Mode::Write | Mode::Randwrite => run.io.write(&name, offset, run.data.clone()).await,
            Mode::Seq | Mode::Rand => match run.io.read(&name, offset, buf).await {
                Ok((_, back)) => {
                    buf = back;
                    Ok(())
                }
                Err(error) => {
                    buf = Buf::empty();
                    Err(error)
                }
            },
        };
        if let Err(error) = done {
            run.over.set(true);
            run.failed.borrow_mut().get_or_insert(error);
            return;
        }
        let us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        run.last_us.set(us);
        run.latencies.borrow_mut().saturating_record(us);
        run.finished.set(run.finished.get() + 1);
    }
}

impl Run {
    fn blocks(&self) -> u64 {
        self.ledger.object_bytes / self.ledger.block_bytes
    }

    /// Objects that there are, or have been begun.
    fn objects(&self) -> u64 {
        let begun = self.started.get().div_ceil(self.blocks());
        if self.grows { begun } else { begun.min(self.ledger.objects) }
    }

    /// Where the `nth` operation goes.
    fn place(&self, nth: u64) -> (u64, u64) {
        let nth = match self.mode {
            Mode::Rand | Mode::Randwrite => random_u64() % (self.ledger.objects * self.blocks()),
            Mode::Write if self.grows => nth,
            Mode::Write | Mode::Seq => nth % (self.ledger.objects * self.blocks()),
        };
        (nth / self.blocks(), nth % self.blocks() * self.ledger.block_bytes)
    }

    fn name(&self, object: u64) -> Vec<u8> {
        format!("{}{object}", self.ledger.prefix).into_bytes()
    }

    fn line(&self, second: u64, finished: u64, lately: u64) -> String {
        let rate = |operations: f64| operations * self.ledger.block_bytes as f64 / MIB;
        let (started, average) = (self.started.get(), self.latencies.borrow().mean() / 1e6);
        format!(
            "{second:5} {:7} {started:9} {finished:9} {:9.5} {:9.5} {:11.6} {average:11.6}\n",
            started - finished,
            rate(finished as f64 / second as f64),
            rate(lately as f64),
            self.last_us.get() as f64 / 1e6,
        )
    }
}

impl Answer {
    fn plain(&self) -> String {
        let (verb, noun) = if self.mode.ends_with("write") { ("writes", "Write") } else { ("reads", "Read") };
        let rates = &self.per_second_iops;
        let count = rates.len().max(1) as f64;
        let mean = rates.iter().sum::<f64>() / count;
        let stddev = (rates.iter().map(|rate| (rate - mean).powi(2)).sum::<f64>() / count).sqrt();
        let (max, min) =
            (rates.iter().copied().fold(0.0, f64::max), rates.iter().copied().fold(f64::MAX, f64::min));
        let bandwidth = |iops: f64| iops * self.block_bytes as f64 / MIB;
        let Latency { average, stddev: spread, min: fastest, max: slowest, p99, .. } = self.latency_us;
        let s = |us: f64| us / 1e6;
        let rows = [
            ("Total time run:", format!("{:.5}", self.seconds)),
            (&*format!("Total {verb} made:"), self.operations.to_string()),
            (&*format!("{noun} size:"), self.block_bytes.to_string()),
            ("Object size:", self.object_bytes.to_string()),
            ("Bandwidth (MB/sec):", format!("{:.4}", self.mib_per_second)),
            ("Stddev Bandwidth:", format!("{:.5}", bandwidth(stddev))),
            ("Max bandwidth (MB/sec):", format!("{:.4}", bandwidth(max))),
            ("Min bandwidth (MB/sec):", format!("{:.4}", bandwidth(min.min(max)))),
            ("Average IOPS:", format!("{:.0}", self.iops)),
            ("Stddev IOPS:", format!("{stddev:.3}")),
            ("Max IOPS:", format!("{max:.0}")),
            ("Min IOPS:", format!("{:.0}", min.min(max))),
            ("Average Latency(s):", format!("{:.8}", s(average))),
            ("Stddev Latency(s):", format!("{:.8}", s(spread))),
            ("Max latency(s):", format!("{:.8}", s(slowest as f64))),
            ("Min latency(s):", format!("{:.8}", s(fastest as f64))),
            ("99% latency(s):", format!("{:.8}", s(p99 as f64))),
            ("CPU per operation (us):", format!("{:.2}", self.cpu_us_per_operation)),
        ];
        let rows: String = rows.iter().map(|(name, value)| format!("{name:<24}{value}\n")).collect();
        rows + "\n" + &OsdRow::plain(&self.osds)
    }
}
