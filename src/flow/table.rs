//! The flow table of one shard: an index of small slots apart from the records.
//!
//! A slot is 8 bytes: the hash and the number of the record, so that a look-up touches one cache line of the
//! index and one record. The hash also says where the slot is, so the index grows without a look at the records. Records
//! live in chunks and never move, so growing copies nothing, and what is not used of the last chunk was never touched.

use super::arrival::Arrival;
use super::record::{Flow, mark};
use crate::model::{FlowKey, Seed};

/// Open addressing over records in chunks.
pub(super) struct Table {
    seed: Seed,
    /// `hash << 32 | record + 1`; 0 is empty. The length is a power of two, or zero. A slot is where its hash says, or behind.
    slots: Vec<u64>,
    chunks: Vec<Vec<Flow>>,
    /// No flow of a block of [`BLOCK`] records times out before this: nanoseconds since 1970 UTC.
    due_ns: Vec<i64>,
    free: Vec<u32>,
    live: usize,
}

/// Packets that a shard takes together: what they need is read in one go.
pub const RUN: usize = 32;

/// Where the record of a packet probably is: its number and one more; 0 is nowhere. It holds until a flow is taken out.
#[derive(Clone, Copy, Default)]
pub(super) struct Guess(u32);

/// Records in a block.
const BLOCK: usize = 64;

/// Records in a chunk: so many that there are few chunks, so few that their memory is given back bit by bit at the end.
const CHUNK: usize = 64 * BLOCK;

/// The chunk that a record is in, and its place there.
#[inline]
fn place_of(record: u32) -> (usize, usize) {
    (record as usize / CHUNK, record as usize % CHUNK)
}

/// Bytes a flow takes here, its share of the index at usual load included.
pub(super) const FLOW_BYTES: usize = size_of::<Flow>() + 16;

impl Table {
    /// An empty table of flows whose keys are hashed with `seed`.
    pub(super) fn new(seed: Seed) -> Self {
        Self { seed, slots: Vec::new(), chunks: Vec::new(), due_ns: Vec::new(), free: Vec::new(), live: 0 }
    }

    /// The hash of a key in this table.
    pub(super) fn hash(&self, key: &FlowKey) -> u32 {
        key.hash_with(self.seed)
    }

    /// Flows held.
    pub(super) fn len(&self) -> usize {
        self.live
    }

    /// Reads what several packets will need: their slots, then the records that these name, then what is kept beside the
    /// records, and the first byte of payloads that are still looked at. Each in one go, so that cache misses overlap: a
    /// branch that waits for a miss, and was guessed wrong, ends that. Writes down where each packet's record probably is. The
    /// sum keeps the reads alive.
    pub(super) fn warm(&self, packets: &[Arrival<'_>], guesses: &mut [Guess; RUN]) -> u8 {
        let Some(mask) = self.slots.len().checked_sub(1) else { return 0 };
        let mut sum = packets.iter().fold(0, |sum, packet| sum ^ self.slots[packet.hash as usize & mask] as u8);
        for (guess, Arrival { hash, .. }) in guesses.iter_mut().zip(packets) {
            // Nearly all are in the first place or the next one, and which is no matter of a branch.
            let is_next = self.slots[*hash as usize & mask] >> 32 != u64::from(*hash);
            *guess = Guess(self.slots[(*hash as usize + usize::from(is_next)) & mask] as u32);
        }
        sum = guesses.iter().filter_map(|guess| self.guessed(*guess)).fold(sum, |sum, flow| sum ^ flow.touch());
        for (guess, packet) in guesses.iter().zip(packets) {
            sum ^= match self.guessed(*guess) {
                Some(flow) if flow.has(mark::SETTLED) => flow.touch_key(),
                flow => {
                    let beside = flow.map_or(0, |flow| flow.touch_key() ^ flow.touch_cold());
                    beside ^ packet.payload.first().copied().unwrap_or_default()
                }
            };
        }
        sum
    }

    #[inline]
    fn guessed(&self, Guess(guess): Guess) -> Option<&Flow> {
        guess.checked_sub(1).map(|record| self.record(record))
    }

    /// The record of `key`, looked for at `guess` before anywhere else.
    #[inline]
    pub(super) fn find_near(&self, guess: Guess, hash: u32, key: &FlowKey) -> Option<u32> {
        match self.guessed(guess) {
            Some(flow) if flow.is_of(key) => Some(guess.0 - 1),
            _ => self.find(hash, key),
        }
    }

    /// The record of `key`.
    #[inline]
    pub(super) fn find(&self, hash: u32, key: &FlowKey) -> Option<u32> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return None;
            }
            if slot >> 32 == u64::from(hash) {
                let record = slot as u32 - 1;
                if self.record(record).is_of(key) {
                    return Some(record);
                }
            }
            at = (at + 1) & mask;
        }
    }

    /// Takes in a flow whose key is not there yet.
    pub(super) fn insert(&mut self, hash: u32, flow: Flow) -> u32 {
        if (self.live + 1) * 4 > self.slots.len() * 3 {
            self.resize((self.slots.len() * 2).max(16), |_| true);
        }
        let record = self.place(flow);
        self.link(slot(hash, record));
        self.live += 1;
        record
    }

    /// The record with this number.
    #[inline]
    pub(super) fn record(&self, record: u32) -> &Flow {
        let (chunk, place) = place_of(record);
        &self.chunks[chunk][place]
    }

    /// The record with this number.
    #[inline]
    pub(super) fn record_mut(&mut self, record: u32) -> &mut Flow {
        let (chunk, place) = place_of(record);
        &mut self.chunks[chunk][place]
    }

    /// A flow may now time out as early as `due_ns`.
    pub(super) fn hasten(&mut self, record: u32, due_ns: i64) {
        let due = &mut self.due_ns[record as usize / BLOCK];
        *due = due_ns.min(*due);
    }

    /// First frames and numbers of the flows that have timed out before `now_ns`, in the order of their first frames; `due_ns`
    /// says when one does. Blocks without one are not looked at again before there may be.
    pub(super) fn overdue(&mut self, now_ns: i64, due_ns: impl Fn(&Flow) -> i64) -> Vec<(u64, u32)> {
        let mut order = Vec::new();
        let blocks = self.chunks.iter().flat_map(|chunk| chunk.chunks(BLOCK));
        for ((block, due), first) in blocks.zip(&mut self.due_ns).zip((0..).step_by(BLOCK)) {
            if *due >= now_ns {
                continue;
            }
            *due = i64::MAX;
            for (flow, record) in block.iter().zip(first..).filter(|(flow, _)| flow.is_live()) {
                match due_ns(flow) {
                    over if over < now_ns => order.push((flow.first_frame(), record)),
                    later => *due = later.min(*due),
                }
            }
        }
        order.sort_unstable();
        order
    }

    /// All flows, in no order that matters.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Flow> {
        self.chunks.iter().flatten().filter(|flow| flow.is_live())
    }

    /// First frames and numbers of all flows that `fits`, in the order of their first frames.
    pub(super) fn in_order(&self, mut fits: impl FnMut(&Flow) -> bool) -> Vec<(u64, u32)> {
        let flows = self.chunks.iter().flatten().zip(0..);
        let those = flows.filter(|(flow, _)| flow.is_live() && fits(flow));
        // Memory is at its highest when flows are put in order: nothing is written twice to grow.
        let mut order = Vec::with_capacity(self.live);
        order.extend(those.map(|(flow, record)| (flow.first_frame(), record)));
        order.sort_unstable();
        order
    }

    /// Takes out a flow. The index still points at its place: [`Table::tidy`] must follow before anything is looked up.
    pub(super) fn take(&mut self, record: u32) -> Flow {
        self.free.push(record);
        self.live -= 1;
        std::mem::replace(self.record_mut(record), Flow::vacant())
    }

    /// Takes out all flows in the order of their first frames.
    pub(super) fn drain_in_order(&mut self) -> Drain {
        let order = self.in_order(|_| true);
        let chunks = std::mem::replace(self, Self::new(self.seed)).chunks;
        let mut left = vec![0; chunks.len()];
        order.iter().for_each(|(_, record)| left[place_of(*record).0] += 1);
        Drain { order: order.into_iter(), chunks, left }
    }

    /// Makes the index anew after flows were taken out.
    pub(super) fn tidy(&mut self) {
        if self.live == 0 {
            *self = Self::new(self.seed);
        } else {
            let chunks = std::mem::take(&mut self.chunks);
            let is_live = |record: u32| {
                let (chunk, place) = place_of(record);
                chunks[chunk][place].is_live()
            };
            self.resize((self.live * 2).next_power_of_two().max(16), is_live);
            self.chunks = chunks;
        }
    }

    fn place(&mut self, flow: Flow) -> u32 {
        if let Some(record) = self.free.pop() {
            *self.record_mut(record) = flow;
            return record;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        // All chunks before the last are full.
        let number = self.chunks.len() - 1;
        let chunk = &mut self.chunks[number];
        let record = number * CHUNK + chunk.len();
        chunk.push(flow);
        if record.is_multiple_of(BLOCK) {
            self.due_ns.push(i64::MAX);
        }
        record as u32
    }

    fn link(&mut self, slot: u64) {
        let mask = self.slots.len() - 1;
        let mut at = (slot >> 32) as usize & mask;
        while self.slots[at] != 0 {
            at = (at + 1) & mask;
        }
        self.slots[at] = slot;
    }

    /// Spreads the slots of records that `stay` over another number of places.
    fn resize(&mut self, places: usize, stay: impl Fn(u32) -> bool) {
        let slots = std::mem::replace(&mut self.slots, vec![0; places]);
        for slot in slots {
            if slot != 0 && stay(slot as u32 - 1) {
                self.link(slot);
            }
        }
    }
}

/// The flows of a table in the order of their first frames. Each chunk is freed when none is left in it.
#[derive(Default)]
pub(super) struct Drain {
    order: std::vec::IntoIter<(u64, u32)>,
    chunks: Vec<Vec<Flow>>,
    /// Flows that are left in each chunk.
    left: Vec<usize>,
}

impl Drain {
    /// The next flow whose first frame is `upto` or before.
    pub(super) fn next_upto(&mut self, upto: u64) -> Option<Flow> {
        self.order.as_slice().first().filter(|(first_frame, _)| *first_frame <= upto)?;
        self.next()
    }
}

impl Iterator for Drain {
    type Item = Flow;

    fn next(&mut self) -> Option<Flow> {
        let (_, record) = self.order.next()?;
        let (chunk, place) = place_of(record);
        self.left[chunk] -= 1;
        let flow = std::mem::replace(&mut self.chunks[chunk][place], Flow::vacant());
        if self.left[chunk] == 0 {
            self.chunks[chunk] = Vec::new();
        }
        Some(flow)
    }
}

/// The slot of a record.
fn slot(hash: u32, record: u32) -> u64 {
    u64::from(hash) << 32 | (u64::from(record) + 1)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::model::{Endpoint, Transport};

    fn key(n: u32) -> FlowKey {
        let from = Endpoint { ip: IpAddr::V4(Ipv4Addr::from(n)), port: 1 };
        let to = Endpoint { ip: IpAddr::V4(Ipv4Addr::from(1)), port: 2 };
        FlowKey::new(Transport::TCP, from, to).0
    }

    /// Flows begin, go on, close and time out; blocks that are passed over never hide one that has.
    #[test]
    fn who_is_overdue_is_found_when_it_is() {
        let mut table = Table::new(Seed::random());
        let mut dues: Vec<Option<i64>> = Vec::new();
        let mut state = 7_u64;
        let mut noise = |below: i64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as i64 % below
        };
        let due = |flow: &Flow| flow.last_ns + if flow.is_closed() { 60 } else { 300 };
        for now in 0..2_000_i64 {
            for _ in 0..noise(4) {
                let number = table.len() as u32 + dues.len() as u32;
                // A clock may be behind.
                let flow = Flow::new(key(number), 0, now - noise(200));
                let (first, hash) = (due(&flow), table.hash(&flow.key()));
                let record = table.insert(hash, flow);
                table.hasten(record, first);
                dues.resize(dues.len().max(record as usize + 1), None);
                dues[record as usize] = Some(first);
            }
            for (record, known) in (0..).zip(&mut dues).filter(|(_, known)| known.is_some()) {
                let flow = table.record_mut(record);
                match noise(100) {
                    0 => flow.last_ns = flow.last_ns.max(now),
                    1 => flow.set(mark::RST),
                    _ => continue,
                }
                let changed = due(flow);
                table.hasten(record, changed);
                *known = Some(changed);
            }
            if noise(15) == 0 {
                let want: Vec<u32> = (0..)
                    .zip(&dues)
                    .filter(|(_, due)| due.is_some_and(|due| due < now))
                    .map(|(record, _)| record)
                    .collect();
                let found: Vec<u32> = table.overdue(now, due).into_iter().map(|(_, record)| record).collect();
                assert_eq!(found, want, "at {now}");
                for record in found {
                    table.take(record);
                    dues[record as usize] = None;
                }
                table.tidy();
            }
        }
        assert!(dues.len() > 4 * BLOCK && table.len() < 3_000, "{} {}", dues.len(), table.len());
    }

    #[test]
    fn keeps_what_it_was_given_through_growth_and_removal() {
        let mut table = Table::new(Seed::random());
        for n in 10..5010 {
            assert_eq!(table.find(table.hash(&key(n)), &key(n)), None);
            table.insert(table.hash(&key(n)), Flow::new(key(n), u64::from(n), 0));
        }
        assert_eq!(table.len(), 5000);
        let gone = table.in_order(|flow| flow.first_frame() % 3 == 0);
        assert!(gone.is_sorted());
        for (frame, record) in &gone {
            assert_eq!(table.take(*record).first_frame(), *frame);
        }
        table.tidy();
        assert_eq!(gone.len() + table.len(), 5000);
        for n in 10..5010 {
            let found = table.find(table.hash(&key(n)), &key(n)).map(|record| table.record(record).first_frame());
            assert_eq!(found, (n % 3 != 0).then_some(u64::from(n)), "{n}");
        }
        table.insert(table.hash(&key(12)), Flow::new(key(12), 12, 0));
        assert_eq!(table.iter().count(), table.len());
        let left = table.len();
        let frames: Vec<u64> = table.drain_in_order().map(|flow| flow.first_frame()).collect();
        assert!(frames.is_sorted());
        assert_eq!((frames.len(), table.len()), (left, 0));
        assert_eq!(table.find(table.hash(&key(12)), &key(12)), None);
    }
}
