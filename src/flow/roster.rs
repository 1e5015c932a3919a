//! Which dissectors are worth asking about a flow, from the first byte that each side sent.
//!
//! There are about a hundred dissectors for streams and as many for datagrams, and most refuse a flow for its first byte.
//! So each byte has its set of dissectors that it rules out, as bits by their place in the list of their transport:
//!
//! * datagrams: what the dissectors say themselves ([`Dissector::openings`]);
//! * streams: what follows from the law that a prefix of an accepted input is never refused. A dissector that refuses a
//!   side of one byte refuses all that begins with it, so it is asked about the byte alone, once in a run.
//!
//! This changes no answer: a dissector that is ruled out would have said no. Builds with debug assertions ask it.

use std::sync::OnceLock;

use crate::detect::{DISSECTORS, Datagram, Dissector, Heads, Openings, Outcome};
use crate::model::{Side, Transport};

/// A set of dissectors, as bits by their place in the roster: no transport has more than there are bits.
pub(super) type Places = u128;

/// Dissectors that have said no, for each client presumed. A no is final until the heads begin anew, so they are not
/// asked again before the last time.
pub(super) type Out = [Places; 2];

/// The dissectors of one transport, in the order of [`DISSECTORS`].
pub(super) struct Roster {
    transport: Transport,
    rows: Vec<&'static dyn Dissector>,
    all: Places,
    /// Those whose answer may depend on which side is the client.
    sided: Places,
    /// Ruled out by the first byte of a datagram.
    closed_to_datagrams: Vec<OnceLock<Places>>,
    /// Ruled out by the first byte of a stream's client, and of its server; first without, then with the start of the
    /// connection.
    closed_to_streams: Vec<OnceLock<Places>>,
    /// Those that leave a stream without a start to its other side, by the first byte of the client, and of the server.
    idle: Vec<OnceLock<Places>>,
}

impl Roster {
    /// The dissectors of `transport`.
    pub(super) fn of(transport: Transport) -> &'static Self {
        static ROSTERS: OnceLock<Vec<Roster>> = OnceLock::new();
        static NOBODY: OnceLock<Roster> = OnceLock::new();
        let rosters = ROSTERS.get_or_init(|| {
            let mut rosters: Vec<Self> = [Transport::TCP, Transport::UDP].map(Self::new).into();
            for row in DISSECTORS.iter().copied().flatten() {
                if rosters.iter().all(|roster| roster.transport != row.transport()) {
                    rosters.push(Self::new(row.transport()));
                }
            }
            rosters
        });
        let found = rosters.iter().find(|roster| roster.transport == transport);
        found.unwrap_or_else(|| NOBODY.get_or_init(|| Self::list(transport, Vec::new())))
    }

    fn new(transport: Transport) -> Self {
        let rows = DISSECTORS.iter().copied().flatten().copied();
        Self::list(transport, rows.filter(|row| row.transport() == transport).collect())
    }

    fn list(transport: Transport, rows: Vec<&'static dyn Dissector>) -> Self {
        let once = |count| std::iter::repeat_with(OnceLock::new).take(count).collect();
        let those = |holds: &dyn Fn(&dyn Dissector) -> bool| {
            let bits = rows.iter().zip(0..Places::BITS).map(|(row, place)| Places::from(holds(*row)) << place);
            bits.fold(0, |all, bit| all | bit)
        };
        let (all, sided) = (those(&|_| true), those(&|row| row.has_sides()));
        Self {
            transport,
            all,
            sided,
            rows,
            closed_to_datagrams: once(256),
            closed_to_streams: once(4 * 256),
            idle: once(2 * 256),
        }
    }

    /// Those that have not said no with each side of `sides` as the client.
    #[inline]
    pub(super) fn still_asked(&self, sides: &[Side], out: Out) -> Places {
        self.all & !sides.iter().fold(Places::MAX, |gone, side| gone & out[*side as usize])
    }

    /// The dissector at a place.
    #[inline]
    pub(super) fn row(&self, place: u32) -> Option<&'static dyn Dissector> {
        self.rows.get(place as usize).copied()
    }

    /// Those whose answer may depend on which side is the client.
    #[inline]
    pub(super) fn sided(&self) -> Places {
        self.sided
    }

    /// Those that refuse `datagrams` because none of them opens as theirs do.
    pub(super) fn closed_to_datagrams(&self, datagrams: &[Datagram<'_>]) -> Places {
        let mut closed = Places::MAX;
        for datagram in datagrams {
            // What only keeps a path open says nothing; neither does what was cut off.
            closed &= match datagram.bytes {
                [first, _, _, _, _, ..] => *self.closed_to_datagrams[usize::from(*first)].get_or_init(|| {
                    self.those(|row| row.openings() != Openings::ANY && !row.openings().contains(*first))
                }),
                _ => 0,
            };
        }
        let heads = Heads { datagrams, from_start: true, ..Heads::default() };
        self.assert_refused(closed, heads);
        closed
    }

    /// Adds those to `out` that refuse the first byte of the client, or of the server.
    pub(super) fn close_to_stream(&self, heads: Heads<'_>, out: &mut Places) {
        let mut closed = 0;
        for (side, head) in [(0, heads.client), (1, heads.server)] {
            let Some(first) = head.first() else { continue };
            let place = (usize::from(heads.from_start) * 2 + side) * 256 + usize::from(*first);
            closed |= *self.closed_to_streams[place].get_or_init(|| {
                let mut alone = Heads { from_start: heads.from_start, ..Heads::default() };
                *(if side == 0 { &mut alone.client } else { &mut alone.server }) = std::slice::from_ref(first);
                self.those(|row| !row.forgives_a_side() && row.probe(alone) == Outcome::No)
            });
        }
        *out |= closed;
        self.assert_refused(closed, heads);
    }

    /// Those that need not be asked while only one side of a stream has spoken: they wait for the other.
    pub(super) fn idle(&self, heads: Heads<'_>) -> Places {
        let (side, first) = match heads {
            Heads { client: [first, ..], server: [], from_start: false, .. } => (0, first),
            Heads { client: [], server: [first, ..], from_start: false, .. } => (1, first),
            _ => return 0,
        };
        let idle = *self.idle[side * 256 + usize::from(*first)].get_or_init(|| {
            let mut alone = Heads::default();
            *(if side == 0 { &mut alone.client } else { &mut alone.server }) = std::slice::from_ref(first);
            self.those(|row| row.waits_for_the_other(alone))
        });
        if cfg!(debug_assertions) {
            let all = self.rows.iter().zip(0..Places::BITS).filter(|(_, place)| idle >> place & 1 == 1);
            all.for_each(|(row, _)| assert_eq!(row.probe(heads), Outcome::NeedMore, "{} of {heads:?}", row.source()));
        }
        idle
    }

    fn those(&self, refuses: impl Fn(&dyn Dissector) -> bool) -> Places {
        self.rows.iter().zip(0..Places::BITS).fold(0, |all, (row, place)| all | Places::from(refuses(*row)) << place)
    }

    /// Holds the rows that are ruled out to it, in builds that check themselves.
    fn assert_refused(&self, closed: Places, heads: Heads<'_>) {
        if cfg!(debug_assertions) && !(heads.datagrams.is_empty() && self.transport != Transport::TCP) {
            for (row, place) in self.rows.iter().zip(0..Places::BITS) {
                let ruled_out = closed >> place & 1 == 1;
                assert!(
                    !ruled_out || matches!(row.probe(heads), Outcome::No | Outcome::NeedMore),
                    "{} is not asked about {heads:?}, and would accept it",
                    row.source()
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dissector_has_a_place() {
        for transport in [Transport::TCP, Transport::UDP, Transport(50), Transport(132)] {
            let roster = Roster::of(transport);
            assert!(!roster.rows.is_empty());
            assert_eq!(
                roster.all.count_ones() as usize,
                roster.rows.len(),
                "{transport:?}: {} are too few",
                Places::BITS
            );
        }
        assert!(Roster::of(Transport(255)).rows.is_empty());
    }

    #[test]
    fn the_first_byte_rules_most_out() {
        let open = |closed: Places, roster: &Roster| (roster.all & !closed).count_ones();
        let roster = Roster::of(Transport::UDP);
        for (first, most) in [(0x47, 40), (0x99, 40), (0x30, 45), (0, 60)] {
            let bytes = [first, 1, 2, 3, 4, 5, 6, 7];
            let datagram = Datagram { from_client: true, bytes: &bytes, wire_len: bytes.len() };
            let left = open(roster.closed_to_datagrams(&[datagram]), roster);
            assert!(left <= most, "{left} are asked about {first:#x}");
        }
        // Nothing is ruled out by what keeps a path open, nor by nothing.
        for bytes in [&b""[..], &[0; 4], b"\r\n"] {
            let datagram = Datagram { from_client: true, bytes, wire_len: bytes.len() };
            assert_eq!(roster.closed_to_datagrams(&[datagram]), Places::default());
        }
        let roster = Roster::of(Transport::TCP);
        let mut closed = Places::default();
        roster.close_to_stream(Heads { client: b"\xf7", from_start: true, ..Heads::default() }, &mut closed);
        assert!(open(closed, roster) <= 40, "{}", open(closed, roster));
    }

    #[test]
    fn texts_wait_for_the_other_side_of_a_stream_without_a_start() {
        let roster = Roster::of(Transport::TCP);
        let cases: &[(&str, &[u8], &[u8], bool, bool)] = &[
            ("one side, no text", b"\x17\x03\x03", b"", false, true),
            ("the other side, no text", b"", b"\x17\x03\x03", false, true),
            ("both sides", b"\x17\x03\x03", b"\x17", false, false),
            ("from the start", b"\x17\x03\x03", b"", true, false),
            ("nothing", b"", b"", false, false),
        ];
        for (name, client, server, from_start, want) in cases {
            let heads = Heads { client, server, from_start: *from_start, ..Heads::default() };
            assert_eq!(roster.idle(heads).count_ones() >= 10, *want, "{name}");
        }
    }
}
