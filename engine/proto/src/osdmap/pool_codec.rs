//! Reading and writing a pool.

use super::wire::{
    EMPTY, decode_ranges, decode_text_maps, decode_texts, encode_ranges, encode_text_maps, skip_versioned,
};
use super::{ForceResend, Peering, Pool, PoolFlags, PoolKind, PoolSnap};
use crate::codec::{DecodeError, Decoder, Encoder};
use crate::types::{Epoch, PgId, PoolId, SnapId, Utime};
use std::collections::BTreeMap;

/// The newest version whose fields are known.
const VERSION: u8 = 30;
/// The version of pools that make no demands on peering.
const VERSION_PLAIN: u8 = 29;
/// The oldest version, of Nautilus.
const VERSION_MIN: u8 = 28;
/// The oldest release whose readers understand what is written.
const COMPAT: u8 = 5;

/// No pool, where one is named.
const NO_POOL: i64 = -1;

impl Pool {
    /// Reads one.
    pub fn decode(d: &mut Decoder<'_>) -> Result<Pool, DecodeError> {
        d.versioned("a pool", VERSION, |d, version| {
            if version < VERSION_MIN {
                return Err(d.invalid("it comes from a cluster older than Nautilus"));
            }
            let mut pool = Pool::default();
            pool.decode_first(d)?;
            pool.decode_tiering(d)?;
            pool.decode_last(d, version)?;
            Ok(pool)
        })
    }

    fn decode_first(&mut self, d: &mut Decoder<'_>) -> Result<(), DecodeError> {
        self.kind = PoolKind::from_number(d.u8()?);
        self.size = d.u8()?;
        self.crush_rule = d.u8()?;
        self.object_hash = d.u8()?;
        (self.pg_num, self.pgp_num) = (d.u32()?, d.u32()?);
        if self.pg_num == 0 || self.pgp_num == 0 {
            return Err(d.invalid("it has no placement groups"));
        }
        // Placement groups that preferred an OSD, which nobody has any more.
        d.bytes(8)?;
        self.last_change = Epoch::decode(d)?;
        self.snap_seq = SnapId::decode(d)?;
        self.snap_epoch = Epoch::decode(d)?;
        self.snaps = d.map(14, SnapId::decode, |d| {
            d.versioned("a snapshot of a pool", 2, |d, _| {
                SnapId::decode(d)?;
                Ok(PoolSnap { stamp: Utime::decode(d)?, name: d.label()? })
            })
        })?;
        self.removed_snaps = decode_ranges(d)?;
        // Its owner, which nothing has used for long.
        d.u64()?;
        self.flags = PoolFlags(d.u64()?);
        // How long an OSD waited for lost answers to be asked for again.
        d.u32()?;
        self.min_size = d.u8()?;
        self.quota_bytes = d.u64()?;
        self.quota_objects = d.u64()?;
        Ok(())
    }

    fn decode_tiering(&mut self, d: &mut Decoder<'_>) -> Result<(), DecodeError> {
        let pool = |d: &mut Decoder<'_>| Ok(Some(PoolId::decode(d)?).filter(|pool| pool.0 >= 0));
        self.tiers = d.list(8, PoolId::decode)?;
        self.tier_of = pool(d)?;
        // How it caches.
        d.u8()?;
        self.read_tier = pool(d)?;
        self.write_tier = pool(d)?;
        // Properties, and how hits are counted.
        decode_texts(d)?;
        skip_versioned(d)?;
        d.bytes(8)?;
        self.stripe_width = d.u32()?;
        // When to write back and to evict.
        d.bytes(2 * 8 + 4 * 4)?;
        self.erasure_code_profile = d.label()?;
        Ok(())
    }

    fn decode_last(&mut self, d: &mut Decoder<'_>, version: u8) -> Result<(), DecodeError> {
        self.force_resend.before_luminous = Epoch::decode(d)?;
        // Of tiering: how recently read.
        d.u32()?;
        self.expected_objects = d.u64()?;
        // Of tiering: how dirty, how recently written, in which time zone.
        d.bytes(4 + 4 + 1)?;
        self.fast_read = d.bool()?;
        // Of tiering: how hits age.
        d.bytes(8)?;
        // Options that only OSDs act on.
        skip_versioned(d)?;
        self.force_resend.before_nautilus = Epoch::decode(d)?;
        self.applications = decode_text_maps(d)?;
        self.created = Utime::decode(d)?;
        self.pg_num_target = d.u32()?;
        self.pgp_num_target = d.u32()?;
        self.pg_num_pending = d.u32()?;
        // How the last merge ended, as the first Nautilus wrote it.
        d.bytes(8)?;
        self.force_resend.now = Epoch::decode(d)?;
        self.autoscale_mode = d.u8()?;
        if version >= 29 {
            skip_versioned(d)?;
        }
        if version >= 30 {
            self.peering = Peering {
                bucket_count: d.u32()?,
                bucket_target: d.u32()?,
                bucket_type: d.u32()?,
                mandatory_bucket: d.i32()?,
            };
        }
        Ok(())
    }

    /// Writes it, with nothing in the fields that are not kept.
    pub fn encode(&self, e: &mut Encoder<'_>) {
        let stretched = self.peering != Peering::default();
        e.versioned(if stretched { VERSION } else { VERSION_PLAIN }, COMPAT, |e| {
            self.encode_first(e);
            self.encode_tiering(e);
            self.encode_last(e);
            if stretched {
                let Peering { bucket_count, bucket_target, bucket_type, mandatory_bucket } = self.peering;
                e.u32(bucket_count).u32(bucket_target).u32(bucket_type).i32(mandatory_bucket);
            }
        });
    }

    fn encode_first(&self, e: &mut Encoder<'_>) {
        e.bytes(&[self.kind.number(), self.size, self.crush_rule, self.object_hash]);
        e.u32(self.pg_num).u32(self.pgp_num).zeros(8);
        e.u32(self.last_change.0).u64(self.snap_seq.0).u32(self.snap_epoch.0);
        e.list(self.snaps.iter(), |e, (snap, PoolSnap { name, stamp })| {
            e.u64(snap.0).versioned(2, 2, |e| {
                snap.encode(e);
                stamp.encode(e);
                e.string(name);
            });
        });
        encode_ranges(e, &self.removed_snaps);
        e.u64(0).u64(self.flags.0).u32(0).u8(self.min_size).u64(self.quota_bytes).u64(self.quota_objects);
    }

    fn encode_tiering(&self, e: &mut Encoder<'_>) {
        let number = |pool: Option<PoolId>| pool.map_or(NO_POOL, |pool| pool.0);
        e.list(self.tiers.iter(), |e, pool| pool.encode(e));
        e.i64(number(self.tier_of)).u8(0).i64(number(self.read_tier)).i64(number(self.write_tier));
        e.zeros(EMPTY).versioned(1, 1, |e| {
            e.u8(0);
        });
        e.zeros(8).u32(self.stripe_width).zeros(2 * 8 + 4 * 4).string(&self.erasure_code_profile);
    }

    fn encode_last(&self, e: &mut Encoder<'_>) {
        let ForceResend { now, before_nautilus, before_luminous } = self.force_resend;
        e.u32(before_luminous.0).u32(0).u64(self.expected_objects).zeros(4 + 4 + 1).bool(self.fast_read);
        e.zeros(8).versioned(2, 1, |e| {
            e.zeros(EMPTY);
        });
        e.u32(before_nautilus.0);
        encode_text_maps(e, &self.applications);
        self.created.encode(e);
        e.u32(self.pg_num_target).u32(self.pgp_num_target).u32(self.pg_num_pending).zeros(8);
        e.u32(now.0).u8(self.autoscale_mode).versioned(1, 1, |e| {
            PgId::default().encode(e);
            e.zeros(3 * 4 + 2 * 12);
        });
    }
}

/// Reads pools by number.
pub(super) fn decode_pools<P: From<Pool>>(d: &mut Decoder<'_>) -> Result<BTreeMap<PoolId, P>, DecodeError> {
    d.map(8 + 6, PoolId::decode, |d| Pool::decode(d).map(P::from))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::osdmap::OsdMap;

    #[test]
    fn the_known_fields_are_all_that_a_pool_has() {
        let map = OsdMap::decode(include_bytes!("../../tests/golden/osdmap.full.80.bin")).unwrap();
        let peering = Peering { bucket_count: 2, mandatory_bucket: -3, ..Peering::default() };
        for (_, pool) in map.pools() {
            for pool in [Pool::clone(pool), Pool { peering, ..Pool::clone(pool) }] {
                let bytes = Encoder::to_vec(|e| pool.encode(e));
                let whole = |d: &mut Decoder<'_>, version: u8| {
                    let mut read = Pool::default();
                    read.decode_first(d)?;
                    read.decode_tiering(d)?;
                    read.decode_last(d, version)?;
                    assert_eq!((d.left(), &read), (0, &pool));
                    Ok(())
                };
                Decoder::new("test", &bytes).versioned("a pool", VERSION, whole).unwrap();
            }
        }
    }
}
