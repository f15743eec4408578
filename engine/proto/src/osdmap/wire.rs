//! What full maps and incrementals both are made of.

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::types::{EntityAddr, EntityAddrVec, OsdId, PgId, PoolId, SnapId, Utime};
use std::collections::BTreeMap;

/// OSDs that a list for one placement group can have: a pool's size is a byte.
pub const PG_WIDTH_MAX: usize = u8::MAX as usize;

/// Bytes of an empty string, list or map.
pub(super) const EMPTY: usize = 4;

/// Snapshots with consecutive numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapRange {
    /// The first.
    pub first: SnapId,
    /// How many.
    pub count: u64,
}

impl SnapRange {
    /// Whether it has that snapshot.
    pub fn contains(self, snap: SnapId) -> bool {
        snap.0.checked_sub(self.first.0).is_some_and(|at| at < self.count)
    }
}

/// Which snapshots were removed, by pool.
pub type RemovedSnaps = BTreeMap<PoolId, Vec<SnapRange>>;

/// How pools are erasure-coded, by the profile's name.
pub type ErasureCodeProfiles = BTreeMap<String, BTreeMap<String, String>>;

pub(super) type PgLists = BTreeMap<PgId, Vec<OsdId>>;
pub(super) type PgPairs = BTreeMap<PgId, Vec<(OsdId, OsdId)>>;
pub(super) type PgOsds = BTreeMap<PgId, OsdId>;
pub(super) type Addrs = BTreeMap<EntityAddr, Utime>;

pub(super) fn decode_ranges(d: &mut Decoder<'_>) -> Result<Vec<SnapRange>, DecodeError> {
    d.list(16, |d| Ok(SnapRange { first: SnapId::decode(d)?, count: d.u64()? }))
}

pub(super) fn encode_ranges(e: &mut Encoder<'_>, ranges: &[SnapRange]) {
    e.list(ranges.iter(), |e, range| {
        e.u64(range.first.0).u64(range.count);
    });
}

pub(super) fn decode_removed_snaps(d: &mut Decoder<'_>) -> Result<RemovedSnaps, DecodeError> {
    d.map(8 + EMPTY, PoolId::decode, decode_ranges)
}

pub(super) fn encode_removed_snaps(e: &mut Encoder<'_>, snaps: &RemovedSnaps) {
    e.list(snaps.iter(), |e, (pool, ranges)| encode_ranges(e.i64(pool.0), ranges));
}

pub(super) fn decode_texts(d: &mut Decoder<'_>) -> Result<BTreeMap<String, String>, DecodeError> {
    d.map(2 * EMPTY, Decoder::label, Decoder::label)
}

pub(super) fn encode_texts(e: &mut Encoder<'_>, texts: &BTreeMap<String, String>) {
    e.list(texts.iter(), |e, (key, value)| {
        e.string(key).string(value);
    });
}

/// Maps of texts by name: profiles of erasure codes, and what applications note about a pool.
pub(super) fn decode_text_maps(d: &mut Decoder<'_>) -> Result<ErasureCodeProfiles, DecodeError> {
    d.map(2 * EMPTY, Decoder::label, decode_texts)
}

pub(super) fn encode_text_maps(e: &mut Encoder<'_>, maps: &ErasureCodeProfiles) {
    e.list(maps.iter(), |e, (name, texts)| encode_texts(e.string(name), texts));
}

pub(super) fn decode_pool_names(d: &mut Decoder<'_>) -> Result<BTreeMap<PoolId, String>, DecodeError> {
    d.map(8 + EMPTY, PoolId::decode, Decoder::label)
}

pub(super) fn encode_pool_names(e: &mut Encoder<'_>, names: &BTreeMap<PoolId, String>) {
    e.list(names.iter(), |e, (pool, name)| {
        e.i64(pool.0).string(name);
    });
}

fn decode_wide<T>(
    d: &mut Decoder<'_>,
    element_min: usize,
    element: impl FnMut(&mut Decoder<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let at = d.clone();
    let list = d.list(element_min, element)?;
    if list.len() > PG_WIDTH_MAX {
        return Err(at.invalid("more OSDs than a placement group can have"));
    }
    Ok(list)
}

pub(super) fn decode_pg_lists(d: &mut Decoder<'_>) -> Result<PgLists, DecodeError> {
    d.map(PgId::BYTES + EMPTY, PgId::decode, |d| decode_wide(d, 4, OsdId::decode))
}

pub(super) fn encode_pg_lists(e: &mut Encoder<'_>, lists: &PgLists) {
    e.list(lists.iter(), |e, (pg, osds)| {
        pg.encode(e);
        e.list(osds.iter(), |e, osd| osd.encode(e));
    });
}

pub(super) fn decode_pg_pairs(d: &mut Decoder<'_>) -> Result<PgPairs, DecodeError> {
    d.map(PgId::BYTES + EMPTY, PgId::decode, |d| {
        decode_wide(d, 8, |d| Ok((OsdId::decode(d)?, OsdId::decode(d)?)))
    })
}

pub(super) fn encode_pg_pairs(e: &mut Encoder<'_>, pairs: &PgPairs) {
    e.list(pairs.iter(), |e, (pg, pairs)| {
        pg.encode(e);
        e.list(pairs.iter(), |e, (from, to)| {
            from.encode(e);
            to.encode(e);
        });
    });
}

pub(super) fn decode_pg_osds(d: &mut Decoder<'_>) -> Result<PgOsds, DecodeError> {
    d.map(PgId::BYTES + 4, PgId::decode, OsdId::decode)
}

pub(super) fn encode_pg_osds(e: &mut Encoder<'_>, osds: &PgOsds) {
    e.list(osds.iter(), |e, (pg, osd)| {
        pg.encode(e);
        osd.encode(e);
    });
}

pub(super) fn decode_pgs(d: &mut Decoder<'_>) -> Result<Vec<PgId>, DecodeError> {
    d.list(PgId::BYTES, PgId::decode)
}

pub(super) fn encode_pgs(e: &mut Encoder<'_>, pgs: &[PgId]) {
    e.list(pgs.iter(), |e, pg| pg.encode(e));
}

/// Smallest encoding of an address: the envelope and an empty socket.
const ADDR_BYTES_MIN: usize = 19;

pub(super) fn decode_addrs(d: &mut Decoder<'_>) -> Result<Addrs, DecodeError> {
    d.map(ADDR_BYTES_MIN + 8, EntityAddr::decode, Utime::decode)
}

pub(super) fn encode_addrs(e: &mut Encoder<'_>, addrs: &Addrs) {
    e.list(addrs.iter(), |e, (addr, until)| {
        addr.encode(e);
        until.encode(e);
    });
}

pub(super) fn decode_addr_list(d: &mut Decoder<'_>) -> Result<Vec<EntityAddr>, DecodeError> {
    d.list(ADDR_BYTES_MIN, EntityAddr::decode)
}

pub(super) fn encode_addr_list(e: &mut Encoder<'_>, addrs: &[EntityAddr]) {
    e.list(addrs.iter(), |e, addr| addr.encode(e));
}

/// Something for each of some OSDs.
pub(super) fn decode_by_osd<'a, T>(
    d: &mut Decoder<'a>,
    value_min: usize,
    value: impl FnMut(&mut Decoder<'a>) -> Result<T, DecodeError>,
) -> Result<BTreeMap<OsdId, T>, DecodeError> {
    d.map(4 + value_min, OsdId::decode, value)
}

pub(super) fn encode_by_osd<T>(
    e: &mut Encoder<'_>,
    values: &BTreeMap<OsdId, T>,
    mut value: impl FnMut(&mut Encoder<'_>, &T),
) {
    e.list(values.iter(), |e, (osd, v)| {
        osd.encode(e);
        value(e, v);
    });
}

/// Smallest encoding of a participant's addresses: an empty list.
pub(super) const ADDR_VEC_BYTES_MIN: usize = 5;

/// Skips a list whose elements are of no interest and take `element` bytes each.
pub(super) fn skip_words(d: &mut Decoder<'_>, element: usize) -> Result<(), DecodeError> {
    let count = d.count(element)?;
    d.bytes(count * element).map(drop)
}

/// Skips a list whose elements are of no interest.
pub(super) fn skip_list<T>(
    d: &mut Decoder<'_>,
    element_min: usize,
    mut element: impl FnMut(&mut Decoder<'_>) -> Result<T, DecodeError>,
) -> Result<(), DecodeError> {
    for _ in 0..d.count(element_min)? {
        element(d)?;
    }
    Ok(())
}

/// Skips a versioned structure.
pub(super) fn skip_versioned(d: &mut Decoder<'_>) -> Result<(), DecodeError> {
    d.versioned("a structure that is of no interest", u8::MAX, |_, _| Ok(()))
}

/// Skips lists of addresses by OSD.
pub(super) fn skip_addrs_by_osd(d: &mut Decoder<'_>) -> Result<(), DecodeError> {
    skip_list(d, 4 + ADDR_VEC_BYTES_MIN, |d| {
        d.i32()?;
        EntityAddrVec::decode(d)
    })
}
