//! The image that is measured: the user's own, or one that is made for it and removed afterwards.

use std::path::PathBuf;

use ringbd::store::{CreateImage, OpenMode, Store, StoreError};

use super::options::CacheArgs;
use crate::cli::Global;
use crate::failure::Failure;
use crate::session::Session;

/// The image, as fio's plugin will find it. While fio runs, the store is closed here: it has one opener.
#[derive(Debug)]
pub(crate) struct ImageUnderTest {
    session: Session,
    pub(crate) pool: String,
    pub(crate) image: String,
    pub(crate) store: PathBuf,
    pub(crate) bytes: u64,
    /// Made here, so removed when done.
    temporary: bool,
}

impl ImageUnderTest {
    /// Finds or makes the image that `args` name.
    pub(crate) fn prepare(args: &CacheArgs, global: &Global) -> Result<ImageUnderTest, Failure> {
        let session = Session::new(global, &args.image)?;
        session.refuse_snap("bench cache")?;
        if session.spec.namespace.is_some() {
            return Err(Failure::invalid("bench cache takes an image in the default namespace"));
        }
        let store = session.open_store(OpenMode::ReadWrite)?;
        let (bytes, temporary) = match store.image(session.name()) {
            Ok(record) if args.overwrite => (record.size >> 20 << 20, false),
            Ok(_) => {
                let name = session.spec.short();
                return Err(Failure::new(
                    17,
                    format!(
                        "image {name} exists; measuring overwrites it (say --overwrite, or name an \
                         image that does not exist)"
                    ),
                ));
            }
            Err(StoreError::NotFound { .. }) => {
                create(&store, &session, args.size)?;
                (args.size, true)
            }
            Err(error) => return Err(session.open_failure(&error)),
        };
        args.check_size(bytes)?;
        let (pool, image) = (session.spec.pool.clone(), session.spec.image.clone());
        // fio runs in a folder of its own.
        let dir =
            store.dir().canonicalize().map_err(|error| Failure::of_io("cannot find the store", &error))?;
        Ok(ImageUnderTest { session, pool, image, store: dir, bytes, temporary })
    }

    /// Removes the image if it was made here.
    pub(crate) fn clean_up(&self) -> Result<(), Failure> {
        if !self.temporary {
            return Ok(());
        }
        let store = self.session.open_store(OpenMode::ReadWrite)?;
        store.remove(self.session.name(), &mut |_, _| ()).map_err(|error| Failure::of("delete error", &error))
    }
}

/// Makes the store at `dir` unless there is one, and in it `image` of `bytes` unless there is one.
pub(crate) fn provide(global: &Global, image: &str, bytes: u64) -> Result<(), Failure> {
    let session = Session::new(global, image)?;
    let store = session.open_or_create_store()?;
    match store.image(session.name()) {
        Ok(_) => Ok(()),
        Err(StoreError::NotFound { .. }) => create(&store, &session, bytes),
        Err(error) => Err(session.open_failure(&error)),
    }
}

fn create(store: &Store, session: &Session, bytes: u64) -> Result<(), Failure> {
    store
        .create_image(session.name(), &CreateImage::new(bytes), &mut |_, _| ())
        .map(drop)
        .map_err(|error| Failure::of("create error", &error))
}
