//! Where placement groups and objects are.

use ringbd_proto::crush::Workspace;
use ringbd_proto::hash::object_hash;
use ringbd_proto::osdmap::{OsdMap, Osds, PlacementError};
use ringbd_proto::types::{OsdId, PgId, PoolId};
use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::numbers::{fixed, short};

/// How much is said of a placement group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dump {
    /// Who serves it.
    Acting,
    /// Who CRUSH alone says, who should serve it, and who does.
    All,
}

/// Where an object is.
pub(crate) fn object_line(
    map: &OsdMap,
    pool: PoolId,
    namespace: &str,
    name: &str,
) -> Result<String, PlacementError> {
    let pg = map.pg(pool, object_hash(namespace.as_bytes(), name.as_bytes()))?;
    let mapping = map.place(pg, &mut Workspace::default())?;
    Ok(format!(" object '{name}' -> {pg} -> {}\n", Osds(&mapping.acting)))
}

/// Where all placement groups of a pool, or of all pools, are, and how they are spread over the OSDs.
pub(crate) fn pg_lines(map: &OsdMap, pool: Option<PoolId>, dump: Dump) -> Result<String, PlacementError> {
    let mut text = String::new();
    let mut spread = Spread::new(map);
    let mut workspace = Workspace::default();
    for (id, found) in map.pools().filter(|(id, _)| pool.is_none_or(|pool| pool == *id)) {
        let _ = writeln!(text, "pool {id} pg_num {}", found.pg_num);
        for seed in 0..found.pg_num {
            let pg = PgId { pool: id, seed };
            let mapping = map.place(pg, &mut workspace)?;
            let primary = mapping.acting_primary;
            let _ = match dump {
                Dump::Acting => writeln!(text, "{pg}\t{}\t{}", Osds(&mapping.acting), number(primary)),
                Dump::All => {
                    let raw = map.place_by_crush(pg, &mut workspace)?;
                    let first = raw.iter().copied().find(|osd| *osd != OsdId::NONE);
                    writeln!(text, "{pg} raw ({}, p{}) {mapping}", Osds(&raw), number(first))
                }
            };
            spread.add(&mapping.acting, primary);
        }
    }
    Ok(text + &spread.lines(map))
}

/// The number that stands for an OSD; −1 for nobody.
fn number(osd: Option<OsdId>) -> i32 {
    osd.map_or(-1, |osd| osd.0)
}

/// How often an OSD serves placement groups.
#[derive(Debug, Default, Clone, Copy)]
struct Count {
    all: u64,
    first: u64,
    primary: u64,
}

/// How placement groups are spread.
#[derive(Debug)]
struct Spread {
    counts: Vec<Count>,
    /// Placement groups by how many OSDs they have.
    sizes: BTreeMap<usize, u64>,
}

impl Spread {
    fn new(map: &OsdMap) -> Spread {
        Spread { counts: vec![Count::default(); map.max_osd()], sizes: BTreeMap::new() }
    }

    fn count(&mut self, osd: OsdId) -> Option<&mut Count> {
        usize::try_from(osd.0).ok().and_then(|osd| self.counts.get_mut(osd))
    }

    fn add(&mut self, osds: &[OsdId], primary: Option<OsdId>) {
        *self.sizes.entry(osds.len()).or_default() += 1;
        // Holes, and primaries that have no room in the map, count nowhere.
        for osd in osds {
            self.count(*osd).into_iter().for_each(|count| count.all += 1);
        }
        osds.first().and_then(|osd| self.count(*osd)).into_iter().for_each(|count| count.first += 1);
        primary.and_then(|osd| self.count(osd)).into_iter().for_each(|count| count.primary += 1);
    }

    fn lines(&self, map: &OsdMap) -> String {
        let mut text = "#osd\tcount\tfirst\tprimary\tc wt\twt\n".to_owned();
        let weight = |osd: i32| map.osd_weight(OsdId(osd)).unwrap_or(0);
        let takes_part =
            |osd: i32| map.exists(OsdId(osd)) && weight(osd) > 0 && map.crush().device_weight(osd) > 0;
        let counted: Vec<(i32, Count)> = (0..).zip(self.counts.iter().copied()).collect();
        let counted: Vec<(i32, Count)> = counted.into_iter().filter(|(osd, _)| takes_part(*osd)).collect();
        for (osd, Count { all, first, primary }) in &counted {
            let (crush, own) = (fixed(map.crush().device_weight(*osd)), fixed(weight(*osd)));
            let _ = writeln!(text, "osd.{osd}\t{all}\t{first}\t{primary}\t{crush}\t{own}");
        }
        let total: u64 = counted.iter().map(|(_, count)| count.all).sum();
        let osds = counted.len() as f64;
        let average = total.checked_div(counted.len() as u64).unwrap_or(0);
        let square = |count: u64| (average as f64 - count as f64).powi(2);
        let deviation = (counted.iter().map(|(_, count)| square(count.all)).sum::<f64>() / osds).sqrt();
        let expected = (total as f64 / osds * (1.0 - 1.0 / osds)).sqrt();
        let _ = writeln!(text, " in {}", counted.len());
        let of_average = |number: f64| short(number / average as f64);
        let _ = writeln!(
            text,
            " avg {average} stddev {} ({}x) (expected {} {}x))",
            short(deviation),
            of_average(deviation),
            short(expected),
            of_average(expected)
        );
        let used = || counted.iter().filter(|(_, count)| count.all > 0);
        if let Some((osd, count)) = used().min_by_key(|(_, count)| count.all) {
            let _ = writeln!(text, " min osd.{osd} {}", count.all);
        }
        // The first of several, as for the minimum.
        if let Some((osd, count)) = used().rev().max_by_key(|(_, count)| count.all) {
            let _ = writeln!(text, " max osd.{osd} {}", count.all);
        }
        for (size, pgs) in &self.sizes {
            let _ = writeln!(text, "size {size}\t{pgs}");
        }
        text
    }
}
