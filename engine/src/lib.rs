//! A thread-per-core storage engine on io_uring for RBD images.

#![forbid(unsafe_code)]

pub mod cache;
pub mod config;
mod engine;
mod error;
mod image;
mod stats;
pub mod store;

pub use engine::{CORES_MAX, Core, CoreNo, Cores, Engine, EngineOptions};
pub use error::{Error, ErrorKind, Result};
pub use image::{
    Access, Blocking, Completion, Image, ORDER_DEFAULT, ORDER_MAX, ORDER_MIN, Op, OpenOptions, Pending,
    PendingIo, Request,
};
pub use ringbd_reactor::{Buf, Region, World};
pub use stats::{CacheStats, LATENCY_SAMPLE, Latencies, OpStats, Stats, StoreLatencies};
