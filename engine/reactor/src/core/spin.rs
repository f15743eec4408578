//! Whether a core that has nothing to do looks for work before it sleeps.
//!
//! Looking is worth it where work comes within microseconds, from another core or a fast disk, and only burns CPU where it
//! does not, as behind a network. So the rule: a core looks as long as it finds something. Each time in succession that
//! it finds nothing, it sleeps twice as often without looking before it tries again.

use std::cell::Cell;
use std::time::Duration;

/// Sleeps without a look before it, at most: a core notices within so many that work comes quickly again.
const SKIP_MAX: u32 = 63;

/// The core's memory of what looking brought.
#[derive(Debug)]
pub(super) struct Spin {
    /// For how long it looks; zero: never.
    time: Duration,
    /// Looks in succession that found nothing.
    in_vain: Cell<u32>,
    /// Sleeps that are still to come without a look.
    skip: Cell<u32>,
}

impl Spin {
    pub(super) fn new(time: Duration) -> Spin {
        Spin { time, in_vain: Cell::new(0), skip: Cell::new(0) }
    }

    /// For how long to look before this sleep; `None`: not at all.
    pub(super) fn before_sleep(&self) -> Option<Duration> {
        match self.skip.get() {
            _ if self.time.is_zero() => None,
            0 => Some(self.time),
            skip => {
                self.skip.set(skip - 1);
                None
            }
        }
    }

    /// What a look brought.
    pub(super) fn looked(&self, found: bool) {
        if found {
            return self.in_vain.set(0);
        }
        let in_vain = self.in_vain.get();
        self.skip.set(((1 << in_vain) - 1).min(SKIP_MAX));
        if self.skip.get() < SKIP_MAX {
            self.in_vain.set(in_vain + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sleeps until the next look.
    fn skipped(spin: &Spin) -> u32 {
        (0..).take_while(|_| spin.before_sleep().is_none()).count() as u32
    }

    #[test]
    fn who_finds_nothing_looks_less_and_less_often() {
        let spin = Spin::new(Duration::from_micros(20));
        for expected in [0, 0, 1, 3, 7, 15, 31, 63, 63, 63] {
            assert_eq!(skipped(&spin), expected);
            spin.looked(false);
        }
    }

    #[test]
    fn who_finds_something_goes_on_looking() {
        let spin = Spin::new(Duration::from_micros(20));
        for _ in 0..20 {
            assert_eq!(skipped(&spin), 0);
            spin.looked(true);
        }
        for _ in 0..9 {
            skipped(&spin);
            spin.looked(false);
        }
        assert_eq!(skipped(&spin), 63);
        spin.looked(true);
        assert_eq!(skipped(&spin), 0);
        spin.looked(false);
        assert_eq!(skipped(&spin), 0, "one look in vain says little");
    }

    #[test]
    fn who_may_not_look_never_does() {
        let spin = Spin::new(Duration::ZERO);
        assert!((0..100).all(|_| spin.before_sleep().is_none()));
    }
}
