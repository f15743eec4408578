//! How the daemons behave that do nothing wrong: how slow they are, how busy, how far behind.

use std::time::Duration;

/// The manners of a cluster. By default it is quick, and every daemon knows everything at once.
#[derive(Clone, Debug)]
pub struct Manners {
    /// How likely an OSD is to be busy peering after it began to lead a placement group, and for how long at most.
    pub peering: (f64, Duration),
    /// How long an OSD takes to get a new map at most.
    pub map_lag: Duration,
    /// How long a monitor takes to get a new map at most.
    pub monitor_lag: Duration,
    /// How long OSDs take to answer at most; only some answers take so long.
    pub answer_lag: Duration,
    /// How long OSDs take to answer at least.
    pub answer_delay: Duration,
    /// How far the monitors' clocks are behind the OSDs'.
    pub clock_lag: Duration,
    /// How likely an object is to be busy when it is asked for.
    pub busy_objects: f64,
    /// How likely a read is to be answered by the request to ask anew.
    pub again: f64,
    /// How likely a map is to be broken on its way.
    pub broken_maps: f64,
    /// How likely an OSD is to take a client's map for a newer one than it is.
    pub gaps: f64,
    /// Maps in one message at most.
    pub maps_at_once: u32,
}

impl Default for Manners {
    fn default() -> Manners {
        Manners {
            peering: (0.0, Duration::ZERO),
            map_lag: Duration::ZERO,
            monitor_lag: Duration::ZERO,
            answer_lag: Duration::ZERO,
            answer_delay: Duration::ZERO,
            clock_lag: Duration::ZERO,
            busy_objects: 0.0,
            again: 0.0,
            broken_maps: 0.0,
            gaps: 0.0,
            // As Ceph's daemons do.
            maps_at_once: 40,
        }
    }
}
