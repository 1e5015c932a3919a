//! How `--max-memory` is divided, so that the whole process stays below it.
//!
//! Part of it is taken whatever comes: the program, two batches on their way, a decompressor. What is left is for flows.
//! Each part has its own bound, because hostile input fills all of them at once; the shares leave room for what arrives
//! between two looks at the bound, and for the holes that an allocator leaves.

use crate::capture;

/// The bounds of one capture that is being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// How the capture is read.
    pub(super) reading: capture::Options,
    /// Open flows, and closed ones that another one may still explain. Unit: bytes.
    pub(super) flows: usize,
    /// The part of `flows` that closed ones may take. Unit: bytes.
    pub(super) pending: usize,
    /// Closed flows whose records are still to be written. Unit: bytes.
    pub(super) records: usize,
    /// Fragments of datagrams. Unit: bytes.
    pub(super) fragments: usize,
    /// What flows announced about others, of each of two kinds. Unit: bytes.
    pub(super) announcements: usize,
    /// Public values of servers that are watched: once in the shards together, which hand theirs over at each look at the
    /// bound, and once in the sums. Unit: bytes.
    pub(super) watch: u64,
    /// What handshakes repeat, over all threads. Unit: bytes.
    pub(super) memos: usize,
    /// Kinds of handshakes that are added up together, over all threads. Unit: bytes.
    pub(super) alike: usize,
    /// Stored bytes of captures that are read side by side. Unit: bytes.
    pub(super) side_by_side: u64,
}

/// The program, its registries and policies, and the stacks of its threads. Unit: bytes.
const PROGRAM: u64 = 16 << 20;

/// Buffers between a decompressor and the reader. Unit: bytes.
const AHEAD: u64 = 2 << 20;

impl Budget {
    /// The parts of `max_memory`.
    pub(super) fn of(max_memory: u64) -> Self {
        let reading = capture::Options {
            // Two of them, with what is decoded of them, stay in the caches of two cores.
            batch_bytes: (max_memory >> 6).clamp(1 << 20, 2 << 20) as usize,
            frame_bytes: (max_memory >> 4).clamp(1 << 20, capture::MAX_FRAME.into()) as u32,
            check_bytes: max_memory >> 6,
            check_frames: (max_memory >> 15).min(u32::MAX.into()) as u32,
            // What `xz` takes at its usual level, and `zstd` at its highest usual one.
            decoder_bytes: (max_memory >> 3).max(10 << 20),
            ..capture::Options::default()
        };
        let reader =
            reading.decoder_bytes + AHEAD + 2 * u64::from(reading.frame_bytes) + 3 * reading.batch_bytes as u64;
        let memos = (max_memory >> 5).min(64 << 20);
        let alike = (max_memory >> 6).min(32 << 20);
        let left = max_memory.saturating_sub(PROGRAM + reader + memos + alike).max(8 << 20) as usize;
        Self {
            reading,
            flows: left / 16 * 9,
            pending: left / 8,
            records: left / 8,
            fragments: left / 16,
            announcements: left / 32,
            watch: (left / 32) as u64,
            memos: memos as usize,
            alike: alike as usize,
            side_by_side: max_memory >> 7,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_stay_below_the_whole() {
        for mebibytes in [64, 65, 100, 256, 512, 1024, 4096, 1 << 20] {
            let whole = mebibytes << 20;
            let budget = Budget::of(whole);
            let held = budget.flows + budget.records + budget.fragments + 2 * budget.announcements;
            let reading = 2 * u64::from(budget.reading.frame_bytes) + budget.reading.decoder_bytes;
            let sum = PROGRAM + reading + (held + budget.memos + budget.alike) as u64 + 2 * budget.watch;
            assert!(sum < whole, "{mebibytes} MiB: {sum}");
            assert!(budget.flows >= 8 << 20, "{mebibytes} MiB leave {} for flows", budget.flows);
        }
        let usual = Budget::of(1 << 30);
        assert_eq!(usual.reading, capture::Options::default());
    }
}
