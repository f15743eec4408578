//! The values in the metadata database: pure encoding and decoding, one frame for all.
//!
//! The database checks its pages when it opens; what is read later, or written by a bug, is caught here: every value carries its
//! kind, its version and a CRC-32C that also covers its *key*, so a value that lies under the wrong key is as bad as a
//! flipped bit. The layout is drawn in `FORMAT.md`.

use std::fmt;

use super::layout::Order;
use super::superblock::StoreUuid;

/// A pool's number: never used again after the pool is gone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PoolId(pub u64);

/// An image's number: never used again after the image is gone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ImageId(pub u64);

/// An object's number inside its image.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ObjectNo(pub u64);

/// A snapshot's number inside its image, or [`SnapId::HEAD`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SnapId(pub u64);

impl SnapId {
    /// The image itself, not one of its snapshots: RADOS' `CEPH_NOSNAP`.
    pub const HEAD: Self = Self(u64::MAX - 1);
}

impl fmt::Display for ObjectNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Where the metadata belongs and what to number next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct StoreRecord {
    /// The store it belongs to.
    pub uuid: StoreUuid,
    /// The next pool's number.
    pub next_pool: u64,
    /// The next image's number.
    pub next_image: u64,
}

/// A pool.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct PoolRecord {
    /// Its name.
    pub name: String,
    /// When it was made, in nanoseconds since 1970.
    pub created_ns: u64,
}

/// Whether an image can be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ImageState {
    /// It can.
    Ready,
    /// It is being made: its slots are being allocated. An interrupted one is removed at the next opening.
    Creating,
    /// It is being removed: nameless, its slots are being freed. The next opening finishes an interrupted one.
    Removing,
}

/// The snapshot a clone grew from. Reserved: no image has one yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParentRecord {
    /// The parent image.
    pub image: ImageId,
    /// The snapshot in it.
    pub snap: SnapId,
    /// How many bytes of the clone, from its start, still show the parent.
    pub overlap: u64,
}

/// An image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImageRecord {
    /// Its number.
    pub id: ImageId,
    /// Its pool.
    pub pool: PoolId,
    /// Its namespace in the pool, empty for the default one.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// log2 of its object size.
    pub order: Order,
    /// Whether it can be used.
    pub state: ImageState,
    /// RBD's feature bits, as the creator chose them.
    pub features: u64,
    /// RBD's image flags.
    pub flags: u64,
    /// True if every object was given its slot at creation and keeps it (discard writes zeros).
    pub thick: bool,
    /// RBD striping: bytes of a stripe unit.
    pub stripe_unit: u64,
    /// RBD striping: objects a stripe goes over.
    pub stripe_count: u64,
    /// When it was made, in nanoseconds since 1970.
    pub created_ns: u64,
    /// When its record last changed, in nanoseconds since 1970.
    pub modified_ns: u64,
    /// The newest snapshot's id, 0 if there never was one. Reserved.
    pub snap_seq: u64,
    /// Where a clone's missing objects are read. Reserved.
    pub parent: Option<ParentRecord>,
}

/// What an object holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ObjectState {
    /// Data, at this byte address.
    Slot(u64),
    /// Zeros that hide the parent's data. Reserved for clones.
    Whiteout,
}

/// An object that is not a plain hole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ObjectRecord {
    /// What it holds.
    pub state: ObjectState,
    /// The image's order, repeated so that slots can be checked without the image.
    pub order: Order,
    /// The image's snapshot sequence when the slot was given: a slot older than the newest snapshot is shared with it. Reserved.
    pub born: u64,
}

/// A zone that has been given to an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ZoneRecord {
    /// The order of its slots.
    pub order: Order,
}

/// Why a value is no good.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum RecordError {
    /// Too short for what it says, or bytes left over.
    #[error("its length is wrong ({0} bytes)")]
    Length(usize),
    /// Another kind of value lies there.
    #[error("it is of kind {found} where {expected} belongs")]
    Kind {
        /// What the value says it is.
        found: u8,
        /// What its table holds.
        expected: u8,
    },
    /// A version of another time.
    #[error("it has version {0}, which this ringbd does not know")]
    Version(u8),
    /// A bit flipped, or the value belongs to another key.
    #[error("its checksum is wrong")]
    Checksum,
    /// The checksum is right and a field still makes no sense.
    #[error("its field {0} has an impossible value")]
    Field(&'static str),
}

/// A value that can be stored under a key.
pub(super) trait Record: Sized {
    /// The kind byte in its frame.
    const KIND: u8;
    /// Writes the fields.
    fn put(&self, body: &mut Vec<u8>);
    /// Reads the fields back.
    fn take(body: &mut Fields<'_>) -> Result<Self, RecordError>;
}

/// kind, version, two bytes of zeros, then the checksum.
const FRAME_BYTES: usize = 8;
const RECORD_VERSION: u8 = 1;

/// The bytes to store for `record` under `key`.
pub(super) fn encode<R: Record>(record: &R, key: &[u8]) -> Vec<u8> {
    let mut value = vec![R::KIND, RECORD_VERSION, 0, 0, 0, 0, 0, 0];
    record.put(&mut value);
    let crc = checksum(key, &value);
    value[4..FRAME_BYTES].copy_from_slice(&crc.to_le_bytes());
    value
}

/// Reads a value back and checks that it belongs under `key`.
pub(super) fn decode<R: Record>(value: &[u8], key: &[u8]) -> Result<R, RecordError> {
    if value.len() < FRAME_BYTES {
        return Err(RecordError::Length(value.len()));
    }
    let found = u32::from_le_bytes(value[4..FRAME_BYTES].try_into().expect("four bytes were sliced"));
    if found != checksum(key, value) {
        return Err(RecordError::Checksum);
    }
    if value[0] != R::KIND {
        return Err(RecordError::Kind { found: value[0], expected: R::KIND });
    }
    if value[1] != RECORD_VERSION {
        return Err(RecordError::Version(value[1]));
    }
    if value[2..4] != [0, 0] {
        return Err(RecordError::Field("reserved bytes"));
    }
    let mut fields = Fields { rest: &value[FRAME_BYTES..] };
    let record = R::take(&mut fields)?;
    if fields.rest.is_empty() { Ok(record) } else { Err(RecordError::Length(value.len())) }
}

/// CRC-32C of the key, the frame's first half and the fields.
fn checksum(key: &[u8], value: &[u8]) -> u32 {
    let crc = crc32c::crc32c(key);
    let crc = crc32c::crc32c_append(crc, &value[..4]);
    crc32c::crc32c_append(crc, &value[FRAME_BYTES..])
}

/// The key of an object as it enters its checksum.
pub(super) fn object_key(image: ImageId, snap: SnapId, object: ObjectNo) -> [u8; 24] {
    let mut key = [0; 24];
    key[..8].copy_from_slice(&image.0.to_le_bytes());
    key[8..16].copy_from_slice(&snap.0.to_le_bytes());
    key[16..].copy_from_slice(&object.0.to_le_bytes());
    key
}

/// A cursor over a value's fields.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn bytes(&mut self, n: usize) -> Result<&'a [u8], RecordError> {
        let (head, rest) = self.rest.split_at_checked(n).ok_or(RecordError::Length(self.rest.len()))?;
        self.rest = rest;
        Ok(head)
    }

    fn u8(&mut self) -> Result<u8, RecordError> {
        Ok(self.bytes(1)?[0])
    }

    fn u64(&mut self) -> Result<u64, RecordError> {
        Ok(u64::from_le_bytes(self.bytes(8)?.try_into().expect("eight bytes were taken")))
    }

    fn order(&mut self) -> Result<Order, RecordError> {
        Order::new(self.u8()?).ok_or(RecordError::Field("order"))
    }

    fn text(&mut self, field: &'static str) -> Result<String, RecordError> {
        let len = u16::from_le_bytes(self.bytes(2)?.try_into().expect("two bytes were taken"));
        let bytes = self.bytes(usize::from(len))?;
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| RecordError::Field(field))
    }
}

fn put_text(body: &mut Vec<u8>, text: &str) {
    let len = u16::try_from(text.len()).expect("names are limited far below 64 KiB where they enter");
    body.extend_from_slice(&len.to_le_bytes());
    body.extend_from_slice(text.as_bytes());
}

fn put_u64(body: &mut Vec<u8>, value: u64) {
    body.extend_from_slice(&value.to_le_bytes());
}

impl Record for StoreRecord {
    const KIND: u8 = 1;

    fn put(&self, body: &mut Vec<u8>) {
        body.extend_from_slice(&self.uuid.0);
        put_u64(body, self.next_pool);
        put_u64(body, self.next_image);
    }

    fn take(body: &mut Fields<'_>) -> Result<Self, RecordError> {
        let uuid = StoreUuid(body.bytes(16)?.try_into().expect("sixteen bytes were taken"));
        Ok(Self { uuid, next_pool: body.u64()?, next_image: body.u64()? })
    }
}

impl Record for PoolRecord {
    const KIND: u8 = 2;

    fn put(&self, body: &mut Vec<u8>) {
        put_text(body, &self.name);
        put_u64(body, self.created_ns);
    }

    fn take(body: &mut Fields<'_>) -> Result<Self, RecordError> {
        Ok(Self { name: body.text("name")?, created_ns: body.u64()? })
    }
}

impl Record for ImageRecord {
    const KIND: u8 = 3;

    fn put(&self, body: &mut Vec<u8>) {
        put_u64(body, self.id.0);
        put_u64(body, self.pool.0);
        put_text(body, &self.namespace);
        put_text(body, &self.name);
        put_u64(body, self.size);
        let state = match self.state {
            ImageState::Ready => 0,
            ImageState::Creating => 1,
            ImageState::Removing => 2,
        };
        body.extend_from_slice(&[
            self.order.bits(),
            state,
            u8::from(self.thick),
            u8::from(self.parent.is_some()),
        ]);
        for field in [self.features, self.flags, self.stripe_unit, self.stripe_count] {
            put_u64(body, field);
        }
        for field in [self.created_ns, self.modified_ns, self.snap_seq] {
            put_u64(body, field);
        }
        if let Some(parent) = &self.parent {
            for field in [parent.image.0, parent.snap.0, parent.overlap] {
                put_u64(body, field);
            }
        }
    }

    fn take(body: &mut Fields<'_>) -> Result<Self, RecordError> {
        let (id, pool) = (ImageId(body.u64()?), PoolId(body.u64()?));
        let (namespace, name) = (body.text("namespace")?, body.text("name")?);
        let size = body.u64()?;
        let order = body.order()?;
        let state = match body.u8()? {
            0 => ImageState::Ready,
            1 => ImageState::Creating,
            2 => ImageState::Removing,
            _ => return Err(RecordError::Field("state")),
        };
        let thick = flag(body.u8()?, "thick")?;
        let has_parent = flag(body.u8()?, "parent")?;
        let mut record = Self {
            id,
            pool,
            namespace,
            name,
            size,
            order,
            state,
            features: body.u64()?,
            flags: body.u64()?,
            thick,
            stripe_unit: body.u64()?,
            stripe_count: body.u64()?,
            created_ns: body.u64()?,
            modified_ns: body.u64()?,
            snap_seq: body.u64()?,
            parent: None,
        };
        if has_parent {
            let (image, snap) = (ImageId(body.u64()?), SnapId(body.u64()?));
            record.parent = Some(ParentRecord { image, snap, overlap: body.u64()? });
        }
        Ok(record)
    }
}

fn flag(byte: u8, field: &'static str) -> Result<bool, RecordError> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(RecordError::Field(field)),
    }
}

impl Record for ObjectRecord {
    const KIND: u8 = 4;

    fn put(&self, body: &mut Vec<u8>) {
        let (state, address) = match self.state {
            ObjectState::Slot(address) => (0, address),
            ObjectState::Whiteout => (1, 0),
        };
        body.extend_from_slice(&[state, self.order.bits()]);
        put_u64(body, address);
        put_u64(body, self.born);
    }

    fn take(body: &mut Fields<'_>) -> Result<Self, RecordError> {
        let state = body.u8()?;
        let order = body.order()?;
        let address = body.u64()?;
        let state = match (state, address) {
            (0, address) => ObjectState::Slot(address),
            (1, 0) => ObjectState::Whiteout,
            _ => return Err(RecordError::Field("state")),
        };
        Ok(Self { state, order, born: body.u64()? })
    }
}

impl Record for ZoneRecord {
    const KIND: u8 = 5;

    fn put(&self, body: &mut Vec<u8>) {
        body.push(self.order.bits());
    }

    fn take(body: &mut Fields<'_>) -> Result<Self, RecordError> {
        Ok(Self { order: body.order()? })
    }
}

/// Decodes a value as every kind, as it is and with its checksum put right so that the fields are reached.
pub(super) fn fuzz(key: &[u8], value: &[u8]) {
    fn one<R: Record + PartialEq + fmt::Debug>(key: &[u8], value: &[u8]) {
        if let Ok(record) = decode::<R>(value, key) {
            assert_eq!(encode(&record, key), value, "a record has one encoding");
        }
    }
    fn all(key: &[u8], value: &[u8]) {
        one::<StoreRecord>(key, value);
        one::<PoolRecord>(key, value);
        one::<ImageRecord>(key, value);
        one::<ObjectRecord>(key, value);
        one::<ZoneRecord>(key, value);
    }
    all(key, value);
    if value.len() >= FRAME_BYTES {
        let mut mended = value.to_vec();
        let crc = checksum(key, &mended);
        mended[4..FRAME_BYTES].copy_from_slice(&crc.to_le_bytes());
        all(key, &mended);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(super) fn image() -> ImageRecord {
        ImageRecord {
            id: ImageId(7),
            pool: PoolId(2),
            namespace: "ns".into(),
            name: "disk".into(),
            size: 10 << 30,
            order: Order::new(22).expect("valid"),
            state: ImageState::Ready,
            features: 61,
            flags: 0,
            thick: true,
            stripe_unit: 4 << 20,
            stripe_count: 1,
            created_ns: 1,
            modified_ns: 2,
            snap_seq: 0,
            parent: Some(ParentRecord { image: ImageId(1), snap: SnapId(4), overlap: 99 }),
        }
    }

    fn round_trip<R: Record + PartialEq + fmt::Debug>(record: &R) {
        let value = encode(record, b"key");
        assert_eq!(decode::<R>(&value, b"key").as_ref(), Ok(record));
        assert_eq!(decode::<R>(&value, b"kez"), Err(RecordError::Checksum));
        for byte in 0..value.len() {
            for bit in 0..8 {
                let mut bad = value.clone();
                bad[byte] ^= 1 << bit;
                assert!(decode::<R>(&bad, b"key").is_err(), "bit {bit} of byte {byte}");
            }
            assert!(decode::<R>(&value[..byte], b"key").is_err(), "cut at {byte}");
        }
    }

    #[test]
    fn records_come_back_as_written_and_damage_is_noticed() {
        let order = Order::new(12).expect("valid");
        round_trip(&image());
        round_trip(&ImageRecord { parent: None, thick: false, state: ImageState::Removing, ..image() });
        round_trip(&StoreRecord { uuid: StoreUuid([9; 16]), next_pool: 1, next_image: u64::MAX });
        round_trip(&PoolRecord { name: "data".into(), created_ns: 3 });
        round_trip(&ObjectRecord { state: ObjectState::Slot(1 << 40), order, born: 5 });
        round_trip(&ObjectRecord { state: ObjectState::Whiteout, order, born: 0 });
        round_trip(&ZoneRecord { order });
    }

    #[test]
    fn a_value_of_another_kind_is_named() {
        let value = encode(&ZoneRecord { order: Order::new(12).expect("valid") }, b"");
        let error = decode::<PoolRecord>(&value, b"").expect_err("a zone is no pool");
        assert_eq!(error, RecordError::Kind { found: 5, expected: 2 });
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0u8..7) {
            fuzz(b"key", &bytes);
            if bytes.len() > FRAME_BYTES {
                bytes[..4].copy_from_slice(&[kind, RECORD_VERSION, 0, 0]);
                fuzz(b"key", &bytes);
            }
        }
    }
}
