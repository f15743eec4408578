//! The disk against a naive model: every power cut leaves a legal outcome, and every legal extreme occurs.
//!
//! The model works in whole sectors and enumerates outcomes from the promises alone: a synced operation is there,
//! a durable write is found unless something later covered it, the length is a prefix of its changes, and each
//! sector of anything else is there or not.

use std::collections::BTreeSet;
use std::path::Path;

use fastrand::Rng;

use super::disk::{Disk, Request};
use super::fate::CutStyle;
use super::faults::DiskConfig;
use super::image::{Change, SECTOR};

/// One operation of a history, in sectors.
#[derive(Clone, Copy, Debug)]
enum Op {
    Write { at: u64, len: u64, value: u8, durable: bool },
    Clear { at: u64, len: u64, punch: bool },
    Resize { len: u64 },
    Sync,
}

impl Op {
    fn draw(rng: &mut Rng, value: u8) -> Op {
        let (at, len) = (rng.u64(0..3), rng.u64(1..3));
        match rng.u8(0..8) {
            0..=2 => Op::Write { at, len, value, durable: false },
            3 => Op::Write { at, len, value, durable: true },
            4 => Op::Clear { at, len, punch: rng.bool() },
            5 | 6 => Op::Resize { len: rng.u64(0..5) },
            _ => Op::Sync,
        }
    }

    fn request(self) -> Request {
        let (change, durable) = match self {
            Op::Write { at, len, value, durable } => {
                let data = vec![value; (len * SECTOR) as usize].into();
                (Change::Write { offset: at * SECTOR, data }, durable)
            }
            Op::Clear { at, len, punch: true } => {
                (Change::Punch { offset: at * SECTOR, len: len * SECTOR }, false)
            }
            Op::Clear { at, len, punch: false } => {
                (Change::Zero { offset: at * SECTOR, len: len * SECTOR }, false)
            }
            Op::Resize { len } => (Change::Resize { len: len * SECTOR }, false),
            Op::Sync => return Request::Sync,
        };
        Request::Change { change, durable }
    }
}

/// A history: operations in the order of completion, and perhaps one in flight since before operation `began`.
#[derive(Clone, Debug)]
struct History {
    done: Vec<Op>,
    in_flight: Option<(Op, usize)>,
}

/// What a file holds: a value per sector.
type Outcome = Vec<u8>;

fn cut(history: &History, style: Option<CutStyle>, seed: u64) -> Outcome {
    let mut disk = Disk::new(DiskConfig { cut_style: style, ..DiskConfig::default() }, Rng::with_seed(seed));
    let path = Path::new("/file");
    let inode = disk.create(path).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    for (at, op) in history.done.iter().enumerate() {
        if let Some((late, _)) = history.in_flight.filter(|&(_, began)| began == at) {
            disk.begin(inode, late.request());
        }
        let op = disk.begin(inode, op.request());
        disk.complete(op).unwrap();
    }
    if let Some((late, _)) = history.in_flight.filter(|&(_, began)| began == history.done.len()) {
        disk.begin(inode, late.request());
    }
    disk.power_cut(|_, _, _| {});
    let content = disk.content(path).unwrap();
    let sectors = content.chunks(SECTOR as usize);
    sectors
        .map(|sector| {
            assert!(
                sector.iter().all(|&byte| byte == sector[0]) && sector.len() == SECTOR as usize,
                "a torn sector"
            );
            sector[0]
        })
        .collect()
}

/// A sector of the model: its value, and which operation gave it.
type Tagged = (u8, usize);

/// A step of the model: an operation, or the growth that an extending write brings.
#[derive(Clone, Copy, Debug)]
enum Step {
    Content { at: u64, len: u64, value: u8 },
    Grow(u64),
    Resize(u64),
}

struct Model {
    /// Steps with whether a sync covers them.
    steps: Vec<(Step, bool)>,
    /// Durable writes: position in `steps`, and sectors.
    durable: Vec<(usize, std::ops::Range<u64>)>,
}

impl Model {
    /// The model of operations that complete in this order; the one at `unsynced` is covered by no sync.
    fn new(ops: &[Op], unsynced: Option<usize>) -> Model {
        let mut model = Model { steps: Vec::new(), durable: Vec::new() };
        let (mut len, mut late) = (0, Vec::new());
        for (at, &op) in ops.iter().enumerate() {
            let first = model.steps.len();
            match op {
                Op::Write { at, len: count, value, durable } => {
                    if durable {
                        model.durable.push((model.steps.len(), at..at + count));
                    }
                    model.steps.push((Step::Content { at, len: count, value }, false));
                    if at + count > len {
                        len = at + count;
                        model.steps.push((Step::Grow(len), false));
                    }
                }
                Op::Clear { at, len, .. } => model.steps.push((Step::Content { at, len, value: 0 }, false)),
                Op::Resize { len: new } => {
                    len = new;
                    model.steps.push((Step::Resize(len), false));
                }
                Op::Sync => {
                    let covered = model.steps.iter_mut().enumerate().filter(|(step, _)| !late.contains(step));
                    covered.for_each(|(_, (_, synced))| *synced = true);
                }
            }
            if unsynced == Some(at) {
                late.extend(first..model.steps.len());
                model.durable.retain(|(step, _)| *step < first);
            }
        }
        model
    }

    fn outcomes(&self) -> BTreeSet<Outcome> {
        let sizes: Vec<usize> =
            (0..self.steps.len()).filter(|&at| !matches!(self.steps[at].0, Step::Content { .. })).collect();
        let least = sizes.iter().rposition(|&at| self.steps[at].1).map_or(0, |last| last + 1);
        let mut found = BTreeSet::new();
        for kept in least..=sizes.len() {
            let lost = &sizes[kept..];
            self.explore(0, lost, &mut vec![(0, usize::MAX); 8], 0, &mut found);
        }
        found
    }

    /// Tries both fates of every sector from step `at` on.
    fn explore(
        &self,
        at: usize,
        lost: &[usize],
        bytes: &mut Vec<Tagged>,
        len: u64,
        found: &mut BTreeSet<Outcome>,
    ) {
        let Some(&(step, synced)) = self.steps.get(at) else {
            if self.keeps_promises(bytes, len, lost) {
                found.insert(bytes[..len as usize].iter().map(|&(value, _)| value).collect());
            }
            return;
        };
        match step {
            Step::Grow(_) | Step::Resize(_) if lost.contains(&at) => {
                self.explore(at + 1, lost, bytes, len, found);
            }
            Step::Grow(to) => self.explore(at + 1, lost, bytes, len.max(to), found),
            Step::Resize(to) => {
                let mut bytes = bytes.clone();
                if to < len {
                    bytes[to as usize..].fill((0, at));
                }
                self.explore(at + 1, lost, &mut bytes, to, found);
            }
            Step::Content { at: start, len: count, value } => {
                let must = synced || self.durable.iter().any(|(step, _)| *step == at);
                for subset in 0..1u32 << count {
                    if must && subset != (1 << count) - 1 {
                        continue;
                    }
                    let mut bytes = bytes.clone();
                    for sector in (0..count).filter(|sector| subset >> sector & 1 == 1) {
                        bytes[(start + sector) as usize] = (value, at);
                    }
                    self.explore(at + 1, lost, &mut bytes, len, found);
                }
            }
        }
    }

    /// A durable write is found, unless a later step that happened took it away.
    fn keeps_promises(&self, bytes: &[Tagged], len: u64, lost: &[usize]) -> bool {
        self.durable.iter().all(|(step, sectors)| {
            sectors.clone().all(|sector| {
                let (_, tag) = bytes[sector as usize];
                let cut_off_later = (step + 1..self.steps.len()).any(|later| {
                    !lost.contains(&later) && matches!(self.steps[later].0, Step::Resize(to) if to <= sector)
                });
                cut_off_later || (sector < len && tag != usize::MAX && tag >= *step)
            })
        })
    }
}

fn legal(history: &History) -> BTreeSet<Outcome> {
    let Some((late, began)) = history.in_flight else {
        return Model::new(&history.done, None).outcomes();
    };
    // An operation in flight may have happened anywhere since it began. No sync covers it.
    let mut outcomes = BTreeSet::new();
    for place in began..=history.done.len() {
        let mut ops = history.done.clone();
        ops.insert(place, late);
        outcomes.extend(Model::new(&ops, Some(place)).outcomes());
    }
    outcomes
}

fn draw(rng: &mut Rng) -> History {
    let ops = rng.u8(1..6);
    let done: Vec<Op> = (0..ops).map(|value| Op::draw(rng, value + 1)).collect();
    let late = Op::draw(rng, 0xaa);
    // A sync in flight promises nothing, so it is as good as none.
    let in_flight = (rng.bool() && !matches!(late, Op::Sync)).then(|| (late, rng.usize(0..=done.len())));
    History { done, in_flight }
}

#[test]
fn every_power_cut_leaves_a_legal_outcome() {
    for seed in 0..2_000 {
        let history = draw(&mut Rng::with_seed(seed));
        let legal = legal(&history);
        for cut_seed in 0..40 {
            let outcome = cut(&history, None, cut_seed);
            assert!(legal.contains(&outcome), "seed {seed}, cut {cut_seed}: {outcome:?} after {history:?}");
        }
    }
}

#[test]
fn every_legal_outcome_of_plain_writes_occurs() {
    let write = |at, len, value| Op::Write { at, len, value, durable: false };
    let histories = [
        vec![write(0, 2, 1)],
        vec![write(0, 2, 1), Op::Sync, write(0, 2, 2), write(1, 2, 3)],
        vec![write(0, 3, 1), Op::Sync, Op::Clear { at: 1, len: 2, punch: true }, write(2, 1, 2)],
        vec![write(0, 1, 1), Op::Sync, Op::Resize { len: 3 }, write(2, 1, 2), Op::Resize { len: 1 }],
        vec![
            Op::Resize { len: 2 },
            Op::Sync,
            write(0, 1, 1),
            Op::Write { at: 0, len: 1, value: 2, durable: true },
        ],
    ];
    for done in histories {
        for in_flight in [None, Some((write(1, 1, 9), done.len() - 1))] {
            let history = History { done: done.clone(), in_flight };
            let seen: BTreeSet<Outcome> = (0..3_000).map(|seed| cut(&history, None, seed)).collect();
            assert_eq!(seen, legal(&history), "{history:?}");
        }
    }
}

#[test]
fn both_extremes_of_any_history_occur() {
    for seed in 0..2_000 {
        let mut rng = Rng::with_seed(seed);
        let history = History { in_flight: None, ..draw(&mut rng) };
        let visible = {
            let mut ops = history.done.clone();
            ops.push(Op::Sync);
            cut(&History { done: ops, in_flight: None }, None, seed)
        };
        assert_eq!(cut(&history, Some(CutStyle::KeepAll), seed), visible, "seed {seed}: {history:?}");
        let synced = history.done.iter().rposition(|op| matches!(op, Op::Sync));
        let durable = |op: &Op| matches!(op, Op::Write { durable: true, .. });
        if let Some(synced) = synced.filter(|&synced| !history.done[synced..].iter().any(durable)) {
            let before = History { done: history.done[..=synced].to_vec(), in_flight: None };
            let dropped = cut(&history, Some(CutStyle::DropAll), seed);
            assert_eq!(dropped, cut(&before, None, seed), "seed {seed}: {history:?}");
        }
    }
}
