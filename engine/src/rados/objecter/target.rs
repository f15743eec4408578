//! Where an operation goes by a map: object → placement group → the OSD that leads it, unless the map says to wait.

use crate::rados::error::OpError;
use ringbd_proto::crush::Workspace;
use ringbd_proto::osd::OsdFlags;
use ringbd_proto::osdmap::{Interval, OsdMap, PlacementError, PoolFlags};
use ringbd_proto::types::{Epoch, Errno, OsdId, PgId, PoolId, SpgId};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// Where an object is, as far as maps care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rados) struct Place {
    pub(in crate::rados) pool: PoolId,
    /// The hash of its name, or of what stands for it: all 32 bits.
    pub(in crate::rados) hash: u32,
}

/// Where an operation went, or would have gone, by the last map that it was looked at with.
#[derive(Debug, Default)]
pub(super) struct Target {
    interval: Option<Rc<Interval>>,
    /// It had to wait although there was somebody to send it to.
    paused: bool,
    /// The map.
    epoch: Epoch,
}

/// What to do with an operation.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Send it there.
    Go { osd: OsdId, spg: SpgId },
    /// Wait for another map.
    Wait,
    /// The map does not have the pool.
    NoPool,
    /// No map will help.
    Fail(OpError),
}

/// What a new map means for an operation that is with an OSD.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing.
    None,
    /// It has to be sent again, if only to the same OSD.
    Again,
}

impl Target {
    /// Looks at an operation on `place` with a map; tells what to do and whether that is news.
    pub(super) fn look(
        &mut self,
        map: &OsdMap,
        placements: &mut Placements,
        place: Place,
        writes: bool,
        flags: OsdFlags,
    ) -> (Fate, Change) {
        let (pg, interval) = match placements.of(map, place) {
            Ok(found) => found,
            Err(PlacementError::NoPool(_)) => return (Fate::NoPool, Change::Again),
            Err(error) => return (Fate::Fail(OpError::Unplaceable(Arc::new(error))), Change::Again),
        };
        let pool = map.pool(place.pool).expect("a placement group of the map has its pool there");
        if pool.flags.has(PoolFlags::EIO) {
            return (Fate::Fail(OpError::Errno(Errno::EIO.number())), Change::Again);
        }
        let heeds_full = !flags.contains(OsdFlags::FULL_TRY) && !flags.contains(OsdFlags::FULL_FORCE);
        let paused = if writes { map.pauses_writes(pool, heeds_full) } else { map.pauses_reads() };
        let forced = self.epoch > Epoch(0) && pool.force_resend.now > self.epoch;
        let resumed = self.paused && !paused;
        let moved = match &self.interval {
            Some(before) => !Rc::ptr_eq(before, interval) && before.ends(interval, place.hash),
            None => true,
        };
        let change = if moved || forced || resumed { Change::Again } else { Change::None };
        let fate = match interval.mapping.acting_primary {
            Some(osd) if !paused => Fate::Go { osd, spg: interval.mapping.spg(pg) },
            Some(_) | None => Fate::Wait,
        };
        *self = Target { interval: Some(interval.clone()), paused, epoch: map.epoch() };
        (fate, change)
    }

    /// Whether it waits for the end of a pause.
    pub(super) fn is_paused(&self) -> bool {
        self.paused
    }
}

/// Where placement groups are by the newest map, as far as it was asked.
#[derive(Default)]
pub(in crate::rados) struct Placements {
    epoch: Epoch,
    by_pg: HashMap<PgId, Rc<Interval>>,
    workspace: Workspace,
}

impl Placements {
    /// The placement group of an object, and where that is.
    pub(super) fn of(&mut self, map: &OsdMap, place: Place) -> Result<(PgId, &Rc<Interval>), PlacementError> {
        if self.epoch != map.epoch() {
            self.by_pg.clear();
            self.epoch = map.epoch();
        }
        let pg = map.pg(place.pool, place.hash)?;
        if !self.by_pg.contains_key(&pg) {
            let pool = map.pool(place.pool).ok_or(PlacementError::NoPool(place.pool))?;
            let mapping = map.place(pg, &mut self.workspace)?;
            self.by_pg.insert(pg, Rc::new(Interval::new(map, pool, mapping)));
        }
        Ok((pg, &self.by_pg[&pg]))
    }
}
