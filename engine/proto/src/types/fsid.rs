//! A cluster's name.

use crate::codec::{DecodeError, Decoder, Encoder};
use std::fmt;

/// The UUID that a cluster is known by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Fsid(pub [u8; 16]);

impl Fsid {
    /// Reads one.
    pub fn decode(d: &mut Decoder<'_>) -> Result<Fsid, DecodeError> {
        d.array().map(Fsid)
    }

    /// Writes it.
    pub fn encode(self, e: &mut Encoder<'_>) {
        e.bytes(&self.0);
    }
}

impl fmt::Display for Fsid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}
