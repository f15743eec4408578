//! Reads and writes that are one operation of the disk, started without a task.
//!
//! Only where nothing has to be waited for before the disk is asked and nothing is left to do after it answered: the
//! object has a slot, its gate is free, and the disk takes the memory as it is. Everything else is for the `async`
//! functions, as is what ends short or is interrupted.

use std::io;
use std::rc::Rc;

use ringbd_reactor::{Buf, CompletionHandler, Durability};

use super::LocalObjects;
use super::gate::Access;
use super::inner::Inner;
use crate::store::error::StoreError;
use crate::store::record::ObjectNo;

/// An operation under way, inside its object's gate until it is told its end. Dropped before that, a write counts as abandoned.
#[must_use = "it is told its end"]
pub struct Transfer {
    inner: Rc<Inner>,
    object: ObjectNo,
    operation: &'static str,
    /// The kernel may be changing the slot.
    writing: bool,
}

/// How a [`Transfer`] ended.
pub enum Ended {
    /// As it should.
    Whole,
    /// Short, or interrupted: the whole of it can be done again by [`LocalObjects::read`] or [`LocalObjects::write`].
    Again,
    /// The disk refused it.
    Failed(StoreError),
}

impl LocalObjects {
    /// Begins to read whole blocks into `buf`; `handler` is told of the end with `token`, and hands that to [`Transfer::end`]. The buffer
    /// comes back if this takes more than one operation of the disk, or a wait.
    pub fn start_read(
        &self,
        object: ObjectNo,
        offset: u64,
        buf: Buf,
        handler: Rc<dyn CompletionHandler>,
        token: u64,
    ) -> Result<Transfer, Buf> {
        let inner = &self.inner;
        let Some(address) = inner.pass(object, offset, &buf) else { return Err(buf) };
        inner.file.start_read(buf, address, handler, token);
        Ok(Transfer { inner: Rc::clone(inner), object, operation: "read", writing: false })
    }

    /// Begins to write `buf`, as [`LocalObjects::start_read`] begins to read.
    pub fn start_write(
        &self,
        object: ObjectNo,
        offset: u64,
        buf: Buf,
        durability: Durability,
        handler: Rc<dyn CompletionHandler>,
        token: u64,
    ) -> Result<Transfer, Buf> {
        let inner = &self.inner;
        if !inner.shared.writable {
            return Err(buf);
        }
        let Some(address) = inner.pass(object, offset, &buf) else { return Err(buf) };
        inner.file.start_write(buf, address, durability, handler, token);
        Ok(Transfer { inner: Rc::clone(inner), object, operation: "write", writing: true })
    }
}

impl Inner {
    /// Passes the object's gate with others, if it is open and the buffer can go to the object's slot as it is. The answer is where.
    fn pass(&self, object: ObjectNo, offset: u64, buf: &Buf) -> Option<u64> {
        let len = buf.len() as u64;
        if buf.is_empty() || self.check_range(offset, len).is_err() {
            return None;
        }
        self.with(object, |entry| {
            let address = entry.slot(self.order)?.address() + offset;
            let may = self.fits_direct(address, buf) && entry.gate.try_enter(Access::Shared, false);
            may.then_some(address)
        })
    }
}

impl Transfer {
    /// Takes in the end of the operation on a buffer of `len` bytes, as the handler was told it.
    pub fn end(mut self, moved: io::Result<usize>, len: usize) -> Ended {
        self.writing = false;
        match moved {
            Ok(moved) if moved == len => Ended::Whole,
            Ok(_) => Ended::Again,
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {
                Ended::Again
            }
            Err(error) => Ended::Failed(self.inner.shared.data.io(self.operation, error)),
        }
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        if self.writing {
            self.inner.with(self.object, |entry| entry.gate.abandon());
        }
        self.inner.leave(self.object, Access::Shared);
    }
}
