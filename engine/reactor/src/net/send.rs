//! Sending: all parts of a call in one gathered sendmsg.

use super::gather::Gather;
use super::message::Message;
use super::socket::Socket;
use crate::core::{Core, Op, Payload};
use crate::ring::with_target;
use io_uring::opcode;
use std::cell::RefCell;
use std::io;

/// Messages kept for their capacity: as many as connections usually send at once.
const SPARE_MAX: usize = 64;

thread_local! {
    #[expect(clippy::vec_box, reason = "the kernel is given a message's address, so it stays in its box")]
    static SPARE: RefCell<Vec<Box<Message>>> = const { RefCell::new(Vec::new()) };
}

/// Sends all of `gather`, or fails.
pub(super) async fn send(socket: &Socket, gather: Gather) -> (io::Result<()>, Gather) {
    let turn = match socket.begin_send() {
        Ok(turn) => turn,
        Err(error) => return (Err(error), gather),
    };
    let mut message = SPARE.with_borrow_mut(Vec::pop).unwrap_or_else(|| Box::new(Message::new()));
    message.load(gather);
    let mut result = Ok(());
    while !message.is_sent() {
        let finished = submit(socket, message).await;
        let Payload::Message(back) = finished.payload else { unreachable!("submitted with a message") };
        message = back;
        match finished.cqe.result {
            n if n > 0 => message.advance(n.unsigned_abs() as usize),
            error if -error == libc::EINTR || -error == libc::EAGAIN => {}
            0 => {
                result = Err(io::ErrorKind::WriteZero.into());
                break;
            }
            error => {
                result = Err(io::Error::from_raw_os_error(-error));
                break;
            }
        }
    }
    let gather = message.unload();
    SPARE.with_borrow_mut(|spare| {
        if spare.len() < SPARE_MAX {
            spare.push(message);
        }
    });
    turn.done();
    (result, gather)
}

fn submit(socket: &Socket, mut message: Box<Message>) -> Op {
    let header = message.prepare();
    let (target, keep) = Core::with(|core| core.ring().target(&socket.descriptor));
    let flags = (libc::MSG_WAITALL | libc::MSG_NOSIGNAL).cast_unsigned();
    let entry = with_target!(target, fd => opcode::SendMsg::new(fd, header).flags(flags).build());
    // SAFETY: the message is boxed, so the header, the list and the bytes stay where they are while the
    // payload owns it.
    unsafe { Op::submit(entry, Payload::Message(message), keep) }
}
