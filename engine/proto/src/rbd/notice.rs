//! What the users of an image tell each other through notifications of its header.
//!
//! The owner of the lock answers those that ask for something with a [`NoticeReply`]; everybody else, and the owner where
//! nothing is asked, answers with nothing.

use super::SnapNamespace;
use crate::codec::{DecodeError, Decoder, Encoder};
use crate::types::{GlobalId, SnapId};

/// The version in which all of today's fields are there.
const VERSION: u8 = 7;

/// A user of an image: a client, and its number of its watch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ClientId {
    /// The client.
    pub client: GlobalId,
    /// Its watch.
    pub watch: u64,
}

impl ClientId {
    fn decode(d: &mut Decoder<'_>) -> Result<ClientId, DecodeError> {
        Ok(ClientId { client: GlobalId::decode(d)?, watch: d.u64()? })
    }

    fn encode(self, e: &mut Encoder<'_>) {
        e.u64(self.client.0).u64(self.watch);
    }
}

/// Something that was asked for, and takes a while.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct AsyncRequest {
    /// Who asks.
    pub client: ClientId,
    /// Its number of the request.
    pub number: u64,
}

impl AsyncRequest {
    fn decode(d: &mut Decoder<'_>) -> Result<AsyncRequest, DecodeError> {
        Ok(AsyncRequest { client: ClientId::decode(d)?, number: d.u64()? })
    }

    /// Requests of clients before version 7 do not all have a number.
    fn decode_since_7(d: &mut Decoder<'_>, version: u8) -> Result<AsyncRequest, DecodeError> {
        if version >= VERSION { AsyncRequest::decode(d) } else { Ok(AsyncRequest::default()) }
    }

    fn encode(self, e: &mut Encoder<'_>) {
        self.client.encode(e);
        e.u64(self.number);
    }
}

/// What is asked for with a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapAction {
    /// Its name; the new one of a renaming.
    pub name: String,
    /// Who makes it.
    pub namespace: SnapNamespace,
    /// The request.
    pub request: AsyncRequest,
}

impl SnapAction {
    fn decode(d: &mut Decoder<'_>, version: u8) -> Result<SnapAction, DecodeError> {
        let name = d.label()?;
        let namespace = if version >= 6 { SnapNamespace::decode(d)? } else { SnapNamespace::User };
        Ok(SnapAction { name, namespace, request: AsyncRequest::decode_since_7(d, version)? })
    }

    fn encode(&self, e: &mut Encoder<'_>) {
        e.string(&self.name);
        self.namespace.encode(e);
        self.request.encode(e);
    }
}

/// A notification.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are what their types and the variants' docs say")]
pub enum HeaderNotice {
    /// The client took the lock.
    AcquiredLock(ClientId),
    /// The client gave the lock back.
    ReleasedLock(ClientId),
    /// The client would like to have the lock; `force` even from an owner that does not hand it over by itself.
    RequestLock { client: ClientId, force: bool },
    /// The header changed.
    HeaderUpdate,
    /// How far a request has come.
    Progress { request: AsyncRequest, offset: u64, total: u64 },
    /// A request is done: 0 or a negative errno.
    Complete { request: AsyncRequest, result: i32 },
    /// Copy everything from the parent.
    Flatten(AsyncRequest),
    /// Set the size.
    Resize { size: u64, request: AsyncRequest, allow_shrink: bool },
    /// Take a snapshot.
    SnapCreate { snap: SnapAction, flags: u64 },
    /// Remove a snapshot.
    SnapRemove(SnapAction),
    /// Make the object map anew.
    RebuildObjectMap(AsyncRequest),
    /// Rename a snapshot.
    SnapRename { id: SnapId, snap: SnapAction },
    /// Protect a snapshot.
    SnapProtect(SnapAction),
    /// Allow it to be removed.
    SnapUnprotect(SnapAction),
    /// Rename the image.
    Rename { name: String, request: AsyncRequest },
    /// Switch features.
    UpdateFeatures { features: u64, enable: bool, request: AsyncRequest },
    /// Go on with moving the image.
    Migrate(AsyncRequest),
    /// Give back what is only zeros, in pieces of `unit` bytes.
    Sparsify { request: AsyncRequest, unit: u64 },
    /// Come to rest for a snapshot.
    Quiesce(AsyncRequest),
    /// Go on.
    Unquiesce(AsyncRequest),
    /// Set an entry of the metadata, or remove it.
    MetadataUpdate { key: String, value: Option<String>, request: AsyncRequest },
    /// Something that this release does not know.
    Unknown(u32),
}

impl HeaderNotice {
    /// Reads one.
    pub fn decode(payload: &[u8]) -> Result<HeaderNotice, DecodeError> {
        let mut d = Decoder::new("a notification of an image", payload);
        d.versioned("a notification of an image", VERSION, |d, version| {
            let op = d.u32()?;
            HeaderNotice::decode_body(d, op, version)
        })
    }

    fn decode_body(d: &mut Decoder<'_>, op: u32, version: u8) -> Result<HeaderNotice, DecodeError> {
        use HeaderNotice as N;
        Ok(match op {
            0 => N::AcquiredLock(ClientId::decode(d)?),
            1 => N::ReleasedLock(ClientId::decode(d)?),
            2 => N::RequestLock {
                client: ClientId::decode(d)?,
                force: if version >= 3 { d.bool()? } else { false },
            },
            3 => N::HeaderUpdate,
            4 => N::Progress { request: AsyncRequest::decode(d)?, offset: d.u64()?, total: d.u64()? },
            5 => N::Complete { request: AsyncRequest::decode(d)?, result: d.i32()? },
            6 => N::Flatten(AsyncRequest::decode(d)?),
            7 => N::Resize {
                size: d.u64()?,
                request: AsyncRequest::decode(d)?,
                allow_shrink: if version >= 4 { d.bool()? } else { true },
            },
            8 => N::SnapCreate {
                snap: SnapAction::decode(d, version)?,
                flags: if version >= VERSION { d.u64()? } else { 0 },
            },
            9 => N::SnapRemove(SnapAction::decode(d, version)?),
            10 => N::RebuildObjectMap(AsyncRequest::decode(d)?),
            11 => N::SnapRename { id: SnapId::decode(d)?, snap: SnapAction::decode(d, version)? },
            12 => N::SnapProtect(SnapAction::decode(d, version)?),
            13 => N::SnapUnprotect(SnapAction::decode(d, version)?),
            14 => N::Rename { name: d.label()?, request: AsyncRequest::decode_since_7(d, version)? },
            15 => N::UpdateFeatures {
                features: d.u64()?,
                enable: d.bool()?,
                request: AsyncRequest::decode_since_7(d, version)?,
            },
            16 => N::Migrate(AsyncRequest::decode(d)?),
            17 => N::Sparsify { request: AsyncRequest::decode(d)?, unit: d.u64()? },
            18 => N::Quiesce(AsyncRequest::decode(d)?),
            19 => N::Unquiesce(AsyncRequest::decode(d)?),
            20 => N::MetadataUpdate {
                key: d.label()?,
                value: d.optional(Decoder::label)?,
                request: AsyncRequest::decode_since_7(d, version)?,
            },
            other => N::Unknown(other),
        })
    }

    /// Writes it.
    pub fn encode(&self) -> Vec<u8> {
        Encoder::to_vec(|e| {
            e.versioned(VERSION, 1, |e| {
                e.u32(self.op());
                self.encode_body(e);
            });
        })
    }

    fn op(&self) -> u32 {
        match self {
            HeaderNotice::AcquiredLock(_) => 0,
            HeaderNotice::ReleasedLock(_) => 1,
            HeaderNotice::RequestLock { .. } => 2,
            HeaderNotice::HeaderUpdate => 3,
            HeaderNotice::Progress { .. } => 4,
            HeaderNotice::Complete { .. } => 5,
            HeaderNotice::Flatten(_) => 6,
            HeaderNotice::Resize { .. } => 7,
            HeaderNotice::SnapCreate { .. } => 8,
            HeaderNotice::SnapRemove(_) => 9,
            HeaderNotice::RebuildObjectMap(_) => 10,
            HeaderNotice::SnapRename { .. } => 11,
            HeaderNotice::SnapProtect(_) => 12,
            HeaderNotice::SnapUnprotect(_) => 13,
            HeaderNotice::Rename { .. } => 14,
            HeaderNotice::UpdateFeatures { .. } => 15,
            HeaderNotice::Migrate(_) => 16,
            HeaderNotice::Sparsify { .. } => 17,
            HeaderNotice::Quiesce(_) => 18,
            HeaderNotice::Unquiesce(_) => 19,
            HeaderNotice::MetadataUpdate { .. } => 20,
            HeaderNotice::Unknown(op) => *op,
        }
    }

    fn encode_body(&self, e: &mut Encoder<'_>) {
        use HeaderNotice as N;
        match self {
            N::AcquiredLock(client) | N::ReleasedLock(client) => client.encode(e),
            N::RequestLock { client, force } => {
                client.encode(e);
                e.bool(*force);
            }
            N::HeaderUpdate | N::Unknown(_) => {}
            N::Progress { request, offset, total } => {
                request.encode(e);
                e.u64(*offset).u64(*total);
            }
            N::Complete { request, result } => {
                request.encode(e);
                e.i32(*result);
            }
            N::Flatten(request)
            | N::RebuildObjectMap(request)
            | N::Migrate(request)
            | N::Quiesce(request)
            | N::Unquiesce(request) => request.encode(e),
            N::Resize { size, request, allow_shrink } => {
                e.u64(*size);
                request.encode(e);
                e.bool(*allow_shrink);
            }
            N::SnapCreate { snap, flags } => {
                snap.encode(e);
                e.u64(*flags);
            }
            N::SnapRename { id, snap } => {
                id.encode(e);
                snap.encode(e);
            }
            N::SnapRemove(snap) | N::SnapProtect(snap) | N::SnapUnprotect(snap) => snap.encode(e),
            N::Rename { name, request } => {
                e.string(name);
                request.encode(e);
            }
            N::UpdateFeatures { features, enable, request } => {
                e.u64(*features).bool(*enable);
                request.encode(e);
            }
            N::Sparsify { request, unit } => {
                request.encode(e);
                e.u64(*unit);
            }
            N::MetadataUpdate { key, value, request } => {
                e.string(key).optional(value.as_deref(), |e, value| {
                    e.string(value);
                });
                request.encode(e);
            }
        }
    }
}

/// The owner's answer to a request: 0, it is under way or will be; or a negative errno.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoticeReply(pub i32);

impl NoticeReply {
    /// Reads it; none where whoever answered does not own the lock, and says nothing.
    pub fn decode(payload: &[u8]) -> Result<Option<NoticeReply>, DecodeError> {
        let mut d = Decoder::new("the answer to a notification of an image", payload);
        if d.left() == 0 {
            return Ok(None);
        }
        d.versioned("the answer to a notification of an image", 1, |d, _| Ok(Some(NoticeReply(d.i32()?))))
    }

    /// Writes it.
    pub fn encode(self) -> Vec<u8> {
        Encoder::to_vec(|e| {
            e.versioned(1, 1, |e| {
                e.i32(self.0);
            });
        })
    }
}
