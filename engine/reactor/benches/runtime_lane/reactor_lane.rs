//! The client on our reactor.

use crate::wire::{HEADER, PAYLOAD, Replies};
use crate::{CONNECTIONS, Sample, Task};
use ringbd_reactor::{
    Buf, CoreConfig, Gather, SharedBuf, TcpStream, WaitQueue, World, sleep, spawn_detached, thread_cpu_time,
};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

struct Connection {
    stream: TcpStream,
    queue: RefCell<Gather>,
    queued: WaitQueue,
}

struct Request {
    done: Cell<bool>,
    reply: WaitQueue,
}

pub(crate) fn run(task: Task, report: impl FnOnce(Sample)) {
    let config = CoreConfig { pool_bytes: 32 << 20, ..CoreConfig::default() };
    let mut core = World::real().lend_core(config).expect("io_uring works here");
    let requests: Rc<Vec<Request>> = Rc::new(
        (0..task.depth * CONNECTIONS)
            .map(|_| Request { done: Cell::new(false), reply: WaitQueue::new() })
            .collect(),
    );
    let count = Rc::new(Cell::new(0));
    let sample = core.block_on(async {
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            let stream = TcpStream::connect(task.address).await.expect("the server is there");
            stream.set_nodelay(true).expect("it is a TCP socket");
            let connection = Connection { stream, queue: RefCell::default(), queued: WaitQueue::new() };
            connections.push(Rc::new(connection));
        }
        for connection in &connections {
            spawn_detached(write(Rc::clone(connection)));
            spawn_detached(read(Rc::clone(connection), Rc::clone(&requests)));
        }
        for tag in 0..requests.len() {
            let connection = Rc::clone(&connections[tag % CONNECTIONS]);
            spawn_detached(ask(tag, connection, Rc::clone(&requests), Rc::clone(&count)));
        }
        sleep(task.warm_up).await;
        let (cpu, begun, before) = (thread_cpu_time(), Instant::now(), count.get());
        sleep(task.measure).await;
        Sample { requests: count.get() - before, cpu: thread_cpu_time() - cpu, wall: begun.elapsed() }
    });
    report(sample);
}

async fn ask(tag: usize, connection: Rc<Connection>, requests: Rc<Vec<Request>>, count: Rc<Cell<u64>>) {
    let request = &requests[tag];
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(&(tag as u64).to_le_bytes());
    // Not zeroes: memory that was never written is one shared page, which is copied from the nearest cache.
    let payload = SharedBuf::from(Buf::from_slice(&[1; PAYLOAD]));
    loop {
        {
            let mut queue = connection.queue.borrow_mut();
            queue.bytes().extend_from_slice(&header);
            queue.push(payload.clone());
        }
        connection.queued.wake_one();
        while !request.done.replace(false) {
            request.reply.wait().await;
        }
        count.set(count.get() + 1);
    }
}

async fn write(connection: Rc<Connection>) {
    let mut gather = Gather::new();
    loop {
        if connection.queue.borrow().is_empty() {
            connection.queued.wait().await;
            continue;
        }
        std::mem::swap(&mut gather, &mut connection.queue.borrow_mut());
        let result;
        (result, gather) = connection.stream.send(gather).await;
        result.expect("the server reads");
        gather.clear();
    }
}

async fn read(connection: Rc<Connection>, requests: Rc<Vec<Request>>) {
    let (mut receive, mut replies) = (connection.stream.receiver(), Replies::default());
    while let Some(bytes) = receive.next().await {
        replies.feed(&bytes.expect("the server answers"), |tag| {
            requests[tag].done.set(true);
            requests[tag].reply.wake_one();
        });
    }
}
