//! Hunting: finding a monitor that answers and takes us.
//!
//! A few candidates are tried at the same time, those of the best priority first and the heavier ones more often; the first
//! that logs us in is it, and the others are let go. Each round without one is followed by a longer pause. What every
//! candidate answered is remembered, because that is what a user who waits in vain has to know.

use super::Monitor;
use super::refusal::final_answer;
use crate::error::Error;
use crate::rados::candidates::MonitorCandidate;
use crate::rados::config::ClusterConfig;
use crate::rados::connection::{self, ConnectError, Opened, Peer};
use crate::rados::credentials::LoginExchange;
use ringbd_proto::auth::AuthMethod;
use ringbd_proto::mon::MonMap;
use ringbd_proto::types::{EntityAddr, EntityType};
use ringbd_reactor::random_u64;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

/// Where monitors may be, and how looking for one has gone.
#[derive(Debug, Default)]
pub(super) struct Hunt {
    candidates: Vec<Candidate>,
    /// The configuration's names were looked up.
    resolved: bool,
    /// Rounds without success.
    failures: u32,
    /// What the candidates of the last round answered.
    refusals: Vec<Refused>,
}

#[derive(Clone, Debug)]
struct Candidate {
    addr: EntityAddr,
    priority: u16,
    weight: u16,
}

/// What a candidate answered.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) addr: EntityAddr,
    pub(super) error: ConnectError,
}

type Try = Pin<Box<dyn Future<Output = Result<Opened<LoginExchange>, Refused>>>>;

impl Hunt {
    /// How long to wait before the next round.
    pub(super) fn pause(&self, config: &ClusterConfig) -> Duration {
        if self.failures == 0 { Duration::ZERO } else { round(config, self.failures - 1) }
    }

    /// Whoever was found is of no use.
    pub(super) fn found_in_vain(&mut self) {
        self.failures += 1;
    }

    /// What the candidates of the last round answered.
    pub(super) fn refusals(&self) -> &[Refused] {
        &self.refusals
    }

    /// The monitors' own map knows best who they are.
    pub(super) fn take_monmap(&mut self, map: &MonMap) {
        let known = map.mons.iter().filter_map(|mon| {
            let addr = *mon.addrs.msgr2()?;
            Some(Candidate { addr, priority: mon.priority, weight: mon.weight })
        });
        let known: Vec<Candidate> = known.collect();
        if !known.is_empty() {
            self.candidates = known;
        }
    }

    /// Who is tried in this round: a shuffle of those with the best priority in which a heavier one tends to come first.
    fn draw(&self, count: usize) -> Vec<EntityAddr> {
        let best = self.candidates.iter().map(|candidate| candidate.priority).min();
        let mut left: Vec<&Candidate> =
            self.candidates.iter().filter(|candidate| Some(candidate.priority) == best).collect();
        let mut drawn = Vec::new();
        while drawn.len() < count && !left.is_empty() {
            let weight = |candidate: &Candidate| u64::from(candidate.weight.max(1));
            let mut ticket = random_u64() % left.iter().map(|candidate| weight(candidate)).sum::<u64>();
            let place = left.iter().position(|candidate| {
                let hit = ticket < weight(candidate);
                ticket = ticket.saturating_sub(weight(candidate));
                hit
            });
            drawn.push(left.swap_remove(place.expect("the ticket is below the sum of the weights")).addr);
        }
        drawn
    }
}

/// How long a round may take, after so many failed ones.
fn round(config: &ClusterConfig, failed: u32) -> Duration {
    let factor = config.mon_hunt_interval_backoff.powi(i32::try_from(failed).unwrap_or(i32::MAX).min(64));
    let interval = config.mon_hunt_interval.mul_f64(factor.min(1e6));
    interval.clamp(config.mon_hunt_interval_min, config.mon_hunt_interval_max)
}

impl Monitor {
    /// One round. `Err(Some)` is final as long as the configuration is what it is; `Err(None)` may change.
    pub(super) async fn hunt(self: &Rc<Monitor>) -> Result<Opened<LoginExchange>, Option<Error>> {
        let config = self.core.config();
        if !self.hunt.borrow().resolved {
            let found = config.monitors.resolve().await.map_err(Some)?;
            let mut hunt = self.hunt.borrow_mut();
            let candidate = |found: MonitorCandidate| Candidate {
                addr: *found.msgr2(),
                priority: found.priority,
                weight: found.weight,
            };
            hunt.candidates = found.into_iter().map(candidate).collect();
            hunt.resolved = true;
        }
        let drawn = self.hunt.borrow().draw(config.mon_hunt_parallel);
        tracing::debug!(monitors = ?drawn, "looking for a monitor");
        let tries = drawn.into_iter().map(|addr| self.try_one(addr)).collect();
        match first(tries).await {
            Ok(opened) => {
                self.hunt.borrow_mut().failures = 0;
                Ok(opened)
            }
            Err(refusals) => {
                self.heed_lost_identity(&refusals);
                let fatal = refusals.iter().find_map(|refused| final_answer(&config, refused));
                let ever = self.maps.borrow().newest().is_some();
                let mut hunt = self.hunt.borrow_mut();
                hunt.failures += 1;
                hunt.refusals = refusals;
                Err(fatal.filter(|_| !ever))
            }
        }
    }

    fn try_one(self: &Rc<Monitor>, addr: EntityAddr) -> Try {
        let core = self.core.clone();
        let hunt = self.hunt.borrow();
        let config = core.config();
        let limit = round(&config, hunt.failures).min(config.ready_timeout);
        Box::pin(async move {
            let shared = core.shared();
            let exchange = match (config.methods.contains(&AuthMethod::Cephx), &config.credentials) {
                (true, Some(credentials)) => LoginExchange::cephx(credentials.clone(), shared.tickets()),
                (_, _) => LoginExchange::none(config.user.clone(), shared.global_id()),
            };
            let peer = Peer { addr, kind: EntityType::Mon, num: None };
            let opened = connection::open(core.identity(), peer, &config.mon_modes, exchange, limit).await;
            opened.map_err(|error| {
                tracing::info!(%addr, %error, "the monitor does not take us");
                Refused { addr, error }
            })
        })
    }
}

/// The first that succeeds, or what all the others answered. The rest is let go.
async fn first(mut tries: Vec<Try>) -> Result<Opened<LoginExchange>, Vec<Refused>> {
    let mut refusals = Vec::new();
    poll_fn(|context| {
        let mut at = 0;
        while at < tries.len() {
            match tries[at].as_mut().poll(context) {
                Poll::Ready(Ok(opened)) => return Poll::Ready(Some(opened)),
                Poll::Ready(Err(refused)) => {
                    refusals.push(refused);
                    drop(tries.swap_remove(at));
                }
                Poll::Pending => at += 1,
            }
        }
        if tries.is_empty() { Poll::Ready(None) } else { Poll::Pending }
    })
    .await
    .ok_or(refusals)
}
