//! The embedded store: pools and images on one data file or block device of this machine.
pub mod error;
pub mod layout;
pub mod record;
pub mod space;
pub mod superblock;
