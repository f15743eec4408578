//! Facts about the running kernel and this process's limits, for messages.

use std::fmt;

/// Version of a kernel: major, minor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KernelVersion(pub(super) u32, pub(super) u32);

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// The release the kernel reports, e.g. `6.18.44-generic`.
pub(super) fn kernel_release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .map_or_else(|_| "unknown".to_owned(), |s| s.trim().to_owned())
}

/// Reads the version out of a release.
pub(super) fn parse_release(release: &str) -> Option<KernelVersion> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some(KernelVersion(numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// The sysctl that forbids io_uring; `None` where the kernel has none.
pub(super) fn io_uring_disabled() -> Option<u32> {
    std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok()?.trim().parse().ok()
}

/// How to raise RLIMIT_MEMLOCK.
pub(super) const MEMLOCK_REMEDY: &str = "raise it with `ulimit -l unlimited`, LimitMEMLOCK=infinity in the unit, \
     or --ulimit memlock=-1 for the container";

/// RLIMIT_MEMLOCK, for a message.
pub(super) fn memlock_limit() -> String {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a live rlimit, which the call fills.
    if unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) } != 0 {
        return "unknown".to_owned();
    }
    match limit.rlim_cur {
        libc::RLIM_INFINITY => "unlimited".to_owned(),
        bytes => format!("{} KiB", bytes >> 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read() {
        assert_eq!(parse_release("6.18.44-fc-v769"), Some(KernelVersion(6, 18)));
        assert_eq!(parse_release("5.19"), Some(KernelVersion(5, 19)));
        assert_eq!(parse_release("4.18.0-553.el8"), Some(KernelVersion(4, 18)));
        assert_eq!(parse_release("unknown"), None);
    }
}
