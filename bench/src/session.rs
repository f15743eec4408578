//! From an argument to an open store or image: the settings, the store's lock, an engine of its own.

use std::path::{Path, PathBuf};

use ringbd::config::{ImageSpec, Settings};
use ringbd::store::{CreateStore, ImageName, OpenMode, Store, StoreError};
use ringbd::{Cores, Engine, EngineOptions, Image, OpenOptions, World};

use crate::cli::Global;
use crate::failure::Failure;

/// An image that a command was given, with its settings.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) spec: ImageSpec,
    pub(crate) settings: Settings,
}

impl Session {
    /// Reads `argument`, `POOL/IMAGE` or an `rbd:` string.
    pub(crate) fn new(global: &Global, argument: &str) -> Result<Session, Failure> {
        let spec: ImageSpec = argument.parse()?;
        let settings = Settings::load(&spec, &global.sources())?;
        Ok(Session { spec, settings })
    }

    /// A session on the store as a whole, without an image.
    pub(crate) fn on_store(global: &Global) -> Result<Session, Failure> {
        let spec = ImageSpec::new("rbd", "");
        let settings = Settings::load(&spec, &global.sources())?;
        Ok(Session { spec, settings })
    }

    /// Refuses a snapshot, where only an image makes sense.
    pub(crate) fn refuse_snap(&self, what: &str) -> Result<(), Failure> {
        match &self.spec.snap {
            None => Ok(()),
            Some(snap) => Err(Failure::invalid(format!("{what} takes an image, not its snapshot @{snap}"))),
        }
    }

    /// The store's directory.
    pub(crate) fn store_dir(&self) -> Result<&Path, Failure> {
        self.settings.store().ok_or_else(|| {
            Failure::invalid(
                "no store is named (give --store DIR, set RINGBD_STORE, or write rbd:POOL/IMAGE:ringbd_store=DIR)",
            )
        })
    }

    /// The open store.
    pub(crate) fn open_store(&self, mode: OpenMode) -> Result<Store, Failure> {
        let dir = self.store_dir()?;
        Store::open(&World::real(), dir, mode)
            .map_err(|error| Failure::of(format_args!("error opening store {}", dir.display()), &error))
    }

    /// The open store; a directory that is not there, or has nothing in it, becomes one.
    pub(crate) fn open_or_create_store(&self) -> Result<Store, Failure> {
        let dir = self.store_dir()?;
        let nothing_there = std::fs::read_dir(dir).map_or_else(
            |error| error.kind() == std::io::ErrorKind::NotFound,
            |mut entries| entries.next().is_none(),
        );
        if !nothing_there {
            return self.open_store(OpenMode::ReadWrite);
        }
        Store::create(&World::real(), dir, &CreateStore::default())
            .map_err(|error| Failure::of(format_args!("error creating store {}", dir.display()), &error))
    }

    /// The image's name in the store.
    pub(crate) fn name(&self) -> ImageName<'_> {
        let namespace = self.spec.namespace.as_deref().unwrap_or_default();
        ImageName { pool: &self.spec.pool, namespace, image: &self.spec.image }
    }

    /// Says that the pool or the image could not be opened, as `rbd` does.
    pub(crate) fn open_failure(&self, error: &StoreError) -> Failure {
        match error {
            StoreError::NotFound { kind: "pool", .. } => pool_failure(&self.spec.pool, error),
            _ => Failure::of(format_args!("error opening image {}", self.spec.image), error),
        }
    }

    /// The image on an engine of this process.
    pub(crate) fn open_image(&self, store: Store, options: &OpenOptions) -> Result<Image, Failure> {
        let fail = |error: &ringbd::Error| {
            Failure::of(format_args!("error opening image {}", self.spec.image), error)
        };
        let cores = Cores::own(&self.settings);
        let engine = EngineOptions { cores, spin: self.settings.spin(), world: World::real() };
        let engine = Engine::start(store, engine).map_err(|error| fail(&error))?;
        engine.open(&self.spec, options).map_err(|error| fail(&error))
    }
}

/// Says that a pool could not be opened, as `rbd` does.
pub(crate) fn pool_failure(pool: &str, error: &StoreError) -> Failure {
    Failure::of(format_args!("error opening pool '{pool}'"), error)
}

/// The directory of a store that a command makes or checks.
pub(crate) fn store_dir(global: &Global) -> Result<PathBuf, Failure> {
    Session::on_store(global)?.store_dir().map(Path::to_owned)
}
