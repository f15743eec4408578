//! What the running kernel offers, for people and for the choice between two ways of doing the same.

use super::kernel::{KernelVersion, kernel_release, memlock_limit, parse_release};
use super::setup::{self, Flags};
use super::setup_error::{Facts, SetupError};
use io_uring::{IoUring, Probe, opcode};
use std::fmt;

/// Operations that the reactor cannot do without. All are older than the flags it needs.
const REQUIRED: [(u8, &str); 10] = [
    (opcode::Read::CODE, "READ"),
    (opcode::Write::CODE, "WRITE"),
    (opcode::ReadFixed::CODE, "READ_FIXED"),
    (opcode::WriteFixed::CODE, "WRITE_FIXED"),
    (opcode::Fsync::CODE, "FSYNC"),
    (opcode::Fallocate::CODE, "FALLOCATE"),
    (opcode::SendMsg::CODE, "SENDMSG"),
    (opcode::Recv::CODE, "RECV"),
    (opcode::Connect::CODE, "CONNECT"),
    (opcode::AsyncCancel::CODE, "ASYNC_CANCEL"),
];

/// What was found. Its `Display` is one line for people.
#[derive(Clone, Debug)]
pub struct Capabilities {
    release: String,
    flags: Flags,
    multishot_receive: bool,
    memlock: String,
}

impl Capabilities {
    pub(super) fn of(ring: &IoUring, flags: Flags) -> Result<Capabilities, SetupError> {
        let mut probe = Probe::new();
        ring.submitter()
            .register_probe(&mut probe)
            .map_err(|error| SetupError::explain(error, &Facts::gather()))?;
        let missing: Vec<&str> =
            REQUIRED.iter().filter(|(code, _)| !probe.is_supported(*code)).map(|(_, name)| *name).collect();
        if !missing.is_empty() {
            return Err(SetupError::missing_operations(&missing, &Facts::gather()));
        }
        let release = kernel_release();
        // Multishot receive (6.0) has no opcode of its own; SEND_ZC came with the same release.
        let multishot_receive = probe.is_supported(opcode::SendZc::CODE)
            || parse_release(&release).is_some_and(|version| version >= KernelVersion(6, 0));
        Ok(Capabilities { release, flags, multishot_receive, memlock: memlock_limit() })
    }

    /// The kernel's release.
    pub fn kernel(&self) -> &str {
        &self.release
    }

    /// Completions are worked off inside the core's own enter (DEFER_TASKRUN, Linux 6.1).
    pub fn deferred_task_work(&self) -> bool {
        matches!(self.flags, Flags::NoSqArray | Flags::DeferTaskrun)
    }

    /// One receive serves a connection's whole life (Linux 6.0).
    pub fn multishot_receive(&self) -> bool {
        self.multishot_receive
    }
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let multishot =
            if self.multishot_receive { "multishot" } else { "single-shot (multishot needs kernel 6.0)" };
        write!(
            f,
            "io_uring on kernel {}: flags {}; receive {multishot}; RLIMIT_MEMLOCK {}",
            self.release,
            self.flags.names(),
            self.memlock
        )
    }
}

/// Looks what the kernel offers, by making a ring and closing it.
pub fn probe() -> Result<Capabilities, SetupError> {
    setup::build(8).map(|(_, capabilities)| capabilities)
}
