//! `MWatchNotify`: what an OSD tells a watcher, and a notifier.

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::message::{Front, MessageKind};
use crate::types::{Errno, GlobalId};

/// The form of the front's first part.
const FORM: u8 = 1;

/// What the message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WatchEvent {
    /// To a watcher: somebody notifies. It must be answered, also by a notifier that watches.
    Notify,
    /// To the notifier: all have answered, or the time is over. See [`NotifyResponses`].
    NotifyComplete,
    /// To a watcher: the watch is gone.
    Disconnect,
}

/// What an OSD tells a watcher, and a notifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MWatchNotify<'a> {
    /// What it says.
    pub event: WatchEvent,
    /// The watch's number, or the notification's at its notifier.
    pub cookie: u64,
    /// The object's version when it was notified about; clients have no use for it.
    pub object_version: u64,
    /// The OSD's number of the notification.
    pub notify_id: u64,
    /// What the notifier sent.
    pub payload: &'a [u8],
    /// How it ended: ETIMEDOUT if a watcher did not answer.
    pub return_code: i32,
    /// Who notifies.
    pub notifier: GlobalId,
}

impl MWatchNotify<'_> {
    /// How it ended.
    pub fn outcome(&self) -> Result<u32, Errno> {
        Errno::from_result(self.return_code)
    }
}

impl<'a> Front<'a> for MWatchNotify<'a> {
    const KIND: MessageKind = MessageKind { number: 44, version: 3, compat: 1 };
    const WHAT: &'static str = "a notification";

    fn encode(&self, e: &mut Encoder<'_>) {
        let event = match self.event {
            WatchEvent::Notify => 1,
            WatchEvent::NotifyComplete => 2,
            WatchEvent::Disconnect => 3,
        };
        e.u8(FORM).u8(event).u64(self.cookie).u64(self.object_version).u64(self.notify_id);
        e.blob(self.payload).i32(self.return_code).u64(self.notifier.0);
    }

    fn decode_body(d: &mut Decoder<'a>, _: u16) -> Result<MWatchNotify<'a>, DecodeError> {
        if d.u8()? < FORM {
            return Err(d.invalid("a form older than any that a supported cluster sends"));
        }
        let event = match d.u8()? {
            1 => WatchEvent::Notify,
            2 => WatchEvent::NotifyComplete,
            3 => WatchEvent::Disconnect,
            _ => return Err(d.invalid("an unknown event of a watch")),
        };
        let (cookie, object_version) = (d.u64()?, d.u64()?);
        let (notify_id, payload) = (d.u64()?, d.blob()?);
        let (return_code, notifier) = (d.i32()?, GlobalId::decode(d)?);
        Ok(MWatchNotify { event, cookie, object_version, notify_id, payload, return_code, notifier })
    }
}

/// A watch, as a notifier sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Watcher {
    /// The client.
    pub client: GlobalId,
    /// Its number of the watch.
    pub cookie: u64,
}

impl Watcher {
    fn decode(d: &mut Decoder<'_>) -> Result<Watcher, DecodeError> {
        Ok(Watcher { client: GlobalId::decode(d)?, cookie: d.u64()? })
    }

    fn encode(self, e: &mut Encoder<'_>) {
        e.u64(self.client.0).u64(self.cookie);
    }
}

/// What watchers answered: the data of a message [`NotifyComplete`](WatchEvent::NotifyComplete).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotifyResponses<'a> {
    /// Who answered what.
    pub acks: Vec<(Watcher, &'a [u8])>,
    /// Who did not answer in time.
    pub timeouts: Vec<Watcher>,
}

impl<'a> NotifyResponses<'a> {
    /// Reads them. There is no data where nobody watches.
    pub fn decode(data: &'a [u8]) -> Result<NotifyResponses<'a>, DecodeError> {
        let mut d = Decoder::new("the answers to a notification", data);
        if d.left() == 0 {
            return Ok(NotifyResponses::default());
        }
        let acks = d.list(20, |d| Ok((Watcher::decode(d)?, d.blob()?)))?;
        Ok(NotifyResponses { acks, timeouts: d.list(16, Watcher::decode)? })
    }

    /// Writes them.
    pub fn encode(&self, e: &mut Encoder<'_>) {
        e.list(self.acks.iter(), |e, (watcher, reply)| {
            watcher.encode(e);
            e.blob(reply);
        });
        e.list(self.timeouts.iter(), |e, watcher| watcher.encode(e));
    }
}
