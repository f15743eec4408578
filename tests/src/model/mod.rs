//! The model cluster: monitors and OSDs that speak the protocol's other side, simple enough to be obviously right.
//!
//! They run in any [`World`](ringbd::World): in a simulation, where whoever made the cluster lets it fail as it likes, and in
//! the real one, where [`serve`] makes a cluster whose OSDs have no disks to measure a client by.
//!
//! | module | what |
//! |---|---|
//! | `state` | what all daemons know: maps, keys, the truth about objects, and what was found wrong |
//! | `maps` | the OSDs' map, epoch by epoch |
//! | `truth` | the objects, and which operations were applied to them |
//! | `link` | one accepted connection |
//! | `monitor`, `osd` | the daemons; `watches` is an OSD's part in watch and notify, `peering` when it is not ready |
//! | `serve` | a cluster in the real world |
//! | `cluster` | a simulation of all of it |
//!
//! The rule: there is one truth, as if replication were perfect and instant. What the model shows a client is everything
//! else: old maps, lost connections, silence, backoffs, and operations that come twice.

pub mod cluster;
mod link;
pub mod maps;
pub mod monitor;
pub mod osd;
mod peering;
mod serve;
pub mod state;
pub mod truth;
mod watches;

pub use serve::{ServeOptions, Served, serve};
