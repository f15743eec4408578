//! What one core of an engine owns, and how a request begins and ends on it.
//!
//! The life of a request: `start` admits it, and where it is one extent of an object of this core that the cache can
//! serve, ends it at once; where the disk can do it in one operation, hands it there (`straight.rs`). Otherwise it goes
//! to the object's home core as a message, or a task runs it (`route.rs`).

use super::calls::Calls;
use super::guests::Guests;
use super::message::{CallId, ImageNo, Item, Message, ObjectOp};
use super::outbox::Outbox;
use super::request_end::{Completions, End, Finish, UnderWay};
use super::roster::{EngineShared, Roster};
use super::straight::StraightRequests;
use super::topology::{CoreNo, ShardNo};
use crate::cache::Extent;
use crate::error::Result;
use crate::image::core_image::CoreImage;
use crate::image::request::{Op, Request};
use crate::image::shared::ImageShared;
use crate::stats::CoreStats;
use ringbd_reactor::{Buf, JoinHandle, Receiver, spawn_detached};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

pub(crate) struct CoreState {
    pub(crate) no: CoreNo,
    pub(crate) engine: Arc<EngineShared>,
    pub(crate) calls: Calls,
    pub(crate) outbox: Outbox,
    pub(crate) completions: Completions,
    pub(crate) stats: CoreStats,
    roster: RefCell<Arc<Roster>>,
    roster_version: Cell<u64>,
    images: RefCell<Vec<Option<Rc<CoreImage>>>>,
    pub(crate) under_way: UnderWay,
    pub(crate) straight: StraightRequests,
    pub(crate) guests: Guests,
    /// The core is on its way out of the engine.
    pub(crate) leaving: Cell<bool>,
    /// The mailboxes of cores that left, and the tasks that answer them.
    pub(crate) inherited: RefCell<Vec<(CoreNo, JoinHandle<Receiver<Message>>)>>,
}

impl CoreState {
    pub(crate) fn new(no: CoreNo, engine: Arc<EngineShared>) -> Rc<Self> {
        let roster = engine.roster();
        Rc::new(Self {
            no,
            calls: Calls::default(),
            outbox: Outbox::default(),
            completions: Completions::default(),
            stats: CoreStats::default(),
            roster_version: Cell::new(roster.topology.version()),
            roster: RefCell::new(roster),
            images: RefCell::default(),
            under_way: UnderWay::default(),
            straight: StraightRequests::default(),
            guests: Guests::default(),
            leaving: Cell::new(false),
            inherited: RefCell::default(),
            engine,
        })
    }

    /// The newest roster.
    pub(crate) fn roster(&self) -> Arc<Roster> {
        if self.engine.version() != self.roster_version.get() {
            let roster = self.engine.roster();
            self.roster_version.set(roster.topology.version());
            *self.roster.borrow_mut() = roster;
        }
        self.roster.borrow().clone()
    }

    pub(crate) fn send(&self, to: CoreNo, message: Message) {
        self.roster.borrow().send(to, message);
    }

    /// Puts an item into the next message for a core.
    pub(crate) fn post(&self, to: CoreNo, item: Item) {
        self.outbox.post(&self.roster.borrow(), self.no, to, item);
    }

    /// This core's part of an image; made when the core first hears of it.
    #[inline]
    pub(crate) fn core_image(self: &Rc<Self>, shared: &Arc<ImageShared>) -> Rc<CoreImage> {
        if let Some(Some(image)) = self.images.borrow().get(shared.no as usize) {
            return image.clone();
        }
        self.make_core_image(shared)
    }

    #[cold]
    fn make_core_image(self: &Rc<Self>, shared: &Arc<ImageShared>) -> Rc<CoreImage> {
        let image = CoreImage::new(shared.clone(), self.engine.cache_shares());
        let mut images = self.images.borrow_mut();
        let place = shared.no as usize;
        if images.len() <= place {
            images.resize(place + 1, None);
        }
        images[place] = Some(image.clone());
        image
    }

    /// The same by number, for messages; `None` when the image was closed meanwhile.
    pub(crate) fn core_image_of(self: &Rc<Self>, no: ImageNo) -> Option<Rc<CoreImage>> {
        if let Some(Some(image)) = self.images.borrow().get(no as usize) {
            return Some(image.clone());
        }
        self.engine.image(no).map(|shared| self.make_core_image(&shared))
    }

    pub(crate) fn core_images(&self) -> Vec<Rc<CoreImage>> {
        self.images.borrow().iter().flatten().cloned().collect()
    }

    pub(crate) fn forget_image(&self, no: ImageNo) -> Option<Rc<CoreImage>> {
        self.images.borrow_mut().get_mut(no as usize).and_then(Option::take)
    }

    /// Begins a request; its end goes to `end`, possibly before this returns.
    pub(crate) fn start(self: &Rc<Self>, shared: &Arc<ImageShared>, mut request: Request, end: End) {
        let epoch = self.under_way.begin();
        let finish = Finish { end, op: request.op, started: self.stats.begin(), epoch };
        match shared.admit(&mut request) {
            Err(error) => return self.finish(finish, Err(error), request.buf),
            Ok(0) if request.op != Op::Flush => return self.finish(finish, Ok(0), request.buf),
            Ok(_) => {}
        }
        if request.op == Op::Read
            && let Some(window) = self.core_image(shared).sequence(request.offset, request.len)
        {
            self.read_ahead(shared, window);
        }
        let extent = shared.layout.first(request.offset, request.len);
        let whole = u64::from(extent.len) == request.len && request.buf.len() as u64 == request.len;
        match request.op {
            Op::Read if whole => self.start_single(shared, extent, ObjectOp::Read, request.buf, finish),
            Op::Write if whole => self.start_single(shared, extent, ObjectOp::Write, request.buf, finish),
            _ => self.start_task(shared.clone(), request, finish),
        }
    }

    /// A read or write of one object: at once, on another core, or here.
    fn start_single(
        self: &Rc<Self>,
        shared: &Arc<ImageShared>,
        extent: Extent,
        op: ObjectOp,
        mut buf: Buf,
        finish: Finish,
    ) {
        let shard = ShardNo::of(shared.id, extent.object);
        let image = self.core_image(shared);
        if image.has(shard) {
            if image.try_now(&op, extent, &mut buf) {
                return self.finish(finish, Ok(u64::from(extent.len)), buf);
            }
            return self.start_here(image.begin(shard), extent, op, buf, finish);
        } else if let Some(owner) = self.roster().topology.owner(shard).filter(|&owner| owner != self.no) {
            let call = self.calls.begin_request(finish);
            let from = CallId { core: self.no, call };
            return self.post(owner, Item::Object { image: shared.no, extent, op, buf, from });
        }
        let state = self.clone();
        spawn_detached(async move {
            let (result, buf) = state.object(&image, extent, op, buf).await;
            state.finish(finish, result, buf);
        });
    }

    fn start_task(self: &Rc<Self>, shared: Arc<ImageShared>, request: Request, finish: Finish) {
        let state = self.clone();
        spawn_detached(async move {
            let (result, buf) = state.run(&shared, request).await;
            state.finish(finish, result, buf);
        });
    }

    /// Ends a request.
    #[inline]
    pub(crate) fn finish(&self, finish: Finish, result: Result<u64>, buf: Buf) {
        self.under_way.end(finish.epoch);
        self.stats.end(finish.op, finish.started, &result);
        match finish.end {
            End::Token(token) => self.completions.push(token, result, buf),
            End::Reply(reply) => reply.give(result, buf),
        }
    }
}
