//! DCE-RPC over TCP, in clear and with "packet privacy".
//!
//! Sources: C706 (DCE 1.1 RPC) section 12.6 (PDUs), MS-RPCE section 2.2.2.11 (`sec_trailer`) and 2.2.1.1.8 (levels).
//! Evidence: PDUs of both sides (signature); the security trailer of a request or response says whether it is sealed
//! (level 6). A flow is encrypted when most of its data is; level 5 and less is plaintext.
//! Not handled: DCE-RPC inside SMB pipes or HTTP, and over UDP.

use std::ops::ControlFlow;

use super::frames::{Extent, Frames};
use crate::detect::{Dissector, Found, Heads, Moment, Outcome, Session, Step};
use crate::model::{Class, Evidence, Facts, Protocol, Transport};

pub(super) struct DceRpc;

impl Dissector for DceRpc {
    fn protocol(&self) -> Protocol {
        PROTOCOL
    }

    fn transport(&self) -> Transport {
        Transport::TCP
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        const FROM_CLIENT: [u8; 6] = [REQUEST, BIND, 14, 16, 18, 19];
        const FROM_SERVER: [u8; 7] = [RESPONSE, 3, 12, 13, 15, 17, 20];
        let plain = Found::plaintext(PROTOCOL);
        match (opens(heads.client, &FROM_CLIENT), opens(heads.server, &FROM_SERVER)) {
            (Some(false), _) | (_, Some(false)) => Outcome::No,
            (Some(true), Some(true)) => Outcome::Found(plain.from_client()),
            (Some(true), None) | (None, Some(true)) => Outcome::Likely(plain),
            (None, None) => Outcome::NeedMore,
        }
    }

    fn session(&self, _found: Found) -> Option<Box<dyn Session>> {
        Some(Box::new(DceRpcSession::default()))
    }
}

/// Whether a side starts with a PDU of one of these types; `None` while it is too short.
fn opens(head: &[u8], types: &[u8]) -> Option<bool> {
    match extent(head) {
        Extent::Short => None,
        Extent::Wrong => Some(false),
        Extent::Of { .. } => Some(head.get(2).is_some_and(|kind| types.contains(kind))),
    }
}

/// The extent of a PDU: version 5, minor 0 or 1, type, flags, data representation, fragment and trailer lengths.
fn extent(head: &[u8]) -> Extent {
    let sound = head.iter().zip(0..).all(|(&byte, at)| match at {
        0 => byte == 5,
        1 => byte <= 1,
        2 => byte <= 20,
        // Integers little or big endian, characters ASCII or EBCDIC; floating point formats 0 to 3; two bytes unused.
        4 => matches!(byte, 0x00 | 0x01 | 0x10 | 0x11),
        5 => byte <= 3,
        6 | 7 => byte == 0,
        _ => true,
    });
    if !sound {
        return Extent::Wrong;
    }
    match (number(head, 8), number(head, 10)) {
        (Some(total), Some(trailer)) if total >= HEADER_LEN && trailer <= total - HEADER_LEN => {
            Extent::Of { total, keep: total }
        }
        (Some(_), Some(_)) => Extent::Wrong,
        _ => Extent::Short,
    }
}

/// A number of 16 bits in the byte order that the PDU names.
fn number(head: &[u8], at: usize) -> Option<usize> {
    let bytes = head.get(at..)?.first_chunk().copied()?;
    let number = if head.get(4)? & 0x10 == 0 { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) };
    Some(usize::from(number))
}

/// The protection level of a whole PDU; `None` without a security trailer.
fn level(pdu: &[u8]) -> Option<u8> {
    let trailer = number(pdu, 10).filter(|&len| len > 0)?;
    // Type, level, padding, reserved, context; then the token.
    pdu.get(pdu.len().checked_sub(trailer.checked_add(8)?)?..)?.get(1).copied()
}

/// Weighs what is sealed.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct DceRpcSession {
    client: Frames,
    server: Frames,
    sealed_bytes: u64,
    clear_bytes: u64,
}

#[typetag::serde(name = "sealed/dcerpc/DceRpcSession")]
impl Session for DceRpcSession {
    fn feed(&mut self, from_client: bool, bytes: &[u8], _moment: Moment) -> Step {
        let frames = if from_client { &mut self.client } else { &mut self.server };
        frames.feed(bytes, extent, |message| {
            if let Some(&(REQUEST | RESPONSE)) = message.head.get(2) {
                let sealed = level(message.head) == Some(PRIVACY);
                *if sealed { &mut self.sealed_bytes } else { &mut self.clear_bytes } += message.total as u64;
            }
            ControlFlow::Continue(())
        });
        if self.client.is_lost() && self.server.is_lost() { Step::Done } else { Step::Continue }
    }

    fn gap(&mut self, from_client: bool) -> bool {
        if from_client { &mut self.client } else { &mut self.server }.lose();
        !(self.client.is_lost() && self.server.is_lost())
    }

    fn finish(self: Box<Self>, found: &mut Found, _facts: &mut Facts) {
        if self.sealed_bytes > self.clear_bytes {
            found.class = Class::Encrypted;
            found.evidence = Evidence::Framing;
        }
    }

    fn memory(&self) -> usize {
        self.client.memory() + self.server.memory()
    }
}

const PROTOCOL: Protocol = Protocol(&"dcerpc");
const HEADER_LEN: usize = 16;
const REQUEST: u8 = 0;
const RESPONSE: u8 = 2;
const BIND: u8 = 11;
const PRIVACY: u8 = 6;

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::detect::tests::ask;

    fn pdu(kind: u8, level: u8) -> Vec<u8> {
        let trailer: &[u8] = if level == 0 { &[] } else { &[10, level, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0] };
        let total = 16 + 40 + trailer.len();
        let token = trailer.len().saturating_sub(8);
        let head = [5, 0, kind, 3, 0x10, 0, 0, 0, total as u8, 0, token as u8, 0, 1, 0, 0, 0];
        [&head[..], &[7; 40], trailer].concat()
    }

    #[test]
    pub(crate) fn probe() {
        let plain = Found::plaintext(PROTOCOL);
        let mut odd = pdu(BIND, 0);
        odd[4] = 0x22;
        let cases: &[(&str, Vec<u8>, Vec<u8>, Outcome)] = &[
            ("both sides", pdu(BIND, 0), pdu(12, 0), Outcome::Found(plain.from_client())),
            ("client only", pdu(BIND, 0), vec![], Outcome::Likely(plain)),
            ("sides exchanged", pdu(12, 0), pdu(BIND, 0), Outcome::No),
            ("data representation", odd, vec![], Outcome::No),
            ("text", b"hello".to_vec(), vec![], Outcome::No),
            ("length below the header", vec![5, 0, 11, 3, 0x10, 0, 0, 0, 15, 0, 0, 0], vec![], Outcome::No),
        ];
        for (name, client, server, want) in cases {
            assert_eq!(ask(&DceRpc, Heads { client, server, ..Heads::default() }), *want, "{name}");
        }
    }

    #[test]
    fn most_of_the_data_decides() {
        let cases: &[(&str, &[(u8, u8)], Class)] = &[
            ("no security", &[(BIND, 0), (REQUEST, 0)], Class::Plaintext),
            ("integrity", &[(BIND, 5), (REQUEST, 5), (REQUEST, 5)], Class::Plaintext),
            ("privacy", &[(BIND, 6), (REQUEST, 6)], Class::Encrypted),
            ("privacy that only the bind promises", &[(BIND, 6)], Class::Plaintext),
            ("mostly clear", &[(REQUEST, 0), (REQUEST, 0), (REQUEST, 6)], Class::Plaintext),
        ];
        for (name, pdus, class) in cases {
            let mut found = Found::plaintext(PROTOCOL);
            let mut session = DceRpc.session(found).expect("DCE-RPC reads on");
            let stream: Vec<u8> = pdus.iter().flat_map(|&(kind, level)| pdu(kind, level)).collect();
            for piece in stream.chunks(11) {
                session.feed(true, piece, Moment { time_ns: 0, wire_len: 0 });
            }
            session.finish(&mut found, &mut Facts::default());
            assert_eq!(found.class, *class, "{name}");
        }
    }
}
