//! The subcommands, one a file.

mod bench;
mod completion;

use crate::cli::Cli;
use crate::failure::Failure;

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Measure
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Print a script that completes this command in a shell
    Completion(completion::Completion),
}

/// Runs the command.
pub(crate) fn run(cli: &Cli) -> Result<(), Failure> {
    match &cli.command {
        Command::Bench(bench) => bench.run(&cli.global),
        Command::Completion(completion) => completion.run(),
    }
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
