//! Warnings while the monitors keep somebody waiting: a client that is not let in yet, and questions that are not answered.

use super::Monitor;
use super::refusal::contacts;
use ringbd_reactor::{Instant, now, sleep};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// How long somebody may wait for a session with a monitor before that is warned about. In a healthy cluster there is one
/// within a second.
const NO_SESSION_COMPLAINT: Duration = Duration::from_secs(5);

/// How often is looked whether somebody waits.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The longest command that a warning shows.
const QUESTION_CHARS_MAX: usize = 80;

/// What was complained of.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    /// Since when somebody has waited to be let in.
    waiting_since: Cell<Option<Instant>>,
    /// How long the wait has to be before the next warning.
    next: Cell<Duration>,
}

/// The task that complains.
pub(super) async fn keep(monitor: Rc<Monitor>) {
    while !monitor.ended.get() {
        sleep(LOOK_INTERVAL).await;
        monitor.complain();
    }
}

impl Monitor {
    fn complain(&self) {
        let complaints = &self.complaints;
        if self.waiting.borrow().iter().all(oneshot::Sender::is_closed) {
            complaints.waiting_since.set(None);
        } else if complaints.waiting_since.get().is_none() {
            complaints.waiting_since.set(Some(now()));
        }
        let begun = complaints.waiting_since.get().map(|since| ("the cluster".to_owned(), since.elapsed()));
        let has_session = self.session.borrow().is_some();
        let limit = match has_session {
            true => self.core.config().complaint_time,
            false => self.core.config().complaint_time.min(NO_SESSION_COMPLAINT),
        };
        let asked = self.requests.borrow().oldest();
        let longest = begun.into_iter().chain(asked).max_by_key(|&(_, waited)| waited);
        let Some((what, waited)) = longest.filter(|&(_, waited)| waited >= limit) else {
            return complaints.next.set(Duration::ZERO);
        };
        if waited < complaints.next.get() {
            return;
        }
        complaints.next.set(waited * 2);
        let what: String = what.chars().take(QUESTION_CHARS_MAX).collect();
        let waited = format_args!("{:.1} s", waited.as_secs_f64());
        if has_session {
            tracing::warn!(%waited, "waiting for {what}: the monitor does not answer");
        } else {
            let contacts = contacts(self.hunt.borrow().candidates());
            tracing::warn!(%waited, "waiting for {what}: no monitor takes this client; {contacts}");
        }
    }
}
