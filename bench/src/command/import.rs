//! `ringbd import`.

use std::path::{Path, PathBuf};

use ringbd::OpenOptions;
use ringbd::config::{QemuCache, Settings};

use super::create::Shape;
use crate::cli::Global;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::session::Session;
use crate::transfer::{self, Source};

/// Make an image from a file; zeros stay unallocated.
#[derive(Debug, clap::Args)]
pub(crate) struct Import {
    /// The file, or `-` for the standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The new image [default: the file's name, in the pool rbd]
    #[arg(value_name = "POOL/IMAGE")]
    image: Option<String>,
    #[command(flatten)]
    shape: Shape,
}

impl Import {
    /// Runs it.
    pub(crate) fn run(&self, global: &Global) -> Result<(), Failure> {
        let session = Session::new(global, &self.image_name()?)?;
        session.refuse_snap("import")?;
        let mut source = Source::open(&self.file)
            .map_err(|error| Failure::of_io(format_args!("error opening {}", self.file.display()), &error))?;
        let store = session.open_or_create_store()?;
        let options = self.shape.image(&session, source.size().unwrap_or(0));
        store
            .create_image(session.name(), &options, &mut |_, _| ())
            .map_err(|error| Failure::of("import failed", &error))?;
        let imported = fill(global, &session, store.clone(), &mut source);
        if imported.is_err() {
            // A half image must not be taken for a whole one.
            if let Err(error) = store.remove(session.name(), &mut |_, _| ()) {
                tracing::warn!("the unfinished image could not be removed: {error}");
            }
        }
        imported
    }

    fn image_name(&self) -> Result<String, Failure> {
        if let Some(image) = &self.image {
            return Ok(image.clone());
        }
        let name =
            self.file.file_name().filter(|_| self.file != Path::new("-")).and_then(|name| name.to_str());
        name.map(str::to_owned).ok_or_else(|| Failure::invalid("image name was not specified"))
    }
}

/// Copies the source into the image, which is open only meanwhile.
fn fill(
    global: &Global,
    session: &Session,
    store: ringbd::store::Store,
    source: &mut Source,
) -> Result<(), Failure> {
    let image = session.open_image(store, &uncached(global, session)?)?;
    let bar = match source.size() {
        Some(size) => Progress::bytes(global.progress(), "Importing image", size),
        None => Progress::stream(global.progress(), "Importing image"),
    };
    transfer::import(source, &image, &mut |done| bar.set(done))?;
    bar.finish();
    image.blocking().close().map_err(|error| Failure::of("import failed", &error))
}

/// How a transfer opens its image: it reads and writes each byte once, so without a cache unless the
/// configuration insists.
pub(super) fn uncached(global: &Global, session: &Session) -> Result<OpenOptions, Failure> {
    let settings = Settings::load(&session.spec, &global.sources().with_cache(QemuCache::None))?;
    Ok(OpenOptions::new(&settings))
}
