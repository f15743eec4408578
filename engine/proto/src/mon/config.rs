//! `MConfig`: the options that the monitors' database has for this client.

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::message::{Front, MessageKind};

/// Options by name, all that apply; what an earlier message said is over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MConfig {
    /// The options.
    pub options: Vec<(String, String)>,
}

impl<'a> Front<'a> for MConfig {
    const KIND: MessageKind = MessageKind { number: 62, version: 1, compat: 1 };
    const WHAT: &'static str = "the monitors' configuration";

    fn encode(&self, e: &mut Encoder<'_>) {
        e.list(self.options.iter(), |e, (name, value)| {
            e.string(name).string(value);
        });
    }

    fn decode_body(d: &mut Decoder<'a>, _: u16) -> Result<MConfig, DecodeError> {
        Ok(MConfig { options: d.list(8, |d| Ok((d.string()?, d.string()?)))? })
    }
}
