//! Everything Ceph puts on a wire or a disk, as a client needs it: codecs and state machines without I/O, clock, thread
//! or randomness. Whoever drives them brings time, bytes and random numbers.
//!
//! Two rules hold in the whole crate. *Foreign bytes never panic*: a decoder returns a [`codec::DecodeError`] that says
//! what was being read and where it went wrong, and allocates no more than the input can fill. *Newer peers are
//! understood*: a versioned structure is read up to what is known of it and the rest is skipped by its length.
#![forbid(unsafe_code)]

pub mod auth;
pub mod codec;
pub mod crc;
pub mod crush;
pub mod hash;
pub mod message;
pub mod mon;
pub mod msgr2;
pub mod osd;
pub mod osdmap;
pub mod rbd;
pub mod types;
