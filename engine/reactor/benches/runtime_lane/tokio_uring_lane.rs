//! The client on tokio-uring: gathered writes of shared bytes and a large receive buffer. Once with the ring
//! that `tokio_uring::start` makes, and once tuned: SINGLE_ISSUER, COOP_TASKRUN (it hangs with
//! DEFER_TASKRUN).

use crate::wire::{HEADER, PAYLOAD, Replies};
use crate::{CONNECTIONS, Sample, Task};
use bytes::{Buf, Bytes};
use ringbd_reactor::thread_cpu_time;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;
use tokio::sync::Notify;
use tokio_uring::net::TcpStream;

struct Connection {
    stream: TcpStream,
    queue: RefCell<Vec<Bytes>>,
    queued: Notify,
}

pub(crate) fn run(task: Task, tuned: bool, report: impl FnOnce(Sample)) {
    let mut ring = tokio_uring::uring_builder();
    if tuned {
        ring.setup_single_issuer().setup_coop_taskrun().setup_cqsize(4096);
    }
    let sample = async {
        let requests: Rc<Vec<Notify>> =
            Rc::new((0..task.depth * CONNECTIONS).map(|_| Notify::new()).collect());
        let count = Rc::new(Cell::new(0));
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            let stream = std::net::TcpStream::connect(task.address).expect("the server is there");
            stream.set_nodelay(true).expect("it is a TCP socket");
            let stream = TcpStream::from_std(stream);
            connections.push(Rc::new(Connection {
                stream,
                queue: RefCell::default(),
                queued: Notify::new(),
            }));
        }
        for connection in &connections {
            tokio_uring::spawn(write(Rc::clone(connection)));
            tokio_uring::spawn(read(Rc::clone(connection), Rc::clone(&requests)));
        }
        for tag in 0..requests.len() {
            let connection = Rc::clone(&connections[tag % CONNECTIONS]);
            tokio_uring::spawn(ask(tag, connection, Rc::clone(&requests), Rc::clone(&count)));
        }
        tokio::time::sleep(task.warm_up).await;
        let (cpu, begun, before) = (thread_cpu_time(), Instant::now(), count.get());
        tokio::time::sleep(task.measure).await;
        // Reported from inside: with reads in flight this runtime does not come to an end.
        report(Sample {
            requests: count.get() - before,
            cpu: thread_cpu_time() - cpu,
            wall: begun.elapsed(),
        });
    };
    tokio_uring::builder().entries(512).uring_builder(&ring).start(sample);
}

async fn ask(tag: usize, connection: Rc<Connection>, requests: Rc<Vec<Notify>>, count: Rc<Cell<u64>>) {
    let mut header = vec![0; HEADER];
    header[..8].copy_from_slice(&(tag as u64).to_le_bytes());
    // Not zeroes: memory that was never written is one shared page, which is copied from the nearest cache.
    let (header, payload) = (Bytes::from(header), Bytes::from(vec![1; PAYLOAD]));
    loop {
        connection.queue.borrow_mut().extend([header.clone(), payload.clone()]);
        connection.queued.notify_one();
        requests[tag].notified().await;
        count.set(count.get() + 1);
    }
}

async fn write(connection: Rc<Connection>) {
    let mut bufs = Vec::new();
    loop {
        if connection.queue.borrow().is_empty() {
            connection.queued.notified().await;
            continue;
        }
        std::mem::swap(&mut bufs, &mut connection.queue.borrow_mut());
        while !bufs.is_empty() {
            let result;
            (result, bufs) = connection.stream.writev(bufs).await;
            let mut sent = result.expect("the server reads");
            let whole = bufs.iter().take_while(|buf| {
                let whole = buf.len() <= sent;
                if whole {
                    sent -= buf.len();
                }
                whole
            });
            let whole = whole.count();
            bufs.drain(..whole);
            if sent > 0 {
                bufs[0].advance(sent);
            }
        }
    }
}

async fn read(connection: Rc<Connection>, requests: Rc<Vec<Notify>>) {
    let (mut bytes, mut replies) = (vec![0; 256 << 10], Replies::default());
    loop {
        let result;
        (result, bytes) = connection.stream.read(bytes).await;
        match result.expect("the server answers") {
            0 => return,
            n => replies.feed(&bytes[..n], |tag| requests[tag].notify_one()),
        }
    }
}
