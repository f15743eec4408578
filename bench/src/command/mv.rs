//! `ringbd mv`.

use ringbd::store::OpenMode;

use crate::cli::Global;
use crate::failure::Failure;
use crate::session::Session;

/// Rename an image within its pool.
#[derive(Debug, clap::Args)]
pub(crate) struct Mv {
    /// The image
    #[arg(value_name = "POOL/IMAGE")]
    from: String,
    /// Its new name
    #[arg(value_name = "POOL/NEW")]
    to: String,
}

impl Mv {
    /// Runs it.
    pub(crate) fn run(&self, global: &Global) -> Result<(), Failure> {
        let (from, to) = (Session::new(global, &self.from)?, Session::new(global, &self.to)?);
        from.refuse_snap("mv")?;
        to.refuse_snap("mv")?;
        let store = from.open_store(OpenMode::ReadWrite)?;
        store.image(from.name()).map_err(|error| from.open_failure(&error))?;
        store.rename(from.name(), to.name()).map_err(|error| Failure::of("rename error", &error))
    }
}
