//! The way of an I/O: `queue` → `commit` → engine → `take_events` → `event`.
//!
//! Nothing on it allocates, locks or reads a clock that fio does not ask for: the lists have fio's queue depth as
//! capacity, and the token of a request is the address of its unit.

use std::time::{Duration, Instant};

use super::{FileState, Job};
use crate::abi::layout::{UnitLayout, ddir};
use crate::abi::view::{Thread, Timespec, Unit};
use crate::engine_link::{ImageIndex, Op};
use crate::log::say;

/// So many requests go to the kernel together while fio has completions left to handle. One system call for two of them
/// saves half the calls; where more are held back, the disk runs short of work.
const SUBMIT_BATCH: usize = 2;

/// A trim that the engine has not finished.
pub(super) struct Trim {
    unit: Unit,
    image: ImageIndex,
}

impl Trim {
    /// Whether the trim covers a byte of a unit's range.
    fn touches(&self, unit: Unit, image: ImageIndex, layout: &UnitLayout) -> bool {
        let range = |unit: Unit| (unit.offset(layout), unit.offset(layout) + unit.len(layout));
        let ((start, end), (trim_start, trim_end)) = (range(unit), range(self.unit));
        image == self.image && start < trim_end && trim_start < end
    }
}

impl Job {
    /// Whether fio has to reap before it queues more.
    pub(crate) fn is_full(&self) -> bool {
        self.queued.len() + self.in_flight >= self.depth
    }

    /// Takes a unit for the next commit. False where it has failed already.
    pub(crate) fn queue(&mut self, unit: Unit) -> bool {
        match self.file(unit.file()) {
            FileState::Image(image) => {
                self.queued.push((unit, image));
                true
            }
            FileState::Failed(errno) => {
                unit.fail(&self.layout, errno);
                false
            }
        }
    }

    /// Hands all queued units to the engine.
    pub(crate) fn commit(&mut self, td: Thread) {
        if self.queued.is_empty() {
            return;
        }
        self.stamp(td);
        self.in_flight += self.queued.len();
        self.unpolled += self.queued.len();
        let mut queued = std::mem::take(&mut self.queued);
        for (unit, image) in queued.drain(..) {
            let op = match unit.ddir() {
                ddir::READ => Op::Read,
                ddir::WRITE => {
                    if !self.trims.is_empty() {
                        self.let_trims_end(unit, image);
                    }
                    Op::Write
                }
                ddir::TRIM => {
                    self.trims.push(Trim { unit, image });
                    Op::Discard
                }
                ddir::SYNC | ddir::DATASYNC | ddir::SYNC_FILE_RANGE | ddir::SYNCFS => Op::Flush,
                _ => {
                    unit.fail(&self.layout, libc::ENOTSUP);
                    self.end(unit);
                    continue;
                }
            };
            let layout = &self.layout;
            let (offset, len) = (unit.offset(layout), unit.len(layout));
            // SAFETY: the transfer buffer belongs to the unit, which fio leaves alone until its completion was taken;
            // `retire` waits for it before fio frees the memory.
            unsafe { self.link.submit(image, op, offset, unit.transfer_buffer(layout), len, unit.token()) };
        }
        self.queued = queued;
        if self.unpolled >= SUBMIT_BATCH || !self.is_full_for_fio() {
            self.poll();
        }
    }

    /// Whether fio can do nothing but ask for events next. Otherwise it may go to sleep first, to keep a rate for
    /// example, and what it has committed must be on its way before.
    fn is_full_for_fio(&self) -> bool {
        self.in_flight + self.done.len() - self.taken >= self.depth
    }

    /// Gives the engine a turn: what it was asked for goes out, what has completed comes in and is collected.
    #[inline]
    fn poll(&mut self) {
        self.link.poll();
        self.unpolled = 0;
        self.reap();
    }

    /// Tells fio that the queued units go out now: one reading of the clock serves them all.
    fn stamp(&self, td: Thread) {
        if self.clocks.stamp {
            let mut now = Timespec::default();
            // SAFETY: fio fills in the timespec, and takes null for its second argument.
            unsafe { (self.symbols.gettime)(&raw mut now, std::ptr::null_mut()) };
            for (unit, _) in &self.queued {
                unit.set_issue_time(now);
                // SAFETY: the job and the unit are fio's own, and the unit is in flight from here on.
                unsafe { (self.symbols.io_u_queued)(td, *unit) };
            }
        }
        let batch = u32::try_from(self.queued.len()).expect("no more than fio's queue depth");
        // SAFETY: the job is fio's own.
        unsafe { (self.symbols.io_u_mark_submit)(td, batch) };
    }

    /// `trimwrite` queues the trim of a block and its write one after the other, and means them to happen so: other
    /// engines trim within `queue`. Requests in flight have no order in ours, so such a write waits for its trim.
    #[cold]
    fn let_trims_end(&mut self, write: Unit, image: ImageIndex) {
        // What has ended already is collected first: nothing more would come to end a wait for it.
        self.reap();
        while self.trims.iter().any(|trim| trim.touches(write, image, &self.layout)) {
            self.link.wait(None);
            self.reap();
        }
    }

    /// Waits for `min` completions, but no longer than `timeout`, and hands out up to `max`. With `min` 0 it never
    /// blocks. The answer is their number; [`Job::event`] gives them.
    pub(crate) fn take_events(&mut self, min: usize, max: usize, timeout: Option<Duration>) -> usize {
        for _ in 0..self.taken {
            self.done.pop_front();
        }
        self.taken = 0;
        self.reap();
        if self.done.len() < min {
            // Waiting submits too: one system call for both.
            self.wait(min, timeout);
        } else if self.done.len() < max {
            self.poll();
        }
        self.taken = self.done.len().min(max);
        self.taken
    }

    fn wait(&mut self, min: usize, timeout: Option<Duration>) {
        let end = timeout.map(|timeout| Instant::now() + timeout);
        while self.done.len() < min && self.in_flight > 0 {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return;
            }
            self.link.wait(left);
            self.unpolled = 0;
            self.reap();
        }
    }

    /// A unit of the last `take_events`.
    pub(crate) fn event(&self, index: usize) -> Unit {
        self.done[index]
    }

    #[inline]
    pub(super) fn reap(&mut self) {
        while let Some((token, result)) = self.link.next_completion() {
            // SAFETY: the token was made from a unit in `commit`, and fio keeps units until `cleanup`.
            let unit = unsafe { Unit::from_token(token) };
            match result {
                Ok(bytes) => {
                    let len = unit.len(&self.layout);
                    if bytes < len && unit.ddir() == ddir::READ {
                        unit.set_residue(&self.layout, len - bytes);
                    }
                }
                Err(error) => {
                    unit.fail(&self.layout, error.errno());
                    self.say_once(&error);
                }
            }
            if !self.trims.is_empty() {
                self.trims.retain(|trim| trim.unit != unit);
            }
            self.end(unit);
        }
    }

    fn end(&mut self, unit: Unit) {
        self.in_flight -= 1;
        self.done.push_back(unit);
    }

    /// fio shows an errno; the first failure of a job is told in full.
    #[cold]
    fn say_once(&mut self, error: &dyn std::fmt::Display) {
        if !std::mem::replace(&mut self.told_failure, true) {
            say(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::layout::UNIT_LAYOUTS;

    #[test]
    fn a_write_waits_only_for_trims_of_its_own_bytes() {
        let layout = UNIT_LAYOUTS[0];
        let mut memory = [[0_u64; 64]; 4];
        let mut units = memory.iter_mut().zip([(4096, 4096), (8192, 512), (0, 4097), (0, 4096)]).map(
            |(memory, (offset, len))| {
                memory[layout.offset / 8] = offset;
                memory[layout.xfer_buflen / 8] = len;
                // SAFETY: the memory is larger than a unit and outlives it in this test.
                unsafe { Unit::from_token(memory.as_mut_ptr() as u64) }
            },
        );
        let trim = Trim { unit: units.next().unwrap(), image: 0 };
        let (behind, overlapping, before) =
            (units.next().unwrap(), units.next().unwrap(), units.next().unwrap());
        assert!(!trim.touches(behind, 0, &layout));
        assert!(trim.touches(overlapping, 0, &layout));
        assert!(!trim.touches(overlapping, 1, &layout));
        assert!(!trim.touches(before, 0, &layout));
    }
}
