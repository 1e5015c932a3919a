//! What is kept of a flow: a small record for every flow, and a box for those that still need more.

use super::order::{Holes, Reached, Waiting};
use super::parts::Parts;
use super::probe::Probe;
use super::stacks::{self, Stack, Stacks};
use crate::detect::content::Look;
use crate::detect::{Found, Session};
use crate::model::{Class, Counts, Evidence, Facts, FlowKey, NarrowKey, Opening, Protocol, Side, Transport};

/// Capture times after which a silent flow is closed. Unit: nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A TCP connection without a close.
    pub tcp_ns: i64,
    /// A TCP connection after a FIN of both sides or a reset.
    pub tcp_closed_ns: i64,
    /// Everything else.
    pub other_ns: i64,
    /// Keep how each flow was recognised ([`crate::model::Trace`]).
    pub trace: bool,
}

impl Default for Limits {
    fn default() -> Self {
        const SECOND: i64 = 1_000_000_000;
        Self { tcp_ns: 3600 * SECOND, tcp_closed_ns: 60 * SECOND, other_ns: 300 * SECOND, trace: false }
    }
}

impl Limits {
    /// When a flow times out, unless it goes on: nanoseconds since 1970 UTC.
    pub(super) fn due_ns(&self, flow: &Flow) -> i64 {
        let silence_ns = match (flow.key().transport(), flow.is_closed()) {
            (Transport::TCP, true) => self.tcp_closed_ns,
            (Transport::TCP, false) => self.tcp_ns,
            _ => self.other_ns,
        };
        flow.last_ns.saturating_add(silence_ns)
    }
}

/// One flow: what a packet of a settled flow touches, in its first 72 bytes, which lie in two cache lines wherever they begin;
/// and what is asked of every flow at its end.
#[derive(serde::Serialize, serde::Deserialize)]
#[repr(C)]
pub(super) struct Flow {
    key: NarrowKey,
    pub(super) marks: u16,
    pub(super) protocol: NumberedProtocol,
    pub(super) class: Class,
    pub(super) evidence: Evidence,
    tunnels: stacks::Number,
    /// What the bytes of an unknown flow are like, once nobody knew them.
    pub(super) content: Option<Look>,
    /// What each side amounts to in the interval of the latest packet; what it was before is in its parts.
    packets: [u16; 2],
    /// Number of the interval of the latest packet ([`super::parts::Clock`]).
    pub(super) interval: u32,
    wire_bytes: [u32; 2],
    payload_bytes: [u32; 2],
    pub(super) next_seq: [u32; 2],
    pub(super) last_ns: i64,
    pub(super) cold: Option<Box<Cold>>,
    pub(super) first_ns: i64,
    /// Number of the first frame in 48 bits, the lowest first: enough for 280 million million frames.
    first_frame: [u16; 3],
    pub(super) vlan: u16,
}

/// Marks of a flow, as bits.
pub(super) mod mark {
    /// The record is in use.
    pub const LIVE: u16 = 1;
    /// The client is known, and it is the high side.
    pub const CLIENT_HIGH: u16 = 1 << 1;
    /// Who the client is was proven, by a SYN or by a client handshake.
    pub const CLIENT_KNOWN: u16 = 1 << 2;
    /// The first packet came from the high side.
    pub const FIRST_HIGH: u16 = 1 << 3;
    /// TCP sequence numbers of the low side are known.
    pub const SEQ_LOW: u16 = 1 << 4;
    /// TCP sequence numbers of the high side are known.
    pub const SEQ_HIGH: u16 = 1 << 5;
    /// FIN from the low side.
    pub const FIN_LOW: u16 = 1 << 6;
    /// FIN from the high side.
    pub const FIN_HIGH: u16 = 1 << 7;
    /// A reset was seen.
    pub const RST: u16 = 1 << 8;
    /// A SYN of the flow was seen.
    pub const SYN: u16 = 1 << 9;
    /// Detection has ended.
    pub const SETTLED: u16 = 1 << 10;
    /// First bytes were cut by the snap length while they were still needed.
    pub const CUT_SHORT: u16 = 1 << 11;
    /// Bytes of the stream were never captured.
    pub const GAP: u16 = 1 << 12;
    /// Closed early to stay below the memory bound.
    pub const EVICTED: u16 = 1 << 13;
    /// Who opened the connection speaks as the server (RFC 4217 section 7: data connections of active FTP).
    pub const EXCHANGED: u16 = 1 << 14;
    /// How it was recognised is kept.
    pub const TRACED: u16 = 1 << 15;
}

/// What only some flows need, and most only for a while.
#[derive(Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Cold {
    pub(super) stage: Stage,
    /// How far it was read, and what came before its turn.
    pub(super) reached: Reached,
    pub(super) waiting: Waiting,
    pub(super) facts: Option<Box<Facts>>,
    pub(super) rare: Option<Box<Rare>>,
    /// What the flow amounted to in intervals that it has left.
    pub(super) parts: Option<Box<Parts>>,
    /// What this box and all below it weighed when they were last weighed. Unit: bytes.
    pub(super) held: u32,
}

/// What few flows need.
#[derive(Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Rare {
    pub(super) holes: Option<Box<[Holes; 2]>>,
    pub(super) retransmitted_bytes: u64,
    pub(super) conflicts: u32,
    pub(super) readable: Counts,
    pub(super) upgraded_from: Option<Protocol>,
    /// First bytes of both sides of an unknown flow that may be the middle of a QUIC connection.
    pub(super) openings: Option<Box<[Opening; 2]>>,
    /// The latest frame of a flow that is not settled; kept for flows that are traced.
    pub(super) frame: u64,
    /// The tunnels of a flow whose stack has no number.
    tunnels: Stack,
}

/// A protocol in two bytes, because every flow has one. Written as its name.
#[derive(Clone, Copy)]
pub(super) struct NumberedProtocol(u16);

impl NumberedProtocol {
    /// [`Protocol::UNKNOWN`], under a number that no protocol is given.
    const UNKNOWN: Self = Self(u16::MAX);
}

impl From<Protocol> for NumberedProtocol {
    fn from(protocol: Protocol) -> Self {
        Self(protocol.number())
    }
}

impl From<NumberedProtocol> for Protocol {
    fn from(NumberedProtocol(number): NumberedProtocol) -> Self {
        Self::of_number(number)
    }
}

impl serde::Serialize for NumberedProtocol {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Protocol::from(*self).serialize(serializer)
    }
}

impl<'de> serde::Deserialize<'de> for NumberedProtocol {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Protocol::deserialize(deserializer).map(Self::from)
    }
}

/// How far the understanding of a flow has come.
#[derive(Default, serde::Serialize, serde::Deserialize)]
pub(super) enum Stage {
    /// No more bytes are wanted.
    #[default]
    Settled,
    /// The protocol is being looked for.
    Probing(Box<Probe>),
    /// The protocol is known and its session reads on.
    Reading(Box<Reading>),
}

/// What reads the bytes of a flow.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct Reading {
    pub(super) session: Box<dyn Session>,
    pub(super) found: Found,
    /// Totals of the flow with the latest piece that was read.
    pub(super) total: Counts,
}

impl Reading {
    pub(super) fn new(session: Box<dyn Session>, found: Found) -> Box<Self> {
        Box::new(Self { session, found, total: Counts::default() })
    }
}

impl Cold {
    /// Heap bytes held, roughly.
    fn memory(&self) -> usize {
        let stage = match &self.stage {
            Stage::Settled => 0,
            Stage::Probing(probe) => probe.memory(),
            Stage::Reading(reading) => size_of::<Reading>() + reading.session.memory(),
        };
        let facts = self.facts.as_deref().map_or(0, Facts::memory);
        let rare = self.rare.as_deref().map_or(0, Rare::memory);
        size_of::<Self>()
            + stage
            + facts
            + self.waiting.memory()
            + rare
            + self.parts.as_deref().map_or(0, Parts::memory)
    }

    /// The next waiting bytes of a side that are in turn.
    pub(super) fn release(&mut self, side: usize) -> Option<Box<[u8]>> {
        self.waiting.release(side, &mut self.reached.next[side])
    }

    /// Gives up the hole in front of the first waiting segment of a side.
    pub(super) fn skip_hole(&mut self, side: usize) {
        self.waiting.skip_hole(side, &mut self.reached.next[side]);
    }

    /// What few flows have.
    pub(super) fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// What of the flow was readable although it is encrypted.
    pub(super) fn readable(&self) -> Counts {
        self.rare.as_deref().map_or(Counts::default(), |rare| rare.readable)
    }
}

impl Rare {
    /// What either side left open.
    pub(super) fn holes(&self) -> impl Iterator<Item = &Holes> {
        self.holes.iter().flat_map(|sides| sides.iter())
    }

    fn memory(&self) -> usize {
        let holes = self.holes.as_ref().map_or(0, |holes| size_of_val(&**holes));
        let holes = holes + self.holes().map(Holes::memory).sum::<usize>();
        let openings = self.openings.as_ref().map_or(0, |openings| size_of_val(&**openings));
        size_of::<Self>() + holes + openings
    }

    /// Whether any of it says something of a flow that is settled.
    pub(super) fn is_worth_keeping(&self) -> bool {
        // Each field is named, so that a new one is not lost unnoticed. The frame in hand is of no use any more.
        let Self { holes: _, retransmitted_bytes, conflicts, readable, upgraded_from, openings, frame: _, tunnels } =
            self;
        upgraded_from.is_some()
            || *retransmitted_bytes > 0
            || self.holes().any(|holes| holes.unfilled() > 0)
            || *readable != Counts::default()
            || *conflicts > 0
            || openings.is_some()
            || *tunnels != Stack::default()
    }
}

impl Flow {
    /// A flow that starts with frame number `first_frame` at `time_ns`.
    pub(super) fn new(key: FlowKey, first_frame: u64, time_ns: i64) -> Self {
        Self {
            key: key.into(),
            marks: mark::LIVE,
            protocol: NumberedProtocol::UNKNOWN,
            class: Class::Unknown,
            evidence: Evidence::None,
            tunnels: 0,
            content: None,
            packets: [0; 2],
            interval: 0,
            wire_bytes: [0; 2],
            payload_bytes: [0; 2],
            next_seq: [0; 2],
            last_ns: time_ns,
            cold: None,
            first_ns: time_ns,
            first_frame: [0, 16, 32].map(|shift| (first_frame >> shift) as u16),
            vlan: 0,
        }
    }

    /// Number of the frame that it began with.
    #[inline]
    pub(super) fn first_frame(&self) -> u64 {
        self.first_frame.iter().rev().fold(0, |number, part| number << 16 | u64::from(*part))
    }

    /// A place without a flow.
    pub(super) fn vacant() -> Self {
        Self { marks: 0, ..Self::new(FlowKey::NOWHERE, 0, 0) }
    }

    /// Who talks to whom.
    #[inline]
    pub(super) fn key(&self) -> FlowKey {
        self.key.widen()
    }

    /// Whether it is the flow of `key`.
    #[inline]
    pub(super) fn is_of(&self, key: &FlowKey) -> bool {
        self.key.is(key)
    }

    /// Reads a byte at both ends of what a packet touches.
    #[inline]
    pub(super) fn touch(&self) -> u8 {
        self.key.transport() ^ u8::from(self.cold.is_some())
    }

    /// Reads a byte of what is kept beside the key.
    #[inline]
    pub(super) fn touch_key(&self) -> u8 {
        self.key.touch()
    }

    /// Reads a byte of what is kept beside the record.
    #[inline]
    pub(super) fn touch_cold(&self) -> u8 {
        self.cold.as_deref().map_or(0, |cold| cold.held as u8)
    }

    pub(super) fn is_live(&self) -> bool {
        self.has(mark::LIVE)
    }

    pub(super) fn has(&self, marks: u16) -> bool {
        self.marks & marks != 0
    }

    pub(super) fn set(&mut self, marks: u16) {
        self.marks |= marks;
    }

    /// Both sides said that they are done, or one broke off.
    pub(super) fn is_closed(&self) -> bool {
        self.has(mark::RST) || self.marks & (mark::FIN_LOW | mark::FIN_HIGH) == mark::FIN_LOW | mark::FIN_HIGH
    }

    /// Presumes or knows the client: the sender of the SYN or of a client handshake; else the side with the higher
    /// port; else the side that spoke first.
    pub(super) fn client(&self) -> Side {
        if self.has(mark::CLIENT_KNOWN) {
            return if self.has(mark::CLIENT_HIGH) { Side::High } else { Side::Low };
        }
        let [low, high] = self.key().ports();
        let high_is_client = if low == high { self.has(mark::FIRST_HIGH) } else { high > low };
        if high_is_client { Side::High } else { Side::Low }
    }

    /// The side that plays the client in the protocol that was found.
    pub(super) fn speaks_as_client(&self) -> Side {
        if self.has(mark::EXCHANGED) { self.client().other() } else { self.client() }
    }

    pub(super) fn set_client(&mut self, side: Side) {
        self.marks &= !mark::CLIENT_HIGH;
        self.marks |= mark::CLIENT_KNOWN | if side == Side::High { mark::CLIENT_HIGH } else { 0 };
    }

    /// The tunnels that it came in.
    pub(super) fn tunnels(&self, stacks: &Stacks) -> Stack {
        match self.tunnels {
            stacks::BESIDE => self
                .cold
                .as_deref()
                .and_then(|cold| cold.rare.as_deref())
                .map_or_else(Default::default, |rare| rare.tunnels),
            number => stacks.stack(number),
        }
    }

    /// It came in these tunnels.
    pub(super) fn set_tunnels(&mut self, stack: Stack, stacks: &mut Stacks) {
        self.tunnels = stacks.number(&stack);
        if self.tunnels == stacks::BESIDE {
            self.cold().rare().tunnels = stack;
        }
    }

    /// Whether the numbers of the interval have room for a packet of `side` with so many frames and bytes.
    #[inline]
    pub(super) fn has_room(&self, side: Side, frames: u32, wire_len: u64, payload_len: u32) -> bool {
        let side = side as usize;
        let packets = u64::from(self.packets[side]) + u64::from(frames);
        let wire_bytes = u64::from(self.wire_bytes[side]).saturating_add(wire_len);
        let payload_bytes = u64::from(self.payload_bytes[side]) + u64::from(payload_len);
        packets >> u16::BITS == 0 && (wire_bytes | payload_bytes) >> u32::BITS == 0
    }

    /// Adds frames of `side`, no more than there is room for: of more than that [`Flow::beyond_room`] says what is left over.
    #[inline]
    pub(super) fn add_frames(&mut self, side: Side, frames: u32, wire_len: u64) {
        self.packets[side as usize] = self.packets[side as usize].wrapping_add(frames as u16);
        self.wire_bytes[side as usize] = self.wire_bytes[side as usize].wrapping_add(wire_len as u32);
    }

    /// What an empty interval has no room for of so many frames and bytes.
    pub(super) fn beyond_room(frames: u32, wire_len: u64) -> Counts {
        Counts {
            packets: u64::from(frames & !u32::from(u16::MAX)),
            wire_bytes: wire_len & !u64::from(u32::MAX),
            payload_bytes: 0,
        }
    }

    /// Adds payload of `side`, no more than there is room for.
    #[inline]
    pub(super) fn add_payload(&mut self, side: Side, payload_len: u32) {
        self.payload_bytes[side as usize] = self.payload_bytes[side as usize].wrapping_add(payload_len);
    }

    /// Takes out what `side` amounts to in the interval now.
    pub(super) fn take_counts(&mut self, side: Side) -> Counts {
        let side = side as usize;
        Counts {
            packets: std::mem::take(&mut self.packets[side]).into(),
            wire_bytes: std::mem::take(&mut self.wire_bytes[side]).into(),
            payload_bytes: std::mem::take(&mut self.payload_bytes[side]).into(),
        }
    }

    /// Totals of one side so far.
    pub(super) fn counts(&self, side: Side) -> Counts {
        let i = side as usize;
        let mut counts = Counts {
            packets: u64::from(self.packets[i]),
            wire_bytes: u64::from(self.wire_bytes[i]),
            payload_bytes: u64::from(self.payload_bytes[i]),
        };
        if let Some(parts) = self.cold.as_deref().and_then(|cold| cold.parts.as_deref()) {
            counts.add(parts.counts(side));
        }
        counts
    }

    /// Totals of both sides so far.
    pub(super) fn total(&self) -> Counts {
        let mut total = self.counts(Side::Low);
        total.add(self.counts(Side::High));
        total
    }

    pub(super) fn cold(&mut self) -> &mut Cold {
        self.cold.get_or_insert_default()
    }

    /// Heap bytes of the flow when it was last weighed.
    pub(super) fn held(&self) -> usize {
        self.key.memory() + self.cold.as_deref().map_or(0, |cold| cold.held as usize)
    }

    /// Weighs the flow anew.
    pub(super) fn weigh(&mut self) -> usize {
        if let Some(cold) = self.cold.as_deref_mut() {
            cold.held = u32::try_from(cold.memory()).unwrap_or(u32::MAX);
        }
        self.held()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A settled flow takes 104 bytes with its share of the index, 136 when its addresses are longer than those of IPv4.
    #[test]
    fn a_flow_is_small() {
        assert_eq!(size_of::<Flow>(), 88);
        assert_eq!(size_of::<Cold>(), 64);
        // A packet touches no third cache line: records begin at multiples of eight.
        assert!(std::mem::offset_of!(Flow, cold) + size_of::<Option<Box<Cold>>>() <= 72);
    }

    #[test]
    fn the_first_frame_of_a_long_capture_keeps_its_number() {
        for frame in [0, 1, 0xffff, 0x1_0000, 0x1234_5678, 0x1234_5678_9abc, (1 << 48) - 1] {
            assert_eq!(Flow::new(FlowKey::NOWHERE, frame, 0).first_frame(), frame);
        }
    }

    #[test]
    fn protocols_keep_their_names_as_numbers() {
        for protocol in [Protocol::TLS, Protocol::UNKNOWN, Protocol::HTTP, Protocol(&"made-up"), Protocol::TLS] {
            assert_eq!(Protocol::from(NumberedProtocol::from(protocol)), protocol);
        }
        assert_eq!(Protocol::from(NumberedProtocol::UNKNOWN), Protocol::UNKNOWN);
    }
}
