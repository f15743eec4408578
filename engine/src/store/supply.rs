//! Where clean slots come from: dirty ones are punched, then the space grows by a zone.
//!
//! The order of the steps is the promise. A punch is synced before its slot counts as clean, the file's growth is synced before the
//! metadata names the new zone, and a zone is in the metadata, durably, before anything is written into it. So whatever
//! moment the power fails at, a slot that an object gets reads as zeros until that object is written.

use std::sync::PoisonError;

use super::error::{Result, StoreError};
use super::layout::{DATA_START, Order, Slot, ZONE_SHIFT};
use super::metadata::ZONES;
use super::record::{self, ZoneRecord};
use super::shared::Shared;
use super::space::ZoneGrant;

/// The most zones taken at once: 256 MiB, so that a small store shared by several orders is not used up by one.
const GRANT_MAX: usize = 8;

/// Dirty slots are cleaned in runs of at most this many, so that one call does not hold a helper thread for long.
const RUN_MAX: u32 = 256;

/// What will be clean once it has been zeroed and synced.
#[derive(Default)]
struct Plan {
    runs: Vec<(Slot, u32)>,
    grants: Vec<ZoneGrant>,
}

impl Shared {
    /// Makes clean slots until `order` has `need + spare` of them. Fails only if there are fewer than `need` in the end.
    pub(super) fn supply(&self, order: Order, need: u64, spare: u64) -> Result<()> {
        let _one_at_a_time = self.supply.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let before = self.space().clean_count(order);
            let plan = self.plan(order, need + spare);
            let outcome = self.carry_out(plan);
            let after = self.space().clean_count(order);
            if after >= need {
                return Ok(());
            }
            outcome?;
            if after <= before {
                return Err(self.full());
            }
        }
    }

    /// The error for a space without free slots.
    pub(super) fn full(&self) -> StoreError {
        let usage = self.space().usage();
        let reason = format!(
            "{} of {} bytes are in use and no zone is left (discard or remove images, or move to a larger store)",
            usage.used_bytes, usage.capacity_bytes
        );
        StoreError::Full { dir: self.dir.clone(), reason }
    }

    /// Chooses: own dirty slots first, because their address space is there already, then zones.
    fn plan(&self, order: Order, wanted: u64) -> Plan {
        let mut space = self.space();
        let mut missing = wanted.saturating_sub(space.clean_count(order));
        let mut plan = Plan::default();
        while missing > 0 {
            let most = u32::try_from(missing).unwrap_or(RUN_MAX).min(RUN_MAX);
            let Some((first, count)) = space.take_dirty_run(order, most) else { break };
            plan.runs.push((first, count));
            missing = missing.saturating_sub(u64::from(count));
        }
        while missing > 0 && plan.grants.len() < GRANT_MAX {
            let Some(grant) = space.grant_zone(order) else { break };
            plan.grants.push(grant);
            missing = missing.saturating_sub(u64::from(space.geometry().slots_in(grant.zone, order)));
        }
        plan
    }

    fn carry_out(&self, plan: Plan) -> Result<()> {
        let zeroed = self.zero_plan(&plan);
        let committed = zeroed.clone().and_then(|()| self.commit_zones(&plan.grants));
        let mut space = self.space();
        for (first, count) in plan.runs {
            for index in first.index..first.index + count {
                let slot = Slot { index, ..first };
                if zeroed.is_ok() { space.release_clean(slot) } else { space.release_dirty(slot) }
            }
        }
        if committed.is_ok() {
            plan.grants.into_iter().for_each(|grant| space.publish_zone(grant, true));
        } else {
            plan.grants.into_iter().rev().for_each(|grant| space.abandon_zone(grant));
        }
        committed
    }

    /// Makes everything in the plan read as zeros, durably.
    fn zero_plan(&self, plan: &Plan) -> Result<()> {
        let geometry = self.space().geometry();
        let mut punched = false;
        for &(first, count) in &plan.runs {
            self.data.zero(first.address(), u64::from(count) << first.order.bits())?;
            punched = true;
        }
        for grant in &plan.grants {
            let start = DATA_START + (u64::from(grant.zone) << ZONE_SHIFT);
            let bytes = u64::from(geometry.slots_in(grant.zone, grant.order)) << grant.order.bits();
            // A zone that was cut short for large slots may reach further for small ones, so every zone asks.
            if !self.data.is_device() {
                self.data.grow(start + bytes, geometry)?;
            }
            // What a file grows by is zeros; a zone of a device, or one that was used before, is not.
            if !grant.grows || self.data.is_device() {
                self.data.zero(start, bytes)?;
                punched = true;
            }
        }
        if punched { self.data.sync() } else { Ok(()) }
    }

    fn commit_zones(&self, grants: &[ZoneGrant]) -> Result<()> {
        if grants.is_empty() {
            return Ok(());
        }
        self.metadata.write(|txn| {
            let mut zones = txn.open_table(ZONES)?;
            for grant in grants {
                let value = record::encode(&ZoneRecord { order: grant.order }, &grant.zone.to_le_bytes());
                zones.insert(grant.zone, value.as_slice())?;
            }
            Ok(())
        })
    }
}
