//! A core's mailbox: one task that takes each message and answers it, at once where the cache can, by a task where not.

use super::message::{Answer, CallId, ImageNo, Item, Message, ObjectOp, ShardsOp};
use super::request_end::End;
use super::state::CoreState;
use super::topology::{CoreNo, ShardNo, ShardSet};
use crate::cache::Extent;
use crate::error::{Error, ErrorKind};
use crate::image::core_image::CoreImage;
use crate::image::shard_load::ShardLoad;
use ringbd_reactor::{Buf, Receiver, spawn, spawn_detached};
use std::rc::Rc;

impl CoreState {
    /// Answers the mailbox until `Stop` comes or nobody can send any more. Gives the mailbox back.
    pub(crate) async fn serve(self: Rc<Self>, mut mailbox: Receiver<Message>) -> Receiver<Message> {
        while let Some(message) = mailbox.recv().await {
            if matches!(message, Message::Stop) {
                break;
            }
            self.dispatch(message);
        }
        mailbox
    }

    fn dispatch(self: &Rc<Self>, message: Message) {
        match message {
            Message::Start { image, request, reply } => self.start(&image, request, End::Reply(reply)),
            Message::Batch { from, items } => self.dispatch_batch(from, items),
            Message::Shards { image, shards, op, from } => self.shards_of_other(image, shards, op, from),
            Message::ReadAhead { image, extent } => {
                if let Some(image) = self.core_image_of(image)
                    && image.has(ShardNo::of(image.shared.id, extent.object))
                {
                    image.read_ahead(extent);
                }
            }
            Message::Adopt { image, shards } => {
                for (shard, load) in shards {
                    self.adopt(image, shard, load);
                }
            }
            Message::Rebalance => {
                self.give_away();
                self.look_again();
            }
            Message::Inherit(core, mailbox) => {
                let serving = spawn(self.clone().serve(mailbox));
                self.inherited.borrow_mut().push((core, serving));
            }
            Message::Run(work) => work(self),
            Message::Stop => {}
        }
    }

    /// Does what a batch asks for; the answers that are there at once go back in its own memory.
    fn dispatch_batch(self: &Rc<Self>, from: CoreNo, items: Vec<Item>) {
        let answers: Vec<Item> =
            items.into_iter().filter_map(|item| self.dispatch_item(from, item)).collect();
        if answers.is_empty() {
            self.outbox.recycle(answers);
        } else {
            self.send(from, Message::Batch { from: self.no, items: answers });
        }
    }

    /// Gives back the answer for `from`, if there is one at once.
    fn dispatch_item(self: &Rc<Self>, from: CoreNo, item: Item) -> Option<Item> {
        match item {
            Item::Object { image, extent, op, buf, from: caller } => {
                let answer = self.object_of_other(image, extent, op, buf, caller)?;
                if caller.core == from {
                    return Some(Item::Answer { call: caller.call, answer });
                }
                // It was sent on by a former owner.
                self.answer(caller, answer);
            }
            Item::Answer { call, answer } => {
                if let Some((finish, answer)) = self.calls.answered(call, answer) {
                    self.finish(finish, answer.result, answer.buf);
                }
            }
        }
        None
    }

    /// Sends what was posted to other cores, at the end of each turn in which something was.
    pub(crate) async fn flush_outbox(self: Rc<Self>) {
        loop {
            self.outbox.something().await;
            self.outbox.flush(&self.roster(), self.no);
        }
    }

    fn answer(&self, to: CallId, answer: Answer) {
        self.post(to.core, Item::Answer { call: to.call, answer });
    }

    /// An extent of an object of this core, for another core: the answer, where it is there at once.
    fn object_of_other(
        self: &Rc<Self>,
        image_no: ImageNo,
        extent: Extent,
        op: ObjectOp,
        mut buf: Buf,
        from: CallId,
    ) -> Option<Answer> {
        let Some(image) = self.core_image_of(image_no) else {
            let result =
                Err(Error::new(ErrorKind::Closed, "reach object of image", image_no, "the image was closed"));
            return Some(Answer { result, buf, done: ShardSet::EMPTY });
        };
        let shard = ShardNo::of(image.shared.id, extent.object);
        if image.has(shard) {
            if image.try_now(&op, extent, &mut buf) {
                return Some(Answer { result: Ok(u64::from(extent.len)), buf, done: ShardSet::EMPTY });
            }
        } else if let Some(owner) = self.owner_elsewhere(shard) {
            // It moved on; the answer goes straight to who asked.
            self.post(owner, Item::Object { image: image_no, extent, op, buf, from });
            return None;
        }
        let state = self.clone();
        self.host(async move {
            let (result, buf) = state.object(&image, extent, op, buf).await;
            state.answer(from, Answer { result, buf, done: ShardSet::EMPTY });
        });
        None
    }

    pub(crate) fn owner_elsewhere(&self, shard: ShardNo) -> Option<CoreNo> {
        self.roster().topology.owner(shard).filter(|&owner| owner != self.no)
    }

    fn shards_of_other(self: &Rc<Self>, image: ImageNo, shards: ShardSet, op: ShardsOp, from: CallId) {
        let Some(image) = self.core_image_of(image) else {
            // Closed: nothing of it is left to work on.
            return self.answer(from, Answer { result: Ok(0), buf: Buf::empty(), done: shards });
        };
        let state = self.clone();
        self.host(async move {
            let (result, done) = state.shards_here(&image, shards, op).await;
            state.answer(from, Answer { result: result.map(|()| 0), buf: Buf::empty(), done });
        });
    }

    fn adopt(self: &Rc<Self>, image: ImageNo, shard: ShardNo, load: ShardLoad) {
        // A load of a closed image is dropped: closing wrote everything back.
        let Some(image) = self.core_image_of(image) else { return };
        image.adopt(shard, load);
        // It moved on meanwhile: to another core, or to nobody, where this core leaves as the last.
        if self.roster().topology.owner(shard) != Some(self.no) {
            self.give_away();
        }
    }

    /// Sends every shard that the newest map gives to another core on its way.
    fn give_away(self: &Rc<Self>) {
        for image in self.core_images() {
            let mine = self.roster().topology.owned_by(self.no);
            for shard in image.here().difference(mine).iter() {
                let (state, image) = (self.clone(), image.clone());
                image.close_shard(shard);
                spawn_detached(async move { state.move_shard(&image, shard).await });
            }
        }
    }

    /// Waits until nothing works on a shard, then sends it to its owner.
    async fn move_shard(self: &Rc<Self>, image: &Rc<CoreImage>, shard: ShardNo) {
        let load = image.surrender(shard).await;
        self.engine.deliver(image.shared.no, shard, load);
        image.moved.wake_all();
    }

    /// Hands the mailboxes that this core inherited to another.
    pub(crate) async fn bequeath_inherited(self: &Rc<Self>) {
        loop {
            let Some((core, serving)) = self.inherited.borrow_mut().pop() else { return };
            self.send(core, Message::Stop);
            self.engine.bequeath(core, serving.await);
        }
    }

    /// Wakes what waits for a shard to come here: the map changed, and it may come elsewhere.
    pub(crate) fn look_again(&self) {
        for image in self.core_images() {
            image.moved.wake_all();
        }
    }

    /// Whether a core that left the map has handed over everything.
    pub(crate) fn is_empty(&self) -> bool {
        let holds = self.core_images().iter().any(|image| image.holds_any());
        !holds && self.guests.is_empty() && self.calls.is_empty() && self.inherited.borrow().is_empty()
    }

    /// Gives every shard away and waits until the last is gone: this core leaves the engine.
    pub(crate) async fn give_all_away(self: &Rc<Self>) {
        self.give_away();
        for image in self.core_images() {
            while image.holds_any() {
                image.moved.wait().await;
            }
        }
    }
}
