//! The thin client on tokio-uring: vectored writes of shared bytes, a large buffer to read into, a task for each half of the
//! connection. Once with the ring that `tokio_uring::start` makes, and once tuned: SINGLE_ISSUER, COOP_TASKRUN (it hangs
//! with DEFER_TASKRUN).

use crate::login::{Client, Line};
use crate::meter::Sample;
use crate::operations::Answers;
use crate::peer::{Queue, Shared};
use crate::{RECEIVE_BYTES, Task};
use bytes::{Buf, Bytes};
use std::rc::Rc;
use tokio_uring::net::TcpStream;

pub(crate) fn run(task: &Task, tuned: bool, client: &Client, report: impl FnOnce(&Sample)) {
    let mut ring = tokio_uring::uring_builder();
    if tuned {
        ring.setup_single_issuer().setup_coop_taskrun().setup_cqsize(4096);
    }
    tokio_uring::builder().entries(512).uring_builder(&ring).start(async {
        let Line { stream, established, early } = client.connect();
        let stream = Rc::new(TcpStream::from_std(stream));
        let mut answers = Answers::new(task.depth, established.opener);
        answers.take(&early, |_| unreachable!("nothing was asked"));
        let shared = Shared::new(client, task, established.sealer);
        tokio_uring::spawn(write(shared.clone(), stream.clone()));
        tokio_uring::spawn(read(shared.clone(), stream, answers));
        for slot in 0..task.depth {
            tokio_uring::spawn(shared.clone().ask(slot));
        }
        // Reported from inside: with a read in flight this runtime does not come to an end.
        report(&shared.measure(task).await);
    });
}

async fn write(shared: Rc<Shared>, stream: Rc<TcpStream>) {
    let mut queue = Queue::default();
    loop {
        queue = shared.queued(queue).await;
        let (frames, mut pieces) = take(&mut queue);
        while !pieces.is_empty() {
            let result;
            (result, pieces) = stream.writev(pieces).await;
            let mut sent = result.expect("the OSD listens");
            let whole = pieces.iter().take_while(|piece| {
                let whole = piece.len() <= sent;
                if whole {
                    sent -= piece.len();
                }
                whole
            });
            let whole = whole.count();
            pieces.drain(..whole);
            if sent > 0 {
                pieces[0].advance(sent);
            }
        }
        // Nobody shares it any more, so its memory is used again.
        queue.frames = frames.into();
        queue.frames.clear();
    }
}

/// All of it, in the order of the wire; the first part is what the pieces of frames share.
fn take(queue: &mut Queue) -> (Bytes, Vec<Bytes>) {
    let frames = Bytes::from(std::mem::take(&mut queue.frames));
    let mut pieces = Vec::with_capacity(2 * queue.data.len() + 1);
    let mut from = 0;
    for (at, data) in queue.data.drain(..) {
        pieces.extend([frames.slice(from..at), data]);
        from = at;
    }
    pieces.push(frames.slice(from..));
    (frames, pieces)
}

async fn read(shared: Rc<Shared>, stream: Rc<TcpStream>, mut answers: Answers) {
    let mut bytes = vec![0; RECEIVE_BYTES];
    loop {
        let result;
        (result, bytes) = stream.read(bytes).await;
        let received = result.expect("the OSD answers");
        assert!(received > 0, "the OSD closed the connection");
        answers.take(&bytes[..received], |slot| shared.answered(slot));
    }
}
