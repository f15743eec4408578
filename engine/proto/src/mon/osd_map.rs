//! `MOSDMap`: maps of the OSDs, as blobs. Monitors send it to subscribers, OSDs to clients whose map is old.

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::message::{Front, MessageKind};
use crate::types::{Epoch, Fsid};

/// Maps of the OSDs: changes from one epoch to the next, and whole ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MOsdMap<'a> {
    /// The cluster.
    pub fsid: Fsid,
    /// Changes, by the epoch that they lead to.
    pub incrementals: Vec<(Epoch, &'a [u8])>,
    /// Whole maps.
    pub fulls: Vec<(Epoch, &'a [u8])>,
    /// The oldest map that the sender has. Who has older ones only must begin again with a whole map.
    pub oldest: Epoch,
    /// The newest map that the sender has.
    pub newest: Epoch,
}

impl<'a> Front<'a> for MOsdMap<'a> {
    const KIND: MessageKind = MessageKind { number: 41, version: 4, compat: 3 };
    const OLDEST: u16 = 3;
    const WHAT: &'static str = "a message with maps of the OSDs";

    fn encode(&self, e: &mut Encoder<'_>) {
        self.fsid.encode(e);
        for maps in [&self.incrementals, &self.fulls] {
            e.list(maps.iter(), |e, (epoch, blob)| {
                e.u32(epoch.0).blob(blob);
            });
        }
        // Last is a list of removed snapshots, which the maps themselves name today.
        e.u32(self.oldest.0).u32(self.newest.0).u32(0);
    }

    fn decode_body(d: &mut Decoder<'a>, _: u16) -> Result<MOsdMap<'a>, DecodeError> {
        let fsid = Fsid::decode(d)?;
        let incrementals = maps(d)?;
        let fulls = maps(d)?;
        let (oldest, newest) = (Epoch::decode(d)?, Epoch::decode(d)?);
        Ok(MOsdMap { fsid, incrementals, fulls, oldest, newest })
    }
}

fn maps<'a>(d: &mut Decoder<'a>) -> Result<Vec<(Epoch, &'a [u8])>, DecodeError> {
    d.list(8, |d| Ok((Epoch::decode(d)?, d.blob()?)))
}
