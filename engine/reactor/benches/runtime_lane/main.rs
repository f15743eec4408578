//! The same request–response client on our reactor and on tokio-uring: CPU time a request, side by side.
//!
//! Each connection has a writer task, which sends all that is queued in one gathered call, and a reader task;
//! each request in flight is a task of its own. A request is 128 + 4096 bytes, a reply 128. The server is a
//! poll loop on a thread of the parent; each sample is a process of its own, the lanes take turns, and the
//! result is the median of the ratios of neighbours: the machine's mood cancels out.
//!
//! `cargo bench --bench runtime_lane -- [rounds] [milliseconds] [file for the JSON]`

mod reactor_lane;
mod server;
mod tokio_uring_lane;
mod wire;

use serde_json::{Value, json};
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

const CONNECTIONS: usize = 4;
/// Requests in flight on each connection.
const DEPTHS: [usize; 3] = [8, 32, 128];
/// Ours, tokio-uring as it starts by itself, and with the best flags it works with.
const LANES: [&str; 3] = ["reactor", "tokio-uring", "tokio-uring-tuned"];
/// What our reactor may cost at most, as a part of what tokio-uring costs as it starts by itself.
const TARGET: f64 = 0.65;

/// What one sample is asked to do.
#[derive(Clone, Copy)]
pub(crate) struct Task {
    pub(crate) address: SocketAddr,
    pub(crate) depth: usize,
    pub(crate) warm_up: Duration,
    pub(crate) measure: Duration,
}

/// What it found.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) requests: u64,
    pub(crate) cpu: Duration,
    pub(crate) wall: Duration,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if args.first().is_some_and(|arg| arg == "--lane") {
        return lane(&args[1..]);
    }
    let number = |at: usize, default| args.get(at).and_then(|arg| arg.parse().ok()).unwrap_or(default);
    let (rounds, millis) = (number(0, 5), number(1, 500));
    let address = server::start(1);
    let report: Vec<Value> = DEPTHS.iter().map(|&depth| compare(address, depth, rounds, millis)).collect();
    let report = json!({ "connections": CONNECTIONS, "request_bytes": wire::REQUEST, "reply_bytes": wire::HEADER,
        "rounds": rounds, "target": TARGET, "depths": report });
    println!("The target is {TARGET} of tokio-uring.");
    match args.get(2) {
        Some(path) => std::fs::write(path, format!("{report:#}\n")).expect("the file can be written"),
        None => println!("{report}"),
    }
}

fn compare(address: SocketAddr, depth: usize, rounds: usize, millis: usize) -> Value {
    let mut samples: [Vec<(f64, f64)>; 3] = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..rounds {
        // Who goes first changes, too.
        for turn in 0..LANES.len() {
            let lane = (round + turn) % LANES.len();
            samples[lane].push(run_child(LANES[lane], address, depth, millis));
        }
    }
    let lanes = LANES.iter().zip(&samples).map(|(name, own)| {
        let cpu = median(own.iter().map(|sample| sample.0).collect());
        let kops = median(own.iter().map(|sample| sample.1).collect());
        let ratio = median(samples[0].iter().zip(own).map(|(ours, theirs)| ours.0 / theirs.0).collect());
        println!(
            "{CONNECTIONS} x {depth:<4} {name:<18} {cpu:6.3} us CPU/request  {kops:6.1} thousand/s  \
             reactor is at {ratio:.3} of it"
        );
        json!({ "lane": name, "cpu_us": cpu, "kops": kops, "reactor_ratio": ratio, "samples": own })
    });
    let lanes: Vec<Value> = lanes.collect();
    json!({ "depth": depth, "lanes": lanes })
}

/// CPU microseconds a request, and thousands of requests a second.
fn run_child(lane: &str, address: SocketAddr, depth: usize, millis: usize) -> (f64, f64) {
    let program = std::env::current_exe().expect("a running program has a file");
    let args =
        ["--lane".to_owned(), lane.to_owned(), address.to_string(), depth.to_string(), millis.to_string()];
    let output = Command::new(program).args(args).output().expect("the program starts again");
    let text = String::from_utf8_lossy(&output.stdout);
    let mut numbers =
        text.split_whitespace().map(|number| number.parse::<f64>().expect("a sample prints numbers"));
    match (numbers.next(), numbers.next()) {
        (Some(cpu), Some(kops)) => (cpu, kops),
        _ => panic!("the {lane} lane failed: {}", String::from_utf8_lossy(&output.stderr)),
    }
}

fn lane(args: &[String]) {
    let [lane, address, depth, millis] = args else {
        panic!("a lane is told its name, address, depth and time")
    };
    let measure = Duration::from_millis(millis.parse().expect("a number of milliseconds"));
    let task = Task {
        address: address.parse().expect("an address"),
        depth: depth.parse().expect("a depth"),
        warm_up: measure / 3,
        measure,
    };
    core_affinity::set_for_current(core_affinity::CoreId { id: 0 });
    let report = |sample: Sample| {
        let requests = sample.requests as f64;
        println!(
            "{} {}",
            sample.cpu.as_secs_f64() * 1e6 / requests,
            requests / 1e3 / sample.wall.as_secs_f64()
        );
        // Without tearing down: that is not what is measured, and not every runtime can do it with reads in
        // flight.
        std::process::exit(0)
    };
    match lane.as_str() {
        "reactor" => reactor_lane::run(task, report),
        peer => tokio_uring_lane::run(task, peer.ends_with("tuned"), report),
    }
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
