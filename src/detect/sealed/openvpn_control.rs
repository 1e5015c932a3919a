//! The TLS handshake inside the control channel of OpenVPN, where it can be read: without tls-crypt.
//!
//! Sources: OpenVPN `doc/doxygen/doc_protocol_overview.h` (control packets: opcode, session ID, with tls-auth a hash and a
//! replay ID, acknowledgements, packet ID, payload); packets are put in order by packet ID, of which 0 is the reset.
//! It protects the control channel and gives the data its keys; the cipher of the data is agreed on inside it.
//! Memory: [`MAX_WAITING`] packets of each side, of [`MAX_PACKET`] bytes at most.
//! Not handled: later handshakes (new keys), and handshakes of which packets are missing.

use std::collections::BTreeMap;

use super::{u16_at, u32_at};
use crate::detect::{Found, Moment, Session, Step};
use crate::model::{Evidence, Facts, Handshake, Protocol};

/// What reads the control channel on; `framed` over TCP, with a length before each packet.
pub(super) fn session(framed: bool) -> Box<dyn Session> {
    let tls = crate::tls::session::stream();
    Box::new(Control { framed, sides: Default::default(), tls, done: false, packets: 0 })
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Control {
    framed: bool,
    /// Client, server.
    sides: [Channel; 2],
    tls: Box<dyn Session>,
    done: bool,
    packets: u32,
}

/// One direction.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Channel {
    /// Bytes of a packet that is not whole (TCP).
    #[serde(with = "crate::model::kept::room")]
    buffer: Vec<u8>,
    /// Bytes of tls-auth behind the session ID; known from the first packet with TLS in it.
    auth_len: Option<usize>,
    /// Packet ID that comes next.
    next: u32,
    waiting: BTreeMap<u32, Vec<u8>>,
}

impl Channel {
    /// Takes a control packet; what is in order now is appended to `stream`.
    fn take(&mut self, packet: &[u8], stream: &mut Vec<u8>) {
        if packet.first() != Some(&CONTROL_V1) || packet.len() > MAX_PACKET {
            return;
        }
        if self.auth_len.is_none() {
            let opens = |&len: &usize| matches!(payload(packet, len), Some((FIRST, [0x16, 3, 0..=4, _, _, 1 | 2, ..])));
            self.auth_len = AUTH_LENS.into_iter().find(opens);
            self.next = FIRST;
        }
        let Some((id, content)) = self.auth_len.and_then(|len| payload(packet, len)) else { return };
        if id < self.next || self.waiting.len() >= MAX_WAITING {
            return;
        }
        self.waiting.entry(id).or_insert_with(|| content.to_vec());
        while let Some(content) = self.waiting.remove(&self.next) {
            stream.extend_from_slice(&content);
            self.next = self.next.saturating_add(1);
        }
    }
}

/// Packet ID and payload of a control packet with `auth_len` bytes of tls-auth.
fn payload(packet: &[u8], auth_len: usize) -> Option<(u32, &[u8])> {
    let rest = packet.get(9 + auth_len..)?;
    let (&acknowledged, rest) = rest.split_first()?;
    if acknowledged > MAX_ACKNOWLEDGED {
        return None;
    }
    // Behind acknowledgements stands the session ID of the other side.
    let len = usize::from(acknowledged) * 4 + if acknowledged > 0 { 8 } else { 0 };
    let rest = rest.get(len..)?;
    Some((u32_at(rest, 0)?, rest.get(4..)?))
}

#[typetag::serde(name = "sealed/openvpn_control/Control")]
impl Session for Control {
    fn feed(&mut self, from_client: bool, bytes: &[u8], moment: Moment) -> Step {
        if self.done {
            return Step::Done;
        }
        let channel = &mut self.sides[usize::from(!from_client)];
        let mut stream = Vec::new();
        if self.framed {
            channel.buffer.extend_from_slice(bytes);
            let mut used = 0;
            while let Some(len) = u16_at(&channel.buffer, used) {
                let Some(packet) = channel.buffer.get(used + 2..used + 2 + usize::from(len)) else { break };
                let packet = packet.to_vec();
                channel.take(&packet, &mut stream);
                used += 2 + packet.len();
                self.packets += 1;
            }
            channel.buffer.drain(..used);
        } else {
            channel.take(bytes, &mut stream);
            self.packets += 1;
        }
        if !stream.is_empty() {
            self.done = matches!(self.tls.feed(from_client, &stream, moment), Step::Done);
        }
        if self.done || self.packets >= MAX_PACKETS { Step::Done } else { Step::Continue }
    }

    fn gap(&mut self, _from_client: bool) -> bool {
        false
    }

    fn finish(self: Box<Self>, _found: &mut Found, facts: &mut Facts) {
        // What the handshake says about itself is not about the flow, whose class and evidence stay.
        let mut inner = Found::encrypted(Protocol::TLS, Evidence::OneSided).from_client();
        let mut read = Facts::default();
        self.tls.finish(&mut inner, &mut read);
        facts.tls = read.tls.filter(|tls| tls.handshake == Handshake::Completed);
    }

    fn memory(&self) -> usize {
        let channel = |channel: &Channel| {
            channel.buffer.capacity() + channel.waiting.values().map(|content| content.capacity() + 64).sum::<usize>()
        };
        size_of::<Self>() + self.tls.memory() + self.sides.iter().map(channel).sum::<usize>()
    }
}

/// P_CONTROL_V1 with the first key.
const CONTROL_V1: u8 = 4 << 3;
/// Packet ID of the first packet behind the reset.
const FIRST: u32 = 1;
/// Without tls-auth, and with it: the hash (SHA-1, MD5, SHA-224, SHA-256, SHA-384, SHA-512) and eight bytes against replay.
const AUTH_LENS: [usize; 7] = [0, 28, 24, 36, 40, 56, 72];
/// OpenVPN acknowledges at most eight packets at a time.
const MAX_ACKNOWLEDGED: u8 = 8;
const MAX_WAITING: usize = 32;
const MAX_PACKET: usize = 2048;
/// A handshake that takes more packets than this is not waited for.
const MAX_PACKETS: u32 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    /// A ClientHello and a ServerHello of TLS 1.3, then protected records, as OpenVPN cuts them: piece by piece.
    fn sides() -> [Vec<u8>; 2] {
        let record = |kind: u8, body: &[u8]| [&[kind, 3, 3, 0, body.len() as u8][..], body].concat();
        let hello = |kind: u8, rest: &[u8]| {
            let body = [&[3, 3][..], &[7; 32], &[0], rest].concat();
            record(0x16, &[&[kind, 0, 0, body.len() as u8][..], &body].concat())
        };
        let client = hello(1, &[0, 2, 0x13, 1, 1, 0, 0, 7, 0, 43, 0, 3, 2, 3, 4]);
        let server = hello(2, &[0x13, 1, 0, 0, 6, 0, 43, 0, 2, 3, 4]);
        let data = record(0x17, &[0xa5; 60]);
        [[client, data.clone()].concat(), [server, data].concat()]
    }

    fn packet(id: u32, auth_len: usize, content: &[u8]) -> Vec<u8> {
        let auth = vec![0xee; auth_len];
        [&[CONTROL_V1][..], b"clientid", &auth, &[1, 0, 0, 0, 0], b"serverid", &id.to_be_bytes(), content].concat()
    }

    fn read(framed: bool, sent: &[(bool, Vec<u8>)]) -> Option<u16> {
        let mut control = session(framed);
        for (from_client, bytes) in sent {
            let bytes = if framed { [&(bytes.len() as u16).to_be_bytes(), &bytes[..]].concat() } else { bytes.clone() };
            let _ = control.feed(*from_client, &bytes, Moment { time_ns: 0, wire_len: bytes.len() });
            assert!(control.memory() < 1 << 18);
        }
        let mut facts = Facts::default();
        let mut found = Found::encrypted(Protocol(&"openvpn"), Evidence::Handshake);
        control.finish(&mut found, &mut facts);
        assert_eq!(found, Found::encrypted(Protocol(&"openvpn"), Evidence::Handshake));
        facts.tls.and_then(|tls| tls.cipher)
    }

    #[test]
    fn the_handshake_inside() {
        let [client, server] = sides();
        let pieces = |auth_len: usize| -> Vec<(bool, Vec<u8>)> {
            let side = |from_client: bool, bytes: &[u8]| -> Vec<(bool, Vec<u8>)> {
                (1..).zip(bytes.chunks(30)).map(|(id, part)| (from_client, packet(id, auth_len, part))).collect()
            };
            [side(true, &client), side(false, &server)].concat()
        };
        let plain = pieces(0);
        let mut swapped = plain.clone();
        swapped.swap(1, 2);
        let mut repeated = plain.clone();
        repeated.insert(1, plain[0].clone());
        let mut missing = plain.clone();
        missing.remove(1);
        let noise = (0..600).map(|id| (true, packet(id, 0, &[0x65; 40]))).collect::<Vec<_>>();
        let cases: &[(&str, bool, Vec<(bool, Vec<u8>)>, Option<u16>)] = &[
            ("plain", false, plain.clone(), Some(0x1301)),
            ("over TCP", true, plain, Some(0x1301)),
            ("tls-auth with SHA-1", false, pieces(28), Some(0x1301)),
            ("tls-auth with SHA-512", false, pieces(72), Some(0x1301)),
            ("out of order", false, swapped, Some(0x1301)),
            ("sent twice", false, repeated, Some(0x1301)),
            ("a packet missing", false, missing, None),
            ("tls-crypt", false, noise, None),
        ];
        for (name, framed, sent, want) in cases {
            assert_eq!(read(*framed, sent), *want, "{name}");
        }
    }
}
