//! What goes wrong on a simulated disk, and how long its operations take.

use std::ops::RangeInclusive;
use std::time::Duration;

use fastrand::Rng;

use super::image::SECTOR;

/// The kinds of disk operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskOp {
    /// A read.
    Read,
    /// A write, durable or not.
    Write,
    /// A sync of a file's data.
    Sync,
    /// A punched hole.
    Punch,
    /// A zeroed range.
    Zero,
    /// An allocated range.
    Allocate,
    /// A change of a file's length.
    SetLen,
    /// A file or a directory was made, renamed or removed.
    Name,
    /// A sync of a directory.
    SyncDir,
}

/// How a simulated disk misbehaves. The default does not, and answers within 10 to 100 µs.
#[derive(Clone, Debug)]
pub struct DiskConfig {
    /// How long an operation takes. Synchronous operations take no virtual time.
    pub latency: RangeInclusive<Duration>,
    /// Probability that a read fails with EIO.
    pub read_error: f64,
    /// Probability that a write, punch, zeroing or allocation fails with EIO; the range then holds old and new sectors.
    pub write_error: f64,
    /// Probability that a sync fails with EIO; what it should have covered may then be lost.
    pub sync_error: f64,
    /// Probability that a read or a write which no task waits for moves only the first of its sectors.
    pub short_transfer: f64,
    /// Bytes of space; without it the disk is never full.
    pub capacity: Option<u64>,
    /// How the next power cuts choose; by default each draws a style.
    pub cut_style: Option<super::CutStyle>,
}

impl Default for DiskConfig {
    fn default() -> DiskConfig {
        DiskConfig {
            latency: Duration::from_micros(10)..=Duration::from_micros(100),
            read_error: 0.0,
            write_error: 0.0,
            sync_error: 0.0,
            short_transfer: 0.0,
            capacity: None,
            cut_style: None,
        }
    }
}

impl DiskConfig {
    /// How long the next operation takes.
    pub(super) fn latency_ns(&self, rng: &mut Rng) -> u64 {
        nanos_within(&self.latency, rng)
    }

    /// How many of the `len` bytes of a transfer one operation moves.
    pub(super) fn transfer_len(&self, len: usize, rng: &mut Rng) -> usize {
        let sectors = len / SECTOR as usize;
        // No coin is spent on a disk without faults.
        if self.short_transfer > 0.0 && sectors > 1 && rng.f64() < self.short_transfer {
            rng.usize(1..sectors) * SECTOR as usize
        } else {
            len
        }
    }

    /// The probability that `op` fails.
    fn error(&self, op: DiskOp) -> f64 {
        match op {
            DiskOp::Read => self.read_error,
            DiskOp::Write | DiskOp::Punch | DiskOp::Zero | DiskOp::Allocate => self.write_error,
            DiskOp::Sync | DiskOp::SyncDir => self.sync_error,
            DiskOp::SetLen | DiskOp::Name => 0.0,
        }
    }
}

/// A duration by chance, in nanoseconds.
pub(super) fn nanos_within(range: &RangeInclusive<Duration>, rng: &mut Rng) -> u64 {
    let nanos = |duration: &Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let (start, end) = (nanos(range.start()), nanos(range.end()));
    assert!(start <= end, "the range of durations {range:?} is empty");
    if start == end { start } else { rng.u64(start..=end) }
}

/// An exact fault: "the n-th write from now on fails".
#[derive(Clone, Debug)]
struct Trigger {
    op: DiskOp,
    left: u64,
    errno: i32,
}

/// Decides which operations fail.
#[derive(Debug, Default)]
pub(super) struct Faults {
    triggers: Vec<Trigger>,
}

impl Faults {
    /// Makes the `nth` operation of a kind from now on fail; 1 is the next.
    pub(super) fn fail_nth(&mut self, op: DiskOp, nth: u64, errno: i32) {
        assert!(nth >= 1, "operations are counted from 1");
        self.triggers.push(Trigger { op, left: nth, errno });
    }

    /// Whether an operation that begins now will fail, and with which errno.
    pub(super) fn next(&mut self, op: DiskOp, config: &DiskConfig, rng: &mut Rng) -> Option<i32> {
        let mut hit = None;
        self.triggers.retain_mut(|trigger| {
            if trigger.op == op {
                trigger.left -= 1;
                if trigger.left == 0 {
                    hit = Some(trigger.errno);
                }
            }
            trigger.left > 0
        });
        let probability = config.error(op);
        // No coin is spent on a disk without faults.
        hit.or_else(|| (probability > 0.0 && rng.f64() < probability).then_some(libc::EIO))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nth_operation_of_a_kind_fails_and_no_other() {
        let mut faults = Faults::default();
        faults.fail_nth(DiskOp::Write, 2, libc::EIO);
        let (config, mut rng) = (DiskConfig::default(), Rng::with_seed(1));
        let mut next = |op| faults.next(op, &config, &mut rng);
        assert_eq!((next(DiskOp::Write), next(DiskOp::Read)), (None, None));
        assert_eq!((next(DiskOp::Write), next(DiskOp::Write)), (Some(libc::EIO), None));
    }
}
