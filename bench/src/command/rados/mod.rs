//! `ringbd rados`: objects of a cluster, with the argument order of the `rados` tool.

mod bench;
mod listing;
mod objects;
mod watching;

use std::path::PathBuf;

use crate::cli::Global;
use crate::cluster_session::{open_pool, with_cluster};
use crate::failure::Failure;

/// Objects of a cluster.
#[derive(Debug, clap::Args)]
pub(crate) struct Rados {
    /// The pool
    #[arg(long, short, global = true, value_name = "POOL")]
    pool: Option<String>,
    /// The namespace in the pool
    #[arg(
        long,
        short = 'N',
        global = true,
        value_name = "NAMESPACE",
        default_value = "",
        hide_default_value = true
    )]
    namespace: String,
    #[command(subcommand)]
    command: RadosCommand,
}

/// What to do.
#[derive(Debug, clap::Subcommand)]
enum RadosCommand {
    /// Write a file into an object
    Put {
        /// The object
        object: String,
        /// The file, or - for the standard input
        file: PathBuf,
    },
    /// Read an object into a file
    Get {
        /// The object
        object: String,
        /// The file, or - for the standard output
        file: PathBuf,
    },
    /// Show an object's size and when it was modified
    Stat {
        /// The object
        object: String,
    },
    /// Remove objects
    Rm {
        /// The objects
        #[arg(required = true)]
        objects: Vec<String>,
    },
    /// List the pool's objects
    Ls {
        /// Of all namespaces, each before its objects
        #[arg(long)]
        all: bool,
    },
    /// Print what an object's watchers are told, until interrupted
    Watch {
        /// The object
        object: String,
        /// End after so many notifications
        #[arg(long, value_name = "COUNT")]
        count: Option<u64>,
    },
    /// Tell an object's watchers something, and print what they answer
    Notify {
        /// The object
        object: String,
        /// What to tell them
        message: String,
        /// Seconds to wait for their answers
        #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
        timeout: u32,
    },
    /// Measure writing, then reading, of whole objects
    Bench(bench::Bench),
}

impl Rados {
    /// Runs it.
    pub(crate) fn run(&self, global: &Global) -> Result<(), Failure> {
        self.access(global).map_err(Failure::ending_like_rados)
    }

    fn access(&self, global: &Global) -> Result<(), Failure> {
        let Some(pool) = &self.pool else {
            return Err(Failure::invalid("no pool is named (give -p POOL)"));
        };
        with_cluster(global, async |rados| {
            let io = open_pool(rados, pool, &self.namespace).await?;
            match &self.command {
                RadosCommand::Put { object, file } => objects::put(&io, pool, object, file).await,
                RadosCommand::Get { object, file } => objects::get(&io, pool, object, file).await,
                RadosCommand::Stat { object } => objects::stat(&io, pool, object, global.format).await,
                RadosCommand::Rm { objects } => objects::remove(&io, pool, objects).await,
                RadosCommand::Ls { all } => listing::list(&io, *all, global.format).await,
                RadosCommand::Watch { object, count } => watching::watch(&io, object, *count).await,
                RadosCommand::Notify { object, message, timeout } => {
                    watching::notify(&io, object, message, *timeout).await
                }
                RadosCommand::Bench(bench) => bench.run(rados, &io, global.format).await,
            }
        })
    }
}
