//! An OSD: its life, its connections, and the maps that it has. It takes operations of clients by the newest of them, and
//! answers from the one truth; or it keeps nothing, and answers at once.

use super::census::Seen;
use super::link::{Daemon, Link, accept, address, versions};
use super::logins::Witness;
use super::mapshare::share;
use super::operations::ZEROS_BYTES;
use super::peering::Peering;
use super::state::{Auth, News, Shared};
use super::watches::Watches;
use ringbd_proto::auth::server::{NoneServer, ServiceServer};
use ringbd_proto::auth::{AuthMethod, ConMode, ServerExchange};
use ringbd_proto::codec::DecodeError;
use ringbd_proto::message::Front;
use ringbd_proto::msgr2::{Message, MessageHeader, MessageType};
use ringbd_proto::osd::{MOsdBackoff, OpReturn};
use ringbd_proto::types::{EntityAddrVec, EntityType, Epoch, GlobalId, OsdId, PgId};
use ringbd_reactor::{
    Buf, Instant, Receiver, SharedBuf, TcpListener, fill_random, now, random_u64, sleep, spawn_detached,
    unix_time,
};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

/// Maps that an OSD takes a client to have without reason, at most.
const GAP_MAX: u64 = 3;

pub(super) struct Osd {
    pub(super) id: OsdId,
    addrs: EntityAddrVec,
    pub(super) shared: Shared,
    /// Whether it keeps objects.
    keeps: bool,
    /// How long it takes for an operation, if it keeps nothing.
    pub(super) service_time: Duration,
    /// The newest map that it has.
    have: Cell<Epoch>,
    pub(super) peering: Peering,
    pub(super) watches: Watches,
    stalled: Cell<Option<Instant>>,
    /// What is read from an OSD that keeps nothing.
    pub(super) zeros: SharedBuf,
    /// Memory for the results of one list.
    pub(super) returns: RefCell<Vec<OpReturn>>,
    links: RefCell<Vec<OsdLink>>,
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
    pub(super) link: OsdLink,
    pub(super) header: MessageHeader,
    pub(super) front: Vec<u8>,
    pub(super) data: Vec<u8>,
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
    let (keeps, service_time) = shared.with(|state| (state.keeps, state.service_time));
    let news = shared.subscribe();
    let osd = Rc::new(Osd {
        id,
        addrs,
        keeps,
        service_time,
        have: Cell::new(Epoch(0)),
        peering: Peering::default(),
        watches: Watches::default(),
        stalled: Cell::new(None),
        zeros: if keeps { SharedBuf::empty() } else { Buf::zeroed(ZEROS_BYTES).into() },
        returns: RefCell::default(),
        links: RefCell::default(),
        shared,
    });
    spawn_detached(accept(osd.clone(), listener));
    osd.boot();
    if keeps {
        spawn_detached(osd.clone().watch_over_watchers());
    }
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
                let inner = ServiceServer::new(keys, EntityType::Osd, unix_time().into(), fill_random);
                Box::new(Witness::new(inner, GlobalId(0), &self.shared))
            }
        })
    }

    fn stalled(&self) -> Option<Instant> {
        self.stalled.get().filter(|until| *until > now())
    }

    /// A client has one connection here: another takes the place of the one before.
    fn begin(self: &Rc<Self>, link: &OsdLink) {
        self.shared.with(|state| state.introduce(link.global_id, link.addr));
        let mut links = self.links.borrow_mut();
        links.retain(|other| !other.has_ended());
        links.iter().filter(|other| other.addr == link.addr).for_each(|other| other.end());
        links.push(link.clone());
    }

    fn message(self: &Rc<Self>, link: &OsdLink, message: &Message<'_, Vec<u8>>) -> bool {
        let Message { header, front, data, .. } = message;
        if header.kind == MessageType::OSD_OP && self.keeps {
            self.shared.with(|state| {
                state.asked.begin(data.len());
                state.priorities.insert(header.priority);
            });
        }
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
                News::Stall(..) | News::StallMonitor(..) | News::Election(_) => {}
            }
        }
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.have.get()
    }

    /// Gets the newest map, in its own time.
    async fn learn(self: Rc<Self>) {
        let lag = self.shared.with(|state| state.manners.map_lag);
        if lag > Duration::ZERO {
            sleep(up_to(lag)).await;
        }
        self.advance(self.shared.with(|state| state.maps.newest()));
    }

    pub(super) fn advance(self: &Rc<Self>, to: Epoch) {
        let before = self.have.get();
        if to <= before {
            return;
        }
        self.have.set(to);
        let (leads, is_up, busy) = self.shared.with(|state| {
            let map = state.maps.map(to);
            let is_here = map.is_up(self.id) && map.osd_addrs(self.id) == Some(&self.addrs);
            let leads: Vec<(PgId, Epoch)> = state.maps.led_by(to, self.id).collect();
            (leads, is_here, state.manners.peering)
        });
        self.begin_to_lead(&leads, before, busy);
        self.forget_watches_of_ended_intervals(before);
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
    pub(super) fn share_maps(&self, link: &OsdLink, client_has: Epoch) {
        let mut session = link.session.borrow_mut();
        let (known, have) = (session.told.max(client_has), self.have.get());
        if known >= have {
            return;
        }
        self.shared.with(|state| {
            let gap = if chance(state.manners.gaps) { random_u64() % GAP_MAX + 1 } else { 0 };
            let known = Epoch(known.0 + u32::try_from(gap).expect("a gap is small")).min(Epoch(have.0 - 1));
            if gap > 0 {
                state.census.count(Seen::Gap);
            }
            session.told = share(state, link, known, have);
        });
    }

    fn backoff(&self, link: &OsdLink, header: &MessageHeader, front: &[u8]) -> Result<(), DecodeError> {
        let backoff = MOsdBackoff::decode(versions(header), front)?;
        if !self.peering.acknowledge(link, &backoff) {
            self.shared.violation(format!("a backoff that nobody asked for was acknowledged: {backoff:?}"));
        }
        Ok(())
    }
}
