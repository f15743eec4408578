//! An OSD: it takes operations of clients by the map that it has, and answers from the one truth; or it keeps nothing, and
//! answers at once.
//!
//! The rule: an OSD does an operation only if it leads the object's placement group, and has since the epoch by which the
//! client sent it. Anything else it drops without a word, because a client that knows its maps sends it again. What a client
//! may never do is written down: an operation for an OSD that the client's own map does not send it to, or one in spite of a
//! backoff that it acknowledged.

use super::link::{Daemon, Link, accept, address, versions};
use super::peering::Peering;
use super::state::{Auth, FSID, News, Shared, State};
use super::truth::{Outcome, Reqid};
use super::watches::Watches;
use ringbd_proto::auth::server::{NoneServer, ServiceServer};
use ringbd_proto::auth::{AuthMethod, ConMode, ServerExchange};
use ringbd_proto::codec::DecodeError;
use ringbd_proto::crc;
use ringbd_proto::message::Front;
use ringbd_proto::mon::MOsdMap;
use ringbd_proto::msgr2::{Message, MessageHeader, MessageType};
use ringbd_proto::osd::{
    Access, HashedObject, Hobject, MOsdBackoff, MOsdOp, OSD_OP_REPLY, OpReturn, OsdFlags, OsdOp, OsdOpAnswer,
};
use ringbd_proto::osdmap::PoolFlags;
use ringbd_proto::types::{
    EntityAddrVec, EntityType, Epoch, Errno, Eversion, GlobalId, OsdId, PgId, SpgId, Tid,
};
use ringbd_reactor::{
    Buf, Instant, Receiver, SharedBuf, TcpListener, fill_random, now, random_u64, sleep, spawn_detached,
    unix_time,
};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

/// The most that is read at once from an OSD that keeps nothing.
const ZEROS_BYTES: usize = 4 << 20;

/// Where what differs between attempts ends in the front of an operation: group, hash, epoch, flags.
const SENDING_END: usize = SpgId::BYTES + 12;
/// Attempt and features, at its end.
const ATTEMPT_BYTES: usize = 12;

pub(super) struct Osd {
    pub(super) id: OsdId,
    addrs: EntityAddrVec,
    pub(super) shared: Shared,
    /// Whether it keeps objects.
    keeps: bool,
    /// The newest map that it has.
    have: Cell<Epoch>,
    pub(super) peering: Peering,
    pub(super) watches: Watches,
    stalled: Cell<Option<Instant>>,
    /// What is read from an OSD that keeps nothing.
    zeros: SharedBuf,
    /// Memory for the results of one list.
    returns: RefCell<Vec<OpReturn>>,
}

/// What an OSD knows of a client's connection.
#[derive(Default)]
pub(super) struct Session {
    /// The newest map that the client was told of here.
    told: Epoch,
}

pub(super) type OsdLink = Rc<Link<Session>>;

/// An operation that waits until its placement group is ready.
pub(super) struct Held {
    link: OsdLink,
    header: MessageHeader,
    front: Vec<u8>,
    data: Vec<u8>,
}

/// The methods and connection modes that a cluster allows.
pub(super) fn methods(auth: &Auth) -> (Vec<AuthMethod>, Vec<ConMode>) {
    match auth {
        Auth::None => (vec![AuthMethod::None], vec![ConMode::Crc]),
        Auth::Cephx(mode, _) => (vec![AuthMethod::Cephx], vec![*mode]),
    }
}

/// Up to that long, by chance.
pub(super) fn up_to(limit: Duration) -> Duration {
    let nanos = u64::try_from(limit.as_nanos()).expect("no wait takes centuries");
    Duration::from_nanos(random_u64() % (nanos + 1))
}

/// True so often, by chance.
pub(super) fn chance(probability: f64) -> bool {
    probability > 0.0 && (random_u64() as f64) < probability * u64::MAX as f64
}

/// Serves as that OSD on a listener of the running core, for as long as that runs. It is up when this returns.
pub fn start(shared: Shared, id: OsdId, listener: TcpListener) {
    let nonce = u32::try_from(random_u64() >> 32).expect("half of 64 bits are 32");
    let addrs = address(&listener, nonce);
    let keeps = shared.with(|state| state.keeps);
    let news = shared.subscribe();
    let osd = Rc::new(Osd {
        id,
        addrs,
        keeps,
        have: Cell::new(Epoch(0)),
        peering: Peering::default(),
        watches: Watches::default(),
        stalled: Cell::new(None),
        zeros: if keeps { SharedBuf::empty() } else { Buf::zeroed(ZEROS_BYTES).into() },
        returns: RefCell::default(),
        shared,
    });
    spawn_detached(accept(osd.clone(), listener));
    osd.boot();
    spawn_detached(osd.hear(news));
}

impl Daemon for Osd {
    type Session = Session;

    fn kind(&self) -> EntityType {
        EntityType::Osd
    }

    fn num(&self) -> i64 {
        i64::from(self.id.0)
    }

    fn addrs(&self) -> EntityAddrVec {
        self.addrs.clone()
    }

    fn methods(&self) -> (Vec<AuthMethod>, Vec<ConMode>) {
        self.shared.with(|state| methods(&state.auth))
    }

    fn exchange(&self) -> Box<dyn ServerExchange> {
        self.shared.with(|state| match &state.auth {
            Auth::None => Box::new(NoneServer::new(GlobalId(0))) as Box<dyn ServerExchange>,
            Auth::Cephx(_, keys) => {
                let keys = keys.clone();
                Box::new(ServiceServer::new(keys, EntityType::Osd, unix_time().into(), fill_random))
            }
        })
    }

    fn stalled(&self) -> Option<Instant> {
        self.stalled.get().filter(|until| *until > now())
    }

    fn begin(self: &Rc<Self>, _: &OsdLink) {}

    fn message(self: &Rc<Self>, link: &OsdLink, message: &Message<'_, Vec<u8>>) -> bool {
        let Message { header, front, data, .. } = message;
        let served = match header.kind {
            MessageType::OSD_OP if self.keeps => self.operation(link, header, front, data),
            MessageType::OSD_OP => self.answer_from_nothing(link, header, front, data),
            MessageType::OSD_BACKOFF => self.backoff(link, header, front),
            MessageType::PING => Ok(()),
            kind => {
                self.shared.violation(format!("{} was sent {kind}", self.id));
                Ok(())
            }
        };
        if let Err(error) = &served {
            self.shared.violation(format!("osd.{} cannot read what came: {error}", self.id));
        }
        served.is_ok()
    }

    fn ended(self: &Rc<Self>, link: &OsdLink) {
        self.peering.forget(link);
        self.watches.disconnect(link);
    }
}

/// An operation as it came.
pub(super) struct Asked<'a> {
    pub(super) link: &'a OsdLink,
    pub(super) header: &'a MessageHeader,
    pub(super) op: MOsdOp<'a>,
}

impl Asked<'_> {
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
}

impl Osd {
    // Maps.

    /// Tells the monitors that it is up.
    fn boot(self: &Rc<Self>) {
        let id = self.id;
        let was_up = self.shared.with(|state| state.maps.map(state.maps.newest()).is_up(id));
        if was_up {
            self.shared.publish(|map, change| super::maps::change::down(map, change, id));
        }
        let addrs = self.addrs.clone();
        let epoch = self.shared.publish(|_, change| super::maps::change::up(change, id, addrs));
        self.advance(epoch);
    }

    async fn hear(self: Rc<Self>, mut news: Receiver<News>) {
        while let Some(news) = news.recv().await {
            match news {
                News::Map => spawn_detached(self.clone().learn()),
                News::Stall(whom, span) if whom == self.id => self.stalled.set(Some(now() + span)),
                News::Stall(..) => {}
            }
        }
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.have.get()
    }

    /// Gets the newest map, in its own time.
    async fn learn(self: Rc<Self>) {
        let lag = self.shared.with(|state| state.map_lag);
        if lag > Duration::ZERO {
            sleep(up_to(lag)).await;
        }
        self.advance(self.shared.with(|state| state.maps.newest()));
    }

    fn advance(self: &Rc<Self>, to: Epoch) {
        let before = self.have.get();
        if to <= before {
            return;
        }
        self.have.set(to);
        let (leads, is_up, busy) = self.shared.with(|state| {
            let map = state.maps.map(to);
            let is_here = map.is_up(self.id) && map.osd_addrs(self.id) == Some(&self.addrs);
            let leads: Vec<(PgId, Epoch)> = state.maps.led_by(to, self.id).collect();
            (leads, is_here, state.peering)
        });
        self.begin_to_lead(&leads, before, busy);
        if !is_up && before > Epoch(0) {
            // Somebody said that it is down, which it is not.
            let osd = self.clone();
            spawn_detached(async move {
                sleep(up_to(Duration::from_secs(3))).await;
                let is_up = osd.shared.with(|state| {
                    let map = state.maps.map(state.maps.newest());
                    map.is_up(osd.id)
                });
                if !is_up {
                    osd.boot();
                }
            });
        }
    }

    /// Tells a client about maps that it does not have.
    fn share_maps(&self, link: &OsdLink, client_has: Epoch) {
        let mut session = link.session.borrow_mut();
        let (known, have) = (session.told.max(client_has), self.have.get());
        session.told = known.max(have);
        if known >= have {
            return;
        }
        self.shared.with(|state| {
            let (incrementals, fulls) = state.maps.steps(known, have);
            let (oldest, newest) = (state.maps.oldest().min(have), have);
            let message = MOsdMap { fsid: FSID, incrementals, fulls, oldest, newest };
            link.post(Tid(0), &message, SharedBuf::empty());
        });
    }

    // Operations.

    pub(super) fn again(self: &Rc<Self>, held: &Held) {
        let Held { link, header, front, data } = held;
        if !link.has_ended() && self.operation(link, header, front, data).is_err() {
            unreachable!("it was read before");
        }
    }

    fn operation(
        self: &Rc<Self>,
        link: &OsdLink,
        header: &MessageHeader,
        front: &[u8],
        data: &[u8],
    ) -> Result<(), DecodeError> {
        let op = MOsdOp::decode(versions(header), front, data)?;
        let asked = Asked { link, header, op };
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
        if !serves || self.is_quiet_about(&asked) {
            return Ok(());
        }
        let hold =
            || Held { link: link.clone(), header: *header, front: front.to_vec(), data: data.to_vec() };
        if self.is_not_ready(&asked, hold) {
            return Ok(());
        }
        match asked.op.ops.first().map(|entry| &entry.op) {
            Some(OsdOp::Watch { cookie, action, .. }) => self.watch(&asked, *cookie, *action),
            Some(OsdOp::Notify { cookie, timeout_s, payload }) => {
                self.notify(&asked, *cookie, *timeout_s, payload);
            }
            Some(OsdOp::NotifyAck { notify_id, cookie, reply }) => {
                self.notify_ack(&asked, *notify_id, *cookie, reply);
            }
            _ => self.apply(&asked),
        }
        Ok(())
    }

    /// Writes down what no client does.
    fn check(&self, state: &mut State, asked: &Asked<'_>, contents: u32) {
        let MOsdOp { sending, hash, .. } = &asked.op;
        let (epoch, pg) = (sending.epoch, sending.spg.pg);
        if let Err(error) = state.truth.see(asked.reqid(), contents) {
            state.violation(error);
        }
        let should = state.maps.map(epoch).pool(pg.pool).map(|pool| pool.pg(pg.pool, *hash));
        let leads = state.maps.lead(epoch, pg).and_then(|(lead, _)| lead);
        if should != Some(pg) || leads != Some(self.id) {
            let (tid, me) = (asked.header.tid, self.id);
            state.violation(format!(
                "tid {tid} for {pg} came to osd.{me} by epoch {epoch}, in which the object is in {should:?} and {pg} is led by {leads:?}"
            ));
        }
    }

    /// Whether this OSD is who has to do an operation, by its own map.
    fn serves(&self, state: &State, asked: &Asked<'_>) -> bool {
        let MOsdOp { sending, hash, access, .. } = &asked.op;
        let (have, pg) = (self.have.get(), sending.spg.pg);
        let map = state.maps.map(have);
        let Some(pool) = map.pool(pg.pool) else { return false };
        let Some((lead, since)) = state.maps.lead(have, pg) else { return false };
        let sent_by = sending.epoch;
        if lead != Some(self.id) || sent_by < since || sent_by < pool.force_resend.now {
            return false;
        }
        let heeds_full = !sending.flags.contains(OsdFlags::FULL_TRY);
        let full = heeds_full && pool.flags.has(PoolFlags::FULL) && matches!(access, Access::Write { .. });
        pool.pg(pg.pool, *hash) == pg && !full
    }

    fn apply(self: &Rc<Self>, asked: &Asked<'_>) {
        let reads = matches!(asked.op.access, Access::Read { .. });
        let done = self.shared.with(|state| {
            if reads && chance(state.again) {
                return Ok(Outcome::refused(Errno::EAGAIN));
            }
            let before = state.truth.is_there(asked.op.name);
            let done = state.truth.apply(asked.reqid(), &asked.op);
            if before && !state.truth.is_there(asked.op.name) {
                state.watches.remove(asked.op.name);
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
        let mut front = Vec::new();
        let version = Eversion { version: outcome.version, epoch: self.have.get() };
        let answer = answer(asked, outcome.result, version, &outcome.returns);
        answer.encode(&mut ringbd_proto::codec::Encoder::new(&mut front));
        let header = reply_header(asked.header.tid);
        let data = SharedBuf::from(Buf::from_slice(&outcome.output));
        let lag = self.shared.with(|state| state.answer_lag);
        let link = asked.link.clone();
        let send = move || {
            link.send(
                header,
                |e| {
                    e.bytes(&front);
                },
                data,
            );
        };
        if lag > Duration::ZERO && chance(0.2) {
            spawn_detached(async move {
                sleep(up_to(lag)).await;
                send();
            });
        } else {
            send();
        }
    }

    /// Answers as if objects were zeros without end.
    fn answer_from_nothing(
        &self,
        link: &OsdLink,
        header: &MessageHeader,
        front: &[u8],
        data: &[u8],
    ) -> Result<(), DecodeError> {
        let op = MOsdOp::decode(versions(header), front, data)?;
        let mut returns = self.returns.borrow_mut();
        returns.clear();
        let mut output = 0;
        for entry in &op.ops {
            let wanted = match &entry.op {
                OsdOp::Read(extent) => usize::try_from(extent.length).unwrap_or(usize::MAX),
                _ => 0,
            };
            let bytes = wanted.min(ZEROS_BYTES - output);
            output += bytes;
            let output_len = u32::try_from(bytes).expect("zeros are few");
            returns.push(OpReturn { opcode: entry.op.opcode(), rval: 0, output_len });
        }
        let asked = Asked { link, header, op };
        let version = Eversion { version: header.tid.0, epoch: asked.op.sending.epoch };
        let answer = answer(&asked, 0, version, &returns);
        link.send(reply_header(header.tid), |e| answer.encode(e), self.zeros.slice(..output));
        Ok(())
    }

    fn backoff(&self, link: &OsdLink, header: &MessageHeader, front: &[u8]) -> Result<(), DecodeError> {
        let backoff = MOsdBackoff::decode(versions(header), front)?;
        if !self.peering.acknowledge(link, &backoff) {
            self.shared.violation(format!("a backoff that nobody asked for was acknowledged: {backoff:?}"));
        }
        Ok(())
    }
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
