//! Lanes that ask the monitors: for the newest map, for snapshots' numbers, by commands, and to fence whom they follow.

use super::lane::Lane;
use ringbd_reactor::sleep;
use std::rc::Rc;
use std::time::Duration;

impl Lane {
    pub(super) async fn ask_monitors(self: Rc<Self>) {
        let mut random = self.random();
        for n in 0..self.load.plan.rounds {
            match random.u8(..3) {
                0 => self.want_newest_map().await,
                1 => self.echo(n).await,
                _ => self.make_a_snapshot().await,
            }
            if self.is_over() {
                return;
            }
            sleep(Duration::from_millis(random.u64(0..2000))).await;
        }
    }

    /// The map that there is when it is asked for, or a newer one.
    async fn want_newest_map(&self) {
        let newest = self.load.shared.with(|state| state.maps.newest());
        let asked = self.ask("the newest map".to_owned(), self.rados.latest_map()).await;
        let have = self.rados.map().map_or_else(Default::default, |map| map.epoch());
        if asked.is_ok() && have < newest {
            self.violation(format!("the newest map was {newest} when it was asked for, and {have} came"));
        }
    }

    async fn echo(&self, n: u64) {
        let command = format!(r#"{{"prefix":"echo","n":{n}}}"#);
        let asked = self.ask("a command".to_owned(), self.rados.mon_command(&command, b"")).await;
        if let Ok(output) = asked
            && (output.result, &output.data[..]) != (0, command.as_bytes())
        {
            self.violation(format!("a command came to {output:?}"));
        }
    }

    /// Snapshots' numbers are never given twice.
    async fn make_a_snapshot(&self) {
        let io = super::data(&self.rados);
        let asked = self.ask("a snapshot's number".to_owned(), io.create_selfmanaged_snap()).await;
        if let Ok(snap) = asked
            && !super::lock(&self.load.told).snaps.insert(snap.0)
        {
            self.violation(format!("snapshot {snap} was made twice"));
        }
    }

    /// Fences the client whose place this one takes, which may have been done already.
    pub(super) async fn succeed(&self) {
        let Some(addr) = self.load.predecessor else { return };
        let fence = self.rados.blocklist_add(&addr, None);
        let fenced = self.ask("to fence another client".to_owned(), fence).await;
        if fenced.is_ok() && self.rados.map().is_none_or(|map| !map.is_blocklisted(&addr)) {
            self.violation(format!("{addr} is fenced, and the map here does not say so"));
        }
    }
}
