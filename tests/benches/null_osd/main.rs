//! The unchanged client against OSDs that do nothing: what a 4 KiB operation costs the client.
//!
//! The daemons are one process and each sample of the client another, so what is counted is the client's alone. CPU is user
//! and system time of the client's core threads while they measure, system calls are those of the whole sample by `perf stat`
//! (left out where there is no perf), allocations those of a thousand operations after a warm-up. The kinds of a round take
//! turns; figures are medians of the rounds.
//!
//! `cargo bench -p ringbd-tests --bench null_osd -- [rounds] [milliseconds] [file for the JSON]`

mod client;
mod daemons;

use client::{Sample, Task};
use daemons::Daemons;
use serde_json::{Value, json};
use std::process::Command;

/// What one operation carries.
pub(crate) const BLOCK: usize = 4096;
const DEPTHS: [usize; 4] = [1, 8, 32, 128];
/// OSDs that a client with many connections has.
const CROWD: usize = 100;

/// What is measured side by side.
const SETUPS: [Setup; 3] = [
    Setup { name: "crc", secure: false, osds: 1, cores: 1 },
    Setup { name: "secure", secure: true, osds: 1, cores: 1 },
    Setup { name: "crc, two OSDs, two cores", secure: false, osds: 2, cores: 2 },
];

#[derive(Clone, Copy)]
pub(crate) struct Setup {
    name: &'static str,
    pub(crate) secure: bool,
    pub(crate) osds: usize,
    pub(crate) cores: usize,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.first().map(String::as_str) {
        Some("--daemons") => return daemons::run(&args[1..]),
        Some("--sample") => return client::run(&args[1..]),
        _ => {}
    }
    let number = |at: usize, default| args.get(at).and_then(|arg| arg.parse().ok()).unwrap_or(default);
    let (rounds, millis) = (number(0, 3), number(1, 500));
    let daemons: Vec<Daemons> = SETUPS.iter().map(Daemons::start).collect();
    let mut rows = Vec::new();
    println!(
        "{:<36} {:>7} {:>10} {:>10} {:>8} {:>8}",
        "for one operation:", "us CPU", "ops/s", "per CPU s", "syscalls", "allocs"
    );
    for write in [false, true] {
        for depth in DEPTHS {
            let mut samples = vec![Vec::new(); SETUPS.len()];
            for _ in 0..rounds {
                for (at, setup) in SETUPS.iter().enumerate() {
                    let task = Task { write, depth, millis, cores: setup.cores };
                    samples[at].push(sample(&daemons[at], &task));
                }
            }
            rows.extend(
                SETUPS.iter().zip(&samples).map(|(setup, samples)| row(setup, write, depth, samples)),
            );
        }
    }
    drop(daemons);
    let crowd = Daemons::start(&Setup { name: "crowd", secure: false, osds: CROWD, cores: 1 });
    let resident_kib = sample(&crowd, &Task { write: false, depth: 1, millis, cores: 1 }).resident_kib;
    println!("a client with connections to {CROWD} OSDs: {resident_kib} KiB resident");
    let report = json!({ "block_bytes": BLOCK, "rounds": rounds, "milliseconds": millis, "cells": rows,
        "crowd": { "osds": CROWD, "resident_kib": resident_kib } });
    match args.get(2) {
        Some(path) => std::fs::write(path, format!("{report:#}\n")).expect("the file can be written"),
        None => println!("{report}"),
    }
}

/// Runs one sample in a process of its own, under `perf stat` if it is there.
fn sample(daemons: &Daemons, task: &Task) -> Sample {
    let exe = std::env::current_exe().expect("a program knows where it is");
    let exe = exe.to_str().expect("the path is text");
    let arguments = client::arguments(daemons.options(), task);
    let counted = ["stat", "-x,", "-e", "raw_syscalls:sys_enter", exe, "--sample"];
    let with_perf = Command::new("perf").args(counted).args(&arguments).output();
    let done = match with_perf {
        Ok(done) if done.status.success() => done,
        Ok(_) | Err(_) => {
            Command::new(exe).arg("--sample").args(&arguments).output().expect("the program can be run again")
        }
    };
    let text = String::from_utf8_lossy(&done.stdout);
    let mut sample =
        Sample::parse(&text).unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&done.stderr)));
    let counter = String::from_utf8_lossy(&done.stderr)
        .lines()
        .find(|line| line.contains("raw_syscalls"))
        .and_then(|line| line.split(',').next()?.parse::<f64>().ok());
    sample.syscalls = counter.map(|calls| calls / sample.all_operations);
    sample
}

fn row(setup: &Setup, write: bool, depth: usize, samples: &[Sample]) -> Value {
    let middle = |of: fn(&Sample) -> f64| median(samples.iter().map(of).collect());
    let (cpu_us, rate) = (middle(|sample| sample.cpu_us), middle(|sample| sample.rate));
    let allocations = middle(|sample| sample.allocations);
    let syscalls = samples.iter().map(|sample| sample.syscalls).collect::<Option<Vec<f64>>>().map(median);
    let name = format!("{} x {depth}, {}", if write { "write" } else { "read" }, setup.name);
    let shown = syscalls.map_or_else(|| "-".to_owned(), |calls| format!("{calls:.3}"));
    println!("{name:<36} {cpu_us:>7.2} {rate:>10.0} {:>10.0} {shown:>8} {allocations:>8.2}", 1e6 / cpu_us);
    json!({ "setup": setup.name, "operation": if write { "write" } else { "read" }, "depth": depth,
        "osds": setup.osds, "cores": setup.cores, "cpu_us": cpu_us, "operations_per_second": rate,
        "operations_per_cpu_second": 1e6 / cpu_us, "syscalls_per_operation": syscalls,
        "allocations_per_operation": allocations,
        "samples_cpu_us": samples.iter().map(|sample| sample.cpu_us).collect::<Vec<_>>() })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
