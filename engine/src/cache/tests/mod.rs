//! The shard against a naive model, and its single promises.

mod limits;
mod model;
mod random;
mod scenarios;
