//! The payloads until the ends know each other.

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::types::{EntityAddr, GlobalId};

/// Bytes of a signature: HMAC-SHA256.
pub const SIGNATURE_BYTES: usize = 32;
/// Methods or modes in a list: there are two of each, and not many more will come.
const CHOICES_MAX: usize = 64;

/// Who I am, and where I see you.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The sender's kind, as its bit.
    pub entity_type: u8,
    /// The receiver's address as the sender sees it: where it dialled, or whence it was called.
    pub peer_addr: EntityAddr,
}

impl Hello {
    pub(super) fn decode(d: &mut Decoder<'_>) -> Result<Hello, DecodeError> {
        Ok(Hello { entity_type: d.u8()?, peer_addr: EntityAddr::decode(d)? })
    }

    pub(super) fn encode(&self, e: &mut Encoder<'_>) {
        e.u8(self.entity_type);
        self.peer_addr.encode(e);
    }
}

/// How the client wants to authenticate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthRequest<'a> {
    /// The method's number.
    pub method: u32,
    /// The modes that it accepts, the best first, by number.
    pub con_modes: Vec<u32>,
    /// The method's own part.
    pub payload: &'a [u8],
}

impl<'a> AuthRequest<'a> {
    pub(super) fn decode(d: &mut Decoder<'a>) -> Result<AuthRequest<'a>, DecodeError> {
        Ok(AuthRequest { method: d.u32()?, con_modes: choices(d)?, payload: d.blob()? })
    }

    pub(super) fn encode(&self, e: &mut Encoder<'_>) {
        e.u32(self.method);
        encode_choices(e, &self.con_modes);
        e.blob(self.payload);
    }
}

/// Not like this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthBadMethod {
    /// The method that was asked for.
    pub method: u32,
    /// Why it was refused: a negative error number of Linux.
    pub result: i32,
    /// Methods that would do, by number.
    pub allowed_methods: Vec<u32>,
    /// Modes that would do, by number.
    pub allowed_modes: Vec<u32>,
}

impl AuthBadMethod {
    pub(super) fn decode(d: &mut Decoder<'_>) -> Result<AuthBadMethod, DecodeError> {
        Ok(AuthBadMethod {
            method: d.u32()?,
            result: d.i32()?,
            allowed_methods: choices(d)?,
            allowed_modes: choices(d)?,
        })
    }

    pub(super) fn encode(&self, e: &mut Encoder<'_>) {
        e.u32(self.method).i32(self.result);
        encode_choices(e, &self.allowed_methods);
        encode_choices(e, &self.allowed_modes);
    }
}

/// The client is who it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthDone<'a> {
    /// What the client is called from now on.
    pub global_id: GlobalId,
    /// The mode of the connection, by number.
    pub con_mode: u32,
    /// The method's own part.
    pub payload: &'a [u8],
}

impl<'a> AuthDone<'a> {
    pub(super) fn decode(d: &mut Decoder<'a>) -> Result<AuthDone<'a>, DecodeError> {
        Ok(AuthDone { global_id: GlobalId::decode(d)?, con_mode: d.u32()?, payload: d.blob()? })
    }

    pub(super) fn encode(&self, e: &mut Encoder<'_>) {
        self.global_id.encode(e);
        e.u32(self.con_mode).blob(self.payload);
    }
}

fn choices(d: &mut Decoder<'_>) -> Result<Vec<u32>, DecodeError> {
    let at = d.clone();
    let choices = d.list(4, Decoder::u32)?;
    match choices.len() {
        0..=CHOICES_MAX => Ok(choices),
        _ => Err(at.invalid("more methods or modes than there can be")),
    }
}

fn encode_choices(e: &mut Encoder<'_>, choices: &[u32]) {
    e.list(choices.iter(), |e, choice| {
        e.u32(*choice);
    });
}
