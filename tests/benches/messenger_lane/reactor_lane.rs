//! The thin client on our reactor: gathered sends, multishot receive.

use crate::login::{Client, Line};
use crate::meter::{Meter, Sample};
use crate::operations::{Answers, Asking};
use crate::{BLOCK, Task};
use ringbd_proto::msgr2::{DataPlace, Progress};
use ringbd_reactor::{
    Buf, CoreConfig, Gather, Receive, SharedBuf, TcpStream, WaitQueue, World, sleep, spawn_detached,
};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

struct Connection {
    stream: TcpStream,
    asking: RefCell<Asking>,
    gather: RefCell<Gather>,
    something: WaitQueue,
    slots: Vec<Slot>,
    meter: Meter,
}

#[derive(Default)]
struct Slot {
    answered: Cell<bool>,
    answer: WaitQueue,
}

pub(crate) fn run(task: &Task, spin: Duration, client: &Client, report: impl FnOnce(&Sample)) {
    let config = CoreConfig { spin, ..CoreConfig::default() };
    let mut core = World::real().lend_core(config).expect("io_uring works here");
    let sample = core.block_on(async {
        let (Line { stream, established, early }, receive) = connect(client).await;
        let mut answers = Answers::new(task.depth, established.opener);
        answers.take(&early, |_| unreachable!("nothing was asked"));
        let connection = Rc::new(Connection {
            stream,
            asking: RefCell::new(Asking::new(client, task.write, task.depth, established.sealer)),
            gather: RefCell::default(),
            something: WaitQueue::new(),
            slots: (0..task.depth).map(|_| Slot::default()).collect(),
            meter: Meter::new(),
        });
        spawn_detached(write(connection.clone()));
        spawn_detached(read(connection.clone(), receive, answers));
        for slot in 0..task.depth {
            spawn_detached(ask(connection.clone(), slot));
        }
        sleep(task.warm_up).await;
        let begun = connection.meter.begin();
        sleep(task.measure).await;
        connection.meter.end(&begun)
    });
    report(&sample);
}

async fn connect(client: &Client) -> (Line<TcpStream>, Receive) {
    let stream = TcpStream::connect(client.osd()).await.expect("the OSD is there");
    stream.set_nodelay(true).expect("it is a TCP socket");
    let (mut handshake, mut receive) = (client.handshake(), stream.receiver());
    loop {
        send(&stream, handshake.take_output()).await;
        let bytes = receive.next().await.expect("the OSD answers").expect("the OSD answers");
        let mut rest = &bytes[..];
        if let Progress::Done(established) = handshake.handle(&mut rest).expect("the OSD agrees") {
            let early = rest.to_vec();
            send(&stream, handshake.take_output()).await;
            return (Line { stream, established, early }, receive);
        }
    }
}

async fn send(stream: &TcpStream, bytes: Vec<u8>) {
    let mut gather = Gather::new();
    *gather.bytes() = bytes;
    stream.send(gather).await.0.expect("the OSD listens");
}

async fn ask(connection: Rc<Connection>, slot: usize) {
    let data = SharedBuf::from(Buf::from_slice(&[1; BLOCK]));
    for nth in 0.. {
        let started = connection.meter.start(nth);
        {
            let mut gather = connection.gather.borrow_mut();
            let place = connection.asking.borrow_mut().ask(slot, gather.bytes(), &data);
            match place {
                DataPlace::Inside => {}
                DataPlace::At(at) => gather.insert(at, data.clone()),
            }
        }
        connection.something.wake_one();
        let Slot { answered, answer } = &connection.slots[slot];
        while !answered.replace(false) {
            answer.wait().await;
        }
        connection.meter.finish(&started);
    }
}

async fn write(connection: Rc<Connection>) {
    let mut gather = Gather::new();
    loop {
        if connection.gather.borrow().is_empty() {
            connection.something.wait().await;
            continue;
        }
        std::mem::swap(&mut gather, &mut connection.gather.borrow_mut());
        let result;
        (result, gather) = connection.stream.send(gather).await;
        result.expect("the OSD listens");
        gather.clear();
    }
}

async fn read(connection: Rc<Connection>, mut receive: Receive, mut answers: Answers) {
    while let Some(bytes) = receive.next().await {
        answers.take(&bytes.expect("the OSD answers"), |slot| {
            let Slot { answered, answer } = &connection.slots[slot];
            answered.set(true);
            answer.wake_one();
        });
    }
}
