//! A monitor: logins, maps, versions, tickets, snapshots' numbers, and a few commands. All monitors agree at once.

use super::link::{Daemon, Link, accept, address, versions};
use super::state::{Auth, FSID, News, Shared};
use ringbd_proto::auth::server::{LoginServer, NoneServer, renew};
use ringbd_proto::auth::{AuthMethod, ConMode, ServerExchange};
use ringbd_proto::codec::Encoder;
use ringbd_proto::message::Front;
use ringbd_proto::mon::{
    MAuth, MAuthReply, MConfig, MMonCommand, MMonCommandAck, MMonGetVersion, MMonGetVersionReply, MMonMap,
    MMonSubscribe, MOsdMap, MPoolOp, MPoolOpReply, PoolChange,
};
use ringbd_proto::msgr2::{Message, MessageType};
use ringbd_proto::types::{EntityAddrVec, EntityType, Epoch, Errno, Tid, Utime};
use ringbd_reactor::{Buf, Receiver, SharedBuf, TcpListener, fill_random, spawn_detached, unix_time};
use std::cell::RefCell;
use std::rc::Rc;

/// The protocol number of cephx in messages that renew tickets.
const CEPHX: u32 = 2;

struct Monitor {
    num: i64,
    addrs: EntityAddrVec,
    shared: Shared,
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
    shared.with(|state| state.monitor_is_at(num, addrs.clone()));
    let monitor = Rc::new(Monitor {
        num: i64::try_from(num).expect("few monitors are made"),
        addrs,
        shared,
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
                    Box::new(LoginServer::new(keys.clone(), id, unix_time().into(), fill_random))
                }
            }
        })
    }

    fn begin(self: &Rc<Self>, link: &Rc<Link<Session>>) {
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
            if news == News::Map {
                let links = self.links.borrow().clone();
                links.iter().for_each(|link| self.give_maps(link));
            }
        }
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
                    let options = vec![("rbd_cache".to_owned(), "true".to_owned())];
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
        self.shared.with(|state| {
            let newest = state.maps.newest();
            if newest < start {
                return;
            }
            let (incrementals, fulls) = state.maps.steps(Epoch(start.0.saturating_sub(1)), newest);
            let oldest = state.maps.oldest();
            let message = MOsdMap { fsid: FSID, incrementals, fulls, oldest, newest };
            link.post(Tid(0), &message, SharedBuf::empty());
            link.session.borrow_mut().osdmap = None;
        });
    }

    fn renew(&self, link: &Rc<Link<Session>>, message: &MAuth<'_>) {
        let auth = self.shared.with(|state| state.auth.clone());
        let answer = match auth {
            Auth::Cephx(_, keys) => renew(&keys, message.payload, now(), &mut fill_random).ok(),
            Auth::None => None,
        };
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

    /// `echo` gives back its input, and everything else is unknown.
    fn command(&self, link: &Rc<Link<Session>>, tid: Tid, message: &MMonCommand<'_>) {
        let known = message.command.contains(r#""prefix":"echo""#);
        let result = if known { 0 } else { Errno::EINVAL.as_result() };
        let output = SharedBuf::from(Buf::from_slice(message.command.as_bytes()));
        let ack = MMonCommandAck { result, status: "".into(), command: "".into(), version: 0 };
        link.post(tid, &ack, if known { output } else { SharedBuf::empty() });
    }
}

fn now() -> Utime {
    unix_time().into()
}
