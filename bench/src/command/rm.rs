//! `ringbd rm`.

use ringbd::store::OpenMode;

use super::create::share;
use crate::cli::Global;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::session::Session;

/// Remove an image.
#[derive(Debug, clap::Args)]
pub(crate) struct Rm {
    /// The image
    #[arg(value_name = "POOL/IMAGE")]
    image: String,
}

impl Rm {
    /// Runs it.
    pub(crate) fn run(&self, global: &Global) -> Result<(), Failure> {
        let session = Session::new(global, &self.image)?;
        session.refuse_snap("rm")?;
        let store = session.open_store(OpenMode::ReadWrite)?;
        let size = store.image(session.name()).map_or(0, |image| image.size);
        let bar = Progress::bytes(global.progress(), "Removing image", size);
        let mut progress = |done: u64, all: u64| bar.set(share(size, done, all));
        store.remove(session.name(), &mut progress).map_err(|error| Failure::of("delete error", &error))?;
        bar.finish();
        Ok(())
    }
}
