//! IP fragments, put together within bounds.
//!
//! Sources: RFC 791 section 3.2, RFC 8200 section 4.5, RFC 5722 (overlaps), RFC 6274 section 4.1 (attacks).
//! Bytes that came first win. An overlap with other bytes, two ends, or data behind the end make the datagram worthless:
//! its fragments are unmatched, because two hosts may read them differently. A fragment that repeats another adds its
//! frame and nothing else.
//!
//! Bounds: the bytes held (the oldest datagrams are given up first), [`TIMEOUT_NS`] of capture time, 65,535 bytes a
//! datagram. What is answered depends on the order of the calls alone.
//! Not handled: datagrams told apart by VLAN or by the identifier of a tunnel with the same inner addresses.

use std::collections::{BTreeMap, HashMap};

use super::{Decoded, Fragment, transport, walk};
use crate::model::{FlowKey, Side, Tunnel};

/// How long a datagram waits for its missing fragments, in capture time: the shorter of the usual reassembly timers.
/// Unit: nanoseconds.
pub const TIMEOUT_NS: i64 = 30_000_000_000;

/// Longest datagram (RFC 791 section 3.1; jumbo payloads cannot be fragmented, RFC 2675 section 3). Unit: bytes.
const MAX_DATAGRAM: u32 = 65_535;

/// What a datagram and a fragment cost beside their data, for the bound. Unit: bytes.
const DATAGRAM_COST: usize = 512;
const PIECE_COST: usize = 96;

/// Fragments in fragments that are followed: one for each tunnel, and the outermost.
const MAX_NESTED: usize = 8;

/// The frame in which a fragment came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Number of the frame within its capture, from 0.
    pub frame: u64,
    /// Time, nanoseconds since 1970 UTC.
    pub time_ns: i64,
    /// Original length of the frame. Unit: bytes.
    pub wire_len: u32,
}

/// What became of the fragments of one datagram. It accounts for all their frames, once.
#[derive(Clone, Debug, PartialEq)]
pub struct Datagram {
    /// What it is. Never [`Decoded::Fragment`]. Offsets of a packet are relative to `data`.
    pub decoded: Decoded,
    /// The datagram from the start of its IP payload, as far as it was captured without a hole.
    pub data: Vec<u8>,
    /// Frames of all its fragments.
    pub frames: u64,
    /// Original lengths of those frames. Unit: bytes.
    pub wire_bytes: u64,
    /// Number of the first of them within the capture.
    pub first_frame: u64,
    /// Time of the first of them, nanoseconds since 1970 UTC.
    pub first_ns: i64,
    /// Time of the latest of them.
    pub last_ns: i64,
    /// Fragments are missing or contradict each other: each frame is a [`crate::model::Loss::UnmatchedFragments`].
    ///
    /// When the first fragment was there, `decoded` is still the packet with its ports, and its payload length counts the
    /// bytes that were seen; else it is a packet with ports 0 and no captured payload
    /// (control for ICMP and its like, opaque for a protocol that is not read).
    pub unmatched: bool,
}

/// Datagrams that wait for fragments.
#[derive(Debug)]
pub struct Pool {
    max_bytes: usize,
    held_bytes: usize,
    waiting: HashMap<Key, Waiting>,
    /// Datagrams by age: the order in which they were opened.
    ages: BTreeMap<u64, Key>,
    next_age: u64,
}

/// What fragments of one datagram have in common (RFC 791 section 2.3, RFC 8200 section 4.5). The first fragment's next
/// header is decisive in IPv6; all are expected to say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
struct Key {
    key: FlowKey,
    from: Side,
    id: u32,
    tunnels: [Tunnel; 6],
}

/// Frames that fragments came in.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
struct Frames {
    count: u64,
    wire_bytes: u64,
    first_frame: u64,
    first_ns: i64,
    last_ns: i64,
}

impl Frames {
    fn add(&mut self, other: Self) {
        self.count += other.count;
        self.wire_bytes += other.wire_bytes;
        self.first_frame = self.first_frame.min(other.first_frame);
        self.first_ns = self.first_ns.min(other.first_ns);
        self.last_ns = self.last_ns.max(other.last_ns);
    }
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Waiting {
    age: u64,
    sample: Fragment,
    frames: Frames,
    /// By offset, without overlap.
    pieces: BTreeMap<u32, Piece>,
    /// Bytes of all pieces on the wire.
    covered: u32,
    /// Where the datagram ends, once the last fragment was seen.
    end: Option<u32>,
    conflict: bool,
    cost: usize,
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Piece {
    wire_len: u32,
    captured: Box<[u8]>,
}

/// Datagrams that wait, to be carried from one file of a capture to the next.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Carried {
    next_age: u64,
    waiting: Vec<(Key, Waiting)>,
}

impl Pool {
    /// What waits, oldest first; the pool is empty then.
    pub(crate) fn carry(&mut self) -> Carried {
        let ages = std::mem::take(&mut self.ages);
        let mut waiting = Vec::with_capacity(ages.len());
        for key in ages.into_values() {
            waiting.extend(self.waiting.remove(&key).map(|datagram| (key, datagram)));
        }
        self.held_bytes = 0;
        Carried { next_age: self.next_age, waiting }
    }

    /// Gives `other`, which is new, all that waits here.
    ///
    /// # Errors
    /// When there is no memory for the bytes that it goes through.
    pub(crate) fn copy_to(&mut self, other: &mut Self) -> postcard::Result<()> {
        let carried = self.carry();
        let bytes = postcard::to_stdvec(&carried);
        self.resume(carried);
        other.resume(postcard::from_bytes(&bytes?)?);
        Ok(())
    }

    /// Takes up what waited.
    pub(crate) fn resume(&mut self, carried: Carried) {
        self.next_age = carried.next_age;
        for (key, datagram) in carried.waiting {
            self.held_bytes = self.held_bytes.saturating_add(datagram.cost.saturating_add(DATAGRAM_COST));
            self.next_age = self.next_age.max(datagram.age.saturating_add(1));
            self.ages.insert(datagram.age, key);
            self.waiting.insert(key, datagram);
        }
    }

    /// A pool that holds about `max_bytes` at most.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self { max_bytes, held_bytes: 0, waiting: HashMap::new(), ages: BTreeMap::new(), next_age: 0 }
    }

    /// Bytes held. Unit: bytes.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Takes a fragment with its captured data (`data_start..data_start + data_captured` of the frame). Datagrams that this
    /// completes, and those given up by now, go to `done`, oldest first.
    pub fn push(&mut self, fragment: &Fragment, data: &[u8], arrival: Arrival, done: &mut Vec<Datagram>) {
        self.expire(arrival.time_ns, done);
        let mut frames = Frames {
            count: 1,
            wire_bytes: u64::from(arrival.wire_len),
            first_frame: arrival.frame,
            first_ns: arrival.time_ns,
            last_ns: arrival.time_ns,
        };
        let Some(mut datagram) = self.place(fragment, data, frames, done) else { return };
        // The datagram may itself be a fragment of one that is tunnelled.
        for _ in 0..MAX_NESTED {
            let Decoded::Fragment(inner) = datagram.decoded else { break };
            frames = datagram.frames();
            let start = inner.data_start as usize;
            let end = start.saturating_add(inner.data_captured as usize);
            let data = datagram.data.get(start..end).unwrap_or_default();
            match self.place(&inner, data, frames, done) {
                Some(outer) => datagram = outer,
                None => return,
            }
        }
        if let Decoded::Fragment(inner) = datagram.decoded {
            datagram.decoded = portless(&inner, inner.data_len);
            datagram.unmatched = true;
        }
        done.push(datagram);
        self.evict(done);
    }

    /// Gives up all that wait, oldest first: the capture has ended.
    pub fn finish(&mut self, done: &mut Vec<Datagram>) {
        while self.give_up_oldest(done) {}
    }

    /// Adds a fragment; the datagram, if that completes it.
    fn place(
        &mut self,
        fragment: &Fragment,
        data: &[u8],
        frames: Frames,
        done: &mut Vec<Datagram>,
    ) -> Option<Datagram> {
        let key = Key { key: fragment.key, from: fragment.from, id: fragment.id, tunnels: fragment.tunnels };
        let waiting = self.waiting.entry(key).or_insert_with(|| {
            self.ages.insert(self.next_age, key);
            self.next_age += 1;
            self.held_bytes += DATAGRAM_COST;
            Waiting::new(self.next_age - 1, *fragment, frames)
        });
        waiting.frames.add(frames);
        let before = waiting.cost;
        waiting.insert(fragment, data);
        self.held_bytes = (self.held_bytes + waiting.cost).saturating_sub(before);
        if waiting.is_whole() {
            return self.remove(&key).map(Waiting::complete);
        }
        self.evict(done);
        None
    }

    /// Gives up what has waited too long at `now_ns`.
    fn expire(&mut self, now_ns: i64, done: &mut Vec<Datagram>) {
        while let Some((_, key)) = self.ages.first_key_value()
            && let Some(waiting) = self.waiting.get(key)
            && now_ns.saturating_sub(waiting.frames.first_ns) > TIMEOUT_NS
        {
            self.give_up_oldest(done);
        }
    }

    fn evict(&mut self, done: &mut Vec<Datagram>) {
        while self.held_bytes > self.max_bytes && self.give_up_oldest(done) {}
    }

    fn give_up_oldest(&mut self, done: &mut Vec<Datagram>) -> bool {
        let Some(key) = self.ages.first_key_value().map(|(_, key)| *key) else { return false };
        done.extend(self.remove(&key).map(Waiting::give_up));
        true
    }

    fn remove(&mut self, key: &Key) -> Option<Waiting> {
        let waiting = self.waiting.remove(key)?;
        self.ages.remove(&waiting.age);
        self.held_bytes = self.held_bytes.saturating_sub(waiting.cost + DATAGRAM_COST);
        Some(waiting)
    }
}

impl Datagram {
    fn frames(&self) -> Frames {
        Frames {
            count: self.frames,
            wire_bytes: self.wire_bytes,
            first_frame: self.first_frame,
            first_ns: self.first_ns,
            last_ns: self.last_ns,
        }
    }
}

impl Waiting {
    fn new(age: u64, sample: Fragment, frames: Frames) -> Self {
        let frames = Frames { count: 0, wire_bytes: 0, ..frames };
        Self { age, sample, frames, pieces: BTreeMap::new(), covered: 0, end: None, conflict: false, cost: 0 }
    }

    /// Takes what `fragment` adds.
    fn insert(&mut self, fragment: &Fragment, data: &[u8]) {
        let end = fragment.offset.saturating_add(fragment.data_len);
        if end > MAX_DATAGRAM || (!fragment.more && self.end.is_some_and(|known| known != end)) {
            self.conflict = true;
        }
        if !fragment.more {
            self.end = Some(end);
        }
        let last = self.pieces.last_key_value().map_or(0, |(offset, piece)| offset + piece.wire_len);
        if self.end.is_some_and(|known| known < end.max(last)) {
            self.conflict = true;
        }
        if self.conflict {
            // Nothing of it will be used.
            self.pieces.clear();
            self.cost = 0;
            return;
        }
        self.fill(fragment.offset, end, data);
    }

    /// Puts the bytes of `offset..end` where none are yet, and compares them with those that are.
    fn fill(&mut self, offset: u32, end: u32, data: &[u8]) {
        let first = self.pieces.range(..=offset).next_back().map_or(offset, |(start, _)| *start);
        let mut gaps = Vec::new();
        let mut at = offset;
        for (start, piece) in self.pieces.range(first..end) {
            let piece_end = start + piece.wire_len;
            if piece_end <= offset {
                continue;
            }
            if *start > at {
                gaps.push((at, *start));
            }
            self.conflict |= differ((*start, &piece.captured), (offset, data));
            at = at.max(piece_end);
        }
        if at < end {
            gaps.push((at, end));
        }
        for (from, to) in gaps {
            let captured = part(data, from - offset, to - offset);
            self.cost += captured.len() + PIECE_COST;
            self.covered += to - from;
            self.pieces.insert(from, Piece { wire_len: to - from, captured: captured.into() });
        }
    }

    fn is_whole(&self) -> bool {
        !self.conflict && self.end == Some(self.covered)
    }

    /// The captured bytes from the start up to the first hole.
    fn data(&self) -> Vec<u8> {
        let mut data = Vec::new();
        for (offset, piece) in &self.pieces {
            if *offset as usize != data.len() {
                break;
            }
            data.extend_from_slice(&piece.captured);
        }
        data
    }

    fn complete(self) -> Datagram {
        let data = self.data();
        let decoded = walk::datagram(&self.sample, &data, self.covered);
        self.into_datagram(decoded, data, false)
    }

    /// What can be said without the missing fragments.
    fn give_up(self) -> Datagram {
        let data = if self.conflict { Vec::new() } else { self.data() };
        let decoded = match walk::datagram(&self.sample, &data, self.covered) {
            Decoded::Packet(packet) if !data.is_empty() => Decoded::Packet(packet),
            _ => portless(&self.sample, self.covered),
        };
        self.into_datagram(decoded, data, true)
    }

    fn into_datagram(self, decoded: Decoded, data: Vec<u8>, unmatched: bool) -> Datagram {
        Datagram {
            decoded,
            data,
            frames: self.frames.count,
            wire_bytes: self.frames.wire_bytes,
            first_frame: self.frames.first_frame,
            first_ns: self.frames.first_ns,
            last_ns: self.frames.last_ns,
            unmatched,
        }
    }
}

/// The part `from..to` of `data`, as far as it was captured.
fn part(data: &[u8], from: u32, to: u32) -> &[u8] {
    let to = (to as usize).min(data.len());
    data.get(from as usize..to).unwrap_or_default()
}

/// Whether two runs of bytes, each with its offset, differ where both have bytes.
fn differ((a_start, a): (u32, &[u8]), (b_start, b): (u32, &[u8])) -> bool {
    let start = a_start.max(b_start);
    let a = part(a, start - a_start, u32::MAX);
    let b = part(b, start - b_start, u32::MAX);
    let common = a.len().min(b.len());
    a.get(..common) != b.get(..common)
}

/// A fragment without its transport header: what its protocol number tells.
fn portless(fragment: &Fragment, payload_len: u32) -> Decoded {
    let transport = fragment.key.transport();
    if let Some(name) = transport::control(transport.0) {
        return Decoded::Control(name, fragment.tunnels);
    }
    if transport.name().is_none() {
        return Decoded::Opaque("ip", fragment.tunnels);
    }
    Decoded::Packet(super::Packet {
        key: fragment.key,
        from: fragment.from,
        vlan: fragment.vlan,
        tcp_flags: 0,
        tunnels: fragment.tunnels,
        seq: 0,
        payload_start: 0,
        payload_captured: 0,
        payload_len,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Transport;
    use crate::net::Packet;

    /// The IP packet (link type raw) of a fragment of a UDP datagram between fixed hosts.
    fn ip_fragment(id: u16, offset: u16, more: bool, data: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        packet[2..4].copy_from_slice(&(20 + data.len() as u16).to_be_bytes());
        packet[4..6].copy_from_slice(&id.to_be_bytes());
        packet[6..8].copy_from_slice(&((offset / 8) | if more { 0x2000 } else { 0 }).to_be_bytes());
        packet.extend(data);
        packet
    }

    /// A UDP datagram of `length` bytes in all.
    fn udp(length: u16) -> Vec<u8> {
        let mut bytes = vec![0x04, 0xd2, 0, 53];
        bytes.extend(length.to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend((8..length).map(|index| index as u8));
        bytes
    }

    /// Feeds raw IP frames, one a second, then ends the capture.
    fn run(max_bytes: usize, frames: &[Vec<u8>]) -> Vec<Datagram> {
        let mut pool = Pool::new(max_bytes);
        let mut done = Vec::new();
        for (number, frame) in frames.iter().enumerate() {
            push(&mut pool, number as u64, number as i64 * 1_000_000_000, frame, &mut done);
        }
        pool.finish(&mut done);
        assert_eq!(pool.held_bytes(), 0);
        assert_eq!(done.iter().map(|datagram| datagram.frames).sum::<u64>(), frames.len() as u64, "each frame once");
        done
    }

    fn push(pool: &mut Pool, frame: u64, time_ns: i64, bytes: &[u8], done: &mut Vec<Datagram>) {
        let wire_len = bytes.len() as u32;
        match super::super::decode(101, bytes, wire_len) {
            Decoded::Fragment(fragment) => {
                let data = &bytes[fragment.data_start as usize..][..fragment.data_captured as usize];
                pool.push(&fragment, data, Arrival { frame, time_ns, wire_len }, done);
            }
            other => panic!("no fragment: {other:?}"),
        }
    }

    fn packet(datagram: &Datagram) -> Packet {
        match datagram.decoded {
            Decoded::Packet(packet) => packet,
            other => panic!("{other:?}"),
        }
    }

    fn ports(datagram: &Datagram) -> [u16; 2] {
        let key = packet(datagram).key;
        [Side::Low, Side::High].map(|side| key.endpoint(side).port)
    }

    #[test]
    fn any_order_gives_the_datagram() {
        let whole = udp(40);
        let parts = [
            ip_fragment(7, 0, true, &whole[..16]),
            ip_fragment(7, 16, true, &whole[16..32]),
            ip_fragment(7, 32, false, &whole[32..]),
        ];
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let done = run(1 << 20, &order.map(|index| parts[index].clone()));
            assert_eq!(done.len(), 1);
            assert!(!done[0].unmatched);
            assert_eq!(done[0].data, whole);
            assert_eq!(
                (done[0].frames, done[0].wire_bytes, done[0].first_ns, done[0].last_ns),
                (3, 100, 0, 2_000_000_000)
            );
            let packet = packet(&done[0]);
            assert_eq!((packet.payload_start, packet.payload_captured, packet.payload_len), (8, 32, 32));
            assert_eq!(ports(&done[0]), [1234, 53]);
        }
    }

    #[test]
    fn repeats_and_overlaps() {
        let whole = udp(40);
        let first = ip_fragment(7, 0, true, &whole[..24]);
        let last = ip_fragment(7, 16, false, &whole[16..]);
        let done = run(1 << 20, &[first.clone(), first.clone(), last.clone()]);
        assert_eq!((done.len(), done[0].unmatched, done[0].frames), (1, false, 3), "same bytes twice are one datagram");
        assert_eq!(done[0].data, whole);

        let mut changed = whole.clone();
        changed[20] ^= 1;
        let done = run(1 << 20, &[first.clone(), ip_fragment(7, 16, false, &changed[16..])]);
        assert_eq!((done.len(), done[0].unmatched), (1, true), "an overlap with other bytes");
        assert_eq!(ports(&done[0]), [0, 0]);
        assert!(done[0].data.is_empty());

        let done = run(1 << 20, &[last.clone(), ip_fragment(7, 16, false, &whole[16..32]), first]);
        assert!(done.iter().all(|datagram| datagram.unmatched), "two ends");
    }

    #[test]
    fn leftovers_keep_their_frames() {
        let whole = udp(40);
        let done = run(1 << 20, &[ip_fragment(7, 0, true, &whole[..16]), ip_fragment(7, 24, false, &whole[24..])]);
        assert_eq!((done.len(), done[0].unmatched), (1, true));
        assert_eq!(ports(&done[0]), [1234, 53], "the first fragment names the flow");
        let packet = packet(&done[0]);
        assert_eq!((packet.payload_captured, packet.payload_len), (8, 24), "bytes seen, not bytes announced");

        let done = run(1 << 20, &[ip_fragment(7, 24, false, &whole[24..])]);
        assert_eq!((ports(&done[0]), done[0].unmatched), ([0, 0], true));

        let mut echo = ip_fragment(7, 24, false, &whole[24..]);
        echo[9] = 1;
        assert!(matches!(run(1 << 20, &[echo])[0].decoded, Decoded::Control("icmp", _)));
    }

    #[test]
    fn time_and_memory_are_bounded() {
        let whole = udp(40);
        let mut pool = Pool::new(1 << 20);
        let mut done = Vec::new();
        push(&mut pool, 0, 0, &ip_fragment(1, 0, true, &whole[..16]), &mut done);
        push(&mut pool, 1, TIMEOUT_NS, &ip_fragment(2, 0, true, &whole[..16]), &mut done);
        assert!(done.is_empty());
        push(&mut pool, 2, TIMEOUT_NS + 1, &ip_fragment(1, 16, false, &whole[16..]), &mut done);
        assert_eq!((done.len(), done[0].first_frame), (1, 0), "too late for the first");

        let frames: Vec<_> = (0..1000).map(|id| ip_fragment(id, 0, true, &whole[..16])).collect();
        let done = run(10_000, &frames);
        assert_eq!(done.len(), 1000);
        assert!(done.iter().map(|datagram| datagram.first_frame).eq(0..1000), "oldest first");

        let huge = ip_fragment(7, 65_528, false, &[0; 100]);
        assert!(run(1 << 20, &[huge])[0].unmatched);
    }

    #[test]
    fn cut_short_fragments_leave_a_prefix() {
        let whole = udp(40);
        let mut pool = Pool::new(1 << 20);
        let mut done = Vec::new();
        let first = ip_fragment(7, 0, true, &whole[..24]);
        let Decoded::Fragment(fragment) = super::super::decode(101, &first[..36], 44) else { panic!() };
        pool.push(&fragment, &first[20..36], Arrival { frame: 0, time_ns: 0, wire_len: 44 }, &mut done);
        push(&mut pool, 1, 0, &ip_fragment(7, 24, false, &whole[24..]), &mut done);
        let packet = packet(&done[0]);
        assert_eq!((packet.payload_captured, packet.payload_len), (8, 32));
        assert_eq!(packet.key.transport(), Transport::UDP);
    }

    #[test]
    fn fragments_within_fragments() {
        let whole = udp(40);
        let inner = ip_fragment(7, 0, true, &whole[..24]);
        let mut frames: Vec<_> = [(0, true, &inner[..16]), (16, false, &inner[16..])]
            .map(|(offset, more, data)| ip_fragment(9, offset, more, data))
            .into();
        frames.iter_mut().for_each(|frame| frame[9] = 4);
        let mut rest = ip_fragment(0, 0, false, &ip_fragment(7, 24, false, &whole[24..]));
        rest[9] = 4;
        frames.push(rest);
        let done = run(1 << 20, &frames);
        assert_eq!((done.len(), done[0].unmatched, done[0].frames), (1, false, 3));
        assert_eq!(done[0].data, whole);
        assert_ne!(packet(&done[0]).tunnels[0], Tunnel::default());
    }
}
