//! Why two ends did not come together.

use crate::auth::{AuthError, AuthMethod, ConMode};
use crate::codec::DecodeError;
use crate::msgr2::{AuthBadMethod, BannerFeatures, Features, FrameError, NoncesExhausted, Tag};
use crate::types::{EntityAddr, EntityAddrVec, EntityType};
use thiserror::Error;

/// Why two ends did not come together: what the peer did, or does not have.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HandshakeError {
    /// The peer's banner is that of the first protocol.
    #[error(
        "the peer speaks the first messenger protocol, and ringbd only the second; use the peer's v2 address \
         (monitors: port 3300), and switch ms_bind_msgr2 on in the cluster if there is none"
    )]
    FirstProtocol,
    /// The peer's first bytes are no banner.
    #[error("the peer does not speak Ceph's messenger protocol: it begins with \"{}\"", text(first))]
    NotCeph {
        /// Its first bytes, as many as there were, and zeros.
        first: [u8; 8],
    },
    /// The peer's banner has a length that no release sends.
    #[error("the peer's banner announces {0} bytes of features, and should have 16")]
    BannerLength(u16),
    /// The peer only knows the first frames of the second protocol.
    #[error(
        "the peer knows the second messenger protocol only in its first form (its features are {supported}); \
         ringbd needs Ceph 14.2.11, 15.2.0 or newer"
    )]
    NoRevision1 {
        /// What the peer announces.
        supported: BannerFeatures,
    },
    /// The peer wants something of the messenger that ringbd does not have.
    #[error("the peer requires the messenger features {required}; a newer ringbd is needed")]
    MessengerTooNew {
        /// What the peer requires.
        required: BannerFeatures,
    },
    /// A frame was not accepted.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Bytes outside of frames are malformed.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// A frame at a time when another should come.
    #[error("the peer sent {found} while {awaited} was awaited")]
    Unexpected {
        /// What it sent.
        found: Tag,
        /// What should come.
        awaited: &'static str,
    },
    /// The handshake is longer than any should be.
    #[error("the peer sent more than {0} bytes of handshake")]
    TooLong(usize),
    /// The peer is of another kind.
    #[error("the peer at this address is {}, and {expected} was expected", kind(*found))]
    WrongPeerType {
        /// What was expected.
        expected: EntityType,
        /// The bit of what it is.
        found: u8,
    },
    /// The peer does not see our address.
    #[error("the peer does not say which address it sees us at; set one in the configuration")]
    NoAddress,
    /// The peer does not allow the method, or none of the modes.
    #[error("{}", refused(.0))]
    MethodRefused(AuthBadMethod),
    /// The exchange of the method failed.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The peer chose a mode that ringbd does not know.
    #[error("the peer chose the connection mode {0}, which this release does not know")]
    UnknownConMode(u32),
    /// The peer chose a mode that it was not offered.
    #[error("the peer chose the connection mode {0:?}, which it was not offered")]
    ConModeNotOffered(ConMode),
    /// Secure mode without a secret to draw keys from.
    #[error("the peer chose secure mode, and its authentication gives no secret to draw keys from")]
    NoConnectionSecret,
    /// The peer did not receive what we sent, or is not who it says.
    #[error(
        "the peer's signature does not fit what was sent: somebody in between has changed the handshake, or the \
         peer is not who it says"
    )]
    BadSignature,
    /// The peer requires features that ringbd does not have.
    #[error("the peer requires the features {0}, which this release does not have; a newer ringbd is needed")]
    FeaturesMissing(Features),
    /// The peer does not have features that are required here.
    #[error("the peer lacks the features {0}, which ringbd needs; a newer Ceph is needed")]
    PeerFeaturesMissing(Features),
    /// The peer is another one: it was restarted, or the address belongs to somebody else now.
    #[error(
        "the peer is {found}, and {wanted} was wanted; it may have been restarted since the map was made"
    )]
    WrongPeer {
        /// Who was wanted.
        wanted: EntityAddr,
        /// Who answered.
        found: EntityAddrVec,
    },
    /// The peer has another number.
    #[error("the peer is number {found} of its kind, and number {wanted} was wanted")]
    WrongPeerNum {
        /// Who was wanted.
        wanted: i64,
        /// Who answered.
        found: i64,
    },
    /// The peer wants a session that outlives its connection.
    #[error("the peer wants a session that outlives its connection, which ringbd does not have")]
    NotLossy,
    /// The peer is connecting to us at the same time and wants to do that instead.
    #[error("the peer asks to wait, because it is connecting to us at the same time; try again")]
    Wait,
    /// The peer answers as if a session was to go on, which was not asked for.
    #[error("the peer answered with {0} to the beginning of a session, as if an older one was to go on")]
    SessionFault(Tag),
    /// A client that wants to talk to somebody else.
    #[error("the client wants to talk to {wanted}, and here is {here}")]
    WrongTarget {
        /// Whom it wants.
        wanted: EntityAddr,
        /// Who is here.
        here: EntityAddrVec,
    },
    /// A client that does not say where it is.
    #[error("the client names no address of its own")]
    NoClientAddress,
}

impl From<NoncesExhausted> for HandshakeError {
    fn from(error: NoncesExhausted) -> HandshakeError {
        HandshakeError::Frame(error.into())
    }
}

/// What there is before the zeros.
fn text(first: &[u8]) -> impl std::fmt::Display {
    let end = first.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    first[..end].escape_ascii()
}

fn kind(bit: u8) -> String {
    match EntityType::from_bit(u32::from(bit)) {
        Some(kind) => format!("of the kind {kind}"),
        None => format!("of an unknown kind ({bit:#x})"),
    }
}

fn refused(bad: &AuthBadMethod) -> String {
    let methods = words(&bad.allowed_methods, |number| match AuthMethod::from_number(number) {
        Some(AuthMethod::None) => Some("none"),
        Some(AuthMethod::Cephx) => Some("cephx"),
        None => None,
    });
    let modes = words(&bad.allowed_modes, |number| match ConMode::from_number(number) {
        Some(ConMode::Crc) => Some("crc"),
        Some(ConMode::Secure) => Some("secure"),
        None => None,
    });
    format!(
        "the peer does not allow this method or any of the offered modes: it allows the methods {methods} and the \
         connection modes {modes}"
    )
}

fn words(numbers: &[u32], word: impl Fn(u32) -> Option<&'static str>) -> String {
    let words: Vec<String> = numbers
        .iter()
        .map(|&number| word(number).map_or_else(|| format!("number {number}"), str::to_owned))
        .collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}
