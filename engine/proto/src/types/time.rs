//! Points in time.

use crate::codec::{DecodeError, Decoder, Encoder};
use std::time::Duration;

/// Seconds and nanoseconds since 1970, or a span of time, as Ceph writes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Utime {
    /// Seconds.
    pub sec: u32,
    /// Nanoseconds beyond them.
    pub nsec: u32,
}

impl Utime {
    /// Reads one.
    pub fn decode(d: &mut Decoder<'_>) -> Result<Utime, DecodeError> {
        Ok(Utime { sec: d.u32()?, nsec: d.u32()? })
    }

    /// Writes it.
    pub fn encode(self, e: &mut Encoder<'_>) {
        e.u32(self.sec).u32(self.nsec);
    }

    /// As a span of time.
    pub fn as_duration(self) -> Duration {
        Duration::from_secs(u64::from(self.sec)) + Duration::from_nanos(u64::from(self.nsec))
    }
}

impl From<Duration> for Utime {
    /// Saturates in the year 2106.
    fn from(span: Duration) -> Utime {
        Utime { sec: u32::try_from(span.as_secs()).unwrap_or(u32::MAX), nsec: span.subsec_nanos() }
    }
}
