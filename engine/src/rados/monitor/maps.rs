//! Keeping the OSDs' map up to date: incrementals onto the map that there is, a whole map where that fails.
//!
//! The rule: every core sees every map, in order, and is told when epochs in between are unknown.

use super::Monitor;
use super::refusal::other_cluster;
use crate::rados::connection::Fault;
use crate::rados::message::{MapStep, Message};
use crate::rados::status::MonitorStatus;
use ringbd_proto::message::{Front, FrontVersion};
use ringbd_proto::mon::{MOsdMap, MonInfo, MonMap};
use ringbd_proto::osdmap::{Incremental, OsdMap};
use ringbd_proto::types::{EntityAddr, Epoch, Fsid};
use std::sync::Arc;

#[derive(Default)]
pub(super) struct Maps {
    newest: Option<Arc<OsdMap>>,
    monmap: Option<MonMap>,
}

impl Maps {
    pub(super) fn newest(&self) -> Option<&Arc<OsdMap>> {
        self.newest.as_ref()
    }

    /// The newest map's epoch; 0 when there is none.
    pub(super) fn epoch(&self) -> Epoch {
        self.newest.as_ref().map_or(Epoch(0), |map| map.epoch())
    }

    /// The monitors, by rank.
    pub(super) fn monitors(&self) -> Vec<MonitorStatus> {
        let Some(map) = &self.monmap else { return Vec::new() };
        let rank = |name: &String| map.ranks.iter().position(|ranked| ranked == name);
        let mut all: Vec<_> = map.mons.iter().collect();
        all.sort_by_key(|mon| rank(&mon.name));
        let status =
            |mon: &MonInfo| MonitorStatus { name: mon.name.clone(), addr: mon.addrs.msgr2().copied() };
        all.into_iter().map(status).collect()
    }

    /// The name of the monitor at an address.
    pub(super) fn monitor_at(&self, addr: &EntityAddr) -> Option<String> {
        let mon = self
            .monmap
            .as_ref()?
            .mons
            .iter()
            .find(|mon| mon.addrs.msgr2().is_some_and(|at| at.socket == addr.socket))?;
        Some(mon.name.clone())
    }

    /// The cluster's identity by the monitors' own map.
    pub(super) fn monitors_fsid(&self) -> Option<Fsid> {
        self.monmap.as_ref().map(|map| map.fsid)
    }

    /// The cluster's identity, once a monitor has said it.
    pub(super) fn fsid(&self) -> Option<Fsid> {
        self.monitors_fsid().or_else(|| self.newest.as_ref().map(|map| map.fsid()))
    }
}

/// The map that an encoded incremental makes of one.
fn stepped(map: &OsdMap, blob: &[u8]) -> Result<OsdMap, String> {
    let incremental = Incremental::decode(blob).map_err(|error| error.to_string())?;
    map.apply(&incremental).map_err(|error| error.to_string())
}

impl Monitor {
    pub(super) fn take_monmap(&self, map: MonMap) {
        if !self.is_our_cluster(map.fsid) {
            return;
        }
        tracing::debug!(epoch = map.epoch.0, monitors = map.mons.len(), "map of the monitors");
        self.subscriptions.borrow_mut().monmap = map.epoch;
        self.hunt.borrow_mut().take_monmap(&map);
        let first = self.maps.borrow_mut().monmap.replace(map).is_none();
        if first {
            self.send_questions();
        }
    }

    /// Whether it is the cluster that the configuration names, or that we have known so far. If not the session is of no
    /// use, and whoever waits for the cluster is told.
    fn is_our_cluster(&self, fsid: Fsid) -> bool {
        let config = self.core.config();
        let expected = config.fsid.or(self.maps.borrow().fsid());
        let Some(expected) = expected.filter(|expected| *expected != fsid) else { return true };
        tracing::warn!(%expected, found = %fsid, "a map of another cluster is dropped");
        self.hunt.borrow_mut().found_in_vain();
        self.end_session(Fault::OtherCluster);
        self.settle(&Err(other_cluster(&config, expected, fsid)));
        false
    }

    /// Brings the map up to date with what a monitor or an OSD sent.
    pub(super) fn take_map_message(&self, versions: FrontVersion, front: &[u8]) {
        let message = match MOsdMap::decode(versions, front) {
            Ok(message) => message,
            Err(error) => return tracing::warn!(%error, "a message with maps is dropped"),
        };
        if !self.is_our_cluster(message.fsid) {
            return;
        }
        let had = self.maps.borrow().epoch();
        self.step_on(&message);
        let have = self.maps.borrow().epoch();
        if have > had {
            self.subscriptions.borrow_mut().got();
            self.settle(&Ok(()));
        }
        if have < message.newest {
            // There is more, or what came could not be used.
            self.want_map_after(have);
        }
        if self.needs_every_map() {
            self.want_map_after(have);
        }
    }

    /// While the map itself holds operations back, every newer one is wanted at once.
    fn needs_every_map(&self) -> bool {
        self.maps.borrow().newest().is_some_and(|map| {
            map.pauses_reads() || map.pools().any(|(_, pool)| map.pauses_writes(pool, true))
        })
    }

    fn step_on(&self, message: &MOsdMap<'_>) {
        loop {
            let have = self.maps.borrow().newest().cloned();
            let next = Epoch(have.as_ref().map_or(0, |map| map.epoch().0) + 1);
            let incremental = message.incrementals.iter().find(|(epoch, _)| *epoch == next);
            let step = match (&have, incremental) {
                (Some(map), Some((_, blob))) => stepped(map, blob).map(|map| (map, MapStep::Next)),
                (_, _) => {
                    let newer = message.fulls.iter().filter(|(epoch, _)| *epoch >= next);
                    let Some((epoch, blob)) = newer.min_by_key(|(epoch, _)| *epoch) else { return };
                    let step = if *epoch == next && have.is_some() { MapStep::Next } else { MapStep::Jump };
                    OsdMap::decode(blob).map(|map| (map, step)).map_err(|error| error.to_string())
                }
            };
            match step {
                Ok((map, step)) => self.publish_map(map, step),
                Err(error) => {
                    tracing::warn!(error, epoch = next.0, "a map cannot be used; asking for a whole one");
                    self.subscriptions.borrow_mut().want_whole();
                    return self.ask_for_maps();
                }
            }
        }
    }

    fn publish_map(&self, map: OsdMap, step: MapStep) {
        tracing::info!(epoch = map.epoch().0, ?step, flags = %map.flags(), "osdmap");
        let map = Arc::new(map);
        self.maps.borrow_mut().newest = Some(map.clone());
        self.publish(|| Message::Map { map: map.clone(), step });
    }
}
