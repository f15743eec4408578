//! Reading and writing an incremental.

use super::full::{VERSION, check_crc, with_crc};
use super::pool_codec::decode_pools;
use super::wire::{
    ADDR_VEC_BYTES_MIN, EMPTY, decode_addr_list, decode_addrs, decode_by_osd, decode_pg_lists,
    decode_pg_osds, decode_pg_pairs, decode_pgs, decode_pool_names, decode_removed_snaps, decode_text_maps,
    encode_addr_list, encode_addrs, encode_by_osd, encode_pg_lists, encode_pg_osds, encode_pg_pairs,
    encode_pgs, encode_pool_names, encode_removed_snaps, encode_text_maps, skip_addrs_by_osd, skip_list,
    skip_versioned, skip_words,
};
use super::{Incremental, MapFlags, OSDS_MAX, OsdMap, OsdState, Release};
use crate::codec::{DecodeError, Decoder, Encoder};
use crate::crush::CrushMap;
use crate::types::{EntityAddrVec, Epoch, Fsid, PoolId, Utime};
use std::sync::Arc;

/// The clients' part: the versions of Nautilus and of Reef, which added primaries chosen by hand.
const CLIENT_VERSION_MIN: u8 = 8;
const CLIENT_VERSION: u8 = 9;

/// The OSDs' part: the versions of Nautilus, of Pacific with stretch mode, and of Quincy, which added blocklisted networks.
const OSD_VERSION_MIN: u8 = 9;
const OSD_VERSION_STRETCH: u8 = 10;
const OSD_VERSION: u8 = 11;

/// The number that stands for no change, where there can be one.
const NO_CHANGE: i32 = -1;
/// The release that stands for no change.
const NO_RELEASE: u8 = 0xff;
/// Bytes of the fields of stretch mode: whether it changes, three numbers and a bucket, and whether it is on.
const STRETCH_BYTES: usize = 1 + 4 * 4 + 1;
/// The features that the writer had in mind: those of Pacific.
const FEATURES: u64 = 0x3f01_cfbd_fffd_ffff;

impl Incremental {
    /// Reads an incremental, which is all of the input. Whoever gets an error asks the monitors for a whole map.
    pub fn decode(bytes: &[u8]) -> Result<Incremental, DecodeError> {
        let mut d = Decoder::new("an incremental OSD map", bytes);
        let (incremental, crc_at) = d.versioned("an incremental OSD map", VERSION, |d, version| {
            if version < VERSION {
                return Err(d.invalid("it comes from a cluster older than Nautilus"));
            }
            let mut incremental = Incremental::default();
            d.versioned("the clients' part of an incremental", CLIENT_VERSION, |d, version| {
                incremental.decode_client(d, version)
            })?;
            d.versioned("the OSDs' part of an incremental", OSD_VERSION, |d, version| {
                incremental.decode_osd(d, version)
            })?;
            let crc_at = d.offset();
            // Its own checksum, and that of the whole map that it makes, as monitors would encode it.
            d.bytes(8)?;
            Ok((incremental, crc_at))
        })?;
        check_crc(&bytes[..d.offset()], crc_at, "an incremental OSD map")?;
        d.finish()?;
        Ok(incremental)
    }

    fn decode_client(&mut self, d: &mut Decoder<'_>, version: u8) -> Result<(), DecodeError> {
        if version < CLIENT_VERSION_MIN {
            return Err(d.invalid("it comes from a cluster older than Nautilus"));
        }
        let time = |d: &mut Decoder<'_>| Ok(Some(Utime::decode(d)?).filter(|time| *time != Utime::default()));
        self.fsid = Fsid::decode(d)?;
        self.epoch = Epoch::decode(d)?;
        self.modified = Utime::decode(d)?;
        self.pool_max = i32::try_from(d.i64()?).ok().filter(|&max| max != NO_CHANGE);
        self.flags = u32::try_from(d.i32()?).ok().map(MapFlags);
        self.full = match d.blob()? {
            [] => None,
            bytes => Some(Box::new(OsdMap::decode(bytes)?)),
        };
        self.crush = match d.blob()? {
            [] => None,
            bytes => Some(Arc::new(CrushMap::decode(bytes)?)),
        };
        self.max_osd = usize::try_from(d.i32()?).ok();
        if self.max_osd > Some(OSDS_MAX) {
            return Err(d.invalid("room for more OSDs than any cluster has"));
        }
        self.new_pools = decode_pools(d)?;
        self.new_pool_names = decode_pool_names(d)?;
        self.old_pools = d.list(8, PoolId::decode)?;
        self.new_up = decode_by_osd(d, ADDR_VEC_BYTES_MIN, EntityAddrVec::decode)?;
        self.new_state = decode_by_osd(d, 4, |d| d.u32().map(OsdState))?;
        self.new_weight = decode_by_osd(d, 4, Decoder::u32)?;
        self.new_pg_temp = decode_pg_lists(d)?;
        self.new_primary_temp = decode_pg_osds(d)?;
        self.new_primary_affinity = decode_by_osd(d, 4, Decoder::u32)?;
        self.new_erasure_code_profiles = decode_text_maps(d)?;
        self.old_erasure_code_profiles = d.list(EMPTY, Decoder::label)?;
        self.new_pg_upmap = decode_pg_lists(d)?;
        self.old_pg_upmap = decode_pgs(d)?;
        self.new_pg_upmap_items = decode_pg_pairs(d)?;
        self.old_pg_upmap_items = decode_pgs(d)?;
        self.new_removed_snaps = decode_removed_snaps(d)?;
        self.new_purged_snaps = decode_removed_snaps(d)?;
        self.last_up_change = time(d)?;
        self.last_in_change = time(d)?;
        if version >= CLIENT_VERSION {
            self.new_pg_upmap_primaries = decode_pg_osds(d)?;
            self.old_pg_upmap_primaries = decode_pgs(d)?;
        }
        Ok(())
    }

    fn decode_osd(&mut self, d: &mut Decoder<'_>, version: u8) -> Result<(), DecodeError> {
        if version < OSD_VERSION_MIN {
            return Err(d.invalid("it comes from a cluster older than Nautilus"));
        }
        let release = |d: &mut Decoder<'_>| d.u8().map(Release::from_number);
        // Where OSDs hear each other's hearts; until when and how they lived, and which are lost.
        skip_addrs_by_osd(d)?;
        skip_words(d, 8)?;
        skip_words(d, 12)?;
        skip_words(d, 8)?;
        self.new_blocklist = decode_addrs(d)?;
        self.old_blocklist = decode_addr_list(d)?;
        // Where they speak to each other; a snapshot of the whole cluster; UUIDs; health; hearts again.
        skip_addrs_by_osd(d)?;
        d.blob()?;
        skip_words(d, 20)?;
        skip_list(d, 10, |d| {
            d.i32()?;
            skip_versioned(d)
        })?;
        skip_addrs_by_osd(d)?;
        // The writer's features; how full OSDs may be.
        d.bytes(8 + 3 * 4)?;
        self.require_min_compat_client = release(d)?.filter(|release| *release != Release::default());
        self.require_osd_release = release(d)?;
        // Flags of CRUSH nodes and of device classes.
        skip_words(d, 8)?;
        skip_words(d, 8)?;
        if version >= OSD_VERSION_STRETCH {
            d.bytes(STRETCH_BYTES)?;
        }
        if version >= OSD_VERSION {
            self.new_range_blocklist = decode_addrs(d)?;
            self.old_range_blocklist = decode_addr_list(d)?;
        }
        Ok(())
    }

    /// Writes it as monitors since Nautilus do, with nothing in the fields that are not kept.
    pub fn encode(&self, e: &mut Encoder<'_>) {
        let primaries = !self.new_pg_upmap_primaries.is_empty() || !self.old_pg_upmap_primaries.is_empty();
        let client = if primaries { CLIENT_VERSION } else { CLIENT_VERSION_MIN };
        let ranges = !self.new_range_blocklist.is_empty() || !self.old_range_blocklist.is_empty();
        let osd = if ranges { OSD_VERSION } else { OSD_VERSION_MIN };
        let parts = |e: &mut Encoder<'_>| {
            e.versioned(client, 1, |e| self.encode_client(e, client));
            e.versioned(osd, 1, |e| self.encode_osd(e, osd));
        };
        // Nothing says what the whole map would be encoded as.
        with_crc(e, parts, &[0; 4]);
    }

    fn encode_client(&self, e: &mut Encoder<'_>, version: u8) {
        let osds = |osds: usize| i32::try_from(osds).expect("a map has room for few OSDs");
        self.fsid.encode(e);
        self.epoch.encode(e);
        self.modified.encode(e);
        e.i64(self.pool_max.unwrap_or(NO_CHANGE).into());
        e.i32(self.flags.map_or(NO_CHANGE, |flags| flags.0.cast_signed()));
        e.nested(|e| self.full.iter().for_each(|full| full.encode(e)));
        e.nested(|e| self.crush.iter().for_each(|crush| crush.encode(e)));
        e.i32(self.max_osd.map_or(NO_CHANGE, osds));
        e.list(self.new_pools.iter(), |e, (id, pool)| pool.encode(e.i64(id.0)));
        encode_pool_names(e, &self.new_pool_names);
        e.list(self.old_pools.iter(), |e, id| id.encode(e));
        encode_by_osd(e, &self.new_up, |e, addrs| addrs.encode(e));
        encode_by_osd(e, &self.new_state, |e, state| {
            e.u32(state.0);
        });
        let word = |e: &mut Encoder<'_>, &word: &u32| {
            e.u32(word);
        };
        encode_by_osd(e, &self.new_weight, word);
        encode_pg_lists(e, &self.new_pg_temp);
        encode_pg_osds(e, &self.new_primary_temp);
        encode_by_osd(e, &self.new_primary_affinity, word);
        encode_text_maps(e, &self.new_erasure_code_profiles);
        e.list(self.old_erasure_code_profiles.iter(), |e, name| {
            e.string(name);
        });
        encode_pg_lists(e, &self.new_pg_upmap);
        encode_pgs(e, &self.old_pg_upmap);
        encode_pg_pairs(e, &self.new_pg_upmap_items);
        encode_pgs(e, &self.old_pg_upmap_items);
        encode_removed_snaps(e, &self.new_removed_snaps);
        encode_removed_snaps(e, &self.new_purged_snaps);
        self.last_up_change.unwrap_or_default().encode(e);
        self.last_in_change.unwrap_or_default().encode(e);
        if version >= CLIENT_VERSION {
            encode_pg_osds(e, &self.new_pg_upmap_primaries);
            encode_pgs(e, &self.old_pg_upmap_primaries);
        }
    }

    fn encode_osd(&self, e: &mut Encoder<'_>, version: u8) {
        // Whoever comes up is heard, and spoken to by others, where clients speak to it.
        let up = |e: &mut Encoder<'_>| encode_by_osd(e, &self.new_up, |e, addrs| addrs.encode(e));
        up(e);
        e.zeros(3 * EMPTY);
        encode_addrs(e, &self.new_blocklist);
        encode_addr_list(e, &self.old_blocklist);
        up(e);
        e.zeros(3 * EMPTY);
        up(e);
        e.u64(FEATURES);
        for _ in 0..3 {
            e.bytes(&(-1f32).to_le_bytes());
        }
        let release = |release: Option<Release>| release.map_or(NO_RELEASE, |release| release.0);
        e.u8(release(self.require_min_compat_client)).u8(release(self.require_osd_release)).zeros(2 * EMPTY);
        if version >= OSD_VERSION {
            e.zeros(STRETCH_BYTES);
            encode_addrs(e, &self.new_range_blocklist);
            encode_addr_list(e, &self.old_range_blocklist);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Reads both parts of an incremental, and checks that each ends where its last known field does.
    #[test]
    fn the_known_fields_are_all_that_pacific_sends() {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        for epoch in (45..=53).chain(58..=80) {
            let bytes = std::fs::read(golden.join(format!("osdmap.inc.{epoch}.bin"))).unwrap();
            let whole = |d: &mut Decoder<'_>, version: u8| {
                assert_eq!(version, VERSION);
                let mut incremental = Incremental::default();
                d.versioned("clients", CLIENT_VERSION, |d, version| {
                    incremental.decode_client(d, version)?;
                    assert_eq!(d.left(), 0, "epoch {epoch}");
                    Ok(())
                })?;
                d.versioned("OSDs", OSD_VERSION, |d, version| {
                    incremental.decode_osd(d, version)?;
                    assert_eq!(d.left(), 0, "epoch {epoch}");
                    Ok(())
                })?;
                assert_eq!(d.left(), 8);
                Ok(())
            };
            Decoder::new("test", &bytes).versioned("an incremental", VERSION, whole).unwrap();
        }
    }
}
