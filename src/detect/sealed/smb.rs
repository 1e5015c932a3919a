//! SMB over TCP, in clear and with the encryption of SMB 3.
//!
//! Sources: MS-SMB2 sections 2.1 (framing), 2.2.1 (header), 2.2.4 (negotiate response, its contexts for dialect 3.1.1), 2.2.41 (transform header), 2.2.42 (compression); RFC 1002
//! section 4.3 (NetBIOS session service); MS-CIFS section 2.2.3.1.
//! Evidence: messages of both sides behind their length (signature). A connection starts in clear; the flow is split at
//! the first transform header whose inner length fits its message. In mid-stream such headers alone are enough (framing).
//! The dialect and the cipher are those of the server's negotiate response.
//! When more is in clear than encrypted behind the switch (encryption of single shares), the flow stays plaintext.

use std::ops::ControlFlow;

use super::frames::{Extent, Frames, Message};
use crate::detect::{Dissector, Found, Heads, Moment, Outcome, Session, Step};
use crate::model::kept::Text;
use crate::model::{Algorithms, Class, Evidence, Facts, Protocol, Transport};

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
        // Of a negotiation all is read.
        [_, _, _, _, SMB2, ..] => match (extent(head), head.get(16..18)) {
            (Extent::Of { .. }, None) => Extent::Short,
            (Extent::Of { total, .. }, Some([NEGOTIATE, 0])) => Extent::Of { total, keep: total.min(MAX_NEGOTIATION) },
            (extent, _) => extent,
        },
        _ => extent(head),
    }
}

/// What the server chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Agreed {
    dialect: u16,
    #[serde(with = "crate::model::kept::word")]
    cipher: Option<Text>,
    #[serde(with = "crate::model::kept::word")]
    signing: Option<Text>,
}

/// Reads a negotiate response; `None` for any other message, and where the server asks for another round.
fn agreed(message: &[u8]) -> Option<Agreed> {
    let header = message.get(4..)?;
    let at = |at: usize| u16_le(header, at);
    let is_response = header.get(16)? & 1 == 1;
    if header.first()? != &SMB2 || at(12)? != u16::from(NEGOTIATE) || !is_response || at(64)? != 65 {
        return None;
    }
    let dialect = at(68).filter(|dialect| *dialect != MANY_DIALECTS)?;
    let mut agreed = Agreed { dialect, cipher: None, signing: None };
    match dialect {
        // MS-SMB2 section 3.3.5.4: the dialects 3.0 and 3.0.2 have this one only.
        0x0300 | 0x0302 => agreed.cipher = Some("aes-128-ccm"),
        0x0311 => {
            // What cannot be read leaves its part unseen.
            let _ = read_contexts(header, &mut agreed);
        }
        _ => {}
    }
    Some(agreed)
}

/// Contexts stand at multiples of eight bytes from the header: type, length, four reserved bytes, content.
fn read_contexts(header: &[u8], agreed: &mut Agreed) -> Option<()> {
    let count = u16_le(header, 70)?;
    let offset = header.get(124..128)?.first_chunk().copied().map(u32::from_le_bytes)?;
    let mut at = usize::try_from(offset).ok()?;
    for _ in 0..count.min(MAX_CONTEXTS) {
        let (kind, len) = (u16_le(header, at)?, usize::from(u16_le(header, at.checked_add(2)?)?));
        let content = header.get(at.checked_add(8)?..)?.get(..len)?;
        // Both: a count, which is one in an answer, and the number chosen.
        let chosen = u16_le(content, 2);
        let name = |names: &[(u16, &'static str)]| {
            chosen.and_then(|chosen| names.iter().find(|(id, _)| *id == chosen)).map(|(_, name)| *name)
        };
        match kind {
            ENCRYPTION => agreed.cipher = name(&CIPHERS),
            SIGNING => agreed.signing = name(&SIGNATURES),
            _ => {}
        }
        at = at.checked_add(8)?.checked_add(len)?.checked_next_multiple_of(8)?;
    }
    Some(())
}

fn u16_le(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_le_bytes)
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
    agreed: Option<Agreed>,
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
            if !from_client && self.agreed.is_none() {
                self.agreed = agreed(head);
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
                    agreed: self.agreed,
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

    fn finish(self: Box<Self>, found: &mut Found, facts: &mut Facts) {
        if self.sealed && self.clear_bytes > self.sealed_bytes {
            found.class = Class::Plaintext;
        }
        let Some(agreed) = self.agreed else { return };
        facts.carrier_version = Some(agreed.dialect.into());
        // In clear the cipher was agreed on and not used.
        if found.class == Class::Encrypted {
            let [cipher, mac] = [agreed.cipher, agreed.signing].map(|name| name.map(str::to_owned));
            facts.algorithms = Some(Box::new(Algorithms { cipher, mac, ..Algorithms::default() }));
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
const NEGOTIATE: u8 = 0;
/// A negotiate response with its security token; what is longer is not read.
const MAX_NEGOTIATION: usize = 4096;
/// The answer to a client that named its dialects in SMB 1: it is to ask again in SMB 2.
const MANY_DIALECTS: u16 = 0x02ff;
const MAX_CONTEXTS: u16 = 16;
const ENCRYPTION: u16 = 2;
const SIGNING: u16 = 8;
/// MS-SMB2 section 2.2.3.1.2.
const CIPHERS: [(u16, &str); 4] = [(1, "aes-128-ccm"), (2, "aes-128-gcm"), (3, "aes-256-ccm"), (4, "aes-256-gcm")];
/// MS-SMB2 section 2.2.3.1.7.
const SIGNATURES: [(u16, &str); 3] = [(0, "hmac-sha256"), (1, "aes-cmac"), (2, "aes-gmac")];

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::detect::tests::probe_streams;

    fn clear(sign: u8) -> Vec<u8> {
        [&[0, 0, 0, 64, sign][..], b"SMB", &[7; 60]].concat()
    }

    fn sealed(size: u8) -> Vec<u8> {
        [&[0, 0, 0, 82, TRANSFORM][..], b"SMB", &[9; 32], &[size, 0, 0, 0, 0, 0, 1, 0], &[5; 8], &[8; 30]].concat()
    }

    #[test]
    pub(crate) fn probe() {
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
            probe_streams(&Smb, &[(name, client, server, *want)]);
        }
    }

    /// A negotiate response of this dialect with contexts of (type, chosen number).
    fn response(dialect: u16, contexts: &[(u16, u16)]) -> Vec<u8> {
        let mut header = vec![0; 128];
        header[..4].copy_from_slice(b"\xfeSMB");
        (header[16], header[64]) = (1, 65);
        header[68..70].copy_from_slice(&dialect.to_le_bytes());
        header[70] = contexts.len() as u8;
        header[124] = 136;
        header.extend([7; 8]);
        for (kind, chosen) in contexts {
            header.extend([*kind as u8, 0, 4, 0, 0, 0, 0, 0, 1, 0, *chosen as u8, 0, 0, 0, 0, 0]);
        }
        [&[0, 0, (header.len() >> 8) as u8, header.len() as u8][..], &header].concat()
    }

    #[test]
    fn what_the_server_chose() {
        let request = {
            let mut message = response(0x0311, &[(2, 2)]);
            message[4 + 16] = 0;
            message
        };
        type Case<'a> = (&'a str, Vec<u8>, Option<(u16, Option<&'a str>, Option<&'a str>)>);
        let cases: &[Case<'_>] = &[
            ("3.0", response(0x0300, &[]), Some((0x0300, Some("aes-128-ccm"), None))),
            ("3.1.1", response(0x0311, &[(1, 1), (2, 2)]), Some((0x0311, Some("aes-128-gcm"), None))),
            ("3.1.1, 256", response(0x0311, &[(2, 4), (8, 2)]), Some((0x0311, Some("aes-256-gcm"), Some("aes-gmac")))),
            ("3.1.1 without contexts", response(0x0311, &[]), Some((0x0311, None, None))),
            ("3.1.1, no common cipher", response(0x0311, &[(2, 0)]), Some((0x0311, None, None))),
            ("2.1", response(0x0210, &[]), Some((0x0210, None, None))),
            ("another round", response(0x02ff, &[]), None),
            ("a request", request, None),
            ("another message", clear(SMB2), None),
        ];
        for (name, message, want) in cases {
            let found = agreed(message).map(|found| (found.dialect, found.cipher, found.signing));
            assert_eq!(found, *want, "{name}");
            for end in 0..message.len() {
                let _ = agreed(&message[..end]);
            }
        }
    }

    /// The cipher is told of what is encrypted, and not of a connection that stays in clear.
    #[test]
    fn facts_of_an_encrypted_connection() {
        let moment = Moment { time_ns: 0, wire_len: 0 };
        for (sealed_too, want) in [(true, Some("aes-256-gcm")), (false, None)] {
            let mut found = Found::plaintext(PROTOCOL);
            let mut session = Smb.session(found).expect("SMB reads on");
            let _ = session.feed(false, &response(0x0311, &[(2, 4)]), moment);
            if sealed_too && let Step::Upgrade { found: new, next, .. } = session.feed(true, &sealed(30), moment) {
                (found, session) = (new, next);
                let _ = session.feed(true, &sealed(30), moment);
            }
            let mut facts = Facts::default();
            session.finish(&mut found, &mut facts);
            assert_eq!(facts.carrier_version, Some(0x0311));
            assert_eq!(facts.algorithms.and_then(|found| found.cipher).as_deref(), want, "sealed: {sealed_too}");
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
