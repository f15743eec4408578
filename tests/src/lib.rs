//! What the tests share: a recorder that knows every acknowledged write and flush, real Ceph clusters, a model of one, and the
//! programs that tests run.

pub mod ceph;
pub mod model;
pub mod programs;
pub mod recorder;
pub mod stamp;
pub mod workload;
