//! The maps of a cluster: OSD maps, whole and as changes, and CRUSH maps. Whatever they say, they are refused, or they
//! are written as they were read and every placement ends.

use std::sync::LazyLock;

use ringbd_proto::codec::Encoder;
use ringbd_proto::crc::{SEED, crc32c};
use ringbd_proto::crush::{CrushMap, ITEM_NONE, Workspace};
use ringbd_proto::osdmap::{Incremental, Interval, OsdMap, PG_WIDTH_MAX, Pool, WEIGHT_IN};
use ringbd_proto::types::{Epoch, OsdId, PoolId};

/// Rules and pools of a map that are tried. More say the same and cost time.
const TRIED_MAX: usize = 8;

/// Draws for one placement. A map may ask for many more, which is what the limit is for.
const DRAWS_MAX: u32 = 20_000;

/// The envelope of OSD maps and changes: its version, and the oldest reader.
const ENVELOPE: (u8, u8) = (8, 7);

/// A map of a real cluster, which changes are applied to.
static REAL: LazyLock<OsdMap> = LazyLock::new(|| {
    let bytes = include_bytes!("../../../engine/proto/tests/golden/osdmap.full.53.bin");
    OsdMap::decode(bytes).expect("a cluster wrote it")
});

/// A CRUSH map is refused, or written as it was read, and mapping with it ends within the width that was asked for.
pub fn crush(bytes: &[u8]) {
    let Ok(map) = CrushMap::decode(bytes) else { return };
    assert_eq!(CrushMap::decode(&Encoder::to_vec(|e| map.encode(e))).as_ref(), Ok(&map));
    let mut workspace = Workspace::with_draws_max(DRAWS_MAX);
    for (rule, _) in (0..).zip(map.parts().rules.iter().take(TRIED_MAX)) {
        for (x, width) in [(0, 3), (1, 1), (7, 11), (u32::MAX, 3)] {
            if let Ok(items) = map.map(rule, x, width, &[WEIGHT_IN; 16], i64::from(x), &mut workspace) {
                assert!(items.len() <= width, "{items:?}");
                assert!(items.iter().all(|&item| item < map.max_devices() || item == ITEM_NONE), "{items:?}");
            }
        }
    }
}

/// An OSD map or a change, as it is and put together from the input: its first byte chooses, the next two are the
/// versions of the clients' part and the OSDs' part, then comes the length of the first, and both. Lengths and
/// checksums are right, so that what they protect is reached.
pub fn osdmap(bytes: &[u8]) {
    whole(bytes);
    change(bytes);
    let [choice, clients_version, osds_version, low, high, parts @ ..] = bytes else { return };
    let clients_len = usize::from(u16::from_le_bytes([*low, *high]));
    let (clients, osds) = parts.split_at(clients_len.min(parts.len()));
    let parts = [(*clients_version, clients), (*osds_version, osds)];
    if choice.is_multiple_of(2) {
        whole(&sealed(parts, &[]));
    } else {
        change(&sealed(parts, &[0; 4]));
    }
}

/// Parts in an envelope with the checksum of everything else in it, behind which is the `tail`.
fn sealed(parts: [(u8, &[u8]); 2], tail: &[u8]) -> Vec<u8> {
    let mut bytes = Encoder::to_vec(|e| {
        e.versioned(ENVELOPE.0, ENVELOPE.1, |e| {
            for (version, part) in parts {
                e.versioned(version, 1, |e| _ = e.bytes(part));
            }
            e.u32(0).bytes(tail);
        });
    });
    let crc_at = bytes.len() - tail.len() - 4;
    let crc = crc32c(crc32c(SEED, &bytes[..crc_at]), tail);
    bytes[crc_at..crc_at + 4].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn whole(bytes: &[u8]) {
    if let Ok(map) = OsdMap::decode(bytes) {
        holds(&map);
    }
}

fn change(bytes: &[u8]) {
    let Ok(mut change) = Incremental::decode(bytes) else { return };
    let again = Incremental::decode(&Encoder::to_vec(|e| change.encode(e)));
    assert_eq!(again.as_ref(), Ok(&change));
    for map in [&OsdMap::empty(), &*REAL] {
        (change.fsid, change.epoch) = (map.fsid(), Epoch(map.epoch().0 + 1));
        if let Ok(next) = map.apply(&change) {
            holds(&next);
        }
    }
}

/// A map is written as it was read, and places every hash.
fn holds(map: &OsdMap) {
    let again = OsdMap::decode(&Encoder::to_vec(|e| map.encode(e)));
    assert_eq!(again.as_ref(), Ok(map));
    let mut workspace = Workspace::with_draws_max(DRAWS_MAX);
    for (id, pool) in map.pools().take(TRIED_MAX) {
        for hash in [0, 0x1234_5678, u32::MAX] {
            place(map, (id, pool), hash, &mut workspace);
        }
    }
}

fn place(map: &OsdMap, (id, pool): (PoolId, &Pool), hash: u32, workspace: &mut Workspace) {
    let Ok(pg) = map.pg(id, hash) else { return };
    let Ok(mapping) = map.place(pg, workspace) else { return };
    assert!(mapping.up.len() <= PG_WIDTH_MAX && mapping.acting.len() <= PG_WIDTH_MAX, "{mapping}");
    assert!(mapping.up.iter().all(|&osd| osd == OsdId::NONE || map.is_up(osd)), "{mapping}");
    let interval = Interval::new(map, pool, mapping.clone());
    assert!(!interval.ends(&Interval::new(map, pool, mapping), hash), "nothing changed");
    if let Some((_, other)) = REAL.pools().next()
        && let Ok(pg) = REAL.pg(id, hash)
        && let Ok(mapping) = REAL.place(pg, workspace)
    {
        // Only that it ends: the pools have nothing to do with each other.
        _ = interval.ends(&Interval::new(&REAL, other, mapping), hash);
    }
}
