//! What a session sends, beside a list that is gone through from its beginning each time.

use super::*;
use crate::rados::message::CoreNo;
use crate::rados::objecter::OpId;
use crate::rados::pieces::Pieces;
use proptest::collection::vec;
use proptest::prelude::{any, prop_assert_eq, proptest};
use proptest::sample::Index;
use proptest::test_runner::TestCaseError;
use ringbd_proto::osd::{
    Access, BackoffStep, HashedObject, Hobject, HobjectRange, ObjectLocator, OpEntry, OpRequest, OsdFlags,
    OsdOp, OsdOpFront, Sending,
};
use ringbd_proto::types::{Epoch, PgId, PoolId};
use ringbd_reactor::{SharedBuf, Sim, SimConfig};

const POOL: PoolId = PoolId(1);
/// Objects, half of them in each of two placement groups.
const OBJECTS: usize = 6;

fn name(object: usize) -> Vec<u8> {
    format!("object.{object}").into_bytes()
}

fn spg(object: usize) -> SpgId {
    SpgId::replicated(PgId { pool: POOL, seed: (object % 2) as u32 })
}

fn place(object: usize) -> Hobject {
    let locator = ObjectLocator::pool(POOL);
    let name = name(object);
    Hobject::Object(HashedObject::head(&locator, &name, locator.hash_of(&name)))
}

fn submission(nth: u64, object: usize) -> Submission {
    let (locator, name) = (ObjectLocator::pool(POOL), name(object));
    let ops: [OpEntry<'_, SharedBuf>; 1] = [OsdOp::Stat.into()];
    let request = OpRequest {
        locator: &locator,
        name: &name,
        hash: locator.hash_of(&name),
        access: Access::READ_HEAD,
        ops: &ops,
        features: 0,
    };
    let sending = Sending { spg: spg(object), epoch: Epoch(1), flags: OsdFlags::NONE, attempt: 0 };
    let front = OsdOpFront::new(&request, &sending, Vec::new());
    let op = OpId::of_test(nth, CoreNo(0));
    Submission { op, sending, front, data: Pieces::None, data_crc: None, landing: None }
}

/// What is sent: the tid and the attempt.
type Sent = Vec<(Tid, i32)>;

/// One operation of the list.
#[derive(Clone, Debug)]
struct Listed {
    tid: Tid,
    object: usize,
    attempt: i32,
    /// On the present connection.
    sent: bool,
    ever_sent: bool,
}

#[derive(Default)]
struct Model {
    connected: bool,
    list: Vec<Listed>,
    blocks: Vec<(u64, MOsdBackoff)>,
}

impl Model {
    fn is_blocked(&self, object: usize) -> bool {
        self.blocks.iter().any(|(_, block)| block.spg == spg(object) && block.range.contains(&place(object)))
    }

    /// All that can go out does, from the beginning of the list.
    fn send(&mut self) -> Sent {
        let mut sent = Vec::new();
        for at in 0..self.list.len() {
            let blocked = self.is_blocked(self.list[at].object);
            let one = &mut self.list[at];
            if !self.connected || one.sent || blocked {
                continue;
            }
            if one.ever_sent {
                one.attempt = (one.attempt + 1).min(ATTEMPTS_MAX - 1);
            }
            (one.sent, one.ever_sent) = (true, true);
            sent.push((one.tid, one.attempt));
        }
        sent
    }
}

/// A backoff of one object, of all from one on, or of a whole placement group.
fn backoff(id: u64, object: usize, kind: u8) -> MOsdBackoff {
    let range = match kind % 3 {
        0 => HobjectRange { begin: place(object), end: place(object) },
        1 => HobjectRange { begin: place(object), end: Hobject::Max },
        _ => HobjectRange { begin: Hobject::MIN, end: Hobject::Max },
    };
    MOsdBackoff { spg: spg(object), epoch: Epoch(1), step: BackoffStep::Block, id, range }
}

/// What happens to a session: of which kind, to which object, and two draws.
type Step = (u8, usize, u8, Index);

/// Takes both through the same steps.
fn compare(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let (mut pending, mut model) = (Pending::default(), Model::default());
    for (nth, (step, object, kind, index)) in steps.into_iter().enumerate() {
        let nth = nth as u64;
        let mut sent: Sent = Vec::new();
        let mut send = |submission: &Submission| sent.push((submission.op.tid(), submission.sending.attempt));
        match step {
            0..3 => {
                let submission = submission(nth, object);
                let tid = submission.op.tid();
                pending.submit(submission, send);
                model.list.push(Listed { tid, object, attempt: 0, sent: false, ever_sent: false });
            }
            3 => {
                pending.suspend();
                model.connected = false;
                model.list.iter_mut().for_each(|one| one.sent = false);
            }
            4 if !model.connected => {
                pending.resume(send);
                (model.connected, model.blocks) = (true, Vec::new());
            }
            5 if model.connected => {
                let block = backoff(nth, object, kind);
                assert!(pending.block(&block), "few backoffs are no fault");
                model.blocks.push((nth, block));
                let blocked: Vec<bool> = model
                    .list
                    .iter()
                    .map(|one| {
                        let (_, block) = model.blocks.last().expect("one was just pushed");
                        block.spg == spg(one.object) && block.range.contains(&place(one.object))
                    })
                    .collect();
                model.list.iter_mut().zip(blocked).for_each(|(one, blocked)| one.sent &= !blocked);
            }
            6 if model.connected && !model.blocks.is_empty() => {
                let (id, block) = model.blocks.swap_remove(index.index(model.blocks.len()));
                pending.unblock(block.spg, id, &mut send);
            }
            7 if !model.list.is_empty() => {
                let one = model.list.remove(index.index(model.list.len()));
                let withdrawn = pending.withdraw(one.tid).map(|submission| submission.op.tid());
                prop_assert_eq!(withdrawn, Some(one.tid));
            }
            8 if !model.list.is_empty() => {
                // An answer to this attempt, to an earlier one, or to one that the OSD does not name.
                let at = index.index(model.list.len());
                let (tid, attempt) = (model.list[at].tid, model.list[at].attempt);
                let answered = [attempt, attempt - 1, -1][usize::from(kind) % 3];
                let taken = pending.answered(tid, answered).is_some();
                prop_assert_eq!(taken, answered < 0 || answered == attempt);
                if taken {
                    model.list.remove(at);
                }
            }
            _ => {}
        }
        prop_assert_eq!(sent, model.send());
        prop_assert_eq!(pending.in_flight().len(), model.list.len());
    }
    Ok(())
}

proptest! {
    #[test]
    fn what_goes_out_is_what_the_list_says(
        steps in vec((0u8..9, 0usize..OBJECTS, any::<u8>(), any::<Index>()), 0..120),
    ) {
        // Operations note when they came, so there must be a clock.
        let sim = Sim::new(SimConfig::default());
        let compared = sim.block_on(&sim.node("client"), async { compare(steps) });
        compared.expect("nothing fails in this world")?;
    }
}
