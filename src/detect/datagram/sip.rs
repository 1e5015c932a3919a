//! SIP over UDP, and the media that its bodies announce; session announcements (SAP) as well.
//!
//! Sources: RFC 3261 sections 7.1 and 7.2 (request and status lines), RFC 2974 section 3 (SAP header).
//! Evidence: the first line of each datagram; line ends alone are keepalives (RFC 5626 section 3.5.1).
//! Not handled: bodies sent apart from their headers in several datagrams.

use super::sdp::Announcements;
use super::shape::{Check, Reader, Stop, is_text, judge, weigh};
use crate::detect::{Dissector, Found, Heads, Moment, Openings, Outcome, Session, Step};
use crate::model::{Facts, Protocol, Transport};

/// SIP.
pub(super) static SIP: Announcer =
    Announcer { protocol: Protocol(&"sip"), check: sip, openings: Openings::of(&[b'A'..=b'Z']) };

/// Session announcements on multicast.
pub(super) static SAP: Announcer =
    Announcer { protocol: Protocol(&"sap"), check: sap, openings: Openings::of(&[0x20..=0x3f]) };

/// A protocol that carries session descriptions.
pub(super) struct Announcer {
    protocol: Protocol,
    check: fn(&mut Reader<'_>) -> Check,
    /// First bytes of a datagram that the check is not against.
    openings: Openings,
}

impl Dissector for Announcer {
    fn protocol(&self) -> Protocol {
        self.protocol
    }

    fn transport(&self) -> Transport {
        Transport::UDP
    }

    fn openings(&self) -> Openings {
        self.openings
    }

    fn has_sides(&self) -> bool {
        false
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        judge(weigh(heads.datagrams, self.check), Found::plaintext(self.protocol))
    }

    fn session(&self, _found: Found) -> Option<Box<dyn Session>> {
        Some(Box::new(Listener::default()))
    }
}

fn sip(reader: &mut Reader<'_>) -> Check {
    let bytes = reader.whole();
    // A method, or the protocol's own name: what is cheap to see stands first.
    let method = bytes.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    reader.holds((3..=12).contains(&method), 0)?;
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    reader.holds(is_text(line) && !line.is_empty(), 4)?;
    if let Some(code) = line.strip_prefix(b"SIP/2.0 ") {
        return reader.holds(matches!(code, [b'1'..=b'6', b'0'..=b'9', b'0'..=b'9', ..]), 64);
    }
    let target = line.get(method..).unwrap_or_default();
    let schemes: [&[u8]; 4] = [b" sip:", b" sips:", b" tel:", b" urn:"];
    let addressed = schemes.iter().any(|scheme| target.starts_with(scheme));
    reader.holds(addressed, 40)?;
    // A request line longer than what was captured has no version to look at.
    let cut = reader.is_cut() && !bytes.contains(&b'\n');
    reader.holds(cut || line.ends_with(b" SIP/2.0") || line.ends_with(b" SIP/3.0"), 56)
}

fn sap(reader: &mut Reader<'_>) -> Check {
    let flags = reader.u8()?;
    const ENCRYPTED_OR_COMPRESSED: u8 = 3;
    reader.holds(flags >> 5 == 1 && flags & ENCRYPTED_OR_COMPRESSED == 0, 5)?;
    let authentication = usize::from(reader.u8()?) * 4;
    let _hash = reader.u16()?;
    reader.skip(if flags & 0x10 == 0 { 4 } else { 16 })?;
    reader.skip(authentication)?;
    let body = reader.rest();
    let body = body.strip_prefix(b"application/sdp\0").unwrap_or(body);
    if body.len() < 4 && reader.is_cut() {
        return Err(Stop::Cut);
    }
    reader.holds(body.starts_with(b"v=0\r") || body.starts_with(b"v=0\n"), 32)
}

/// Reads every datagram for descriptions.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Listener {
    announcements: Announcements,
}

#[typetag::serde(name = "datagram/sip/Listener")]
impl Session for Listener {
    fn feed(&mut self, _from_client: bool, bytes: &[u8], _moment: Moment) -> Step {
        self.announcements.read_message(bytes);
        Step::Continue
    }

    fn gap(&mut self, _from_client: bool) -> bool {
        true
    }

    fn finish(self: Box<Self>, _found: &mut Found, facts: &mut Facts) {
        facts.announce(self.announcements.endpoints());
    }

    fn memory(&self) -> usize {
        size_of::<Self>() + self.announcements.memory()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::shape::testing::{letter, probe};
    use super::*;
    use crate::model::{Endpoint, Sign};

    #[test]
    pub(crate) fn first_lines() {
        let cases: &[(&Announcer, &str, &[u8], char)] = &[
            (&SIP, "request", b"INVITE sip:bob@example.org SIP/2.0\r\nVia: x\r\n\r\n", 'f'),
            (&SIP, "status", b"SIP/2.0 180 Ringing\r\n\r\n", 'f'),
            (&SIP, "keepalive alone", b"\r\n\r\n", 'm'),
            (&SIP, "no version", b"INVITE sip:bob@example.org\r\n\r\n", 'n'),
            (&SIP, "web", b"GET / HTTP/1.1\r\n\r\n", 'n'),
            (&SIP, "code 999", b"SIP/2.0 999 x\r\n", 'n'),
            (&SAP, "announcement", b"\x20\x00\x12\x34\xc0\x00\x02\x01application/sdp\x00v=0\r\n", 'f'),
            (&SAP, "encrypted", b"\x22\x00\x12\x34\xc0\x00\x02\x01\x9a\x32\x11\x77\x89", 'n'),
        ];
        for (announcer, name, bytes, want) in cases {
            assert_eq!(letter(probe(*announcer, &[bytes])), *want, "{name}");
        }
    }

    #[test]
    fn announces_media() {
        let message =
            b"INVITE sip:b@example.org SIP/2.0\r\n\r\nv=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 0\r\n";
        let mut found = Found::plaintext(SIP.protocol);
        let mut session = SIP.session(found).unwrap_or_else(|| panic!("no session"));
        let moment = Moment { time_ns: 0, wire_len: message.len() };
        assert!(matches!(session.feed(true, message, moment), Step::Continue));
        let mut facts = Facts::default();
        session.finish(&mut found, &mut facts);
        let end = |port| Sign::End(Endpoint { ip: [192, 0, 2, 1].into(), port });
        assert_eq!(facts.announced, [(end(4000), Protocol(&"rtp")), (end(4001), Protocol(&"rtcp"))]);
    }
}
