//! The beginning that messages to the monitors' services have in common.

use crate::codec::{DecodeError, Decoder, Encoder};

/// A session's monitor, which nobody fills in any more.
const NO_MON: u16 = u16::MAX;

/// Writes it: the version of the service's map that the sender has seen, or that the answer is of, and two fields of the
/// past. A monitor that is behind what a client has seen answers when it has caught up.
pub(super) fn encode(e: &mut Encoder<'_>, version: u64) {
    e.u64(version).u16(NO_MON).u64(0);
}

/// Reads it.
pub(super) fn decode(d: &mut Decoder<'_>) -> Result<u64, DecodeError> {
    let version = d.u64()?;
    d.u16()?;
    d.u64()?;
    Ok(version)
}
