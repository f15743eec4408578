//! Who authenticates.

use super::error::{EACCES, ENOENT, EPERM};
use super::{AuthError, CryptoKey};
use crate::codec::{DecodeError, Decoder, Encoder};
use crate::types::EntityType;
use std::fmt;
use std::str::FromStr;

/// The longest id. Ceph sets no limit; nobody types a longer one, and it is sent with every login.
pub const USER_ID_BYTES_MAX: usize = 256;

/// A Ceph user as keyrings and the monitors name it (`client.admin`), which is not how messages name a participant
/// (`client.4105`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CephUser {
    kind: EntityType,
    id: String,
}

impl CephUser {
    /// The client with that id: the part after `client.`, which is what `id=` gives.
    ///
    /// # Errors
    /// The id is empty or too long.
    pub fn client(id: &str) -> Result<CephUser, UserNameError> {
        CephUser::new(EntityType::Client, id)
    }

    fn new(kind: EntityType, id: &str) -> Result<CephUser, UserNameError> {
        match id.len() {
            // All monitors are one user, `mon.`.
            0 if kind != EntityType::Mon => Err(UserNameError::NoId),
            0..=USER_ID_BYTES_MAX => Ok(CephUser { kind, id: id.to_owned() }),
            _ => Err(UserNameError::TooLong),
        }
    }

    /// What kind of participant it is.
    pub fn kind(&self) -> EntityType {
        self.kind
    }

    /// The part after the dot.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Reads one.
    pub(super) fn decode(d: &mut Decoder<'_>) -> Result<CephUser, DecodeError> {
        let at = d.clone();
        let kind = EntityType::from_bit(d.u32()?).ok_or_else(|| at.invalid("a user of an unknown kind"))?;
        let id = d.string()?;
        CephUser::new(kind, &id).map_err(|_| at.invalid("a user whose id is empty or too long"))
    }

    /// Writes it.
    pub(super) fn encode(&self, e: &mut Encoder<'_>) {
        e.u32(self.kind.bit().into()).string(&self.id);
    }
}

impl fmt::Display for CephUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.kind, self.id)
    }
}

impl FromStr for CephUser {
    type Err = UserNameError;

    /// Reads `kind.id`; further dots belong to the id.
    fn from_str(name: &str) -> Result<CephUser, UserNameError> {
        let (word, id) = name.split_once('.').ok_or(UserNameError::NoKind)?;
        let kinds = [
            EntityType::Mon,
            EntityType::Mds,
            EntityType::Osd,
            EntityType::Client,
            EntityType::Mgr,
            EntityType::Auth,
        ];
        match kinds.into_iter().find(|kind| kind.word() == word) {
            Some(kind) => CephUser::new(kind, id),
            None => Err(UserNameError::NoKind),
        }
    }
}

/// Why a text names no user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserNameError {
    /// It does not begin with a kind.
    #[error("a user is written kind.id, as in client.admin; kinds are mon, mds, osd, client, mgr and auth")]
    NoKind,
    /// Nothing follows the dot.
    #[error("the user's id is empty")]
    NoId,
    /// It is longer than [`USER_ID_BYTES_MAX`].
    #[error("the user's id is longer than {USER_ID_BYTES_MAX} bytes")]
    TooLong,
}

/// A user and its key: what logs in.
#[derive(Debug)]
pub struct Credentials {
    /// Who.
    pub user: CephUser,
    /// The key that the monitors have, too.
    pub key: CryptoKey,
}

impl Credentials {
    /// What a monitor's refusal of a login means, where no earlier login is being continued.
    pub(super) fn refused(&self, result: i32) -> AuthError {
        match result {
            EPERM | EACCES => AuthError::LoginRefused(self.user.clone()),
            ENOENT => AuthError::UnknownUser(self.user.clone()),
            _ => AuthError::Refused { result },
        }
    }
}
