//! The map as a whole: line for line what `osdmaptool --print` says, less what only OSDs and monitors act on (how full OSDs
//! may be, their UUIDs, how long they lived, options of pools).

use ringbd_proto::osdmap::{AFFINITY_DEFAULT, OsdMap, OsdState, Osds, Pool, PoolKind, Release};
use ringbd_proto::types::{EntityAddrVec, OsdId, PoolId};
use std::fmt::{self, Write as _};

use super::numbers::{fixed, time};

/// All of it.
pub(crate) fn map_lines(map: &OsdMap) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = general(&mut text, map);
    for (id, pool) in map.pools() {
        let _ = pool_lines(&mut text, id, map.pool_name(id).unwrap_or("<unknown>"), pool);
    }
    let _ = writeln!(text, "\nmax_osd {}", map.max_osd());
    for osd in (0..).map(OsdId).take(map.max_osd()).filter(|osd| map.exists(*osd)) {
        let _ = osd_line(&mut text, map, osd);
    }
    let _ = writeln!(text);
    let _ = placement(&mut text, map);
    text
}

fn general(text: &mut String, map: &OsdMap) -> fmt::Result {
    writeln!(text, "epoch {}\nfsid {}", map.epoch(), map.fsid())?;
    writeln!(text, "created {}\nmodified {}", time(map.created()), time(map.modified()))?;
    writeln!(text, "flags {}\ncrush_version {}", map.flags(), map.crush_version())?;
    for (what, release) in [
        ("require_min_compat_client", map.require_min_compat_client()),
        ("require_osd_release", map.require_osd_release()),
    ] {
        if release != Release::default() {
            writeln!(text, "{what} {release}")?;
        }
    }
    writeln!(text)
}

fn pool_lines(text: &mut String, id: PoolId, name: &str, pool: &Pool) -> fmt::Result {
    write!(text, "pool {id} '{name}' ")?;
    match pool.kind {
        PoolKind::Replicated => text.write_str("replicated")?,
        PoolKind::Erasure => write!(text, "erasure profile {}", pool.erasure_code_profile)?,
        PoolKind::Other(_) => text.write_str("???")?,
    }
    let hash = match pool.object_hash {
        Pool::RJENKINS => "rjenkins",
        _ => "unknown",
    };
    write!(text, " size {} min_size {}", pool.size, pool.min_size)?;
    write!(text, " crush_rule {} object_hash {hash}", pool.crush_rule)?;
    write!(text, " pg_num {} pgp_num {}", pool.pg_num, pool.pgp_num)?;
    for (what, number, usual) in [
        ("pg_num_target", pool.pg_num_target, pool.pg_num),
        ("pgp_num_target", pool.pgp_num_target, pool.pgp_num),
        ("pg_num_pending", pool.pg_num_pending, pool.pg_num),
    ] {
        if number != usual {
            write!(text, " {what} {number}")?;
        }
    }
    let autoscale = ["off", "warn", "on"].get(usize::from(pool.autoscale_mode)).unwrap_or(&"???");
    write!(text, " autoscale_mode {autoscale} last_change {}", pool.last_change)?;
    let resend = pool.force_resend;
    if resend != Default::default() {
        write!(text, " lfor {}/{}/{}", resend.now, resend.before_nautilus, resend.before_luminous)?;
    }
    if pool.flags.0 != 0 {
        write!(text, " flags {}", pool.flags)?;
    }
    pool_limits(text, pool)?;
    text.write_str("\n")?;
    for (id, snap) in &pool.snaps {
        writeln!(text, "\tsnap {id} '{}' {}", snap.name, time(snap.stamp))?;
    }
    if !pool.removed_snaps.is_empty() {
        let ranges = pool.removed_snaps.iter();
        let ranges: Vec<String> =
            ranges.map(|range| format!("{:x}~{:x}", range.first.0, range.count)).collect();
        writeln!(text, "\tremoved_snaps [{}]", ranges.join(","))?;
    }
    Ok(())
}

fn pool_limits(text: &mut String, pool: &Pool) -> fmt::Result {
    for (what, number) in [("max_bytes", pool.quota_bytes), ("max_objects", pool.quota_objects)] {
        if number != 0 {
            write!(text, " {what} {number}")?;
        }
    }
    if !pool.tiers.is_empty() {
        let tiers: Vec<String> = pool.tiers.iter().map(PoolId::to_string).collect();
        write!(text, " tiers {}", tiers.join(","))?;
    }
    for (what, tier) in
        [("tier_of", pool.tier_of), ("read_tier", pool.read_tier), ("write_tier", pool.write_tier)]
    {
        if let Some(tier) = tier {
            write!(text, " {what} {tier}")?;
        }
    }
    write!(text, " stripe_width {}", pool.stripe_width)?;
    if pool.expected_objects != 0 {
        write!(text, " expected_num_objects {}", pool.expected_objects)?;
    }
    if pool.fast_read {
        text.write_str(" fast_read 1")?;
    }
    if !pool.applications.is_empty() {
        let names: Vec<&str> = pool.applications.keys().map(String::as_str).collect();
        write!(text, " application {}", names.join(","))?;
    }
    Ok(())
}

fn osd_line(text: &mut String, map: &OsdMap, osd: OsdId) -> fmt::Result {
    let (state, weight) = (map.osd_state(osd), map.osd_weight(osd).unwrap_or(0));
    let up = if map.is_up(osd) { "up  " } else { "down" };
    let place = if weight > 0 { "in " } else { "out" };
    write!(text, "osd.{osd} {up} {place} weight {}", fixed(weight))?;
    let affinity = map.primary_affinity(osd);
    if affinity != AFFINITY_DEFAULT {
        write!(text, " primary_affinity {}", fixed(affinity))?;
    }
    write!(text, " {}", map.osd_last_addrs(osd).unwrap_or(&EntityAddrVec::default()))?;
    writeln!(text, " {}", state_words(state))
}

/// The words for an OSD's state, in the order of the alphabet.
fn state_words(state: OsdState) -> String {
    let words = state.to_string();
    let mut words: Vec<&str> = words.split(',').collect();
    words.sort_unstable();
    words.join(",")
}

fn placement(text: &mut String, map: &OsdMap) -> fmt::Result {
    for (pg, osds) in map.pg_upmap() {
        writeln!(text, "pg_upmap {pg} {}", Osds(osds))?;
    }
    for (pg, pairs) in map.pg_upmap_items() {
        let osds: Vec<OsdId> = pairs.iter().flat_map(|&(from, to)| [from, to]).collect();
        writeln!(text, "pg_upmap_items {pg} {}", Osds(&osds))?;
    }
    for (pg, osd) in map.pg_upmap_primaries() {
        writeln!(text, "pg_upmap_primary {pg} {osd}")?;
    }
    for (pg, osds) in map.pg_temp() {
        writeln!(text, "pg_temp {pg} {}", Osds(osds))?;
    }
    for (pg, osd) in map.primary_temp() {
        writeln!(text, "primary_temp {pg} {osd}")?;
    }
    for (list, addrs) in
        [("blocklist", &map.blocklist().clients), ("range blocklist", &map.blocklist().ranges)]
    {
        for (addr, until) in addrs {
            writeln!(text, "{list} {addr} expires {}", time(*until))?;
        }
    }
    Ok(())
}
