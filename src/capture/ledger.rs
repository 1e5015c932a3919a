//! What every container's reader writes down: frames, epochs, and the losses a container tells of.

use super::{Frame, Options};
use crate::model::Loss;

/// Frames after which an epoch ends.
pub(super) const EPOCH_FRAMES: u32 = 32_768;
/// Captured bytes after which an epoch ends, whichever of the two comes first.
pub(super) const EPOCH_BYTES: u64 = 16 << 20;
/// A step back in time of more than this is a clock jump. Unit: nanoseconds.
const JUMP_NS: i64 = 1_000_000_000;

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
    /// Time of the latest frame; `None` before the first.
    last_ns: Option<i64>,
    clock_jumps: u64,
    epoch: Countdown,
    check: Countdown,
    between_checks: Countdown,
    epoch_ended: bool,
}

/// Counts frames and captured bytes down to a point that comes again and again.
#[derive(Clone, Copy, Debug)]
struct Countdown {
    frames_left: u32,
    bytes_left: u64,
}

impl Countdown {
    const EPOCH: Self = Self { frames_left: EPOCH_FRAMES, bytes_left: EPOCH_BYTES };

    /// The longest way to go between two looks at the memory bound.
    fn check(options: Options) -> Self {
        Self {
            frames_left: options.check_frames.clamp(1, EPOCH_FRAMES),
            bytes_left: options.check_bytes.clamp(1, EPOCH_BYTES),
        }
    }

    #[inline]
    fn ends_with(&mut self, captured_len: u32) -> bool {
        self.frames_left = self.frames_left.saturating_sub(1);
        self.bytes_left = self.bytes_left.saturating_sub(u64::from(captured_len));
        self.frames_left == 0 || self.bytes_left == 0
    }
}

impl Ledger {
    pub(super) fn new(options: Options) -> Self {
        Self {
            frames: Vec::new(),
            skipped_blocks: 0,
            untimed: 0,
            drops: 0,
            last_ns: None,
            clock_jumps: 0,
            epoch: Countdown::EPOCH,
            check: Countdown::check(options),
            between_checks: Countdown::check(options),
            epoch_ended: false,
        }
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
        self.frames.push(frame);
        let epoch_ends = self.epoch.ends_with(frame.captured_len);
        let due = self.check.ends_with(frame.captured_len) || epoch_ends;
        if due {
            self.check = self.between_checks;
        }
        if epoch_ends {
            self.epoch = Countdown::EPOCH;
            self.epoch_ended = true;
        }
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
