//! Running fio, and reading what it says.

mod child;
mod histogram;
mod output;
mod rate_log;

pub(crate) use child::{Finished, run};
pub(crate) use histogram::Histogram;
pub(crate) use rate_log::read_rates;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// A fio binary that answered.
#[derive(Debug, Clone)]
pub(crate) struct Fio {
    pub(crate) path: PathBuf,
    /// As `fio --version` prints it.
    pub(crate) version: String,
}

impl Fio {
    /// Asks the binary at `path` for its version.
    pub(crate) fn probe(path: &Path) -> Result<Fio> {
        let output = Command::new(path).arg("--version").output().with_context(|| {
            format!(
                "cannot run fio as `{}` (install it: apt-get install fio; or name it: --fio PATH)",
                path.display()
            )
        })?;
        ensure!(output.status.success(), "`{} --version` failed: {}", path.display(), output.status);
        let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if !version.starts_with("fio-") {
            bail!("`{}` is not fio: its version reads `{version}`", path.display());
        }
        Ok(Fio { path: path.to_owned(), version })
    }
}
