//! One shard of a capture: takes packets in order, and gives closed flows.

use std::collections::VecDeque;

use super::announcement::Announcement;
use super::arrival::Arrival;
use super::order::{self, Advance};
use super::parts::{Clock, Parts};
use super::reading::{end, read_segment, take_datagram};
use super::record::{Cold, Flow, Limits, Stage, mark};
use super::stacks::Stacks;
use super::summary::{class, summary};
use super::table::{Drain, FLOW_BYTES, Guess, RUN, Table};
use crate::model::{Class, Counts, FlowSummary, Protocol, Seed, Side, Steps, Transport};
use crate::net::Packet;

/// The flows of one shard.
pub struct Shard {
    pub(super) table: Table,
    pub(super) limits: Limits,
    pub(super) ending: Ending,
    /// Bytes in boxes beside the table.
    pub(super) cold_bytes: usize,
    /// Flows closed since they were last taken out, in the order of closing.
    pub closed: Vec<FlowSummary>,
    /// What closed or settled flows announced.
    pub announced: Vec<Announcement>,
    pub(super) next_sweep_ns: i64,
    pub(super) clock: Clock,
    pub(super) stacks: Stacks,
}

/// Flows of a capture that has ended, each list in the order of their first frames.
#[derive(Default)]
pub(super) struct Ending {
    /// What was still open.
    open: Drain,
    /// Those of them that wait for what others announced.
    waiting: VecDeque<Flow>,
}

impl Shard {
    /// A shard without flows, which cuts them into intervals of `steps`, and whose table hashes with `seed`.
    #[must_use]
    pub fn new(limits: Limits, steps: Steps, seed: Seed) -> Self {
        Self {
            table: Table::new(seed),
            limits,
            ending: Ending::default(),
            cold_bytes: 0,
            closed: Vec::new(),
            announced: Vec::new(),
            next_sweep_ns: i64::MIN,
            clock: Clock::new(steps),
            stacks: Stacks::default(),
        }
    }

    /// The level on the ladder of intervals that flows were cut at, at the coarsest.
    #[must_use]
    pub fn interval_level(&self) -> u8 {
        self.clock.level()
    }

    /// A flow that begins with this packet.
    fn fresh(&self, arrival: &Arrival<'_>) -> Flow {
        let mut flow = Flow::new(arrival.packet.key, arrival.frame, arrival.time_ns);
        flow.vlan = arrival.packet.vlan;
        if self.limits.trace {
            flow.set(mark::TRACED);
        }
        flow
    }

    /// Flows open now.
    #[must_use]
    pub fn open_flows(&self) -> usize {
        self.table.len()
    }

    /// Bytes held for open flows, roughly.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.table.len() * FLOW_BYTES + self.cold_bytes
    }

    /// Accounts packets in their order. What they need is brought into cache beforehand, for up to [`RUN`] of them at once.
    pub fn serve(&mut self, arrivals: &[Arrival<'_>]) {
        for run in arrivals.chunks(RUN) {
            let mut guesses = [Guess::default(); RUN];
            std::hint::black_box(self.table.warm(run, &mut guesses));
            for (arrival, guess) in run.iter().zip(guesses) {
                self.take(arrival, guess);
            }
        }
    }

    /// Accounts one packet, whose flow is probably at `guess`.
    fn take(&mut self, arrival: &Arrival<'_>, guess: Guess) {
        let interval = self.clock.tick(arrival.time_ns);
        let found = self.table.find_near(guess, arrival.hash, &arrival.packet.key);
        let record = found.unwrap_or_else(|| self.insert(arrival));
        let mut flow = self.table.record_mut(record);
        if found.is_some() && starts_anew(flow, arrival, &self.limits) {
            self.replace(record, arrival);
            flow = self.table.record_mut(record);
        }
        let &Packet { from, payload_len, .. } = arrival.packet;
        if flow.interval != interval || !flow.has_room(from, arrival.frames, arrival.wire_len, payload_len) {
            let before = flow.held();
            leave_interval(flow, interval, arrival, &self.clock);
            self.cold_bytes = self.cold_bytes + flow.weigh() - before;
        }
        flow.add_frames(from, arrival.frames, arrival.wire_len);
        flow.last_ns = flow.last_ns.max(arrival.time_ns);
        if arrival.packet.key.transport() == Transport::TCP {
            take_segment(flow, arrival, &mut self.cold_bytes, &mut self.announced);
            if arrival.packet.tcp_flags & (tcp::FIN | tcp::RST) != 0 {
                if is_over(flow, arrival.packet) {
                    let before = flow.held();
                    end(flow, &mut self.announced);
                    self.cold_bytes = self.cold_bytes + flow.weigh() - before;
                }
                let due_ns = self.limits.due_ns(flow);
                self.table.hasten(record, due_ns);
            }
        } else {
            flow.add_payload(from, payload_len);
            if !flow.has(mark::SETTLED) && payload_len > 0 {
                let before = flow.held();
                take_datagram(flow, arrival, &mut self.announced);
                self.cold_bytes = self.cold_bytes + flow.weigh() - before;
            }
        }
    }

    /// A packet of a key that has no flow yet.
    fn insert(&mut self, arrival: &Arrival<'_>) -> u32 {
        let fresh = self.fresh(arrival);
        let record = self.table.insert(arrival.hash, fresh);
        self.begin(record, arrival);
        record
    }

    /// The flow of a record ends, and another between the same ends begins there.
    #[cold]
    fn replace(&mut self, record: u32, arrival: &Arrival<'_>) {
        let fresh = self.fresh(arrival);
        let old = std::mem::replace(self.table.record_mut(record), fresh);
        self.cold_bytes -= old.held();
        let closed = self.close(old);
        self.closed.push(closed);
        self.begin(record, arrival);
    }

    fn begin(&mut self, record: u32, arrival: &Arrival<'_>) {
        let flow = self.table.record_mut(record);
        flow.set_tunnels(arrival.packet.tunnels, &mut self.stacks);
        flow.interval = self.clock.tick(arrival.time_ns);
        if arrival.packet.from == Side::High {
            flow.set(mark::FIRST_HIGH);
        }
        self.cold_bytes += flow.weigh();
        let due_ns = self.limits.due_ns(flow);
        self.table.hasten(record, due_ns);
    }

    /// Closes flows that have been silent for too long at capture time `now_ns`.
    pub fn sweep(&mut self, now_ns: i64) {
        if now_ns < self.next_sweep_ns {
            return;
        }
        let limits = self.limits;
        self.next_sweep_ns = now_ns.saturating_add(limits.tcp_closed_ns / 4);
        let gone = self.table.overdue(now_ns, |flow| limits.due_ns(flow));
        self.remove(0, gone);
    }

    /// Last times and first frames of all open flows, to decide which are the oldest.
    pub fn ages(&self) -> impl Iterator<Item = (i64, u64)> {
        self.table.iter().map(|flow| (flow.last_ns, flow.first_frame()))
    }

    /// The same with the bytes that each flow holds.
    pub fn weights(&self) -> impl Iterator<Item = (i64, u64, usize)> {
        self.table.iter().map(|flow| (flow.last_ns, flow.first_frame(), FLOW_BYTES + flow.held()))
    }

    /// Closes early every flow up to the age `(last time, first frame)`.
    pub fn evict(&mut self, upto: (i64, u64)) {
        let gone = self.table.in_order(|flow| (flow.last_ns, flow.first_frame()) <= upto);
        self.remove(mark::EVICTED, gone);
    }

    /// The capture has ended: all flows up to the first frame `upto` take their best answers. Those that `wait`, going by class
    /// and protocol, for what others announced stay; the others are closed and handed over one by one, in the order of their
    /// first frames.
    pub fn end(&mut self, upto: u64, waits: impl Fn(Class, Protocol) -> bool, mut take: impl FnMut(FlowSummary)) {
        if self.table.len() > 0 {
            self.ending.open = self.table.drain_in_order();
            self.cold_bytes = 0;
        }
        while let Some(mut flow) = self.ending.open.next_upto(upto) {
            end(&mut flow, &mut self.announced);
            if waits(class(&flow), flow.protocol.into()) {
                self.ending.waiting.push_back(flow);
            } else {
                take(self.close(flow));
            }
        }
    }

    /// Closes the flows up to the first frame `upto` that stayed when the capture ended, and hands them over one by one, in the
    /// order of their first frames.
    pub fn finish(&mut self, upto: u64, mut take: impl FnMut(FlowSummary)) {
        while self.ending.waiting.front().is_some_and(|flow| flow.first_frame() <= upto) {
            let flow = self.ending.waiting.pop_front();
            flow.into_iter().for_each(|flow| take(self.close(flow)));
        }
    }

    fn remove(&mut self, marks: u16, gone: Vec<(u64, u32)>) {
        if gone.is_empty() {
            return;
        }
        self.closed.reserve(gone.len());
        for (_, record) in gone {
            let mut flow = self.table.take(record);
            flow.set(marks);
            self.cold_bytes -= flow.held();
            let closed = self.close(flow);
            self.closed.push(closed);
        }
        self.table.tidy();
    }

    fn close(&mut self, mut flow: Flow) -> FlowSummary {
        end(&mut flow, &mut self.announced);
        summary(flow, &self.clock, &self.stacks)
    }
}

/// TCP header flags (RFC 9293 section 3.1).
mod tcp {
    pub const FIN: u8 = 0x01;
    pub const SYN: u8 = 0x02;
    pub const RST: u8 = 0x04;
    pub const ACK: u8 = 0x10;
}

/// Whether the packet belongs to a new conversation between the same ends.
fn starts_anew(flow: &Flow, arrival: &Arrival<'_>, limits: &Limits) -> bool {
    let packet = arrival.packet;
    if packet.key.transport() != Transport::TCP {
        return arrival.time_ns.saturating_sub(flow.last_ns) > limits.other_ns;
    }
    // Silence alone ends no connection here: sequence numbers that go on are the same connection after any time.
    if packet.tcp_flags & (tcp::SYN | tcp::ACK | tcp::RST) != tcp::SYN {
        return false;
    }
    // A SYN: the same connection only if it repeats the first one, even after a reset that refused it.
    let known = if packet.from == Side::Low { mark::SEQ_LOW } else { mark::SEQ_HIGH };
    if !flow.has(known) {
        return flow.total().payload_bytes > 0;
    }
    let sent = flow.next_seq[packet.from as usize].wrapping_sub(packet.seq.wrapping_add(1));
    !(flow.has(mark::SYN) && u64::from(sent) == flow.counts(packet.from).payload_bytes)
}

/// The flow goes on in another interval, or the numbers of this one are full.
#[cold]
fn leave_interval(flow: &mut Flow, interval: u32, arrival: &Arrival<'_>, clock: &Clock) {
    let readable = flow.cold.as_deref().map_or(Counts::default(), Cold::readable);
    let left_ns = clock.time_ns(std::mem::replace(&mut flow.interval, interval));
    let mut left = [Side::Low, Side::High].map(|side| flow.take_counts(side));
    // Fragments that claim more than the numbers of the record hold.
    left[arrival.packet.from as usize].add(Flow::beyond_room(arrival.frames, arrival.wire_len));
    match &mut flow.cold().parts {
        Some(parts) => parts.leave(left_ns, left, readable, clock),
        none => *none = Some(Box::new(Parts::new(left_ns, left, readable))),
    }
}

/// Accounts a TCP segment: flags, sequence space, and the bytes if they are still wanted.
fn take_segment(flow: &mut Flow, arrival: &Arrival<'_>, cold_bytes: &mut usize, announced: &mut Vec<Announcement>) {
    let packet = arrival.packet;
    let (side, from) = (packet.from as usize, packet.from);
    let (known, fin) = match from {
        Side::Low => (mark::SEQ_LOW, mark::FIN_LOW),
        Side::High => (mark::SEQ_HIGH, mark::FIN_HIGH),
    };
    let mut seq = packet.seq;
    if packet.tcp_flags & (tcp::FIN | tcp::SYN | tcp::RST) != 0 {
        if packet.tcp_flags & tcp::SYN != 0 {
            seq = seq.wrapping_add(1);
            flow.set(mark::SYN);
            flow.set_client(if packet.tcp_flags & tcp::ACK == 0 { from } else { from.other() });
            if !flow.has(known) || flow.counts(from).payload_bytes == 0 {
                flow.next_seq[side] = seq;
                flow.set(known);
            }
        }
        if packet.tcp_flags & tcp::RST != 0 {
            flow.set(mark::RST);
            // Bytes of a reset are a diagnostic text, not stream data (RFC 9293 section 3.5.3).
            return;
        }
        if packet.tcp_flags & tcp::FIN != 0 {
            flow.set(fin);
        }
    }
    let len = packet.payload_len;
    if len == 0 {
        return;
    }
    if !flow.has(known) {
        flow.next_seq[side] = seq;
        flow.set(known);
    }
    let next = flow.next_seq[side];
    let settled = flow.has(mark::SETTLED);
    if settled && seq == next {
        flow.next_seq[side] = next.wrapping_add(len);
        flow.add_payload(from, len);
        return;
    }
    let before = flow.held();
    let rare = flow.cold.as_deref_mut().and_then(|cold| cold.rare.as_deref_mut());
    let holes = rare.and_then(|rare| rare.holes.as_deref_mut()).map(|holes| &mut holes[side]);
    let step = order::advance(next, seq, len, holes);
    account(flow, from, step, seq);
    if !settled {
        read_segment(flow, arrival, seq, next, announced);
    }
    *cold_bytes = *cold_bytes + flow.weigh() - before;
}

/// Whether with this FIN both sides have said all they had to say to who still reads: then nobody need wait for a time-out.
/// A reset may be another's, and the connection go on.
fn is_over(flow: &mut Flow, packet: &Packet) -> bool {
    let side = packet.from as usize;
    let next_seq = flow.next_seq[side];
    let settled = flow.has(mark::SETTLED | mark::RST);
    let Some(cold) = flow
        .cold
        .as_deref_mut()
        .filter(|cold| !settled && !matches!(cold.stage, Stage::Settled) && packet.tcp_flags & tcp::SYN == 0)
    else {
        return false;
    };
    let reached = &mut cold.reached;
    let read = if reached.started[side] { reached.next[side] } else { next_seq };
    reached.ended[side] |= packet.seq.wrapping_add(packet.payload_len) == read;
    reached.ended == [true; 2] && (0..2).all(|side| cold.waiting.is_empty(side))
}

/// Adds what a segment brought, and remembers the hole in front of it.
fn account(flow: &mut Flow, from: Side, step: Advance, seq: u32) {
    let side = from as usize;
    let expected = flow.next_seq[side];
    flow.next_seq[side] = step.next;
    flow.add_payload(from, step.fresh);
    if step.repeated > 0 {
        flow.cold().rare().retransmitted_bytes += u64::from(step.repeated);
    }
    if step.opens_hole {
        flow.cold().rare().holes.get_or_insert_default()[side].open(expected, seq);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::model::{Endpoint, FlowKey, Tunnel};

    /// A packet of which no payload was captured.
    fn packet(key: FlowKey, from: Side, payload_len: u32) -> Packet {
        Packet {
            key,
            from,
            vlan: 0,
            tcp_flags: 0,
            tunnels: [Tunnel::default(); 6],
            seq: 0,
            payload_start: 0,
            payload_captured: 0,
            payload_len,
        }
    }

    /// A shard that took segments `(from the opener, flags, sequence number, payload)` of one connection.
    fn shard(segments: &[(bool, u8, u32, &[u8])]) -> Shard {
        let end = |host, port| Endpoint { ip: IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)), port };
        let (opener, other) = (end(1, 40_000), end(2, 4000));
        let seed = Seed::random();
        let mut shard = Shard::new(Limits::default(), Steps::Automatic, seed);
        for (frame, (from_opener, tcp_flags, seq, payload)) in (0..).zip(segments) {
            let (a, b) = if *from_opener { (opener, other) } else { (other, opener) };
            let (key, from) = FlowKey::new(Transport::TCP, a, b);
            let len = payload.len() as u32;
            let packet = Packet { tcp_flags: *tcp_flags, seq: *seq, payload_captured: len, ..packet(key, from, len) };
            let hash = key.hash_with(seed);
            let wire_len = 54 + u64::from(len);
            shard.serve(&[Arrival { packet: &packet, hash, frame, frames: 1, time_ns: 0, wire_len, payload }]);
        }
        shard
    }

    /// The flow that these segments make.
    fn flow(segments: &[(bool, u8, u32, &[u8])]) -> FlowSummary {
        let mut closed = Vec::new();
        shard(segments).end(u64::MAX, |_, _| false, |flow| closed.push(flow));
        assert_eq!(closed.len(), 1);
        closed.remove(0)
    }

    #[test]
    fn the_first_to_arrive_is_not_always_the_first_that_was_sent() {
        let ask: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let (head, body) = (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n".as_slice(), b"\r\nabcd".as_slice());
        let behind = 501 + head.len() as u32;
        let found = flow(&[
            (true, tcp::SYN, 100, b""),
            (false, tcp::SYN | tcp::ACK, 500, b""),
            (true, tcp::ACK, 101, ask),
            (false, tcp::ACK, behind, body),
            (false, tcp::ACK, 501, head),
        ]);
        assert_eq!((found.class, found.protocol.name(), found.gaps), (Class::Plaintext, "http", 0));
        assert_eq!(found.from_server.payload_bytes, (head.len() + body.len()) as u64);
    }

    #[test]
    fn who_has_said_all_waits_for_nothing() {
        // Bytes that nobody knows, and more to come.
        let (ask, answer): (&[u8], &[u8]) = (&[0xe1; 200], &[0xe3; 300]);
        let talk = [
            (true, tcp::SYN, 100, b"".as_slice()),
            (false, tcp::SYN | tcp::ACK, 500, b""),
            (true, tcp::ACK, 101, ask),
            (false, tcp::ACK, 501, answer),
        ];
        let held = |more: &[(bool, u8, u32, &[u8])]| shard(&[&talk, more].concat()).cold_bytes;
        let (fin, gone) = (tcp::FIN | tcp::ACK, |bytes: usize| bytes + 400 < held(&[]));
        let cases: &[(&str, &[(bool, u8, u32, &[u8])], bool)] = &[
            ("both", &[(true, fin, 301, b""), (false, fin, 801, b"")], true),
            ("both, with the last bytes", &[(true, fin, 301, b"?"), (false, fin, 801, b"!")], true),
            ("one", &[(true, fin, 301, b"")], false),
            ("a hole before one", &[(true, fin, 301, b""), (false, fin, 802, b"")], false),
            ("a reset", &[(true, tcp::RST, 301, b""), (false, tcp::RST, 801, b"")], false),
        ];
        for (name, more, want) in cases {
            assert_eq!(gone(held(more)), *want, "{name}: {} of {}", held(more), held(&[]));
        }
    }

    /// More stacks than have numbers, and half of the flows on in a shard that goes on with what this one knew.
    #[test]
    fn every_flow_keeps_its_tunnels() {
        let tunnels = |n: u16| [n / 30, n % 30, 0, 1, 2, 3].map(|kind| Tunnel(kind as u8));
        let seed = Seed::random();
        let new = || Shard::new(Limits::default(), Steps::Automatic, seed);
        let mut shards = [new(), new()];
        for n in 0..600 {
            let end = |host, port| Endpoint { ip: IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)), port };
            let (key, from) = FlowKey::new(Transport::UDP, end(1, n), end(2, 4000));
            let packet = Packet { tunnels: tunnels(n), ..packet(key, from, 9) };
            let (hash, payload) = (key.hash_with(seed), b"who knows".as_slice());
            if n == 300 {
                let [first, second] = &mut shards;
                first.copy_to(second).unwrap();
            }
            let arrival =
                Arrival { packet: &packet, hash, frame: n.into(), frames: 1, time_ns: 0, wire_len: 51, payload };
            shards[usize::from(n / 300)].serve(&[arrival]);
        }
        let [_, mut shard] = shards;
        let mut flows = Vec::new();
        shard.end(u64::MAX, |_, _| false, |flow| flows.push(flow));
        flows.sort_unstable_by_key(|flow| flow.first_frame);
        assert_eq!(flows.len(), 600);
        for (flow, n) in flows.iter().zip(0..) {
            assert_eq!(flow.tunnels, tunnels(n), "{n}");
        }
    }

    #[test]
    fn numbers_of_a_flow_have_no_end() {
        let end = |host, port| Endpoint { ip: IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)), port };
        let (key, from) = FlowKey::new(Transport::UDP, end(1, 40_000), end(2, 4000));
        let seed = Seed::random();
        let most = u64::from(u32::MAX);
        for steps in [Steps::Automatic, Steps::Every(1)] {
            let mut shard = Shard::new(Limits::default(), steps, seed);
            let mut want = Counts::default();
            for (frame, wire_len) in (0..).zip([most, most, 100, 7 << 40 | 9, most - 9, 1]) {
                let packet = packet(key, from, u32::MAX - 1);
                let hash = packet.key.hash_with(seed);
                let (frames, time_ns) = (u32::MAX / 2, frame as i64 / 3 * 1_000_000_000);
                let counts = Counts { packets: u64::from(frames), wire_bytes: wire_len, payload_bytes: most - 1 };
                shard.serve(&[Arrival { packet: &packet, hash, frame, frames, time_ns, wire_len, payload: &[] }]);
                want.add(counts);
            }
            let mut flows = Vec::new();
            shard.end(u64::MAX, |_, _| false, |flow| flows.push(flow));
            let [flow] = &flows[..] else { panic!("{} flows", flows.len()) };
            assert_eq!(flow.total(), want);
            let mut parts = Counts::default();
            flow.parts.iter().for_each(|part| parts.add(part.counts));
            assert_eq!((flow.parts.len(), parts), (2, want), "{steps:?}");
        }
    }

    #[test]
    fn who_opened_may_speak_as_the_server() {
        let (call, answer) = (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".as_slice(), b"HTTP/1.1 200 OK\r\n\r\n".as_slice());
        for opener_asks in [true, false] {
            let found = flow(&[
                (true, tcp::SYN, 100, b""),
                (false, tcp::SYN | tcp::ACK, 500, b""),
                (opener_asks, tcp::ACK, if opener_asks { 101 } else { 501 }, call),
                (!opener_asks, tcp::ACK, if opener_asks { 501 } else { 101 }, answer),
            ]);
            assert_eq!((found.class, found.protocol.name()), (Class::Plaintext, "http"), "{opener_asks}");
            assert_eq!(found.key.endpoint(found.client).port, 40_000, "the client stays who sent the SYN");
        }
    }
}
