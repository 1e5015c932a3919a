//! The bytes of a flow that is not settled: put in order, to the probe until somebody knows them, then to a session.

use super::announcement::Announcement;
use super::arrival::Arrival;
use super::order::Reached;
use super::probe::{self, Answer, Probe};
use super::record::{Cold, Flow, Rare, Reading, Stage, mark};
use crate::detect::{Dissector, Found, Moment, Step, content};
use crate::model::{Counts, Facts, Side, Trace, Transport};

/// Reads the bytes of a segment in the order of the stream: at once, or when what is missing before them has come.
/// `expected` is the number that was to come next: after a SYN, what arrives first may not be what was sent first.
pub(super) fn read_segment(
    flow: &mut Flow,
    arrival: &Arrival<'_>,
    seq: u32,
    expected: u32,
    announced: &mut Vec<Announcement>,
) {
    let from = arrival.packet.from;
    let side = from as usize;
    let fresh_probe = flow.cold.is_none() || matches!(flow.cold().stage, Stage::Settled);
    if fresh_probe {
        let from_start = flow.has(mark::SYN);
        flow.cold().stage = Stage::Probing(Box::new(Probe::new(from_start)));
    }
    if (arrival.payload.len() as u64) < u64::from(arrival.packet.payload_len) {
        flow.set(mark::CUT_SHORT);
    }
    let cold = flow.cold();
    let Reached { next, started, .. } = &mut cold.reached;
    if !started[side] {
        (next[side], started[side]) = (expected, true);
    }
    let distance = seq.wrapping_sub(next[side]) as i32;
    if distance > 0 {
        cold.waiting.hold(side, seq, arrival.payload);
        if !cold.waiting.is_full(side) {
            return;
        }
        lose(flow, from, announced);
        if !flow.has(mark::SETTLED) {
            flow.cold().skip_hole(side);
        }
    } else {
        let known = distance.unsigned_abs() as usize;
        if known > 0 && arrival.payload.len() > 1 {
            note_conflict(cold, from, known, arrival.payload);
        }
        let Some(fresh) = arrival.payload.get(known..).filter(|fresh| !fresh.is_empty()) else {
            return;
        };
        let next = &mut cold.reached.next[side];
        *next = next.wrapping_add(fresh.len() as u32);
        let cut = arrival.packet.payload_len as usize > arrival.payload.len();
        read(flow, from, fresh, arrival, announced);
        if cut && !flow.has(mark::SETTLED) {
            lose(flow, from, announced);
            let end = seq.wrapping_add(arrival.packet.payload_len);
            flow.cold().reached.next[side] = end;
        }
    }
    while !flow.has(mark::SETTLED)
        && let Some(bytes) = flow.cold().release(side)
    {
        read(flow, from, &bytes, arrival, announced);
    }
}

/// Compares bytes that repeat sequence numbers with those kept; an overlap that says something else is an attempt to
/// be read differently by different readers.
fn note_conflict(cold: &mut Cold, from: Side, back: usize, bytes: &[u8]) {
    if let Stage::Probing(probe) = &cold.stage
        && probe.contradicts(from, back, bytes)
    {
        cold.rare().conflicts += 1;
    }
}

/// Bytes of one side were never captured: what is known so far must do, or detection begins again behind the hole.
fn lose(flow: &mut Flow, from: Side, announced: &mut Vec<Announcement>) {
    flow.set(mark::GAP);
    let is_client = from == flow.speaks_as_client();
    match &mut flow.cold().stage {
        Stage::Settled => {}
        Stage::Probing(_) => {
            decide(flow, true, announced);
            if matches!(flow.cold().stage, Stage::Reading(..)) {
                lose(flow, from, announced);
            }
        }
        Stage::Reading(reading) => {
            if !reading.session.gap(is_client) {
                end_session(flow, announced);
            }
        }
    }
}

/// Stream bytes in order: to the probe, or to the session.
fn read(flow: &mut Flow, from: Side, bytes: &[u8], arrival: &Arrival<'_>, announced: &mut Vec<Announcement>) {
    note_frame(flow, arrival);
    let total = flow.total();
    match &mut flow.cold().stage {
        Stage::Settled => {}
        Stage::Probing(probe) => {
            let room = probe.push_stream(from, bytes, total);
            if !room || probe.is_due(Transport::TCP) {
                decide(flow, !room, announced);
            }
        }
        Stage::Reading(..) => {
            let moment = Moment { time_ns: arrival.time_ns, wire_len: bytes.len() };
            feed(flow, from, bytes, moment, total, announced);
        }
    }
}

/// Remembers the frame in hand, where it is asked for.
fn note_frame(flow: &mut Flow, arrival: &Arrival<'_>) {
    if flow.has(mark::TRACED) {
        flow.cold().rare().frame = arrival.frame;
    }
}

/// A datagram of a flow that is not settled.
pub(super) fn take_datagram(flow: &mut Flow, arrival: &Arrival<'_>, announced: &mut Vec<Announcement>) {
    note_frame(flow, arrival);
    let packet = arrival.packet;
    let total = flow.total();
    if arrival.payload.len() < packet.payload_len as usize {
        flow.set(mark::CUT_SHORT);
    }
    let transport = flow.key().transport();
    let moment = Moment { time_ns: arrival.time_ns, wire_len: packet.payload_len as usize };
    let cold = flow.cold.as_deref_mut();
    match cold.map(|cold| &mut cold.stage) {
        Some(Stage::Reading(..)) => feed(flow, packet.from, arrival.payload, moment, total, announced),
        Some(Stage::Probing(probe)) => {
            let room = probe.push_datagram(packet.from, arrival.payload, packet.payload_len, total);
            if !room || probe.is_due(transport) {
                decide(flow, !room, announced);
            }
        }
        Some(Stage::Settled) | None => {
            let (answer, out) = probe::ask_datagram(transport, packet.from, arrival.payload, packet.payload_len);
            if let Answer::Found(dissector, found, client) = answer {
                if flow.has(mark::TRACED) {
                    keep_trace(flow, Some((dissector, found)), client, [(packet.from, arrival.payload)].into_iter());
                }
                adopt(flow, found, client);
                if let Some(session) = dissector.session(found) {
                    flow.set_client(client);
                    flow.cold().stage = Stage::Reading(Reading::new(session, found));
                    feed(flow, packet.from, arrival.payload, moment, total, announced);
                } else {
                    flow.set(mark::SETTLED);
                }
                return;
            }
            let mut probe = Probe::new(true);
            probe.out = out;
            probe.push_datagram(packet.from, arrival.payload, packet.payload_len, total);
            flow.cold().stage = Stage::Probing(Box::new(probe));
            if matches!(answer, Answer::Nobody) {
                nobody_knows(flow);
            }
        }
    }
}

/// Asks the dissectors and acts on the answer.
fn decide(flow: &mut Flow, last: bool, announced: &mut Vec<Announcement>) {
    let transport = flow.key().transport();
    let likely = flow.client();
    let known = (flow.has(mark::CLIENT_KNOWN)).then_some(likely);
    let Stage::Probing(probe) = &mut flow.cold().stage else { return };
    match probe.ask(transport, known, likely, last) {
        Answer::NeedMore => {}
        Answer::Nobody => nobody_knows(flow),
        Answer::Found(dissector, found, client) => {
            trace(flow, Some((dissector, found)), client);
            begin_session(flow, dissector, found, client, announced);
        }
    }
}

/// Keeps how the flow was recognised, where that was asked for.
fn trace(flow: &mut Flow, by: Option<(&'static dyn Dissector, Found)>, client: Side) {
    if !flow.has(mark::TRACED) {
        return;
    }
    let transport = flow.key().transport();
    let stage = std::mem::take(&mut flow.cold().stage);
    if let Stage::Probing(probe) = &stage {
        keep_trace(flow, by, client, probe.pieces(transport).map(|(piece, bytes)| (piece.from, bytes)));
    }
    flow.cold().stage = stage;
}

fn keep_trace<'a>(
    flow: &mut Flow,
    by: Option<(&'static dyn Dissector, Found)>,
    client: Side,
    pieces: impl Iterator<Item = (Side, &'a [u8])>,
) {
    /// Bytes of each side that are kept.
    const KEPT: usize = 64;
    let mut trace = Trace {
        dissector: by.map(|(dissector, _)| (dissector.protocol(), dissector.source())),
        said: by.map(|(_, found)| (found.class, found.evidence)),
        packets: flow.total().packets,
        frame: flow.cold().rare().frame,
        ..Trace::default()
    };
    for (from, bytes) in pieces {
        let opening = &mut trace.openings[usize::from(from != client)];
        let room = KEPT.saturating_sub(opening.len());
        opening.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }
    flow.cold().facts.get_or_insert_default().trace = Some(Box::new(trace));
}

/// No dissector knows the bytes kept: look at what follows, and settle as unknown when that was done often enough.
fn nobody_knows(flow: &mut Flow) {
    trace(flow, None, flow.client());
    let transport = flow.key().transport();
    let cold = flow.cold.get_or_insert_default();
    let Stage::Probing(probe) = &mut cold.stage else { return };
    flow.content.get_or_insert_with(|| content::look(probe.sample()));
    let mut openings = cold.rare.as_deref_mut().and_then(|rare| rare.openings.take());
    probe.keep_openings(transport, &mut openings);
    if openings.is_some() {
        cold.rare.get_or_insert_default().openings = openings;
    }
    if !probe.restart() {
        cold.stage = Stage::Settled;
        cold.waiting.clear();
        flow.set(mark::SETTLED);
    }
}

fn adopt(flow: &mut Flow, found: Found, client: Side) {
    flow.protocol = found.protocol.into();
    flow.class = found.class;
    flow.evidence = found.evidence;
    if found.client_proven && !flow.has(mark::CLIENT_KNOWN) {
        flow.set_client(client);
    }
}

/// The protocol is known: what was kept goes to its session, piece by piece in the order of arrival.
fn begin_session(
    flow: &mut Flow,
    dissector: &'static dyn Dissector,
    found: Found,
    client: Side,
    announced: &mut Vec<Announcement>,
) {
    adopt(flow, found, client);
    let transport = flow.key().transport();
    let Some(session) = dissector.session(found) else {
        settle(flow);
        return;
    };
    if !flow.has(mark::CLIENT_KNOWN) {
        flow.set_client(client);
    }
    if client != flow.client() {
        flow.set(mark::EXCHANGED);
    }
    let stage = std::mem::replace(&mut flow.cold().stage, Stage::Reading(Reading::new(session, found)));
    let Stage::Probing(probe) = stage else { return };
    let time_ns = flow.last_ns;
    for (piece, bytes) in probe.pieces(transport) {
        if flow.has(mark::SETTLED) {
            return;
        }
        let moment = Moment { time_ns, wire_len: piece.wire_len as usize };
        feed(flow, piece.from, bytes, moment, piece.total, announced);
    }
}

/// Feeds the session; `total` is what the flow amounted to with the packet that brought the bytes.
fn feed(flow: &mut Flow, from: Side, bytes: &[u8], moment: Moment, total: Counts, announced: &mut Vec<Announcement>) {
    let mut rest = bytes;
    let Stage::Reading(reading) = &mut flow.cold().stage else { return };
    let before_piece = std::mem::replace(&mut reading.total, total);
    // An upgrade hands the rest of the piece to the next session; each hand-over uses up a session, and sessions that
    // hand over without reading are bounded here.
    for _ in 0..8 {
        let is_client = from == flow.speaks_as_client();
        let cold = flow.cold();
        let Stage::Reading(reading) = &mut cold.stage else { return };
        match reading.session.feed(is_client, rest, moment) {
            Step::Continue => return,
            Step::Done => return end_session(flow, announced),
            Step::Readable => {
                cold.rare().readable.add(total.without(before_piece));
                return;
            }
            Step::Upgrade { found: next_found, rest: left, next } => {
                let before = std::mem::replace(&mut reading.found, next_found);
                let session = std::mem::replace(&mut reading.session, next);
                let mut old = before;
                session.finish(&mut old, cold.facts.get_or_insert_default());
                let readable = if left >= rest.len() && left > 0 { before_piece } else { total };
                let rare = cold.rare();
                rare.upgraded_from.get_or_insert(before.protocol);
                rare.readable = readable;
                if let Some(parts) = cold.parts.as_deref_mut() {
                    parts.read_up_to(readable);
                }
                flow.protocol = next_found.protocol.into();
                flow.class = next_found.class;
                flow.evidence = next_found.evidence;
                rest = rest.len().checked_sub(left).and_then(|start| rest.get(start..)).unwrap_or_default();
                if rest.is_empty() {
                    return;
                }
            }
        }
    }
    end_session(flow, announced);
}

/// Takes the facts of the session over and settles the flow.
fn end_session(flow: &mut Flow, announced: &mut Vec<Announcement>) {
    let key = flow.key();
    let Some(cold) = flow.cold.as_deref_mut() else { return };
    if let Stage::Reading(reading) = std::mem::take(&mut cold.stage) {
        let Reading { session, mut found, total: _ } = *reading;
        let mut facts = cold.facts.take().unwrap_or_default();
        session.finish(&mut found, &mut facts);
        let said_by = [Side::Low, Side::High].map(|side| key.endpoint(side));
        let shard = super::shard_of(key.shard_hash()) as u8;
        let signs = std::mem::take(&mut facts.announced).into_iter();
        announced.extend(signs.map(|(by, protocol)| Announcement { by, protocol, said_by, shard }));
        if *facts != Facts::default() {
            cold.facts = Some(facts);
        }
        flow.protocol = found.protocol.into();
        flow.class = found.class;
        flow.evidence = found.evidence;
    }
    settle(flow);
}

/// Detection is over: lets go of all that only it needed.
fn settle(flow: &mut Flow) {
    flow.set(mark::SETTLED);
    let Some(cold) = flow.cold.as_deref_mut() else { return };
    cold.stage = Stage::Settled;
    cold.waiting.clear();
    let worth_keeping =
        cold.facts.is_some() || cold.parts.is_some() || cold.rare.as_deref().is_some_and(Rare::is_worth_keeping);
    if !worth_keeping {
        flow.cold = None;
    }
}

/// The flow ends: whatever waits is read, and the best answer so far is taken.
pub(super) fn end(flow: &mut Flow, announced: &mut Vec<Announcement>) {
    if flow.has(mark::SETTLED) {
        return;
    }
    let time_ns = flow.last_ns;
    for from in [Side::Low, Side::High] {
        let side = from as usize;
        while flow.cold.as_ref().is_some_and(|cold| !cold.waiting.is_empty(side)) && !flow.has(mark::SETTLED) {
            lose(flow, from, announced);
            flow.cold().skip_hole(side);
            while let Some(bytes) = flow.cold().release(side) {
                let total = flow.total();
                match &mut flow.cold().stage {
                    Stage::Settled => {}
                    Stage::Probing(probe) => {
                        probe.push_stream(from, &bytes, total);
                    }
                    Stage::Reading(..) => {
                        feed(flow, from, &bytes, Moment { time_ns, wire_len: bytes.len() }, total, announced);
                    }
                }
            }
        }
    }
    if let Some(Stage::Probing(_)) = flow.cold.as_deref().map(|cold| &cold.stage) {
        decide(flow, true, announced);
    }
    if let Some(Stage::Reading(..)) = flow.cold.as_deref().map(|cold| &cold.stage) {
        end_session(flow, announced);
    }
    settle(flow);
}
