//! Pools, images and their names in the metadata: each function is one step inside a transaction.
//!
//! The rule: `names` has exactly the images in state *ready*, and the record repeats the name, so each finds the other.

use redb::{ReadTransaction, ReadableTable, WriteTransaction};

use super::error::StoreError;
use super::layout::Order;
use super::metadata::{self, Fault, IMAGE_META, IMAGES, NAMES, POOLS, STORE, decode, refuse};
use super::record::{self, ImageId, ImageRecord, PoolId, PoolRecord};

/// The longest name of an image or namespace: RBD's `RBD_MAX_IMAGE_NAME_SIZE`.
pub const NAME_BYTES_MAX: usize = 96;
/// The longest name of a pool. Ceph has no limit of its own; this keeps keys and messages short.
pub const POOL_NAME_BYTES_MAX: usize = 128;
/// The longest metadata key and value of an image.
pub const IMAGE_META_BYTES_MAX: usize = 16 << 10;
/// The most objects an image may have: keeps its slot tables addressable and its tables of chunks small.
pub const OBJECTS_MAX: u64 = 1 << 32;

/// How an image is named.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ImageName<'a> {
    /// Its pool.
    pub pool: &'a str,
    /// Its namespace, empty for the default one.
    pub namespace: &'a str,
    /// Its own name.
    pub image: &'a str,
}

impl std::fmt::Display for ImageName<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.namespace {
            "" => write!(f, "{}/{}", self.pool, self.image),
            namespace => write!(f, "{}/{namespace}/{}", self.pool, self.image),
        }
    }
}

impl ImageName<'_> {
    /// Refuses names that RBD could not have.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        check_name("pool name", self.pool, POOL_NAME_BYTES_MAX)?;
        check_name("image name", self.image, NAME_BYTES_MAX)?;
        if self.namespace.is_empty() {
            Ok(())
        } else {
            check_name("namespace", self.namespace, NAME_BYTES_MAX)
        }
    }
}

/// Refuses empty, overlong and unprintable names.
pub(super) fn check_name(what: &'static str, name: &str, most: usize) -> Result<(), StoreError> {
    let reason = if name.is_empty() {
        "it is empty".to_owned()
    } else if name.len() > most {
        format!("it has {} bytes; {most} are allowed", name.len())
    } else if name.chars().any(char::is_control) {
        format!("{name:?} has a control character")
    } else {
        return Ok(());
    };
    Err(StoreError::Invalid { what, reason })
}

/// Refuses a size whose objects could not be numbered.
pub(super) fn check_size(size: u64, order: Order) -> Result<(), StoreError> {
    if size.div_ceil(order.bytes()) <= OBJECTS_MAX {
        return Ok(());
    }
    let reason = format!(
        "{size} bytes in objects of {} bytes are too many objects (choose larger objects)",
        order.bytes()
    );
    Err(StoreError::Invalid { what: "image size", reason })
}

/// The key in `names`: pool and namespace first, so that a listing is one range.
pub(super) fn name_key(pool: PoolId, namespace: &str, name: &str) -> Vec<u8> {
    let mut key = name_prefix(pool, namespace);
    key.extend_from_slice(name.as_bytes());
    key
}

fn name_prefix(pool: PoolId, namespace: &str) -> Vec<u8> {
    let mut key = pool.0.to_be_bytes().to_vec();
    key.push(u8::try_from(namespace.len()).expect("namespaces are at most 96 bytes"));
    key.extend_from_slice(namespace.as_bytes());
    key
}

/// Every pool.
pub(super) fn pools(
    table: &impl ReadableTable<u64, &'static [u8]>,
) -> Result<Vec<(PoolId, PoolRecord)>, Fault> {
    let mut pools = Vec::new();
    for entry in table.iter()? {
        let (key, value) = entry?;
        let id = key.value();
        pools.push((PoolId(id), decode("pools", value.value(), &id.to_le_bytes(), || id.to_string())?));
    }
    Ok(pools)
}

/// The pool of that name. Stores have few pools: a scan does.
pub(super) fn pool_named(
    table: &impl ReadableTable<u64, &'static [u8]>,
    name: &str,
) -> Result<Option<PoolId>, Fault> {
    Ok(pools(table)?.into_iter().find(|(_, pool)| pool.name == name).map(|(id, _)| id))
}

/// The pool of that name, or the error that says so.
pub(super) fn existing_pool(
    table: &impl ReadableTable<u64, &'static [u8]>,
    name: &str,
) -> Result<PoolId, Fault> {
    match pool_named(table, name)? {
        Some(id) => Ok(id),
        None => refuse(StoreError::NotFound { kind: "pool", name: name.into() }),
    }
}

/// The pool of that name, made if it is not there.
pub(super) fn ensure_pool(txn: &WriteTransaction, name: &str, now_ns: u64) -> Result<PoolId, Fault> {
    let mut table = txn.open_table(POOLS)?;
    if let Some(id) = pool_named(&table, name)? {
        return Ok(id);
    }
    let mut store = metadata::store_record(&txn.open_table(STORE)?)?;
    let id = store.next_pool;
    store.next_pool += 1;
    metadata::put_store(txn, &store)?;
    let value = record::encode(&PoolRecord { name: name.into(), created_ns: now_ns }, &id.to_le_bytes());
    table.insert(id, value.as_slice())?;
    Ok(PoolId(id))
}

/// The next image's number.
pub(super) fn next_image(txn: &WriteTransaction) -> Result<ImageId, Fault> {
    let mut store = metadata::store_record(&txn.open_table(STORE)?)?;
    let id = ImageId(store.next_image);
    store.next_image += 1;
    metadata::put_store(txn, &store)?;
    Ok(id)
}

/// Writes an image's record.
pub(super) fn put_image(txn: &WriteTransaction, image: &ImageRecord) -> Result<(), Fault> {
    let value = record::encode(image, &image.id.0.to_le_bytes());
    txn.open_table(IMAGES)?.insert(image.id.0, value.as_slice())?;
    Ok(())
}

/// Reads an image's record.
pub(super) fn image(
    table: &impl ReadableTable<u64, &'static [u8]>,
    id: ImageId,
) -> Result<Option<ImageRecord>, Fault> {
    match table.get(id.0)? {
        Some(value) => decode("images", value.value(), &id.0.to_le_bytes(), || id.0.to_string()).map(Some),
        None => Ok(None),
    }
}

/// Every image's record, in all states.
pub(super) fn images(table: &impl ReadableTable<u64, &'static [u8]>) -> Result<Vec<ImageRecord>, Fault> {
    let mut images = Vec::new();
    for entry in table.iter()? {
        let (key, value) = entry?;
        let id = key.value();
        images.push(decode("images", value.value(), &id.to_le_bytes(), || id.to_string())?);
    }
    Ok(images)
}

/// Finds an image by its name.
pub(super) fn find(
    pools: &impl ReadableTable<u64, &'static [u8]>,
    names: &impl ReadableTable<&'static [u8], u64>,
    images: &impl ReadableTable<u64, &'static [u8]>,
    name: ImageName<'_>,
) -> Result<ImageRecord, Fault> {
    let pool = existing_pool(pools, name.pool)?;
    let key = name_key(pool, name.namespace, name.image);
    let not_found = || StoreError::NotFound { kind: "image", name: name.to_string() };
    let Some(id) = names.get(key.as_slice())?.map(|id| ImageId(id.value())) else {
        return refuse(not_found());
    };
    match image(images, id)? {
        Some(record) => Ok(record),
        None => refuse(not_found()),
    }
}

/// Finds an image in a view.
pub(super) fn find_in(txn: &ReadTransaction, name: ImageName<'_>) -> Result<ImageRecord, Fault> {
    find(&txn.open_table(POOLS)?, &txn.open_table(NAMES)?, &txn.open_table(IMAGES)?, name)
}

/// Finds an image in a transaction.
pub(super) fn find_for_change(txn: &WriteTransaction, name: ImageName<'_>) -> Result<ImageRecord, Fault> {
    find(&txn.open_table(POOLS)?, &txn.open_table(NAMES)?, &txn.open_table(IMAGES)?, name)
}

/// The images of a pool and namespace, by name.
pub(super) fn list(txn: &ReadTransaction, pool: PoolId, namespace: &str) -> Result<Vec<ImageRecord>, Fault> {
    let prefix = name_prefix(pool, namespace);
    let (names, images) = (txn.open_table(NAMES)?, txn.open_table(IMAGES)?);
    let mut found = Vec::new();
    for entry in ReadableTable::range(&names, prefix.as_slice()..)? {
        let (key, id) = entry?;
        if !key.value().starts_with(&prefix) {
            break;
        }
        if let Some(record) = image(&images, ImageId(id.value()))? {
            found.push(record);
        }
    }
    Ok(found)
}

/// True if the pool has an image in any namespace and state.
pub(super) fn pool_in_use(
    images: &impl ReadableTable<u64, &'static [u8]>,
    pool: PoolId,
) -> Result<bool, Fault> {
    Ok(self::images(images)?.iter().any(|image| image.pool == pool))
}

/// Removes every metadata key of an image.
pub(super) fn clear_meta(txn: &WriteTransaction, id: ImageId) -> Result<(), Fault> {
    let mut table = txn.open_table(IMAGE_META)?;
    let all = (id.0, &[] as &[u8])..(id.0 + 1, &[] as &[u8]);
    table.retain_in(all, |_, _| false)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_at_the_edge() {
        let good = ImageName { pool: "data", namespace: "", image: "foo" };
        assert!(good.check().is_ok());
        assert!(ImageName { image: "", ..good }.check().is_err());
        assert!(ImageName { image: &"x".repeat(97), ..good }.check().is_err());
        assert!(ImageName { namespace: "a\nb", ..good }.check().is_err());
        assert_eq!(ImageName { namespace: "ns", ..good }.to_string(), "data/ns/foo");
    }

    #[test]
    fn name_keys_do_not_run_into_each_other() {
        assert_ne!(name_key(PoolId(1), "a", "bc"), name_key(PoolId(1), "ab", "c"));
        assert_ne!(name_key(PoolId(1), "", "abc"), name_key(PoolId(1), "a", "bc"));
    }

    #[test]
    fn too_many_objects_are_refused() {
        let small = Order::new(12).expect("valid");
        assert!(check_size(OBJECTS_MAX << 12, small).is_ok());
        assert!(check_size((OBJECTS_MAX << 12) + 1, small).is_err());
    }
}
