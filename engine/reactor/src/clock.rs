//! Time and chance as a core sees them: the machine's own, or the simulation's.
//!
//! Nothing above this crate reads a clock or draws a random number in any other way.

use crate::core::Core;
use std::ops::Add;
use std::time::Duration;

/// A point in time: nanoseconds since an arbitrary start (boot, or the start of the simulation).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    pub(crate) const fn from_nanos(nanos: u64) -> Instant {
        Instant(nanos)
    }

    /// Nanoseconds since the world's start.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Time since `earlier`, zero if `earlier` is later.
    pub const fn duration_since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Time since this instant, by the clock of the running core.
    pub fn elapsed(self) -> Duration {
        now().duration_since(self)
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    /// Saturates at the end of time, so `now + Duration::MAX` means "never".
    fn add(self, duration: Duration) -> Instant {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Instant(self.0.saturating_add(nanos))
    }
}

/// The current time, by the clock of the running core.
pub fn now() -> Instant {
    Core::with(Core::now)
}

/// A random number: the machine's, or the simulation's seeded one.
pub fn random_u64() -> u64 {
    Core::with(Core::random_u64)
}

/// Fills `bytes` with what keys and challenges are made of: from the kernel's generator, or the simulation's seeded one.
pub fn fill_random(bytes: &mut [u8]) {
    Core::with(|core| match core.world().as_simulated() {
        Some(world) => {
            for chunk in bytes.chunks_mut(8) {
                chunk.copy_from_slice(&world.random_u64().to_le_bytes()[..chunk.len()]);
            }
        }
        None => machine_random(bytes),
    });
}

/// The kernel's random numbers.
fn machine_random(mut bytes: &mut [u8]) {
    while !bytes.is_empty() {
        // SAFETY: the pointer and the length are those of `bytes`, which the call fills from its start.
        let n = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
        match usize::try_from(n) {
            Ok(n) => bytes = &mut bytes[n..],
            Err(_) => {
                let error = std::io::Error::last_os_error();
                assert!(
                    error.kind() == std::io::ErrorKind::Interrupted,
                    "getrandom works on every kernel with io_uring: {error}"
                );
            }
        }
    }
}

/// Time since 1970, by the clock of the running core's world.
pub fn unix_time() -> Duration {
    Core::with(|core| core.world().unix_time())
}

/// The machine's monotonic clock.
pub(crate) fn machine_now() -> Instant {
    let t = clock_gettime(libc::CLOCK_MONOTONIC);
    Instant(u64::try_from(t.as_nanos()).expect("a monotonic clock fits 64 bits of nanoseconds for 584 years"))
}

/// Time since 1970, by the machine's wall clock.
pub(crate) fn machine_unix_time() -> Duration {
    clock_gettime(libc::CLOCK_REALTIME)
}

fn clock_gettime(clock: libc::clockid_t) -> Duration {
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `ts` is a live timespec; both clock ids exist on every Linux, so the call only writes `ts`.
    unsafe { libc::clock_gettime(clock, &raw mut ts) };
    Duration::new(ts.tv_sec.cast_unsigned(), u32::try_from(ts.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        let a = Instant::from_nanos(5);
        let b = a + Duration::from_nanos(7);
        assert_eq!(b.duration_since(a), Duration::from_nanos(7));
        assert_eq!(a.duration_since(b), Duration::ZERO);
        assert_eq!((b + Duration::MAX).as_nanos(), u64::MAX);
    }

    #[test]
    fn the_machine_clock_does_not_go_back() {
        let a = machine_now();
        let b = machine_now();
        assert!(b >= a);
        assert!(machine_unix_time() > Duration::from_secs(1_600_000_000));
    }
}
