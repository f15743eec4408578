//! The command line, as a whole.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use ringbd::config::Sources;

use crate::command::Command;

/// RBD images on a thread-per-core engine: manage them, and measure their cache modes.
///
/// An image is named as POOL/IMAGE, or as QEMU does: rbd:POOL/IMAGE:option=value. The environment is read as
/// by Ceph's tools (CEPH_CONF, CEPH_ARGS); RINGBD_STORE names the embedded store, RINGBD_LOG says what to
/// log.
#[derive(Debug, Parser)]
#[command(name = "ringbd", version, propagate_version = true, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The directory of the embedded store [default: RINGBD_STORE]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
    /// The Ceph configuration file
    #[arg(long, short, global = true, value_name = "FILE")]
    pub(crate) conf: Option<PathBuf>,
    /// The Ceph user, without `client.`
    #[arg(long, global = true, value_name = "USER")]
    pub(crate) id: Option<String>,
    /// How to print
    #[arg(long, global = true, value_enum, default_value_t = Format::Plain, hide_default_value = true)]
    pub(crate) format: Format,
    /// No progress bars; they only ever show on a terminal
    #[arg(long, global = true)]
    pub(crate) no_progress: bool,
}

/// The form of what a command prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Plain,
    /// For programs.
    Json,
}

impl Global {
    /// What settings are resolved from.
    pub(crate) fn sources(&self) -> Sources {
        let mut sources = Sources::from_process();
        sources.conf.clone_from(&self.conf);
        sources.id.clone_from(&self.id);
        match &self.store {
            Some(store) => sources.with_option("ringbd_store", store.display().to_string()),
            None => sources,
        }
    }

    /// Whether progress bars show.
    pub(crate) fn progress(&self) -> bool {
        !self.no_progress && std::io::stderr().is_terminal()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
