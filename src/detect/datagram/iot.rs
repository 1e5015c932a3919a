//! CoAP and MQTT-SN.
//!
//! Sources: RFC 7252 section 3 (message format) and section 12.2 (option numbers), MQTT-SN 1.2 section 5.
//! Evidence: CoAP has two fixed bits, so that its options have to be known ones in order, its paths text, and an answer has
//! to carry the message number or the token of a question. OSCORE (RFC 8613) encrypts what is inside and is refused.

use super::shape::{Check, ENOUGH, FAIR, Reader, Shape, Stop, is_keepalive, printable};
use crate::detect::{Dissector, Found, Heads, Openings, Outcome};
use crate::model::{Protocol, Transport};

/// CoAP.
pub(super) struct Coap;

/// MQTT for sensor networks.
pub(super) static MQTT_SN: Shape = Shape::new(&"mqtt-sn", mqtt_sn);

const COAP: Protocol = Protocol(&"coap");

impl Dissector for Coap {
    fn protocol(&self) -> Protocol {
        COAP
    }

    fn transport(&self) -> Transport {
        Transport::UDP
    }

    fn openings(&self) -> Openings {
        const OPENINGS: Openings = Openings::of(&[0x40..=0x7f]);
        OPENINGS
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        let mut bits = 0u32;
        for (index, datagram) in heads.datagrams.iter().enumerate() {
            if is_keepalive(datagram.bytes) {
                continue;
            }
            let mut reader = Reader::new(*datagram);
            if coap(&mut reader) == Err(Stop::Against) {
                reader = Reader::new(*datagram);
                if draft(&mut reader) == Err(Stop::Against) {
                    return Outcome::No;
                }
            }
            let earlier = heads.datagrams.get(..index).unwrap_or_default();
            if earlier.iter().any(|other| other.bytes == datagram.bytes) {
                continue;
            }
            bits = bits.saturating_add(reader.bits);
            let answers = earlier.iter().any(|other| {
                let same_number = other.bytes.get(2..4).is_some_and(|number| Some(number) == datagram.bytes.get(2..4));
                other.from_client != datagram.from_client && (same_number || same_token(other.bytes, datagram.bytes))
            });
            if answers {
                bits = bits.saturating_add(14);
            }
        }
        let found = Found::plaintext(COAP);
        match bits {
            ENOUGH.. => Outcome::Found(found),
            FAIR.. => Outcome::Likely(found),
            _ => Outcome::NeedMore,
        }
    }
}

/// Whether both carry the same token of at least two bytes.
fn same_token(a: &[u8], b: &[u8]) -> bool {
    fn token(bytes: &[u8]) -> Option<&[u8]> {
        let length = usize::from(bytes.first().copied()? & 0xf);
        bytes.get(4..4 + length).filter(|token| token.len() >= 2)
    }
    token(a).is_some_and(|first| token(b) == Some(first))
}

fn coap(reader: &mut Reader<'_>) -> Check {
    let first = reader.u8()?;
    let token = usize::from(first & 0xf);
    reader.holds(first >> 6 == 1 && token <= 8, 3)?;
    let code = reader.u8()?;
    let known = matches!(code, 0 | 1..=7 | 0x41..=0x45 | 0x5f | 0x80..=0x86 | 0x88 | 0x89 | 0x8c..=0x8f | 0x96 | 0x9d | 0xa0..=0xa5 | 0xa8);
    reader.holds(known, 3)?;
    let _number = reader.u16()?;
    if code == 0 {
        return reader.end(8);
    }
    reader.skip(token)?;
    let mut option = 0u32;
    while reader.left() > 0 {
        let head = reader.u8()?;
        if head == 0xff {
            return reader.holds(reader.left() > 0, 6);
        }
        option = option.saturating_add(extended(reader, head >> 4)?);
        let length = extended(reader, head & 0xf)? as usize;
        const OSCORE: u32 = 9;
        reader.holds(is_option(option) && option != OSCORE && length <= reader.left(), 4)?;
        let value = reader.take(length)?;
        // Uri-Host, Location-Path, Uri-Path, Uri-Query: text, other than that in other languages.
        if matches!(option, 3 | 8 | 11 | 15) {
            reader.holds(printable(value) || std::str::from_utf8(value).is_ok(), 0)?;
            reader.favours(printable(value), u32::try_from(value.len().min(16)).unwrap_or(0));
        }
    }
    reader.end(4)
}

/// The format before RFC 7252 (draft-ietf-core-coap-03 to 11): a count of options in place of the length of the token.
fn draft(reader: &mut Reader<'_>) -> Check {
    let first = reader.u8()?;
    let count = first & 0xf;
    reader.holds(first >> 6 == 1 && (1..15).contains(&count), 2)?;
    let code = reader.u8()?;
    reader.holds(matches!(code, 1..=4 | 0x40..=0x45 | 0x80..=0x8f | 0xa0..=0xa5), 3)?;
    let _number = reader.u16()?;
    let mut option = 0u8;
    for _ in 0..count {
        let head = reader.u8()?;
        option = option.saturating_add(head >> 4);
        let length = match head & 0xf {
            15 => usize::from(reader.u8()?) + 15,
            short => usize::from(short),
        };
        reader.holds((1..=21).contains(&option), 2)?;
        let value = reader.take(length)?;
        if matches!(option, 5 | 6 | 8 | 9 | 15) {
            reader.holds(printable(value), u32::try_from(value.len().min(16)).unwrap_or(0))?;
        }
    }
    Ok(())
}

/// An option delta or length (RFC 7252 section 3.1).
fn extended(reader: &mut Reader<'_>, nibble: u8) -> Result<u32, Stop> {
    match nibble {
        0..=12 => Ok(u32::from(nibble)),
        13 => Ok(u32::from(reader.u8()?) + 13),
        14 => Ok(u32::from(reader.u16()?) + 269),
        _ => Err(Stop::Against),
    }
}

fn is_option(number: u32) -> bool {
    matches!(number, 1 | 3..=9 | 11 | 12 | 14..=17 | 19..=21 | 23 | 27 | 28 | 31 | 35 | 39 | 60 | 252 | 258 | 292 | 2048..)
}

fn mqtt_sn(reader: &mut Reader<'_>) -> Check {
    let first = reader.u8()?;
    let length = if first == 1 { usize::from(reader.u16()?) } else { usize::from(first) };
    reader.holds(length == reader.position() + reader.left(), 0)?;
    let kind = reader.u8()?;
    reader.holds(kind <= 0x1d && !matches!(kind, 3 | 0x11 | 0x19), 0)?;
    match kind {
        // CONNECT: flags, protocol 1, duration, client name.
        4 => {
            let flags = reader.u8()?;
            let protocol = reader.u8()?;
            reader.holds(flags & 0xf3 == 0 && protocol == 1, 8 + 6 + 8)?;
            reader.skip(2)?;
            let name = reader.rest();
            reader.holds(!name.is_empty() && printable(name), 6)
        }
        5 => reader.holds(reader.left() == 1, 8 + 5),
        0x0b | 0x0d => reader.holds(reader.left() == 5, 8 + 5),
        0x13 => reader.holds(reader.left() == 6, 8 + 5),
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::shape::testing::{hex, letter, probe, table};
    use super::*;

    #[test]
    pub(crate) fn coap_messages() {
        table(
            &Coap,
            &[
                ("get", "40 01 1234 bb 2e77656c6c2d6b6e6f776e 04 636f7265", 'f'),
                ("get of an early draft", "43 01 1234 72 1633 2b 2e77656c6c2d6b6e6f776e 04 636f7265", 'l'),
                ("ping", "40 00 1234", 'm'),
                ("option 2", "40 01 1234 21 2e", 'n'),
                ("encrypted inside", "40 02 1234 92 0901 ff a9b3", 'n'),
                ("version 2", "80 01 1234 b4 74656d70", 'n'),
                ("token of nine", "49 01 1234 010203040506070809 b4 74656d70", 'n'),
            ],
        );
        let (question, answer) = (hex("44 01 1234 a1b2c3d4 b4 74656d70"), hex("64 45 1234 a1b2c3d4 c0 ff 3231"));
        assert_eq!(letter(probe(&Coap, &[&question])), 'm');
        assert_eq!(letter(probe(&Coap, &[&question, &answer])), 'f');
    }

    #[test]
    pub(crate) fn sensors() {
        table(
            &MQTT_SN,
            &[
                ("connect", "09 04 04 01 001e 616263", 'l'),
                ("length wrong", "0a 04 04 01 001e 616263", 'n'),
                ("protocol 2", "09 04 04 02 001e 616263", 'n'),
            ],
        );
    }
}
