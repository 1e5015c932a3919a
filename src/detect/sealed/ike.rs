//! IKE, the key exchange of IPsec: over UDP, behind four zero bytes where NAT is passed, and over TCP.
//!
//! Sources: RFC 2408 section 3.1 (version 1), RFC 7296 section 3.1 (version 2), RFC 3948 (marker, keep-alive), RFC 9329
//! (TCP).
//! Evidence: a header whose version, exchange, flags and length are right, with the initiator's SPI on both sides
//! (handshake). One side alone is one-sided. It is the handshake of an encrypted channel, and counts as encrypted.
//! Not handled: IKE whose start is missing on TCP.

use super::{ike_proposal, u16_at, u32_at};
use crate::detect::{Datagram, Dissector, Found, Heads, Moment, Outcome, Session, Step};
use crate::model::{Algorithms, Evidence, Facts, Protocol, Transport};

pub(super) struct Ike;

impl Dissector for Ike {
    fn protocol(&self) -> Protocol {
        PROTOCOL
    }

    fn transport(&self) -> Transport {
        Transport::UDP
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        let is_keepalive = |datagram: &Datagram<'_>| datagram.bytes == [0xff];
        let messages = heads.datagrams.iter().filter(|datagram| !is_keepalive(datagram));
        let read = |datagram: &Datagram<'_>| {
            Some((datagram.from_client, unmarked(datagram).and_then(|(bytes, len)| header(bytes, len))?))
        };
        let Some((first_from, first)) = messages.clone().find_map(read) else {
            let alive = !heads.datagrams.is_empty() && heads.datagrams.iter().all(is_keepalive);
            return if alive { Outcome::NeedMore } else { Outcome::No };
        };
        // ESP may share the ports; anything else may not outnumber IKE.
        let others = messages.clone().filter(|datagram| read(datagram).is_none()).count();
        if others * 2 > messages.clone().count() {
            return Outcome::No;
        }
        let answered =
            messages.filter_map(read).any(|(from, header)| from != first_from && header.initiator == first.initiator);
        let opens = first.responder == [0; 8];
        let found = Found::encrypted(PROTOCOL, if answered { Evidence::Handshake } else { Evidence::OneSided });
        match (answered, opens, first_from) {
            (true, true, true) => Outcome::Found(found.from_client()),
            (true, true, false) => Outcome::No, // Asked again with the sides exchanged.
            (true, false, _) => Outcome::Found(found),
            (false, ..) => Outcome::Likely(found),
        }
    }

    fn session(&self, _found: Found) -> Option<Box<dyn Session>> {
        Some(Box::<IkeSession>::default())
    }
}

pub(super) struct IkeTcp;

impl Dissector for IkeTcp {
    fn protocol(&self) -> Protocol {
        PROTOCOL
    }

    fn transport(&self) -> Transport {
        Transport::TCP
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        let client = match heads.client.strip_prefix(STREAM_PREFIX) {
            Some(rest) => stream_header(rest),
            None if STREAM_PREFIX.starts_with(heads.client) => return Outcome::NeedMore,
            None => return Outcome::No,
        };
        match (client, stream_header(heads.server)) {
            (Err(Wrong), _) | (_, Err(Wrong)) => Outcome::No,
            (Ok(Some(client)), Ok(Some(server))) if client.initiator == server.initiator => {
                Outcome::Found(Found::encrypted(PROTOCOL, Evidence::Handshake).from_client())
            }
            (Ok(Some(_)), Ok(Some(_))) => Outcome::No,
            (Ok(Some(_)), Ok(None)) => Outcome::Likely(Found::encrypted(PROTOCOL, Evidence::OneSided).from_client()),
            (Ok(None), _) => Outcome::NeedMore,
        }
    }
}

/// The stream is not IKE.
struct Wrong;

/// The header of the first message of a stream; `None` while it is too short.
fn stream_header(stream: &[u8]) -> Result<Option<Header>, Wrong> {
    let (Some(len), Some(bytes)) = (u16_at(stream, 0), stream.get(2..)) else { return Ok(None) };
    if bytes.len() < 4 + HEADER_LEN {
        return if bytes.iter().take(4).all(|&byte| byte == 0) { Ok(None) } else { Err(Wrong) };
    }
    let bytes = bytes.strip_prefix(&[0; 4]).ok_or(Wrong)?;
    // The length counts itself and the marker.
    header(bytes, usize::from(len).checked_sub(6).ok_or(Wrong)?).map(Some).ok_or(Wrong)
}

/// The part of the header by which messages are told to belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    initiator: [u8; 8],
    responder: [u8; 8],
    major: u8,
}

/// Removes the marker that tells IKE from ESP on the ports for NAT; gives the bytes and the length on the wire.
fn unmarked<'a>(datagram: &Datagram<'a>) -> Option<(&'a [u8], usize)> {
    match datagram.bytes.strip_prefix(&[0; 4]) {
        // An SPI of zero bytes is not allowed, so that the marker cannot be one.
        Some(bytes) => Some((bytes, datagram.wire_len.checked_sub(4)?)),
        None => Some((datagram.bytes, datagram.wire_len)),
    }
}

/// Reads the header of a message of `len` bytes.
fn header(bytes: &[u8], len: usize) -> Option<Header> {
    let (initiator, after) = bytes.split_first_chunk::<8>()?;
    let (responder, after) = after.split_first_chunk::<8>()?;
    let &[next_payload, version, exchange, flags] = after.first_chunk()?;
    let message_id = u32_at(bytes, 20)?;
    let fits = u32_at(bytes, 24)? as usize == len && len >= HEADER_LEN && *initiator != [0; 8];
    let sound = match version >> 4 {
        1 => {
            // Version 1.0 only; identity protection, authentication only, aggressive, informational, transaction, quick.
            let phase_1 = matches!(exchange, 1 | 2 | 4);
            version == 0x10
                && (phase_1 || matches!(exchange, 5 | 6 | 32 | 33))
                && flags & !0x07 == 0
                && (!phase_1 || message_id == 0)
                && (next_payload <= 22 || next_payload >= 128)
        }
        2 => {
            matches!(exchange, 34..=44)
                && flags & !0x38 == 0
                && (next_payload == 0 || matches!(next_payload, 33..=55 | 128..))
                && (exchange != 34 || message_id == 0)
        }
        _ => false,
    };
    (fits && sound).then_some(Header { initiator: *initiator, responder: *responder, major: version >> 4 })
}

/// Keeps the version, and the proposal that the responder chose.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct IkeSession {
    version: Option<u8>,
    chosen: Option<Algorithms>,
    post_quantum_offered: bool,
    datagrams: u32,
}

/// Datagrams that are read: the choice stands in the second, or behind a cookie or another key exchange's round.
const MOST_READ: u32 = 8;

#[typetag::serde(name = "sealed/ike/IkeSession")]
impl Session for IkeSession {
    fn feed(&mut self, from_client: bool, bytes: &[u8], moment: Moment) -> Step {
        let datagram = Datagram { from_client, bytes, wire_len: moment.wire_len };
        self.datagrams += 1;
        if let Some((bytes, len)) = unmarked(&datagram)
            && let Some(header) = header(bytes, len)
        {
            self.version = self.version.or(Some(header.major));
            self.post_quantum_offered |= ike_proposal::offers_post_quantum(bytes);
            self.chosen = self.chosen.take().or_else(|| ike_proposal::chosen(bytes));
        }
        let read = self.version.is_some() && (self.chosen.is_some() || self.datagrams >= MOST_READ);
        if read { Step::Done } else { Step::Continue }
    }

    fn finish(self: Box<Self>, _found: &mut Found, facts: &mut Facts) {
        facts.carrier_version = self.version.map(u32::from);
        let post_quantum_offered = self.post_quantum_offered;
        facts.algorithms = self.chosen.map(|chosen| Box::new(Algorithms { post_quantum_offered, ..chosen }));
    }

    fn memory(&self) -> usize {
        0
    }
}

const PROTOCOL: Protocol = Protocol(&"isakmp");
const HEADER_LEN: usize = 28;
const STREAM_PREFIX: &[u8] = b"IKETCP";

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::probe_datagrams;
    use super::*;
    use crate::detect::tests::ask;

    fn message(responder: u8, version: u8, exchange: u8, flags: u8) -> Vec<u8> {
        let payload = if version == 0x20 { 33 } else { 1 };
        [&[5; 8][..], &[responder; 8], &[payload, version, exchange, flags], &[0; 4], &[0, 0, 0, 48], &[7; 20]].concat()
    }

    #[test]
    pub(crate) fn probe() {
        let found = Outcome::Found(Found::encrypted(PROTOCOL, Evidence::Handshake).from_client());
        let one_sided = Outcome::Likely(Found::encrypted(PROTOCOL, Evidence::OneSided));
        let (asked, answer) = (message(0, 0x20, 34, 0x08), message(9, 0x20, 34, 0x20));
        let marked = |message: &[u8]| [&[0; 4], message].concat();
        let longer = [&asked[..], &[0]].concat();
        let mut stranger = answer.clone();
        stranger[0] = 6;
        let cases: &[(&str, Vec<(bool, Vec<u8>)>, Outcome)] = &[
            ("version 2", vec![(true, asked.clone()), (false, answer.clone())], found),
            ("version 1", vec![(true, message(0, 0x10, 2, 0)), (false, message(9, 0x10, 2, 0))], found),
            ("behind the marker", vec![(true, marked(&asked)), (false, marked(&answer))], found),
            ("behind a keep-alive", vec![(true, vec![0xff]), (true, asked.clone()), (false, answer.clone())], found),
            ("sides exchanged", vec![(false, asked.clone()), (true, answer.clone())], Outcome::No),
            ("one side", vec![(true, asked.clone())], one_sided),
            ("answer to another", vec![(true, asked.clone()), (false, stranger)], one_sided),
            ("keep-alive only", vec![(true, vec![0xff])], Outcome::NeedMore),
            ("length does not fit", vec![(true, longer)], Outcome::No),
            ("version 3", vec![(true, message(0, 0x30, 34, 0x08))], Outcome::No),
            ("exchange of the other version", vec![(true, message(0, 0x10, 34, 0))], Outcome::No),
            ("flags that do not exist", vec![(true, message(0, 0x20, 34, 0x41))], Outcome::No),
            ("header only in part", vec![(true, asked.get(..20).unwrap_or_default().to_vec())], Outcome::No),
            ("nothing", vec![], Outcome::No),
        ];
        for (name, sent, want) in cases {
            assert_eq!(probe_datagrams(&Ike, sent), *want, "{name}");
        }
    }

    #[test]
    pub(crate) fn over_tcp() {
        let framed = |message: Vec<u8>| [&[0, 54][..], &[0; 4], &message].concat();
        let client = [STREAM_PREFIX, &framed(message(0, 0x20, 34, 0x08))].concat();
        let server = framed(message(9, 0x20, 34, 0x20));
        let probe = |client: &[u8], server: &[u8]| ask(&IkeTcp, Heads { client, server, ..Heads::default() });
        assert_eq!(
            probe(&client, &server),
            Outcome::Found(Found::encrypted(PROTOCOL, Evidence::Handshake).from_client())
        );
        for end in 0..client.len() {
            assert_ne!(probe(client.get(..end).unwrap_or_default(), &server), Outcome::No, "{end} bytes");
        }
        assert_eq!(probe(b"IKETCQ", b""), Outcome::No);
        assert_eq!(probe(&client, b"HTTP/1.1 400 Bad Request\r\n"), Outcome::No);
    }
}
