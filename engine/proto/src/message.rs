//! What all messages have in common: a kind, which the frame's header carries, and a front.
//!
//! A connection moves headers, fronts and data without looking into them; the types in [`mon`](crate::mon) and
//! [`osd`](crate::osd) are the fronts.

use crate::codec::{DecodeError, DecodeErrorKind, Decoder, Encoder};

/// What a message's header says about its front.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageKind {
    /// The number of the message.
    pub number: u16,
    /// The version of the front that is written here, and the newest that is fully known.
    pub version: u16,
    /// The oldest reader that understands the front.
    pub compat: u16,
}

/// The versions that came in the header of a received message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrontVersion {
    /// The version of the front.
    pub version: u16,
    /// The oldest reader that understands it.
    pub compat: u16,
}

impl MessageKind {
    /// The versions that a message of this kind has when it is written here.
    pub const fn front_version(self) -> FrontVersion {
        FrontVersion { version: self.version, compat: self.compat }
    }
}

/// The front of a message.
///
/// Bytes behind what is known are newer than we are and are not looked at.
pub trait Front<'a>: Sized {
    /// The message.
    const KIND: MessageKind;

    /// The oldest version that is read. Clusters of the last ten years send nothing older.
    const OLDEST: u16 = Self::KIND.version;

    /// What it is, for errors.
    const WHAT: &'static str;

    /// Writes the front, as version [`KIND.version`](MessageKind::version).
    fn encode(&self, e: &mut Encoder<'_>);

    /// Reads a front of at least version [`OLDEST`](Front::OLDEST).
    fn decode_body(d: &mut Decoder<'a>, version: u16) -> Result<Self, DecodeError>;

    /// Reads the front of a message whose header says `versions`.
    fn decode(versions: FrontVersion, front: &'a [u8]) -> Result<Self, DecodeError> {
        let mut d = Decoder::new(Self::WHAT, front);
        check_versions(&d, Self::KIND, Self::OLDEST, versions)?;
        Self::decode_body(&mut d, versions.version)
    }

    /// The front in a vector of its own.
    fn to_front(&self) -> Vec<u8> {
        Encoder::to_vec(|e| self.encode(e))
    }
}

/// Whether a front of these versions can be read by who knows `kind` and reaches back to `oldest`.
pub(crate) fn check_versions(
    d: &Decoder<'_>,
    kind: MessageKind,
    oldest: u16,
    versions: FrontVersion,
) -> Result<(), DecodeError> {
    if versions.compat > kind.version {
        let narrow = |version: u16| u8::try_from(version).unwrap_or(u8::MAX);
        let (compat, known) = (narrow(versions.compat), narrow(kind.version));
        return Err(d.error(DecodeErrorKind::Incompatible { compat, known }));
    }
    if versions.version < oldest {
        return Err(d.invalid("a form older than any that a supported cluster sends"));
    }
    Ok(())
}
