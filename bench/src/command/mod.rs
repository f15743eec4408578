//! The subcommands, one a file.

mod bench;
mod completion;
mod create;
mod demo;
mod export;
mod fsck;
mod import;
mod info;
mod ls;
mod mv;
mod osdmap;
mod rados;
mod resize;
mod rm;
mod status;
mod store;

use std::process::ExitCode;

use crate::cli::Cli;
use crate::failure::Failure;

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Create an empty image
    Create(create::Create),
    /// Show what an image is
    Info(info::Info),
    /// List the images of a pool
    #[command(visible_alias = "list")]
    Ls(ls::Ls),
    /// Change the size of an image
    Resize(resize::Resize),
    /// Rename an image within its pool
    #[command(visible_alias = "rename")]
    Mv(mv::Mv),
    /// Remove an image
    #[command(visible_alias = "remove")]
    Rm(rm::Rm),
    /// Make an image from a file; zeros stay unallocated
    Import(import::Import),
    /// Copy an image to a file; zeros become holes
    Export(export::Export),
    /// Make an embedded store
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Show how full the store is, or how the cluster does
    Status(status::Status),
    /// Check the store, and mend what can be mended
    Fsck(fsck::Fsck),
    /// Objects of a cluster
    Rados(rados::Rados),
    /// Show an OSD map from a file, and where it places data
    Osdmap(osdmap::Osdmap),
    /// Measure
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Print a script that completes this command in a shell
    Completion(completion::Completion),
}

/// Runs the command.
pub(crate) fn run(cli: &Cli) -> Result<ExitCode, Failure> {
    let global = &cli.global;
    let done = match &cli.command {
        Command::Fsck(fsck) => return fsck.run(global),
        Command::Create(create) => create.run(global),
        Command::Info(info) => info.run(global),
        Command::Ls(ls) => ls.run(global),
        Command::Resize(resize) => resize.run(global),
        Command::Mv(mv) => mv.run(global),
        Command::Rm(rm) => rm.run(global),
        Command::Import(import) => import.run(global),
        Command::Export(export) => export.run(global),
        Command::Store(store) => store.run(global),
        Command::Status(status) => status.run(global),
        Command::Rados(rados) => rados.run(global),
        Command::Osdmap(osdmap) => osdmap.run(global),
        Command::Bench(bench) => bench.run(global),
        Command::Completion(completion) => completion.run(),
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// Prints; a reader that went away is no failure.
fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    use std::io::Write as _;
    match std::io::stdout().write_all(bytes).and_then(|()| std::io::stdout().flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::of_io("cannot write to the standard output", &error))
        }
        _ => Ok(()),
    }
}

/// Prints text as it is.
fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

/// Prints a value as JSON.
fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::new(1, format!("cannot encode the answer as JSON: {error}")))?;
    print(&(text + "\n"))
}
