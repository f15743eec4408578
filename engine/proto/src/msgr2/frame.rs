//! What arrives: frames whose checks are done.

use super::{Control, MessageHeader};
use std::ops::{Deref, DerefMut};

/// A frame. What it borrows lies in the received bytes or in its reader, and is good until the reader goes on.
#[derive(Debug)]
pub enum Frame<'a, B> {
    /// A message.
    Message(Message<'a, B>),
    /// Any other frame.
    Control(Control<'a>),
}

/// A message.
#[derive(Debug)]
pub struct Message<'a, B> {
    /// What is known of it without looking into it.
    pub header: MessageHeader,
    /// Its fields.
    pub front: &'a [u8],
    /// Further fields, which no message for ringbd has.
    pub middle: &'a [u8],
    /// What it carries.
    pub data: Data<'a, B>,
}

/// The data of a message.
#[derive(Debug)]
pub enum Data<'a, B> {
    /// In the received bytes, or in the reader.
    Borrowed(&'a [u8]),
    /// In the buffer that [`Landing::land`] gave for it, all of it.
    Landed(B),
}

impl<B: Deref<Target = [u8]>> Deref for Data<'_, B> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Data::Borrowed(bytes) => bytes,
            Data::Landed(buf) => buf,
        }
    }
}

/// Where the data of messages goes that do not arrive in one piece.
pub trait Landing {
    /// A buffer.
    type Buf: DerefMut<Target = [u8]>;

    /// A buffer of exactly `data_bytes` for the data of a message whose header has arrived; none to have it in the
    /// reader's memory, which grows as the bytes arrive.
    ///
    /// The data is written before its checksum is known to be right. When it is wrong, the buffer is dropped and the
    /// connection fails.
    fn land(&mut self, header: &MessageHeader, data_bytes: usize) -> Option<Self::Buf>;
}

/// No buffers: all data stays in the reader's memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoLanding;

impl Landing for NoLanding {
    type Buf = Vec<u8>;

    fn land(&mut self, _header: &MessageHeader, _data_bytes: usize) -> Option<Vec<u8>> {
        None
    }
}
