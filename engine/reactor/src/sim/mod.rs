//! The simulated world.

#![forbid(unsafe_code)]

mod clock;
mod disk;
#[cfg(test)]
mod disk_model;
mod extents;
mod fate;
mod faults;
mod image;
mod inode;
mod names;
mod net;
mod pipe;
mod trace;

pub use fate::CutStyle;
pub use faults::{DiskConfig, DiskOp};
pub use net::NetConfig;
pub use trace::{TraceEntry, TraceKind};
