//! What the tests share: a recorder that knows every acknowledged write and flush, and real Ceph clusters.

pub mod ceph;
pub mod recorder;
pub mod stamp;
pub mod workload;
