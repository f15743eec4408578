//! The map of the monitors.

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::message::{Front, MessageKind};
use crate::types::{EntityAddrVec, Epoch, Fsid, Utime};

/// The version of a map that is written here.
const VERSION: u8 = 9;
/// The oldest that is read: since then a monitor has all its addresses.
const OLDEST: u8 = 6;
const MON_INFO_VERSION: u8 = 5;

/// A monitor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonInfo {
    /// Its name, without `mon.`
    pub name: String,
    /// Where it is.
    pub addrs: EntityAddrVec,
    /// Clients ask the lowest first.
    pub priority: u16,
    /// How often a client picks it among those of the same priority; all 0 is all alike.
    pub weight: u16,
    /// Where in the cluster it is, by kind of place. Clients have no use for it.
    pub crush_location: Vec<(String, String)>,
}

/// The monitors of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonMap {
    /// The cluster.
    pub fsid: Fsid,
    /// The map's version.
    pub epoch: Epoch,
    /// When it was last changed.
    pub last_changed: Utime,
    /// When the cluster began.
    pub created: Utime,
    /// What all monitors must understand, for ever.
    pub persistent_features: u64,
    /// What they must understand now.
    pub optional_features: u64,
    /// The monitors, by name.
    pub mons: Vec<MonInfo>,
    /// Their names, by rank.
    pub ranks: Vec<String>,
    /// The number of the oldest release that a monitor may have; 0 if the map is too old to say.
    pub min_mon_release: u8,
}

impl MonMap {
    /// Reads one.
    pub fn decode(d: &mut Decoder<'_>) -> Result<MonMap, DecodeError> {
        d.versioned("a map of monitors", VERSION, |d, version| {
            if version < OLDEST {
                return Err(d.invalid("a form older than any that a supported cluster sends"));
            }
            Ok(MonMap {
                fsid: Fsid::decode(d)?,
                epoch: Epoch::decode(d)?,
                last_changed: Utime::decode(d)?,
                created: Utime::decode(d)?,
                persistent_features: decode_features(d)?,
                optional_features: decode_features(d)?,
                mons: d.list(10, decode_mon)?,
                ranks: d.list(4, Decoder::string)?,
                min_mon_release: if version >= 7 { d.u8()? } else { 0 },
            })
        })
    }

    /// Writes it.
    pub fn encode(&self, e: &mut Encoder<'_>) {
        e.versioned(VERSION, OLDEST, |e| {
            self.fsid.encode(e);
            e.u32(self.epoch.0);
            self.last_changed.encode(e);
            self.created.encode(e);
            encode_features(e, self.persistent_features);
            encode_features(e, self.optional_features);
            e.list(self.mons.iter(), encode_mon);
            e.list(self.ranks.iter(), |e, name| {
                e.string(name);
            });
            e.u8(self.min_mon_release);
            // Removed ranks, the way of electing (1, the classic one) and who must not lead; then whether the cluster is
            // stretched over two places, the tie's breaker, and who was marked down for that.
            e.u32(0).u8(1).u32(0);
            e.bool(false).string("").u32(0);
        });
    }

    /// The monitor with that name.
    pub fn mon(&self, name: &str) -> Option<&MonInfo> {
        self.mons.iter().find(|mon| mon.name == name)
    }
}

fn decode_features(d: &mut Decoder<'_>) -> Result<u64, DecodeError> {
    d.versioned("a monitor's features", 1, |d, _| d.u64())
}

fn encode_features(e: &mut Encoder<'_>, features: u64) {
    e.versioned(1, 1, |e| {
        e.u64(features);
    });
}

/// An entry of the map from names to monitors. The name is in the monitor, too.
fn decode_mon(d: &mut Decoder<'_>) -> Result<MonInfo, DecodeError> {
    d.blob()?;
    d.versioned("a monitor", MON_INFO_VERSION, |d, version| {
        Ok(MonInfo {
            name: d.string()?,
            addrs: EntityAddrVec::decode(d)?,
            priority: if version >= 2 { d.u16()? } else { 0 },
            weight: if version >= 4 { d.u16()? } else { 0 },
            crush_location: match version {
                5.. => d.list(8, |d| Ok((d.string()?, d.string()?)))?,
                _ => Vec::new(),
            },
        })
    })
}

fn encode_mon(e: &mut Encoder<'_>, mon: &MonInfo) {
    let compat = if mon.crush_location.is_empty() { 1 } else { 4 };
    e.string(&mon.name).versioned(MON_INFO_VERSION, compat, |e| {
        e.string(&mon.name);
        mon.addrs.encode(e);
        e.u16(mon.priority).u16(mon.weight);
        e.list(mon.crush_location.iter(), |e, (kind, place)| {
            e.string(kind).string(place);
        });
    });
}

/// `MMonMap`: a monitor tells the map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MMonMap(pub MonMap);

impl<'a> Front<'a> for MMonMap {
    const KIND: MessageKind = MessageKind { number: 4, version: 1, compat: 1 };
    const WHAT: &'static str = "a message with the map of monitors";

    fn encode(&self, e: &mut Encoder<'_>) {
        e.nested(|e| self.0.encode(e));
    }

    fn decode_body(d: &mut Decoder<'a>, _: u16) -> Result<MMonMap, DecodeError> {
        MonMap::decode(&mut d.nested("a map of monitors")?).map(MMonMap)
    }
}

/// `MMonGetMap`: a client asks for the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MMonGetMap;

impl<'a> Front<'a> for MMonGetMap {
    const KIND: MessageKind = MessageKind { number: 5, version: 1, compat: 1 };
    const WHAT: &'static str = "a request for the map of monitors";

    fn encode(&self, _: &mut Encoder<'_>) {}

    fn decode_body(_: &mut Decoder<'a>, _: u16) -> Result<MMonGetMap, DecodeError> {
        Ok(MMonGetMap)
    }
}
