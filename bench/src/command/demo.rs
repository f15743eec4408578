//! `ringbd bench demo`: from nothing to a report in under five minutes.

use std::path::PathBuf;

use clap::Parser;

use super::bench::measure;
use super::print;
use crate::cache_bench::{CacheArgs, provide};
use crate::cli::Global;
use crate::failure::Failure;

/// Make a store and a 1 GiB image, fill it, and measure three cache modes.
#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// Where the store and the results go
    #[arg(long, value_name = "DIR", default_value = "ringbd-demo")]
    dir: PathBuf,
    /// The fio to run
    #[arg(long, value_name = "PATH", default_value = "fio")]
    fio: PathBuf,
    /// The plugin [default: libfio_ringbd.so beside this program]
    #[arg(long, value_name = "PATH")]
    plugin: Option<PathBuf>,
}

const IMAGE: &str = "demo/disk";
const IMAGE_BYTES: u64 = 1 << 30;

impl Demo {
    /// Runs it.
    pub(crate) fn run(&self, global: &Global) -> Result<(), Failure> {
        let store = self.dir.join("store");
        let global = Global { store: Some(store.clone()), ..global.clone() };
        std::fs::create_dir_all(&self.dir)
            .map_err(|error| Failure::of_io(format_args!("cannot create {}", self.dir.display()), &error))?;
        provide(&global, IMAGE, IMAGE_BYTES)?;
        print(&format!("store {}: image {IMAGE} of 1 GiB is there\n", store.display()))?;
        measure(&self.args()?, &global)
    }

    /// `bench cache --quick` on the demo's image.
    fn args(&self) -> Result<CacheArgs, Failure> {
        let mut args = QuickLine::try_parse_from(["demo", "--quick", "--overwrite", IMAGE])
            .map_err(|error| Failure::invalid(error.to_string()))?
            .args;
        args.fio.clone_from(&self.fio);
        args.plugin.clone_from(&self.plugin);
        args.out_parent = Some(self.dir.clone());
        Ok(args)
    }
}

/// The defaults of `bench cache` are those of its command line.
#[derive(Debug, Parser)]
struct QuickLine {
    #[command(flatten)]
    args: CacheArgs,
}
