//! One fio process: started, watched, reaped, and its CPU accounted for.
//!
//! What an I/O costs is the user and system time of the *whole* process: its threads, the kernel's io_uring
//! workers, everything a host would pay. The total comes from the kernel when the process is reaped; what it
//! had used when the clock started (start-up, filling the cache) is taken off. That moment is known only
//! afterwards, so the process is sampled all along.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use super::Fio;
use super::output::{Output, Totals};

/// How often the process is sampled: often enough to place the start within a per cent of a short run, too
/// seldom to be felt.
const SAMPLE_EVERY: Duration = Duration::from_millis(20);
/// A run that takes this much longer than planned has hung; it is killed and reported.
const GRACE: Duration = Duration::from_secs(60);
/// fio's output, in the folder that it runs in.
const JSON_FILE: &str = "fio.json";
/// How much of what fio complains about is kept.
const MESSAGE_MAX: usize = 2000;

/// The CPU time of a fio process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cpu {
    /// From its start to its end.
    pub(crate) process_seconds: f64,
    /// Since the clock started: what the measured I/Os cost.
    pub(crate) measured_seconds: f64,
}

/// A run that ended well.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Finished {
    pub(crate) totals: Totals,
    pub(crate) cpu: Cpu,
}

/// Runs `job_file` in `folder`, where its output and logs go. `progress` is called with the time that has
/// passed.
pub(crate) fn run(
    fio: &Fio,
    job_file: &Path,
    folder: &Path,
    planned: Duration,
    progress: &mut dyn FnMut(Duration),
) -> Result<Finished> {
    let json_file = folder.join(JSON_FILE);
    let before = children_cpu_seconds()?;
    let mut child = Command::new(&fio.path)
        .args(["--output-format=json+", "--eta=never", "--output"])
        .arg(&json_file)
        .arg(job_file)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{}`", fio.path.display()))?;
    let messages = (reader_of(child.stdout.take()), reader_of(child.stderr.take()));
    let started = Instant::now();
    let mut samples = Vec::new();
    let status = loop {
        if let Some(status) = child.try_wait().context("cannot wait for fio")? {
            break status;
        }
        if started.elapsed() > planned + GRACE {
            child.kill().context("cannot stop fio")?;
            child.wait().context("cannot wait for fio")?;
            bail!("fio did not finish within {:.0} s and was stopped", (planned + GRACE).as_secs_f64());
        }
        if let Some(used) = process_cpu_seconds(child.id()) {
            samples.push((unix_seconds(), used));
        }
        progress(started.elapsed());
        thread::sleep(SAMPLE_EVERY);
    };
    let process_seconds = children_cpu_seconds()? - before;
    let said = format!("{}{}", messages.1.join().unwrap_or_default(), messages.0.join().unwrap_or_default());
    let (end_ms, totals) = read_result(status, &json_file, &said)?;
    let clock_started = end_ms as f64 / 1000.0 - totals.seconds;
    let measured_seconds = (process_seconds - used_at(&samples, clock_started)).max(0.0);
    Ok(Finished { totals, cpu: Cpu { process_seconds, measured_seconds } })
}

/// fio's JSON when all went well, else the best explanation that fio gave.
fn read_result(status: ExitStatus, json_file: &Path, said: &str) -> Result<(u64, Totals)> {
    let text = fs::read_to_string(json_file).unwrap_or_default();
    let explanation = || {
        let notes = text.split("\n{").next().filter(|head| !head.starts_with('{')).unwrap_or_default();
        let all = format!("{said}{notes}");
        let mut all = all.trim().replace('\n', "; ");
        all.truncate(all.floor_char_boundary(MESSAGE_MAX));
        if all.is_empty() { "it said nothing".to_owned() } else { all }
    };
    if !status.success() {
        bail!("fio ended with {status}: {}", explanation());
    }
    let output = Output::parse(&text).with_context(explanation)?;
    let totals = output.totals().with_context(explanation)?;
    Ok((output.timestamp_ms, totals))
}

/// A thread that keeps a pipe of the child from filling up.
fn reader_of(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // A broken pipe ends the message; what came before it is kept.
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// User and system time of all children that were reaped.
fn children_cpu_seconds() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("cannot read the CPU time of children")?;
    Ok((usage.user_time().num_microseconds() + usage.system_time().num_microseconds()) as f64 / 1e6)
}

/// What the living threads of `pid` have used, to the nanosecond.
fn process_cpu_seconds(pid: u32) -> Option<f64> {
    let mut nanoseconds = 0_u64;
    for task in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        // A thread may end between being listed and being read.
        let Ok(text) = fs::read_to_string(task.ok()?.path().join("schedstat")) else { continue };
        nanoseconds += text.split_whitespace().next()?.parse::<u64>().ok()?;
    }
    Some(nanoseconds as f64 / 1e9)
}

/// The CPU time at `moment`, between the samples around it; nothing before the first.
fn used_at(samples: &[(f64, f64)], moment: f64) -> f64 {
    let after = samples.partition_point(|&(time, _)| time <= moment);
    match (after.checked_sub(1).map(|index| samples[index]), samples.get(after)) {
        (None, _) => 0.0,
        (Some((_, used)), None) => used,
        (Some((t0, u0)), Some(&(t1, u1))) => u0 + (u1 - u0) * (moment - t0) / (t1 - t0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_interpolated() {
        let samples = [(1.0, 0.1), (2.0, 0.3), (3.0, 0.3)];
        assert_eq!(used_at(&samples, 0.5), 0.0);
        assert!((used_at(&samples, 1.5) - 0.2).abs() < 1e-12);
        assert_eq!(used_at(&samples, 9.0), 0.3);
        assert_eq!(used_at(&[], 9.0), 0.0);
    }

    #[test]
    fn this_process_has_used_cpu() {
        assert!(process_cpu_seconds(std::process::id()).is_some_and(|used| used > 0.0));
    }

    #[test]
    fn a_failed_run_says_why() {
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("fio");
        fs::write(&script, "#!/bin/sh\necho fio: engine foo not loadable >&2\nexit 1\n").unwrap();
        fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let fio = Fio { path: script, version: "fio-0".to_owned() };
        let error = run(&fio, Path::new("job"), directory.path(), Duration::ZERO, &mut |_| ()).unwrap_err();
        assert!(error.to_string().contains("engine foo not loadable"), "{error}");
    }
}
