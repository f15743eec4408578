//! A thread-per-core storage engine on io_uring for RBD images.
pub mod store;
