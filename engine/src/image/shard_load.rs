//! What moves when a shard of an image goes to another core: where its objects are, and what is cached of them.

use crate::cache::Parcel;
use crate::store::SlotTable;

/// One shard of one image, between two owners.
pub(crate) struct ShardLoad {
    pub(crate) table: SlotTable,
    pub(crate) parcel: Parcel,
}
