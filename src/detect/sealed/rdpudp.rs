//! RDP over UDP: a transport of its own, and TLS or DTLS inside it.
//!
//! Sources: [MS-RDPEUDP] sections 2.2.2.1 (header), 2.2.2.5 (SYN data) and 3.1.5.1.1 (SYN and its padding), [MS-RDPEMT]
//! section 1.3 (the TLS or DTLS handshake follows, on reliable and on lossy connections).
//! Evidence: a SYN and an answer that acknowledges its sequence number, both with sizes within the bounds; then the hello
//! of the client (one-sided) and that of the server (handshake). A connection without a hello is not judged.
//! Not handled: connections whose SYN is missing, and what the hellos say: they may lie in several packets.

use super::{u16_at, u32_at};
use crate::detect::{Dissector, Found, Heads, MAX_DATAGRAMS, Openings, Outcome};
use crate::model::{Evidence, Protocol, Transport};

pub(super) struct RdpUdp;

impl Dissector for RdpUdp {
    fn protocol(&self) -> Protocol {
        PROTOCOL
    }

    fn transport(&self) -> Transport {
        Transport::UDP
    }

    fn openings(&self) -> Openings {
        const OPENINGS: Openings = Openings::of(&[0xff..=0xff]);
        OPENINGS
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        let Some((first, rest)) = heads.datagrams.split_first() else { return Outcome::No };
        let Some(number) = syn(first.bytes).filter(|_| first.from_client && SIZES.contains(&first.wire_len)) else {
            return Outcome::No;
        };
        let mut answers = rest.iter().filter(|sent| !sent.from_client);
        match answers.next() {
            Some(answer) if acknowledges(answer.bytes, number) => {}
            Some(_) => return Outcome::No,
            None => return if heads.datagrams.len() < MAX_DATAGRAMS { Outcome::NeedMore } else { Outcome::No },
        }
        let says = |from_client: bool, kind: u8| {
            rest.iter().any(|sent| sent.from_client == from_client && has_hello(sent.bytes, kind))
        };
        match (says(true, CLIENT_HELLO), says(false, SERVER_HELLO) || says(false, HELLO_VERIFY)) {
            (true, true) => Outcome::Found(Found::encrypted(PROTOCOL, Evidence::Handshake).from_client()),
            (true, false) => Outcome::Likely(Found::encrypted(PROTOCOL, Evidence::OneSided).from_client()),
            (false, _) if heads.datagrams.len() < MAX_DATAGRAMS => Outcome::NeedMore,
            (false, _) => Outcome::No,
        }
    }
}

/// The initial sequence number of a SYN; `None` when it is none.
fn syn(bytes: &[u8]) -> Option<u32> {
    let flags = u16_at(bytes, 6)?;
    let sound = u32_at(bytes, 0)? == u32::MAX && flags & ACK == 0 && is_syn(bytes, flags)?;
    sound.then(|| u32_at(bytes, 8)).flatten()
}

/// Whether this is the answer to the SYN with that number.
fn acknowledges(bytes: &[u8], number: u32) -> bool {
    let answer = || Some((u32_at(bytes, 0)?, u16_at(bytes, 6)?));
    answer().is_some_and(|(acknowledged, flags)| {
        acknowledged == number && flags & ACK != 0 && is_syn(bytes, flags) == Some(true)
    })
}

/// Flags that a SYN may have, and sizes that both directions may ask for.
fn is_syn(bytes: &[u8], flags: u16) -> Option<bool> {
    let sizes = [u16_at(bytes, 12)?, u16_at(bytes, 14)?];
    let flags_fit = flags & SYN != 0 && flags & !(SYN | ACK | SYN_LOSSY | CORRELATION_ID | SYN_EX | ACK_DELAYED) == 0;
    Some(flags_fit && sizes.iter().all(|size| SIZES.contains(&usize::from(*size))))
}

/// Whether a TLS or DTLS record with this handshake message begins behind the headers.
fn has_hello(bytes: &[u8], kind: u8) -> bool {
    let head = bytes.get(..MAX_HEADERS + 32).unwrap_or(bytes);
    (MIN_HEADERS..MAX_HEADERS).filter_map(|at| head.get(at..)).any(|record| match *record {
        [0x16, 3, 0..=4, high, low, message, 0, length_high, length_low, ..] => {
            let (record, length) = (u16::from_be_bytes([high, low]), u16::from_be_bytes([length_high, length_low]));
            message == kind && length >= SHORTEST_HELLO && length.checked_add(4).is_some_and(|whole| whole <= record)
        }
        [0x16, 0xfe, 0xfd | 0xff, 0, 0, _, _, _, _, _, _, high, low, message, 0, _, _, ..] => {
            message == kind && u16::from_be_bytes([high, low]) >= 12
        }
        _ => false,
    })
}

const PROTOCOL: Protocol = Protocol(&"rdp");
const SYN: u16 = 0x0001;
const ACK: u16 = 0x0004;
const SYN_LOSSY: u16 = 0x0200;
const ACK_DELAYED: u16 = 0x0400;
const CORRELATION_ID: u16 = 0x0800;
const SYN_EX: u16 = 0x1000;
/// Sizes that a SYN is padded to, and may ask for. Unit: bytes.
const SIZES: std::ops::RangeInclusive<usize> = 1132..=1232;
/// Headers of version 1 and 2 ahead of the payload. Unit: bytes.
const MIN_HEADERS: usize = 6;
const MAX_HEADERS: usize = 64;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const HELLO_VERIFY: u8 = 3;
/// Version, random and the empty lists.
const SHORTEST_HELLO: u16 = 38;

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::{noise, probe_datagrams};
    use super::*;

    fn padded(head: &[u8]) -> Vec<u8> {
        let mut bytes = head.to_vec();
        bytes.resize(1232, 0);
        bytes
    }

    fn syn_bytes() -> Vec<u8> {
        padded(&[0xff, 0xff, 0xff, 0xff, 0, 64, 0x18, 1, 9, 8, 7, 6, 4, 0xd0, 4, 0xd0])
    }

    fn answer(acknowledged: &[u8; 4]) -> Vec<u8> {
        padded(&[&acknowledged[..], &[0, 64, 0x10, 5, 1, 2, 3, 4, 4, 0xd0, 4, 0xd0]].concat())
    }

    fn tls(kind: u8) -> Vec<u8> {
        let hello = [&[0x16, 3, 3, 0, 44, kind, 0, 0, 40, 3, 3][..], &noise(kind, 38)].concat();
        [&[0, 0x14, 0xc1, 1, 0xf4, 1, 0x64, 0xe0, 0x64, 0, 1, 0][..], &hello].concat()
    }

    fn dtls(kind: u8) -> Vec<u8> {
        let hello = [&[0x16, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 47, kind, 0, 0, 35][..], &noise(kind, 43)].concat();
        [&[1, 2, 3, 4, 4, 0, 0, 12, 0, 0, 0, 0, 9, 8, 7, 7, 9, 8, 7, 7][..], &hello].concat()
    }

    #[test]
    pub(crate) fn probe() {
        let found = Outcome::Found(Found::encrypted(PROTOCOL, Evidence::Handshake).from_client());
        let one_sided = Outcome::Likely(Found::encrypted(PROTOCOL, Evidence::OneSided).from_client());
        let start = || vec![(true, syn_bytes()), (false, answer(&[9, 8, 7, 6]))];
        let with = |more: Vec<(bool, Vec<u8>)>| [start(), more].concat();
        let mut small = syn_bytes();
        small[13] = 0;
        let mut no_room = tls(1);
        no_room[16] = 20;
        let readable = (true, [&[0, 0x14, 0xc1, 1][..], b"readable all the way", &[0; 40]].concat());
        let cases: &[(&str, Vec<(bool, Vec<u8>)>, Outcome)] = &[
            ("TLS inside", with(vec![(true, tls(1)), (false, tls(2))]), found),
            ("DTLS inside", with(vec![(true, dtls(1)), (false, dtls(3))]), found),
            ("client hello alone", with(vec![(true, tls(1))]), one_sided),
            ("no hello yet", start(), Outcome::NeedMore),
            ("no hello at all", with(vec![readable; 6]), Outcome::No),
            ("a message longer than its record", with(vec![(true, no_room)]), Outcome::NeedMore),
            ("SYN alone", vec![(true, syn_bytes())], Outcome::NeedMore),
            ("another number", vec![(true, syn_bytes()), (false, answer(&[9, 8, 7, 5]))], Outcome::No),
            ("sizes out of bounds", vec![(true, small)], Outcome::No),
            ("SYN from the server", vec![(false, syn_bytes())], Outcome::No),
            ("TLS without a SYN", vec![(true, tls(1)), (false, tls(2))], Outcome::No),
        ];
        for (name, sent, want) in cases {
            assert_eq!(probe_datagrams(&RdpUdp, sent), *want, "{name}");
        }
    }
}
