//! The OSDs' map, epoch by epoch, with what OSDs derive of it: since when a placement group has had its primary.

use ringbd_proto::codec::Encoder;
use ringbd_proto::crush::{Algorithm, Bucket, ChooseOrder, CrushMap, CrushParts, Rule, Step, Workspace};
use ringbd_proto::osdmap::{
    Incremental, MapFlags, OsdMap, OsdState, PgMapping, Pool, PoolFlags, PoolKind, Release, WEIGHT_IN,
    stable_mod,
};
use ringbd_proto::types::{EntityAddrVec, Epoch, Fsid, OsdId, PgId, PoolId, SpgId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The pool that tests write to.
pub const DATA: PoolId = PoolId(1);
/// An erasure-coded pool that tests write to.
pub const CODED: PoolId = PoolId(2);
/// What the pool is called that may be deleted, and made again under another number.
pub const OTHER: &str = "other";
/// Its first number.
const FIRST_OTHER: PoolId = PoolId(3);

/// More hashes than any pool here has placement groups, and all that matters of a hash.
const HASHES: u32 = 64;

/// Encoded epochs.
pub type Blobs<'a> = Vec<(Epoch, &'a [u8])>;

/// One epoch.
#[derive(Debug)]
pub struct Epochal {
    /// The map.
    pub map: Arc<OsdMap>,
    whole: Vec<u8>,
    incremental: Vec<u8>,
    leads: BTreeMap<PgId, Lead>,
    /// By pool: the last epoch in which there was no room.
    full: BTreeMap<PoolId, Epoch>,
}

/// Who leads a placement group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lead {
    /// The OSD, and the shard that it has of the group.
    pub osd: Option<(OsdId, SpgId)>,
    /// Since when without a break.
    pub since: Epoch,
    /// Since when the whole group is as it is. When it changes, OSDs forget who watches, and who was notified.
    pub interval: Epoch,
    mapping: PgMapping,
}

impl Lead {
    /// Whether it is that OSD, for that shard.
    pub fn is(&self, osd: OsdId, spg: SpgId) -> bool {
        self.osd == Some((osd, spg))
    }
}

/// All epochs, from 1.
#[derive(Debug, Default)]
pub struct Maps {
    epochs: Vec<Epochal>,
    /// Those before were forgotten by the monitors.
    oldest: u32,
}

impl Maps {
    /// The newest epoch.
    pub fn newest(&self) -> Epoch {
        Epoch(u32::try_from(self.epochs.len()).expect("few epochs are made"))
    }

    /// The oldest epoch that monitors and OSDs still have.
    pub fn oldest(&self) -> Epoch {
        Epoch(self.oldest.max(1))
    }

    /// Forgets all epochs but the newest, so that who has an older one needs a whole map.
    pub fn trim(&mut self) {
        self.oldest = self.newest().0;
    }

    /// The map of an epoch.
    pub fn map(&self, epoch: Epoch) -> &Arc<OsdMap> {
        &self.at(epoch).map
    }

    fn at(&self, epoch: Epoch) -> &Epochal {
        &self.epochs[epoch.0 as usize - 1]
    }

    /// Who leads a placement group in an epoch; none if there is no such group.
    pub fn lead(&self, epoch: Epoch, pg: PgId) -> Option<&Lead> {
        self.at(epoch).leads.get(&pg)
    }

    /// The last epoch up to that one in which a pool had no room.
    pub fn last_full(&self, epoch: Epoch, pool: PoolId) -> Epoch {
        self.at(epoch).full.get(&pool).copied().unwrap_or_default()
    }

    /// The placement groups that an OSD leads in an epoch, and since when.
    pub fn led_by(&self, epoch: Epoch, osd: OsdId) -> impl Iterator<Item = (PgId, Epoch)> + '_ {
        let leads = self.at(epoch).leads.iter();
        let its = move |lead: &Lead| lead.osd.is_some_and(|(lead, _)| lead == osd);
        leads.filter(move |(_, lead)| its(lead)).map(|(pg, lead)| (*pg, lead.since))
    }

    /// What brings who has `have` up to `to`: incrementals if they are there, else a whole map.
    pub fn steps(&self, have: Epoch, to: Epoch) -> (Blobs<'_>, Blobs<'_>) {
        if have.0 == 0 || have.0 + 1 < self.oldest().0 {
            return (Vec::new(), vec![(to, &self.at(to).whole[..])]);
        }
        let next = (have.0 + 1..=to.0).map(Epoch);
        (next.map(|epoch| (epoch, &self.at(epoch).incremental[..])).collect(), Vec::new())
    }

    /// Begins with an empty map.
    pub fn begin(fsid: Fsid, osds: usize, size: u8, pg_num: u32) -> Maps {
        let mut maps = Maps::default();
        let coded = coded_pool(size, pg_num.div_ceil(2));
        let (data, other) = (Pool::replicated(size, pg_num), other_pool());
        let pools = [(DATA, "data", data), (CODED, "coded", coded), (FIRST_OTHER, OTHER, other)];
        let count = i32::try_from(osds).expect("few OSDs are made");
        let change = Incremental {
            fsid,
            epoch: Epoch(1),
            crush: Some(Arc::new(crush(count))),
            flags: Some(MapFlags::SORT_BITWISE),
            pool_max: Some(3),
            max_osd: Some(osds),
            new_pool_names: pools.iter().map(|(id, name, _)| (*id, (*name).to_owned())).collect(),
            new_pools: pools.into_iter().map(|(id, _, pool)| (id, Arc::new(pool))).collect(),
            new_state: (0..count).map(|osd| (OsdId(osd), OsdState::EXISTS)).collect(),
            new_weight: (0..count).map(|osd| (OsdId(osd), WEIGHT_IN)).collect(),
            require_osd_release: Some(Release::PACIFIC),
            ..Incremental::default()
        };
        maps.push(&OsdMap::empty(), &change);
        maps
    }

    /// Makes the next epoch.
    pub fn publish(&mut self, change: impl FnOnce(&OsdMap, &mut Incremental)) -> Epoch {
        let map = self.map(self.newest()).clone();
        let mut incremental = Incremental::after(&map);
        change(&map, &mut incremental);
        self.push(&map, &incremental);
        self.newest()
    }

    fn push(&mut self, before: &OsdMap, change: &Incremental) {
        let map = before.apply(change).expect("what the model publishes applies");
        let leads = self.leads(&map);
        let mut full = self.epochs.last().map_or_else(BTreeMap::new, |before| before.full.clone());
        let now = map.pools().filter(|(_, pool)| {
            map.flags().has(MapFlags::FULL) || pool.flags.has(PoolFlags::FULL | PoolFlags::FULL_QUOTA)
        });
        full.extend(now.map(|(id, _)| (id, map.epoch())));
        let (whole, incremental) =
            (Encoder::to_vec(|e| map.encode(e)), Encoder::to_vec(|e| change.encode(e)));
        self.epochs.push(Epochal { map: Arc::new(map), whole, incremental, leads, full });
    }

    fn leads(&self, map: &OsdMap) -> BTreeMap<PgId, Lead> {
        let mut workspace = Workspace::default();
        let mut leads = BTreeMap::new();
        for (id, pool) in map.pools() {
            let former = self.epochs.last().and_then(|before| before.map.pool(id));
            for pg in (0..pool.pg_num).map(|seed| PgId { pool: id, seed }) {
                let mapping = map.place(pg, &mut workspace).expect("the model's map places everything");
                let known = self.epochs.last().and_then(|before| before.leads.get(&pg));
                // A group that is divided or joined begins anew, and so does one that is about to be.
                let known = known.filter(|_| {
                    former.is_some_and(|former| {
                        members(former.pg_num, pg) == members(pool.pg_num, pg)
                            && members(former.pg_num_pending, pg) == members(pool.pg_num_pending, pg)
                    })
                });
                let osd = mapping.acting_primary.map(|osd| (osd, mapping.spg(pg)));
                let same_lead = known.filter(|known| known.osd == osd);
                let same_interval = known.filter(|known| known.mapping == mapping);
                let since = same_lead.map_or(map.epoch(), |known| known.since);
                let interval = same_interval.map_or(map.epoch(), |known| known.interval);
                leads.insert(pg, Lead { osd, since, interval, mapping });
            }
        }
        leads
    }
}

/// The hashes whose objects lie in a placement group, one bit each.
fn members(pg_num: u32, pg: PgId) -> u64 {
    (0..HASHES).filter(|hash| stable_mod(*hash, pg_num) == pg.seed).fold(0, |all, hash| all | 1 << hash)
}

/// A pool that may be deleted.
fn other_pool() -> Pool {
    Pool::replicated(2, 4)
}

/// An erasure-coded pool.
fn coded_pool(size: u8, pg_num: u32) -> Pool {
    Pool {
        kind: PoolKind::Erasure,
        crush_rule: 1,
        flags: PoolFlags::HASH_PS_POOL | PoolFlags::EC_OVERWRITES,
        stripe_width: 8192,
        ..Pool::replicated(size, pg_num)
    }
}

/// The changes that tests make.
pub mod change {
    use super::{
        Arc, EntityAddrVec, FIRST_OTHER, Incremental, MapFlags, OTHER, OsdId, OsdMap, OsdState, Pool,
        PoolFlags, PoolId, other_pool,
    };

    /// An OSD comes up at an address.
    pub fn up(change: &mut Incremental, osd: OsdId, addrs: EntityAddrVec) {
        change.new_up.insert(osd, addrs);
    }

    /// An OSD is marked down, if it is up.
    pub fn down(map: &OsdMap, change: &mut Incremental, osd: OsdId) {
        if map.is_up(osd) {
            change.new_state.insert(osd, OsdState::UP);
        }
    }

    /// Changes a pool that is never deleted.
    pub fn pool(map: &OsdMap, change: &mut Incremental, id: PoolId, with: impl FnOnce(Pool) -> Pool) {
        let before = map.pool(id).expect("the pools of the data are never deleted");
        let after = Pool { last_change: change.epoch, ..with((**before).clone()) };
        change.new_pools.insert(id, Arc::new(after));
    }

    /// A pool is full, or not any more.
    pub fn full(map: &OsdMap, change: &mut Incremental, id: PoolId, full: bool) {
        pool(map, change, id, |pool| {
            let flags = if full { pool.flags | PoolFlags::FULL } else { pool.flags.without(PoolFlags::FULL) };
            Pool { flags, ..pool }
        });
    }

    /// Reads and writes are paused, or not any more.
    pub fn paused(map: &OsdMap, change: &mut Incremental, paused: bool) {
        let both = MapFlags::PAUSE_READS | MapFlags::PAUSE_WRITES;
        change.flags = Some(if paused { map.flags() | both } else { map.flags().without(both) });
    }

    /// The other pool is deleted, if it is there.
    pub fn delete_other(map: &OsdMap, change: &mut Incremental) {
        change.old_pools.extend(map.pool_named(OTHER));
    }

    /// The other pool is made, under a new number, if it is not there.
    pub fn make_other(map: &OsdMap, change: &mut Incremental) {
        if map.pool_named(OTHER).is_some() {
            return;
        }
        // No other epoch has given this number away.
        let id = PoolId(FIRST_OTHER.0 + i64::from(change.epoch.0));
        change.pool_max = i32::try_from(id.0).ok();
        change.new_pools.insert(id, Arc::new(other_pool()));
        change.new_pool_names.insert(id, OTHER.to_owned());
    }
}

/// One root with all OSDs, and two rules that pick OSDs of it: for copies, and for shards, which keep their places.
fn crush(osds: i32) -> CrushMap {
    let root = Bucket {
        type_id: 1,
        hash: 0,
        weight: WEIGHT_IN * osds.unsigned_abs(),
        items: (0..osds).collect(),
        algorithm: Algorithm::Straw2 { weights: vec![WEIGHT_IN; osds.unsigned_abs() as usize] },
    };
    let rule = |kind: PoolKind, ruleset, order| {
        let choose = Step::Choose { order, leaf: false, count: 0, type_id: 0 };
        Some(Rule {
            ruleset,
            pool_type: kind.number(),
            min_size: 1,
            max_size: 10,
            steps: vec![Step::Take(-1), choose, Step::Emit],
        })
    };
    let copies = rule(PoolKind::Replicated, 0, ChooseOrder::Firstn);
    let shards = rule(PoolKind::Erasure, 1, ChooseOrder::Indep);
    let parts = CrushParts {
        buckets: vec![Some(root)],
        rules: vec![copies, shards],
        type_names: [(0, "osd".to_owned()), (1, "root".to_owned())].into(),
        item_names: std::iter::once((-1, "default".to_owned()))
            .chain((0..osds).map(|osd| (osd, format!("osd.{osd}"))))
            .collect(),
        rule_names: [(0, "replicated".to_owned()), (1, "erasure".to_owned())].into(),
        ..CrushParts::default()
    };
    CrushMap::new(parts).expect("one bucket of OSDs has no faults")
}
