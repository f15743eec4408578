//! What operations return, where it is more than plain bytes.

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::types::{EntityAddr, EntityName, SnapId, Utime};

use super::{Extent, Hobject};

/// What [`Stat`](super::OsdOp::Stat) returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The object's size.
    pub size: u64,
    /// When it was last written, by its writer's clock.
    pub mtime: Utime,
}

impl Stat {
    /// Reads it.
    pub fn decode(output: &[u8]) -> Result<Stat, DecodeError> {
        let mut d = Decoder::new("an object's size and time", output);
        Ok(Stat { size: d.u64()?, mtime: Utime::decode(&mut d)? })
    }

    /// Writes it.
    pub fn encode(self, e: &mut Encoder<'_>) {
        e.u64(self.size);
        self.mtime.encode(e);
    }
}

/// What [`SparseRead`](super::OsdOp::SparseRead) returns: the allocated extents, and their bytes one behind the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SparseData<'a> {
    /// The extents of the object, in order.
    pub extents: Vec<Extent>,
    /// Their bytes.
    pub data: &'a [u8],
}

impl<'a> SparseData<'a> {
    /// Reads it. The extents follow one another and are as long together as the data is.
    pub fn decode(output: &'a [u8]) -> Result<SparseData<'a>, DecodeError> {
        let mut d = Decoder::new("a sparse read", output);
        let extents = d.list(16, decode_extent)?;
        let mut end = 0_u64;
        let mut total = 0_u64;
        for extent in &extents {
            if extent.offset < end {
                return Err(d.invalid("extents that overlap or are out of order"));
            }
            end = match extent.offset.checked_add(extent.length) {
                Some(end) => end,
                None => return Err(d.invalid("an extent beyond the end of numbers")),
            };
            total += extent.length;
        }
        let data = d.blob()?;
        if total != data.len() as u64 {
            return Err(d.invalid("extents that are not as long as the data"));
        }
        Ok(SparseData { extents, data })
    }

    /// Writes it.
    pub fn encode(&self, e: &mut Encoder<'_>) {
        e.list(self.extents.iter(), encode_extent);
        e.blob(self.data);
    }

    /// Each extent's offset in the object, and its bytes.
    pub fn pieces(&self) -> impl Iterator<Item = (u64, &'a [u8])> {
        let mut rest = self.data;
        self.extents.iter().map(move |extent| {
            let length = usize::try_from(extent.length).expect("it is within the data");
            let (piece, behind) = rest.split_at(length);
            rest = behind;
            (extent.offset, piece)
        })
    }
}

fn decode_extent(d: &mut Decoder<'_>) -> Result<Extent, DecodeError> {
    Ok(Extent { offset: d.u64()?, length: d.u64()? })
}

fn encode_extent(e: &mut Encoder<'_>, extent: &Extent) {
    e.u64(extent.offset).u64(extent.length);
}

/// Entries of an omap or extended attributes, by key.
pub type Entries<'a> = Vec<(&'a [u8], &'a [u8])>;

/// What [`OmapGetVals`](super::OsdOp::OmapGetVals) returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OmapVals<'a> {
    /// The entries, in order.
    pub entries: Entries<'a>,
    /// Whether there are more behind them.
    pub more: bool,
}

impl<'a> OmapVals<'a> {
    /// Reads them.
    pub fn decode(output: &'a [u8]) -> Result<OmapVals<'a>, DecodeError> {
        let mut d = Decoder::new("omap entries", output);
        Ok(OmapVals { entries: entries(&mut d)?, more: d.bool()? })
    }

    /// Writes them.
    pub fn encode(&self, e: &mut Encoder<'_>) {
        encode_entries(e, &self.entries);
        e.bool(self.more);
    }
}

/// What [`OmapGetKeys`](super::OsdOp::OmapGetKeys) returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OmapKeys<'a> {
    /// The keys, in order.
    pub keys: Vec<&'a [u8]>,
    /// Whether there are more behind them.
    pub more: bool,
}

impl<'a> OmapKeys<'a> {
    /// Reads them.
    pub fn decode(output: &'a [u8]) -> Result<OmapKeys<'a>, DecodeError> {
        let mut d = Decoder::new("omap keys", output);
        Ok(OmapKeys { keys: d.list(4, Decoder::blob)?, more: d.bool()? })
    }

    /// Writes them.
    pub fn encode(&self, e: &mut Encoder<'_>) {
        e.list(self.keys.iter(), |e, key| {
            e.blob(key);
        });
        e.bool(self.more);
    }
}

/// What [`OmapGetValsByKeys`](super::OsdOp::OmapGetValsByKeys) and [`GetXattrs`](super::OsdOp::GetXattrs) return.
pub fn decode_omap_entries(output: &[u8]) -> Result<Entries<'_>, DecodeError> {
    entries(&mut Decoder::new("entries", output))
}

/// Writes what these return.
pub fn encode_entries(e: &mut Encoder<'_>, entries: &[(&[u8], &[u8])]) {
    e.list(entries.iter(), |e, (key, value)| {
        e.blob(key).blob(value);
    });
}

fn entries<'a>(d: &mut Decoder<'a>) -> Result<Entries<'a>, DecodeError> {
    d.list(8, |d| Ok((d.blob()?, d.blob()?)))
}

/// One who watches an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchItem {
    /// The client.
    pub name: EntityName,
    /// Its number of the watch.
    pub cookie: u64,
    /// Seconds of silence after which the OSD drops it.
    pub timeout_s: u32,
    /// Where it is; this is what a blocklist names.
    pub addr: EntityAddr,
}

/// What [`ListWatchers`](super::OsdOp::ListWatchers) returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watchers(pub Vec<WatchItem>);

impl Watchers {
    /// Reads them.
    pub fn decode(output: &[u8]) -> Result<Watchers, DecodeError> {
        let mut d = Decoder::new("an object's watchers", output);
        d.versioned("an object's watchers", 1, |d, _| {
            let items = d.list(27, |d| {
                d.versioned("a watcher", 2, |d, version| {
                    if version < 2 {
                        return Err(d.invalid("a watcher without an address"));
                    }
                    let (name, cookie) = (EntityName::decode(d)?, d.u64()?);
                    Ok(WatchItem { name, cookie, timeout_s: d.u32()?, addr: EntityAddr::decode(d)? })
                })
            })?;
            Ok(Watchers(items))
        })
    }

    /// Writes them.
    pub fn encode(&self, e: &mut Encoder<'_>) {
        e.versioned(1, 1, |e| {
            e.list(self.0.iter(), |e, item| {
                e.versioned(2, 1, |e| {
                    item.name.encode(e);
                    e.u64(item.cookie).u32(item.timeout_s);
                    item.addr.encode(e);
                });
            });
        });
    }
}

/// A clone of an object: what it was for some snapshots. The head is one too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloneInfo {
    /// The newest snapshot that it is for, or [`SnapId::HEAD`].
    pub id: SnapId,
    /// The snapshots that it is for, oldest first.
    pub snaps: Vec<SnapId>,
    /// What it has in common with the next newer one.
    pub overlap: Vec<Extent>,
    /// Its size.
    pub size: u64,
}

/// What [`ListSnaps`](super::OsdOp::ListSnaps) returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapSet {
    /// The clones, oldest first, and the head if it exists.
    pub clones: Vec<CloneInfo>,
    /// The newest snapshot that the object knows of.
    pub seq: SnapId,
}

impl SnapSet {
    /// Reads it.
    pub fn decode(output: &[u8]) -> Result<SnapSet, DecodeError> {
        let mut d = Decoder::new("an object's clones", output);
        d.versioned("an object's clones", 2, |d, version| {
            if version < 2 {
                return Err(d.invalid("clones without a sequence"));
            }
            let clones = d.list(30, |d| {
                d.versioned("a clone", 1, |d, _| {
                    let (id, snaps) = (SnapId::decode(d)?, d.list(8, SnapId::decode)?);
                    Ok(CloneInfo { id, snaps, overlap: d.list(16, decode_extent)?, size: d.u64()? })
                })
            })?;
            Ok(SnapSet { clones, seq: SnapId::decode(d)? })
        })
    }

    /// Writes it.
    pub fn encode(&self, e: &mut Encoder<'_>) {
        e.versioned(2, 1, |e| {
            e.list(self.clones.iter(), |e, clone| {
                e.versioned(1, 1, |e| {
                    e.u64(clone.id.0).list(clone.snaps.iter(), |e, snap| snap.encode(e));
                    e.list(clone.overlap.iter(), encode_extent).u64(clone.size);
                });
            });
            self.seq.encode(e);
        });
    }
}

/// An object in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedObject<'a> {
    /// Its namespace.
    pub namespace: &'a [u8],
    /// Its name.
    pub name: &'a [u8],
    /// What was hashed in place of the name; empty if it was the name.
    pub key: &'a [u8],
}

/// What [`PgNls`](super::OsdOp::PgNls) returns.
///
/// A pool is listed by asking for [`Hobject::MIN`] and then for each answer's cursor, until that is [`Hobject::Max`]. The
/// request goes to the placement group that the cursor's hash lies in; that group's number is the request's hash and its
/// locator's, and its name is empty. At the end of a placement group the list's result is 1, and the cursor is the begin
/// of the next one in the order of objects. Namespaces are told apart by the locator's;
/// [`ALL_NAMESPACES`](super::ObjectLocator::ALL_NAMESPACES) is all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedObjects<'a> {
    /// Where to go on.
    pub cursor: Hobject,
    /// The objects, in order.
    pub objects: Vec<ListedObject<'a>>,
}

impl<'a> ListedObjects<'a> {
    /// Reads them.
    pub fn decode(output: &'a [u8]) -> Result<ListedObjects<'a>, DecodeError> {
        let mut d = Decoder::new("a listing", output);
        d.versioned("a listing", 1, |d, _| {
            let cursor = Hobject::decode(d)?;
            let objects =
                d.list(12, |d| Ok(ListedObject { namespace: d.blob()?, name: d.blob()?, key: d.blob()? }))?;
            Ok(ListedObjects { cursor, objects })
        })
    }

    /// Writes them.
    pub fn encode(&self, e: &mut Encoder<'_>) {
        e.versioned(1, 1, |e| {
            self.cursor.encode(e);
            e.list(self.objects.iter(), |e, object| {
                e.blob(object.namespace).blob(object.name).blob(object.key);
            });
        });
    }
}

/// What [`Notify`](super::OsdOp::Notify) returns: the OSD's number of the notification.
pub fn decode_notify_id(output: &[u8]) -> Result<u64, DecodeError> {
    Decoder::new("a notification's number", output).u64()
}

/// Checksums of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checksums {
    /// 32 bits each.
    Bits32(Vec<u32>),
    /// 64 bits each.
    Bits64(Vec<u64>),
}

impl Checksums {
    /// Reads what a [`Checksum`](super::OsdOp::Checksum) of this kind returns. There is no output for an extent behind the
    /// object's end.
    pub fn decode(seed: super::ChecksumSeed, output: &[u8]) -> Result<Checksums, DecodeError> {
        let mut d = Decoder::new("checksums", output);
        let empty = d.left() == 0;
        match seed {
            super::ChecksumSeed::Xxhash32(_) | super::ChecksumSeed::Crc32c(_) => {
                Ok(Checksums::Bits32(if empty { Vec::new() } else { d.list(4, Decoder::u32)? }))
            }
            super::ChecksumSeed::Xxhash64(_) => {
                Ok(Checksums::Bits64(if empty { Vec::new() } else { d.list(8, Decoder::u64)? }))
            }
        }
    }

    /// Writes them.
    pub fn encode(&self, e: &mut Encoder<'_>) {
        match self {
            Checksums::Bits32(sums) => e.list(sums.iter(), |e, &sum| {
                e.u32(sum);
            }),
            Checksums::Bits64(sums) => e.list(sums.iter(), |e, &sum| {
                e.u64(sum);
            }),
        };
    }
}
