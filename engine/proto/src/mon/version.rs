//! `MMonGetVersion`: how new the newest map is.

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::message::{Front, MessageKind};
use std::borrow::Cow;

/// A question for the newest version of a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MMonGetVersion<'a> {
    /// The asker's number of it.
    pub handle: u64,
    /// Which map: `osdmap`, `monmap`.
    pub what: Cow<'a, str>,
}

impl<'a> Front<'a> for MMonGetVersion<'a> {
    const KIND: MessageKind = MessageKind { number: 19, version: 1, compat: 1 };
    const WHAT: &'static str = "a question for a map's version";

    fn encode(&self, e: &mut Encoder<'_>) {
        e.u64(self.handle).string(&self.what);
    }

    fn decode_body(d: &mut Decoder<'a>, _: u16) -> Result<MMonGetVersion<'a>, DecodeError> {
        Ok(MMonGetVersion { handle: d.u64()?, what: d.string()?.into() })
    }
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MMonGetVersionReply {
    /// The asker's number of it.
    pub handle: u64,
    /// The newest version.
    pub version: u64,
    /// The oldest that the monitors still have.
    pub oldest: u64,
}

impl<'a> Front<'a> for MMonGetVersionReply {
    const KIND: MessageKind = MessageKind { number: 20, version: 2, compat: 2 };
    const WHAT: &'static str = "a map's version";

    fn encode(&self, e: &mut Encoder<'_>) {
        e.u64(self.handle).u64(self.version).u64(self.oldest);
    }

    fn decode_body(d: &mut Decoder<'a>, _: u16) -> Result<MMonGetVersionReply, DecodeError> {
        Ok(MMonGetVersionReply { handle: d.u64()?, version: d.u64()?, oldest: d.u64()? })
    }
}
