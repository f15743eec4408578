//! Who is let in, watched: the census counts how logins and authorizers end.

use super::census::Seen;
use super::state::Shared;
use ringbd_proto::auth::{AuthError, AuthMethod, ConMode, ServerExchange, ServerStep};
use ringbd_proto::types::GlobalId;

/// An exchange whose end is counted.
#[derive(Debug)]
pub(super) struct Witness<X> {
    inner: X,
    /// What a client is called that was never here.
    new: GlobalId,
    shared: Shared,
}

impl<X> Witness<X> {
    pub(super) fn new(inner: X, new: GlobalId, shared: &Shared) -> Witness<X> {
        Witness { inner, new, shared: shared.clone() }
    }

    fn note(&self, step: Result<ServerStep, AuthError>) -> Result<ServerStep, AuthError> {
        self.shared.with(|state| match &step {
            Ok(ServerStep::Done { global_id, .. }) if self.new != GlobalId(0) && *global_id != self.new => {
                state.census.count(Seen::Reclaimed);
            }
            Err(AuthError::ReclaimRefused(client)) => {
                state.census.count(Seen::ReclaimRefused);
                state.disown(*client);
            }
            Err(AuthError::TicketRefused(_)) => state.census.count(Seen::TicketRefused),
            Ok(_) | Err(_) => {}
        });
        step
    }
}

impl<X: ServerExchange> ServerExchange for Witness<X> {
    fn begin(
        &mut self,
        method: AuthMethod,
        con_mode: ConMode,
        payload: &[u8],
    ) -> Result<ServerStep, AuthError> {
        let step = self.inner.begin(method, con_mode, payload);
        self.note(step)
    }

    fn more(&mut self, payload: &[u8]) -> Result<ServerStep, AuthError> {
        let step = self.inner.more(payload);
        self.note(step)
    }
}
