//! An OSD's part in operations: whether it does one, what the truth makes of it, and its answer.
//!
//! The rule: an OSD does an operation only if it leads the object's placement group, and has since the epoch by which the
//! client sent it; and only if that is so by the newest map too, because else its replicas would not follow it. Anything
//! else it drops without a word, because a client that knows its maps sends it again. What a client may never do is written
//! down: an operation for an OSD that the client's own map does not send it to, or one in spite of a backoff that it
//! acknowledged.

use super::census::Seen;
use super::link::versions;
use super::osd::{Held, Osd, OsdLink, chance, up_to};
use super::state::State;
use super::truth::{Outcome, Reqid};
use ringbd_proto::codec::{DecodeError, Encoder};
use ringbd_proto::crc;
use ringbd_proto::msgr2::{MessageHeader, MessageType};
use ringbd_proto::osd::{
    Access, HashedObject, Hobject, MOsdOp, OSD_OP_REPLY, OpReturn, OsdFlags, OsdOp, OsdOpAnswer, Redirect,
};
use ringbd_proto::types::{Epoch, Errno, Eversion, ShardId, SpgId, Tid};
use ringbd_reactor::{Buf, SharedBuf, sleep, spawn_detached};
use std::rc::Rc;
use std::time::Duration;

/// The most that is read at once from an OSD that keeps nothing.
pub(super) const ZEROS_BYTES: usize = 4 << 20;

/// Where what differs between attempts ends in the front of an operation: group, hash, epoch, flags.
const SENDING_END: usize = SpgId::BYTES + 12;
/// Attempt and features, at its end.
const ATTEMPT_BYTES: usize = 12;

/// An operation as it came.
pub(super) struct Asked<'a> {
    pub(super) link: &'a OsdLink,
    pub(super) header: &'a MessageHeader,
    pub(super) op: MOsdOp<'a>,
    /// Bytes of data that it came with.
    data_bytes: usize,
}

impl<'a> Asked<'a> {
    fn read(
        link: &'a OsdLink,
        header: &'a MessageHeader,
        front: &'a [u8],
        data: &'a [u8],
    ) -> Result<Asked<'a>, DecodeError> {
        let op = MOsdOp::decode(versions(header), front, data)?;
        Ok(Asked { link, header, op, data_bytes: data.len() })
    }

    pub(super) fn reqid(&self) -> Reqid {
        (self.link.global_id, self.header.tid)
    }

    pub(super) fn object(&self) -> Hobject {
        Hobject::Object(HashedObject::head(&self.op.locator, self.op.name, self.op.hash))
    }

    /// What is the same in all attempts.
    fn contents(front: &[u8], data: &[u8]) -> u32 {
        let lasting = &front[SENDING_END..front.len() - ATTEMPT_BYTES];
        crc::crc32c(crc::crc32c(crc::SEED, lasting), data)
    }

    fn writes(&self) -> bool {
        matches!(self.op.access, Access::Write { .. })
    }
}

impl Osd {
    pub(super) fn again(self: &Rc<Self>, held: &Held) {
        let Held { link, header, front, data } = held;
        if !link.has_ended() && self.operation(link, header, front, data).is_err() {
            unreachable!("it was read before");
        }
    }

    pub(super) fn operation(
        self: &Rc<Self>,
        link: &OsdLink,
        header: &MessageHeader,
        front: &[u8],
        data: &[u8],
    ) -> Result<(), DecodeError> {
        let asked = Asked::read(link, header, front, data)?;
        let epoch = asked.op.sending.epoch;
        if epoch < Epoch(1) || epoch > self.shared.with(|state| state.maps.newest()) {
            self.shared.violation(format!("an operation was sent by epoch {epoch}, which is not there"));
            return Ok(());
        }
        self.advance(epoch);
        self.share_maps(link, epoch);
        let serves = self.shared.with(|state| {
            self.check(state, &asked, Asked::contents(front, data));
            self.serves(state, &asked)
        });
        let hold =
            || Held { link: link.clone(), header: *header, front: front.to_vec(), data: data.to_vec() };
        if !serves || self.is_quiet_about(&asked) || self.is_not_ready(&asked, hold) {
            return Ok(());
        }
        if self.shared.with(|state| state.maps.map(self.epoch()).is_blocklisted(&link.addr)) {
            self.shared.count(Seen::Refused);
            self.answer(&asked, &Outcome::refused(Errno::EBLOCKLISTED));
            return Ok(());
        }
        if let Some(redirect) = self.redirect(&asked) {
            self.answer_with(&asked, &Outcome::refused(Errno::ENOENT), Some(&redirect));
            return Ok(());
        }
        self.serve(&asked);
        Ok(())
    }

    fn serve(self: &Rc<Self>, asked: &Asked<'_>) {
        match asked.op.ops.first().map(|entry| &entry.op) {
            Some(OsdOp::Watch { cookie, action, timeout_s, .. }) => {
                self.watch(asked, *cookie, *action, *timeout_s);
            }
            Some(OsdOp::Notify { cookie, timeout_s, payload }) => {
                self.notify(asked, *cookie, *timeout_s, payload);
            }
            Some(OsdOp::NotifyAck { notify_id, cookie, reply }) => {
                self.notify_ack(asked, *notify_id, *cookie, reply);
            }
            _ => self.apply(asked),
        }
    }

    /// Writes down what no client does.
    fn check(&self, state: &mut State, asked: &Asked<'_>, contents: u32) {
        let MOsdOp { sending, hash, .. } = &asked.op;
        let (epoch, spg) = (sending.epoch, sending.spg);
        if let Err(error) = state.truth.see(asked.reqid(), contents) {
            state.violation(error);
        }
        let pool = spg.pg.pool;
        let should = state.maps.map(epoch).pool(pool).map(|found| found.pg(pool, *hash));
        let leads = state.maps.lead(epoch, spg.pg).and_then(|lead| lead.osd);
        if should != Some(spg.pg) || leads != Some((self.id, spg)) {
            let (tid, me) = (asked.header.tid, self.id);
            state.violation(format!(
                "tid {tid} for {spg} came to osd.{me} by epoch {epoch}, in which the object is in {should:?} and that is led by {leads:?}"
            ));
        }
    }

    /// Whether this OSD is who has to do an operation, by its own map and the newest.
    fn serves(&self, state: &mut State, asked: &Asked<'_>) -> bool {
        let MOsdOp { sending, hash, .. } = &asked.op;
        let (have, spg) = (self.epoch(), sending.spg);
        let since = |epoch| {
            let lead = state.maps.lead(epoch, spg.pg).filter(|lead| lead.is(self.id, spg));
            lead.map(|lead| lead.since)
        };
        let leads = match (since(have), since(state.maps.newest())) {
            (Some(now), Some(newest)) => now == newest && sending.epoch >= now,
            (_, _) => false,
        };
        let pool = state.maps.map(have).pool(spg.pg.pool);
        let is_stale = !leads
            || pool.is_none_or(|pool| {
                sending.epoch < pool.force_resend.now || pool.pg(spg.pg.pool, *hash) != spg.pg
            });
        let heeds_full = asked.writes() && !sending.flags.contains(OsdFlags::FULL_TRY);
        let no_room = heeds_full && state.maps.last_full(have, spg.pg.pool) > sending.epoch;
        if is_stale {
            state.census.count(Seen::Stale);
        } else if no_room {
            state.census.count(Seen::NoRoom);
        }
        !is_stale && !no_room
    }

    /// Where the object is to be found, if it is elsewhere. What was done already is answered here.
    fn redirect(&self, asked: &Asked<'_>) -> Option<Redirect> {
        if asked.op.sending.flags.contains(OsdFlags::REDIRECTED) {
            return None;
        }
        self.shared.with(|state| match state.truth.first_outcome(asked.reqid()) {
            Some(_) => None,
            None => state.elsewhere.get(asked.op.name).cloned(),
        })
    }

    fn apply(self: &Rc<Self>, asked: &Asked<'_>) {
        let done = self.shared.with(|state| {
            if !asked.writes() && chance(state.manners.again) {
                return Ok(Outcome::refused(Errno::EAGAIN));
            }
            if asked.op.sending.spg.shard != ShardId::NONE {
                state.census.count(Seen::ByShard);
            }
            let name = name_in_truth(state, &asked.op);
            let before = state.truth.is_there(&name);
            let repeats = state.truth.repeats();
            let done = state.truth.apply(asked.reqid(), &MOsdOp { name: &name, ..asked.op.clone() });
            if state.truth.repeats() > repeats {
                state.census.count(Seen::Repeat);
            }
            if before && !state.truth.is_there(&name) {
                state.watchers.forget_all(&name);
            }
            done
        });
        match done {
            Ok(outcome) => self.answer(asked, &outcome),
            Err(error) => self.shared.violation(error),
        }
        self.disconnect_watchers_of_removed(asked.op.name);
    }

    /// Answers, at once or after a while.
    pub(super) fn answer(self: &Rc<Self>, asked: &Asked<'_>, outcome: &Outcome) {
        self.answer_with(asked, outcome, None);
    }

    fn answer_with(self: &Rc<Self>, asked: &Asked<'_>, outcome: &Outcome, redirect: Option<&Redirect>) {
        let mut front = Vec::new();
        let version = Eversion { version: outcome.version, epoch: self.epoch() };
        let answer = answer(asked, outcome.result, version, &outcome.returns);
        OsdOpAnswer { redirect, ..answer }.encode(&mut Encoder::new(&mut front));
        let header = reply_header(asked.header.tid);
        let data = SharedBuf::from(Buf::from_slice(&outcome.output));
        let (lag, delay) = self.shared.with(|state| (state.manners.answer_lag, state.manners.answer_delay));
        let (link, shared, bytes) = (asked.link.clone(), self.shared.clone(), asked.data_bytes);
        let send = move || {
            shared.with(|state| state.asked.end(bytes));
            link.send(
                header,
                |e| {
                    e.bytes(&front);
                },
                data,
            );
        };
        // Redirects come in the order of what they are about: by it the client asks again.
        let is_late = lag > Duration::ZERO && redirect.is_none() && chance(0.2);
        let late = delay + if is_late { up_to(lag) } else { Duration::ZERO };
        if late > Duration::ZERO {
            spawn_detached(async move {
                sleep(late).await;
                send();
            });
        } else {
            send();
        }
    }

    /// Answers as if objects were zeros without end, after its service time.
    pub(super) fn answer_from_nothing(
        &self,
        link: &OsdLink,
        header: &MessageHeader,
        front: &[u8],
        data: &[u8],
    ) -> Result<(), DecodeError> {
        let asked = Asked::read(link, header, front, data)?;
        let mut returns = self.returns.borrow_mut();
        returns.clear();
        let mut output = 0;
        for entry in &asked.op.ops {
            let wanted = match &entry.op {
                OsdOp::Read(extent) => usize::try_from(extent.length).unwrap_or(usize::MAX),
                _ => 0,
            };
            let bytes = wanted.min(ZEROS_BYTES - output);
            output += bytes;
            let output_len = u32::try_from(bytes).expect("zeros are few");
            returns.push(OpReturn { opcode: entry.op.opcode(), rval: 0, output_len });
        }
        let version = Eversion { version: header.tid.0, epoch: asked.op.sending.epoch };
        let answer = answer(&asked, 0, version, &returns);
        let (header, data) = (reply_header(header.tid), self.zeros.slice(..output));
        if self.service_time.is_zero() {
            link.send(header, |e| answer.encode(e), data);
            return Ok(());
        }
        let front = Encoder::to_vec(|e| answer.encode(e));
        let (link, service_time) = (link.clone(), self.service_time);
        spawn_detached(async move {
            sleep(service_time).await;
            link.send(
                header,
                |e| {
                    e.bytes(&front);
                },
                data,
            );
        });
        Ok(())
    }
}

/// The name that an operation's object has in the truth, wherever a redirect has led it.
fn name_in_truth(state: &mut State, op: &MOsdOp<'_>) -> Vec<u8> {
    let leads_here = |redirect: &Redirect| {
        redirect.locator == op.locator && (redirect.name.is_empty() || redirect.name == op.name)
    };
    if op.sending.flags.contains(OsdFlags::REDIRECTED)
        && let Some((name, _)) = state.elsewhere.iter().find(|(_, redirect)| leads_here(redirect))
    {
        state.census.count(Seen::RedirectFollowed);
        return name.clone();
    }
    op.name.to_vec()
}

fn reply_header(tid: Tid) -> MessageHeader {
    let kind = OSD_OP_REPLY;
    MessageHeader { tid, ..MessageHeader::new(MessageType::OSD_OP_REPLY, kind.version, kind.compat) }
}

fn answer<'a>(asked: &'a Asked<'_>, result: i32, version: Eversion, ops: &'a [OpReturn]) -> OsdOpAnswer<'a> {
    let MOsdOp { sending, name, .. } = &asked.op;
    OsdOpAnswer {
        name,
        pg: sending.spg.pg,
        flags: sending.flags,
        result,
        epoch: sending.epoch,
        attempt: sending.attempt,
        version,
        user_version: version.version,
        redirect: None,
        ops,
    }
}
