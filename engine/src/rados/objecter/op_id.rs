//! What an operation is called: its tid, which also says where it is at home.
//!
//! ```text
//! bit 63                    24 23        8 7      0
//!     the how-manieth of its core │  slot   │ core │
//! ```
//!
//! Tids are never used again in the life of a client, whatever happens to sessions and connections: an OSD takes a second
//! operation with the tid of a first for the same one, and says it was done. On one core they grow, so the order of the tids
//! of one object's operations is the order in which they were asked for.

use crate::rados::message::CoreNo;
use ringbd_proto::types::Tid;

const CORE_BITS: u32 = 8;
const SLOT_BITS: u32 = 16;

/// Operations of one core in flight: what fits the slot's part.
pub(in crate::rados) const OPS_MAX: usize = 1 << SLOT_BITS;

/// An operation of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::rados) struct OpId(Tid);

impl OpId {
    /// The `nth` operation of a core.
    pub(super) fn new(nth: u64, slot: usize, core: CoreNo) -> OpId {
        assert!(slot < OPS_MAX, "a core holds fewer operations in flight than 2^{SLOT_BITS}");
        assert!(nth < 1 << (64 - SLOT_BITS - CORE_BITS), "2^40 operations take a core longer than it lives");
        OpId(Tid(nth << (SLOT_BITS + CORE_BITS) | (slot as u64) << CORE_BITS | u64::from(core.0)))
    }

    /// Any operation, for tests of those who only name them.
    #[cfg(test)]
    pub(in crate::rados) fn of_test(nth: u64, core: CoreNo) -> OpId {
        OpId::new(nth, 0, core)
    }

    /// What it is called on the wire.
    pub(in crate::rados) fn tid(self) -> Tid {
        self.0
    }

    /// Where it is at home.
    pub(in crate::rados) fn core(self) -> CoreNo {
        CoreNo(self.0.0 as u8)
    }

    pub(super) fn slot(self) -> usize {
        (self.0.0 >> CORE_BITS) as usize & (OPS_MAX - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    proptest! {
        #[test]
        fn an_id_gives_back_its_parts(nth in 0u64..1 << 40, slot in 0usize..OPS_MAX, core in any::<u8>()) {
            let id = OpId::new(nth, slot, CoreNo(core));
            prop_assert_eq!((id.slot(), id.core(), id.tid().0 >> 24), (slot, CoreNo(core), nth));
            if nth > 0 {
                prop_assert!(OpId::new(nth - 1, OPS_MAX - 1, CoreNo(u8::MAX)) < id);
            }
        }
    }
}
