//! OPC UA over TCP: its own secure channel, of which only the mode "sign and encrypt" hides anything.
//!
//! Sources: OPC 10000-6 sections 6.7.2 (chunks, sequence header), 7.1.2 (HEL, ACK); OPC 10000-7 (security policies).
//! Evidence: HEL and ACK, or chunks whose sizes chain. The mode itself is hidden in the sealed OPN, so that the first
//! message tells: a service request begins with the type's node ID in clear unless it is encrypted. `None` and `Sign`
//! are plaintext. In mid-stream several unreadable chunks of one channel are needed (framing).

use std::ops::ControlFlow;

use super::frames::{Extent, Frames};
use crate::detect::{Dissector, Found, Heads, Moment, Outcome, Session, Step};
use crate::model::{Class, Evidence, Facts, Protocol, Transport};

pub(super) struct OpcUa;

impl Dissector for OpcUa {
    fn protocol(&self) -> Protocol {
        PROTOCOL
    }

    fn transport(&self) -> Transport {
        Transport::TCP
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        let sides = [heads.client, heads.server].map(|head| {
            let mut side = End::default();
            side.feed(head);
            side
        });
        let [client, server] = &sides;
        if client.frames.is_lost() || server.frames.is_lost() {
            return Outcome::No;
        }
        let found = weigh(client, server);
        match (client.chunks, server.chunks) {
            (0, 0) => Outcome::NeedMore,
            (0, _) | (_, 0) => Outcome::Likely(found),
            _ => Outcome::Found(found),
        }
    }

    fn session(&self, _found: Found) -> Option<Box<dyn Session>> {
        Some(Box::new(OpcUaSession::default()))
    }
}

/// What the chunks of both sides amount to.
fn weigh(client: &End, server: &End) -> Found {
    let sealed = client.sealed + server.sealed;
    let readable = client.readable + server.readable;
    let opened = client.secured && server.secured;
    // Without the opening, a few chunks that do not read like a service may be fragments of a long one.
    if sealed > readable && (opened || sealed >= 3 && !client.opened && !server.opened) {
        let evidence = if opened { Evidence::Handshake } else { Evidence::Framing };
        return Found::encrypted(PROTOCOL, evidence);
    }
    Found::plaintext(PROTOCOL)
}

/// One side.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct End {
    frames: Frames,
    chunks: u32,
    opened: bool,
    secured: bool,
    readable: u32,
    sealed: u32,
    continues: bool,
}

impl End {
    fn feed(&mut self, bytes: &[u8]) {
        let Self { frames, chunks, opened, secured, readable, sealed, continues } = self;
        frames.feed(bytes, extent, |message| {
            *chunks = chunks.saturating_add(1);
            match message.head {
                [b'O', b'P', b'N', ..] => {
                    *opened = true;
                    *secured |= policy(message.head).is_some_and(|uri| !uri.ends_with(b"#None"));
                }
                // The first chunk of a message shows the type; the others only go on.
                [b'M', b'S', b'G', kind, ..] => {
                    if !*continues {
                        match is_service(message.head) {
                            Some(true) => *readable = readable.saturating_add(1),
                            Some(false) => *sealed = sealed.saturating_add(1),
                            None => {}
                        }
                    }
                    *continues = *kind == b'C';
                }
                _ => {}
            }
            ControlFlow::Continue(())
        });
    }
}

fn extent(head: &[u8]) -> Extent {
    const KINDS: [&[u8; 3]; 7] = [b"HEL", b"ACK", b"ERR", b"RHE", b"OPN", b"MSG", b"CLO"];
    let kind = head.get(..3).unwrap_or(head);
    if !KINDS.iter().any(|known| known.starts_with(kind)) || head.get(3).is_some_and(|last| !b"FCA".contains(last)) {
        return Extent::Wrong;
    }
    match head.get(4..8).and_then(|size| size.first_chunk().copied()).map(u32::from_le_bytes) {
        None => Extent::Short,
        Some(size @ 8..=MAX_CHUNK) => Extent::Of { total: size as usize, keep: 128 },
        Some(_) => Extent::Wrong,
    }
}

/// The security policy of an OPN chunk.
fn policy(chunk: &[u8]) -> Option<&[u8]> {
    let len = chunk.get(12..16)?.first_chunk().copied().map(u32::from_le_bytes)?;
    chunk.get(16..)?.get(..usize::try_from(len).ok()?)
}

/// Whether a message shows a service type: behind channel, token, sequence number and request ID a node ID in its
/// two or four byte form, namespace 0. `None` when there is no room for one.
fn is_service(chunk: &[u8]) -> Option<bool> {
    match chunk.get(24..28)? {
        [1, 0, _, high] => Some(*high <= 0x40),
        _ => Some(false),
    }
}

/// Reads the chunks on.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct OpcUaSession {
    client: End,
    server: End,
}

#[typetag::serde(name = "sealed/opcua/OpcUaSession")]
impl Session for OpcUaSession {
    fn feed(&mut self, from_client: bool, bytes: &[u8], _moment: Moment) -> Step {
        let end = if from_client { &mut self.client } else { &mut self.server };
        end.feed(bytes);
        let enough = self.client.sealed.max(self.client.readable) >= ENOUGH
            && self.server.sealed.max(self.server.readable) >= ENOUGH;
        if enough || self.client.frames.is_lost() && self.server.frames.is_lost() { Step::Done } else { Step::Continue }
    }

    fn gap(&mut self, from_client: bool) -> bool {
        if from_client { &mut self.client } else { &mut self.server }.frames.lose();
        !(self.client.frames.is_lost() && self.server.frames.is_lost())
    }

    fn finish(self: Box<Self>, found: &mut Found, _facts: &mut Facts) {
        *found = Found { client_proven: found.client_proven, ..weigh(&self.client, &self.server) };
        if found.class == Class::Plaintext {
            found.evidence = Evidence::Signature;
        }
    }

    fn memory(&self) -> usize {
        self.client.frames.memory() + self.server.frames.memory()
    }
}

const PROTOCOL: Protocol = Protocol(&"opcua");
const MAX_CHUNK: u32 = 16 * 1024 * 1024;
/// Messages of each side after which the mode is settled.
const ENOUGH: u32 = 4;

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::detect::tests::probe_streams;

    fn chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        [&kind[..], &((8 + body.len()) as u32).to_le_bytes(), body].concat()
    }

    fn open(policy: &str) -> Vec<u8> {
        chunk(
            b"OPNF",
            &[&[1, 0, 0, 0][..], &(policy.len() as u32).to_le_bytes(), policy.as_bytes(), &[0xee; 64]].concat(),
        )
    }

    fn message(body: &[u8]) -> Vec<u8> {
        chunk(b"MSGF", &[&[1, 0, 0, 0, 1, 0, 0, 0][..], &[2, 0, 0, 0, 2, 0, 0, 0], body].concat())
    }

    #[test]
    pub(crate) fn probe() {
        let secure = "http://opcfoundation.org/UA/SecurityPolicy#Basic256Sha256";
        let hello = chunk(b"HELF", &[0; 24]);
        let answer = chunk(b"ACKF", &[0; 20]);
        let readable = message(&[1, 0, 0xd1, 1, 5, 5]);
        let sealed = message(&[0x8d, 0x11, 0x5e, 0x93, 5, 5]);
        let handshake = Outcome::Found(Found::encrypted(PROTOCOL, Evidence::Handshake));
        let framing = Outcome::Found(Found::encrypted(PROTOCOL, Evidence::Framing));
        let plain = Outcome::Found(Found::plaintext(PROTOCOL));
        let join = |parts: &[&[u8]]| parts.concat();
        let none = open("http://opcfoundation.org/UA/SecurityPolicy#None");
        let cases: &[(&str, Vec<u8>, Vec<u8>, Outcome)] = &[
            ("hellos", hello.clone(), answer.clone(), plain),
            ("sealed", join(&[&hello, &open(secure), &sealed]), join(&[&answer, &open(secure), &sealed]), handshake),
            (
                "signed only",
                join(&[&hello, &open(secure), &readable]),
                join(&[&answer, &open(secure), &readable]),
                plain,
            ),
            ("no security", join(&[&hello, &none, &readable]), join(&[&answer, &none, &readable]), plain),
            ("mid-stream sealed", join(&[&sealed, &sealed]), sealed.clone(), framing),
            ("mid-stream, too few", sealed.clone(), sealed.clone(), plain),
            ("client only", hello.clone(), vec![], Outcome::Likely(Found::plaintext(PROTOCOL))),
            ("text", b"HELO mail".to_vec(), b"220 ".to_vec(), Outcome::No),
            (
                "size of nothing",
                chunk(b"HELF", &[]).into_iter().take(4).chain([7, 0, 0, 0]).collect(),
                vec![],
                Outcome::No,
            ),
        ];
        for (name, client, server, want) in cases {
            probe_streams(&OpcUa, &[(name, client, server, *want)]);
        }
    }
}
