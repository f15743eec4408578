//! What the tests share: a recorder that knows every acknowledged write and flush, and what must have survived.

pub mod recorder;
pub mod stamp;
pub mod workload;
