//! A monitor: logins, maps, versions, tickets, snapshots' numbers, and a few commands.
//!
//! What is changed here all know at once, as if every question went to their leader; but a monitor may lag behind with the
//! maps that it gives, and hang, and while a leader is elected none answers.

use super::census::Seen;
use super::link::{Daemon, Link, accept, address, versions};
use super::logins::Witness;
use super::mapshare::share;
use super::osd::{chance, up_to};
use super::state::{Auth, FSID, News, Shared};
use ringbd_proto::auth::server::{LoginServer, NoneServer, renew};
use ringbd_proto::auth::{AuthMethod, ConMode, ServerExchange};
use ringbd_proto::codec::Encoder;
use ringbd_proto::message::Front;
use ringbd_proto::mon::{
    MAuth, MAuthReply, MConfig, MMonCommand, MMonCommandAck, MMonGetVersion, MMonGetVersionReply, MMonMap,
    MMonSubscribe, MPoolOp, MPoolOpReply, PoolChange,
};
use ringbd_proto::msgr2::{Message, MessageType};
use ringbd_proto::types::{EntityAddrVec, EntityType, Epoch, Errno, Tid, Utime};
use ringbd_reactor::{
    Buf, Instant, Receiver, SharedBuf, TcpListener, fill_random, now, sleep, spawn_detached, unix_time,
};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

/// The protocol number of cephx in messages that renew tickets.
const CEPHX: u32 = 2;

struct Monitor {
    num: i64,
    addrs: EntityAddrVec,
    shared: Shared,
    /// The newest map that it has.
    have: Cell<Epoch>,
    stalled: Cell<Option<Instant>>,
    links: RefCell<Vec<Rc<Link<Session>>>>,
}

/// What a client subscribed to and has not got yet.
#[derive(Default)]
struct Session {
    /// Maps of the OSDs from this epoch on.
    osdmap: Option<Epoch>,
}

/// Serves as the monitor of that number on a listener of the running core, for as long as that runs.
pub fn start(shared: Shared, num: usize, listener: TcpListener) {
    let addrs = address(&listener, 0);
    let have = shared.with(|state| {
        state.monitor_is_at(num, addrs.clone());
        state.maps.newest()
    });
    let monitor = Rc::new(Monitor {
        num: i64::try_from(num).expect("few monitors are made"),
        addrs,
        shared,
        have: Cell::new(have),
        stalled: Cell::new(None),
        links: RefCell::default(),
    });
    let news = monitor.shared.subscribe();
    spawn_detached(accept(monitor.clone(), listener));
    spawn_detached(monitor.hear(news));
}

impl Daemon for Monitor {
    type Session = Session;

    fn kind(&self) -> EntityType {
        EntityType::Mon
    }

    fn num(&self) -> i64 {
        self.num
    }

    fn addrs(&self) -> EntityAddrVec {
        self.addrs.clone()
    }

    fn methods(&self) -> (Vec<AuthMethod>, Vec<ConMode>) {
        self.shared.with(|state| super::osd::methods(&state.auth))
    }

    fn exchange(&self) -> Box<dyn ServerExchange> {
        self.shared.with(|state| {
            let id = state.new_global_id();
            match &state.auth {
                Auth::None => Box::new(NoneServer::new(id)) as Box<dyn ServerExchange>,
                Auth::Cephx(_, keys) => {
                    let now = unix_time().saturating_sub(state.manners.clock_lag);
                    let inner = LoginServer::new(keys.clone(), id, now.into(), fill_random);
                    Box::new(Witness::new(inner, id, &self.shared))
                }
            }
        })
    }

    fn stalled(&self) -> Option<Instant> {
        self.stalled.get().filter(|until| *until > now())
    }

    fn begin(self: &Rc<Self>, link: &Rc<Link<Session>>) {
        self.shared.with(|state| state.introduce(link.global_id, link.addr));
        self.links.borrow_mut().push(link.clone());
    }

    fn message(self: &Rc<Self>, link: &Rc<Link<Session>>, message: &Message<'_, Vec<u8>>) -> bool {
        let served = self.serve(link, message);
        if let Err(error) = &served {
            self.shared.violation(format!("a monitor cannot read what came: {error}"));
        }
        served.is_ok()
    }

    fn ended(self: &Rc<Self>, link: &Rc<Link<Session>>) {
        self.links.borrow_mut().retain(|other| !Rc::ptr_eq(other, link));
    }
}

impl Monitor {
    async fn hear(self: Rc<Self>, mut news: Receiver<News>) {
        while let Some(news) = news.recv().await {
            match news {
                News::Map => spawn_detached(self.clone().learn()),
                News::StallMonitor(num, span) if self.num == num as i64 => self.stall(span),
                News::Election(span) => spawn_detached(self.clone().elect(span)),
                News::Stall(..) | News::StallMonitor(..) => {}
            }
        }
    }

    fn stall(&self, span: Duration) {
        self.stalled.set(Some(now() + span));
    }

    /// Answers nothing while a leader is elected. Who was not quick enough to join it lets its clients go.
    async fn elect(self: Rc<Self>, span: Duration) {
        self.stall(span);
        sleep(span).await;
        if chance(0.5) {
            self.links.borrow().iter().for_each(|link| link.end());
        }
    }

    /// Gets the newest map, in its own time, and gives it to those who wait for one.
    async fn learn(self: Rc<Self>) {
        let lag = self.shared.with(|state| state.manners.monitor_lag);
        if lag > Duration::ZERO {
            sleep(up_to(lag)).await;
        }
        self.have.set(self.shared.with(|state| state.maps.newest()));
        let links = self.links.borrow().clone();
        links.iter().for_each(|link| self.give_maps(link));
    }

    fn serve(
        &self,
        link: &Rc<Link<Session>>,
        message: &Message<'_, Vec<u8>>,
    ) -> Result<(), ringbd_proto::codec::DecodeError> {
        let (header, front) = (&message.header, message.front);
        let versions = versions(header);
        match header.kind {
            MessageType::MON_SUBSCRIBE => self.subscribe(link, &MMonSubscribe::decode(versions, front)?),
            MessageType::MON_GET_VERSION => {
                let MMonGetVersion { handle, .. } = MMonGetVersion::decode(versions, front)?;
                let (oldest, newest) = self.shared.with(|state| (state.maps.oldest(), state.maps.newest()));
                let (version, oldest) = (newest.0.into(), oldest.0.into());
                let reply = MMonGetVersionReply { handle, version, oldest };
                link.post(Tid(0), &reply, SharedBuf::empty());
            }
            MessageType::AUTH => self.renew(link, &MAuth::decode(versions, front)?),
            MessageType::POOL_OP => self.pool_op(link, header.tid, &MPoolOp::decode(versions, front)?),
            MessageType::MON_COMMAND => {
                self.command(link, header.tid, &MMonCommand::decode(versions, front)?);
            }
            kind => self.shared.violation(format!("a monitor was sent {kind}")),
        }
        Ok(())
    }

    fn subscribe(&self, link: &Rc<Link<Session>>, message: &MMonSubscribe<'_>) {
        for item in &message.what {
            match &*item.what {
                "osdmap" => {
                    let start = u32::try_from(item.start).expect("epochs have 32 bits");
                    link.session.borrow_mut().osdmap = Some(Epoch(start));
                }
                "monmap" => {
                    let monmap = self.shared.with(|state| state.monmap());
                    if u64::from(monmap.epoch.0) >= item.start {
                        link.post(Tid(0), &MMonMap(monmap), SharedBuf::empty());
                    }
                }
                "config" => {
                    let options = self.shared.with(|state| state.monitor_config.clone());
                    link.post(Tid(0), &MConfig { options }, SharedBuf::empty());
                }
                other => self.shared.violation(format!("a client subscribed to {other}")),
            }
        }
        self.give_maps(link);
    }

    /// Sends the maps that a client waits for, if there are any.
    fn give_maps(&self, link: &Rc<Link<Session>>) {
        let Some(start) = link.session.borrow().osdmap else { return };
        let have = self.have.get();
        self.shared.with(|state| {
            if start.0 > have.0 + 1 {
                state.census.count(Seen::MonitorBehind);
            }
            if start == Epoch(0) {
                state.census.count(Seen::WholeMapAsked);
            } else if have < start {
                return;
            }
            share(state, link, Epoch(start.0.saturating_sub(1)), have);
            link.session.borrow_mut().osdmap = None;
        });
    }

    fn renew(&self, link: &Rc<Link<Session>>, message: &MAuth<'_>) {
        let auth = self.shared.with(|state| state.auth.clone());
        let answer = match auth {
            Auth::Cephx(_, keys) => renew(&keys, message.payload, auth_now(), &mut fill_random).ok(),
            Auth::None => None,
        };
        self.shared.count(if answer.is_some() { Seen::Renewed } else { Seen::RenewalRefused });
        let (result, payload) = match &answer {
            Some((_, payload)) => (0, &payload[..]),
            None => (Errno::EACCES.as_result(), &[][..]),
        };
        let global_id = link.global_id;
        let reply = MAuthReply { protocol: CEPHX, result, global_id, payload, message: b"" };
        link.post(Tid(0), &reply, SharedBuf::empty());
    }

    fn pool_op(&self, link: &Rc<Link<Session>>, tid: Tid, message: &MPoolOp<'_>) {
        let (snap, epoch) = self.shared.with(|state| {
            let snap = matches!(message.change, PoolChange::CreateUnmanagedSnap).then(|| state.new_snap());
            (snap, state.maps.newest())
        });
        let data = snap.map(|snap| {
            Encoder::to_vec(|e| {
                e.u64(snap);
            })
        });
        let reply =
            MPoolOpReply { fsid: FSID, result: 0, epoch, version: epoch.0.into(), data: data.as_deref() };
        link.post(tid, &reply, SharedBuf::empty());
    }

    /// `echo` gives back its input, `osd blocklist` fences a client, and everything else is unknown.
    fn command(&self, link: &Rc<Link<Session>>, tid: Tid, message: &MMonCommand<'_>) {
        let text = &message.command;
        let known = if text.contains(r#""prefix":"osd blocklist""#) {
            self.blocklist(text);
            true
        } else {
            text.contains(r#""prefix":"echo""#)
        };
        let result = if known { 0 } else { Errno::EINVAL.as_result() };
        let output = SharedBuf::from(Buf::from_slice(text.as_bytes()));
        let ack = MMonCommandAck { result, status: "".into(), command: "".into(), version: 0 };
        link.post(tid, &ack, if known { output } else { SharedBuf::empty() });
    }

    /// Fences whom a command names by the address.
    fn blocklist(&self, command: &str) {
        let named = self.shared.with(|state| {
            let found = state.clients().find(|(_, addr)| command.contains(&format!(r#""addr":"{addr}""#)));
            found.map(|(_, addr)| addr)
        });
        match named {
            Some(addr) => drop(self.shared.fence(&addr)),
            None => self.shared.violation(format!("nobody is at the address of {command}")),
        }
    }
}

fn auth_now() -> Utime {
    unix_time().into()
}
