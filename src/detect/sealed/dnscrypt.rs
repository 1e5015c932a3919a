//! DNSCrypt version 2 over UDP, and over TCP with a length before each message.
//!
//! Sources: DNSCrypt protocol specification version 2 (dnscrypt.info/protocol), sections "queries" and "responses", and "client
//! queries over TCP".
//! Evidence: a response starts with the resolver's magic and repeats the first half of the nonce that the query has at a
//! fixed place (signature). The query alone has nothing fixed, but its length: what is sealed is padded to blocks.
//! Not handled: relayed queries (Anonymized DNSCrypt); over TCP, streams whose first query was not captured.

use super::u16_at;
use crate::detect::{Datagram, Dissector, Found, Heads, Outcome};
use crate::model::{Evidence, Protocol, Transport};

pub(super) struct DnsCrypt;

impl Dissector for DnsCrypt {
    fn protocol(&self) -> Protocol {
        PROTOCOL
    }

    fn transport(&self) -> Transport {
        Transport::UDP
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        // Client magic, public key, half a nonce, and a box of padded blocks.
        let asks = |datagram: &Datagram<'_>| datagram.from_client && datagram.wire_len >= 8 + 32 + 12 + 16 + 64;
        let nonces = |sent: &'_ [Datagram<'_>], nonce: &[u8]| {
            sent.iter().any(|datagram| asks(datagram) && datagram.bytes.get(40..52) == Some(nonce))
        };
        for (index, datagram) in heads.datagrams.iter().enumerate().filter(|(_, datagram)| !datagram.from_client) {
            if let Some(nonce) = datagram.bytes.strip_prefix(MAGIC).and_then(|rest| rest.get(..12))
                && heads.datagrams.get(..index).is_some_and(|earlier| nonces(earlier, nonce))
            {
                return Outcome::Found(Found::encrypted(PROTOCOL, Evidence::Signature).from_client());
            }
        }
        let unanswered = heads.datagrams.iter().all(|datagram| datagram.from_client);
        let asked = heads.datagrams.iter().any(|datagram| asks(datagram) && datagram.bytes.len() >= 52);
        if unanswered && asked { Outcome::NeedMore } else { Outcome::No }
    }
}

pub(super) struct DnsCryptTcp;

impl Dissector for DnsCryptTcp {
    fn protocol(&self) -> Protocol {
        PROTOCOL
    }

    fn transport(&self) -> Transport {
        Transport::TCP
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        let lens = [heads.client, heads.server].map(|head| u16_at(head, 0).map(usize::from));
        // The high byte of a length alone, too.
        let long =
            [heads.client, heads.server].iter().any(|head| head.first().is_some_and(|high| *high > LONGEST_HIGH));
        let asks = lens[0].is_none_or(|len| len >= SHORTEST && (len - SHORTEST).is_multiple_of(BLOCK));
        let answer = heads.server.get(2..).unwrap_or_default();
        let magic = answer.iter().zip(MAGIC).all(|(byte, known)| byte == known);
        if long || !asks || !magic {
            return Outcome::No;
        }
        match (heads.client.get(2 + NONCE_AT..2 + NONCE_AT + 12), answer.get(MAGIC.len()..MAGIC.len() + 12)) {
            (Some(nonce), Some(repeated)) if nonce != repeated => Outcome::No,
            (Some(_), Some(_)) => Outcome::Found(Found::encrypted(PROTOCOL, Evidence::Signature).from_client()),
            _ => Outcome::NeedMore,
        }
    }
}

const PROTOCOL: Protocol = Protocol(&"dnscrypt");
/// Where half a nonce stands in a query: behind the client's magic and its public key.
const NONCE_AT: usize = 8 + 32;
/// A query: magic, key, half a nonce, tag, and one block.
const SHORTEST: usize = NONCE_AT + 12 + 16 + BLOCK;
/// What is sealed is padded to a multiple of this.
const BLOCK: usize = 64;
/// Messages of DNS over TCP that are longer are not asked with DNSCrypt: the high byte of 4 KiB.
const LONGEST_HIGH: u8 = 0x10;
const MAGIC: &[u8] = b"r6fnvWj8";

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::{noise, probe_datagrams};
    use super::*;
    use crate::detect::tests::probe_streams;

    #[test]
    pub(crate) fn probe() {
        let query = noise(1, 512);
        let nonce = query.get(40..52).unwrap_or_default();
        let answer = [MAGIC, nonce, &noise(2, 200)].concat();
        let other = [MAGIC, &[7; 12], &noise(2, 200)].concat();
        let found = Outcome::Found(Found::encrypted(PROTOCOL, Evidence::Signature).from_client());
        let cases: &[(&str, Vec<(bool, Vec<u8>)>, Outcome)] = &[
            ("query and answer", vec![(true, query.clone()), (false, answer.clone())], found),
            ("query alone", vec![(true, query.clone())], Outcome::NeedMore),
            ("another nonce", vec![(true, query.clone()), (false, other)], Outcome::No),
            ("sides exchanged", vec![(false, query.clone()), (true, answer.clone())], Outcome::No),
            ("answer first", vec![(false, answer), (true, query.clone())], Outcome::No),
            ("too short", vec![(true, query.get(..100).unwrap_or_default().to_vec())], Outcome::No),
        ];
        for (name, sent, want) in cases {
            assert_eq!(probe_datagrams(&DnsCrypt, sent), *want, "{name}");
        }
    }

    #[test]
    pub(crate) fn over_tcp() {
        let framed = |message: &[u8]| [&(message.len() as u16).to_be_bytes()[..], message].concat();
        let query = noise(1, SHORTEST + 3 * BLOCK);
        let nonce = query.get(40..52).unwrap_or_default();
        let answer = framed(&[MAGIC, nonce, &noise(2, 200)].concat());
        let other = framed(&[MAGIC, &[7; 12], &noise(2, 200)].concat());
        let found = Outcome::Found(Found::encrypted(PROTOCOL, Evidence::Signature).from_client());
        let asked = framed(&query);
        let odd = framed(query.get(..SHORTEST + 1).unwrap_or_default());
        probe_streams(
            &DnsCryptTcp,
            &[
                ("query and answer", &asked, &answer, found),
                ("query alone", &asked, b"", Outcome::NeedMore),
                ("another nonce", &asked, &other, Outcome::No),
                ("a query that is not padded", &odd, &answer, Outcome::No),
                ("DNS in clear", b"\0\x1d\x12\x34\x01\0\0\x01", b"", Outcome::No),
                ("an answer of DNS in clear", &asked, b"\0\x1d\x12\x34\x81\x80\0\x01", Outcome::No),
            ],
        );
    }
}
