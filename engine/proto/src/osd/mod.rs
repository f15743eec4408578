//! What clients and OSDs say to each other about objects.
//!
//! [`OpRequest`] and [`OsdOp`] are what is asked, [`MOsdOpReply`] and the types in `results.rs` are what is answered. All
//! messages are read and written, because the model OSDs of the tests speak the other side.

mod backoff;
mod flags;
mod hobject;
mod locator;
mod op;
mod opcode;
mod reply;
mod request;
mod results;
mod snap_context;
mod watch_notify;

pub use backoff::{BackoffStep, MOsdBackoff};
pub use flags::{OpFlags, OsdFlags};
pub use hobject::{HashedObject, Hobject, HobjectRange};
pub use locator::{ObjectLocator, Placement};
pub use op::{
    AllocHints, Bytes, ChecksumSeed, Comparison, Extent, OmapAssertion, OpData, OpEntry, OsdOp, WatchAction,
    XattrOperand,
};
pub use opcode::{OpClass, Opcode};
pub use reply::{
    MOsdOpReply, OSD_OP_REPLY, OpOutcome, OpReturn, OsdOpAnswer, Redirect, cmpext_mismatch, cmpext_rval,
};
pub use request::{Access, MOsdOp, OPS_MAX, OSD_OP, OSD_OP_PRIORITY, OpRequest, OsdOpFront, Sending};
pub use results::{
    Checksums, CloneInfo, Entries, ListedObject, ListedObjects, OmapKeys, OmapVals, SnapSet, SparseData,
    Stat, WatchItem, Watchers, decode_notify_id, decode_omap_entries, encode_entries,
};
pub use snap_context::{SnapContext, SnapContextError};
pub use watch_notify::{MWatchNotify, NotifyResponses, WatchEvent, Watcher};
