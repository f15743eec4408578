//! The `ringbd` command: images of the embedded store in the manner of the `rbd` tool, and benchmarks with
//! their reports.

#![forbid(unsafe_code)]

mod cache_bench;
mod cli;
mod cluster_session;
mod cluster_status;
mod command;
mod environment;
mod failure;
mod figures;
mod osdmap;
mod progress;
mod report;
mod session;
mod size;
mod stats;
mod transfer;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            return failure::report_usage(&error);
        }
    };
    start_log();
    match command::run(&cli) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

/// Logs to stderr: warnings, or what `RINGBD_LOG` asks for (`info`, `ringbd=debug`).
fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("RINGBD_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time().init();
}
