//! The metadata database: its tables, and transactions that are durable when they return.
//!
//! Every page's checksum is verified when the database opens, so damage done while it was closed is an error of `open` and never
//! reaches the code that trusts the pages. A full disk costs the transaction that met it and nothing else: the
//! database is opened again over the same file. A failed sync ends all writing (see [`StoreError::Poisoned`]).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use redb::{
    Builder, Database, ReadTransaction, ReadableDatabase, ReadableTable, StorageError, TableDefinition,
    WriteTransaction,
};
use ringbd_reactor::SyncFile;

use super::backend::MetadataFile;
use super::error::{Result, StoreError};
use super::record::{self, Record, RecordError, StoreRecord};

/// One record: whose metadata this is, and what to number next.
pub(super) const STORE: TableDefinition<&str, &[u8]> = TableDefinition::new("store");
/// Pool number → pool.
pub(super) const POOLS: TableDefinition<u64, &[u8]> = TableDefinition::new("pools");
/// Image number → image.
pub(super) const IMAGES: TableDefinition<u64, &[u8]> = TableDefinition::new("images");
/// Pool number, namespace, name (see [`super::catalog::name_key`]) → image number.
pub(super) const NAMES: TableDefinition<&[u8], u64> = TableDefinition::new("names");
/// Image number, key → value, for `rbd image-meta`.
pub(super) const IMAGE_META: TableDefinition<(u64, &[u8]), &[u8]> = TableDefinition::new("image_meta");
/// Image number, snapshot id, object number → where the object lies.
pub(super) const OBJECTS: TableDefinition<(u64, u64, u64), &[u8]> = TableDefinition::new("objects");
/// Zone number → the order it was given to.
pub(super) const ZONES: TableDefinition<u32, &[u8]> = TableDefinition::new("zones");

/// The one key of [`STORE`].
pub(super) const STORE_KEY: &str = "store";

/// Pages the database keeps in memory. Slot tables answer the data path, so this only has to carry commits.
const CACHE_BYTES: usize = 8 << 20;

/// The smallest file that can be a database: an empty one would be taken for a new one.
const FILE_BYTES_MIN: u64 = 4096;

const RESTORE: &str = "restore metadata.redb from a backup";

/// The open database.
pub(super) struct Metadata {
    path: PathBuf,
    file: MetadataFile,
    /// `None` only after a recovery failed.
    database: RwLock<Option<Database>>,
    poison: Mutex<Option<StoreError>>,
}

/// What a closure inside a transaction can fail with: [`Metadata`] adds the path.
#[derive(Debug)]
pub(super) enum Fault {
    /// The database refused.
    Database(Box<redb::Error>),
    /// A value is damaged.
    Record { table: &'static str, key: String, source: RecordError },
    /// The caller's own error.
    Store(StoreError),
}

impl<E: Into<redb::Error>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Database(Box::new(error.into()))
    }
}

/// Makes a caller's error leave a transaction.
pub(super) fn refuse<T>(error: StoreError) -> Result<T, Fault> {
    Err(Fault::Store(error))
}

impl Metadata {
    /// A new database in an empty file.
    pub(super) fn create(file: SyncFile, path: &Path, record: &StoreRecord) -> Result<Self> {
        let metadata = Self::build(MetadataFile::new(file), path)?;
        metadata.write(|txn| {
            // Every table exists from the start, so that reading never has to ask.
            txn.open_table(POOLS)?;
            txn.open_table(IMAGES)?;
            txn.open_table(NAMES)?;
            txn.open_table(IMAGE_META)?;
            txn.open_table(OBJECTS)?;
            txn.open_table(ZONES)?;
            put_store(txn, record)
        })?;
        Ok(metadata)
    }

    /// Opens and verifies the database.
    pub(super) fn open(file: SyncFile, path: &Path) -> Result<Self> {
        let len = file.len().map_err(|e| StoreError::io("stat", path, e))?;
        if len < FILE_BYTES_MIN {
            let what = format!("it has {len} bytes, too few for a database (truncated?)");
            return Err(StoreError::Corrupt { path: path.to_owned(), what, hint: RESTORE });
        }
        Self::build(MetadataFile::new(file), path)
    }

    fn build(file: MetadataFile, path: &Path) -> Result<Self> {
        let database = open_database(&file).map_err(|e| classify(path, e))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            database: RwLock::new(Some(database)),
            poison: Mutex::new(None),
        })
    }

    /// The file, for messages.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs a closure on a consistent view.
    pub(super) fn read<T>(&self, body: impl FnOnce(&ReadTransaction) -> Result<T, Fault>) -> Result<T> {
        let guard = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let Some(database) = guard.as_ref() else { return Err(self.poisoned()) };
        let outcome = database.begin_read().map_err(Fault::from).and_then(|txn| body(&txn));
        outcome.map_err(|fault| self.explain(fault))
    }

    /// Runs a closure in a transaction and commits it durably; an error from the closure leaves nothing behind.
    /// When space runs out nothing is committed either, and the next transaction may succeed.
    pub(super) fn write<T>(&self, body: impl FnOnce(&WriteTransaction) -> Result<T, Fault>) -> Result<T> {
        self.check_poison()?;
        let guard = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let Some(database) = guard.as_ref() else { return Err(self.poisoned()) };
        let outcome = (|| {
            // redb's default durability is Immediate: commit returns after the sync.
            let txn = database.begin_write()?;
            let value = body(&txn)?;
            txn.commit()?;
            Ok(value)
        })();
        drop(guard);
        outcome.map_err(|fault: Fault| match fault {
            Fault::Database(error) => self.recover(*error),
            Fault::Record { .. } | Fault::Store(_) => self.explain(fault),
        })
    }

    /// Refuses everything once a commit has failed for good.
    pub(super) fn check_poison(&self) -> Result<()> {
        match &*self.poison.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// After a database error in a write: opens the database again if only space was missing, ends all writing otherwise.
    fn recover(&self, error: redb::Error) -> StoreError {
        let failure = classify(&self.path, error);
        if failure.is_out_of_space() && !self.file.sync_failed() {
            let mut guard = self.database.write().unwrap_or_else(PoisonError::into_inner);
            // The old handle refuses everything after an I/O error; the new one repairs what the old one left.
            drop(guard.take());
            match open_database(&self.file) {
                Ok(database) => {
                    *guard = Some(database);
                    return failure;
                }
                Err(error) => return self.set_poison(classify(&self.path, error)),
            }
        }
        self.set_poison(failure)
    }

    fn set_poison(&self, failure: StoreError) -> StoreError {
        let source = match &failure {
            StoreError::Io { source, .. } => Arc::clone(source),
            other => Arc::new(io::Error::other(other.to_string())),
        };
        let poisoned = StoreError::Poisoned { path: self.path.clone(), operation: "metadata commit", source };
        let mut poison = self.poison.lock().unwrap_or_else(PoisonError::into_inner);
        tracing::error!(path = %self.path.display(), error = %failure, "a metadata commit failed; the store takes no more changes");
        poison.get_or_insert(poisoned);
        failure
    }

    fn poisoned(&self) -> StoreError {
        let error = self.check_poison().err();
        error.expect("the database is only taken away when it is poisoned")
    }

    fn explain(&self, fault: Fault) -> StoreError {
        match fault {
            Fault::Store(error) => error,
            Fault::Database(error) => classify(&self.path, *error),
            Fault::Record { table, key, source } => StoreError::Corrupt {
                path: self.path.clone(),
                what: format!("table {table}, key {key}: {source}"),
                hint: "run `ringbd fsck` on the store",
            },
        }
    }
}

fn open_database(file: &MetadataFile) -> Result<Database, redb::Error> {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    Ok(builder.create_with_backend(file.clone())?)
}

/// Says in the store's words what the database said in its own.
fn classify(path: &Path, error: redb::Error) -> StoreError {
    match error {
        redb::Error::Io(source) if source.kind() == io::ErrorKind::UnexpectedEof => {
            StoreError::Corrupt { path: path.to_owned(), what: "it is truncated".into(), hint: RESTORE }
        }
        redb::Error::Io(source) => StoreError::io("write or read", path, source),
        other => StoreError::Corrupt { path: path.to_owned(), what: other.to_string(), hint: RESTORE },
    }
}

/// Decodes a value, or says which one is bad.
pub(super) fn decode<R: Record>(
    table: &'static str,
    value: &[u8],
    key: &[u8],
    shown: impl FnOnce() -> String,
) -> Result<R, Fault> {
    record::decode(value, key).map_err(|source| Fault::Record { table, key: shown(), source })
}

/// Reads the store's own record.
pub(super) fn store_record(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<StoreRecord, Fault> {
    let missing = || StorageError::Corrupted("the store's own record is missing".into());
    let value = table.get(STORE_KEY)?.ok_or_else(missing)?;
    decode("store", value.value(), STORE_KEY.as_bytes(), || STORE_KEY.into())
}

/// Writes the store's own record.
pub(super) fn put_store(txn: &WriteTransaction, record: &StoreRecord) -> Result<(), Fault> {
    let value = record::encode(record, STORE_KEY.as_bytes());
    txn.open_table(STORE)?.insert(STORE_KEY, value.as_slice())?;
    Ok(())
}
