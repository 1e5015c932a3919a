//! SNMP version 3, whose messages say each for itself whether they are encrypted.
//!
//! Sources: RFC 3412 section 6 (message, msgFlags), RFC 3414 section 8 (privacy), RFC 3410 (overview).
//! Evidence: the whole header is well-formed BER, the privacy flag is set, and the data is an octet string, not a sequence
//! (signature). Discovery before it is in clear: those datagrams are marked readable.
//! Authentication without privacy is plaintext.

use crate::detect::{Dissector, Found, Heads, Moment, Openings, Outcome, Session, Step};
use crate::model::{Class, Evidence, Facts, Protocol, Transport};

pub(super) struct SnmpV3;

impl Dissector for SnmpV3 {
    fn protocol(&self) -> Protocol {
        PROTOCOL
    }

    fn transport(&self) -> Transport {
        Transport::UDP
    }

    fn openings(&self) -> Openings {
        const OPENINGS: Openings = Openings::of(&[0x30..=0x30]);
        OPENINGS
    }

    fn has_sides(&self) -> bool {
        false
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        let mut found = Outcome::NeedMore;
        for datagram in heads.datagrams {
            match is_private(datagram.bytes) {
                Some(true) => return Outcome::Found(Found::encrypted(PROTOCOL, Evidence::Signature)),
                Some(false) => found = Outcome::Found(Found::plaintext(PROTOCOL)),
                None => return Outcome::No,
            }
        }
        found
    }

    fn session(&self, _found: Found) -> Option<Box<dyn Session>> {
        Some(Box::new(SnmpSession { private: false }))
    }
}

/// Marks the readable messages of a conversation that has private ones.
#[derive(serde::Serialize, serde::Deserialize)]
struct SnmpSession {
    private: bool,
}

#[typetag::serde(name = "sealed/snmp/SnmpSession")]
impl Session for SnmpSession {
    fn feed(&mut self, _from_client: bool, bytes: &[u8], _moment: Moment) -> Step {
        let private = is_private(bytes) == Some(true);
        self.private |= private;
        if private { Step::Continue } else { Step::Readable }
    }

    fn finish(self: Box<Self>, found: &mut Found, facts: &mut Facts) {
        found.class = if self.private { Class::Encrypted } else { Class::Plaintext };
        facts.carrier_version = Some(3);
    }

    fn memory(&self) -> usize {
        0
    }
}

/// Whether a message of version 3 is encrypted; `None` when it is no such message.
fn is_private(bytes: &[u8]) -> Option<bool> {
    let (message, _) = element(bytes, SEQUENCE)?;
    let (version, message) = element(message, INTEGER)?;
    let (header, message) = element(message, SEQUENCE)?;
    let (_id, header) = element(header, INTEGER)?;
    let (_max_size, header) = element(header, INTEGER)?;
    let (flags, header) = element(header, OCTETS)?;
    let (_model, _) = element(header, INTEGER)?;
    let (_security, data) = element(message, OCTETS)?;
    let (&[flags], [3]) = (flags, version) else { return None };
    match (flags & 0b11, data.first()?) {
        (0b11, &OCTETS) => Some(true),
        // Privacy without authentication does not exist.
        (0 | 1, &SEQUENCE) => Some(false),
        _ => None,
    }
}

/// The content of a BER element with this tag, as far as it is there, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (len, rest) = match bytes {
        [first, len @ 0..=0x7f, rest @ ..] if *first == tag => (usize::from(*len), rest),
        [first, 0x81, len, rest @ ..] if *first == tag => (usize::from(*len), rest),
        [first, 0x82, a, b, rest @ ..] if *first == tag => (usize::from(u16::from_be_bytes([*a, *b])), rest),
        [first, 0x83, a, b, c, rest @ ..] if *first == tag => (u32::from_be_bytes([0, *a, *b, *c]) as usize, rest),
        [first, 0x84, a, b, c, d, rest @ ..] if *first == tag => (u32::from_be_bytes([*a, *b, *c, *d]) as usize, rest),
        _ => return None,
    };
    // A message that the capture cut short still shows its header.
    Some(rest.split_at(len.min(rest.len())))
}

const PROTOCOL: Protocol = Protocol(&"snmp");
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::probe_datagrams;
    use super::*;

    fn message(version: u8, flags: u8, data: u8) -> Vec<u8> {
        let header =
            [&[SEQUENCE, 13, INTEGER, 1, 9, INTEGER, 2, 5, 0xdc, OCTETS, 1, flags][..], &[INTEGER, 1, 3]].concat();
        let body = [&[INTEGER, 1, version][..], &header, &[OCTETS, 2, 0x30, 0], &[data, 4, 1, 2, 3, 4]].concat();
        [&[SEQUENCE, body.len() as u8][..], &body].concat()
    }

    #[test]
    pub(crate) fn probe() {
        let encrypted = Outcome::Found(Found::encrypted(PROTOCOL, Evidence::Signature));
        let plain = Outcome::Found(Found::plaintext(PROTOCOL));
        let cases: &[(&str, Vec<u8>, Outcome)] = &[
            ("private", message(3, 7, OCTETS), encrypted),
            ("discovery", message(3, 4, SEQUENCE), plain),
            ("authenticated only", message(3, 1, SEQUENCE), plain),
            ("flag without octets", message(3, 3, SEQUENCE), Outcome::No),
            ("octets without flag", message(3, 1, OCTETS), Outcome::No),
            ("privacy alone", message(3, 2, OCTETS), Outcome::No),
            ("version 2", message(1, 3, OCTETS), Outcome::No),
            ("text", b"0hello".to_vec(), Outcome::No),
        ];
        for (name, bytes, want) in cases {
            assert_eq!(probe_datagrams(&SnmpV3, &[(true, bytes.clone())]), *want, "{name}");
        }
    }

    #[test]
    fn discovery_stays_readable() {
        let mut session = SnmpV3.session(Found::plaintext(PROTOCOL)).expect("SNMP reads on");
        let moment = Moment { time_ns: 0, wire_len: 0 };
        let steps = [message(3, 4, SEQUENCE), message(3, 3, OCTETS)].map(|bytes| session.feed(true, &bytes, moment));
        assert!(matches!(steps, [Step::Readable, Step::Continue]));
        let mut found = Found::plaintext(PROTOCOL);
        session.finish(&mut found, &mut Facts::default());
        assert_eq!(found.class, Class::Encrypted);
    }
}
