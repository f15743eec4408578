//! Keeping a connection to an OSD: make it, use it, and make it again when it is lost, for as long as the map says that the
//! OSD is up and somebody needs it.

use super::incoming::Arrivals;
use super::{Line, Session};
use crate::rados::connection::{self, ConnectError, Opened, Peer};
use crate::rados::core::Core;
use ringbd_proto::types::{EntityAddr, EntityType};
use ringbd_reactor::{Elapsed, timeout};
use std::rc::Rc;
use std::time::Duration;

/// The task of a session. It ends when the session does.
pub(super) async fn keep(core: Rc<Core>, session: Rc<Session>) {
    let mut wait = core.config().initial_backoff;
    while !session.ended.get() {
        if session.resting.get() {
            session.news.wait().await;
            continue;
        }
        let Some(addr) = core.osd_addr(session.osd) else {
            // Down, or gone: its operations are taken elsewhere by whoever they belong to.
            session.news.wait().await;
            continue;
        };
        match connect(&core, &session, addr).await {
            Ok(opened) => {
                let connection = opened.connection.clone();
                use_it(&core, &session, addr, opened).await;
                if session.resting.get() {
                    continue;
                }
                core.want_newer_map();
                if connection.counts().received_messages.get() > 0 {
                    // It was of use, so the next one may be at once.
                    wait = core.config().initial_backoff;
                    continue;
                }
            }
            Err(error) => {
                tracing::info!(osd = session.osd.0, %addr, core = %core.no(), %error, retry_in = ?wait, "no connection");
                session.statistics.refused(&error);
                core.connection_refused(EntityType::Osd, &error);
            }
        }
        // The map may know better where the OSD is, or that it is down.
        core.want_newer_map();
        rest(&session, wait).await;
        wait = (wait * 2).min(core.config().max_backoff);
    }
    core.session_ended(session.osd);
}

async fn connect(
    core: &Rc<Core>,
    session: &Session,
    addr: EntityAddr,
) -> Result<Opened<crate::rados::credentials::ServiceExchange>, ConnectError> {
    let exchange = core.exchange(EntityType::Osd).await?;
    let peer = Peer { addr, kind: EntityType::Osd, num: Some(i64::from(session.osd.0)) };
    let config = core.config();
    connection::open(core.identity(), peer, &config.client_modes, exchange, config.ready_timeout).await
}

async fn use_it(
    core: &Rc<Core>,
    session: &Rc<Session>,
    addr: EntityAddr,
    opened: Opened<crate::rados::credentials::ServiceExchange>,
) {
    let Opened { connection, incoming, .. } = opened;
    let mode = connection.con_mode();
    tracing::info!(osd = session.osd.0, %addr, ?mode, core = %core.no(), "connected");
    session.resume(Line { connection: connection.clone(), addr });
    if session.statistics.connections.get() > 1 {
        core.session_reset(session.osd);
    }
    let mut arrivals =
        Arrivals { core: core.clone(), session: session.clone(), connection: connection.clone() };
    let fault = incoming.run(&connection, &mut arrivals).await;
    session.suspend();
    session.statistics.disconnected(&fault);
    let in_flight = session.in_flight.borrow().len();
    tracing::info!(osd = session.osd.0, %addr, core = %core.no(), in_flight, reason = %fault, "the connection ended");
}

/// Waits before the next try, or until there is news.
async fn rest(session: &Session, wait: Duration) {
    if !session.ended.get() {
        let _: Result<(), Elapsed> = timeout(wait, session.news.wait()).await;
    }
}
