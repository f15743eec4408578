//! `MOSDBackoff`: an OSD asks for silence about a range of objects, and ends it.

use super::{Hobject, HobjectRange};
use crate::codec::{DecodeError, Decoder, Encoder};
use crate::message::{Front, MessageKind};
use crate::types::{Epoch, SpgId};

/// What a backoff message does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BackoffStep {
    /// The OSD asks to send nothing.
    Block,
    /// The client says that it does not any more.
    AckBlock,
    /// The OSD takes everything again.
    Unblock,
}

/// A backoff, or its end. An answer repeats all fields but the step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MOsdBackoff {
    /// The placement group.
    pub spg: SpgId,
    /// The OSD's map.
    pub epoch: Epoch,
    /// What it does.
    pub step: BackoffStep,
    /// The OSD's number of it, in this session.
    pub id: u64,
    /// The objects that it is about.
    pub range: HobjectRange,
}

impl MOsdBackoff {
    /// The answer to a block.
    pub fn ack(&self) -> MOsdBackoff {
        MOsdBackoff { step: BackoffStep::AckBlock, ..self.clone() }
    }
}

impl<'a> Front<'a> for MOsdBackoff {
    const KIND: MessageKind = MessageKind { number: 61, version: 1, compat: 1 };
    const WHAT: &'static str = "a backoff";

    fn encode(&self, e: &mut Encoder<'_>) {
        let step = match self.step {
            BackoffStep::Block => 1,
            BackoffStep::AckBlock => 2,
            BackoffStep::Unblock => 3,
        };
        self.spg.encode(e);
        e.u32(self.epoch.0).u8(step).u64(self.id);
        self.range.begin.encode(e);
        self.range.end.encode(e);
    }

    fn decode_body(d: &mut Decoder<'a>, _: u16) -> Result<MOsdBackoff, DecodeError> {
        let (spg, epoch) = (SpgId::decode(d)?, Epoch::decode(d)?);
        let step = match d.u8()? {
            1 => BackoffStep::Block,
            2 => BackoffStep::AckBlock,
            3 => BackoffStep::Unblock,
            _ => return Err(d.invalid("an unknown step of a backoff")),
        };
        let id = d.u64()?;
        let range = HobjectRange { begin: Hobject::decode(d)?, end: Hobject::decode(d)? };
        Ok(MOsdBackoff { spg, epoch, step, id, range })
    }
}
