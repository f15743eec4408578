//! The thin client on tokio: epoll, vectored writes, a large buffer to read into, a task for each half of the connection.

use crate::login::{Client, Line};
use crate::meter::Sample;
use crate::operations::Answers;
use crate::peer::{Queue, Shared};
use crate::{RECEIVE_BYTES, Task};
use std::io::IoSlice;
use std::rc::Rc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::{LocalSet, spawn_local};

pub(crate) fn run(task: &Task, client: &Client, report: impl FnOnce(&Sample)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("epoll works here");
    let sample = LocalSet::new().block_on(&runtime, async {
        let Line { stream, established, early } = client.connect();
        stream.set_nonblocking(true).expect("it is a socket");
        let stream = TcpStream::from_std(stream).expect("the runtime takes sockets");
        let (reader, writer) = stream.into_split();
        let mut answers = Answers::new(task.depth, established.opener);
        answers.take(&early, |_| unreachable!("nothing was asked"));
        let shared = Shared::new(client, task, established.sealer);
        spawn_local(write(shared.clone(), writer));
        spawn_local(read(shared.clone(), reader, answers));
        for slot in 0..task.depth {
            spawn_local(shared.clone().ask(slot));
        }
        shared.measure(task).await
    });
    report(&sample);
}

async fn write(shared: Rc<Shared>, mut writer: OwnedWriteHalf) {
    let mut queue = Queue::default();
    loop {
        queue = shared.queued(queue).await;
        {
            let mut slices = slices(&queue);
            let mut left = &mut slices[..];
            while !left.is_empty() {
                let sent = writer.write_vectored(left).await.expect("the OSD listens");
                IoSlice::advance_slices(&mut left, sent);
            }
        }
        queue.frames.clear();
        queue.data.clear();
    }
}

/// All of it, in the order of the wire.
fn slices(queue: &Queue) -> Vec<IoSlice<'_>> {
    let mut slices = Vec::with_capacity(2 * queue.data.len() + 1);
    let mut from = 0;
    for (at, data) in &queue.data {
        slices.extend([IoSlice::new(&queue.frames[from..*at]), IoSlice::new(data)]);
        from = *at;
    }
    slices.push(IoSlice::new(&queue.frames[from..]));
    slices
}

async fn read(shared: Rc<Shared>, mut reader: OwnedReadHalf, mut answers: Answers) {
    let mut bytes = vec![0; RECEIVE_BYTES];
    loop {
        let received = reader.read(&mut bytes).await.expect("the OSD answers");
        assert!(received > 0, "the OSD closed the connection");
        answers.take(&bytes[..received], |slot| shared.answered(slot));
    }
}
