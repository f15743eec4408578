//! A thread-per-core storage engine on io_uring for RBD images.
//!
//! An [`Engine`] works on an open [`Store`](store::Store), the embedded store of this machine, with cores of its own or on
//! threads that callers lend it. It opens [`Image`]s, each with the cache that its [`Settings`](config::Settings) ask for.
//!
//! # Reading and writing
//!
//! Every operation is a [`Request`], and there are four ways to wait for its end: a future that any executor can await, a
//! blocking call, a callback, and a [`CompletionQueue`] for a thread that has many requests under way. All of them may be
//! used from any thread.
//!
//! ```
//! use ringbd::config::{ImageSpec, QemuCache, Settings, Sources};
//! use ringbd::store::{CreateImage, CreateStore, ImageName, Store};
//! use ringbd::{Buf, Engine, EngineOptions, OpenOptions, Request, World};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let temporary = tempfile::tempdir()?;
//! # let dir = temporary.path().join("store");
//! // A store, and an image of 64 MiB in it.
//! let store = Store::create(&World::real(), &dir, &CreateStore::default())?;
//! let name = ImageName { pool: "data", namespace: "", image: "foo" };
//! store.create_image(name, &CreateImage::new(64 << 20), &mut |_, _| {})?;
//!
//! // An engine with one core, and the image with QEMU's cache=writeback.
//! let engine = Engine::start(store, EngineOptions::default())?;
//! let spec: ImageSpec = "data/foo".parse()?;
//! let settings = Settings::load(&spec, &Sources::default().with_cache(QemuCache::Writeback))?;
//! let image = engine.open(&spec, &OpenOptions::new(&settings))?;
//!
//! // Blocking.
//! let (written, _) = image.blocking().write_at(Buf::from_slice(b"hello"), 1000);
//! assert_eq!(written?, 5);
//! image.blocking().flush()?;
//!
//! // With a callback, which runs on a core.
//! let (sender, receiver) = std::sync::mpsc::channel();
//! image.submit(Request::read(1000, Buf::zeroed(5)), move |result, buf| {
//!     drop(sender.send((result, buf)));
//! });
//! let (read, buf) = receiver.recv()?;
//! assert_eq!((read?, &*buf), (5, b"hello".as_slice()));
//!
//! // As a future.
//! async fn zero(image: &ringbd::Image) -> ringbd::Result<()> {
//!     image.write_zeroes(0, 4096).await?;
//!     image.flush().await?;
//!     image.close().await
//! }
//! # drop(zero(&image));
//! # Ok(())
//! # }
//! ```
//!
//! # Lending a thread
//!
//! A thread that polls anyway (a fio job, an SPDK-like host) can be a core itself; nothing is handed over then.
//!
//! ```
//! # use ringbd::config::{ImageSpec, Settings, Sources};
//! # use ringbd::store::{CreateImage, CreateStore, ImageName, Store};
//! # use ringbd::{Buf, Cores, Engine, EngineOptions, OpenOptions, Request, World};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let temporary = tempfile::tempdir()?;
//! # let store = Store::create(&World::real(), &temporary.path().join("store"), &CreateStore::default())?;
//! # let name = ImageName { pool: "data", namespace: "", image: "foo" };
//! # store.create_image(name, &CreateImage::new(64 << 20), &mut |_, _| {})?;
//! # let spec: ImageSpec = "data/foo".parse()?;
//! # let settings = Settings::load(&spec, &Sources::default())?;
//! let engine = Engine::start(store, EngineOptions { cores: Cores::Lent(1), ..EngineOptions::default() })?;
//! let image = engine.open(&spec, &OpenOptions::new(&settings))?;
//! let mut core = engine.lend()?;
//! for token in 0..8 {
//!     core.submit(&image, Request::write(token * 4096, Buf::zeroed(4096)), token);
//! }
//! let mut left = 8;
//! while left > 0 {
//!     match core.next_completion() {
//!         Some(done) => {
//!             assert_eq!(done.result?, 4096);
//!             left -= 1;
//!         }
//!         None => core.wait(None),
//!     }
//! }
//! core.block_on(image.close())?;
//! # Ok(())
//! # }
//! ```
//!
//! # What is promised
//!
//! * A flush covers every write that was acknowledged before it was issued, on every core, whichever thread issued it.
//! * A write that was acknowledged early and fails later is reported at the next flush, and stays in the cache until then.
//! * [`Image::close`] writes everything back and says whether that worked. Dropping the last handle instead forgets what
//!   was not flushed; what was flushed is safe.
//! * Overlapping requests in flight have no order; a request that begins after another ended does.
//!
//! Errors say what was being done, to what, why it failed and what to do ([`Error`]), with the errno that librbd's callers
//! know.

#![forbid(unsafe_code)]

pub mod cache;
pub mod config;
mod engine;
mod error;
mod image;
pub mod rados;
pub mod rbd;
mod stats;
pub mod store;

pub use engine::{CORES_MAX, Core, CoreNo, Cores, Engine, EngineOptions};
pub use error::{Error, ErrorKind, Result};
pub use image::{
    Access, Blocking, Completion, CompletionQueue, Image, ORDER_DEFAULT, ORDER_MAX, ORDER_MIN, Op,
    OpenOptions, Pending, PendingIo, Request,
};
pub use ringbd_reactor::{Buf, Region, SharedBuf, World, block_on};

/// The cores that clients of a cluster run on: threads of their own, or the caller's, each with an executor and a ring.
pub mod runtime {
    pub use ringbd_reactor::{
        CoreConfig, CoreThread, Elapsed, Instant, JoinHandle, LentCore, SetupError, WaitQueue, now,
        random_u64, sleep, spawn, spawn_detached, timeout, unix_time, yield_now,
    };
}
pub use stats::{CacheStats, LATENCY_SAMPLE, Latencies, OpStats, Stats, StoreLatencies};
