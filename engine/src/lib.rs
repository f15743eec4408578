//! A thread-per-core storage engine on io_uring for RBD images.

#![forbid(unsafe_code)]

pub mod cache;
pub mod config;
