//! One daemon: a child process that can be killed, stopped, continued and started again.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A daemon of a cluster.
pub struct Daemon {
    command: Command,
    log: PathBuf,
    child: Option<Child>,
}

impl Daemon {
    pub(super) fn start(command: Command, log: PathBuf) -> Daemon {
        let mut daemon = Daemon { command, log, child: None };
        daemon.restart();
        daemon
    }

    /// Starts it, if it does not run.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn restart(&mut self) {
        if self.child.is_some() {
            return;
        }
        let log =
            File::options().create(true).append(true).open(&self.log).expect("a file in a folder of ours");
        let copy = log.try_clone().expect("a descriptor");
        let child = self.command.stdout(Stdio::from(log)).stderr(Stdio::from(copy)).spawn();
        self.child = Some(child.unwrap_or_else(|error| panic!("{:?}: {error}", self.command)));
    }

    /// Kills it as a power cut would: kill -9.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            drop(child.kill());
            drop(child.wait());
        }
    }

    /// Stops it in its tracks; it keeps its connections.
    pub fn freeze(&self) {
        self.signal(libc::SIGSTOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(libc::SIGCONT);
    }

    fn signal(&self, signal: i32) {
        let Some(child) = &self.child else { return };
        let status = Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status();
        assert!(status.expect("kill runs").success(), "the daemon runs");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}
