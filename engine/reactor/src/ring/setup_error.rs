//! Why a core could not start, and what to change.

use super::kernel::{
    KernelVersion, MEMLOCK_REMEDY, io_uring_disabled, kernel_release, memlock_limit, parse_release,
};
use std::io;

/// The oldest kernel that has what the reactor needs (provided-buffer rings, COOP_TASKRUN).
pub(super) const KERNEL_MIN: KernelVersion = KernelVersion(5, 19);

/// How to let a container use io_uring.
const SECCOMP_REMEDY: &str = "allow io_uring_setup, io_uring_enter and io_uring_register in the seccomp profile; \
     docker: --security-opt seccomp=<profile>";

/// The kind of a [`SetupError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetupErrorKind {
    /// The kernel has no io_uring, or a too old one.
    NotSupported,
    /// The kernel has io_uring and does not let this process use it.
    Forbidden,
    /// A limit on locked memory stands in the way.
    Memlock,
    /// The thread cannot be pinned to the CPU that was asked for.
    Cpu,
    /// Anything else.
    Other,
}

/// A core could not start.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SetupError {
    kind: SetupErrorKind,
    message: String,
    source: Option<io::Error>,
}

/// What a message about a failed set-up needs to know. Apart from the error so that tests can make it up.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) release: String,
    pub(super) io_uring_disabled: Option<u32>,
    pub(super) memlock: String,
}

impl Facts {
    pub(super) fn gather() -> Facts {
        Facts { release: kernel_release(), io_uring_disabled: io_uring_disabled(), memlock: memlock_limit() }
    }
}

impl SetupError {
    /// What kind of trouble it is.
    pub fn kind(&self) -> SetupErrorKind {
        self.kind
    }

    pub(crate) fn other(message: impl Into<String>, source: Option<io::Error>) -> SetupError {
        SetupError { kind: SetupErrorKind::Other, message: message.into(), source }
    }

    pub(crate) fn cannot_pin(cpu: usize, allowed: &[usize]) -> SetupError {
        let allowed: Vec<String> = allowed.iter().map(usize::to_string).collect();
        let message = format!(
            "pin a core to CPU {cpu}: there is no such CPU, or the cpuset of this process forbids it (choose among {})",
            allowed.join(",")
        );
        SetupError { kind: SetupErrorKind::Cpu, message, source: None }
    }

    pub(crate) fn too_many_cores() -> SetupError {
        SetupError::other("start a core: too many cores are alive in this process (close some engines)", None)
    }

    pub(crate) fn of_eventfd(error: &io::Error) -> SetupError {
        SetupError::other(
            format!("start a core: eventfd: {error} (raise the limit on open files, `ulimit -n`)"),
            None,
        )
    }

    pub(super) fn missing_operations(missing: &[&str], facts: &Facts) -> SetupError {
        let (missing, release) = (missing.join(", "), &facts.release);
        let message =
            format!("io_uring of kernel {release} lacks {missing} (boot kernel {KERNEL_MIN} or newer)");
        SetupError { kind: SetupErrorKind::NotSupported, message, source: None }
    }

    /// Explains why `io_uring_setup` failed.
    pub(super) fn explain(error: io::Error, facts: &Facts) -> SetupError {
        let release = &facts.release;
        let (kind, message) = match error.raw_os_error() {
            Some(libc::ENOSYS) if parse_release(release).is_some_and(|version| version < KERNEL_MIN) => (
                SetupErrorKind::NotSupported,
                format!(
                    "io_uring is missing: kernel {release} is too old (boot kernel {KERNEL_MIN} or newer)"
                ),
            ),
            Some(libc::ENOSYS) => (
                SetupErrorKind::NotSupported,
                format!(
                    "io_uring is missing: kernel {release} was built without it, or a seccomp filter hides it \
                     (build the kernel with CONFIG_IO_URING=y; in a container, {SECCOMP_REMEDY})"
                ),
            ),
            Some(libc::EPERM | libc::EACCES) => (SetupErrorKind::Forbidden, forbidden(facts)),
            Some(libc::ENOMEM) => (
                SetupErrorKind::Memlock,
                format!(
                    "io_uring: no memory for the rings; RLIMIT_MEMLOCK is {} ({MEMLOCK_REMEDY})",
                    facts.memlock
                ),
            ),
            Some(libc::EINVAL) => (
                SetupErrorKind::NotSupported,
                format!(
                    "io_uring of kernel {release} lacks what ringbd needs (boot kernel {KERNEL_MIN} or newer)"
                ),
            ),
            Some(libc::EMFILE | libc::ENFILE) => (
                SetupErrorKind::Other,
                format!("io_uring: {error} (raise the limit on open files, `ulimit -n`)"),
            ),
            _ => (SetupErrorKind::Other, format!("io_uring_setup on kernel {release}: {error}")),
        };
        SetupError { kind, message, source: Some(error) }
    }
}

fn forbidden(facts: &Facts) -> String {
    match facts.io_uring_disabled {
        Some(2) => "io_uring is forbidden: sysctl kernel.io_uring_disabled is 2 \
                    (set it to 0: `sysctl -w kernel.io_uring_disabled=0`)"
            .to_owned(),
        Some(1) => "io_uring is forbidden: sysctl kernel.io_uring_disabled is 1 \
                    (set it to 0, or add this user to the group in kernel.io_uring_group, or run with CAP_SYS_ADMIN)"
            .to_owned(),
        _ => format!("io_uring is forbidden, most likely by the container's seccomp filter or LSM ({SECCOMP_REMEDY})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(release: &str, disabled: Option<u32>) -> Facts {
        Facts { release: release.to_owned(), io_uring_disabled: disabled, memlock: "64 KiB".to_owned() }
    }

    fn explain(errno: i32, release: &str, disabled: Option<u32>) -> (SetupErrorKind, String) {
        let error = SetupError::explain(io::Error::from_raw_os_error(errno), &facts(release, disabled));
        (error.kind(), error.to_string())
    }

    #[test]
    fn each_cause_says_what_to_change() {
        use SetupErrorKind::{Forbidden, Memlock, NotSupported, Other};
        let cases = [
            (
                libc::ENOSYS,
                "4.18.0-553.el8",
                None,
                NotSupported,
                ["4.18.0-553.el8 is too old", "5.19 or newer"],
            ),
            (libc::ENOSYS, "6.8.0", None, NotSupported, ["CONFIG_IO_URING=y", "seccomp"]),
            (libc::EINVAL, "5.10.0", None, NotSupported, ["5.10.0", "5.19 or newer"]),
            (
                libc::EPERM,
                "6.8.0",
                Some(2),
                Forbidden,
                ["io_uring_disabled is 2", "sysctl -w kernel.io_uring_disabled=0"],
            ),
            (libc::EPERM, "6.8.0", Some(1), Forbidden, ["io_uring_disabled is 1", "io_uring_group"]),
            (libc::EPERM, "6.8.0", Some(0), Forbidden, ["seccomp", "io_uring_enter"]),
            (libc::EPERM, "5.19.0", None, Forbidden, ["seccomp", "io_uring_register"]),
            (libc::ENOMEM, "6.8.0", Some(0), Memlock, ["RLIMIT_MEMLOCK is 64 KiB", "ulimit -l unlimited"]),
            (libc::EMFILE, "6.8.0", Some(0), Other, ["open files", "ulimit -n"]),
            (libc::EIO, "6.8.0", Some(0), Other, ["io_uring_setup", "6.8.0"]),
        ];
        for (errno, release, disabled, kind, texts) in cases {
            let (found, message) = explain(errno, release, disabled);
            assert_eq!(found, kind, "{message}");
            for text in texts {
                assert!(message.contains(text), "{message:?} lacks {text:?}");
            }
            assert!(!message.contains('\n'));
        }
    }

    #[test]
    fn missing_operations_are_named() {
        let error = SetupError::missing_operations(&["FSYNC", "RECV"], &facts("5.19.0", None));
        assert_eq!(error.kind(), SetupErrorKind::NotSupported);
        assert!(error.to_string().contains("lacks FSYNC, RECV"));
    }
}
