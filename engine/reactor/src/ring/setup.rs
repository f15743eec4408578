//! Making a ring: the best flags this kernel has, newest first.

use super::probe::Capabilities;
use super::setup_error::{Facts, SetupError};
use io_uring::IoUring;

/// Completion entries for each submission entry: multishot receives bring many CQEs for one SQE.
const CQ_FACTOR: u32 = 8;
/// And at least so many.
const CQ_MIN: u32 = 4096;

/// One set of set-up flags. The reactor runs on each of them; the first that the kernel takes is the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flags {
    /// Linux 6.6: no indirection array.
    NoSqArray,
    /// Linux 6.1: completions are worked off inside our own enter, never in an interrupt of our tasks.
    DeferTaskrun,
    /// Linux 5.19.
    CoopTaskrun,
}

impl Flags {
    const BEST_FIRST: [Flags; 3] = [Flags::NoSqArray, Flags::DeferTaskrun, Flags::CoopTaskrun];

    pub(super) const fn names(self) -> &'static str {
        match self {
            Flags::NoSqArray => "SINGLE_ISSUER COOP_TASKRUN DEFER_TASKRUN TASKRUN_FLAG SUBMIT_ALL NO_SQARRAY",
            Flags::DeferTaskrun => "SINGLE_ISSUER COOP_TASKRUN DEFER_TASKRUN TASKRUN_FLAG SUBMIT_ALL",
            Flags::CoopTaskrun => "COOP_TASKRUN TASKRUN_FLAG SUBMIT_ALL",
        }
    }

    fn build(self, entries: u32) -> std::io::Result<IoUring> {
        let mut builder = IoUring::builder();
        builder.setup_coop_taskrun().setup_taskrun_flag().setup_submit_all().setup_clamp();
        builder.setup_cqsize(entries.saturating_mul(CQ_FACTOR).max(CQ_MIN));
        match self {
            Flags::NoSqArray => builder.setup_single_issuer().setup_defer_taskrun().setup_no_sqarray(),
            Flags::DeferTaskrun => builder.setup_single_issuer().setup_defer_taskrun(),
            Flags::CoopTaskrun => &mut builder,
        };
        builder.build(entries)
    }
}

/// Makes a ring of the calling thread.
pub(super) fn build(entries: u32) -> Result<(IoUring, Capabilities), SetupError> {
    let entries = entries.max(8);
    let mut refused = None;
    for flags in Flags::BEST_FIRST {
        match flags.build(entries) {
            Ok(ring) => {
                let capabilities = Capabilities::of(&ring, flags)?;
                return Ok((ring, capabilities));
            }
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => refused = Some(error),
            Err(error) => return Err(SetupError::explain(error, &Facts::gather())),
        }
    }
    let error = refused.expect("the list of flags is not empty, and every set was refused");
    Err(SetupError::explain(error, &Facts::gather()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use io_uring::opcode;

    #[test]
    fn every_set_of_flags_of_this_kernel_makes_a_working_ring() {
        let best = build(8).unwrap().1;
        println!("{best}");
        let mut made = 0;
        for flags in Flags::BEST_FIRST {
            let Ok(mut ring) = flags.build(8) else { continue };
            made += 1;
            let nop = opcode::Nop::new().build().user_data(7);
            // SAFETY: a nop names no memory.
            unsafe { ring.submission().push(&nop) }.unwrap();
            ring.submit_and_wait(1).unwrap();
            assert_eq!(ring.completion().next().unwrap().user_data(), 7);
        }
        assert!(made > 0);
    }
}
