//! `MMonSubscribe`: which maps a client wants to be told.

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::message::{Front, MessageKind};
use std::borrow::Cow;

const ONE_TIME: u8 = 1;

/// A map that a client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription<'a> {
    /// What: `osdmap`, `monmap`, `config`.
    pub what: Cow<'a, str>,
    /// From which version on; 0 is the newest as a whole.
    pub start: u64,
    /// Whether one answer is enough. Else every change is told for as long as the session lasts.
    pub one_time: bool,
}

/// The maps that a client wants, in addition to what it wanted before. Present monitors do not answer it as such.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MMonSubscribe<'a> {
    /// The maps.
    pub what: Vec<Subscription<'a>>,
    /// The client's host, for the monitors' `config` by host.
    pub hostname: Cow<'a, str>,
}

impl<'a> Front<'a> for MMonSubscribe<'a> {
    const KIND: MessageKind = MessageKind { number: 15, version: 3, compat: 1 };
    const WHAT: &'static str = "a subscription";

    fn encode(&self, e: &mut Encoder<'_>) {
        e.list(self.what.iter(), |e, item| {
            e.string(&item.what).u64(item.start).u8(if item.one_time { ONE_TIME } else { 0 });
        });
        e.string(&self.hostname);
    }

    fn decode_body(d: &mut Decoder<'a>, _: u16) -> Result<MMonSubscribe<'a>, DecodeError> {
        let what = d.list(13, |d| {
            let what = d.string()?.into();
            Ok(Subscription { what, start: d.u64()?, one_time: d.u8()? & ONE_TIME != 0 })
        })?;
        Ok(MMonSubscribe { what, hostname: d.string()?.into() })
    }
}
