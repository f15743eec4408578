//! How a command fails: a message and an exit code as Ceph's tools give them.
//!
//! The first line is theirs: `ringbd: error opening image foo: (2) No such file or directory`; the next says
//! what exactly and what to do. The exit code of commands on images is the errno, as that of `rbd` is; commands on objects end
//! with 1 whatever went wrong, as `rados` does.

use std::process::ExitCode;

use std::io;

use ringbd::config::ConfigError;
use ringbd::store::StoreError;

/// EINVAL.
pub(crate) const INVALID: i32 = 22;

/// A command that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    detail: Option<String>,
    errno: i32,
}

impl Failure {
    /// A failure that is told in one line.
    pub(crate) fn new(errno: i32, message: impl Into<String>) -> Failure {
        Failure { message: message.into(), detail: None, errno }
    }

    /// Wrong input.
    pub(crate) fn invalid(message: impl Into<String>) -> Failure {
        Failure::new(INVALID, message)
    }

    /// `what` failed, for the reason that `error` gives in full.
    pub(crate) fn of(what: impl std::fmt::Display, error: &impl Reason) -> Failure {
        let errno = error.errno();
        Failure {
            message: format!("{what}: ({errno}) {}", strerror(errno)),
            detail: Some(error.to_string()),
            errno,
        }
    }

    /// `what` failed with an error of the operating system.
    pub(crate) fn of_io(what: impl std::fmt::Display, error: &io::Error) -> Failure {
        let errno = error.raw_os_error().unwrap_or(5);
        Failure::new(errno, format!("{what}: ({errno}) {}", strerror(errno)))
    }

    /// The same, of a command that ends as `rados` does.
    pub(crate) fn ending_like_rados(self) -> Failure {
        Failure { errno: 1, ..self }
    }

    /// Prints it and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        eprintln!("ringbd: {}", self.message);
        if let Some(detail) = &self.detail {
            eprintln!("ringbd: {detail}");
        }
        exit_code(self.errno)
    }
}

/// An error that has an errno and says more than it.
pub(crate) trait Reason: std::fmt::Display {
    /// The positive errno.
    fn errno(&self) -> i32;
}

impl Reason for ringbd::Error {
    fn errno(&self) -> i32 {
        ringbd::Error::errno(self)
    }
}

impl Reason for StoreError {
    fn errno(&self) -> i32 {
        StoreError::errno(self)
    }
}

/// The C library's text for an errno.
fn strerror(errno: i32) -> String {
    let text = io::Error::from_raw_os_error(errno).to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        Failure::new(1, format!("{error:#}"))
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        Failure::new(error.errno(), error.to_string())
    }
}

/// Prints what is wrong with a command line, or the help that it asked for, and gives the exit code.
pub(crate) fn report_usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // Printing fails only when nobody listens.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let text = error.to_string();
    eprint!("ringbd: {}", text.strip_prefix("error: ").unwrap_or(&text));
    exit_code(INVALID)
}

/// An errno as an exit code; one that does not fit is a plain failure.
fn exit_code(errno: i32) -> ExitCode {
    u8::try_from(errno).ok().filter(|&code| code != 0).map_or(ExitCode::FAILURE, ExitCode::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringbd::{Error, ErrorKind};

    #[test]
    fn messages_read_like_those_of_rbd() {
        let error = Error::new(ErrorKind::NotFound, "open image", "data/foo", "no such image");
        let failure = Failure::of("error opening image foo", &error);
        assert_eq!(failure.message, "error opening image foo: (2) No such file or directory");
        assert_eq!(failure.errno, 2);
        let failure = Failure::of_io("cannot open `x`", &io::Error::from_raw_os_error(13));
        assert_eq!(failure.message, "cannot open `x`: (13) Permission denied");
    }
}
