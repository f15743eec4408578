//! The state of a cluster and of our client of it, as `ringbd status` and `ringbd rados bench` show it.

mod connections;
mod osds;
mod overview;

pub(crate) use osds::OsdRow;
pub(crate) use overview::ClusterAnswer;
