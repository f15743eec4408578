//! The beginning that messages to the monitors' services have in common.

use crate::codec::{DecodeError, Decoder, Encoder};

/// A session's monitor, which nobody fills in any more.
const NO_MON: u16 = u16::MAX;

/// Writes it: a version that clients have no use for, and two fields of the past.
pub(super) fn encode(e: &mut Encoder<'_>) {
    e.u64(0).u16(NO_MON).u64(0);
}

/// Reads it.
pub(super) fn decode(d: &mut Decoder<'_>) -> Result<(), DecodeError> {
    d.u64()?;
    d.u16()?;
    d.u64()?;
    Ok(())
}
