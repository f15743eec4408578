//! The OSDs' map, epoch by epoch, with what OSDs derive of it: since when a placement group has had its primary.

use ringbd_proto::codec::Encoder;
use ringbd_proto::crush::{Algorithm, Bucket, ChooseOrder, CrushMap, CrushParts, Rule, Step, Workspace};
use ringbd_proto::osdmap::{
    Incremental, MapFlags, OsdMap, OsdState, Pool, PoolFlags, Release, WEIGHT_IN, stable_mod,
};
use ringbd_proto::types::{EntityAddrVec, Epoch, Fsid, OsdId, PgId, PoolId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The pool that tests write to.
pub const DATA: PoolId = PoolId(1);
/// A pool that may be deleted.
pub const OTHER: PoolId = PoolId(2);

/// Encoded epochs.
pub type Blobs<'a> = Vec<(Epoch, &'a [u8])>;

/// One epoch.
#[derive(Debug)]
pub struct Epochal {
    /// The map.
    pub map: Arc<OsdMap>,
    full: Vec<u8>,
    incremental: Vec<u8>,
    /// By placement group: who leads it, and since when without a break.
    leads: BTreeMap<PgId, (Option<OsdId>, Epoch)>,
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

    /// Who leads a placement group in an epoch, and since when; none if there is no such group.
    pub fn lead(&self, epoch: Epoch, pg: PgId) -> Option<(Option<OsdId>, Epoch)> {
        self.at(epoch).leads.get(&pg).copied()
    }

    /// The placement groups that an OSD leads in an epoch, and since when.
    pub fn led_by(&self, epoch: Epoch, osd: OsdId) -> impl Iterator<Item = (PgId, Epoch)> + '_ {
        let leads = self.at(epoch).leads.iter();
        leads.filter(move |(_, (lead, _))| *lead == Some(osd)).map(|(pg, (_, since))| (*pg, *since))
    }

    /// What brings who has `have` up to `to`: incrementals if they are there, else a whole map.
    pub fn steps(&self, have: Epoch, to: Epoch) -> (Blobs<'_>, Blobs<'_>) {
        if have.0 == 0 || have.0 + 1 < self.oldest().0 {
            return (Vec::new(), vec![(to, &self.at(to).full[..])]);
        }
        let next = (have.0 + 1..=to.0).map(Epoch);
        (next.map(|epoch| (epoch, &self.at(epoch).incremental[..])).collect(), Vec::new())
    }

    /// Begins with an empty map.
    pub fn begin(fsid: Fsid, osds: usize, size: u8, pg_num: u32) -> Maps {
        let mut maps = Maps::default();
        let pools = BTreeMap::from([(DATA, pg_num), (OTHER, 4)]);
        let pool = |pg_num| Arc::new(Pool::replicated(size, pg_num));
        let count = i32::try_from(osds).expect("few OSDs are made");
        let change = Incremental {
            fsid,
            epoch: Epoch(1),
            crush: Some(Arc::new(crush(count))),
            flags: Some(MapFlags::SORT_BITWISE),
            pool_max: Some(2),
            max_osd: Some(osds),
            new_pools: pools.into_iter().map(|(id, pg_num)| (id, pool(pg_num))).collect(),
            new_pool_names: [(DATA, "data".to_owned()), (OTHER, "other".to_owned())].into(),
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
        let (full, incremental) = (Encoder::to_vec(|e| map.encode(e)), Encoder::to_vec(|e| change.encode(e)));
        self.epochs.push(Epochal { map: Arc::new(map), full, incremental, leads });
    }

    fn leads(&self, map: &OsdMap) -> BTreeMap<PgId, (Option<OsdId>, Epoch)> {
        let mut workspace = Workspace::default();
        let mut leads = BTreeMap::new();
        for (id, pool) in map.pools() {
            let before = self.epochs.last();
            let former_pg_num = before.and_then(|before| before.map.pool(id)).map_or(0, |pool| pool.pg_num);
            for pg in (0..pool.pg_num).map(|seed| PgId { pool: id, seed }) {
                let placed = map.place(pg, &mut workspace).expect("the model's map places everything");
                let known = before.and_then(|before| before.leads.get(&pg));
                // A group that is divided begins anew.
                let splits =
                    (former_pg_num..pool.pg_num).any(|new| stable_mod(new, former_pg_num) == pg.seed);
                let since = match known {
                    Some((lead, since)) if *lead == placed.acting_primary && !splits => *since,
                    Some(_) | None => map.epoch(),
                };
                leads.insert(pg, (placed.acting_primary, since));
            }
        }
        leads
    }
}

/// The changes that tests make.
pub mod change {
    use super::{Arc, DATA, EntityAddrVec, Incremental, MapFlags, OsdId, OsdMap, OsdState, Pool, PoolFlags};

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

    /// Changes the pool of the data.
    pub fn pool(map: &OsdMap, change: &mut Incremental, with: impl FnOnce(Pool) -> Pool) {
        let before = map.pool(DATA).expect("the pool of the data is never deleted");
        let after = Pool { last_change: change.epoch, ..with((**before).clone()) };
        change.new_pools.insert(DATA, Arc::new(after));
    }

    /// The pool of the data is full, or not any more.
    pub fn full(map: &OsdMap, change: &mut Incremental, full: bool) {
        pool(map, change, |pool| {
            let flags = if full { pool.flags | PoolFlags::FULL } else { pool.flags.without(PoolFlags::FULL) };
            Pool { flags, ..pool }
        });
    }

    /// Reads and writes are paused, or not any more.
    pub fn paused(map: &OsdMap, change: &mut Incremental, paused: bool) {
        let both = MapFlags::PAUSE_READS | MapFlags::PAUSE_WRITES;
        change.flags = Some(if paused { map.flags() | both } else { map.flags().without(both) });
    }
}

/// One root with all OSDs, and a rule that picks OSDs of it.
fn crush(osds: i32) -> CrushMap {
    let root = Bucket {
        type_id: 1,
        hash: 0,
        weight: WEIGHT_IN * osds.unsigned_abs(),
        items: (0..osds).collect(),
        algorithm: Algorithm::Straw2 { weights: vec![WEIGHT_IN; osds.unsigned_abs() as usize] },
    };
    let choose = Step::Choose { order: ChooseOrder::Firstn, leaf: false, count: 0, type_id: 0 };
    let rule = Rule {
        ruleset: 0,
        pool_type: 1,
        min_size: 1,
        max_size: 10,
        steps: vec![Step::Take(-1), choose, Step::Emit],
    };
    let parts = CrushParts {
        buckets: vec![Some(root)],
        rules: vec![Some(rule)],
        type_names: [(0, "osd".to_owned()), (1, "root".to_owned())].into(),
        item_names: std::iter::once((-1, "default".to_owned()))
            .chain((0..osds).map(|osd| (osd, format!("osd.{osd}"))))
            .collect(),
        rule_names: [(0, "replicated".to_owned())].into(),
        ..CrushParts::default()
    };
    CrushMap::new(parts).expect("one bucket of OSDs has no faults")
}
