//! STUN, TURN, and classic STUN; and what follows them on the same ports.
//!
//! Sources: RFC 8489 sections 5 and 14 (header, attributes), RFC 3489 section 11 (classic), RFC 8656 section 12.4
//! (ChannelData), RFC 7983 section 7 (first byte tells STUN, DTLS, TURN channels and RTP apart).
//! Evidence: the magic cookie with an exact length; classic: type, exact length and a chain of known attributes.
//! STUN is readable itself, and often only opens the way for something that is not. While a flow holds nothing else the
//! answer stays `Likely`, so that other dissectors see what follows; after the heads a [`Session`] goes on watching:
//! DTLS and the like take over, unrecognised content makes the flow unknown, with its STUN messages readable. What a relay
//! passes on (see [`super::relay`]) counts like what is sent directly.

use super::relay::{Relayed, content};
use super::rtp::is_media;
use super::shape::{Check, Reader, is_keepalive};
use crate::detect::{
    Datagram, Dissector, Found, Heads, MAX_DATAGRAMS, Moment, Openings, Outcome, Session, Step, fixed, sealed,
};
use crate::model::{Class, Evidence, Facts, Protocol, Transport};

/// STUN and TURN.
pub(super) struct Stun;

const STUN: Protocol = Protocol(&"stun");

impl Dissector for Stun {
    fn protocol(&self) -> Protocol {
        STUN
    }

    fn transport(&self) -> Transport {
        Transport::UDP
    }

    fn openings(&self) -> Openings {
        const OPENINGS: Openings = Openings::of(&[0..=0x3f]);
        OPENINGS
    }

    fn has_sides(&self) -> bool {
        false
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        let mut datagrams = heads.datagrams.iter().filter(|datagram| !is_keepalive(datagram.bytes)).peekable();
        if datagrams.peek().is_none() {
            return Outcome::NeedMore;
        }
        let (mut messages, mut others, mut media, mut sealed) = (0usize, 0usize, 0usize, false);
        for datagram in datagrams {
            match kind(*datagram) {
                Kind::Message => messages += 1,
                Kind::Media => media += 1,
                // Only the session looks inside of what a relay passes on.
                Kind::Other if content(*datagram).is_some() => others += 1,
                Kind::Other => {
                    others += 1;
                    sealed = sealed || messages > 0 && recognise(&[*datagram]).is_some();
                }
            }
        }
        let full = heads.datagrams.len() >= MAX_DATAGRAMS;
        let found = match (messages, others + media) {
            (0, _) => return Outcome::No,
            (_, 0) => Found::plaintext(STUN),
            // Left to who recognises it.
            _ if sealed => return Outcome::NeedMore,
            // Mixed content, to be named by who knows it; failing that this flow is only partly readable.
            (_, _) => Found { class: Class::Unknown, ..Found::plaintext(STUN) },
        };
        if full { Outcome::Found(found) } else { Outcome::Likely(found) }
    }

    fn session(&self, _found: Found) -> Option<Box<dyn Session>> {
        Some(Box::new(Watch::default()))
    }
}

/// What one datagram beside STUN is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Message,
    Media,
    Other,
}

fn kind(datagram: Datagram<'_>) -> Kind {
    let inner = content(datagram).unwrap_or(datagram);
    match () {
        () if is_message(inner) => Kind::Message,
        () if is_media(inner) => Kind::Media,
        () => Kind::Other,
    }
}

/// Whether `datagram` is a STUN message, with cookie or classic.
pub(super) fn is_message(datagram: Datagram<'_>) -> bool {
    let mut reader = Reader::new(datagram);
    message(&mut reader).is_ok() && reader.bits >= 32
}

fn message(reader: &mut Reader<'_>) -> Check {
    const COOKIE: u32 = 0x2112_a442;
    let kind = reader.u16()?;
    reader.holds(kind >> 14 == 0, 2)?;
    let length = usize::from(reader.u16()?);
    let cookie = reader.u32()?;
    reader.skip(12)?;
    reader.covers_rest(length, 14)?;
    if cookie == COOKIE {
        // Some messengers do not pad to four bytes.
        return reader.holds(true, 32);
    }
    reader.holds(length % 4 == 0, 2)?;
    classic(reader, kind)
}

/// RFC 3489: no cookie, so that every attribute must be a known one, of the length it says.
fn classic(reader: &mut Reader<'_>, kind: u16) -> Check {
    reader.holds(
        matches!(kind, 1 | 2 | 3 | 4 | 0x101 | 0x102 | 0x103 | 0x104 | 0x111 | 0x112 | 0x113 | 0x114 | 0x115),
        11,
    )?;
    // A request without attributes is twenty bytes whose only pattern is its type and a length of zero.
    reader.favours(reader.left() == 0, 6);
    while reader.left() > 0 {
        let attribute = reader.u16()?;
        let length = usize::from(reader.u16()?);
        reader.holds(matches!(attribute, 1..=0x30 | 0x0101 | 0x8000..=0x8080), 9)?;
        let fixed = match attribute {
            1 | 2 | 4 | 5 | 11 | 0x8020 => matches!(length, 8 | 20),
            3 => length == 4,
            8 | 0x0101 => length == 20,
            _ => true,
        };
        reader.holds(fixed && length <= reader.left(), 8)?;
        let padded = length.next_multiple_of(4).min(reader.left());
        reader.skip(padded)?;
    }
    Ok(())
}

/// Watches a flow that began with STUN for what it turns into.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Watch {
    messages: u64,
    media: u64,
    others: u64,
    /// Side, bytes and length on the wire of the first datagrams that are neither STUN nor media.
    kept: Vec<(bool, Vec<u8>, usize)>,
}

/// Datagrams beside STUN that the encrypted protocols are asked about.
const MAX_KEPT: usize = MAX_DATAGRAMS;

#[typetag::serde(name = "datagram/stun/Watch")]
impl Session for Watch {
    fn feed(&mut self, from_client: bool, bytes: &[u8], moment: Moment) -> Step {
        let datagram = Datagram { from_client, bytes, wire_len: moment.wire_len.max(bytes.len()) };
        if is_keepalive(bytes) {
            return Step::Continue;
        }
        match kind(datagram) {
            Kind::Message => {
                self.messages += 1;
                return Step::Readable;
            }
            Kind::Media => self.media += 1,
            Kind::Other => {
                self.others += 1;
                let relayed = content(datagram);
                if let Some((found, next)) = self.ask(relayed.unwrap_or(datagram), moment) {
                    let next = if relayed.is_some() { Box::new(Relayed(next)) } else { next };
                    return Step::Upgrade { found, rest: bytes.len(), next };
                }
            }
        }
        Step::Continue
    }

    fn gap(&mut self, _from_client: bool) -> bool {
        true
    }

    fn finish(self: Box<Self>, found: &mut Found, _facts: &mut Facts) {
        if found.class == Class::Encrypted || self.media + self.others == 0 {
            return;
        }
        found.class = Class::Unknown;
        found.evidence = Evidence::Signature;
        if self.media > self.others {
            found.protocol = super::sdp::RTP;
        }
    }

    fn memory(&self) -> usize {
        size_of::<Self>() + self.kept.iter().map(|(_, bytes, _)| bytes.capacity() + 48).sum::<usize>()
    }
}

impl Watch {
    /// Whether the datagrams beside STUN prove an encrypted protocol by now; its session has read all but this one.
    fn ask(&mut self, datagram: Datagram<'_>, moment: Moment) -> Option<(Found, Box<dyn Session>)> {
        if self.kept.len() >= MAX_KEPT {
            return None;
        }
        self.kept.push((datagram.from_client, datagram.bytes.to_vec(), datagram.wire_len));
        let datagrams: Vec<_> = self
            .kept
            .iter()
            .map(|(from_client, bytes, wire_len)| Datagram { from_client: *from_client, bytes, wire_len: *wire_len })
            .collect();
        let (found, mut next) = recognise(&datagrams)?;
        if let Some((_, earlier)) = datagrams.split_last() {
            for datagram in earlier {
                let moment = Moment { wire_len: datagram.wire_len, ..moment };
                let _ = next.feed(datagram.from_client, datagram.bytes, moment);
            }
        }
        Some((found, next))
    }
}

/// Asks the other dissectors whether these datagrams prove an encrypted protocol, whoever of the two is its client:
/// who sends STUN first says nothing of who sends the first hello.
pub(in crate::detect) fn recognise(datagrams: &[Datagram<'_>]) -> Option<(Found, Box<dyn Session>)> {
    if let Some(answer) = recognise_as_is(datagrams) {
        return Some(answer);
    }
    let swapped: Vec<_> =
        datagrams.iter().map(|datagram| Datagram { from_client: !datagram.from_client, ..*datagram }).collect();
    let (found, next) = recognise_as_is(&swapped)?;
    Some((Found { client_proven: false, ..found }, Box::new(Swapped(next))))
}

fn recognise_as_is(datagrams: &[Datagram<'_>]) -> Option<(Found, Box<dyn Session>)> {
    let heads = Heads { datagrams, from_start: true, ..Heads::default() };
    // The groups of which one may say that it is encrypted; those that ask here are not among them.
    let groups: [&[&dyn Dissector]; 4] =
        [crate::tls::DISSECTORS, crate::quic::DISSECTORS, sealed::DISSECTORS, &[&fixed::UDP]];
    let opens = |openings: Openings| {
        datagrams.iter().any(|datagram| match datagram.bytes {
            [first, _, _, _, _, ..] => openings.contains(*first),
            _ => true,
        })
    };
    let (found, dissector) = groups
        .into_iter()
        .flatten()
        .filter(|dissector| dissector.transport() == Transport::UDP && opens(dissector.openings()))
        .find_map(|dissector| match dissector.probe(heads) {
            Outcome::Found(found) if found.class == Class::Encrypted => Some((found, dissector)),
            // Beside STUN, one hello of DTLS is enough to hand over to who reads on.
            Outcome::Likely(found) if found.protocol == Protocol::DTLS => Some((found, dissector)),
            _ => None,
        })?;
    Some((found, dissector.session(found).unwrap_or_else(|| Box::new(Idle))))
}

/// A session whose client is the side that the flow calls the server.
#[derive(serde::Serialize, serde::Deserialize)]
struct Swapped(Box<dyn Session>);

#[typetag::serde(name = "datagram/stun/Swapped")]
impl Session for Swapped {
    fn feed(&mut self, from_client: bool, bytes: &[u8], moment: Moment) -> Step {
        match self.0.feed(!from_client, bytes, moment) {
            Step::Upgrade { found, rest, next } => Step::Upgrade { found, rest, next: Box::new(Swapped(next)) },
            step => step,
        }
    }

    fn gap(&mut self, from_client: bool) -> bool {
        self.0.gap(!from_client)
    }

    fn finish(self: Box<Self>, found: &mut Found, facts: &mut Facts) {
        self.0.finish(found, facts);
    }

    fn memory(&self) -> usize {
        self.0.memory()
    }
}

/// For a protocol that needs no reading on.
#[derive(serde::Serialize, serde::Deserialize)]
struct Idle;

#[typetag::serde(name = "datagram/stun/Idle")]
impl Session for Idle {
    fn feed(&mut self, _from_client: bool, _bytes: &[u8], _moment: Moment) -> Step {
        Step::Done
    }

    fn finish(self: Box<Self>, _found: &mut Found, _facts: &mut Facts) {}

    fn memory(&self) -> usize {
        0
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::shape::testing::{datagram, hex, letter, probe, table};
    use super::*;

    const BINDING: &str = "0001 0000 2112a442 0102030405060708090a0b0c";

    #[test]
    pub(crate) fn messages() {
        table(
            &Stun,
            &[
                ("binding request", BINDING, 'l'),
                ("classic response", "0101 000c 00112233445566778899aabbccddeeff 0001 0008 0001 1f90 c0000201", 'l'),
                ("length says more", "0001 0004 2112a442 0102030405060708090a0b0c", 'n'),
                ("bytes behind", "0001 0000 2112a442 0102030405060708090a0b0c 00000000", 'n'),
                (
                    "classic, unknown attribute",
                    "0101 000c 00112233445566778899aabbccddeeff 0771 0008 0001 1f90 c0000201",
                    'n',
                ),
                ("top bits set", "8001 0000 2112a442 0102030405060708090a0b0c", 'n'),
            ],
        );
    }

    #[test]
    pub(crate) fn waits_for_what_follows() {
        let stun = hex(BINDING);
        let eight: Vec<&[u8]> = vec![&stun; MAX_DATAGRAMS];
        assert_eq!(letter(probe(&Stun, &eight)), 'f');
        let noise = hex("c1 a9 33 77 01 99 21 fe 73 55 10");
        let mut mixed = eight.clone();
        mixed[5] = &noise;
        match probe(&Stun, &mixed) {
            Outcome::Found(found) => assert_eq!(found.class, Class::Unknown),
            other => panic!("{other:?}"),
        }
    }

    /// DTLS after more STUN than the heads hold: the flow is handed over, whichever side says hello.
    #[test]
    fn session_hands_over() {
        let hello = hex("16 feff 0000 000000000000 0036 01 00002a 0000 000000 00002a feff
             000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f 00 00 0002 c02b 01 00");
        for from_client in [true, false] {
            let mut session: Box<dyn Session> = Box::new(Watch::default());
            let stun = hex(BINDING);
            let _ = session.feed(true, &stun, Moment { time_ns: 0, wire_len: stun.len() });
            match session.feed(from_client, &hello, Moment { time_ns: 0, wire_len: hello.len() }) {
                Step::Upgrade { found, rest, .. } => {
                    assert_eq!((found.protocol, rest), (Protocol::DTLS, hello.len()));
                    assert!(from_client || !found.client_proven);
                }
                _ => panic!("not handed over, from client {from_client}"),
            }
        }
    }

    /// The same through a relay, in a Send indication and in ChannelData; random content is not taken for anything.
    #[test]
    fn session_looks_into_what_is_relayed() {
        let hello = "16 feff 0000 000000000000 0036 01 00002a 0000 000000 00002a feff
             000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f 00 00 0002 c02b 01 00";
        let send = |data: &str, len: &str| {
            hex(&format!(
                "0016 0054 2112a442 0102030405060708090a0b0c 0012 0008 0001 1f90 c0000201 0013 {len} {data} 00"
            ))
        };
        let cases = [
            ("indication", send(hello, "0043"), true),
            ("channel", hex(&format!("4001 0043 {hello}")), true),
            ("channel, other content", hex(&format!("4001 0043 {}", "5a".repeat(67))), false),
        ];
        for (name, bytes, want) in cases {
            let mut session: Box<dyn Session> = Box::new(Watch::default());
            let stun = hex(BINDING);
            let _ = session.feed(true, &stun, Moment { time_ns: 0, wire_len: stun.len() });
            let step = session.feed(true, &bytes, Moment { time_ns: 0, wire_len: bytes.len() });
            assert_eq!(matches!(step, Step::Upgrade { .. }), want, "{name}");
            let mut found = Found::plaintext(STUN);
            session.finish(&mut found, &mut Facts::default());
            assert_eq!(found.class, Class::Unknown, "{name}: what is not handed over is not readable");
        }
    }

    #[test]
    fn session_marks_what_is_readable() {
        let stun = hex(BINDING);
        let noise = hex("c1 a9 33 77 01 99 21 fe 73 55 10");
        let cases: &[(&str, &[&[u8]], Class)] =
            &[("only STUN", &[&stun, &stun], Class::Plaintext), ("and noise", &[&stun, &noise], Class::Unknown)];
        for (name, pieces, want) in cases {
            let mut session: Box<dyn Session> = Box::new(Watch::default());
            for piece in *pieces {
                let step = session.feed(true, piece, Moment { time_ns: 0, wire_len: piece.len() });
                assert_eq!(matches!(step, Step::Readable), is_message(datagram(piece)), "{name}");
            }
            let mut found = Found::plaintext(STUN);
            session.finish(&mut found, &mut Facts::default());
            assert_eq!(found.class, *want, "{name}");
        }
    }
}
