//! What is on its way out of a connection: sealed frames that the next gathered send takes along.

use super::{Connection, Counts, Fault};
use crate::rados::pieces::Pieces;
use ringbd_proto::codec::Encoder;
use ringbd_proto::msgr2::{Control, DataPlace, MessageHeader, NoncesExhausted, Sealer};
use ringbd_reactor::Gather;
use std::rc::Rc;

pub(super) struct Outgoing {
    sealer: Sealer,
    gather: Gather,
    /// The last message's number.
    seq: u64,
    /// The number of the last message that arrived.
    pub(super) in_seq: u64,
}

impl Outgoing {
    pub(super) fn new(sealer: Sealer) -> Outgoing {
        Outgoing { sealer, gather: Gather::new(), seq: 0, in_seq: 0 }
    }

    pub(super) fn message(
        &mut self,
        mut header: MessageHeader,
        front: impl FnOnce(&mut Encoder<'_>),
        data: &Pieces,
        data_crc: Option<u32>,
    ) -> Result<(), NoncesExhausted> {
        self.seq += 1;
        header.seq = self.seq;
        header.ack_seq = self.in_seq;
        let (sealer, gather) = (&mut self.sealer, &mut self.gather);
        let place =
            data.with_slices(|slices| sealer.message(gather.bytes(), &header, front, slices, data_crc))?;
        match place {
            DataPlace::Inside => {}
            DataPlace::At(at) => data.iter().for_each(|piece| gather.insert(at, piece.clone())),
        }
        Ok(())
    }

    pub(super) fn control(&mut self, control: &Control<'_>) -> Result<(), NoncesExhausted> {
        self.sealer.control(self.gather.bytes(), control)
    }
}

/// Sends what is queued until the connection ends. One send is in flight at a time; what comes meanwhile goes together.
pub(super) async fn write(connection: Rc<Connection>) {
    let mut gather = Gather::new();
    loop {
        if connection.has_ended() {
            return;
        }
        if connection.outgoing.borrow().gather.is_empty() {
            connection.something.wait().await;
            continue;
        }
        std::mem::swap(&mut gather, &mut connection.outgoing.borrow_mut().gather);
        Counts::add(&connection.counts.sends, 1);
        Counts::add(&connection.counts.sent_bytes, gather.len() as u64);
        let result;
        (result, gather) = connection.stream.send(gather).await;
        gather.clear();
        if let Err(error) = result {
            connection.end(Fault::Io(error));
        }
    }
}
