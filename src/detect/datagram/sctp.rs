//! SCTP: what the DATA chunks carry decides. The transport itself encrypts nothing.
//!
//! Sources: RFC 9260 section 3 (chunks), the IANA registry "SCTP Payload Protocol Identifiers", RFC 6083 (DTLS over SCTP),
//! RFC 8260 (I-DATA), RFC 6733 section 3 (Diameter header).
//! Evidence: the chunk chain ends with the packet, and the payload identifier names a protocol in clear, or the data is
//! Diameter or text. DTLS records inside are left to others; other data stays unknown. An association without data has no
//! application payload: `control`.

use super::shape::{Check, Reader, Stop, is_text};
use crate::detect::{Datagram, Dissector, Found, Heads, MAX_DATAGRAMS, Outcome};
use crate::model::{Class, Evidence, Protocol, Transport};

/// SCTP associations.
pub(super) struct Sctp;

const SCTP: Protocol = Protocol(&"sctp");

/// What the packets of an association showed.
#[derive(Clone, Copy, Debug, Default)]
struct Content {
    data: u32,
    readable: u32,
    sealed: u32,
}

impl Dissector for Sctp {
    fn protocol(&self) -> Protocol {
        SCTP
    }

    fn transport(&self) -> Transport {
        Transport::SCTP
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        let mut content = Content::default();
        for datagram in heads.datagrams.iter().filter(|datagram| datagram.wire_len > 0) {
            if content.walk(*datagram) == Err(Stop::Against) {
                return Outcome::No;
            }
        }
        let found = |class, evidence| Found { class, evidence, ..Found::plaintext(SCTP) };
        let full = heads.datagrams.len() >= MAX_DATAGRAMS;
        match content {
            Content { data: 0, .. } if heads.datagrams.is_empty() => Outcome::NeedMore,
            Content { data: 0, .. } => Outcome::Likely(found(Class::Control, Evidence::None)),
            Content { sealed: 1.., .. } => Outcome::Likely(found(Class::Unknown, Evidence::Signature)),
            Content { data, readable, .. } if readable * 2 > data => {
                Outcome::Found(found(Class::Plaintext, Evidence::Signature))
            }
            _ if full => Outcome::Found(found(Class::Unknown, Evidence::Signature)),
            _ => Outcome::Likely(found(Class::Unknown, Evidence::Signature)),
        }
    }
}

impl Content {
    fn walk(&mut self, datagram: Datagram<'_>) -> Check {
        let mut reader = Reader::new(datagram);
        while reader.left() > 0 {
            let kind = reader.u8()?;
            let _flags = reader.u8()?;
            let length = usize::from(reader.u16()?);
            let known = matches!(kind, 0..=15 | 64 | 128..=130 | 132 | 192..=194);
            let body = length.checked_sub(4).ok_or(Stop::Against)?;
            reader.holds(known && body <= reader.left(), 8)?;
            match kind {
                0 => self.data(&mut reader, body, 12)?,
                64 => self.data(&mut reader, body, 16)?,
                _ => reader.skip(body)?,
            }
            let padding = length.next_multiple_of(4) - length;
            reader.skip(padding.min(reader.left()))?;
        }
        Ok(())
    }

    /// One chunk of user data behind a header of `header` bytes.
    fn data(&mut self, reader: &mut Reader<'_>, body: usize, header: usize) -> Check {
        let user = body.checked_sub(header).ok_or(Stop::Against)?;
        self.data += 1;
        // TSN, stream and its sequence number; I-DATA has a longer message number, then the same identifier.
        reader.skip(header - 4)?;
        let identifier = reader.u32()?;
        let captured = reader.rest();
        let bytes = captured.get(..user.min(captured.len())).unwrap_or_default();
        const DIAMETER_IN_DTLS: u32 = 47;
        if is_dtls(bytes) || identifier == DIAMETER_IN_DTLS {
            self.sealed += 1;
        } else if matches!(identifier, 1..=46 | 48..=50 | 55 | 60..=66)
            || is_diameter(bytes, user)
            || (user >= 4 && is_text(bytes))
        {
            self.readable += 1;
        }
        reader.skip(user)
    }
}

/// A DTLS record at the start (RFC 6347 section 4.1).
fn is_dtls(bytes: &[u8]) -> bool {
    matches!(bytes, [20..=26, 0xfe, 0xff | 0xfd | 0xfc, ..])
}

/// A Diameter message that fills the chunk.
fn is_diameter(bytes: &[u8], user: usize) -> bool {
    matches!(bytes, [1, a, b, c, ..] if u32::from_be_bytes([0, *a, *b, *c]) as usize == user && user >= 20)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::shape::testing::{hex, probe};
    use super::*;

    #[test]
    pub(crate) fn associations() {
        let class = |text: &str| match probe(&Sctp, &[&hex(text)]) {
            Outcome::Found(found) | Outcome::Likely(found) => Some(found.class),
            Outcome::No | Outcome::NeedMore => None,
        };
        let cases: &[(&str, &str, Option<Class>)] = &[
            ("init", "01 00 0014 00000001 00010000 000a 000a 00000001", Some(Class::Control)),
            ("M3UA", "00 03 0018 00000001 0000 0000 00000003 0100010100000008", Some(Class::Plaintext)),
            ("DTLS inside", "00 03 0018 00000001 0000 0000 0000002f 17fefd0001000000", Some(Class::Unknown)),
            ("bytes nobody knows", "00 03 0018 00000001 0000 0000 00000000 9fa1b300ff017788", Some(Class::Unknown)),
            ("chunk too long", "00 03 0028 00000001 0000 0000 00000003 0100010100000008", None),
            ("unknown chunk", "5a 03 0018 00000001 0000 0000 00000003 0100010100000008", None),
        ];
        for (name, text, want) in cases {
            assert_eq!(class(text), *want, "{name}");
        }
    }
}
