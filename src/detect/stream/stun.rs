//! STUN and TURN over TCP: messages and channel data back to back.
//!
//! Sources: RFC 8489 sections 5 and 6.2.2 (header, framing over TCP), RFC 8656 sections 12.4 to 12.5 (ChannelData, padded
//! over TCP) and 18.2 (DATA).
//! Evidence: the magic cookie in every message, each where the one before ends.
//! STUN is readable. What a relay passes on has the class of its content: an encrypted protocol takes over where it is
//! recognised; when content that is not recognised is more than half of the bytes, the class stays open.

use super::super::datagram::relay::content;
use super::super::datagram::stun::recognise;
use super::super::{Datagram, Dissector, Found, Heads, MAX_DATAGRAMS, Moment, Outcome, Session, Step};
use super::framed::{Framed, Header, good, u16_at, u32_at};
use crate::model::{Class, Evidence, Facts, Protocol, Transport};

/// STUN and TURN.
pub(super) struct Stun;

impl Dissector for Stun {
    fn protocol(&self) -> Protocol {
        CHAIN.protocol
    }

    fn transport(&self) -> Transport {
        Transport::TCP
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        // Capital letters are channel numbers, too: both sides must begin with a message that has the cookie.
        let starts = |head: &[u8]| head.first().is_none_or(|first| first & 0xc0 == 0);
        if starts(heads.client) && starts(heads.server) { CHAIN.probe(heads) } else { Outcome::No }
    }

    fn session(&self, _found: Found) -> Option<Box<dyn Session>> {
        Some(Box::new(Relay::default()))
    }
}

static CHAIN: Framed = Framed::alike(&"stun", message);

const COOKIE: u32 = 0x2112_a442;
const HEAD: usize = 20;
const COOKIE_AT: usize = 4;

fn message(head: &[u8]) -> Header {
    if let [0x40..=0x4f, _, a, b, ..] = *head {
        return good(true, channel_len(a, b), 4);
    }
    if matches!(head, [] | [0x40..=0x4f, ..]) {
        return Header::Short;
    }
    if head.first().is_some_and(|first| first & 0xc0 != 0) {
        return Header::Bad;
    }
    let (Some(len), Some(cookie)) = (u16_at(head, 2), u32_at(head, COOKIE_AT)) else {
        let cookie = head.get(COOKIE_AT..).unwrap_or_default();
        return if COOKIE.to_be_bytes().starts_with(cookie) { Header::Short } else { Header::Bad };
    };
    good(cookie == COOKIE && len.is_multiple_of(4), HEAD + usize::from(len), 36)
}

/// Channel data is padded to a multiple of four over TCP.
fn channel_len(a: u8, b: u8) -> usize {
    (4 + usize::from(u16::from_be_bytes([a, b]))).next_multiple_of(4)
}

/// Adds up how much of a relay's bytes belong to what it relays, and asks what that is.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Relay {
    #[serde(with = "crate::model::kept::rooms")]
    sides: [Vec<u8>; 2],
    total: u64,
    inside: u64,
    /// Side and bytes of the first contents, which the encrypted protocols are asked about.
    kept: Vec<(bool, Vec<u8>)>,
}

#[typetag::serde(name = "stream/stun/Relay")]
impl Session for Relay {
    fn feed(&mut self, from_client: bool, bytes: &[u8], moment: Moment) -> Step {
        self.sides[usize::from(!from_client)].extend_from_slice(bytes);
        let fed_before = self.kept.len();
        let mut read = 0;
        while let Some(whole) = first_message(self.sides[usize::from(!from_client)].get(read..).unwrap_or_default()) {
            read += whole.len();
            self.total += whole.len() as u64;
            let Some(inner) = relayed(from_client, whole) else { continue };
            self.inside += inner.bytes.len() as u64;
            if self.kept.len() < MAX_DATAGRAMS {
                let inner = inner.bytes.to_vec();
                self.kept.push((from_client, inner));
                if let Some((found, inner)) = self.ask(fed_before, moment) {
                    // All of this piece belongs to what follows; what came before of its first message stays here.
                    let mut sides = std::mem::take(&mut self.sides);
                    let side = &mut sides[usize::from(!from_client)];
                    side.truncate(side.len().saturating_sub(bytes.len()));
                    return Step::Upgrade { found, rest: bytes.len(), next: Box::new(Inside { sides, inner }) };
                }
            }
        }
        let side = &mut self.sides[usize::from(!from_client)];
        side.drain(..read);
        let lost = matches!(message(side), Header::Bad);
        if lost || self.total > ENOUGH { Step::Done } else { Step::Continue }
    }

    fn finish(self: Box<Self>, found: &mut Found, _facts: &mut Facts) {
        if self.inside * 2 > self.total {
            found.class = Class::Unknown;
            found.evidence = Evidence::Signature;
        }
    }

    fn memory(&self) -> usize {
        self.sides.iter().map(Vec::len).sum::<usize>()
            + self.kept.iter().map(|(_, bytes)| bytes.len() + 32).sum::<usize>()
    }
}

impl Relay {
    /// Whether the contents prove an encrypted protocol by now; its session has read the first `fed` of them.
    fn ask(&self, fed: usize, moment: Moment) -> Option<(Found, Box<dyn Session>)> {
        let datagrams: Vec<_> = self
            .kept
            .iter()
            .map(|(from_client, bytes)| Datagram { from_client: *from_client, bytes, wire_len: bytes.len() })
            .collect();
        let (found, mut inner) = recognise(&datagrams)?;
        for datagram in datagrams.iter().take(fed) {
            let moment = Moment { wire_len: datagram.wire_len, ..moment };
            let _ = inner.feed(datagram.from_client, datagram.bytes, moment);
        }
        Some((found, inner))
    }
}

/// Reads what the relay passes on.
#[derive(serde::Serialize, serde::Deserialize)]
struct Inside {
    sides: [Vec<u8>; 2],
    inner: Box<dyn Session>,
}

#[typetag::serde(name = "stream/stun/Inside")]
impl Session for Inside {
    fn feed(&mut self, from_client: bool, bytes: &[u8], moment: Moment) -> Step {
        let side = &mut self.sides[usize::from(!from_client)];
        side.extend_from_slice(bytes);
        let mut read = 0;
        while let Some(whole) = first_message(side.get(read..).unwrap_or_default()) {
            read += whole.len();
            let Some(inner) = relayed(from_client, whole) else { continue };
            let moment = Moment { wire_len: inner.wire_len, ..moment };
            if matches!(self.inner.feed(from_client, inner.bytes, moment), Step::Done) {
                return Step::Done;
            }
        }
        side.drain(..read);
        if matches!(message(side), Header::Bad) { Step::Done } else { Step::Continue }
    }

    fn finish(self: Box<Self>, found: &mut Found, facts: &mut Facts) {
        self.inner.finish(found, facts);
    }

    fn memory(&self) -> usize {
        self.sides.iter().map(Vec::len).sum::<usize>() + self.inner.memory()
    }
}

/// The first message, if it is all there.
fn first_message(bytes: &[u8]) -> Option<&[u8]> {
    match message(bytes) {
        Header::Good { len, .. } => bytes.get(..len),
        _ => None,
    }
}

/// What a peer sent inside this message, unless it is STUN itself.
fn relayed(from_client: bool, message: &[u8]) -> Option<Datagram<'_>> {
    let inner = content(Datagram { from_client, bytes: message, wire_len: message.len() })?;
    (u32_at(inner.bytes, COOKIE_AT) != Some(COOKIE)).then_some(inner)
}

/// Bytes after which the shares are known well enough.
const ENOUGH: u64 = 256 * 1024;

#[cfg(test)]
pub(super) mod tests {
    use super::super::trial::check;
    use super::*;

    fn stun(kind: u16, attributes: &[u8]) -> Vec<u8> {
        let mut message = kind.to_be_bytes().to_vec();
        message.extend((attributes.len() as u16).to_be_bytes());
        message.extend(COOKIE.to_be_bytes());
        message.extend([7; 12]);
        message.extend(attributes);
        message
    }

    #[test]
    pub(crate) fn messages() {
        let ask = stun(3, &[0, 0x19, 0, 4, 17, 0, 0, 0]);
        let mut other = ask.clone();
        other[5] = 0;
        check(
            &Stun,
            &[
                ("both", &ask, &stun(0x113, &[]), "found"),
                ("two of one side", &[ask.clone(), ask.clone()].concat(), b"", "likely"),
                ("one", &ask, b"", "more"),
                ("another cookie", &other, b"", "no"),
                ("channel data alone", b"\x40\0\0\x04abcd\x40\0\0\x04abcd", b"", "no"),
                ("text", b"GET / HTTP/1.1\r\n", b"", "no"),
            ],
        );
    }

    #[test]
    fn a_relay_is_open_when_most_of_it_is_relayed() {
        let class = |pieces: &[&[u8]]| {
            let mut session = Stun.session(Found::plaintext(Stun.protocol())).unwrap();
            for piece in pieces {
                session.feed(true, piece, Moment { time_ns: 0, wire_len: 0 });
            }
            let mut found = Found::plaintext(Stun.protocol());
            session.finish(&mut found, &mut Facts::default());
            found.class
        };
        let ask = stun(3, &[]);
        let channel = [b"\x40\0\0\xfe".as_slice(), &[0x80; 256]].concat();
        let data = stun(0x16, &[b"\0\x13\0\x40".as_slice(), &[0x16; 64]].concat());
        let check = stun(0x16, &[b"\0\x13\0\x14".as_slice(), &ask].concat());
        assert_eq!(class(&[&ask, &ask]), Class::Plaintext);
        assert_eq!(class(&[&ask, &channel[..9], &channel[9..]]), Class::Unknown);
        assert_eq!(class(&[&data]), Class::Unknown);
        assert_eq!(class(&[&check, &check]), Class::Plaintext, "a connectivity check through the relay is STUN");
    }

    #[test]
    fn what_is_relayed_takes_over() {
        let hello = [
            &[0x16, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x36, 1, 0, 0, 0x2a, 0, 0, 0, 0, 0, 0, 0, 0x2a, 0xfe, 0xff]
                [..],
            &[7; 32],
            &[0, 0, 0, 2, 0xc0, 0x2b, 1, 0],
        ]
        .concat();
        let channel = [&[0x40, 1, 0, hello.len() as u8][..], &hello, &[0]].concat();
        let moment = Moment { time_ns: 0, wire_len: 0 };
        for cut in [0, 5, channel.len() - 1] {
            let mut session = Stun.session(Found::plaintext(Stun.protocol())).unwrap();
            session.feed(true, &stun(3, &[]), moment);
            session.feed(true, &channel[..cut], moment);
            let Step::Upgrade { found, rest, mut next } = session.feed(true, &channel[cut..], moment) else {
                panic!("cut at {cut}: not handed over");
            };
            assert_eq!((found.protocol, rest), (Protocol::DTLS, channel.len() - cut), "cut at {cut}");
            next.feed(true, &channel[cut..], moment);
            let mut facts = Facts::default();
            let mut found = found;
            next.finish(&mut found, &mut facts);
            assert_eq!(facts.tls.map(|tls| tls.offer.ciphers.clone()), Some(vec![0xc02b]), "cut at {cut}");
        }
    }
}
