//! All that the plugin asks of the engine: the size of an image, and a job's link to an engine and its images.
//!
//! A job opens its images first, and takes its [`Port`] right before its first I/O. If that makes its thread a core, it polls
//! from then on until [`Link::close`], which gives the core's objects to the other jobs' cores, or writes them back.

use std::path::{Path, PathBuf};
use std::sync::MutexGuard;
use std::time::Duration;

use ringbd::config::{ImageSpec, Settings};
use ringbd::store::{ImageName, OpenMode, Store, StoreError};
use ringbd::{
    Access, Buf, CORES_MAX, CompletionQueue, Cores, Engine, EngineOptions, Error, ErrorKind, Image,
    OpenOptions, Region, Request, World,
};

use crate::job::Failure;
use crate::log::say;
use crate::port::Port;
use crate::registry::{Engines, OpenImage, Registry, SharedEngine};
use crate::settings;
use crate::target::{Target, WaitMode};

/// An image of a [`Link`].
pub(crate) type ImageIndex = usize;

/// What a unit asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Read,
    Write,
    Discard,
    Flush,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure { message: error.to_string(), errno: error.errno() }
    }
}

/// Looks up how large an image is. Leaves no thread, ring or descriptor behind, so that a fork may follow.
///
/// With a group, the job is one more that will run as a thread of this process, beside the others of its group.
pub(crate) fn image_size(target: &Target, group: Option<u32>) -> Result<u64, Failure> {
    let (spec, settings) = settings::resolve(target)?;
    let dir = store_dir(&spec, &settings)?;
    let mut engines = Registry::of_process().lock();
    let size = match engines.of_store(&dir) {
        Some(shared) => size_in(shared.engine.store(), &spec),
        None => size_in(&open_store(&dir, OpenMode::ReadOnly)?, &spec),
    }?;
    if let Some(group) = group {
        engines.plan(&dir, group);
    }
    Ok(size)
}

/// What ties one job to the engine.
pub(crate) struct Link {
    wait_mode: WaitMode,
    group: u32,
    spin: Duration,
    store: Option<PathBuf>,
    /// The engine has cores of its own.
    served: bool,
    images: Vec<(Target, Image)>,
    buffers: Option<Region>,
    port: Option<Port>,
}

impl Link {
    /// A link without images, of a job in a group of jobs that run at the same time.
    pub(crate) fn new(wait_mode: WaitMode, group: u32) -> Link {
        let (spin, images) = (Duration::ZERO, Vec::new());
        Link { wait_mode, group, spin, store: None, served: false, images, buffers: None, port: None }
    }

    /// Opens an image, or finds it open in this job. An image that another job of the process has open with the same
    /// target is shared.
    pub(crate) fn open(&mut self, target: &Target) -> Result<ImageIndex, Failure> {
        if let Some(index) = self.images.iter().position(|(open, _)| open == target) {
            return Ok(index);
        }
        let (spec, settings) = settings::resolve(target)?;
        let dir = store_dir(&spec, &settings)?;
        if let Some(other) = self.store.as_ref().filter(|store| **store != dir) {
            let (other, dir) = (other.display(), dir.display());
            let message =
                format!("the job uses the stores {other} and {dir} (give each store a job of its own)");
            return Err(Failure { message, errno: libc::EINVAL });
        }
        let own_cores = target.cores.is_some().then(|| Cores::own(&settings));
        let mut engines = lock(&mut self.port);
        if engines.of_store(&dir).is_none() {
            let jobs = engines.jobs_expected(&dir, self.group);
            engines.add(start_engine(&dir, jobs, own_cores.clone(), settings.spin())?);
        }
        let shared = engines.of_store(&dir).expect("it was there or has just been added");
        if shared.own_cores != own_cores {
            let message = format!(
                "jobs on the store {} share one engine and ask for different cores (give all of them the same cores=)",
                dir.display()
            );
            return Err(Failure { message, errno: libc::EINVAL });
        }
        if self.store.is_none() {
            shared.jobs += 1;
            self.store = Some(dir);
            self.served = own_cores.is_some();
            self.spin = settings.spin();
        }
        let open = shared.images.iter_mut().find(|open| open.target == *target);
        let image = match open {
            Some(open) => {
                open.jobs += 1;
                open.image.clone()
            }
            None => {
                // An image that is not there is better told about by the look-up than by the opening.
                size_in(shared.engine.store(), &spec)?;
                let image = open_image(&shared.engine, &spec, &settings)?;
                settings::note_overruled(target, &spec, &settings);
                tracing::info!("{} is open, {}", image.name(), image.cache());
                shared.images.push(OpenImage { target: target.clone(), image: image.clone(), jobs: 1 });
                image
            }
        };
        self.images.push((target.clone(), image));
        Ok(self.images.len() - 1)
    }

    pub(crate) fn size(&self, image: ImageIndex) -> u64 {
        self.images[image].1.size()
    }

    pub(crate) fn name(&self, image: ImageIndex) -> &str {
        self.images[image].1.name()
    }

    pub(crate) fn is_read_only(&self, image: ImageIndex) -> bool {
        self.images[image].1.access() == Access::ReadOnly
    }

    /// Memory for the kernel to know when the thread becomes a core.
    pub(crate) fn set_buffers(&mut self, region: Region) {
        self.buffers = Some(region);
    }

    /// Joins this thread to its images' engine: as a core, or to the engine's own.
    pub(crate) fn join(&mut self) -> Result<(), Failure> {
        let Some((_, image)) = self.images.first().filter(|_| self.port.is_none()) else { return Ok(()) };
        self.port = Some(if self.served {
            Port::Queue(CompletionQueue::new())
        } else {
            Port::lend(image.engine(), self.buffers)?
        });
        Ok(())
    }

    /// Begins a request; `token` comes back with its completion.
    ///
    /// # Safety
    /// The `len` bytes from `start` on are the engine's until the completion is taken: there, and changed by nobody.
    /// Only reads and writes use them.
    #[inline]
    pub(crate) unsafe fn submit(
        &mut self,
        image: ImageIndex,
        op: Op,
        offset: u64,
        start: *mut u8,
        len: u64,
        token: u64,
    ) {
        // SAFETY: by the contract above, until the completion drops the buffer.
        let buf = || unsafe { Buf::lent(start, len as usize) };
        let request = match op {
            Op::Read => Request::read(offset, buf()),
            Op::Write => Request::write(offset, buf()),
            Op::Discard => Request::discard(offset, len),
            Op::Flush => Request::flush(),
        };
        let port = self.port.as_mut().expect("a file is open only if the thread joined");
        port.submit(&self.images[image].1, request, token);
    }

    /// Does what can be done without waiting.
    #[inline]
    pub(crate) fn poll(&mut self) {
        if let Some(port) = &mut self.port {
            port.poll();
        }
    }

    /// Waits until something happened, in the way of the job's `wait_mode`, or until `limit` is over.
    pub(crate) fn wait(&mut self, limit: Option<Duration>) {
        if let Some(port) = &mut self.port {
            port.wait(self.wait_mode, self.spin, limit);
        }
    }

    /// The next request that ended: its token, and how many bytes it did.
    #[inline]
    pub(crate) fn next_completion(&mut self) -> Option<(u64, Result<u64, Error>)> {
        let done = self.port.as_mut()?.next_completion()?;
        Some((done.token, done.result))
    }

    /// Writes back and makes durable what was acknowledged.
    pub(crate) fn flush(&mut self, image: ImageIndex) -> Result<(), Failure> {
        let image = self.images[image].1.clone();
        self.port.as_mut().map_or(Ok(()), |port| Ok(port.block_on(image.flush())?))
    }

    /// Writes back and drops what is cached. While other jobs write, their newest data stays, which is no failure.
    pub(crate) fn invalidate(&mut self, image: ImageIndex) -> Result<(), Failure> {
        let image = self.images[image].1.clone();
        let Some(port) = &mut self.port else { return Ok(()) };
        match port.block_on(image.invalidate_cache()) {
            Err(error) if error.kind() == ErrorKind::Busy => {
                tracing::debug!("{error}");
                Ok(())
            }
            outcome => Ok(outcome?),
        }
    }

    /// Ends the job's part: images that no other job has open are written back and closed, then the thread leaves the
    /// engine, and with the last job the engine ends. Again is nothing.
    pub(crate) fn close(&mut self) -> Result<(), Failure> {
        let Some(store) = self.store.take() else { return Ok(()) };
        let mut engines = lock(&mut self.port);
        let shared = engines.of_store(&store).expect("an engine stays while it has jobs");
        if self.port.is_none() && shared.engine.cores() > 0 {
            // What other jobs left of an image lies with the cores there are, and closing needs one to ask them.
            if let Err(failure) = self.join() {
                say(failure.message);
            }
        }
        let mut outcome = Ok(());
        for (target, image) in self.images.drain(..) {
            let place = shared.images.iter().position(|open| open.target == target);
            let place = place.expect("an image stays while it has jobs");
            shared.images[place].jobs -= 1;
            if shared.images[place].jobs == 0 {
                shared.images.remove(place);
                if let Some(port) = &mut self.port {
                    outcome = outcome.and(port.block_on(image.close()));
                }
            }
        }
        self.port = None;
        shared.jobs -= 1;
        if shared.jobs == 0 {
            engines.remove(&store);
        }
        Ok(outcome?)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Err(failure) = self.close() {
            say(failure.message);
        }
    }
}

/// Takes the registry's lock. A thread that is a core works on while it waits, because the holder may need it.
fn lock(port: &mut Option<Port>) -> MutexGuard<'static, Engines> {
    let registry = Registry::of_process();
    let Some(core @ Port::Core(_)) = port else { return registry.lock() };
    loop {
        if let Some(engines) = registry.try_lock() {
            return engines;
        }
        if !core.poll() {
            std::thread::yield_now();
        }
    }
}

fn store_dir(spec: &ImageSpec, settings: &Settings) -> Result<PathBuf, Failure> {
    settings.store().map(Path::to_owned).ok_or_else(|| Failure {
        message: format!(
            "image {}: no store is named (give store=DIR, or set RINGBD_STORE in the environment)",
            spec.short()
        ),
        errno: libc::EINVAL,
    })
}

fn open_store(dir: &Path, mode: OpenMode) -> Result<Store, Failure> {
    Store::open(&World::real(), dir, mode).map_err(|error| store_failure(&error))
}

fn start_engine(
    dir: &Path,
    jobs: usize,
    own_cores: Option<Cores>,
    spin: Duration,
) -> Result<SharedEngine, Failure> {
    let store = open_store(dir, OpenMode::ReadWrite)?;
    let (cores, spin) = match &own_cores {
        Some(cores) => (cores.clone(), spin),
        // The spinning is done here, job by job, as each job's wait_mode says.
        None => (Cores::Lent(jobs.clamp(1, CORES_MAX)), Duration::ZERO),
    };
    let engine = Engine::start(store, EngineOptions { cores, spin, ..EngineOptions::default() })?;
    Ok(SharedEngine { store: dir.to_owned(), engine, own_cores, jobs: 0, images: Vec::new() })
}

fn size_in(store: &Store, spec: &ImageSpec) -> Result<u64, Failure> {
    let namespace = spec.namespace.as_deref().unwrap_or_default();
    let name = ImageName { pool: &spec.pool, namespace, image: &spec.image };
    match store.image(name) {
        Ok(record) => Ok(record.size),
        Err(error @ StoreError::NotFound { .. }) => {
            let plain = ImageSpec { snap: None, ..spec.clone() }.short();
            let message = format!("{error}; `ringbd create {plain} --size 10G` makes it");
            Err(Failure { message, errno: error.errno() })
        }
        Err(error) => Err(store_failure(&error)),
    }
}

/// Opens an image as a job uses it: fio leaves a buffer alone while a write of it is under way.
fn open_image(engine: &Engine, spec: &ImageSpec, settings: &Settings) -> Result<Image, Failure> {
    Ok(engine.open(spec, &OpenOptions::new(settings).with_stable_buffers())?)
}

fn store_failure(error: &StoreError) -> Failure {
    Failure { message: error.to_string(), errno: error.errno() }
}
