//! `ringbd store create`: an embedded store on this machine.

use std::path::PathBuf;

use ringbd::World;
use ringbd::store::{CreateStore, Store};

use crate::cli::Global;
use crate::failure::Failure;
use crate::session;

/// Make an embedded store.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum StoreCommand {
    /// Make an embedded store: a directory, with its data in a file there or on a block device
    Create(Create),
}

/// Make an embedded store.
#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// The directory [default: --store or RINGBD_STORE]
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Keep the data on this block device
    #[arg(long, value_name = "DEVICE")]
    data: Option<PathBuf>,
    /// The most that the data may grow to [default: what the disk has]
    #[arg(long, value_name = "SIZE", value_parser = crate::size::parse)]
    limit: Option<u64>,
    /// Use a device that is not empty; what is on it is lost
    #[arg(long, requires = "data")]
    overwrite: bool,
}

impl StoreCommand {
    /// Runs it.
    pub(crate) fn run(&self, global: &Global) -> Result<(), Failure> {
        match self {
            StoreCommand::Create(create) => create.run(global),
        }
    }
}

impl Create {
    fn run(&self, global: &Global) -> Result<(), Failure> {
        let dir = match &self.dir {
            Some(dir) => dir.clone(),
            None => session::store_dir(global)?,
        };
        let options =
            CreateStore { data: self.data.clone(), data_bytes_max: self.limit, overwrite: self.overwrite };
        Store::create(&World::real(), &dir, &options)
            .map(drop)
            .map_err(|error| Failure::of("store create error", &error))
    }
}
