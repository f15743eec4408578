//! What a ticket says to the service that it is for.

use crate::auth::{AuthError, CephUser, CryptoKey};
use crate::codec::{Decoder, Encoder};
use crate::types::{GlobalId, Utime};

/// The contents of a ticket.
#[derive(Debug)]
pub(super) struct TicketInfo {
    pub(super) user: CephUser,
    pub(super) global_id: GlobalId,
    pub(super) created: Utime,
    pub(super) expires: Utime,
    /// What the user may do there.
    pub(super) caps: Option<String>,
    pub(super) session_key: CryptoKey,
}

impl TicketInfo {
    pub(super) fn decode(d: &mut Decoder<'_>) -> Result<TicketInfo, AuthError> {
        let (_version, version) = (d.u8()?, d.u8()?);
        let (user, global_id) = (CephUser::decode(d)?, GlobalId::decode(d)?);
        if version >= 2 {
            // An owner's number that no release uses any more.
            d.u64()?;
        }
        let (created, expires) = (Utime::decode(d)?, Utime::decode(d)?);
        let (_version, _allow_all) = (d.u8()?, d.bool()?);
        let mut caps = d.nested("a ticket's capabilities")?;
        let caps = if caps.left() == 0 { None } else { Some(caps.string()?) };
        let _flags = d.u32()?;
        Ok(TicketInfo { user, global_id, created, expires, caps, session_key: CryptoKey::decode(d)? })
    }

    pub(super) fn encode(&self, e: &mut Encoder<'_>) {
        e.u8(1).u8(2);
        self.user.encode(e);
        self.global_id.encode(e);
        e.u64(u64::MAX);
        self.created.encode(e);
        self.expires.encode(e);
        e.u8(1).bool(false).nested(|e| {
            if let Some(caps) = &self.caps {
                e.string(caps);
            }
        });
        e.u32(0);
        self.session_key.encode(e);
    }
}
