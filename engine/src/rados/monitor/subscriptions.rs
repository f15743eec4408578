//! What the monitors are to tell us unasked: the monitors' own map, our configuration, and the OSDs' map.
//!
//! The OSDs' map is asked for once at the beginning, and then only when somebody needs a newer one: OSDs send it along
//! when they see that ours is old, and a large cluster's monitors have better things to do than to tell every client about
//! every change. While operations are held back by the map itself (a pause, a full pool), it is subscribed to for good.

use ringbd_proto::mon::{MMonSubscribe, Subscription};
use ringbd_proto::types::Epoch;

#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    /// The newest of the monitors' maps that we have.
    pub(super) monmap: Epoch,
    /// What is wanted of the OSDs' map.
    osdmap: Wanted,
    /// The newest epoch that somebody waits for. A monitor that is behind sends an older one, and no more.
    awaited: Epoch,
}

/// What is wanted of the OSDs' map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Wanted {
    /// Nothing.
    Nothing,
    /// The newest, whole.
    #[default]
    Whole,
    /// Whatever comes from this epoch on.
    From(Epoch),
}

impl Subscriptions {
    /// Somebody waits for that epoch.
    pub(super) fn wait_for(&mut self, epoch: Epoch) {
        self.awaited = self.awaited.max(epoch);
    }

    /// Whether somebody waits for a newer map than `have`.
    pub(super) fn is_short(&self, have: Epoch) -> bool {
        have < self.awaited
    }

    /// A newer map than `have` is wanted. False if that was said already.
    pub(super) fn want_newer(&mut self, have: Epoch) -> bool {
        let wanted = Wanted::From(Epoch(have.0 + 1));
        let news = self.osdmap != wanted && self.osdmap != Wanted::Whole;
        if news {
            self.osdmap = wanted;
        }
        news
    }

    /// The newest map is wanted whole: we have none, or ours cannot be brought up to date.
    pub(super) fn want_whole(&mut self) {
        self.osdmap = Wanted::Whole;
    }

    /// A whole map came that is no newer than `have`: who sent it is behind. True if one was asked for; the next newer one
    /// is then wanted, because nobody sends what was asked for once a second time.
    pub(super) fn got_old(&mut self, have: Epoch) -> bool {
        let asked = self.osdmap == Wanted::Whole;
        if asked {
            self.osdmap = Wanted::From(Epoch(have.0 + 1));
        }
        asked
    }

    /// A map came; one was asked for, and no more.
    pub(super) fn got(&mut self) {
        self.osdmap = Wanted::Nothing;
    }

    /// The message that says all of it, for a new session.
    pub(super) fn all(&self) -> MMonSubscribe<'static> {
        let lasting = |what: &'static str, start| Subscription { what: what.into(), start, one_time: false };
        let next_monmap = u64::from(self.monmap.0) + 1;
        let mut what = vec![lasting("config", 0), lasting("monmap", next_monmap)];
        what.extend(self.osdmap());
        MMonSubscribe { what, hostname: "".into() }
    }

    /// The message that asks for maps of the OSDs alone, if any are wanted.
    pub(super) fn osdmap_only(&self) -> Option<MMonSubscribe<'static>> {
        let what = vec![self.osdmap()?];
        Some(MMonSubscribe { what, hostname: "".into() })
    }

    fn osdmap(&self) -> Option<Subscription<'static>> {
        let start = match self.osdmap {
            Wanted::Nothing => return None,
            Wanted::Whole => 0,
            Wanted::From(epoch) => u64::from(epoch.0),
        };
        Some(Subscription { what: "osdmap".into(), start, one_time: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The epochs of which the subscription asks for the OSDs' map.
    fn asked(subscriptions: &Subscriptions) -> Vec<u64> {
        let message = subscriptions.osdmap_only();
        message.into_iter().flat_map(|message| message.what).map(|item| item.start).collect()
    }

    #[test]
    fn a_monitor_that_is_behind_is_asked_for_what_comes_next() {
        let mut subscriptions = Subscriptions::default();
        assert_eq!(asked(&subscriptions), [0], "the first is asked for whole");
        subscriptions.got();
        subscriptions.want_whole();
        assert!(!subscriptions.want_newer(Epoch(7)), "it was asked for already");
        assert!(subscriptions.got_old(Epoch(7)), "it came, and is of epoch 6");
        assert_eq!(asked(&subscriptions), [8]);
        assert!(!subscriptions.got_old(Epoch(7)), "nothing is outstanding that such a map would answer");
    }
}
