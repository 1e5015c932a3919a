//! Captures as batches of frames, whatever the container.
//!
//! A [`Source`] reads one capture in order, in large reads, and hands out [`Batch`]es: the raw bytes and one small
//! [`Frame`] reference a record. Nothing after this stage knows which container the frames came from.

use crate::error::Result;
use crate::model::Loss;

/// One record of the capture: where its bytes are in the batch, and what the container says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Time stamp, nanoseconds since 1970 UTC, whatever the resolution of the container; 0 when it has none.
    pub time_ns: i64,
    /// Offset of the first captured byte in [`Batch::data`].
    pub start: u32,
    /// Bytes captured. Unit: bytes.
    pub captured_len: u32,
    /// Bytes the sender put on the wire for this packet, link header included.
    ///
    /// Unit: bytes. May exceed `captured_len` when the capture had a snap length.
    /// Source: pcap `orig_len`, or pcapng Enhanced Packet Block "Original Packet Length".
    pub wire_len: u32,
    /// Link type of the interface (LINKTYPE_ value of the tcpdump registry), FCS bits masked off.
    pub link_type: u16,
}

/// A run of frames in capture order. Reused from batch to batch, so that reading allocates nothing.
#[derive(Debug, Default)]
pub struct Batch {
    /// Raw bytes of the container; frames point into them.
    pub data: Vec<u8>,
    /// The frames, in order.
    pub frames: Vec<Frame>,
    /// Number of the first frame within the capture, from 0.
    pub first_frame: u64,
    /// An epoch ends with this batch: the point at which time-outs and the memory bound are looked at.
    pub epoch_ends: bool,
}

/// What is known of a capture as a whole once it has been read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// Name as the user gave it, or `-`.
    pub name: String,
    /// `pcap`, `pcapng`; with `+gzip`, `+zstd`, `+lz4`, `+xz`, `+bzip2` behind it when compressed.
    pub format: String,
    /// Link types seen, ascending.
    pub link_types: Vec<u16>,
    /// Losses that the container itself tells of (drops, cut short, skipped blocks, clock).
    pub losses: Vec<(Loss, u64)>,
    /// Warnings for people, one line each, for example that the file is cut short, with offset.
    pub warnings: Vec<String>,
}

/// A capture being read.
pub trait Source: Send {
    /// Fills `batch` with the next frames; `false` when there are none left (then `batch` is empty).
    ///
    /// # Errors
    /// When reading fails, or when the file is no capture. A file cut short is no error: it ends there.
    fn next_batch(&mut self, batch: &mut Batch) -> Result<bool>;

    /// Bytes of the input consumed so far, as stored (compressed bytes for a compressed file); for progress.
    fn position(&self) -> u64;

    /// What is known of the capture so far; complete after `next_batch` returned `false`.
    fn description(&self) -> Description;
}
