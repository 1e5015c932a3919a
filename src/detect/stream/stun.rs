//! STUN and TURN over TCP: messages and channel data back to back.
//!
//! Sources: RFC 8489 sections 5 and 6.2.2 (header, framing over TCP), RFC 8656 sections 12.4 to 12.5 (ChannelData, padded
//! over TCP) and 18.2 (DATA).
//! Evidence: the magic cookie in every message, each where the one before ends.
//! STUN is readable. What a relay passes on is not looked into: when it is more than half of the bytes the class stays
//! open.

use super::super::{Dissector, Found, Heads, Moment, Outcome, Session, Step};
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

/// Adds up how much of a relay's bytes belong to what it relays.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Relay {
    #[serde(with = "crate::model::kept::rooms")]
    sides: [Vec<u8>; 2],
    total: u64,
    inside: u64,
}

#[typetag::serde(name = "stream/stun/Relay")]
impl Session for Relay {
    fn feed(&mut self, from_client: bool, bytes: &[u8], _moment: Moment) -> Step {
        let side = &mut self.sides[usize::from(!from_client)];
        side.extend_from_slice(bytes);
        let mut read = 0;
        while let Header::Good { len, .. } = message(side.get(read..).unwrap_or_default())
            && let Some(whole) = side.get(read..read + len)
        {
            self.total += len as u64;
            self.inside += relayed(whole);
            read += len;
        }
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
        self.sides.iter().map(Vec::capacity).sum()
    }
}

/// Bytes of a message that a peer sent and that are not STUN themselves.
fn relayed(message: &[u8]) -> u64 {
    let foreign = |data: &[u8]| if u32_at(data, COOKIE_AT) == Some(COOKIE) { 0 } else { data.len() as u64 };
    if message.first().is_some_and(|first| first & 0xc0 != 0) {
        return foreign(message.get(4..).unwrap_or_default());
    }
    const DATA: u16 = 0x0013;
    let mut attributes = message.get(HEAD..).unwrap_or_default();
    let mut sum = 0;
    while let (Some(kind), Some(len)) = (u16_at(attributes, 0), u16_at(attributes, 2)) {
        let len = usize::from(len);
        if kind == DATA {
            sum += foreign(attributes.get(4..4 + len).unwrap_or_default());
        }
        attributes = attributes.get((4 + len).next_multiple_of(4)..).unwrap_or_default();
    }
    sum
}

/// Bytes after which the shares are known well enough.
const ENOUGH: u64 = 256 * 1024;

#[cfg(test)]
mod tests {
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
    fn messages() {
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
}
