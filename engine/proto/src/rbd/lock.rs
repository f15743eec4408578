//! Methods of the class `lock`: locks on objects, which the OSD keeps whether or not their owners live.

use super::method::Method;
use crate::codec::{DecodeError, Decoder, Encoder};
use crate::types::{EntityAddr, EntityName, Utime};

/// Bytes of the shortest owner of a lock.
const OWNER_MIN: usize = 30;

/// How a lock is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LockKind {
    /// It is not.
    #[default]
    None,
    /// By one.
    Exclusive,
    /// By any number.
    Shared,
    /// By one, for a moment; it goes with the last owner.
    Ephemeral,
}

impl LockKind {
    fn number(self) -> u8 {
        match self {
            LockKind::None => 0,
            LockKind::Exclusive => 1,
            LockKind::Shared => 2,
            LockKind::Ephemeral => 3,
        }
    }

    fn decode(d: &mut Decoder<'_>) -> Result<LockKind, DecodeError> {
        Ok(match d.u8()? {
            0 => LockKind::None,
            1 => LockKind::Exclusive,
            2 => LockKind::Shared,
            3 => LockKind::Ephemeral,
            _ => return Err(d.invalid("an unknown kind of lock")),
        })
    }
}

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockOwner {
    /// The client.
    pub client: EntityName,
    /// What tells its locks apart.
    pub cookie: String,
    /// When it loses the lock; zero is never.
    pub expires: Utime,
    /// Where it was when it took the lock.
    pub addr: EntityAddr,
    /// What it says of itself.
    pub description: String,
}

impl LockOwner {
    fn decode(d: &mut Decoder<'_>) -> Result<LockOwner, DecodeError> {
        let key = |d: &mut Decoder<'_>, _| Ok((EntityName::decode(d)?, d.label()?));
        let (client, cookie) = d.versioned("the owner of a lock", 1, key)?;
        d.versioned("the owner of a lock", 1, |d, _| {
            let (expires, addr) = (Utime::decode(d)?, EntityAddr::decode(d)?);
            Ok(LockOwner { client, cookie, expires, addr, description: d.label()? })
        })
    }
}

/// What is known of a lock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockInfo {
    /// Who holds it.
    pub owners: Vec<LockOwner>,
    /// How.
    pub kind: LockKind,
    /// What all owners have in common.
    pub tag: String,
}

impl LockInfo {
    fn decode(d: &mut Decoder<'_>) -> Result<LockInfo, DecodeError> {
        d.versioned("a lock", 1, |d, _| {
            let owners = d.list(OWNER_MIN, LockOwner::decode)?;
            Ok(LockInfo { owners, kind: LockKind::decode(d)?, tag: d.label()? })
        })
    }
}

/// A lock that is held exclusively: its name, and who holds it by cookie and tag.
#[derive(Clone, Copy, Debug)]
pub struct Exclusive<'a> {
    /// The lock's name.
    pub name: &'a str,
    /// What tells the client's locks apart.
    pub cookie: &'a str,
    /// What all owners have in common.
    pub tag: &'a str,
}

impl Exclusive<'_> {
    fn encode(&self, e: &mut Encoder<'_>) {
        e.string(self.name).u8(LockKind::Exclusive.number()).string(self.cookie).string(self.tag);
    }

    /// Takes the lock, for good. EBUSY where another has it, EEXIST where it is ours already.
    pub fn lock(&self, description: &str) -> Method<()> {
        call("lock", |e| {
            self.encode(e);
            e.string(description);
            Utime::default().encode(e);
            e.u8(0);
        })
    }

    /// Gives it back.
    pub fn unlock(&self) -> Method<()> {
        call("unlock", |e| {
            e.string(self.name).string(self.cookie);
        })
    }

    /// Fails with EBUSY unless we hold it; put before what only its owner may do.
    pub fn assert_locked(&self) -> Method<()> {
        call("assert_locked", |e| self.encode(e))
    }

    /// Holds it on under another cookie.
    pub fn set_cookie(&self, new: &str) -> Method<()> {
        call("set_cookie", |e| {
            self.encode(e);
            e.string(new);
        })
    }
}

/// Takes the lock from somebody.
pub fn break_lock(name: &str, client: EntityName, cookie: &str) -> Method<()> {
    call("break_lock", |e| {
        e.string(name);
        client.encode(e);
        e.string(cookie);
    })
}

/// Who holds the lock.
pub fn get_info(name: &str) -> Method<LockInfo> {
    let input = |e: &mut Encoder<'_>| {
        e.versioned(1, 1, |e| {
            e.string(name);
        });
    };
    Method::read("lock", "get_info", input, LockInfo::decode)
}

fn call(name: &'static str, input: impl FnOnce(&mut Encoder<'_>)) -> Method<()> {
    Method::write("lock", name, |e| {
        e.versioned(1, 1, input);
    })
}
