//! What a monitor sends.

use super::requests::{CommandOutput, PoolOutcome, Question};
use super::{Message as ToCores, Monitor};
use crate::rados::connection::{Fault, Handler};
use crate::rados::error::OpError;
use ringbd_proto::message::{Front, FrontVersion};
use ringbd_proto::mon::{
    MAuthReply, MConfig, MMonCommandAck, MMonGetVersionReply, MMonMap, MPoolOpReply, PoolChange,
};
use ringbd_proto::msgr2::{Landing, Message, MessageHeader, MessageType};
use ringbd_reactor::Buf;
use std::rc::Rc;
use std::sync::Arc;

pub(super) struct Arrivals {
    pub(super) monitor: Rc<Monitor>,
}

impl Landing for Arrivals {
    type Buf = Buf;

    fn land(&mut self, _: &MessageHeader, _: usize) -> Option<Buf> {
        None
    }
}

impl Handler for Arrivals {
    fn message(&mut self, message: Message<'_, Buf>) -> Result<(), Fault> {
        let Message { header, front, data, .. } = message;
        let versions = FrontVersion { version: header.version, compat: header.compat_version };
        let monitor = &self.monitor;
        match header.kind {
            MessageType::OSD_MAP => monitor.take_map_message(versions, front),
            MessageType::MON_MAP => monitor.take_monmap(MMonMap::decode(versions, front)?.0),
            MessageType::CONFIG => monitor.take_config(MConfig::decode(versions, front)?),
            MessageType::AUTH_REPLY => monitor.take_tickets(&MAuthReply::decode(versions, front)?),
            MessageType::MON_COMMAND_ACK => {
                let ack = MMonCommandAck::decode(versions, front)?;
                monitor.end_command(header.tid.0, &ack, &data);
            }
            MessageType::MON_GET_VERSION_REPLY => {
                let reply = MMonGetVersionReply::decode(versions, front)?;
                monitor.end_version(&reply);
            }
            MessageType::POOL_OP_REPLY => {
                let reply = MPoolOpReply::decode(versions, front)?;
                monitor.end_pool_op(header.tid.0, &reply)?;
            }
            kind => tracing::debug!(%kind, "a message that no client needs is dropped"),
        }
        Ok(())
    }
}

impl Monitor {
    fn take_config(&self, config: MConfig) {
        let options = config.options.iter().map(|(name, value)| (&**name, &**value));
        let tuned = Arc::new(self.core.config().retuned(options));
        let in_force: Vec<String> = tuned.set_by_monitors().collect();
        tracing::info!(?in_force, "configuration of the monitors");
        self.core.shared().set_monitor_config(config.options);
        self.publish(|| ToCores::Config(tuned.clone()));
    }

    fn end_command(&self, tid: u64, ack: &MMonCommandAck<'_>, data: &[u8]) {
        let Some(question) = self.requests.borrow_mut().remove(tid) else { return };
        if let Question::Command { reply, .. } = question {
            let output =
                CommandOutput { result: ack.result, status: ack.status.to_string(), data: data.to_vec() };
            drop(reply.send(Ok(output)));
        }
    }

    fn end_version(&self, answer: &MMonGetVersionReply) {
        let Some(question) = self.requests.borrow_mut().remove(answer.handle) else { return };
        if let Question::Version { reply, .. } = question {
            drop(reply.send(Ok(answer.version)));
        }
    }

    fn end_pool_op(&self, tid: u64, answer: &MPoolOpReply<'_>) -> Result<(), Fault> {
        let Some(question) = self.requests.borrow_mut().remove(tid) else { return Ok(()) };
        let Question::PoolOp { change, reply, .. } = question else { return Ok(()) };
        let outcome = match answer.outcome() {
            Err(errno) => Err(OpError::Errno(errno.number())),
            Ok(_) => {
                let makes_one = matches!(change, PoolChange::CreateUnmanagedSnap);
                let snap = if makes_one { Some(answer.snap()?) } else { None };
                Ok(PoolOutcome { snap, epoch: answer.epoch })
            }
        };
        drop(reply.send(outcome));
        Ok(())
    }
}
