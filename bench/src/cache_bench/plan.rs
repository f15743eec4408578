//! The plan: which cells run, how often, and in which order.
//!
//! A cell is one job on one lane. Each round runs every cell once, in an order shuffled anew from a seed that
//! is printed, so that drift of the machine (heat, neighbours, a disk that collects garbage) falls on all
//! cells alike, and so that ratios can be taken between cells of the same round.

use std::time::Duration;

use super::job::{CacheState, Job};
use super::mode::Lane;

/// What fio itself needs to start and to end.
const FIO_OVERHEAD: Duration = Duration::from_millis(350);

/// One job on one lane.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    pub(crate) job: Job,
    pub(crate) lane: Lane,
}

impl Cell {
    /// A name that is unique in the plan and safe in a path.
    pub(crate) fn name(&self) -> String {
        format!("{}.{}", self.job.name, self.lane)
    }
}

/// One run of one cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Counted from 0.
    pub(crate) round: usize,
    /// Index in [`Plan::cells`].
    pub(crate) cell: usize,
}

/// All cells and the order in which they run.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) cells: Vec<Cell>,
    pub(crate) slots: Vec<Slot>,
}

impl Plan {
    /// Every job on every lane, `repeats` times.
    pub(crate) fn new(jobs: &[Job], lanes: &[Lane], repeats: usize, seed: u64) -> Plan {
        let cells: Vec<Cell> = jobs
            .iter()
            .flat_map(|job| lanes.iter().map(move |&lane| Cell { job: job.clone(), lane }))
            .filter(|cell| is_meaningful(&cell.job, cell.lane))
            .collect();
        let mut random = fastrand::Rng::with_seed(seed);
        let mut slots = Vec::with_capacity(cells.len() * repeats);
        for round in 0..repeats {
            let mut order: Vec<usize> = (0..cells.len()).collect();
            random.shuffle(&mut order);
            slots.extend(order.into_iter().map(|cell| Slot { round, cell }));
        }
        Plan { seed, cells, slots }
    }

    /// How long a run of `cell` takes.
    pub(crate) fn run_time(job: &Job, runtime: Duration, ramp: Duration) -> Duration {
        let ramp = if job.cache_state == CacheState::Warm { ramp } else { Duration::ZERO };
        ramp + runtime + FIO_OVERHEAD
    }

    /// How long all of it takes.
    pub(crate) fn total_time(&self, runtime: Duration, ramp: Duration) -> Duration {
        self.slots.iter().map(|slot| Plan::run_time(&self.cells[slot.cell].job, runtime, ramp)).sum()
    }
}

/// The null engine has no durability to wait for, so a burst through it says nothing.
fn is_meaningful(job: &Job, lane: Lane) -> bool {
    !(lane == Lane::Null && job.flush_every.is_some())
}

#[cfg(test)]
mod tests {
    use super::super::job::all_jobs;
    use super::super::mode::Mode;
    use super::*;

    fn plan(seed: u64) -> Plan {
        Plan::new(
            &all_jobs(),
            &[Lane::Image(Mode::None), Lane::Image(Mode::Writeback), Lane::IoUring],
            4,
            seed,
        )
    }

    #[test]
    fn each_round_holds_each_cell_once() {
        let plan = plan(3);
        for round in plan.slots.chunks(plan.cells.len()) {
            let mut cells: Vec<_> = round.iter().map(|slot| slot.cell).collect();
            assert!(round.iter().all(|slot| slot.round == round[0].round));
            cells.sort_unstable();
            assert_eq!(cells, (0..plan.cells.len()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_seed_decides_the_order() {
        assert_eq!(plan(3).slots, plan(3).slots);
        assert_ne!(plan(3).slots, plan(4).slots);
        let plan = plan(3);
        let order = |round: usize| -> Vec<_> {
            plan.slots.iter().filter(|slot| slot.round == round).map(|slot| slot.cell).collect()
        };
        assert_ne!(order(0), order(1));
    }

    #[test]
    fn cell_names_are_unique() {
        let names: Vec<_> = plan(1).cells.iter().map(Cell::name).collect();
        assert!(names.iter().enumerate().all(|(index, name)| !names[..index].contains(name)));
    }
}
