//! The thin client as far as it is the same on tokio and on tokio-uring: both send [`Bytes`] and wake by tokio's [`Notify`].

use crate::login::Client;
use crate::meter::{Meter, Sample};
use crate::operations::Asking;
use crate::{BLOCK, Task};
use bytes::Bytes;
use ringbd_proto::msgr2::{DataPlace, Sealer};
use std::cell::RefCell;
use std::rc::Rc;
use tokio::sync::Notify;

/// What the halves of a connection and those who ask share.
pub(crate) struct Shared {
    asking: RefCell<Asking>,
    queue: RefCell<Queue>,
    something: Notify,
    answers: Vec<Notify>,
    meter: Meter,
}

/// What is to be written: frames, and data that belongs between them.
#[derive(Default)]
pub(crate) struct Queue {
    pub(crate) frames: Vec<u8>,
    pub(crate) data: Vec<(usize, Bytes)>,
}

impl Shared {
    pub(crate) fn new(client: &Client, task: &Task, sealer: Sealer) -> Rc<Shared> {
        Rc::new(Shared {
            asking: RefCell::new(Asking::new(client, task.write, task.depth, sealer)),
            queue: RefCell::default(),
            something: Notify::new(),
            answers: (0..task.depth).map(|_| Notify::new()).collect(),
            meter: Meter::new(),
        })
    }

    /// Waits until there is something to write, and takes it in exchange for an empty queue with memory to use again.
    pub(crate) async fn queued(&self, empty: Queue) -> Queue {
        while self.queue.borrow().frames.is_empty() {
            self.something.notified().await;
        }
        self.queue.replace(empty)
    }

    /// The operation of whoever has the number `slot` is done.
    pub(crate) fn answered(&self, slot: usize) {
        self.answers[slot].notify_one();
    }

    /// Asks over and over.
    pub(crate) async fn ask(self: Rc<Self>, slot: usize) {
        let data = Bytes::from(vec![1; BLOCK]);
        for nth in 0.. {
            let started = self.meter.start(nth);
            {
                let mut queue = self.queue.borrow_mut();
                let place = self.asking.borrow_mut().ask(slot, &mut queue.frames, &data);
                match place {
                    DataPlace::Inside => {}
                    DataPlace::At(at) => queue.data.push((at, data.clone())),
                }
            }
            self.something.notify_one();
            self.answers[slot].notified().await;
            self.meter.finish(&started);
        }
    }

    /// Lets it run, and says what it took.
    pub(crate) async fn measure(&self, task: &Task) -> Sample {
        tokio::time::sleep(task.warm_up).await;
        let begun = self.meter.begin();
        tokio::time::sleep(task.measure).await;
        self.meter.end(&begun)
    }
}
