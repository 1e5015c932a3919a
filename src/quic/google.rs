//! Google's QUIC before it took the headers of RFC 9000: versions Q009 to Q048.
//!
//! Sources: "QUIC Wire Layout Specification" (Google, 2016) for the public header up to Q043; QUICHE `quic_framer.cc` for
//! the long header of Q044 to Q048; "QUIC Crypto" (Langley and Chang) for CHLO, REJ and SHLO.
//! Evidence: the first packets carry the version as text and the client's `CHLO` message in clear; the server answers
//! with `REJ` or `SHLO`. All later packets are encrypted.
//! Q050 and later are opened like QUIC (see [`super::version`]).

use super::version::Version;
use crate::detect::{Dissector, Found, Heads, Moment, Openings, Outcome, Session, Step};
use crate::model::{Evidence, Facts, Protocol, Transport};

pub(super) struct GoogleQuic;

impl Dissector for GoogleQuic {
    fn protocol(&self) -> Protocol {
        PROTOCOL
    }

    fn transport(&self) -> Transport {
        Transport::UDP
    }

    fn openings(&self) -> Openings {
        // The flags of a header that names its version.
        const OPENINGS: Openings = Openings::of(&[
            0x09..=0x0d,
            0x19..=0x1d,
            0x29..=0x2d,
            0x39..=0x3d,
            0x49..=0x4d,
            0x59..=0x5d,
            0x69..=0x6d,
            0x79..=0x7d,
            0x80..=0xff,
        ]);
        OPENINGS
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        let mut hello = None;
        let mut tagged = 0_usize;
        let mut first_id = None;
        let mut answered = false;
        for datagram in heads.datagrams {
            let bytes = datagram.bytes;
            match (datagram.from_client, header(bytes)) {
                (true, Some(header)) => {
                    if *first_id.get_or_insert(header.connection_id) != header.connection_id {
                        continue;
                    }
                    tagged += 1;
                    if hello.is_none() && contains(header.rest, b"CHLO") {
                        hello = Some(header.connection_id);
                    }
                }
                // The same version tag from the server: the sides are the other way round.
                (false, Some(header)) if contains(header.rest, b"CHLO") => return Outcome::No,
                (false, _) => answered |= hello.is_some() && answers(bytes, first_id),
                (true, None) => {}
            }
        }
        match (hello.is_some(), answered) {
            (true, true) => Outcome::Found(Found::encrypted(PROTOCOL, Evidence::Handshake).from_client()),
            (true, false) => Outcome::Likely(Found::encrypted(PROTOCOL, Evidence::OneSided).from_client()),
            (false, _) if tagged >= 2 => Outcome::Likely(Found::encrypted(PROTOCOL, Evidence::Framing).from_client()),
            (false, _) if tagged == 1 => Outcome::NeedMore,
            _ => Outcome::No,
        }
    }

    fn session(&self, _found: Found) -> Option<Box<dyn Session>> {
        Some(Box::new(GoogleSession { version: None }))
    }
}

/// Keeps the version of the first packet that has one.
#[derive(serde::Serialize, serde::Deserialize)]
struct GoogleSession {
    version: Option<Version>,
}

#[typetag::serde(name = "quic/google/GoogleSession")]
impl Session for GoogleSession {
    fn feed(&mut self, _from_client: bool, bytes: &[u8], _moment: Moment) -> Step {
        self.version = header(bytes).map(|header| header.version);
        if self.version.is_some() { Step::Done } else { Step::Continue }
    }

    fn finish(self: Box<Self>, _found: &mut Found, facts: &mut Facts) {
        facts.carrier_version = self.version.map(|Version(number)| number);
    }

    fn memory(&self) -> usize {
        0
    }
}

/// A client's packet that names its version.
struct Header<'a> {
    version: Version,
    connection_id: [u8; 8],
    rest: &'a [u8],
}

/// Reads a header that has a connection ID of eight bytes and a version: `None` for anything else.
fn header(bytes: &[u8]) -> Option<Header<'_>> {
    let (&flags, after) = bytes.split_first()?;
    let (connection_id, tag, rest) = if flags & 0x80 == 0 {
        // Public header: version flag set, reset flag not, connection ID present, multipath flag never used.
        if flags & 0b1000_1011 != 0b0000_1001 {
            return None;
        }
        let (connection_id, after) = after.split_first_chunk::<8>()?;
        let (tag, rest) = after.split_first_chunk::<4>()?;
        (*connection_id, *tag, rest)
    } else {
        // Long header: version, then the lengths of both connection IDs in one byte (5 stands for 8).
        let (tag, after) = after.split_first_chunk::<4>()?;
        let (&lengths, after) = after.split_first()?;
        if lengths != 0x50 {
            return None;
        }
        let (connection_id, rest) = after.split_first_chunk::<8>()?;
        (*connection_id, *tag, rest)
    };
    let [b'Q', b'0', tens @ b'0'..=b'4', ones @ b'0'..=b'9'] = tag else { return None };
    let long = (tens, ones) >= (b'4', b'4');
    (long == (flags & 0x80 != 0)).then_some(Header { version: Version(u32::from_be_bytes(tag)), connection_id, rest })
}

/// Whether a server's datagram belongs to the connection: its ID where a header may have it, or a message of the
/// handshake, which is in clear.
fn answers(bytes: &[u8], connection_id: Option<[u8; 8]>) -> bool {
    let has_id = connection_id.is_some_and(|id| bytes.get(1..9) == Some(&id[..]) || bytes.get(6..14) == Some(&id[..]));
    has_id || contains(bytes, b"REJ\0") || contains(bytes, b"SHLO")
}

/// Whether a message tag stands near the start: behind packet number, hash of 12 bytes and frame header.
fn contains(bytes: &[u8], tag: &[u8; 4]) -> bool {
    bytes.get(..bytes.len().min(TAG_WITHIN)).unwrap_or_default().windows(4).any(|window| window == tag)
}

const TAG_WITHIN: usize = 64;
const PROTOCOL: Protocol = Protocol(&"gquic");

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::detect::Datagram;
    use crate::detect::tests::ask;

    fn hello(version: &[u8; 4]) -> Vec<u8> {
        [&[0x0d][..], &[7; 8], version, &[1], &[0xaa; 12], &[0xa0, 1, 0], b"CHLO", &[0; 40]].concat()
    }

    fn long_hello() -> Vec<u8> {
        [&[0xc3][..], b"Q046", &[0x50], &[7; 8], &[0, 0, 0, 1], &[0xaa; 12], &[0xa0, 1, 0], b"CHLO", &[0; 40]].concat()
    }

    #[test]
    pub(crate) fn probe() {
        let likely = Outcome::Likely(Found::encrypted(PROTOCOL, Evidence::OneSided).from_client());
        let found = Outcome::Found(Found::encrypted(PROTOCOL, Evidence::Handshake).from_client());
        let framing = Outcome::Likely(Found::encrypted(PROTOCOL, Evidence::Framing).from_client());
        let client = hello(b"Q039");
        let early = [&[0x0d][..], &[7; 8], b"Q043", &[9; 60]].concat();
        let server = [&[0x08][..], &[7; 8], &[1], &[0xbb; 12], &[0xa0, 1, 0], b"REJ\0", &[0; 40]].concat();
        let cases: &[(&str, &[(bool, &[u8])], Outcome)] = &[
            ("client only", &[(true, &client)], likely),
            ("answered", &[(true, &client), (false, &server)], found),
            ("long header", &[(true, &long_hello())], likely),
            ("early data with the version", &[(true, &early), (true, &early)], framing),
            ("one packet with a version", &[(true, &early)], Outcome::NeedMore),
            ("sides exchanged", &[(false, &client)], Outcome::No),
            ("a version that never was", &[(true, &hello(b"Q0x9"))], Outcome::No),
            ("long header version in a public header", &[(true, &hello(b"Q046"))], Outcome::No),
            ("text", &[(true, b"Q043 CHLO")], Outcome::No),
            ("nothing", &[(true, b"")], Outcome::No),
        ];
        for (name, sent, want) in cases {
            let datagrams: Vec<_> = sent
                .iter()
                .map(|&(from_client, bytes)| Datagram { from_client, bytes, wire_len: bytes.len() })
                .collect();
            let heads = Heads { datagrams: &datagrams, from_start: true, ..Heads::default() };
            assert_eq!(ask(&GoogleQuic, heads), *want, "{name}");
        }
    }
}
