//! `MMonCommand`: what the `ceph` command says, and the answer. Input and output are the messages' data.

use super::paxos;
use crate::codec::{DecodeError, Decoder, Encoder};
use crate::message::{Front, MessageKind};
use crate::types::{Errno, Fsid};
use std::borrow::Cow;

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MMonCommand<'a> {
    /// The cluster that it is for.
    pub fsid: Fsid,
    /// One JSON text: `{"prefix":"osd dump","format":"json"}`.
    pub command: Cow<'a, str>,
}

impl<'a> Front<'a> for MMonCommand<'a> {
    const KIND: MessageKind = MessageKind { number: 50, version: 1, compat: 1 };
    const WHAT: &'static str = "a command to the monitors";

    fn encode(&self, e: &mut Encoder<'_>) {
        paxos::encode(e, 0);
        self.fsid.encode(e);
        e.count(1).string(&self.command);
    }

    fn decode_body(d: &mut Decoder<'a>, _: u16) -> Result<MMonCommand<'a>, DecodeError> {
        paxos::decode(d)?;
        let fsid = Fsid::decode(d)?;
        // A list, for the sake of long ago; a JSON text may be cut into pieces.
        let command = d.list(4, Decoder::string)?.concat().into();
        Ok(MMonCommand { fsid, command })
    }
}

/// The answer to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MMonCommandAck<'a> {
    /// The version of the map that the command was about.
    pub version: u64,
    /// How it ended. A command that the monitors do not know is EINVAL.
    pub result: i32,
    /// What to tell the user.
    pub status: Cow<'a, str>,
    /// The command.
    pub command: Cow<'a, str>,
}

impl MMonCommandAck<'_> {
    /// How it ended.
    pub fn outcome(&self) -> Result<u32, Errno> {
        Errno::from_result(self.result)
    }
}

impl<'a> Front<'a> for MMonCommandAck<'a> {
    const KIND: MessageKind = MessageKind { number: 51, version: 1, compat: 1 };
    const WHAT: &'static str = "the answer to a command to the monitors";

    fn encode(&self, e: &mut Encoder<'_>) {
        paxos::encode(e, self.version);
        e.i32(self.result).string(&self.status).count(1).string(&self.command);
    }

    fn decode_body(d: &mut Decoder<'a>, _: u16) -> Result<MMonCommandAck<'a>, DecodeError> {
        let version = paxos::decode(d)?;
        let (result, status) = (d.i32()?, lossy(d)?);
        let command = d.list(4, lossy)?.concat().into();
        Ok(MMonCommandAck { version, result, status, command })
    }
}

/// Text for people, which must not fail an answer because of a byte in it.
fn lossy<'a>(d: &mut Decoder<'a>) -> Result<Cow<'a, str>, DecodeError> {
    d.blob().map(String::from_utf8_lossy)
}
