//! TCP sequence space: which bytes are new, which repeat, and in which order they are read.
//!
//! Source: RFC 9293 section 3.4 (sequence numbers are compared modulo 2^32). Overlap policy: the bytes that were
//! captured first stay.

use std::collections::VecDeque;

/// Parts of the sequence space that later segments have left open, oldest first.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Holes {
    /// `(start, end)` in sequence numbers.
    #[serde(with = "crate::model::kept::room")]
    open: Vec<(u32, u32)>,
    /// Holes that were given up, because there were too many at once.
    pub(super) abandoned: u32,
}

/// Holes kept open for each side of a flow; more are given up, oldest first.
const MAX_HOLES: usize = 16;

/// What one segment adds to the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Advance {
    /// Bytes never seen before. Unit: bytes.
    pub(super) fresh: u32,
    /// Bytes seen before. Unit: bytes.
    pub(super) repeated: u32,
    /// Next expected sequence number.
    pub(super) next: u32,
    /// The segment begins beyond what was expected.
    pub(super) opens_hole: bool,
}

impl Holes {
    /// Holes that nothing has filled.
    pub(super) fn unfilled(&self) -> u32 {
        self.open.len() as u32 + self.abandoned
    }

    /// Heap bytes held.
    pub(super) fn memory(&self) -> usize {
        self.open.capacity() * size_of::<(u32, u32)>()
    }

    /// Remembers that `start..end` was skipped.
    pub(super) fn open(&mut self, start: u32, end: u32) {
        if self.open.len() == MAX_HOLES {
            self.open.remove(0);
            self.abandoned += 1;
        }
        self.open.push((start, end));
    }

    /// Fills what `start..end` covers of the holes; gives the number of bytes filled.
    pub(super) fn fill(&mut self, start: u32, end: u32) -> u32 {
        let mut filled = 0;
        let mut index = 0;
        while let Some(&(open, close)) = self.open.get(index) {
            let from = if ahead(start, open) { start } else { open };
            let to = if ahead(close, end) { end } else { close };
            if !ahead(to, from) {
                index += 1;
                continue;
            }
            filled += to.wrapping_sub(from);
            self.open.remove(index);
            if ahead(from, open) {
                self.open.insert(index, (open, from));
                index += 1;
            }
            if ahead(close, to) && self.open.len() < MAX_HOLES {
                self.open.insert(index, (to, close));
                index += 1;
            }
        }
        filled
    }
}

/// Whether sequence number `a` is after `b`.
pub(super) fn ahead(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) > 0
}

/// Accounts a segment of `len` bytes at `seq` where `next` is expected. `holes` is asked only for old data.
pub(super) fn advance(next: u32, seq: u32, len: u32, holes: Option<&mut Holes>) -> Advance {
    let end = seq.wrapping_add(len);
    let distance = seq.wrapping_sub(next) as i32;
    if distance >= 0 {
        return Advance { fresh: len, repeated: 0, next: end, opens_hole: distance > 0 };
    }
    let old_end = if ahead(end, next) { next } else { end };
    let filled = holes.map_or(0, |holes| holes.fill(seq, old_end));
    let old = old_end.wrapping_sub(seq);
    Advance {
        fresh: len - old + filled,
        repeated: old - filled,
        next: if ahead(end, next) { end } else { next },
        opens_hole: false,
    }
}

/// The bytes of segments `(sequence number, bytes)` of a stream that begins at `first`, as far as they go without a hole.
/// For fuzzing, which holds it against a model.
#[doc(hidden)]
#[must_use]
pub fn reassemble(first: u32, segments: &[(u32, &[u8])]) -> Vec<u8> {
    let (mut waiting, mut next) = (Waiting::default(), first);
    let mut read = Vec::new();
    for (seq, bytes) in segments {
        waiting.hold(0, *seq, bytes);
        while let Some(bytes) = waiting.release(0, &mut next) {
            read.extend_from_slice(&bytes);
        }
    }
    read
}

/// How far both sides of a flow were read.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Reached {
    /// Next sequence number to be read; meaningful once `started`.
    pub(super) next: [u32; 2],
    /// Whether `next` is set.
    pub(super) started: [bool; 2],
    /// The side has said that it is done (FIN), and all before that was read.
    pub(super) ended: [bool; 2],
}

/// Segments of both sides that arrived before their turn, for a flow whose bytes are still read.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Waiting {
    /// At least one segment, as long as there is such a box.
    sides: Option<Box<[Segments; 2]>>,
}

/// Segments of one side.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
struct Segments {
    /// `(sequence number, bytes)`, ascending.
    #[serde(with = "crate::model::kept::queue")]
    list: VecDeque<(u32, Box<[u8]>)>,
    held: usize,
}

/// Bytes held back for one side while a hole may still be filled.
const MAX_HELD: usize = 128 * 1024;

/// Segments held back for one side.
const MAX_WAITING: usize = 96;

impl Waiting {
    /// Heap bytes held.
    pub(super) fn memory(&self) -> usize {
        let of = |side: &Segments| size_of::<Segments>() + side.held + side.list.capacity() * 24;
        self.sides.as_deref().map_or(0, |sides| sides.iter().map(of).sum())
    }

    fn side(&self, side: usize) -> Option<&Segments> {
        self.sides.as_deref().and_then(|sides| sides.get(side))
    }

    /// Whether so much of a side waits behind a hole that the hole is taken for a loss.
    pub(super) fn is_full(&self, side: usize) -> bool {
        self.side(side).is_some_and(|side| side.held > MAX_HELD || side.list.len() >= MAX_WAITING)
    }

    /// Whether nothing of a side waits.
    pub(super) fn is_empty(&self, side: usize) -> bool {
        self.side(side).is_none_or(|side| side.list.is_empty())
    }

    /// Keeps a segment for later; one that starts where another does stays out unless it is longer.
    pub(super) fn hold(&mut self, side: usize, seq: u32, bytes: &[u8]) {
        let Segments { list, held } = &mut self.sides.get_or_insert_default()[side];
        let place = list.iter().rposition(|(other, _)| !ahead(*other, seq));
        if let Some((_, known)) = place.and_then(|index| list.get(index)).filter(|(other, _)| *other == seq)
            && known.len() >= bytes.len()
        {
            return;
        }
        *held += bytes.len();
        list.insert(place.map_or(0, |index| index + 1), (seq, bytes.into()));
    }

    /// The next waiting bytes of a side that are in turn, where `next` is to be read; it moves on behind them.
    pub(super) fn release(&mut self, side: usize, next: &mut u32) -> Option<Box<[u8]>> {
        while let Some(sides) = self.sides.as_deref_mut() {
            let Segments { list, held } = sides.get_mut(side)?;
            if list.front().is_some_and(|(seq, _)| ahead(*seq, *next)) {
                return None;
            }
            let (seq, bytes) = list.pop_front()?;
            *held -= bytes.len();
            if sides.iter().all(|side| side.list.is_empty()) {
                self.clear();
            }
            let known = next.wrapping_sub(seq) as usize;
            if let Some(fresh) = bytes.get(known..).filter(|fresh| !fresh.is_empty()) {
                *next = next.wrapping_add(fresh.len() as u32);
                return Some(if known == 0 { bytes } else { fresh.into() });
            }
        }
        None
    }

    /// Gives up the hole between `next`, which is to be read, and the first waiting segment of a side.
    pub(super) fn skip_hole(&self, side: usize, next: &mut u32) {
        if let Some((seq, _)) = self.side(side).and_then(|side| side.list.front()) {
            *next = *seq;
        }
    }

    /// Lets go of everything.
    pub(super) fn clear(&mut self) {
        self.sides = None;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn advances() {
        let plain = |fresh, repeated, next, opens_hole| Advance { fresh, repeated, next, opens_hole };
        let cases: &[(&str, u32, u32, u32, Advance)] = &[
            ("in order", 100, 100, 10, plain(10, 0, 110, false)),
            ("repeat", 110, 100, 10, plain(0, 10, 110, false)),
            ("half new", 105, 100, 10, plain(5, 5, 110, false)),
            ("beyond", 100, 120, 10, plain(10, 0, 130, true)),
            ("wrap", u32::MAX - 4, u32::MAX - 4, 10, plain(10, 0, 5, false)),
            ("repeat over the wrap", 5, u32::MAX - 4, 10, plain(0, 10, 5, false)),
        ];
        for (name, next, seq, len, want) in cases {
            assert_eq!(advance(*next, *seq, *len, None), *want, "{name}");
        }
    }

    proptest! {
        /// Against a model that marks every byte: each byte is fresh exactly once, whatever the order and overlaps.
        #[test]
        fn every_byte_is_fresh_once(base: u32, segments in prop::collection::vec((0u32..200, 1u32..40), 1..12)) {
            let mut seen = [false; 256];
            let (mut next, mut holes, mut started) = (base, Holes::default(), false);
            for (offset, len) in segments {
                let seq = base.wrapping_add(offset);
                if !started {
                    (next, started) = (base, true);
                }
                let step = advance(next, seq, len, Some(&mut holes));
                if step.opens_hole {
                    holes.open(next, seq);
                }
                let fresh = (offset..offset + len).filter(|i| !std::mem::replace(&mut seen[*i as usize], true)).count();
                next = step.next;
                prop_assert_eq!(step.fresh as usize, fresh);
                prop_assert_eq!(step.fresh + step.repeated, len);
            }
        }

        /// Released bytes are the stream, whatever the order in which segments arrive.
        #[test]
        fn releases_the_stream(cuts in prop::collection::vec(1usize..20, 1..10), seed: u64, base: u32) {
            let total: usize = cuts.iter().sum();
            let stream: Vec<u8> = (0..total).map(|i| i as u8).collect();
            let mut segments: Vec<(usize, usize)> = Vec::new();
            let mut at = 0;
            for cut in &cuts {
                segments.push((at, at + cut));
                at += cut;
            }
            let mut state = seed | 1;
            for i in (1..segments.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                segments.swap(i, (state >> 33) as usize % (i + 1));
            }
            // Both sides send the same, one of them backwards in time.
            let (mut waiting, mut next, mut read) = (Waiting::default(), [base; 2], [Vec::new(), Vec::new()]);
            for place in 0..segments.len() {
                for (side, place) in [(0, place), (1, segments.len() - 1 - place)] {
                    let (from, to) = segments[place];
                    waiting.hold(side, base.wrapping_add(from as u32), &stream[from..to]);
                    while let Some(bytes) = waiting.release(side, &mut next[side]) {
                        read[side].extend_from_slice(&bytes);
                    }
                    prop_assert_eq!(waiting.is_empty(side), waiting.side(side).is_none_or(|left| left.held == 0));
                }
            }
            prop_assert_eq!(read, [stream.clone(), stream]);
            prop_assert!(waiting.sides.is_none());
        }
    }
}
