//! Protocols that are a chain of messages, each with a head that can be checked: a row and two functions a protocol.
//!
//! Evidence is counted in bits: a message head says how many bits of it are pinned down by the standard (fixed bytes,
//! few allowed values, a length that must be small), so random bytes pass with a probability of about two to the minus
//! that. Messages of both sides add up; the walk ends as soon as enough is known, so more bytes never unsay it.
//!
//! Not handled: streams that begin in the middle of a message (they answer `No`, save for text, see [`Framed::loose`]).

use std::panic::Location;

use super::super::{Dissector, Found, Heads, Outcome, Session};
use super::logins;
use crate::model::{Protocol, Transport};

/// What the start of a message says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Header {
    /// It is no message of this protocol, whatever comes.
    Bad,
    /// Nothing against it so far; too short to tell.
    Short,
    /// A message of this protocol.
    Good {
        /// Length of the whole message; may exceed the bytes at hand. Unit: bytes.
        len: usize,
        /// Bits that were checked.
        bits: u32,
    },
}

impl Header {
    /// The same without a message: it refutes, and proves nothing.
    pub(super) const fn silent(self) -> Self {
        match self {
            Self::Good { .. } => Self::Short,
            other => other,
        }
    }
}

/// A message reader: looks at the start of a message.
pub(super) type Reader = fn(&[u8]) -> Header;

/// A protocol of the table.
pub(super) struct Framed {
    /// Its name.
    pub(super) protocol: Protocol,
    /// Messages from the client.
    pub(super) client: Reader,
    /// Messages from the server.
    pub(super) server: Reader,
    /// The two readers differ, so that a match proves who the client is.
    pub(super) directed: bool,
    /// Without a start, one side may be in the middle of a message while the other shows what it is: long texts.
    pub(super) loose: bool,
    /// Where the row is written.
    pub(super) written: &'static Location<'static>,
    /// What reads on, when there may be an upgrade or an announcement; else perhaps what looks for passwords ([`logins`]).
    pub(super) session: Option<fn() -> Box<dyn Session>>,
}

/// Bits that both sides together must show.
pub(super) const BOTH_SIDES: u32 = 40;
/// Bits of one side that are good enough when the other never speaks.
const ONE_SIDE: u32 = 48;
/// Bits of one side that are certain by themselves.
const ONE_SIDE_CERTAIN: u32 = 128;
/// Messages of a side that are looked at.
const MAX_MESSAGES: u32 = 8;

impl Framed {
    /// A row whose sides speak alike.
    #[track_caller]
    pub(super) const fn alike(name: &'static &'static str, reader: Reader) -> Self {
        Self {
            protocol: Protocol(name),
            client: reader,
            server: reader,
            directed: false,
            loose: false,
            written: Location::caller(),
            session: None,
        }
    }

    /// A row whose sides differ.
    #[track_caller]
    pub(super) const fn directed(name: &'static &'static str, client: Reader, server: Reader) -> Self {
        Self {
            protocol: Protocol(name),
            client,
            server,
            directed: true,
            loose: false,
            written: Location::caller(),
            session: None,
        }
    }

    /// The same, for a text protocol.
    #[track_caller]
    pub(super) const fn text(name: &'static &'static str, client: Reader, server: Reader) -> Self {
        Self { loose: true, ..Self::directed(name, client, server) }
    }

    /// The same, with a session.
    pub(super) const fn with_session(self, session: fn() -> Box<dyn Session>) -> Self {
        Self { session: Some(session), ..self }
    }
}

impl Dissector for Framed {
    fn protocol(&self) -> Protocol {
        self.protocol
    }

    fn transport(&self) -> Transport {
        Transport::TCP
    }

    fn probe(&self, heads: Heads<'_>) -> Outcome {
        let found = Found { client_proven: self.directed, ..Found::plaintext(self.protocol) };
        let forgives = self.loose && !heads.from_start;
        let client = walk(heads.client, self.client);
        if client.is_none() && !forgives {
            return Outcome::No;
        }
        let (client, server) = match (client, walk(heads.server, self.server)) {
            (Some(client), Some(server)) => (client, server),
            (Some(one), None) | (None, Some(one)) if forgives => return one.alone(found),
            _ => return Outcome::No,
        };
        let bits = client.bits + server.bits;
        match (client.messages > 0, server.messages > 0) {
            (true, true) if bits >= BOTH_SIDES => Outcome::Found(found),
            (true, false) => client.alone(found),
            (false, true) => server.alone(found),
            _ => Outcome::NeedMore,
        }
    }

    fn has_sides(&self) -> bool {
        self.directed
    }

    fn waits_for_the_other(&self, heads: Heads<'_>) -> bool {
        let refuses = |head, reader| walk(head, reader).is_none();
        self.loose
            && !heads.from_start
            && (heads.server.is_empty() && refuses(heads.client, self.client)
                || heads.client.is_empty() && refuses(heads.server, self.server))
    }

    fn source(&self) -> String {
        format!("{}:{}", self.written.file(), self.written.line())
    }

    fn session(&self, _found: Found) -> Option<Box<dyn Session>> {
        self.session.map_or_else(|| logins::session(self.protocol), |open| Some(open()))
    }
}

/// What one side has shown.
#[derive(Clone, Copy, Default)]
pub(super) struct Walk {
    /// Whole message heads.
    pub(super) messages: u32,
    /// Bits checked in them.
    pub(super) bits: u32,
}

impl Walk {
    /// The answer when only this side counts.
    fn alone(self, found: Found) -> Outcome {
        match self.bits {
            ONE_SIDE_CERTAIN.. => Outcome::Found(found),
            ONE_SIDE.. => Outcome::Likely(found),
            _ => Outcome::NeedMore,
        }
    }
}

/// Follows the chain of messages; `None` when it is broken before enough is known.
pub(super) fn walk(head: &[u8], reader: Reader) -> Option<Walk> {
    let mut walk = Walk::default();
    let mut rest = head;
    while !rest.is_empty() && walk.messages < MAX_MESSAGES && walk.bits < ONE_SIDE_CERTAIN {
        match reader(rest) {
            Header::Bad | Header::Good { len: 0, .. } => return None,
            Header::Short => break,
            Header::Good { len, bits } => {
                walk.messages += 1;
                walk.bits += bits;
                rest = rest.get(len..).unwrap_or_default();
            }
        }
    }
    Some(walk)
}

/// Big-endian 16 bits at `offset`.
pub(super) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes.get(offset..)?.first_chunk().map(|chunk| u16::from_be_bytes(*chunk))
}

/// Big-endian 32 bits at `offset`.
pub(super) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().map(|chunk| u32::from_be_bytes(*chunk))
}

/// Little-endian 16 bits at `offset`.
pub(super) fn u16_le(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes.get(offset..)?.first_chunk().map(|chunk| u16::from_le_bytes(*chunk))
}

/// Little-endian 32 bits at `offset`.
pub(super) fn u32_le(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().map(|chunk| u32::from_le_bytes(*chunk))
}

/// [`Header::Good`] when `ok`, else [`Header::Bad`].
pub(super) const fn good(ok: bool, len: usize, bits: u32) -> Header {
    if ok { Header::Good { len, bits } } else { Header::Bad }
}

/// Whether `head` opens with `magic`: `None` while it is a prefix of it.
pub(super) fn opens(head: &[u8], magic: &[u8]) -> Option<bool> {
    match head.get(..magic.len()) {
        Some(start) => Some(start == magic),
        None if magic.starts_with(head) => None,
        None => Some(false),
    }
}
