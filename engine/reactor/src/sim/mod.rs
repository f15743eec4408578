//! The simulated world: what the real one does, in virtual time and from one seed.

mod seam;

pub(crate) use seam::{
    SimCoreThread, SimFile, SimListener, SimReceive, SimRecvBuf, SimStream, SimSyncFile, SimWorld,
};
