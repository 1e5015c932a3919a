//! Captures as batches of frames, whatever the container.
//!
//! A [`Source`] reads one capture in order, in large reads, and hands out [`Batch`]es: the raw bytes and one small
//! [`Frame`] reference a record. Nothing after this stage knows which container the frames came from.
//!
//! Read are pcap, pcapng and snoop, each plain or compressed by gzip, zstd, lz4, xz or bzip2, all recognised by their
//! first bytes. A file that is broken or stops early ends there, with a loss and a warning; what came before stays.

mod ahead;
mod bgzf;
mod decompress;
mod input;
#[cfg(feature = "live")]
mod interface;
mod ledger;
mod members;
mod parallel;
mod pcap;
mod pcapng;
mod plain;
mod reader;
mod resolution;
mod snoop;
mod survey;
#[cfg(test)]
mod tests;
mod xz;

use std::io::Read;
use std::sync::LazyLock;

pub use input::{Expanded, Input, expand, open};
#[cfg(feature = "live")]
pub use interface::{Listening, interfaces, listen};
pub use ledger::Epoch;
use reader::{Capture, Step};
pub use survey::{Survey, survey};

use crate::error::Result;
use crate::model::Loss;

/// Longest frame that is believed. The largest snap length that libpcap writes is 256 KiB; what is longer than this is
/// a broken length, and no length field may decide how much memory is taken. Unit: bytes.
pub const MAX_FRAME: u32 = 16 << 20;

/// How a capture is read. Nothing here changes where epochs end, and `frame_bytes` alone decides about frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes after which a batch is handed out. Unit: bytes.
    pub batch_bytes: usize,
    /// Longest frame that is believed, [`MAX_FRAME`] at most: two of them may be held at a time. Unit: bytes.
    pub frame_bytes: u32,
    /// Captured bytes after which the memory bound is looked at, as many as an epoch has at most. Unit: bytes.
    pub check_bytes: u64,
    /// Frames after which the memory bound is looked at, as many as an epoch has at most.
    pub check_frames: u32,
    /// Most memory that a decompressor may ask for: a file that needs more ends there. Unit: bytes.
    pub decoder_bytes: u64,
    /// Threads that decompress one file, where its parts do not depend on each other; they keep to `decoder_bytes`
    /// together.
    pub decoders: usize,
    /// Where the file goes on, when it is not the first of its capture.
    pub epoch: Epoch,
    /// The input may have nothing to give for a while (a pipe): a batch is handed out after a moment however little is in
    /// it, also an empty one.
    pub live: bool,
}

/// Cores that this process may use. To find out opens several files, which is much beside the work of a small capture.
static CORES: LazyLock<usize> = LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));

impl Default for Options {
    fn default() -> Self {
        Self {
            batch_bytes: 2 << 20,
            frame_bytes: MAX_FRAME,
            check_bytes: ledger::EPOCH_BYTES,
            check_frames: ledger::EPOCH_FRAMES,
            decoder_bytes: 128 << 20,
            decoders: *CORES,
            epoch: Epoch::default(),
            live: false,
        }
    }
}

/// A capture from any reader, called `name` in messages.
///
/// # Errors
/// When it cannot be read, or is no capture.
pub fn from_reader(name: &str, reader: Box<dyn Read + Send>, options: Options) -> Result<Box<dyn Source>> {
    Ok(Box::new(Capture::open(name, reader, None, options)?))
}

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
    /// Raw bytes of the container; frames point into them. What no frame points to means nothing: the room is used
    /// again from batch to batch without being cleared.
    pub data: Vec<u8>,
    /// The frames, in order.
    pub frames: Vec<Frame>,
    /// Number of the first frame within the capture, from 0.
    pub first_frame: u64,
    /// The memory bound is looked at after this batch: at the end of every epoch, and within one as often as
    /// [`Options::check_frames`] and [`Options::check_bytes`] ask for. It falls on the same frame whatever the
    /// container and the batch size.
    pub check_due: bool,
    /// An epoch ends with this batch: the point at which time-outs are looked at.
    ///
    /// It falls on the same frame whatever the container and the batch size: after 32,768 frames or 16 MiB of captured
    /// bytes, whichever comes first.
    pub epoch_ends: bool,
}

/// What is known of a capture as a whole once it has been read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// Name as the user gave it, or `-`.
    pub name: String,
    /// `pcap`, `pcapng`, `snoop`; with `+gzip`, `+zstd`, `+lz4`, `+xz`, `+bzip2` behind it when compressed.
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
    /// Fills `batch` with the next frames; `false` when there are none left (then `batch` is empty). With
    /// [`Options::live`] an empty batch says that none has come yet.
    ///
    /// # Errors
    /// When reading fails, or when the file is no capture. A file cut short is no error: it ends there.
    fn next_batch(&mut self, batch: &mut Batch) -> Result<bool>;

    /// Where the next file of the same capture goes on; complete after `next_batch` returned `false`.
    fn epoch(&self) -> Epoch {
        Epoch::default()
    }

    /// Bytes of the input consumed so far, as stored (compressed bytes for a compressed file); for progress.
    fn position(&self) -> u64;

    /// What is known of the capture so far; complete after `next_batch` returned `false`.
    fn description(&self) -> Description;
}
