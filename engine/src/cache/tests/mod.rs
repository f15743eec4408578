//! The shard against a naive model.
