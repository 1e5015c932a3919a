//! The first bytes of a flow, and the question put to the dissectors each time there are more of them.

use super::pieces::{Piece, Pieces};
use super::roster::{Out, Places, Roster};
use crate::detect::{Datagram, Dissector, Found, Heads, MAX_DATAGRAMS, MAX_HEAD, Outcome};
use crate::model::{Counts, Opening, Side, Transport, opening};

/// A flow whose protocol is being looked for.
#[derive(Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Probe {
    /// Bytes kept of each side of a stream, or all datagrams one after another (in `heads[0]`).
    heads: [Box<[u8]>; 2],
    pieces: Pieces,
    pub(super) out: Out,
    /// Head size at which the dissectors are asked again.
    ask_at: u32,
    asked: u8,
    /// How many pieces are kept, as far as that is counted.
    kept: u8,
    /// How often the heads were dropped because no dissector wanted them.
    restarts: u8,
    /// The heads start at the first byte of the connection.
    from_start: bool,
}

/// What came of asking.
pub(super) enum Answer {
    /// Not known yet.
    NeedMore,
    /// Nobody knows these bytes.
    Nobody,
    /// Recognised, with the side that is the client if the bytes prove it.
    Found(&'static dyn Dissector, Found, Side),
}

/// How often heads that nobody knows are dropped to begin again with what comes next.
const MAX_RESTARTS: u8 = 4;

/// Datagrams kept are cut here; nothing that takes more than the first datagram to be recognised needs more.
const MAX_DATAGRAM: usize = 2048;

impl Probe {
    /// A probe without bytes; `from_start` when what comes is the beginning of the connection.
    pub(super) fn new(from_start: bool) -> Self {
        Self { from_start, ..Self::default() }
    }

    /// Heap bytes held.
    pub(super) fn memory(&self) -> usize {
        let heads: usize = self.heads.iter().map(|head| block(head.len())).sum();
        block(size_of::<Self>()) + heads + block(self.pieces.memory())
    }

    /// Keeps one more piece of a stream; `false` when there is no more room.
    pub(super) fn push_stream(&mut self, from: Side, bytes: &[u8], total: Counts) -> bool {
        let head = &mut self.heads[from as usize];
        let room = MAX_HEAD.saturating_sub(head.len());
        let kept = bytes.get(..room).unwrap_or(bytes);
        keep(head, kept);
        let has_room = kept.len() == bytes.len() && head.len() < MAX_HEAD;
        self.note(Piece { from, len: kept.len() as u32, wire_len: kept.len() as u32, total });
        has_room
    }

    /// Keeps one more datagram; `false` when there is no more room.
    pub(super) fn push_datagram(&mut self, from: Side, bytes: &[u8], wire_len: u32, total: Counts) -> bool {
        let kept = bytes.get(..MAX_DATAGRAM).unwrap_or(bytes);
        keep(&mut self.heads[0], kept);
        self.note(Piece { from, len: kept.len() as u32, wire_len, total });
        usize::from(self.kept) < MAX_DATAGRAMS
    }

    fn note(&mut self, piece: Piece) {
        self.pieces.push(piece);
        self.kept = self.kept.saturating_add(1);
    }

    /// Whether asking about what is kept is worth it. Hardly anything is recognised in between, and nothing is lost: when the
    /// answer comes, all is read from its first byte.
    pub(super) fn is_due(&self, transport: Transport) -> bool {
        match (transport, self.kept) {
            // What opens a connection is nearly always told by the answer, or by what comes next.
            (Transport::TCP, 1) => !self.from_start,
            (Transport::TCP, 5..) => self.held() >= self.ask_at as usize,
            (Transport::TCP, _) => true,
            (_, kept) => matches!(kept, 1..=4 | 6),
        }
    }

    fn held(&self) -> usize {
        self.heads[0].len() + self.heads[1].len()
    }

    /// The bytes kept, in order of arrival.
    pub(super) fn pieces(&self, transport: Transport) -> impl Iterator<Item = (Piece, &[u8])> {
        let stream = transport == Transport::TCP;
        let mut at = [0usize; 2];
        self.pieces.iter().map(move |piece| {
            let head = if stream { piece.from as usize } else { 0 };
            let start = at[head];
            at[head] += piece.len as usize;
            (piece, self.heads[head].get(start..at[head]).unwrap_or_default())
        })
    }

    /// Keeps how each side opens, if the flow may be the middle of a QUIC connection.
    pub(super) fn keep_openings(&self, transport: Transport, kept: &mut Option<Box<[Opening; 2]>>) {
        if transport != Transport::UDP {
            return;
        }
        for (piece, bytes) in self.pieces(transport) {
            let known = kept.as_ref().is_some_and(|kept| kept[piece.from as usize] != Opening::default());
            if let Some(opening) = opening(bytes).filter(|_| !known) {
                kept.get_or_insert_default()[piece.from as usize] = opening;
            }
        }
    }

    /// Some bytes kept, to look at what unknown content is like.
    pub(super) fn sample(&self) -> &[u8] {
        if self.heads[1].len() > self.heads[0].len() { &self.heads[1] } else { &self.heads[0] }
    }

    /// Whether bytes kept of `from` differ from `bytes`, which lie `back` bytes before the end of what is kept.
    pub(super) fn contradicts(&self, from: Side, back: usize, bytes: &[u8]) -> bool {
        let head = &self.heads[from as usize];
        let Some(start) = head.len().checked_sub(back) else { return false };
        head.get(start..).is_some_and(|kept| kept.iter().zip(bytes).any(|(kept, new)| kept != new))
    }

    /// Begins again with what comes next; `false` when that was done often enough.
    pub(super) fn restart(&mut self) -> bool {
        self.heads = Default::default();
        self.pieces = Pieces::default();
        self.kept = 0;
        self.from_start = false;
        self.ask_at = 0;
        self.out = Out::default();
        self.restarts += 1;
        self.restarts <= MAX_RESTARTS
    }

    /// Asks the dissectors. `known` is the client when a SYN told, `likely` who it is else; at the end of a flow, or
    /// when there is no more room, `last` takes what is good enough.
    pub(super) fn ask(&mut self, transport: Transport, known: Option<Side>, likely: Side, last: bool) -> Answer {
        self.asked = self.asked.saturating_add(1);
        self.ask_at = (self.held() + self.held() / 4) as u32;
        let thorough = last || self.asked % 4 == 3;
        let order = [known.unwrap_or(likely), likely.other()];
        let sides = if known.is_some() { &order[..1] } else { &order[..] };
        if transport == Transport::TCP {
            self.ask_stream(sides, known, last, thorough)
        } else {
            self.ask_datagrams(transport, sides, last, thorough)
        }
    }

    fn ask_stream(&mut self, sides: &[Side], known: Option<Side>, last: bool, thorough: bool) -> Answer {
        let roster = Roster::of(Transport::TCP);
        let [low, high] = &self.heads;
        let stream = |client, server| Heads { client, server, datagrams: &[], from_start: self.from_start };
        let heads = [stream(low, high), stream(high, low)];
        for (out, heads) in self.out.iter_mut().zip(heads) {
            roster.close_to_stream(heads, out);
        }
        let idle = [roster.idle(heads[0]), roster.idle(heads[1])];
        match (ask(roster, sides, last, thorough, heads, idle, &mut self.out), known) {
            // Whoever opened the connection nearly always speaks as the client. What nobody knows that way is
            // looked at with the sides exchanged: active FTP (RFC 959 section 3.2), reverse connections.
            (Answer::Nobody, Some(client)) => ask(roster, &[client.other()], last, true, heads, idle, &mut self.out),
            (answer, _) => answer,
        }
    }

    fn ask_datagrams(&mut self, transport: Transport, sides: &[Side], last: bool, thorough: bool) -> Answer {
        let mut lists = [[NO_DATAGRAM; MAX_DATAGRAMS]; 2];
        let mut count = 0;
        for ((piece, bytes), place) in self.pieces(transport).zip(0..MAX_DATAGRAMS) {
            for client in [Side::Low, Side::High] {
                lists[client as usize][place] =
                    Datagram { from_client: piece.from == client, bytes, wire_len: piece.wire_len as usize };
            }
            count = place + 1;
        }
        let roster = Roster::of(transport);
        let mut out = self.out;
        if count == 1 {
            // Whoever said no to this datagram says so again.
            let closed = roster.closed_to_datagrams(&lists[0][..1]);
            out.iter_mut().for_each(|out| *out |= closed);
        } else if last {
            // A dissector may forgive a datagram that is not its own once it has seen the others.
            out = [roster.closed_to_datagrams(&lists[0][..count]); 2];
        }
        let heads = |client: usize| packets(&lists[client][..count]);
        let answer = ask(roster, sides, last, thorough, [heads(0), heads(1)], [0; 2], &mut out);
        self.out = out;
        answer
    }
}

/// What a block of memory takes of its allocator, which has four sizes of blocks for each doubling: most blocks here are
/// small. Unit: bytes.
fn block(bytes: usize) -> usize {
    bytes.next_multiple_of((bytes.next_power_of_two() / 8).max(16))
}

/// Puts `bytes` at the end of `head`, which has no more room than it needs: most heads stay small and wait.
fn keep(head: &mut Box<[u8]>, bytes: &[u8]) {
    let mut longer = std::mem::take(head).into_vec();
    longer.reserve_exact(bytes.len());
    longer.extend_from_slice(bytes);
    *head = longer.into_boxed_slice();
}

const NO_DATAGRAM: Datagram<'_> = Datagram { from_client: true, bytes: &[], wire_len: 0 };

fn packets<'a>(datagrams: &'a [Datagram<'a>]) -> Heads<'a> {
    Heads { datagrams, from_start: true, ..Heads::default() }
}

/// Asks about the first datagram of a flow, before anything is kept of it; the probe in which to keep it if need be.
pub(super) fn ask_datagram(transport: Transport, from: Side, bytes: &[u8], wire_len: u32) -> (Answer, Out) {
    let list = |client: Side| [Datagram { from_client: from == client, bytes, wire_len: wire_len as usize }];
    let (low, high) = (list(Side::Low), list(Side::High));
    let roster = Roster::of(transport);
    let mut out = [roster.closed_to_datagrams(&low); 2];
    let heads = [packets(&low), packets(&high)];
    let answer = ask(roster, &[from, from.other()], false, false, heads, [0; 2], &mut out);
    (answer, out)
}

/// Puts the question to each dissector of the roster that has not said no, with each side of `sides` as the client.
/// The first that is sure wins; when none is and this is the last time, the first that is nearly sure.
///
/// Those after one that is nearly sure are asked only when this is to be `thorough`: nearly always it will be right.
/// Those that are `idle` would ask for more.
fn ask(
    roster: &Roster,
    sides: &[Side],
    last: bool,
    thorough: bool,
    heads: [Heads<'_>; 2],
    idle: Out,
    out: &mut Out,
) -> Answer {
    let waiting = |side: &Side| idle[*side as usize] & !out[*side as usize] != 0;
    let mut wait = sides.iter().any(waiting);
    let mut nearly: Option<Answer> = None;
    let mut left = roster.still_asked(sides, [out[0] | idle[0], out[1] | idle[1]]);
    while let Some(dissector) = roster.row(left.trailing_zeros()) {
        let bit: Places = left & left.wrapping_neg();
        left ^= bit;
        for &client in sides {
            if (out[client as usize] | idle[client as usize]) & bit != 0 {
                continue;
            }
            match dissector.probe(heads[client as usize]) {
                Outcome::No => out[client as usize] |= bit,
                Outcome::NeedMore => wait = true,
                Outcome::Likely(found) => {
                    wait = true;
                    nearly.get_or_insert(Answer::Found(dissector, found, client));
                    if !thorough {
                        return Answer::NeedMore;
                    }
                }
                Outcome::Found(found) => return Answer::Found(dissector, found, client),
            }
            if roster.sided() & bit == 0 {
                // Whoever the client is, the answer is the same.
                let gone = out[client as usize] & bit;
                out.iter_mut().for_each(|out| *out |= gone);
                break;
            }
        }
    }
    match nearly {
        Some(answer) if last => answer,
        _ if wait && !last => Answer::NeedMore,
        _ => Answer::Nobody,
    }
}
