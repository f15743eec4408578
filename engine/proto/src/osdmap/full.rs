//! Reading and writing a whole map.

use super::pool_codec::decode_pools;
use super::wire::{
    ADDR_VEC_BYTES_MIN, EMPTY, decode_addrs, decode_pg_lists, decode_pg_osds, decode_pg_pairs,
    decode_pool_names, decode_removed_snaps, decode_text_maps, encode_addrs, encode_pg_lists, encode_pg_osds,
    encode_pg_pairs, encode_pool_names, encode_removed_snaps, encode_text_maps, skip_list, skip_versioned,
    skip_words,
};
use super::{Blocklist, MapFlags, OSDS_MAX, OsdMap, OsdState, Release};
use crate::codec::{DecodeError, DecodeErrorKind, Decoder, Encoder};
use crate::crc::{SEED, crc32c};
use crate::crush::CrushMap;
use crate::types::{EntityAddrVec, Epoch, Fsid, Utime};
use std::sync::Arc;

/// The envelope: its newest version, and the oldest reader that it is for.
pub(super) const VERSION: u8 = 8;
pub(super) const COMPAT: u8 = 7;

/// The clients' part: the versions of Nautilus and of Reef, which added primaries chosen by hand.
const CLIENT_VERSION_MIN: u8 = 9;
const CLIENT_VERSION: u8 = 10;

/// The OSDs' part: the versions of Nautilus, of Pacific with stretch mode, and of Quincy, which added blocklisted networks.
const OSD_VERSION_MIN: u8 = 9;
const OSD_VERSION_STRETCH: u8 = 10;
const OSD_VERSION: u8 = 11;

/// Bytes of what OSDs note about each other's lives.
const OSD_INFO_BYTES: usize = 25;
/// Bytes of what they note about each other's health, besides the envelope.
const OSD_XINFO_BYTES: usize = 40;
/// How full OSDs may be, as new clusters have it.
const NEARFULL_RATIO: f32 = 0.85;
const FULL_RATIO: f32 = 0.95;
const BACKFILLFULL_RATIO: f32 = 0.90;

/// Checks the checksum of a map or an incremental: that of all bytes but its own four.
pub(super) fn check_crc(bytes: &[u8], crc_at: usize, what: &'static str) -> Result<(), DecodeError> {
    let mut d = Decoder::new(what, bytes);
    let before = d.bytes(crc_at)?;
    let at = d.clone();
    let expected = d.u32()?;
    let found = crc32c(crc32c(SEED, before), d.bytes(d.left())?);
    if found == expected { Ok(()) } else { Err(at.error(DecodeErrorKind::Checksum { found, expected })) }
}

/// Writes an envelope with a checksum: `parts` go before it, `tail` after it.
pub(super) fn with_crc(e: &mut Encoder<'_>, parts: impl FnOnce(&mut Encoder<'_>), tail: &[u8]) {
    let mut bytes = Encoder::to_vec(|e| {
        e.versioned(VERSION, COMPAT, |e| {
            parts(e);
            e.u32(0).bytes(tail);
        });
    });
    let crc_at = bytes.len() - tail.len() - 4;
    let crc = crc32c(crc32c(SEED, &bytes[..crc_at]), tail);
    bytes[crc_at..crc_at + 4].copy_from_slice(&crc.to_le_bytes());
    e.bytes(&bytes);
}

impl OsdMap {
    /// Reads a whole map, which is all of the input. Whoever gets an error asks the monitors again.
    pub fn decode(bytes: &[u8]) -> Result<OsdMap, DecodeError> {
        let mut d = Decoder::new("an OSD map", bytes);
        let (map, crc_at) = d.versioned("an OSD map", VERSION, |d, version| {
            if version < VERSION {
                return Err(d.invalid("it comes from a cluster older than Nautilus"));
            }
            let mut map = d.versioned("the clients' part of an OSD map", CLIENT_VERSION, decode_client)?;
            d.versioned("the OSDs' part of an OSD map", OSD_VERSION, |d, version| {
                decode_osd(d, version, &mut map)
            })?;
            let crc_at = d.offset();
            d.u32()?;
            Ok((map, crc_at))
        })?;
        check_crc(&bytes[..d.offset()], crc_at, "an OSD map")?;
        d.finish()?;
        Ok(map)
    }

    /// Writes it as monitors since Nautilus do, with nothing in the fields that are not kept.
    pub fn encode(&self, e: &mut Encoder<'_>) {
        let client = if self.pg_upmap_primaries.is_empty() { CLIENT_VERSION_MIN } else { CLIENT_VERSION };
        let osd = if self.blocklist.ranges.is_empty() { OSD_VERSION_MIN } else { OSD_VERSION };
        let parts = |e: &mut Encoder<'_>| {
            e.versioned(client, 1, |e| self.encode_client(e, client));
            e.versioned(osd, 1, |e| self.encode_osd(e, osd));
        };
        with_crc(e, parts, &[]);
    }

    fn encode_client(&self, e: &mut Encoder<'_>, version: u8) {
        self.fsid.encode(e);
        self.epoch.encode(e);
        self.created.encode(e);
        self.modified.encode(e);
        e.list(self.pools.iter(), |e, (id, pool)| pool.encode(e.i64(id.0)));
        encode_pool_names(e, &self.pool_names);
        e.i32(self.pool_max).u32(self.flags.0);
        e.count(self.states.len());
        e.list(self.states.iter(), |e, state| {
            e.u32(state.0);
        });
        encode_words(e, &self.weights);
        e.list(self.addrs.iter(), |e, addrs| addrs.encode(e));
        encode_pg_lists(e, &self.pg_temp);
        encode_pg_osds(e, &self.primary_temp);
        encode_words(e, &self.primary_affinity);
        e.nested(|e| self.crush.encode(e));
        encode_text_maps(e, &self.erasure_code_profiles);
        encode_pg_lists(e, &self.pg_upmap);
        encode_pg_pairs(e, &self.pg_upmap_items);
        e.u32(self.crush_version);
        encode_removed_snaps(e, &self.new_removed_snaps);
        encode_removed_snaps(e, &self.new_purged_snaps);
        self.last_up_change.encode(e);
        self.last_in_change.encode(e);
        if version >= CLIENT_VERSION {
            encode_pg_osds(e, &self.pg_upmap_primaries);
        }
    }

    fn encode_osd(&self, e: &mut Encoder<'_>, version: u8) {
        let osds = self.max_osd();
        let nothing = vec![(); osds];
        let no_addrs = |e: &mut Encoder<'_>| {
            e.list(nothing.iter(), |e, ()| EntityAddrVec::default().encode(e));
        };
        no_addrs(e);
        e.list(nothing.iter(), |e, ()| {
            e.u8(1).zeros(OSD_INFO_BYTES - 1);
        });
        encode_addrs(e, &self.blocklist.clients);
        no_addrs(e);
        // A snapshot of the whole cluster; the OSDs' UUIDs; their health.
        e.u32(0).zeros(EMPTY).list(nothing.iter(), |e, ()| {
            e.zeros(16);
        });
        e.list(nothing.iter(), |e, ()| {
            e.versioned(4, 1, |e| {
                e.zeros(OSD_XINFO_BYTES);
            });
        });
        no_addrs(e);
        for ratio in [NEARFULL_RATIO, FULL_RATIO, BACKFILLFULL_RATIO] {
            e.bytes(&ratio.to_le_bytes());
        }
        e.u8(self.require_min_compat_client.0).u8(self.require_osd_release.0);
        // Snapshots to trim; flags of CRUSH nodes and of device classes.
        e.zeros(3 * EMPTY);
        if version >= OSD_VERSION {
            e.zeros(STRETCH_BYTES);
            encode_addrs(e, &self.blocklist.ranges);
        }
    }
}

/// Bytes of the fields of stretch mode: whether, three numbers, and a bucket.
const STRETCH_BYTES: usize = 1 + 4 * 4;

fn encode_words(e: &mut Encoder<'_>, words: &[u32]) {
    e.list(words.iter(), |e, &word| {
        e.u32(word);
    });
}

fn decode_client(d: &mut Decoder<'_>, version: u8) -> Result<OsdMap, DecodeError> {
    if version < CLIENT_VERSION_MIN {
        return Err(d.invalid("it comes from a cluster older than Nautilus"));
    }
    let mut map = OsdMap::empty();
    map.fsid = Fsid::decode(d)?;
    map.epoch = Epoch::decode(d)?;
    map.created = Utime::decode(d)?;
    map.modified = Utime::decode(d)?;
    map.pools = Arc::new(decode_pools(d)?);
    map.pool_names = Arc::new(decode_pool_names(d)?);
    map.pool_max = d.i32()?;
    map.flags = MapFlags(d.u32()?);
    let osds = usize::try_from(d.i32()?).unwrap_or(usize::MAX);
    if osds > OSDS_MAX {
        return Err(d.invalid("room for more OSDs than any cluster has"));
    }
    map.states = Arc::new(d.list(4, |d| d.u32().map(OsdState))?);
    map.weights = Arc::new(d.list(4, Decoder::u32)?);
    map.addrs = Arc::new(d.list(ADDR_VEC_BYTES_MIN, EntityAddrVec::decode)?);
    if [map.states.len(), map.weights.len(), map.addrs.len()] != [osds; 3] {
        return Err(d.invalid("lists of OSDs that differ in length"));
    }
    map.pg_temp = Arc::new(decode_pg_lists(d)?);
    map.primary_temp = Arc::new(decode_pg_osds(d)?);
    map.primary_affinity = Arc::new(d.list(4, Decoder::u32)?);
    if ![0, osds].contains(&map.primary_affinity.len()) {
        return Err(d.invalid("lists of OSDs that differ in length"));
    }
    map.crush = Arc::new(CrushMap::decode(d.blob()?)?);
    map.erasure_code_profiles = Arc::new(decode_text_maps(d)?);
    map.pg_upmap = Arc::new(decode_pg_lists(d)?);
    map.pg_upmap_items = Arc::new(decode_pg_pairs(d)?);
    map.crush_version = d.u32()?;
    map.new_removed_snaps = Arc::new(decode_removed_snaps(d)?);
    map.new_purged_snaps = Arc::new(decode_removed_snaps(d)?);
    map.last_up_change = Utime::decode(d)?;
    map.last_in_change = Utime::decode(d)?;
    if version >= CLIENT_VERSION {
        map.pg_upmap_primaries = Arc::new(decode_pg_osds(d)?);
    }
    Ok(map)
}

fn decode_osd(d: &mut Decoder<'_>, version: u8, map: &mut OsdMap) -> Result<(), DecodeError> {
    if version < OSD_VERSION_MIN {
        return Err(d.invalid("it comes from a cluster older than Nautilus"));
    }
    let skip_addrs = |d: &mut Decoder<'_>| skip_list(d, ADDR_VEC_BYTES_MIN, EntityAddrVec::decode);
    // Where OSDs hear each other's hearts; what they note about each other.
    skip_addrs(d)?;
    skip_words(d, OSD_INFO_BYTES)?;
    let mut blocklist = Blocklist { clients: decode_addrs(d)?, ..Blocklist::default() };
    // Where they speak to each other; a snapshot of the whole cluster; UUIDs; health; hearts again.
    skip_addrs(d)?;
    d.u32()?;
    d.blob()?;
    skip_words(d, 16)?;
    skip_list(d, 6, skip_versioned)?;
    skip_addrs(d)?;
    // How full OSDs may be.
    d.bytes(3 * 4)?;
    map.require_min_compat_client = Release::from_number(d.u8()?).unwrap_or_default();
    map.require_osd_release = Release::from_number(d.u8()?).unwrap_or_default();
    map.flags = map.require_osd_release.implied(map.flags);
    // Snapshots to trim; flags of CRUSH nodes and of device classes.
    decode_removed_snaps(d)?;
    skip_words(d, 8)?;
    skip_words(d, 8)?;
    if version >= OSD_VERSION_STRETCH {
        d.bytes(STRETCH_BYTES)?;
    }
    if version >= OSD_VERSION {
        blocklist.ranges = decode_addrs(d)?;
    }
    map.blocklist = Arc::new(blocklist);
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Reads both parts of a map, and checks that each ends where its last known field does.
    #[test]
    fn the_known_fields_are_all_that_pacific_sends() {
        for bytes in [
            &include_bytes!("../../tests/golden/osdmap.full.44.bin")[..],
            include_bytes!("../../tests/golden/osdmap.full.53.bin"),
            include_bytes!("../../tests/golden/osdmap.full.57.bin"),
            include_bytes!("../../tests/golden/osdmap.full.80.bin"),
        ] {
            let whole = |d: &mut Decoder<'_>, version: u8| {
                assert_eq!(version, VERSION);
                let mut map = d.versioned("clients", CLIENT_VERSION, |d, version| {
                    let map = decode_client(d, version)?;
                    assert_eq!(d.left(), 0);
                    Ok(map)
                })?;
                d.versioned("OSDs", OSD_VERSION, |d, version| {
                    decode_osd(d, version, &mut map)?;
                    assert_eq!(d.left(), 0);
                    Ok(())
                })?;
                assert_eq!(d.left(), 4);
                Ok(())
            };
            Decoder::new("test", bytes).versioned("a map", VERSION, whole).unwrap();
        }
    }
}
