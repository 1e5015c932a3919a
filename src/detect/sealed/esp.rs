//! ESP, the data of IPsec: as an IP protocol of its own, inside UDP where NAT is passed, and inside TCP, in mid-stream (from
//! its start such a stream is IKE's).
//!
//! Sources: RFC 4303 (SPI, sequence number, trailer), RFC 3948 (inside UDP), RFC 5879 (telling ESP-NULL), RFC 2410 and RFC
//! 4543 (NULL and GMAC), RFC 9329 section 3 (inside TCP).
//! Evidence: IP protocol 50 with one SPI a side (signature), and sequence numbers that rise by small steps (framing). Inside
//! UDP and TCP the second is required, over several packets whose ciphertext varies, because nothing names the protocol.
//! ESP-NULL is plaintext when trailer, padding and inner header of several packets fit each other. It cannot be seen
//! where it does not prove itself: such packets count as encrypted, as their protocol says.

use super::{rises, u16_at, u32_at, varies};
use crate::detect::{Datagram, Dissector, Found, Heads, Outcome};
use crate::model::{Evidence, Protocol, Transport};

pub(super) struct Esp;

impl Dissector for Esp {
    fn protocol(&self) -> Protocol {
        PROTOCOL
    }

    fn transport(&self) -> Transport {
        Transport::ESP
    }

    fn has_sides(&self) -> bool {
        false
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        // SPI 0 is not sent, 1 to 255 are reserved (RFC 4303 section 2.1); packets end on a multiple of four bytes.
        let sound = |datagram: &&Datagram<'_>| {
            u32_at(datagram.bytes, 0).is_some_and(|spi| spi > 255)
                && datagram.wire_len >= MIN_LEN
                && datagram.wire_len.is_multiple_of(4)
        };
        let packets: Vec<_> = heads.datagrams.iter().filter(sound).collect();
        if packets.is_empty() {
            return Outcome::No;
        }
        let readable = packets.iter().filter(|datagram| is_null(datagram)).count();
        if readable * 4 >= packets.len() * 3 {
            // One packet may look readable by chance.
            return match readable {
                0..2 => Outcome::NeedMore,
                _ => Outcome::Found(Found::plaintext(Protocol(&"esp-null"))),
            };
        }
        let runs = [true, false].map(|side| run(packets.iter().copied(), side, 0));
        match runs.iter().any(|&count| count >= 3) {
            true => Outcome::Found(Found::encrypted(PROTOCOL, Evidence::Framing)),
            false => Outcome::Likely(Found::encrypted(PROTOCOL, Evidence::Signature)),
        }
    }
}

pub(super) struct EspUdp;

impl Dissector for EspUdp {
    fn protocol(&self) -> Protocol {
        PROTOCOL
    }

    fn transport(&self) -> Transport {
        Transport::UDP
    }

    fn has_sides(&self) -> bool {
        false
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        let packets = heads.datagrams.iter().filter(|datagram| datagram.bytes != [0xff]);
        let sound = packets.clone().all(|datagram| {
            u32_at(datagram.bytes, 0).is_some_and(|spi| spi > 255)
                && u32_at(datagram.bytes, 4).is_some_and(|number| number > 0)
                && datagram.wire_len >= MIN_LEN
                && datagram.wire_len.is_multiple_of(4)
        });
        if !sound {
            return Outcome::No;
        }
        // OpenVPN's data of version 2 has the same shape: opcode, peer ID (small), packet ID.
        if packets.clone().any(|datagram| matches!(datagram.bytes, [0x48..=0x4f, 0, 0, ..])) {
            return Outcome::No;
        }
        let sides = [true, false].map(|side| packets.clone().filter(|datagram| datagram.from_client == side).count());
        if sides.iter().all(|count| *count < 3) {
            return Outcome::NeedMore;
        }
        let runs = [true, false].map(|side| run(packets.clone(), side, 8));
        // A side that does not go on as it should refutes.
        if runs.iter().zip(sides).any(|(&run, count)| count >= 3 && run == 0) {
            return Outcome::No;
        }
        let framing = Found::encrypted(PROTOCOL, Evidence::Framing);
        let (most, least) = (runs[0].max(runs[1]), runs[0].min(runs[1]));
        match (most, least) {
            (3.., 3..) | (6.., _) => Outcome::Found(framing),
            (4.., _) => Outcome::Likely(framing),
            _ => Outcome::NeedMore,
        }
    }
}

pub(super) struct EspTcp;

impl Dissector for EspTcp {
    fn protocol(&self) -> Protocol {
        PROTOCOL
    }

    fn transport(&self) -> Transport {
        Transport::TCP
    }

    fn has_sides(&self) -> bool {
        false
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        // From its start, IKE goes before.
        if heads.from_start {
            return Outcome::No;
        }
        let (Some(client), Some(server)) = (packets(heads.client), packets(heads.server)) else { return Outcome::No };
        let sides = [(true, client), (false, server)].map(|(from_client, packets)| {
            packets.into_iter().map(|bytes| Datagram { from_client, bytes, wire_len: bytes.len() }).collect::<Vec<_>>()
        });
        let runs = [0, 1].map(|side: usize| run(sides[side].iter(), side == 0, 8));
        // Packets in a stream keep their order, and there are enough of them: a side that does not go on refutes.
        let refuted = runs.iter().zip(&sides).any(|(&run, packets)| packets.len() >= 3 && run == 0);
        match (refuted, runs[0].max(runs[1]), runs[0].min(runs[1])) {
            (true, ..) => Outcome::No,
            (_, 3.., 3..) | (_, 6.., _) => Outcome::Found(Found::encrypted(PROTOCOL, Evidence::Framing)),
            _ => Outcome::NeedMore,
        }
    }
}

/// The whole ESP packets at the start of a stream, each behind a length that counts itself (RFC 9329 section 3); messages
/// of IKE among them are passed over. `None` when it is none.
fn packets(mut stream: &[u8]) -> Option<Vec<&[u8]>> {
    /// Longest packet that is believed: a jumbo frame. Unit: bytes.
    const MAX_LEN: usize = 9 * 1024;
    /// Packets that are looked at.
    const MOST: usize = 8;
    let mut found = Vec::new();
    while found.len() < MOST && !stream.is_empty() {
        if stream.first().is_some_and(|high| usize::from(*high) << 8 > MAX_LEN) {
            return None;
        }
        let Some(len) = u16_at(stream, 0).map(usize::from) else { break };
        let spi = u32_at(stream, 2);
        let is_ike = spi == Some(0);
        let sound = (2 + MIN_LEN..=MAX_LEN).contains(&len) && (is_ike || (len - 2).is_multiple_of(4));
        if !sound || spi.is_some_and(|spi| (1..=255).contains(&spi)) {
            return None;
        }
        let Some((message, rest)) = stream.split_at_checked(len) else { break };
        if !is_ike {
            found.extend(message.get(2..));
        }
        stream = rest;
    }
    Some(found)
}

/// Packets of one side if they have one SPI, rising sequence numbers, and ciphertext that varies in `varied` bytes; else 0.
fn run<'a>(packets: impl Iterator<Item = &'a Datagram<'a>>, from_client: bool, varied: usize) -> usize {
    let side: Vec<_> = packets.filter(|datagram| datagram.from_client == from_client).map(|sent| sent.bytes).collect();
    let spis: Vec<_> = side.iter().filter_map(|bytes| u32_at(bytes, 0)).collect();
    // An initialisation vector of eight bytes comes first, and may be a counter (RFC 4106 section 3.1).
    let sealed: Vec<_> = side.iter().filter_map(|bytes| bytes.get(16..16 + varied)).collect();
    let goes_on = spis.windows(2).all(|pair| matches!(pair, [a, b] if a == b))
        && rises(side.iter().filter_map(|bytes| u32_at(bytes, 4)).map(u64::from))
        && sealed.len() == side.len()
        && varies(&sealed);
    if goes_on { side.len() } else { 0 }
}

/// Whether a packet is ESP-NULL: for one of the usual lengths of vector and check value, padding and next header at the
/// end fit the header at the start (RFC 5879 section 8).
fn is_null(datagram: &Datagram<'_>) -> bool {
    datagram.bytes.len() == datagram.wire_len
        && [(0, 12), (0, 16), (8, 16), (0, 24), (0, 32)].into_iter().any(|(vector, check)| {
            let body = datagram.bytes.get(8 + vector..).and_then(|body| body.get(..body.len().checked_sub(check)?));
            body.and_then(fits).unwrap_or(false)
        })
}

fn fits(body: &[u8]) -> Option<bool> {
    let (rest, &[padding, next_header]) = body.split_last_chunk()?;
    let (inner, padding) = rest.split_at_checked(rest.len().checked_sub(usize::from(padding))?)?;
    // Padding counts up from 1 (RFC 4303 section 2.4).
    if !padding.iter().zip(1..).all(|(&byte, count)| byte == count) {
        return Some(false);
    }
    let first = inner.first()?;
    Some(match next_header {
        4 => first >> 4 == 4 && usize::from(u16_at(inner, 2)?) == inner.len(),
        41 => first >> 4 == 6 && usize::from(u16_at(inner, 4)?).checked_add(40)? == inner.len(),
        17 => usize::from(u16_at(inner, 4)?) == inner.len(),
        // A data offset, and no reserved bits.
        6 => inner.len() >= 20 && inner.get(12)? >> 4 >= 5 && inner.get(12)? & 0x0e == 0,
        // Echo request and reply.
        1 => matches!(first, 0 | 8) && inner.get(1) == Some(&0) && inner.len() >= 8,
        58 => matches!(first, 128 | 129 | 133..=136) && inner.get(1) == Some(&0) && inner.len() >= 8,
        _ => false,
    })
}

const PROTOCOL: Protocol = Protocol(&"esp");
/// SPI, sequence number, trailer and the shortest check value.
const MIN_LEN: usize = 8 + 4 + 8;

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::{noise, probe_datagrams};
    use super::*;
    use crate::detect::tests::ask;

    fn packet(spi: u8, number: u8, body: &[u8]) -> Vec<u8> {
        [&[0xc1, 2, 3, spi][..], &[0, 0, 0, number], body].concat()
    }

    fn ping(number: u8) -> Vec<u8> {
        let inner = [&[0x45, 0, 0, 30][..], &[number; 26]].concat();
        packet(1, number, &[&inner[..], &[0, 4], &noise(number, 12)].concat())
    }

    fn all(packets: impl Iterator<Item = Vec<u8>>) -> Vec<(bool, Vec<u8>)> {
        packets.map(|packet| (true, packet)).collect()
    }

    #[test]
    pub(crate) fn as_ip_protocol() {
        let encrypted = |evidence| Found::encrypted(PROTOCOL, evidence);
        let sealed = |number| packet(1, number, &noise(number, 64));
        let cases: &[(&str, Vec<(bool, Vec<u8>)>, Outcome)] = &[
            ("one packet", all([sealed(1)].into_iter()), Outcome::Likely(encrypted(Evidence::Signature))),
            ("several", all((1..5).map(sealed)), Outcome::Found(encrypted(Evidence::Framing))),
            (
                "numbers at random",
                all([9, 200, 3].map(sealed).into_iter()),
                Outcome::Likely(encrypted(Evidence::Signature)),
            ),
            ("NULL", all((1..4).map(ping)), Outcome::Found(Found::plaintext(Protocol(&"esp-null")))),
            ("NULL once", all([ping(1)].into_iter()), Outcome::NeedMore),
            ("SPI zero", all([vec![0; 40]].into_iter()), Outcome::No),
            ("odd length", all([packet(1, 1, &[7; 33])].into_iter()), Outcome::No),
        ];
        for (name, sent, want) in cases {
            assert_eq!(probe_datagrams(&Esp, sent), *want, "{name}");
        }
    }

    #[test]
    pub(crate) fn inside_udp() {
        let framing = Found::encrypted(PROTOCOL, Evidence::Framing);
        let sealed = |number| packet(1, number, &noise(number, 64));
        let counter = |number| packet(1, number, &[&[0; 7][..], &[number], &noise(number, 56)].concat());
        let alive = [vec![(true, vec![0xff])], all((1..7).map(sealed))].concat();
        let rtp = |number: u8| [&[0x80, 0x60, 0, number][..], &[0, 0, number, 0], &noise(number, 64)].concat();
        let cases: &[(&str, Vec<(bool, Vec<u8>)>, Outcome)] = &[
            ("six", all((1..7).map(sealed)), Outcome::Found(framing)),
            ("six with counters as vectors", all((1..7).map(counter)), Outcome::Found(framing)),
            ("beside a keep-alive", alive, Outcome::Found(framing)),
            ("four", all((1..5).map(sealed)), Outcome::Likely(framing)),
            ("three", all((1..4).map(sealed)), Outcome::NeedMore),
            ("readable", all((1..7).map(|number| packet(1, number, &[number; 64]))), Outcome::No),
            ("SPIs that change", all((1..7).map(|number| packet(number, number, &noise(number, 64)))), Outcome::No),
            (
                "OpenVPN",
                all((1..7).map(|number| [&[0x48, 0, 0, 1][..], sealed(number).get(4..).unwrap_or_default()].concat())),
                Outcome::No,
            ),
            ("RTP", all((1..7).map(rtp)), Outcome::No),
            ("keep-alive only", vec![(true, vec![0xff])], Outcome::NeedMore),
            ("IKE's marker", all([vec![0; 64]].into_iter()), Outcome::No),
        ];
        for (name, sent, want) in cases {
            assert_eq!(probe_datagrams(&EspUdp, sent), *want, "{name}");
        }
    }

    #[test]
    pub(crate) fn inside_tcp() {
        let packet = |spi: u32, number: u32, body: &[u8]| {
            let packet = [&spi.to_be_bytes()[..], &number.to_be_bytes(), body].concat();
            [&((packet.len() + 2) as u16).to_be_bytes()[..], &packet].concat()
        };
        let stream = |spi: u32, numbers: &[u32]| -> Vec<u8> {
            numbers.iter().flat_map(|&number| packet(spi, number, &noise(number as u8, 64))).collect()
        };
        let readable: Vec<u8> = (1..7).flat_map(|number| packet(0x1234_5678, number, &[b'a'; 64])).collect();
        let ike = [&[0, 34, 0, 0, 0, 0][..], &[7; 28]].concat();
        let client = stream(0xc0de_0001, &[5, 6, 7, 8]);
        let server = stream(0xc0de_0002, &[90, 91, 93]);
        let cases: &[(&str, Vec<u8>, Vec<u8>, char)] = &[
            ("both sides", client.clone(), server.clone(), 'f'),
            ("IKE between", [&client[..74], &ike, &client[74..]].concat(), server.clone(), 'f'),
            ("six of one side", stream(0xc0de_0001, &[1, 2, 3, 4, 5, 6]), vec![], 'f'),
            ("three of one side", stream(0xc0de_0001, &[1, 2, 3]), vec![], 'm'),
            ("a packet cut", client[..200].to_vec(), server.clone(), 'm'),
            ("readable content", readable, vec![], 'n'),
            ("numbers that do not rise", stream(0xc0de_0001, &[9, 9, 9, 9]), server.clone(), 'n'),
            (
                "another SPI each time",
                [stream(0xc0de_0001, &[1, 2]), stream(0xc0de_0009, &[3, 4])].concat(),
                server,
                'n',
            ),
            ("a length that is no multiple of four", noise(1, 400), vec![], 'n'),
            ("text", b"GET / HTTP/1.1\r\n".to_vec(), vec![], 'n'),
        ];
        for (name, client, server, want) in cases {
            let ask_with = |from_start| ask(&EspTcp, Heads { client, server, from_start, ..Heads::default() });
            let letter = match ask_with(false) {
                Outcome::Found(found) => {
                    assert_eq!(found, Found::encrypted(PROTOCOL, Evidence::Framing));
                    'f'
                }
                Outcome::NeedMore => 'm',
                Outcome::No => 'n',
                Outcome::Likely(_) => 'l',
            };
            assert_eq!(letter, *want, "{name}");
            assert_eq!(ask_with(true), Outcome::No, "{name}, from its start");
        }
    }
}
