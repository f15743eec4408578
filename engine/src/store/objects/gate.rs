//! An object's gate: many may share it (reads, aligned writes), or one may hold it alone (read-modify-write, freeing).
//!
//! Four bytes of state in the slot table, so that passing an uncontended gate is one look-up and one addition. Only who
//! has to wait costs more: see `LocalObjects::wait_at`.

/// The state of one gate: how many share it, and flags.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Gate(u32);

/// How a gate is held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Access {
    /// With others that share it.
    Shared,
    /// Alone.
    Exclusive,
}

impl Gate {
    pub(super) const FREE: Self = Self(0);
    const EXCLUSIVE: u32 = 1 << 31;
    /// Somebody waits, so newcomers queue up behind.
    const WAITED_FOR: u32 = 1 << 30;
    /// A write was abandoned: the kernel may still be doing it.
    const ABANDONED: u32 = 1 << 29;
    const SHARERS: u32 = Self::ABANDONED - 1;

    /// Passes if nobody is in the way. `queued` says that the caller has waited its turn.
    pub(super) fn try_enter(&mut self, access: Access, queued: bool) -> bool {
        let waits_behind = self.0 & Self::WAITED_FOR != 0 && !queued && !self.is_free();
        match access {
            _ if waits_behind => false,
            Access::Shared if self.0 & Self::EXCLUSIVE == 0 => {
                assert!(self.0 & Self::SHARERS < Self::SHARERS, "half a billion operations on one object");
                self.0 += 1;
                true
            }
            Access::Exclusive if self.is_free() => {
                self.0 |= Self::EXCLUSIVE;
                true
            }
            Access::Shared | Access::Exclusive => false,
        }
    }

    /// Joins in whatever the state: for work done in the name of one who is inside.
    pub(super) fn join(&mut self) {
        assert!(!self.is_free(), "nobody is inside");
        self.0 += 1;
    }

    /// Leaves; true if the gate became free and somebody waits.
    pub(super) fn leave(&mut self, access: Access) -> bool {
        match access {
            Access::Shared => {
                assert!(self.0 & Self::SHARERS > 0, "left without having entered");
                self.0 -= 1;
            }
            Access::Exclusive => {
                assert!(self.0 & Self::EXCLUSIVE != 0, "left without having entered");
                self.0 &= !Self::EXCLUSIVE;
            }
        }
        self.is_free() && self.0 & Self::WAITED_FOR != 0
    }

    pub(super) fn set_waited_for(&mut self, waited_for: bool) {
        if waited_for {
            self.0 |= Self::WAITED_FOR;
        } else {
            self.0 &= !Self::WAITED_FOR;
        }
    }

    pub(super) fn abandon(&mut self) {
        self.0 |= Self::ABANDONED;
    }

    pub(super) fn is_abandoned(self) -> bool {
        self.0 & Self::ABANDONED != 0
    }

    /// True if nobody is inside.
    pub(super) fn is_free(self) -> bool {
        self.0 & (Self::EXCLUSIVE | Self::SHARERS) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sharers_keep_the_exclusive_out_and_the_other_way_round() {
        let mut gate = Gate::FREE;
        assert!(gate.try_enter(Access::Shared, false));
        assert!(gate.try_enter(Access::Shared, false));
        assert!(!gate.try_enter(Access::Exclusive, false));
        assert!(!gate.leave(Access::Shared));
        assert!(!gate.leave(Access::Shared));
        assert!(gate.try_enter(Access::Exclusive, false));
        assert!(!gate.try_enter(Access::Shared, true));
        assert!(!gate.leave(Access::Exclusive));
        assert_eq!(gate, Gate::FREE);
    }

    #[test]
    fn newcomers_queue_behind_a_waiter() {
        let mut gate = Gate::FREE;
        assert!(gate.try_enter(Access::Shared, false));
        gate.set_waited_for(true);
        assert!(!gate.try_enter(Access::Shared, false), "an exclusive waiter must not starve");
        assert!(gate.leave(Access::Shared), "it must be woken");
        assert!(gate.try_enter(Access::Exclusive, true));
    }

    #[test]
    fn a_stale_waiting_mark_stops_nobody() {
        let mut gate = Gate::FREE;
        gate.set_waited_for(true);
        assert!(gate.try_enter(Access::Shared, false), "whoever waited has gone");
    }
}
