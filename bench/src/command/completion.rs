//! `ringbd completion SHELL`.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::failure::Failure;

/// Print a script that completes this command in a shell.
#[derive(Debug, clap::Args)]
pub(crate) struct Completion {
    /// The shell, for example: ringbd completion bash > /etc/bash_completion.d/ringbd
    shell: Shell,
}

impl Completion {
    /// Prints the script.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "ringbd", &mut script);
        super::print_bytes(&script)
    }
}
