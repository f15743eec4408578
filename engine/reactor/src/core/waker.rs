//! A waker is a number: which core, which of its lives, which task, which of its lives. It owns nothing.
//!
//! A wake on the task's own core pushes to the ready queue; from elsewhere it goes through the core's inbox.
//! The generations wrap around, so a waker kept for a very long time may wake a stranger: a spurious wake,
//! which every future has to bear anyway.

use super::Core;
use super::inbox::wake_foreign;
use std::task::{RawWaker, RawWakerVTable, Waker};

const TASK_BITS: u32 = 24;
const TASK_GENERATION_BITS: u32 = 16;
const CORE_BITS: u32 = 12;
const CORE_GENERATION_BITS: u32 = 12;
const _: () = assert!(TASK_BITS + TASK_GENERATION_BITS + CORE_BITS + CORE_GENERATION_BITS == 64);
const _: () = assert!(super::inbox::CORES_MAX == 1 << CORE_BITS);
const _: () = assert!(usize::BITS == 64, "a task reference is carried in a pointer");

/// Tasks of one core alive at once.
pub(crate) const TASKS_MAX: u32 = (1 << TASK_BITS) - 1;
/// The task number of the future given to `block_on`, which is in no slab.
pub(crate) const ROOT: u32 = TASKS_MAX;

/// A packed reference to a task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TaskRef(u64);

impl TaskRef {
    pub(crate) fn new(core: u64, generation: u16, task: u32) -> TaskRef {
        debug_assert!(task <= ROOT);
        TaskRef(core | u64::from(generation) << TASK_BITS | u64::from(task))
    }

    /// The core's part of a reference, computed once per core.
    pub(crate) fn core_part(index: u16, generation: u16) -> u64 {
        (u64::from(generation) << CORE_BITS | u64::from(index)) << (TASK_BITS + TASK_GENERATION_BITS)
    }

    /// The low bits of a core's generation, as references carry it.
    pub(crate) fn core_generation(full: u32) -> u16 {
        (full & ((1 << CORE_GENERATION_BITS) - 1)) as u16
    }

    pub(crate) fn core_generation_of(self) -> u16 {
        (self.0 >> (TASK_BITS + TASK_GENERATION_BITS + CORE_BITS)) as u16
    }

    pub(crate) fn core_index(self) -> usize {
        (self.0 >> (TASK_BITS + TASK_GENERATION_BITS)) as usize & ((1 << CORE_BITS) - 1)
    }

    pub(crate) fn is_of(self, core: u64) -> bool {
        self.0 >> (TASK_BITS + TASK_GENERATION_BITS) == core >> (TASK_BITS + TASK_GENERATION_BITS)
    }

    pub(crate) fn task(self) -> u32 {
        self.0 as u32 & TASKS_MAX
    }

    pub(crate) fn generation(self) -> u16 {
        (self.0 >> TASK_BITS) as u16
    }

    pub(crate) fn waker(self) -> Waker {
        let data = std::ptr::without_provenance::<()>(self.0 as usize);
        // SAFETY: the functions of VTABLE treat the data pointer as a number and never read through it, so
        // they may be called from any thread, any number of times, at any time.
        unsafe { Waker::from_raw(RawWaker::new(data, &VTABLE)) }
    }
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(|data| RawWaker::new(data, &VTABLE), wake, wake, |_| {});

fn wake(data: *const ()) {
    let task = TaskRef(data.addr() as u64);
    if !Core::wake_if_current(task) {
        wake_foreign(task);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    proptest! {
        #[test]
        fn a_reference_gives_back_its_parts(
            core in 0u16..4096,
            life in 0u16..4096,
            task in 0u32..=ROOT,
            generation in any::<u16>(),
        ) {
            let part = TaskRef::core_part(core, life);
            let task_ref = TaskRef::new(part, generation, task);
            prop_assert_eq!(task_ref.core_index(), usize::from(core));
            prop_assert_eq!(task_ref.core_generation_of(), life);
            prop_assert_eq!(task_ref.task(), task);
            prop_assert_eq!(task_ref.generation(), generation);
            prop_assert!(task_ref.is_of(part));
            prop_assert!(!task_ref.is_of(TaskRef::core_part(core ^ 1, life)));
            prop_assert!(!task_ref.is_of(TaskRef::core_part(core, life ^ 1)));
        }
    }
}
