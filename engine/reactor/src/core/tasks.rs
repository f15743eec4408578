//! The tasks of a core: a slab of boxed futures, and the queue of those that may run.
//!
//! A task is queued at most once (`queued`). Its future is taken out of the slab while it runs, so a task may
//! spawn, wake and drop others without meeting a borrow.

use super::waker::TASKS_MAX;
use std::collections::VecDeque;
use std::pin::Pin;

pub(crate) type BoxedTask = Pin<Box<dyn Future<Output = ()>>>;

#[derive(Default)]
pub(crate) struct Tasks {
    slots: Vec<TaskSlot>,
    free: Vec<u32>,
    ready: VecDeque<u32>,
    live: usize,
}

struct TaskSlot {
    state: TaskState,
    generation: u16,
    queued: bool,
}

enum TaskState {
    Free,
    Resting(BoxedTask),
    Running,
}

impl Tasks {
    /// Adds a task and queues it; returns its slot.
    pub(crate) fn insert(&mut self, task: BoxedTask) -> u32 {
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                let index = u32::try_from(self.slots.len()).expect("a core holds fewer tasks than 2^32");
                assert!(index < TASKS_MAX, "a core holds fewer than {TASKS_MAX} tasks");
                self.slots.push(TaskSlot { state: TaskState::Free, generation: 0, queued: false });
                index
            }
        };
        let slot = &mut self.slots[index as usize];
        debug_assert!(matches!(slot.state, TaskState::Free));
        slot.state = TaskState::Resting(task);
        slot.queued = true;
        self.ready.push_back(index);
        self.live += 1;
        index
    }

    /// Queues the task if it is alive, of that generation, and not queued.
    pub(crate) fn wake(&mut self, index: u32, generation: u16) {
        let Some(slot) = self.slots.get_mut(index as usize) else { return };
        if slot.generation == generation && !slot.queued && !matches!(slot.state, TaskState::Free) {
            slot.queued = true;
            self.ready.push_back(index);
        }
    }

    /// Takes the next ready task out to run it.
    pub(crate) fn take_ready(&mut self) -> Option<(u32, u16, BoxedTask)> {
        while let Some(index) = self.ready.pop_front() {
            let slot = &mut self.slots[index as usize];
            slot.queued = false;
            match std::mem::replace(&mut slot.state, TaskState::Running) {
                TaskState::Resting(task) => return Some((index, slot.generation, task)),
                TaskState::Free => {
                    slot.state = TaskState::Free;
                    self.free.push(index);
                }
                TaskState::Running => {}
            }
        }
        None
    }

    /// Puts a pending task back.
    pub(crate) fn put_back(&mut self, index: u32, task: BoxedTask) {
        let slot = &mut self.slots[index as usize];
        debug_assert!(matches!(slot.state, TaskState::Running));
        slot.state = TaskState::Resting(task);
    }

    /// Frees the slot of a task that ended.
    pub(crate) fn finish(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        debug_assert!(matches!(slot.state, TaskState::Running));
        slot.state = TaskState::Free;
        slot.generation = slot.generation.wrapping_add(1);
        // A wake during its last run left it in the ready queue; the slot is reused only after that entry is
        // gone.
        if !slot.queued {
            self.free.push(index);
        }
        self.live -= 1;
    }

    pub(crate) fn ready_len(&self) -> usize {
        self.ready.len()
    }

    pub(crate) fn live(&self) -> usize {
        self.live
    }

    /// Takes every task that is alive and not running, to drop them.
    pub(crate) fn take_all(&mut self) -> Vec<BoxedTask> {
        let mut taken = Vec::new();
        for index in 0..self.slots.len() {
            let slot = &mut self.slots[index];
            if matches!(slot.state, TaskState::Resting(_)) {
                let state = std::mem::replace(&mut slot.state, TaskState::Running);
                self.finish(u32::try_from(index).expect("slots are numbered in 32 bits"));
                if let TaskState::Resting(task) = state {
                    taken.push(task);
                }
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{Strategy, prop_assert_eq, prop_oneof, proptest};
    use proptest::{collection::vec, prop_assert};

    #[derive(Clone, Debug)]
    enum Step {
        Insert,
        /// Wakes the n-th reference ever made, alive or not.
        Wake(usize),
        /// Takes the next ready task, wakes it so often while it runs, ends it or puts it back.
        Run {
            wakes: usize,
            ends: bool,
        },
        TakeAll,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => proptest::strategy::Just(Step::Insert),
            6 => (0usize..64).prop_map(Step::Wake),
            6 => (0usize..3, proptest::bool::ANY).prop_map(|(wakes, ends)| Step::Run { wakes, ends }),
            1 => proptest::strategy::Just(Step::TakeAll),
        ]
    }

    /// The naive model: a list of tasks in the order in which they run, each at most once.
    #[derive(Default)]
    struct Model {
        alive: Vec<usize>,
        ready: Vec<usize>,
    }

    impl Model {
        fn wake(&mut self, name: usize) {
            if self.alive.contains(&name) && !self.ready.contains(&name) {
                self.ready.push(name);
            }
        }
    }

    proptest! {
        #[test]
        fn the_slab_runs_what_the_model_runs(steps in vec(step(), 0..200)) {
            let (mut tasks, mut model) = (Tasks::default(), Model::default());
            // Name of a task is its place here; the value is how wakers name it.
            let mut names: Vec<(u32, u16)> = Vec::new();
            for step in steps {
                match step {
                    Step::Insert => {
                        let index = tasks.insert(Box::pin(std::future::pending()));
                        names.push((index, tasks.slots[index as usize].generation));
                        model.alive.push(names.len() - 1);
                        model.ready.push(names.len() - 1);
                    }
                    Step::Wake(nth) if nth < names.len() => {
                        tasks.wake(names[nth].0, names[nth].1);
                        model.wake(nth);
                    }
                    Step::Wake(_) => {}
                    Step::Run { wakes, ends } => {
                        let Some((index, generation, task)) = tasks.take_ready() else {
                            prop_assert!(model.ready.is_empty());
                            continue;
                        };
                        let name = model.ready.remove(0);
                        prop_assert_eq!((index, generation), names[name]);
                        for _ in 0..wakes {
                            tasks.wake(index, generation);
                            model.wake(name);
                        }
                        if ends {
                            tasks.finish(index);
                            model.alive.retain(|&other| other != name);
                            model.ready.retain(|&other| other != name);
                        } else {
                            tasks.put_back(index, task);
                        }
                    }
                    Step::TakeAll => {
                        prop_assert_eq!(tasks.take_all().len(), model.alive.len());
                        model = Model::default();
                    }
                }
                prop_assert_eq!(tasks.live(), model.alive.len());
                prop_assert!(tasks.slots.len() <= names.len());
            }
        }
    }
}
