//! One sample: a client in this process, so many operations in flight on each of its cores, for so long.

use super::BLOCK;
use ringbd::config::{ImageSpec, Settings, Sources};
use ringbd::rados::{Cluster, ClusterConfig, IoCtx, Seat};
use ringbd::runtime::{CoreConfig, now, sleep, spawn};
use ringbd::{Buf, SharedBuf, World};
use ringbd_reactor::thread_cpu_time;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

const WARM_UP: Duration = Duration::from_millis(200);
/// How long all OSDs have to be reached.
const CONNECT_MAX: Duration = Duration::from_secs(20);
/// Names that the operations go to in turn, so that all OSDs get their share.
const OBJECTS: usize = 512;
/// Operations over which allocations are counted.
const COUNTED: usize = 1000;

/// What one sample is asked to do.
pub(crate) struct Task {
    pub(crate) write: bool,
    pub(crate) depth: usize,
    pub(crate) millis: u64,
    pub(crate) cores: usize,
}

/// What it found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// CPU time of the client's cores, for one operation.
    pub(crate) cpu_us: f64,
    /// Operations a second.
    pub(crate) rate: f64,
    /// All operations of the process, also those that were not timed.
    pub(crate) all_operations: f64,
    /// For one operation.
    pub(crate) allocations: f64,
    pub(crate) resident_kib: f64,
    /// For one operation; what the process does at its beginning included.
    pub(crate) syscalls: Option<f64>,
}

impl Sample {
    pub(crate) fn parse(text: &str) -> Option<Sample> {
        let words: Vec<f64> = text.split_whitespace().map_while(|word| word.parse().ok()).collect();
        let &[cpu_us, rate, all_operations, allocations, resident_kib] = words.as_slice() else {
            return None;
        };
        Some(Sample { cpu_us, rate, all_operations, allocations, resident_kib, syscalls: None })
    }
}

/// The task as arguments.
pub(crate) fn arguments(options: &[String], task: &Task) -> Vec<String> {
    let Task { write, depth, millis, cores } = task;
    let mut arguments = vec![write.to_string(), depth.to_string(), millis.to_string(), cores.to_string()];
    arguments.extend_from_slice(options);
    arguments
}

/// What one core of a sample found.
struct Part {
    operations: u64,
    cpu: Duration,
    wall: Duration,
    allocations: u64,
}

/// Does a task, and prints the sample.
pub(crate) fn run(args: &[String]) {
    let [write, depth, millis, cores, options @ ..] = args else {
        panic!("write, depth, time, cores, options")
    };
    let number = |text: &String| text.parse::<usize>().expect("a number");
    let task = Task {
        write: write == "true",
        depth: number(depth),
        millis: number(millis) as u64,
        cores: number(cores),
    };
    let settings = options.iter().fold(Sources::default(), |sources, option| {
        let (name, value) = option.split_once('=').expect("options are name=value");
        sources.with_option(name, value)
    });
    let settings = Settings::load(&ImageSpec::new("rbd", ""), &settings).expect("the options are right");
    let config = ClusterConfig::load(&settings).expect("the options are right");
    let (cluster, seats) = Cluster::new(&World::real(), config, task.cores);
    let (found, parts) = mpsc::channel();
    let task = std::sync::Arc::new(task);
    let cpus = ringbd_reactor::allowed_cpus();
    let threads: Vec<_> = seats
        .into_iter()
        .enumerate()
        .map(|(nth, seat)| {
            let (task, found, cpu) = (task.clone(), found.clone(), cpus[nth % cpus.len()]);
            // The thread stays a core until all have finished: the others' OSDs may be at home on it.
            std::thread::spawn(move || core(seat, &task, cpu, &found))
        })
        .collect();
    drop(found);
    let all: Vec<Part> = (0..task.cores).map(|_| parts.recv().expect("each core finds something")).collect();
    let resident = resident_kib();
    cluster.close();
    threads.into_iter().for_each(|thread| thread.join().expect("a core ends well"));
    let operations: u64 = all.iter().map(|part| part.operations).sum();
    let cpu: Duration = all.iter().map(|part| part.cpu).sum();
    let rate: f64 = all.iter().map(|part| part.operations as f64 / part.wall.as_secs_f64()).sum();
    let allocations =
        all.iter().map(|part| part.allocations).sum::<u64>() as f64 / (COUNTED * all.len()) as f64;
    let whole = (WARM_UP.as_secs_f64() + task.millis as f64 / 1e3) * rate + (COUNTED * all.len()) as f64;
    println!("{} {rate} {whole} {allocations} {resident}", cpu.as_secs_f64() * 1e6 / operations as f64);
}

/// One core of the client.
fn core(seat: Seat, task: &Task, cpu: usize, found: &mpsc::Sender<Part>) {
    core_affinity::set_for_current(core_affinity::CoreId { id: cpu });
    let mut lent = World::real().lend_core(CoreConfig::default()).expect("a thread can be a core");
    let (rados, io) = lent.block_on(async {
        let rados = seat.join();
        rados.ready().await.expect("the monitor takes the client");
        rados.connect_to_osds(CONNECT_MAX).await;
        let io = rados.pool("data").await.expect("there is the pool");
        (rados, io)
    });
    let load = Rc::new(Load::new(io, task.write));
    let workers = load.start(&mut lent, task.depth);
    let part = lent.block_on(async {
        sleep(WARM_UP).await;
        let (before, cpu, began) = (load.done.get(), thread_cpu_time(), now());
        sleep(Duration::from_millis(task.millis)).await;
        let (cpu, wall) = (thread_cpu_time() - cpu, began.elapsed());
        (load.done.get() - before, cpu, wall)
    });
    // What was timed is still under way: allocations are counted while it goes on.
    let from = load.done.get();
    let counted = allocation_counter::measure(|| {
        lent.block_on(async {
            while load.done.get() < from + COUNTED as u64 {
                sleep(Duration::from_millis(1)).await;
            }
        });
    });
    let over = load.done.get() - from;
    load.over.set(true);
    lent.block_on(async {
        for worker in workers {
            worker.await;
        }
    });
    let (operations, cpu, wall) = part;
    let allocations = counted.count_total * COUNTED as u64 / over;
    found.send(Part { operations, cpu, wall, allocations }).expect("somebody waits for it");
    // Serves the other cores until the client is closed.
    lent.block_on(async {
        while rados.pool("data").await.is_ok() && rados.latest_map().await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
    });
}

/// Operations over and over.
struct Load {
    io: IoCtx,
    write: bool,
    names: Vec<String>,
    data: SharedBuf,
    next: Cell<usize>,
    done: Cell<u64>,
    over: Cell<bool>,
}

impl Load {
    fn new(io: IoCtx, write: bool) -> Load {
        let names = (0..OBJECTS).map(|nth| format!("rbd_data.{nth:016x}")).collect();
        let data = Buf::zeroed(BLOCK).into();
        Load { io, write, names, data, next: Cell::new(0), done: Cell::new(0), over: Cell::new(false) }
    }

    fn start(
        self: &Rc<Load>,
        lent: &mut ringbd_reactor::LentCore,
        depth: usize,
    ) -> Vec<ringbd::runtime::JoinHandle<()>> {
        lent.block_on(async { (0..depth).map(|_| spawn(self.clone().work())).collect() })
    }

    async fn work(self: Rc<Load>) {
        let mut buf = Buf::zeroed(BLOCK);
        while !self.over.get() {
            let nth = self.next.get();
            self.next.set((nth + 1) % OBJECTS);
            let name = self.names[nth].as_bytes();
            if self.write {
                self.io.write(name, 0, self.data.clone()).await.expect("the OSD takes it");
            } else {
                (_, buf) = self.io.read(name, 0, buf).await.expect("the OSD answers");
            }
            self.done.set(self.done.get() + 1);
        }
    }
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process is resident");
    line.trim().trim_end_matches(" kB").parse().expect("it is a number")
}
