//! What every container's reader writes down: frames, epochs, and the losses a container tells of.

use super::{Frame, Options};
use crate::model::Loss;

/// Frames after which an epoch ends.
pub(super) const EPOCH_FRAMES: u32 = 32_768;
/// Captured bytes after which an epoch ends, whichever of the two comes first.
pub(super) const EPOCH_BYTES: u64 = 16 << 20;
/// A step back in time of more than this is a clock jump. Unit: nanoseconds.
const JUMP_NS: i64 = 1_000_000_000;

/// Where a capture stands within an epoch, to go on there with the next file of the same capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Epoch {
    /// Time of the latest frame, nanoseconds since 1970 UTC; `None` before the first.
    last_ns: Option<i64>,
    frames_left: u32,
    bytes_left: u64,
    /// Since the memory bound was looked at.
    unchecked: Amount,
}

/// Frames and captured bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Amount {
    frames: u32,
    bytes: u64,
}

impl Default for Epoch {
    /// Where a capture begins.
    fn default() -> Self {
        Self { last_ns: None, frames_left: EPOCH_FRAMES, bytes_left: EPOCH_BYTES, unchecked: Amount::default() }
    }
}

impl Epoch {
    /// How far it is to where it ends, or `most` since the memory bound was looked at; a frame at least.
    fn grants(&self, most: Amount) -> Left {
        let frames = self.frames_left.min(most.frames.saturating_sub(self.unchecked.frames));
        let bytes = self.bytes_left.min(most.bytes.saturating_sub(self.unchecked.bytes));
        Left { frames: frames.max(1), bytes: i64::try_from(bytes).unwrap_or(i64::MAX) }
    }
}

/// Collects the frames of a batch and keeps the counts that run through the whole capture.
///
/// Epochs are counted here, from frames alone, so that they fall on the same frames whatever the container, its
/// compression, or the size of the reads.
#[derive(Debug)]
pub(super) struct Ledger {
    /// Frames of the batch being filled.
    pub(super) frames: Vec<Frame>,
    /// Blocks that were skipped although they may hold frames.
    pub(super) skipped_blocks: u64,
    /// Frames without a time stamp.
    pub(super) untimed: u64,
    /// Packets that the capturing interfaces dropped, in sections or files already ended.
    pub(super) drops: u64,
    /// Where the capture stood when something was last due.
    settled: Epoch,
    /// Time of the latest frame.
    last_ns: Option<i64>,
    /// What may go by from there before an epoch ends or the memory bound is looked at, and what is left of it.
    granted: Left,
    left: Left,
    clock_jumps: u64,
    /// What may go by before the memory bound is looked at.
    between_checks: Amount,
    epoch_ended: bool,
}

/// Frames and captured bytes still to come before something is due. The last frame may bring more bytes than were left.
#[derive(Clone, Copy, Debug)]
struct Left {
    frames: u32,
    bytes: i64,
}

impl Ledger {
    /// A ledger that goes on at the epoch of the options.
    pub(super) fn new(options: Options) -> Self {
        let epoch = options.epoch;
        let between_checks = Amount {
            frames: options.check_frames.clamp(1, EPOCH_FRAMES),
            bytes: options.check_bytes.clamp(1, EPOCH_BYTES),
        };
        // A state file says how many are left; none would be an epoch without an end.
        let settled = Epoch { frames_left: epoch.frames_left.clamp(1, EPOCH_FRAMES), ..epoch };
        let granted = settled.grants(between_checks);
        Self {
            frames: Vec::new(),
            skipped_blocks: 0,
            untimed: 0,
            drops: 0,
            settled,
            last_ns: epoch.last_ns,
            granted,
            left: granted,
            clock_jumps: 0,
            between_checks,
            epoch_ended: false,
        }
    }

    /// Where the next file of the same capture goes on.
    pub(super) fn epoch(&self) -> Epoch {
        let frames = self.granted.frames - self.left.frames;
        let bytes = (self.granted.bytes - self.left.bytes) as u64;
        let Epoch { frames_left, bytes_left, unchecked, .. } = self.settled;
        Epoch {
            last_ns: self.last_ns,
            frames_left: frames_left - frames,
            bytes_left: bytes_left.saturating_sub(bytes),
            unchecked: Amount {
                frames: unchecked.frames.saturating_add(frames),
                bytes: unchecked.bytes.saturating_add(bytes),
            },
        }
    }

    /// Bytes of frames to come, roughly, before something is due.
    pub(super) fn bytes_left(&self) -> usize {
        let Left { frames, bytes } = self.granted;
        let mean = (bytes - self.left.bytes) / i64::from(frames - self.left.frames).max(1);
        let by_frames = if mean > 0 { mean * i64::from(self.left.frames) } else { i64::MAX };
        usize::try_from(self.left.bytes.min(by_frames)).unwrap_or(usize::MAX)
    }

    /// Whether an epoch has ended since this was last asked.
    pub(super) fn take_epoch_end(&mut self) -> bool {
        std::mem::take(&mut self.epoch_ended)
    }

    /// Adds a frame; `true` when the memory bound is to be looked at behind it, as it is when an epoch ends.
    #[inline]
    pub(super) fn push(&mut self, frame: Frame) -> bool {
        if self.last_ns.is_some_and(|last| frame.time_ns < last.saturating_sub(JUMP_NS)) {
            self.clock_jumps += 1;
        }
        self.last_ns = Some(frame.time_ns);
        self.left.frames -= 1;
        self.left.bytes -= i64::from(frame.captured_len);
        self.frames.push(frame);
        (self.left.frames == 0 || self.left.bytes <= 0) && self.settle()
    }

    /// Whether the memory bound is to be looked at here, and how far it is from here to where something is due.
    #[cold]
    fn settle(&mut self) -> bool {
        let mut epoch = self.epoch();
        let most = self.between_checks;
        let epoch_ends = epoch.frames_left == 0 || epoch.bytes_left == 0;
        let due = epoch_ends || epoch.unchecked.frames >= most.frames || epoch.unchecked.bytes >= most.bytes;
        if due {
            epoch.unchecked = Amount::default();
        }
        if epoch_ends {
            epoch = Epoch { last_ns: epoch.last_ns, ..Epoch::default() };
            self.epoch_ended = true;
        }
        self.granted = epoch.grants(most);
        self.left = self.granted;
        self.settled = epoch;
        due
    }

    /// Adds a frame that has no time stamp: it is given the time of the frame before it, so that time-outs hold.
    pub(super) fn push_untimed(&mut self, frame: Frame) -> bool {
        self.untimed += 1;
        self.push(Frame { time_ns: self.last_ns.unwrap_or(0), ..frame })
    }

    /// The losses counted so far, `drops` being those of the running section; none that is zero.
    pub(super) fn losses(&self, drops: u64, cut_short: bool) -> Vec<(Loss, u64)> {
        [
            (Loss::InterfaceDrops, self.drops.saturating_add(drops)),
            (Loss::ClockJumps, self.clock_jumps),
            (Loss::WithoutTimestamp, self.untimed),
            (Loss::CaptureCutShort, u64::from(cut_short)),
            (Loss::SkippedBlocks, self.skipped_blocks),
        ]
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .collect()
    }
}
