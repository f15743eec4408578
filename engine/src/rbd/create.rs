//! Making an image.
//!
//! ```text
//!   directory ──▶ id ──▶ header ──▶ stripes ──▶ object map
//! ```
//!
//! What was made is taken back, last first, when a later step fails.

use super::call::{call, change, op};
use super::error::{RbdError, RbdErrorKind, Result};
use super::names;
use super::pool::{ImagePool, PoolFault, find_pool};
use crate::config::NewImageDefaults;
use crate::rados::{IoCtx, OpError, OpFlags, Operation, OsdOp};
use ringbd_proto::rbd::directory::DirectoryState;
use ringbd_proto::rbd::{Features, OBJECTS_MAX, ObjectState, Striping, directory, header, object_maps};
use ringbd_proto::types::{PoolId, SnapId};
use ringbd_reactor::random_u64;

const CREATE: &str = "create image";

/// What a new image is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewImage {
    /// Its size in bytes.
    pub size: u64,
    /// The size of its objects as a power of two.
    pub order: u8,
    /// What it can do, as far as that does not follow from the rest.
    pub features: Features,
    /// Bytes of a stripe unit; 0: the object.
    pub stripe_unit: u64,
    /// Objects of a stripe; 0: 1.
    pub stripe_count: u64,
    /// The pool of its data, if it is another.
    pub data_pool: Option<String>,
}

impl NewImage {
    /// An image of `size` bytes, and all else as configured.
    pub fn new(size: u64, defaults: &NewImageDefaults) -> NewImage {
        NewImage {
            size,
            order: defaults.order,
            features: Features(defaults.features),
            stripe_unit: defaults.stripe_unit_bytes,
            stripe_count: defaults.stripe_count,
            data_pool: defaults.data_pool.clone(),
        }
    }
}

/// A new image whose parts fit together.
struct Plan {
    size: u64,
    striping: Striping,
    features: Features,
    data_pool: Option<IoCtx>,
}

/// A step that was taken, as it is taken back.
enum Made {
    Entry,
    Object(Vec<u8>),
}

impl ImagePool {
    /// Makes an image, and returns its id.
    ///
    /// # Errors
    /// The name is taken, what is asked for does not fit together, or the pool cannot hold images.
    pub async fn create(&self, name: &str, new: &NewImage) -> Result<String> {
        let fail = |kind| RbdError::new(CREATE, self.path(name), kind);
        let taken = self.io.exists(&names::id_object(name)).await;
        if taken.map_err(|error| fail(RbdErrorKind::Cluster(error)))? {
            return Err(fail(RbdErrorKind::Exists));
        }
        let plan = self.plan(name, new).await?;
        let data_io = plan.data_pool.as_ref().unwrap_or(&self.io);
        match ImagePool::validate(data_io).await {
            Ok(()) => {}
            Err(PoolFault::Unfit(why)) => return Err(fail(RbdErrorKind::UnfitPool(why))),
            Err(PoolFault::Op(error)) => return Err(fail(RbdErrorKind::Cluster(error))),
        }
        let client = self.rados.cluster().global_id().0;
        let id = names::new_id(client, (random_u64() >> 32) as u32);
        let mut made = Vec::new();
        match self.make(name, &id, &plan, &mut made).await {
            Ok(()) => Ok(id),
            Err(error) => {
                self.take_back(name, &id, made).await;
                Err(fail(match error {
                    OpError::Errno(17) => RbdErrorKind::Exists,
                    error => RbdErrorKind::Cluster(error),
                }))
            }
        }
    }

    async fn plan(&self, name: &str, new: &NewImage) -> Result<Plan> {
        let fail = |kind| RbdError::new(CREATE, self.path(name), kind);
        let data_pool = match new.data_pool.as_deref().filter(|pool| **pool != *self.pool) {
            None => None,
            Some(pool) => {
                let found = find_pool(&self.rados, pool).await;
                let found = found.map_err(|error| fail(RbdErrorKind::Cluster(error)))?;
                Some(found.ok_or_else(|| fail(RbdErrorKind::NoPool(pool.to_owned())))?)
            }
        };
        let striping = Striping::new(new.order, new.stripe_unit, new.stripe_count);
        // The objects' size is judged after the features, as by librbd.
        let striped = striping.is_ok_and(Striping::is_fancy);
        let features = new.features.for_new_image(striped, data_pool.is_some());
        let features = features.map_err(|error| fail(RbdErrorKind::Features(error)))?;
        let striping = striping.map_err(|error| fail(RbdErrorKind::Striping(error)))?;
        if features.contains(Features::JOURNALING) {
            return Err(fail(RbdErrorKind::Unsupported(Features::JOURNALING)));
        }
        let objects = striping.objects(new.size);
        if features.contains(Features::OBJECT_MAP) && objects > OBJECTS_MAX {
            return Err(fail(RbdErrorKind::TooManyObjects(objects)));
        }
        Ok(Plan { size: new.size, striping, features, data_pool })
    }

    async fn make(
        &self,
        name: &str,
        id: &str,
        plan: &Plan,
        made: &mut Vec<Made>,
    ) -> std::result::Result<(), OpError> {
        let io = &self.io;
        let mut enter = Vec::new();
        // Only namespaces can be on their way out.
        if !self.namespace.is_empty() {
            enter.push(op(&directory::assert_state(DirectoryState::Ready)));
        }
        enter.push(op(&directory::add_image(name, id)));
        change(io, names::DIRECTORY, &enter).await?;
        made.push(Made::Entry);
        let id_object = names::id_object(name);
        change(io, &id_object, &[new_object(), op(&header::set_id(id))]).await?;
        made.push(Made::Object(id_object));
        let Plan { size, striping, features, data_pool } = plan;
        let data_pool: Option<PoolId> = data_pool.as_ref().map(IoCtx::pool);
        let prefix = names::data_prefix(id, data_pool.map(|_| io.pool()));
        let head = header::create(*size, striping.order(), *features, &prefix, data_pool);
        let header_object = names::header(id);
        change(io, &header_object, &[new_object(), op(&head)]).await?;
        made.push(Made::Object(header_object.clone()));
        if striping.is_fancy() {
            // By itself: the class must find the feature in the header already.
            let stripes = header::set_stripe_unit_count(striping.unit(), striping.count());
            call(io, &header_object, &stripes).await?;
        }
        if features.contains(Features::OBJECT_MAP) {
            let map = names::object_map(id, SnapId::HEAD);
            let empty = object_maps::resize(striping.objects(*size), ObjectState::Nonexistent);
            call(io, &map, &empty).await?;
        }
        Ok(())
    }

    async fn take_back(&self, name: &str, id: &str, made: Vec<Made>) {
        for step in made.into_iter().rev() {
            let gone = match step {
                Made::Object(object) => self.io.remove(&object).await,
                Made::Entry => call(&self.io, names::DIRECTORY, &directory::remove_image(name, id)).await,
            };
            if let Err(error) = gone {
                tracing::warn!(%error, image = name, "a part of an image that could not be made is left");
            }
        }
    }
}

/// The object is made by what follows, and must not be there.
fn new_object() -> Operation<'static> {
    OsdOp::Create.with(OpFlags::EXCL)
}
