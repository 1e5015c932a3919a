//! Flows: packets of one conversation, in order, from the first to the one that closes it.
//!
//! Flows live in [`Shard`]s, chosen by a fixed symmetric hash of the key; a shard sees its packets in capture order, so
//! what it answers does not depend on how many threads there are. Time-outs and the memory bound are looked at at the
//! ends of epochs only, which are a property of the capture.

mod announcement;
mod arrival;
mod order;
mod parts;
mod pieces;
mod probe;
mod reading;
mod record;
mod roster;
mod shard;
mod stacks;
mod state;
mod summary;
mod table;

pub use announcement::Announcement;
pub use arrival::Arrival;
#[doc(hidden)]
pub use order::reassemble;
pub use record::Limits;
pub use shard::Shard;
pub(crate) use state::Carried;
pub use table::RUN;

/// Most shards of a capture. Where there are less, each has the flows of several in a row, and no result changes.
pub const SHARDS: usize = 64;

/// The shard, of [`SHARDS`], that packets with this [`crate::model::FlowKey::shard_hash`] belong to.
#[must_use]
pub fn shard_of(hash: u64) -> usize {
    (hash >> 58) as usize
}
