//! The reactor: the only code of ringbd that meets the kernel, and its simulated twin.
//!
//! A *core* is one thread's executor and its ring ([`World::start_core`], [`World::lend_core`]). A *world* is
//! real or simulated; every handle works in the world that made it, and the code above cannot tell which.
//!
//! The rule the whole crate keeps: an operation owns its buffers from the moment its SQE is written until its
//! last CQE is reaped, also when the future that asked for it is dropped. What never completes is leaked, not
//! freed.

mod blocking;
mod buf;
mod clock;
mod core;
mod cpu;
mod fs;
mod lent;
mod local;
mod mailbox;
mod net;
mod park;
mod ring;
mod sim;
mod task;
mod thread;
mod timer;
mod world;

pub use blocking::blocking;
pub use buf::{Buf, SharedBuf};
pub use clock::{Instant, fill_random, now, random_u64, unix_time};
pub use core::{CompletionHandler, CoreConfig};
pub use cpu::{allowed_cpus, current_cpu, thread_cpu_time};
pub use fs::{DirectIo, Durability, File, OpenOptions, SyncFile};
pub use lent::{LentCore, Region};
pub use local::WaitQueue;
pub use mailbox::{Receiver, Sender, mailbox};
pub use net::{Gather, Receive, RecvBuf, TcpListener, TcpStream};
pub use park::{block_on, block_on_for};
pub use ring::{Capabilities, SetupError, SetupErrorKind, probe};
pub use sim::{CutStyle, DiskConfig, DiskOp, NetConfig, PowerCut, Sim, SimConfig, TraceEntry, TraceKind};
pub use task::{JoinHandle, spawn, spawn_detached, yield_now};
pub use thread::{CorePanicked, CoreThread};
pub use timer::{Elapsed, sleep, sleep_until, timeout};
pub use world::World;
