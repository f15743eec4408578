//! What the tests share: a recorder that knows every acknowledged write and flush, real Ceph clusters, and the programs that
//! tests run.

pub mod ceph;
pub mod programs;
pub mod recorder;
pub mod stamp;
pub mod workload;
