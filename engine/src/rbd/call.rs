//! Calls of methods through an I/O context, several in one operation where they belong together.

use crate::rados::{IoCtx, OpError, OpReply, Operation, OsdOp};
use ringbd_proto::rbd::Method;
use ringbd_reactor::{Buf, SharedBuf};

/// A method as an operation of a list.
pub(super) fn op<T>(method: &Method<T>) -> Operation<'static> {
    let input = SharedBuf::from(Buf::from_slice(method.input()));
    OsdOp::Call { class: method.class().into(), method: method.name().into(), input }.into()
}

/// What the `nth` operation of a list, which was this method, returned.
pub(super) fn answer<T>(reply: &OpReply, nth: usize, method: &Method<T>) -> Result<T, OpError> {
    Ok(method.decode(reply.output(nth)?)?)
}

/// Calls one method.
pub(super) async fn call<T>(io: &IoCtx, object: &[u8], method: &Method<T>) -> Result<T, OpError> {
    let ops = [op(method)];
    let reply = match method.writes() {
        true => io.operate_write(object, &ops).await?.ok()?,
        false => io.operate_read(object, &ops, None).await?.ok()?,
    };
    answer(&reply, 0, method)
}

/// Does what changes an object: all of it, or nothing.
pub(super) async fn change(io: &IoCtx, object: &[u8], ops: &[Operation<'_>]) -> Result<(), OpError> {
    io.operate_write(object, ops).await?.ok().map(drop)
}

/// Whether it failed because there is no such object or entry.
pub(super) fn is_missing(error: &OpError) -> bool {
    *error == OpError::Errno(2)
}

/// What is there, or nothing where there is no such object.
pub(super) fn or_missing<T>(outcome: Result<T, OpError>) -> Result<Option<T>, OpError> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Everything of a listing that comes in pages of `page` entries; the next begins behind the last key of the one before.
pub(super) async fn all_pages<T>(
    io: &IoCtx,
    object: &[u8],
    page: u64,
    method: impl Fn(&str, u64) -> Method<std::collections::BTreeMap<String, T>>,
) -> Result<Vec<(String, T)>, OpError> {
    let mut all: Vec<(String, T)> = Vec::new();
    loop {
        let after = all.last().map_or("", |(key, _)| key.as_str());
        let Some(entries) = or_missing(call(io, object, &method(after, page)).await)? else {
            return Ok(all);
        };
        let last = (entries.len() as u64) < page;
        all.extend(entries);
        if last {
            return Ok(all);
        }
    }
}
