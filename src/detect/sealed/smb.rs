//! SMB over TCP, in clear and with the encryption of SMB 3.
//!
//! Sources: MS-SMB2 sections 2.1 (framing), 2.2.1 (header), 2.2.41 (transform header), 2.2.42 (compression); RFC 1002
//! section 4.3 (NetBIOS session service); MS-CIFS section 2.2.3.1.
//! Evidence: messages of both sides behind their length (signature). A connection starts in clear; the flow is split at
//! the first transform header whose inner length fits its message. In mid-stream such headers alone are enough (framing).
//! When more is in clear than encrypted behind the switch (encryption of single shares), the flow stays plaintext.

use std::ops::ControlFlow;

use super::frames::{Extent, Frames, Message};
use crate::detect::{Dissector, Found, Heads, Moment, Outcome, Session, Step};
use crate::model::{Class, Evidence, Facts, Protocol, Transport};

pub(super) struct Smb;

impl Dissector for Smb {
    fn protocol(&self) -> Protocol {
        PROTOCOL
    }

    fn transport(&self) -> Transport {
        Transport::TCP
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        use Opening::{Clear, Other, Sealed, Short};
        let clear = Found::plaintext(PROTOCOL);
        let sealed = Found::encrypted(PROTOCOL, Evidence::Framing);
        match (opening(heads.client), opening(heads.server)) {
            (Other, _) | (_, Other) => Outcome::No,
            (Sealed, Sealed) => Outcome::Found(sealed),
            (Sealed, Short) | (Short, Sealed) => Outcome::Likely(sealed),
            (Clear, Clear) | (Clear, Sealed) | (Sealed, Clear) => Outcome::Found(clear),
            (Clear, Short) | (Short, Clear) => Outcome::Likely(clear),
            (Short, Short) => Outcome::NeedMore,
        }
    }

    fn session(&self, found: Found) -> Option<Box<dyn Session>> {
        Some(Box::new(SmbSession { sealed: found.class == Class::Encrypted, ..SmbSession::default() }))
    }
}

/// What one side starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opening {
    Clear,
    Sealed,
    Short,
    Other,
}

fn opening(head: &[u8]) -> Opening {
    let message = match head {
        // A session request and its positive answer come before SMB where NetBIOS names are used.
        [0x81, 0, 0, len @ 0..=0x88, rest @ ..] => match rest.get(usize::from(*len)..) {
            Some(message) => message,
            None => return Opening::Short,
        },
        [0x82, 0, 0, 0, rest @ ..] => rest,
        [0x81 | 0x82] | [0x81 | 0x82, 0] | [0x81 | 0x82, 0, 0] => return Opening::Short,
        _ => head,
    };
    match extent(message) {
        Extent::Short => Opening::Short,
        Extent::Wrong => Opening::Other,
        Extent::Of { total, keep } => match message.get(..keep) {
            None => Opening::Short,
            Some(start) if is_sealed(start, total) => Opening::Sealed,
            Some(start) if start.get(4) == Some(&TRANSFORM) => Opening::Other,
            Some(_) => Opening::Clear,
        },
    }
}

/// The extent of a message: a zero byte, three bytes of length, and one of the four signs.
fn extent(head: &[u8]) -> Extent {
    match head {
        [] | [0] | [0, _] | [0, _, _] | [0, _, _, _] => Extent::Short,
        [0, a, b, c, sign, rest @ ..] if matches!(*sign, SMB1 | SMB2 | TRANSFORM | COMPRESSION) => {
            let total = u32::from_be_bytes([0, *a, *b, *c]) as usize + 4;
            let keep = if *sign == TRANSFORM { 4 + TRANSFORM_LEN } else { 8 };
            match rest.get(..3) {
                Some(b"SMB") if total >= 4 + 32 => Extent::Of { total, keep },
                None if b"SMB".starts_with(rest) => Extent::Short,
                _ => Extent::Wrong,
            }
        }
        _ => Extent::Wrong,
    }
}

/// Messages between SMB messages that NetBIOS may send: keep-alives, request and answer at the start.
fn extent_in_session(head: &[u8]) -> Extent {
    match head {
        [0x81 | 0x82 | 0x85, 0, a, b, ..] => {
            Extent::Of { total: 4 + usize::from(u16::from_be_bytes([*a, *b])), keep: 4 }
        }
        [0x81 | 0x82 | 0x85, ..] if head.len() < 4 => Extent::Short,
        _ => extent(head),
    }
}

/// Whether a message has a transform header whose original size is what the message holds.
fn is_sealed(start: &[u8], total: usize) -> bool {
    let size = start.get(40..44).and_then(|size| size.first_chunk().copied()).map(u32::from_le_bytes);
    start.get(4) == Some(&TRANSFORM)
        && size.is_some_and(|size| (size as usize).checked_add(4 + TRANSFORM_LEN) == Some(total))
        && start.get(44..46) == Some(&[0, 0])
}

/// Watches for the first encrypted message, and weighs what follows it.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct SmbSession {
    sealed: bool,
    client: Frames,
    server: Frames,
    /// Bytes of messages since encryption began.
    sealed_bytes: u64,
    clear_bytes: u64,
}

#[typetag::serde(name = "sealed/smb/SmbSession")]
impl Session for SmbSession {
    fn feed(&mut self, from_client: bool, bytes: &[u8], _moment: Moment) -> Step {
        let mut switch = None;
        let frames = if from_client { &mut self.client } else { &mut self.server };
        frames.feed(bytes, extent_in_session, |Message { head, total, rest }| {
            if is_sealed(head, total) {
                if !self.sealed {
                    switch = Some(rest);
                    return ControlFlow::Break(());
                }
                self.sealed_bytes += total as u64;
            } else if self.sealed {
                self.clear_bytes += total as u64;
            }
            ControlFlow::Continue(())
        });
        match switch {
            Some(rest) => Step::Upgrade {
                found: Found::encrypted(PROTOCOL, Evidence::Framing),
                rest,
                // The message was shown to this session already, in part: the next starts afresh with `rest`, and
                // follows the other side from where it stands.
                next: Box::new(Self {
                    sealed: true,
                    client: if from_client { Frames::default() } else { std::mem::take(&mut self.client) },
                    server: if from_client { std::mem::take(&mut self.server) } else { Frames::default() },
                    ..Self::default()
                }),
            },
            None if self.client.is_lost() && self.server.is_lost() => Step::Done,
            None => Step::Continue,
        }
    }

    fn gap(&mut self, from_client: bool) -> bool {
        if from_client { &mut self.client } else { &mut self.server }.lose();
        !(self.client.is_lost() && self.server.is_lost())
    }

    fn finish(self: Box<Self>, found: &mut Found, _facts: &mut Facts) {
        if self.sealed && self.clear_bytes > self.sealed_bytes {
            found.class = Class::Plaintext;
        }
    }

    fn memory(&self) -> usize {
        self.client.memory() + self.server.memory()
    }
}

const PROTOCOL: Protocol = Protocol(&"smb");
const SMB1: u8 = 0xff;
const SMB2: u8 = 0xfe;
const TRANSFORM: u8 = 0xfd;
const COMPRESSION: u8 = 0xfc;
const TRANSFORM_LEN: usize = 52;

#[cfg(test)]
mod tests {
    use super::*;

    fn clear(sign: u8) -> Vec<u8> {
        [&[0, 0, 0, 64, sign][..], b"SMB", &[7; 60]].concat()
    }

    fn sealed(size: u8) -> Vec<u8> {
        [&[0, 0, 0, 82, TRANSFORM][..], b"SMB", &[9; 32], &[size, 0, 0, 0, 0, 0, 1, 0], &[5; 8], &[8; 30]].concat()
    }

    #[test]
    fn probe() {
        let plain = Found::plaintext(PROTOCOL);
        let encrypted = Found::encrypted(PROTOCOL, Evidence::Framing);
        let request = [&[0x81, 0, 0, 4, 1, 2, 3, 4][..], &clear(SMB1)].concat();
        let answer = [&[0x82, 0, 0, 0][..], &clear(SMB1)].concat();
        let cases: &[(&str, Vec<u8>, Vec<u8>, Outcome)] = &[
            ("clear", clear(SMB2), clear(SMB2), Outcome::Found(plain)),
            ("version 1 to 2", clear(SMB1), clear(SMB2), Outcome::Found(plain)),
            ("behind NetBIOS", request, answer, Outcome::Found(plain)),
            ("one side", clear(SMB2), vec![], Outcome::Likely(plain)),
            ("sealed", sealed(30), sealed(30), Outcome::Found(encrypted)),
            ("one side sealed", sealed(30), vec![], Outcome::Likely(encrypted)),
            ("size does not fit", sealed(31), vec![], Outcome::No),
            ("another sign", clear(0xfb), vec![], Outcome::No),
            ("another protocol", vec![0, 0, 0, 64, 1, 2, 3, 4], vec![], Outcome::No),
            ("answered by text", clear(SMB2), b"HTTP/1.1 400".to_vec(), Outcome::No),
        ];
        for (name, client, server, want) in cases {
            let probe = |client, server| Smb.probe(Heads { client, server, ..Heads::default() });
            assert_eq!(probe(client, server), *want, "{name}");
            if *want != Outcome::No {
                for end in 0..client.len() {
                    assert_ne!(
                        probe(client.get(..end).unwrap_or_default(), server),
                        Outcome::No,
                        "{name}, {end} bytes"
                    );
                }
            }
        }
    }

    #[test]
    fn split_at_the_first_sealed_message() {
        let moment = Moment { time_ns: 0, wire_len: 0 };
        let cases: &[(&str, &[Vec<u8>], Option<usize>, Class)] = &[
            ("clear only", &[clear(SMB2), clear(SMB2)], None, Class::Plaintext),
            (
                "sealed later",
                &[clear(SMB2), [clear(SMB2), sealed(30)].concat(), sealed(30)],
                Some(86),
                Class::Encrypted,
            ),
            ("mostly clear", &[sealed(30), clear(SMB2), clear(SMB2)], Some(86), Class::Plaintext),
        ];
        for (name, pieces, split, class) in cases {
            let mut found = Found::plaintext(PROTOCOL);
            let mut session = Smb.session(found).expect("SMB reads on");
            let mut at = None;
            for piece in *pieces {
                if let Step::Upgrade { found: new, rest, next } = session.feed(true, piece, moment) {
                    (found, session, at) = (new, next, Some(rest));
                    let _ = session.feed(true, piece.get(piece.len() - rest..).unwrap_or_default(), moment);
                }
            }
            session.finish(&mut found, &mut Facts::default());
            assert_eq!((at, found.class), (*split, *class), "{name}");
        }
    }
}
