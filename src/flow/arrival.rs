//! What comes into a shard.

use crate::net::Packet;

/// A packet on its way to its flow.
#[derive(Clone, Copy)]
pub struct Arrival<'a> {
    /// The packet, decoded.
    pub packet: &'a Packet,
    /// [`crate::model::FlowKey::hash_with`] of its key, with the seed of the shard.
    pub hash: u32,
    /// Number of the frame within the capture.
    pub frame: u64,
    /// Frames that it stands for: more than one for a datagram that came in fragments.
    pub frames: u32,
    /// Time of the frame, nanoseconds since 1970 UTC.
    pub time_ns: i64,
    /// Original lengths of its frames. Unit: bytes.
    pub wire_len: u64,
    /// Captured transport payload.
    pub payload: &'a [u8],
}
