//! What arrives on a connection: frames, handed to whom they concern.

use super::{Connection, Counts, Fault};
use ringbd_proto::msgr2::{Control, Frame, FrameReader, Landing, Message};
use ringbd_reactor::{Buf, Receive, now};
use std::rc::Rc;

/// Who a connection's messages concern.
pub(in crate::rados) trait Handler: Landing<Buf = Buf> {
    /// Takes a message. A fault ends the connection.
    fn message(&mut self, message: Message<'_, Buf>) -> Result<(), Fault>;
}

/// The receiving half.
pub(in crate::rados) struct Incoming {
    pub(super) receive: Receive,
    pub(super) reader: FrameReader<Buf>,
    /// What arrived behind the handshake.
    pub(super) early: Vec<u8>,
}

impl Incoming {
    /// Hands messages over until the connection ends; says why it did.
    pub(in crate::rados) async fn run(
        mut self,
        connection: &Rc<Connection>,
        handler: &mut impl Handler,
    ) -> Fault {
        let early = std::mem::take(&mut self.early);
        let mut outcome = self.read(&early, connection, handler);
        while outcome.is_ok() {
            outcome = match self.receive.next().await {
                Some(Ok(bytes)) => {
                    connection.heard.set(now());
                    self.read(&bytes, connection, handler)
                }
                Some(Err(error)) => Err(Fault::Io(error)),
                None => Err(Fault::Closed),
            };
        }
        if let Err(fault) = outcome {
            connection.end(fault);
        }
        let fault = connection.fault.borrow_mut().replace(Fault::Closed);
        fault.expect("a connection that ended has its reason")
    }

    fn read(
        &mut self,
        mut bytes: &[u8],
        connection: &Rc<Connection>,
        handler: &mut impl Handler,
    ) -> Result<(), Fault> {
        Counts::add(&connection.counts.received_bytes, bytes.len() as u64);
        while let Some(frame) = self.reader.next(&mut bytes, handler)? {
            match frame {
                Frame::Message(message) => {
                    let seq = message.header.seq;
                    let seen = std::mem::replace(&mut connection.outgoing.borrow_mut().in_seq, seq);
                    if seq <= seen {
                        // An old one again, which no lossy peer sends; its number must not go back.
                        connection.outgoing.borrow_mut().in_seq = seen;
                        continue;
                    }
                    Counts::add(&connection.counts.received_messages, 1);
                    handler.message(message)?;
                }
                Frame::Control(Control::Keepalive2(stamp)) => {
                    connection.send_control(&Control::Keepalive2Ack(stamp));
                }
                Frame::Control(Control::Keepalive2Ack(_) | Control::Ack(_)) => {}
                Frame::Control(other) => return Err(Fault::Unexpected(other.tag())),
            }
            if connection.has_ended() {
                return Err(Fault::Closed);
            }
        }
        Ok(())
    }
}
