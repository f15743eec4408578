//! The same client of an OSD on our reactor, on tokio and on tokio-uring: what a 4 KiB operation costs, side by side.
//!
//! The thin lanes are one client written three times: the same handshake, frames, checksums and buffers, from the same
//! protocol crate, on three runtimes; `engine` is the engine's own client, which does more. Of the two of our reactor,
//! `reactor` looks for work for a moment before it sleeps, as the engine does, which no peer can be told to. The OSD does nothing and is a
//! process of its own. Each sample is a process, too; lanes take turns, and who goes first changes. Figures are medians of
//! the rounds, ratios are medians of the ratios of neighbours, so that the machine's mood cancels out. CPU is that of the
//! whole client process; system calls are counted in a sample of their own, because counting them slows them down
//! (`perf stat`; left out where there is no perf).
//!
//! `cargo bench -p ringbd-tests --bench messenger_lane -- [rounds] [milliseconds] [file for the JSON] [part of a cell's name]`

#[path = "../null_osd/daemons.rs"]
mod daemons;
mod engine_lane;
mod login;
mod meter;
mod operations;
mod peer;
mod reactor_lane;
mod tokio_lane;
mod tokio_uring_lane;

use daemons::{Daemons, Setup};
use login::Client;
use meter::Sample;
use serde_json::{Value, json};
use std::process::{Command, Output};
use std::time::Duration;

/// What one operation carries.
pub(crate) const BLOCK: usize = 4096;
/// Names that the operations go to in turn.
pub(crate) const OBJECTS: usize = 512;
/// What the peers receive at a time.
pub(crate) const RECEIVE_BYTES: usize = 256 << 10;
const WARM_UP: Duration = Duration::from_millis(150);
/// How long `reactor` looks for work before it sleeps: what the engine has without being told.
const SPIN: Duration = Duration::from_micros(20);

/// Operations in flight.
const DEPTHS: [usize; 3] = [1, 32, 128];
const LANES: [&str; 6] =
    ["reactor-parking", "reactor", "engine", "tokio", "tokio-uring", "tokio-uring-tuned"];
/// The lane that the others are compared with: like the peers it sleeps at once when it has nothing to do.
const OURS: usize = 0;
/// What our reactor may cost at most, as a part of what the peers cost.
const TARGETS: [(&str, f64); 2] = [("tokio", 1.0), ("tokio-uring", 0.65)];

const SETUPS: [Setup; 2] = [
    Setup { name: "crc", secure: false, osds: 1, cores: 1, service_us: 0 },
    Setup { name: "secure", secure: true, osds: 1, cores: 1, service_us: 0 },
];

/// What one sample is asked to do.
#[derive(Clone, Copy)]
pub(crate) struct Task {
    pub(crate) write: bool,
    pub(crate) depth: usize,
    pub(crate) warm_up: Duration,
    pub(crate) measure: Duration,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.first().map(String::as_str) {
        Some("--daemons") => return daemons::run(&args[1..]),
        Some("--lane") => return lane(&args[1..]),
        _ => {}
    }
    let number = |at: usize, default| args.get(at).and_then(|arg| arg.parse().ok()).unwrap_or(default);
    let (rounds, millis) = (number(0, 3), number(1, 200) as u64);
    let wanted = args.get(3).map_or("", String::as_str);
    let mut cells = Vec::new();
    println!(
        "{:<22} {:<18} {:>7} {:>7} {:>9} {:>8} {:>8} {:>9} {:>16}",
        "for one operation:",
        "",
        "us CPU",
        "kernel",
        "ops/s",
        "p50 us",
        "p99 us",
        "syscalls",
        "parking is at"
    );
    for setup in &SETUPS {
        let daemons = Daemons::start(setup, 0);
        for write in [false, true] {
            for depth in DEPTHS {
                let operation = if write { "write" } else { "read" };
                let name = format!("{operation} x {depth}, {}", setup.name);
                if name.contains(wanted) {
                    let task =
                        Task { write, depth, warm_up: WARM_UP, measure: Duration::from_millis(millis) };
                    let lanes = compare(&name, daemons.options(), &task, rounds);
                    cells.push(json!({ "mode": setup.name, "operation": operation, "depth": depth,
                        "lanes": lanes }));
                }
            }
        }
    }
    for (peer, target) in TARGETS {
        println!("The target is {target} of the CPU of {peer}.");
    }
    let report = json!({ "block_bytes": BLOCK, "rounds": rounds, "milliseconds": millis,
        "targets": TARGETS.map(|(peer, target)| json!({ "peer": peer, "cpu_ratio": target })),
        "cells": cells });
    match args.get(2) {
        Some(path) => std::fs::write(path, format!("{report:#}\n")).expect("the file can be written"),
        None => println!("{report}"),
    }
}

/// Measures all lanes at one task.
fn compare(name: &str, options: &[String], task: &Task, rounds: usize) -> Vec<Value> {
    let mut samples = LANES.map(|_| Vec::new());
    for round in 0..rounds {
        for turn in 0..LANES.len() {
            let at = (round + turn) % LANES.len();
            samples[at].push(sample(LANES[at], options, task));
        }
    }
    let rows = LANES.iter().zip(&samples).map(|(lane, own)| {
        let middle = |of: fn(&Sample) -> f64| median(own.iter().map(of).collect());
        let ratio =
            |of: fn(&Sample) -> f64| median(samples[OURS].iter().zip(own).map(|(a, b)| of(a) / of(b)).collect());
        let (cpu_us, kernel_us) = (middle(|s| s.cpu_us), middle(|s| s.kernel_us));
        let (rate, p50_us, p99_us) = (middle(|s| s.rate), middle(|s| s.p50_us), middle(|s| s.p99_us));
        let (cpu_ratio, rate_ratio) = (ratio(|s| s.cpu_us), ratio(|s| s.rate));
        let syscalls = count_syscalls(lane, options, task);
        let shown = syscalls.map_or_else(|| "-".to_owned(), |calls| format!("{calls:.3}"));
        println!(
            "{name:<22} {lane:<18} {cpu_us:>7.2} {kernel_us:>7.2} {rate:>9.0} {p50_us:>8.1} {p99_us:>8.1} {shown:>9} \
             {cpu_ratio:>6.2} of its CPU"
        );
        json!({ "lane": lane, "cpu_us": cpu_us, "kernel_cpu_us": kernel_us, "operations_per_second": rate,
            "p50_us": p50_us, "p99_us": p99_us, "syscalls_per_operation": syscalls,
            "parking_cpu_ratio": cpu_ratio, "parking_rate_ratio": rate_ratio,
            "parking_p50_ratio": ratio(|s| s.p50_us), "parking_p99_ratio": ratio(|s| s.p99_us),
            "samples_cpu_us": own.iter().map(|s| s.cpu_us).collect::<Vec<_>>() })
    });
    rows.collect()
}

fn arguments(lane: &str, options: &[String], task: &Task) -> Vec<String> {
    let millis = task.measure.as_millis();
    let mut arguments = vec!["--lane".to_owned(), lane.to_owned()];
    arguments.extend([task.write.to_string(), task.depth.to_string(), millis.to_string()]);
    arguments.extend_from_slice(options);
    arguments
}

fn sample(lane: &str, options: &[String], task: &Task) -> Sample {
    let exe = std::env::current_exe().expect("a program knows where it is");
    let done = Command::new(exe).args(arguments(lane, options, task)).output();
    parse(lane, &done.expect("the program can be run again"))
}

fn parse(lane: &str, done: &Output) -> Sample {
    let text = String::from_utf8_lossy(&done.stdout);
    let failed = || panic!("the {lane} lane failed: {text}{}", String::from_utf8_lossy(&done.stderr));
    Sample::parse(&text).unwrap_or_else(failed)
}

/// System calls for one operation, those of the beginning included; none where they cannot be counted.
fn count_syscalls(lane: &str, options: &[String], task: &Task) -> Option<f64> {
    let exe = std::env::current_exe().expect("a program knows where it is");
    let perf = ["stat", "-x,", "-e", "raw_syscalls:sys_enter"];
    let done = Command::new("perf").args(perf).arg(exe).args(arguments(lane, options, task)).output();
    let done = done.ok().filter(|done| done.status.success())?;
    let counters = String::from_utf8_lossy(&done.stderr);
    let counter = counters.lines().find(|line| line.contains("raw_syscalls"))?;
    let calls: f64 = counter.split(',').next()?.parse().ok()?;
    Some(calls / parse(lane, &done).all_operations)
}

/// Is a lane, and prints its sample.
fn lane(args: &[String]) {
    let [lane, write, depth, millis, options @ ..] = args else {
        panic!("a lane is told its name, whether it writes, depth, time and the daemons' options")
    };
    let task = Task {
        write: write == "true",
        depth: depth.parse().expect("a depth"),
        warm_up: WARM_UP,
        measure: Duration::from_millis(millis.parse().expect("a number of milliseconds")),
    };
    // The OSD is on the last CPU.
    let cpus = ringbd_reactor::allowed_cpus();
    core_affinity::set_for_current(core_affinity::CoreId { id: cpus[0] });
    let report = |sample: &Sample| {
        sample.print();
        // Without tearing down: that is not what is measured, and not every runtime can do it with reads in flight.
        std::process::exit(0)
    };
    match lane.as_str() {
        "engine" => engine_lane::run(&task, options, report),
        "reactor" => reactor_lane::run(&task, SPIN, &Client::log_in(options), report),
        "reactor-parking" => reactor_lane::run(&task, Duration::ZERO, &Client::log_in(options), report),
        "tokio" => tokio_lane::run(&task, &Client::log_in(options), report),
        peer => {
            tokio_uring_lane::run(&task, peer.ends_with("tuned"), &Client::log_in(options), report);
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
