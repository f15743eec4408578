//! How a connection's handshake proves who we are, by the method that the cluster takes.

use super::shared::Shared;
use ringbd_proto::auth::cephx::{Authorizer, Login, Tickets};
use ringbd_proto::auth::{
    AuthDone, AuthError, AuthMethod, CephUser, ClientExchange, Credentials, NoneExchange, SessionSecrets,
};
use ringbd_proto::types::{EntityType, GlobalId, Utime};
use ringbd_reactor::{fill_random, unix_time};
use std::sync::Arc;

/// The time that tickets are measured by.
pub(super) fn auth_now() -> Utime {
    Utime::from(unix_time())
}

/// At a monitor: a login.
#[derive(Debug)]
pub(super) enum LoginExchange {
    Cephx(Login),
    None(NoneExchange),
}

impl LoginExchange {
    /// By cephx. With `previous` tickets the client keeps its global id.
    pub(super) fn cephx(credentials: Arc<Credentials>, previous: Option<Arc<Tickets>>) -> LoginExchange {
        LoginExchange::Cephx(Login::new(credentials, previous, auth_now(), &mut fill_random))
    }

    pub(super) fn none(user: CephUser, global_id: GlobalId) -> LoginExchange {
        LoginExchange::None(NoneExchange::to_monitor(user, global_id))
    }

    /// What the login brought.
    pub(super) fn into_tickets(self) -> Option<Tickets> {
        match self {
            LoginExchange::Cephx(mut login) => login.take_tickets(),
            LoginExchange::None(_) => None,
        }
    }
}

/// At an OSD: a ticket.
#[derive(Debug)]
pub(super) enum ServiceExchange {
    Cephx(Box<Authorizer>),
    None(NoneExchange),
}

impl ServiceExchange {
    /// By the method that the monitors took.
    pub(super) fn new(shared: &Shared, service: EntityType) -> Result<ServiceExchange, AuthError> {
        match shared.tickets() {
            Some(tickets) => {
                let authorizer = Authorizer::new(&tickets, service, auth_now(), &mut fill_random)?;
                Ok(ServiceExchange::Cephx(Box::new(authorizer)))
            }
            None => {
                let (user, global_id) = (shared.user().clone(), shared.global_id());
                Ok(ServiceExchange::None(NoneExchange::to_service(user, global_id)))
            }
        }
    }
}

macro_rules! delegate {
    ($ty:ident) => {
        impl ClientExchange for $ty {
            fn method(&self) -> AuthMethod {
                match self {
                    $ty::Cephx(exchange) => exchange.method(),
                    $ty::None(exchange) => exchange.method(),
                }
            }

            fn begin(&mut self) -> Vec<u8> {
                match self {
                    $ty::Cephx(exchange) => exchange.begin(),
                    $ty::None(exchange) => exchange.begin(),
                }
            }

            fn more(&mut self, payload: &[u8]) -> Result<Vec<u8>, AuthError> {
                match self {
                    $ty::Cephx(exchange) => exchange.more(payload),
                    $ty::None(exchange) => exchange.more(payload),
                }
            }

            fn done(&mut self, done: AuthDone<'_>) -> Result<SessionSecrets, AuthError> {
                match self {
                    $ty::Cephx(exchange) => exchange.done(done),
                    $ty::None(exchange) => exchange.done(done),
                }
            }

            fn refused(&self, result: i32) -> AuthError {
                match self {
                    $ty::Cephx(exchange) => exchange.refused(result),
                    $ty::None(exchange) => exchange.refused(result),
                }
            }
        }
    };
}

delegate!(LoginExchange);
delegate!(ServiceExchange);
