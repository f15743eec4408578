//! What an OSD sends: answers, maps, backoffs, and news for watchers.

use super::Session;
use crate::rados::connection::{Connection, Fault, Handler};
use crate::rados::core::Core;
use crate::rados::message::{Answer, OpResult, OpResults};
use crate::rados::pieces::Pieces;
use ringbd_proto::codec::DecodeErrorKind;
use ringbd_proto::message::{Front, FrontVersion};
use ringbd_proto::msgr2::{Data, Landing, Message, MessageHeader, MessageType};
use ringbd_proto::osd::{BackoffStep, MOsdBackoff, MOsdOpReply, MWatchNotify};
use ringbd_reactor::Buf;
use std::rc::Rc;

/// Takes what arrives on one connection of a session.
pub(super) struct Arrivals {
    pub(super) core: Rc<Core>,
    pub(super) session: Rc<Session>,
    pub(super) connection: Rc<Connection>,
}

impl Landing for Arrivals {
    type Buf = Buf;

    /// Data that does not arrive in one piece goes where the operation wants it.
    fn land(&mut self, header: &MessageHeader, data_bytes: usize) -> Option<Buf> {
        if header.kind != MessageType::OSD_OP_REPLY {
            return None;
        }
        let mut in_flight = self.session.in_flight.borrow_mut();
        let landing = &mut in_flight.find(header.tid)?.submission.landing;
        // A checksum may prove wrong after the buffer was written to; the caller's own memory is not used for that.
        let mut buf = landing.take_if(|buf| buf.len() >= data_bytes && !buf.is_lent())?;
        buf.truncate(data_bytes);
        Some(buf)
    }
}

impl Handler for Arrivals {
    fn message(&mut self, message: Message<'_, Buf>) -> Result<(), Fault> {
        let Message { header, front, data, .. } = message;
        let versions = FrontVersion { version: header.version, compat: header.compat_version };
        match header.kind {
            MessageType::OSD_OP_REPLY => self.answer(&header, versions, front, data),
            MessageType::OSD_MAP => {
                self.core.take_maps(versions, front);
                Ok(())
            }
            MessageType::OSD_BACKOFF => self.backoff(&MOsdBackoff::decode(versions, front)?),
            MessageType::WATCH_NOTIFY => {
                let event = MWatchNotify::decode(versions, front)?;
                self.core.route_watch_event(&event, &data);
                Ok(())
            }
            kind => {
                tracing::debug!(osd = self.session.osd.0, %kind, "a message that no client needs is dropped");
                Ok(())
            }
        }
    }
}

impl Arrivals {
    fn answer(
        &self,
        header: &MessageHeader,
        versions: FrontVersion,
        front: &[u8],
        data: Data<'_, Buf>,
    ) -> Result<(), Fault> {
        let reply = MOsdOpReply::decode(versions, front, data.len())?;
        let mut in_flight = self.session.in_flight.borrow_mut();
        let Some(flying) = in_flight.find(header.tid) else { return Ok(()) };
        if reply.attempt >= 0 && reply.attempt != flying.submission.sending.attempt {
            return Ok(());
        }
        let flying = in_flight.remove(header.tid).expect("it was just found");
        drop(in_flight);
        let submission = flying.submission;
        let (data, data_bytes) = match data {
            Data::Landed(buf) => {
                let bytes = buf.len();
                (buf, bytes)
            }
            Data::Borrowed(bytes) => (landed(submission.landing, bytes), bytes.len()),
        };
        self.session.statistics.answered(
            flying.since,
            self.connection.last_heard(),
            submission.data.len(),
            data_bytes,
        );
        let answer = Answer {
            result: reply.result,
            user_version: reply.user_version,
            version: reply.version,
            ops: results(&reply),
            data,
            data_bytes,
            redirect: reply.redirect.map(Box::new),
        };
        self.core.deliver(submission.op, answer, submission.front);
        Ok(())
    }

    fn backoff(&self, backoff: &MOsdBackoff) -> Result<(), Fault> {
        match backoff.step {
            BackoffStep::Block => {
                if !self.session.block(backoff) {
                    let error = ringbd_proto::codec::DecodeError {
                        what: "a backoff",
                        offset: 0,
                        kind: DecodeErrorKind::Invalid("more backoffs than an OSD can have a use for"),
                    };
                    return Err(Fault::Message(error));
                }
                tracing::info!(osd = self.session.osd.0, pg = %backoff.spg, "backoff: the OSD asks for quiet");
                super::statistics::add(&self.session.statistics.backoffs, 1);
                let (kind, ack) = (MOsdBackoff::KIND, backoff.ack());
                let header = MessageHeader {
                    // Not to overtake the operations that it is about.
                    priority: self.session.op_priority.get(),
                    ..MessageHeader::new(MessageType::OSD_BACKOFF, kind.version, kind.compat)
                };
                self.connection.send(header, |e| ack.encode(e), &Pieces::None, None);
            }
            BackoffStep::Unblock => {
                tracing::info!(osd = self.session.osd.0, pg = %backoff.spg, "the backoff is over");
                self.session.backoffs.borrow_mut().unblock(backoff.spg, backoff.id);
                self.session.send_held(&self.connection);
            }
            BackoffStep::AckBlock => {
                tracing::debug!(
                    osd = self.session.osd.0,
                    "an OSD acknowledges a backoff that only it can ask for"
                );
            }
        }
        Ok(())
    }
}

/// Bytes that arrived, in the buffer that was given for them or in one of their own.
fn landed(landing: Option<Buf>, bytes: &[u8]) -> Buf {
    match landing {
        Some(mut buf) if buf.len() >= bytes.len() => {
            buf[..bytes.len()].copy_from_slice(bytes);
            buf
        }
        Some(_) | None => {
            let mut buf = Buf::alloc(bytes.len());
            buf.copy_from_slice(bytes);
            buf
        }
    }
}

fn results(reply: &MOsdOpReply<'_>) -> OpResults {
    let mut ops = reply.ops().map(|op| OpResult { result: op.rval, output_bytes: op.output.len() });
    match (ops.next(), ops.len()) {
        (Some(one), 0) => OpResults::One(one),
        (Some(first), _) => OpResults::Many(std::iter::once(first).chain(ops).collect()),
        (None, _) => OpResults::Many(Vec::new()),
    }
}
