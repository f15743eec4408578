//! Keeping tickets good for as long as the client lives.
//!
//! ```text
//! a service's ticket:  last quarter of its hour ──▶ MAuth over the session ──▶ MAuthReply: a new one
//!                      a service refuses it (its keys were changed) ──▶ the same at once
//! our own (AUTH):      last quarter of its days ──▶ the session ends, the next one's login brings a new one
//! ```
//!
//! The rule: the client stays who it is. A login shows the ticket of the last one, and so goes on under the same global id.
//! If the monitors refuse that ticket when its time is over, the client ends: OSDs know by the id and the tid what they
//! have done, so that under another id they would do again whatever is sent again.

use super::hunt::Refused;
use super::{Message as ToCores, Monitor};
use crate::rados::connection::{ConnectError, Fault};
use crate::rados::credentials::auth_now;
use crate::rados::error::OpError;
use ringbd_proto::auth::AuthError;
use ringbd_proto::mon::{MAuth, MAuthReply};
use ringbd_proto::msgr2::HandshakeError;
use ringbd_proto::types::{EntityType, EntityTypes};
use ringbd_reactor::{fill_random, sleep};
use std::rc::Rc;
use std::time::Duration;

/// The protocol number of cephx in messages that renew tickets.
const CEPHX: u32 = 2;

/// Looks for due tickets are at least this far apart: a monitor has to have the time to answer.
const LOOK_MIN: Duration = Duration::from_secs(1);

/// And at most this far: tickets of usual lives are due for much longer.
const LOOK_MAX: Duration = Duration::from_secs(10);

/// The task that renews tickets in time.
pub(super) async fn keep(monitor: Rc<Monitor>) {
    while !monitor.ended.get() {
        let margin = monitor.core.shared().tickets().map(|tickets| tickets.renewal_margin());
        // Several looks fall into the time in which the shortest-lived ticket is due.
        sleep(margin.map_or(LOOK_MAX, |margin| (margin / 4).clamp(LOOK_MIN, LOOK_MAX))).await;
        monitor.renew_what_is_due();
    }
}

impl Monitor {
    /// Asks for what the last quarter of its life has begun of.
    pub(super) fn renew_what_is_due(&self) {
        let Some(tickets) = self.core.shared().tickets() else { return };
        let now = auth_now();
        if tickets.login_due(now) {
            return self.log_in_again();
        }
        let due = tickets.due(now);
        if due != EntityTypes::default() {
            self.renew(due);
        }
    }

    /// Asks for new tickets of these services.
    pub(super) fn renew(&self, services: EntityTypes) {
        let Some(tickets) = self.core.shared().tickets() else { return };
        tracing::debug!(?services, "asking for new tickets");
        let payload = tickets.renewal(services, &mut fill_random);
        let monmap_epoch = self.subscriptions.borrow().monmap;
        self.send(&MAuth { protocol: CEPHX, payload: &payload, monmap_epoch });
    }

    pub(super) fn take_tickets(&self, reply: &MAuthReply<'_>) {
        let Some(tickets) = self.core.shared().tickets() else { return };
        match tickets.renewed(reply.result, reply.payload, auth_now()) {
            Ok(renewed) => {
                tracing::info!("the services' tickets were renewed");
                let global_id = renewed.global_id();
                self.core.shared().log_in(global_id, Some(renewed));
                self.publish(|| ToCores::Tickets);
            }
            Err(AuthError::ReclaimRefused(_)) => self.log_in_again(),
            Err(error) => tracing::warn!(%error, "tickets were not renewed"),
        }
    }

    /// Ends the session; the next one begins with a login, which brings a new ticket of our own.
    fn log_in_again(&self) {
        if self.session.borrow().is_some() {
            tracing::info!("our own ticket nears its end: logging in again");
            self.end_session(Fault::LoginDue);
        }
    }

    /// Ends the client if a monitor refused our own ticket, and its time is over.
    pub(super) fn heed_lost_identity(&self, refusals: &[Refused]) {
        let refused = |refused: &Refused| {
            matches!(
                refused.error,
                ConnectError::Handshake(HandshakeError::Auth(AuthError::ReclaimRefused(_)))
            )
        };
        let tickets = self.core.shared().tickets();
        let own = tickets.as_ref().and_then(|tickets| tickets.ticket(EntityType::Auth));
        if own.is_some_and(|own| auth_now() >= own.expires()) && refusals.iter().any(refused) {
            self.core.end_with(&OpError::IdentityLost);
        }
    }
}
