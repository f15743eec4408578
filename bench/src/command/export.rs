//! `ringbd export`.

use std::path::{Path, PathBuf};

use ringbd::store::OpenMode;

use super::import::uncached;
use crate::cli::Global;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::session::Session;
use crate::transfer::{self, Target};

/// Copy an image to a file; zeros become holes.
#[derive(Debug, clap::Args)]
pub(crate) struct Export {
    /// The image
    #[arg(value_name = "POOL/IMAGE")]
    image: String,
    /// The new file, or `-` for the standard output [default: the image's name]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Export {
    /// Runs it.
    pub(crate) fn run(&self, global: &Global) -> Result<(), Failure> {
        let session = Session::new(global, &self.image)?;
        let store = session.open_store(OpenMode::ReadOnly)?;
        store.image(session.name()).map_err(|error| session.open_failure(&error))?;
        let image = session.open_image(store, &uncached(global, &session)?.read_only())?;
        let path = self.file.clone().unwrap_or_else(|| PathBuf::from(&session.spec.image));
        let mut target = Target::create(&path)
            .map_err(|error| Failure::of_io(format_args!("export error: {}", path.display()), &error))?;
        let to_stream = path == Path::new("-");
        let bar = Progress::bytes(global.progress(), "Exporting image", image.size());
        let exported = transfer::export(&image, &mut target, &mut |done| bar.set(done));
        bar.finish();
        if exported.is_err() && !to_stream {
            // A half file must not be taken for a whole one.
            if let Err(error) = std::fs::remove_file(&path) {
                tracing::warn!("the unfinished file {} could not be removed: {error}", path.display());
            }
        }
        exported?;
        image.blocking().close().map_err(|error| Failure::of("export error", &error))
    }
}
