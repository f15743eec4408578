//! An OSD map in the lines of Ceph's `osdmaptool`, so that what both say can be compared with `diff`.

mod numbers;
mod pgs;
mod print;

pub(crate) use pgs::{Dump, object_line, pg_lines};
pub(crate) use print::map_lines;
