//! One core's part of a client: the operations that are at home here, and the sessions whose connections are here.
//!
//! The rule: everything in here is touched by this core alone. What concerns another core is said in a message.

use super::config::ClusterConfig;
use super::connection::ConnectError;
use super::credentials::ServiceExchange;
use super::error::OpError;
use super::identity::Identity;
use super::linger::Lingers;
use super::message::{Answer, CoreNo, MapStep, Message, Submission};
use super::monitor::{MonRequest, Monitor};
use super::objecter::{Objecter, OpId};
use super::session::Session;
use super::shared::Shared;
use super::status::CoreReport;
use ringbd_proto::auth::AuthError;
use ringbd_proto::message::FrontVersion;
use ringbd_proto::msgr2::HandshakeError;
use ringbd_proto::osd::OsdOpFront;
use ringbd_proto::osdmap::OsdMap;
use ringbd_proto::types::{EntityAddr, EntityType, Epoch, OsdId};
use ringbd_reactor::{Elapsed, Receiver, WaitQueue, sleep, spawn_detached, timeout};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How long an operation waits before a newer map is asked for: longer than nearly all take, and short beside the seconds that
/// it takes a cluster to find that an OSD is gone. The question costs the monitors one answer, when there is a newer map.
const NEWS_AFTER: Duration = Duration::from_secs(1);

/// How often a core looks for such operations.
const NEWS_INTERVAL: Duration = Duration::from_millis(500);

pub(super) struct Core {
    no: CoreNo,
    shared: Arc<Shared>,
    /// As the monitors have tuned it.
    config: RefCell<Arc<ClusterConfig>>,
    /// `rados_osd_op_timeout`, which every operation looks at.
    op_timeout: Cell<Option<Duration>>,
    map: RefCell<Option<Arc<OsdMap>>>,
    pub(super) objecter: Objecter,
    pub(super) lingers: Lingers,
    sessions: RefCell<BTreeMap<OsdId, Rc<Session>>>,
    /// Where the connections of OSDs are that this core has spoken to.
    homes: RefCell<BTreeMap<OsdId, CoreNo>>,
    /// The map, the tickets or the client's end: something that waiting tasks look at changed.
    pub(super) news: WaitQueue,
    ended: Cell<bool>,
}

impl Core {
    /// Makes the running core a core of the client and serves its mailbox. The first one speaks to the monitors.
    pub(super) fn start(
        no: CoreNo,
        shared: Arc<Shared>,
        mailbox: Receiver<Message>,
        monitor: Option<Receiver<MonRequest>>,
    ) -> Rc<Core> {
        let core = Rc::new(Core {
            no,
            config: RefCell::new(shared.config.clone()),
            op_timeout: Cell::new(None),
            objecter: Objecter::default(),
            lingers: Lingers::default(),
            map: RefCell::new(None),
            sessions: RefCell::default(),
            homes: RefCell::default(),
            news: WaitQueue::new(),
            ended: Cell::new(false),
            shared,
        });
        core.take_config(core.config());
        spawn_detached(core.clone().serve(mailbox));
        spawn_detached(tick(core.clone()));
        spawn_detached(watch_for_news(core.clone()));
        if let Some(mailbox) = monitor {
            Monitor::start(&core, mailbox);
        }
        core
    }

    async fn serve(self: Rc<Core>, mut mailbox: Receiver<Message>) {
        while let Some(message) = mailbox.recv().await {
            match message {
                Message::Submit { osd, submission } => self.session(osd).submit(submission),
                Message::Withdraw { osd, op } => {
                    drop(self.session(osd).withdraw(op));
                }
                Message::Answer { op, answer, front } => self.take_answer(op, answer, front),
                Message::Map { map, step } => self.take_map(map, step),
                Message::Tickets => self.news.wake_all(),
                Message::Config(config) => self.take_config(config),
                Message::SessionReset(osd) => self.rewatch(osd),
                Message::Watch(event) => self.take_watch_event(event),
                // Who does not wait any more does not want to know.
                Message::Report(reply) => drop(reply.send(CoreReport::of(&self))),
                Message::Greet(osd) => drop(self.session(osd)),
                Message::Over(error) => {
                    self.fail_everything(&error);
                    // Who waits for a map learns that it is of no use any more.
                    self.news.wake_all();
                }
                Message::Stop => break,
            }
        }
        self.end();
    }

    fn end(self: &Rc<Core>) {
        self.ended.set(true);
        self.fail_everything(&OpError::Closed);
        self.sessions.borrow().values().for_each(|session| session.end());
        self.news.wake_all();
    }

    pub(super) fn no(&self) -> CoreNo {
        self.no
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The configuration as it is now.
    pub(super) fn config(&self) -> Arc<ClusterConfig> {
        self.config.borrow().clone()
    }

    /// After how long an operation fails.
    pub(super) fn op_timeout(&self) -> Option<Duration> {
        self.op_timeout.get()
    }

    fn take_config(&self, config: Arc<ClusterConfig>) {
        let share = |limit: usize| limit.div_ceil(self.shared.cores());
        self.objecter.limit(share(config.inflight_ops), share(config.inflight_bytes));
        self.op_timeout.set(config.osd_op_timeout);
        self.sessions().iter().for_each(|session| session.retune(&config));
        self.config.replace(config);
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.shared.identity
    }

    /// The newest map that this core has seen.
    pub(super) fn map(&self) -> Option<Arc<OsdMap>> {
        self.map.borrow().clone()
    }

    /// Looks at the newest map.
    pub(super) fn with_map<R>(&self, f: impl FnOnce(Option<&OsdMap>) -> R) -> R {
        f(self.map.borrow().as_deref())
    }

    /// Where an OSD is, if it is up.
    pub(super) fn osd_addr(&self, osd: OsdId) -> Option<EntityAddr> {
        self.with_map(|map| map?.osd_addrs(osd)?.msgr2().copied())
    }

    /// Waits until this core has a map of at least that epoch. False when the client's end comes first.
    pub(super) async fn wait_for_map(&self, epoch: Epoch) -> bool {
        loop {
            if self.with_map(|map| map.is_some_and(|map| map.epoch() >= epoch)) {
                return true;
            }
            if self.check_alive().is_err() {
                return false;
            }
            self.news.wait().await;
        }
    }

    /// Asks for maps until this core has one of at least that epoch.
    pub(super) async fn want_map(&self, epoch: Epoch) -> Result<(), OpError> {
        if epoch.0 > 0 {
            self.shared.ask_monitor(MonRequest::NewerMap { than: Epoch(epoch.0 - 1) });
        }
        if self.wait_for_map(epoch).await { Ok(()) } else { self.check_alive() }
    }

    /// Nothing can be asked any more of a client that was fenced or closed.
    pub(super) fn check_alive(&self) -> Result<(), OpError> {
        if let Some(error) = self.shared.over() {
            return Err(error.clone());
        }
        if self.ended.get() || self.shared.is_closed() {
            return Err(OpError::Closed);
        }
        Ok(())
    }

    /// Asks the monitors, and waits for as long as `rados_mon_op_timeout` lets it.
    pub(super) async fn ask_monitors<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, OpError>>) -> MonRequest,
    ) -> Result<T, OpError> {
        self.check_alive()?;
        let (reply, answer) = oneshot::async_channel();
        self.shared.ask_monitor(request(reply));
        let limit = self.config().mon_op_timeout.unwrap_or(Duration::MAX);
        match timeout(limit, answer).await {
            Ok(answer) => answer.unwrap_or(Err(OpError::Closed)),
            Err(Elapsed) => Err(OpError::TimedOut),
        }
    }

    // Sessions.

    fn home_of(&self, osd: OsdId) -> CoreNo {
        *self.homes.borrow_mut().entry(osd).or_insert_with(|| self.shared.home_of(osd))
    }

    /// Whether the connection to an OSD is on this core.
    pub(super) fn is_home_of(&self, osd: OsdId) -> bool {
        self.home_of(osd) == self.no
    }

    /// The session of an OSD whose connection is here.
    fn session(self: &Rc<Core>, osd: OsdId) -> Rc<Session> {
        self.sessions.borrow_mut().entry(osd).or_insert_with(|| Session::start(osd, self)).clone()
    }

    /// Gives an operation to the session of an OSD, wherever that is.
    pub(super) fn submit(self: &Rc<Core>, osd: OsdId, submission: Submission) {
        let home = self.home_of(osd);
        if home == self.no {
            self.session(osd).submit(submission);
        } else {
            self.shared.send(home, Message::Submit { osd, submission });
        }
    }

    /// Takes an operation away from the session of an OSD. What the session had of it comes back if it is here.
    pub(super) fn withdraw(self: &Rc<Core>, osd: OsdId, op: OpId) -> Option<Submission> {
        let home = self.home_of(osd);
        if home == self.no {
            return self.session(osd).withdraw(op);
        }
        self.shared.send(home, Message::Withdraw { osd, op });
        None
    }

    /// Brings an answer to the operation, wherever that is at home, and gives the front back.
    pub(super) fn deliver(self: &Rc<Core>, op: OpId, answer: Answer, front: OsdOpFront) {
        if op.core() == self.no {
            self.take_answer(op, answer, front);
        } else {
            self.shared.send(op.core(), Message::Answer { op, answer, front });
        }
    }

    /// Begins the sessions of all OSDs that are up, on whichever cores they are at home.
    pub(super) fn greet_osds(&self) {
        let Some(map) = self.map() else { return };
        let osds = (0..map.max_osd()).filter_map(|osd| i32::try_from(osd).ok().map(OsdId));
        for osd in osds.filter(|osd| map.is_up(*osd)) {
            self.shared.send(self.home_of(osd), Message::Greet(osd));
        }
    }

    /// A session of this core has another connection than before.
    pub(super) fn session_reset(&self, osd: OsdId) {
        tracing::info!(osd = osd.0, core = %self.no, "a new session: watches are said again");
        self.shared.tell_all(|| Message::SessionReset(osd));
    }

    /// A session of this core is over.
    pub(super) fn session_ended(&self, osd: OsdId) {
        self.sessions.borrow_mut().remove(&osd);
    }

    /// All sessions of this core.
    pub(super) fn sessions(&self) -> Vec<Rc<Session>> {
        self.sessions.borrow().values().cloned().collect()
    }

    // Maps, tickets, and what else comes from the monitors.

    fn take_map(self: &Rc<Core>, map: Arc<OsdMap>, step: MapStep) {
        tracing::debug!(epoch = map.epoch().0, core = %self.no, "the core has the map");
        let fenced = self.identity().addr().is_some_and(|addr| map.is_blocklisted(&addr));
        self.map.replace(Some(map));
        if fenced {
            return self.fenced();
        }
        self.rescan(step);
        self.rewatch_moved();
        for session in self.sessions() {
            session.look_at_map(self);
        }
        self.news.wake_all();
    }

    /// The cluster takes nothing from this client any more.
    pub(super) fn fenced(&self) {
        self.end_with(&OpError::Blocklisted);
    }

    /// Ends the client for a reason that nothing can mend.
    pub(super) fn end_with(&self, error: &OpError) {
        if self.shared.end_with(error.clone()) {
            tracing::error!(%error, addr = ?self.identity().addr(), "this client does no more I/O");
            self.shared.tell_all(|| Message::Over(error.clone()));
        }
    }

    /// A newer map than this core's is wanted.
    pub(super) fn want_newer_map(&self) {
        let than = self.with_map(|map| map.map_or(Default::default(), OsdMap::epoch));
        self.shared.ask_monitor(MonRequest::NewerMap { than });
    }

    /// Takes maps that an OSD sent.
    pub(super) fn take_maps(&self, versions: FrontVersion, front: &[u8]) {
        self.shared.ask_monitor(MonRequest::maps(versions, front));
    }

    /// How a handshake with a service proves who we are. Without a ticket it waits for one.
    pub(super) async fn exchange(&self, service: EntityType) -> Result<ServiceExchange, ConnectError> {
        let refused = match ServiceExchange::new(&self.shared, service) {
            Ok(exchange) => return Ok(exchange),
            Err(AuthError::NoTicket(_)) => {
                self.shared.ask_monitor(MonRequest::Tickets(service));
                let limit = self.config().ready_timeout;
                // New tickets and the end of the wait are both reasons to look again.
                let _: Result<(), Elapsed> = timeout(limit, self.news.wait()).await;
                ServiceExchange::new(&self.shared, service)
            }
            Err(error) => Err(error),
        };
        refused.map_err(|error| ConnectError::Handshake(HandshakeError::Auth(error)))
    }

    /// A service did not take us: perhaps its keys have changed, and a new ticket helps.
    pub(super) fn connection_refused(&self, service: EntityType, error: &ConnectError) {
        if let ConnectError::Handshake(HandshakeError::MethodRefused(_) | HandshakeError::Auth(_)) = error {
            self.shared.ask_monitor(MonRequest::Tickets(service));
        }
    }
}

/// Looks now and then for operations that have waited for long: their OSD may be gone without a trace.
async fn tick(core: Rc<Core>) {
    loop {
        sleep(core.config().tick_interval).await;
        let config = core.config();
        if core.ended.get() {
            return;
        }
        let mut laggy = false;
        for session in core.sessions() {
            laggy |= session.look_for_laggards(&config);
            session.rest_if_idle(&core);
        }
        let homeless = core.has_homeless();
        core.complain_of_homeless(homeless, config.complaint_time);
        if laggy || homeless {
            core.want_newer_map();
        }
        core.ping_watches();
    }
}

/// Asks for a newer map as soon as an operation waits for longer than they do in a healthy cluster.
///
/// An OSD that hangs keeps its connections, and only a map says that another leads now. It must not be heard of late: OSDs know an
/// operation that is sent again for one that they have done by a placement group's log, which keeps the names of a few thousand
/// (`osd_pg_log_dups_tracked`, 3000, beside the log itself). When others write more than that meanwhile, it is done twice.
async fn watch_for_news(core: Rc<Core>) {
    loop {
        sleep(NEWS_INTERVAL).await;
        if core.ended.get() {
            return;
        }
        if core.sessions().iter().any(|session| session.has_waited_for(NEWS_AFTER)) {
            core.want_newer_map();
        }
    }
}
