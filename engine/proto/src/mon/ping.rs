//! `MPing`: a message that says nothing, to find out whether a connection is still one.

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::message::{Front, MessageKind};

/// A message that says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MPing;

impl<'a> Front<'a> for MPing {
    const KIND: MessageKind = MessageKind { number: 2, version: 1, compat: 1 };
    const WHAT: &'static str = "a ping";

    fn encode(&self, _: &mut Encoder<'_>) {}

    fn decode_body(_: &mut Decoder<'a>, _: u16) -> Result<MPing, DecodeError> {
        Ok(MPing)
    }
}
