//! `ringbd resize`.

use ringbd::store::OpenMode;

use super::create::share;
use crate::cli::Global;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::session::Session;

/// Change the size of an image.
#[derive(Debug, clap::Args)]
pub(crate) struct Resize {
    /// The image
    #[arg(value_name = "POOL/IMAGE")]
    image: String,
    /// Its new size, like 20G; a bare number counts MiB
    #[arg(long, short, value_name = "SIZE", value_parser = crate::size::parse)]
    size: u64,
    /// Permit a smaller size; what lies beyond it is lost
    #[arg(long)]
    allow_shrink: bool,
}

impl Resize {
    /// Runs it.
    pub(crate) fn run(&self, global: &Global) -> Result<(), Failure> {
        let session = Session::new(global, &self.image)?;
        session.refuse_snap("resize")?;
        let store = session.open_store(OpenMode::ReadWrite)?;
        let old = store.image(session.name()).map_err(|error| session.open_failure(&error))?.size;
        if self.size < old && !self.allow_shrink {
            return Err(Failure::invalid("shrinking an image is only allowed with the --allow-shrink flag"));
        }
        let bar = Progress::bytes(global.progress(), "Resizing image", old.abs_diff(self.size));
        let mut progress = |done: u64, all: u64| bar.set(share(old.abs_diff(self.size), done, all));
        store
            .resize(session.name(), self.size, &mut progress)
            .map_err(|error| Failure::of("resize error", &error))?;
        bar.finish();
        Ok(())
    }
}
