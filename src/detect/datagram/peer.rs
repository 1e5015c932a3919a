//! Peer-to-peer: BitTorrent DHT, trackers and uTP, Gnutella and its DHT, eDonkey and Kademlia.
//!
//! Sources: BEP 5 (DHT), BEP 15 (trackers), BEP 29 (uTP), Gnutella 0.6 section 2 (message header), eMule's opcodes.h.
//! Evidence: bencoding walked to the last byte; uTP by connection numbers both sides share. What uTP carries is often
//! encrypted (MSE), so that it is `unknown` by class.

use super::shape::{Check, Reader, Shape, Stop, is_keepalive};
use crate::detect::{Dissector, Found, Heads, Openings, Outcome};
use crate::model::{Class, Protocol, Transport};

/// BitTorrent DHT.
pub(super) static DHT: Shape = Shape::new(&"bittorrent-dht", dht).opens(&[b'd'..=b'd']);
/// BitTorrent trackers.
pub(super) static TRACKER: Shape = Shape::new(&"bittorrent-tracker", tracker);
/// Gnutella messages.
pub(super) static GNUTELLA: Shape = Shape::new(&"gnutella", gnutella);
/// eDonkey and Kademlia, where they are not obfuscated.
pub(super) static EDONKEY: Shape = Shape::new(&"edonkey", edonkey).opens(&[0xe3..=0xe4]);
/// Micro transport protocol.
pub(super) struct Utp;

const UTP: Protocol = Protocol(&"utp");

fn dht(reader: &mut Reader<'_>) -> Check {
    let bytes = reader.whole();
    let key = bytes.windows(4).any(|window| window == b"1:y1" || window == b"1:ad" || window == b"1:rd");
    reader.holds(bytes.starts_with(b"d") && (key || reader.is_cut()), 8 + 16)?;
    bencoded(reader)?;
    reader.end(16)
}

/// Walks one bencoded value, without recursion.
fn bencoded(reader: &mut Reader<'_>) -> Check {
    let mut depth = 0usize;
    loop {
        match reader.u8()? {
            b'd' | b'l' => depth += 1,
            b'e' if depth > 0 => depth -= 1,
            b'i' => {
                let mut digits = 0;
                loop {
                    match reader.u8()? {
                        b'e' if digits > 0 => break,
                        b'-' | b'0'..=b'9' if digits < 20 => digits += 1,
                        _ => return Err(Stop::Against),
                    }
                }
            }
            first @ b'0'..=b'9' => {
                let mut length = usize::from(first - b'0');
                loop {
                    match reader.u8()? {
                        b':' => break,
                        digit @ b'0'..=b'9' if length < 100_000 => length = length * 10 + usize::from(digit - b'0'),
                        _ => return Err(Stop::Against),
                    }
                }
                reader.skip(length)?;
            }
            _ => return Err(Stop::Against),
        }
        if depth == 0 {
            return Ok(());
        }
        reader.holds(depth <= 32, 0)?;
    }
}

fn tracker(reader: &mut Reader<'_>) -> Check {
    const MAGIC: u64 = 0x0417_2710_1980;
    if reader.left() == 16 {
        let first = reader.u64()?;
        if first == MAGIC {
            let action = reader.u32()?;
            return reader.holds(action == 0, 64);
        }
        return reader.holds(first >> 32 == 0, 0);
    }
    let bytes = reader.whole();
    // Announce and scrape carry the connection number first; answers the action.
    let word = |at: usize| bytes.get(at..at + 4).and_then(|word| word.try_into().ok()).map(u32::from_be_bytes);
    let request = matches!(word(8), Some(1 | 2)) && reader.left() >= 36;
    let answer = matches!(word(0), Some(1..=3)) && reader.left() >= 8;
    // Neither says enough to count; they only fit beside a connect.
    reader.holds(request || answer, 0)
}

fn gnutella(reader: &mut Reader<'_>) -> Check {
    reader.skip(16)?;
    let kind = reader.u8()?;
    reader.holds(matches!(kind, 0..=2 | 0x30..=0x32 | 0x40 | 0x44 | 0x80 | 0x81), 4)?;
    let (live, hops) = (reader.u8()?, reader.u8()?);
    reader.holds(live <= 16 && hops <= 16, 6)?;
    let length = reader.u32_le()? as usize;
    reader.covers_rest(length, 26)
}

fn edonkey(reader: &mut Reader<'_>) -> Check {
    let protocol = reader.u8()?;
    let operation = reader.u8()?;
    let left = reader.left();
    let fits = match (protocol, operation) {
        // Client to server: status, search, sources.
        (0xe3, 0x96) => left == 4,
        (0xe3, 0x97) => matches!(left, 12 | 16..=64),
        (0xe3, 0x9a) => left.is_multiple_of(16) && left > 0,
        (0xe3, 0x94) => left >= 16 && left.is_multiple_of(4),
        (0xe3, 0xa2) => left == 4 || left == 0,
        // Kademlia: hello, request, and so on, with their sizes.
        (0xe4, 0x00 | 0x10) => left == 25,
        (0xe4, 0x20) => left == 33,
        (0xe4, 0x28) => left >= 17 && (left - 17).is_multiple_of(25),
        (0xe4, 0x21) => left >= 33 || (left >= 17 && (left - 17).is_multiple_of(25)),
        (0xe4, 0x29) => left >= 17 && (left - 17).is_multiple_of(25),
        (0xe4, 0x60) => left == 0,
        (0xe4, 0x61) => left == 2,
        _ => return Err(Stop::Against),
    };
    reader.holds(fits, 11)
}

impl Dissector for Utp {
    fn protocol(&self) -> Protocol {
        UTP
    }

    fn transport(&self) -> Transport {
        Transport::UDP
    }

    fn openings(&self) -> Openings {
        const OPENINGS: Openings = Openings::of(&[0..=0x4f]);
        OPENINGS
    }

    fn has_sides(&self) -> bool {
        false
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        let mut sides = [None::<u16>; 2];
        let mut bits = 0u32;
        for datagram in heads.datagrams.iter().filter(|datagram| !is_keepalive(datagram.bytes)) {
            let Some(connection) = utp_header(datagram.bytes) else {
                return Outcome::No;
            };
            let [server, client] = sides;
            let (mine, other) = if datagram.from_client { (client, server) } else { (server, client) };
            // Both directions number the connection the same, or one apart.
            let near = |known: u16| connection.abs_diff(known) <= 1;
            if mine.is_some_and(|known| !near(known)) || other.is_some_and(|known| !near(known)) {
                return Outcome::No;
            }
            bits += if mine.is_none() && other.is_some() { 28 } else { 4 };
            sides[usize::from(datagram.from_client)] = Some(connection);
        }
        let found = Found { class: Class::Unknown, ..Found::plaintext(UTP) };
        match (sides, bits) {
            ([Some(_), Some(_)], 36..) => Outcome::Found(found),
            _ => Outcome::NeedMore,
        }
    }
}

/// The connection number of a uTP packet.
fn utp_header(bytes: &[u8]) -> Option<u16> {
    match bytes {
        [kind, extension, a, b, rest @ ..]
            if kind & 0xf == 1 && kind >> 4 <= 4 && *extension <= 4 && rest.len() >= 16 =>
        {
            // Zero is WireGuard's reserved field, not a number anyone draws.
            Some(u16::from_be_bytes([*a, *b])).filter(|connection| *connection != 0)
        }
        _ => None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::shape::testing::{hex, letter, probe, table};
    use super::*;

    #[test]
    pub(crate) fn bencoding() {
        let ping = b"d1:ad2:id4:abcde1:q4:ping1:t2:aa1:y1:qe";
        assert_eq!(letter(probe(&DHT, &[ping])), 'f');
        let cases: &[(&str, &[u8])] = &[
            ("a byte too many", b"d1:ad2:id4:abcde1:q4:ping1:t2:aa1:y1:qee"),
            ("string too long", b"d1:ad2:id9:abcde1:y1:qe"),
            ("not a dictionary", b"l1:y1:qe"),
            ("no message kind", b"d1:x1:qe"),
        ];
        for (name, bytes) in cases {
            assert_eq!(letter(probe(&DHT, &[bytes])), 'n', "{name}");
        }
        let deep: Vec<u8> = b"d1:y1:q1:x".iter().copied().chain(std::iter::repeat_n(b'l', 4000)).collect();
        assert_eq!(letter(probe(&DHT, &[&deep])), 'n', "too deep");
    }

    #[test]
    pub(crate) fn headers() {
        table(
            &TRACKER,
            &[
                ("connect", "0000041727101980 00000000 11223344", 'f'),
                ("other number", "0000041727101981 00000000 11223344", 'n'),
            ],
        );
        let id = "00112233445566778899aabbccddeeff";
        table(
            &GNUTELLA,
            &[
                ("ping", &format!("{id} 00 01 00 00000000"), 'f'),
                ("length wrong", &format!("{id} 00 01 00 01000000"), 'n'),
                ("kind 3", &format!("{id} 03 01 00 00000000"), 'n'),
            ],
        );
        table(
            &EDONKEY,
            &[
                ("Kademlia ping", "e4 60", 'm'),
                ("status request", "e3 96 01020304", 'm'),
                ("unknown operation", "e4 f0 01020304", 'n'),
            ],
        );
        let status = ["e3 96 01020304", "e3 96 05060708", "e3 96 090a0b0c"].map(hex);
        let status: Vec<&[u8]> = status.iter().map(Vec::as_slice).collect();
        assert_eq!(letter(probe(&EDONKEY, &status)), 'f', "three requests");
        assert_eq!(letter(probe(&EDONKEY, &[status[0], &hex("e3 96 01")])), 'n', "one that is too short");
    }

    #[test]
    pub(crate) fn micro_transport() {
        let syn = hex("41 00 1000 00000001 00000000 00100000 0001 0000");
        let state = hex("21 00 1000 00000002 00000001 00100000 0001 0001");
        let data = hex("01 00 1001 00000003 00000001 00100000 0002 0001 a1b2");
        match probe(&Utp, &[&syn, &state, &data]) {
            Outcome::Found(found) => assert_eq!(found.class, Class::Unknown),
            other => panic!("{other:?}"),
        }
        let stranger = hex("21 00 2000 00000002 00000001 00100000 0001 0001");
        assert_eq!(letter(probe(&Utp, &[&syn, &stranger])), 'n', "another connection");
        assert_eq!(letter(probe(&Utp, &[&syn])), 'm', "one side");
    }
}
