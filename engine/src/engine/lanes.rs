//! Reads and writes of other cores' objects, by lanes: one for each core that this one asked.
//!
//! What the home core's cache can do is done in the lane's slot, in place, and the slot alone comes back: no message, no
//! answer, no task. What it cannot do it takes out of the slot; the answer then comes by mail, to the same call. A lane is
//! made when a core first asks another, goes to its home core in a message, and is handed on as its mailbox is.

use super::message::{CallId, ImageNo, Item, Message, ObjectOp};
use super::request_end::Finish;
use super::state::CoreState;
use super::topology::CoreNo;
use crate::cache::Extent;
use crate::image::core_image::CoreImage;
use crate::image::shared::ImageShared;
use ringbd_reactor::{Answerer, Asker, Buf, Watch, lane, rouse};
use std::cell::RefCell;
use std::rc::Rc;

/// A read or a write of one object's extent on its way to the object's home core and back.
pub(crate) struct Crossing {
    image: ImageNo,
    /// The asking core's call.
    call: u32,
    extent: Extent,
    way: Way,
    buf: Buf,
}

/// What lanes carry; anything else is rare enough for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Read,
    Write,
}

impl Way {
    pub(crate) fn op(self) -> ObjectOp {
        match self {
            Self::Read => ObjectOp::Read,
            Self::Write => ObjectOp::Write,
        }
    }
}

/// What lies in a slot. A crossing that comes back is done, to its last byte; nothing that comes back is answered by mail.
type Place = Option<Crossing>;

// A crossing is one cache line, which is what makes it cheap.
const _: () = assert!(size_of::<Place>() <= 64);

/// The lanes that begin or end on a core.
#[derive(Default)]
pub(crate) struct Lanes {
    /// By the number of the core that is asked.
    asked: RefCell<Vec<Option<Asker<Place>>>>,
    served: RefCell<Vec<Served>>,
}

/// The end of another core's lane.
pub(crate) struct Served {
    pub(crate) from: CoreNo,
    lane: Answerer<Place>,
}

impl Lanes {
    /// Whether something came, or has to be told.
    #[inline]
    pub(crate) fn has_work(&self) -> bool {
        self.asked.borrow().iter().flatten().any(|lane| lane.has_answers() || lane.has_news())
            || self.served.borrow().iter().any(|served| served.lane.has_questions() || served.lane.has_news())
    }

    /// Puts a crossing into the lane to a core. Gives it back if that is full, and the other end of the lane if it is new.
    #[inline]
    fn ask(&self, to: CoreNo, crossing: Crossing) -> (Result<(), Crossing>, Option<Answerer<Place>>) {
        let mut asked = self.asked.borrow_mut();
        let place = to.0 as usize;
        let mut new = None;
        if asked.get(place).is_none_or(Option::is_none) {
            let (asker, answerer) = lane();
            if asked.len() <= place {
                asked.resize_with(place + 1, || None);
            }
            asked[place] = Some(asker);
            new = Some(answerer);
        }
        let lane = asked[place].as_mut().expect("it was there or has just been made");
        let outcome = lane.ask(Some(crossing));
        (outcome.map_err(|crossing| crossing.expect("what was put in comes back")), new)
    }

    /// Lets go of lanes that nobody uses any more: those to cores that left, and those of cores that ended.
    pub(crate) fn prune(&self, lives: impl Fn(CoreNo) -> bool) {
        for (place, lane) in self.asked.borrow_mut().iter_mut().enumerate() {
            if !lives(CoreNo(place as u32)) {
                lane.take_if(|lane| lane.in_flight() == 0);
            }
        }
        self.served.borrow_mut().retain(|served| !served.lane.is_over());
    }

    /// Takes in the end of another core's lane.
    pub(crate) fn serve(&self, mut served: Served) {
        served.lane.settle();
        self.served.borrow_mut().push(served);
    }

    /// Gives up the ends of other cores' lanes, for the next owner of this core's mailbox.
    pub(crate) fn hand_on(&self) -> Vec<Served> {
        let mut served = std::mem::take(&mut *self.served.borrow_mut());
        served.retain(|served| !served.lane.is_over());
        served
    }
}

impl CoreState {
    /// Sends a request that is one extent of another core's object to that core.
    #[inline]
    pub(crate) fn cross(
        &self,
        owner: CoreNo,
        shared: &ImageShared,
        extent: Extent,
        way: Way,
        buf: Buf,
        finish: Finish,
    ) {
        let call = self.calls.begin_request(finish);
        let crossing = Crossing { image: shared.no, call, extent, way, buf };
        let (outcome, new) = self.lanes.ask(owner, crossing);
        if let Some(lane) = new {
            self.send(owner, Message::Lane(Served { from: self.no, lane }));
        }
        if let Err(Crossing { image, call, extent, way, buf }) = outcome {
            let from = CallId { core: self.no, call };
            self.post(owner, Item::Object { image, extent, op: way.op(), buf, from });
        }
    }

    /// Works the lanes of a core for as long as it lives. A lent core also does so whenever it is polled.
    pub(crate) async fn work_lanes(self: Rc<Self>) {
        let state = self.clone();
        let work = Watch::new(move || state.lanes.has_work());
        loop {
            work.seen().await;
            self.work_lanes_now();
        }
    }

    /// Ends what came back, does what others ask for, and gets those up who sleep over what there is for them. True if there
    /// was something.
    pub(crate) fn work_lanes_now(self: &Rc<Self>) -> bool {
        if !self.lanes.has_work() {
            return false;
        }
        // Held while requests end, too: what their callbacks may do goes through mailboxes.
        let mut asked = self.lanes.asked.borrow_mut();
        for lane in asked.iter_mut().flatten() {
            while let Some(place) = lane.take_back() {
                if let Some(Crossing { call, extent, buf, .. }) = place {
                    let finish = self.calls.end_request(call);
                    self.finish(finish, Ok(u64::from(extent.len)), buf);
                }
            }
        }
        let mut served = self.lanes.served.borrow_mut();
        for Served { from, lane } in served.iter_mut() {
            let mut here = None;
            lane.answer(|place| self.answer_crossing(*from, place, &mut here));
        }
        asked.iter_mut().flatten().for_each(Asker::publish);
        rouse(asked.iter_mut().flatten(), served.iter_mut().map(|served| &mut served.lane));
        true
    }

    /// Does what a crossing asks for, or takes it out of its place. `here` is the image of the crossing before.
    #[inline]
    fn answer_crossing(
        self: &Rc<Self>,
        from: CoreNo,
        place: &mut Place,
        here: &mut Option<(ImageNo, Rc<CoreImage>)>,
    ) {
        let Some(Crossing { image: no, extent, way, buf, .. }) = place else {
            unreachable!("cores put crossings into their lanes")
        };
        if here.as_ref().is_none_or(|(known, _)| known != no) {
            *here = self.core_image_of(*no).map(|image| (*no, image));
        }
        if let Some((_, image)) = here
            && image.has(image.shard_of(*extent))
            && image.try_now(&way.op(), *extent, buf)
        {
            return;
        }
        let Some(Crossing { image, call, extent, way, buf }) = place.take() else {
            unreachable!("it was there")
        };
        let from = CallId { core: from, call };
        if let Some(answer) = self.object_of_other(image, extent, way.op(), buf, from) {
            self.answer(from, answer);
        }
    }
}
