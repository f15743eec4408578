//! What the tests share: a recorder that knows every acknowledged write and flush, and what must have survived; and the
//! programs that tests run.

pub mod programs;
pub mod recorder;
pub mod stamp;
pub mod workload;
