//! The answer to a list of operations, as a user sees it.

use super::error::OpError;
use super::message::{Answer, OpResult};
use ringbd_proto::codec::{DecodeError, DecodeErrorKind};
use ringbd_proto::types::Eversion;
use ringbd_reactor::Buf;

/// What an OSD answered to a list of operations.
#[derive(Debug)]
pub struct OpReply {
    answer: Answer,
}

impl OpReply {
    pub(super) fn new(answer: Answer) -> OpReply {
        OpReply { answer }
    }

    /// The result of the whole list: the first error, or what the last operation returned.
    pub fn result(&self) -> i32 {
        self.answer.result
    }

    /// The reply if the list succeeded, or its error.
    pub fn ok(self) -> Result<OpReply, OpError> {
        match self.answer.result {
            0.. => Ok(self),
            errno => Err(OpError::of_result(errno)),
        }
    }

    /// What became of each operation. Behind the first that failed they are blank.
    pub fn ops(&self) -> &[OpResult] {
        self.answer.ops.as_slice()
    }

    /// The output of the `nth` operation.
    ///
    /// # Errors
    /// The OSD answered fewer operations than were asked for.
    pub fn output(&self, nth: usize) -> Result<&[u8], OpError> {
        let ops = self.ops();
        let missing = DecodeError {
            what: "an operation's answer",
            offset: 0,
            kind: DecodeErrorKind::Invalid("fewer operations than were asked for"),
        };
        let op = ops.get(nth).ok_or(missing)?;
        let start: usize = ops[..nth].iter().map(|op| op.output_bytes).sum();
        Ok(&self.answer.data[start..start + op.output_bytes])
    }

    /// All output: how many bytes, and the buffer that begins with them.
    pub fn into_output(self) -> (usize, Buf) {
        (self.answer.data_bytes, self.answer.data)
    }

    /// The object's version, which grows with each change.
    pub fn user_version(&self) -> u64 {
        self.answer.user_version
    }

    /// The version of the change in the placement group's log.
    pub fn version(&self) -> Eversion {
        self.answer.version
    }
}
