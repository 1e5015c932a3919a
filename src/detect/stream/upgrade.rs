//! The switch from plaintext to TLS within one connection, exact to the byte.
//!
//! A [`Negotiation`] reads the talk of both sides, piece by piece, and says when the client asked and how the server
//! answered. From the request on the client's bytes are held, from the agreement on the server's too, so neither
//! pipelining nor the order in which the sides are fed matters. The switch counts only when the held client bytes are
//! a TLS ClientHello; else the flow stays plaintext and the upgrade `failed`.
//!
//! Sources: RFC 3207, 2595, 4217, 4642, 6120, 4511 and the database manuals, each at its negotiation; record and
//! handshake heads of RFC 8446 sections 5.1 and 4, SSL 2 hello of RFC 5246 appendix E.2.

use super::super::{DISSECTORS, Found, Heads, Moment, Outcome, Session, Step};
use crate::model::{Class, Endpoint, Evidence, Facts, Protocol, Transport, UpgradeOutcome};

/// What a negotiation made of the unread bytes of one side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Read {
    /// So many bytes are read.
    Take(usize),
    /// More bytes are needed.
    Wait,
    /// No upgrade can follow any more.
    Over,
    /// What is unread is wrapped by the protocol's own security layer (SASL, GSSAPI).
    Sealed(Sealing),
}

/// Whether a security layer hides what it wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sealing {
    /// It does.
    Hidden,
    /// It only signs.
    Readable,
    /// That cannot be seen from outside.
    Unclear,
}

/// How far the talk is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) enum Stage {
    /// Nothing was asked.
    #[default]
    Clear,
    /// The client asked to switch: what it says next belongs behind the switch if the server agrees.
    Asked,
    /// The server agreed.
    Agreed,
}

/// What a negotiation leaves for the record.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Talk {
    /// How far the talk is.
    pub(super) stage: Stage,
    /// What came of the upgrade so far.
    pub(super) outcome: Option<UpgradeOutcome>,
    /// The client sent a password that can be read.
    pub(super) password: bool,
    /// Lines of the server's offer were overwritten.
    pub(super) overwritten: bool,
    /// Endpoints announced for data connections; an unspecified address stands for the announcing side's own.
    #[serde(with = "crate::model::kept::room")]
    pub(super) announced: Vec<(Endpoint, Protocol)>,
}

impl Talk {
    /// The server can switch.
    pub(super) fn offered(&mut self) {
        self.outcome.get_or_insert(UpgradeOutcome::Offered);
    }

    /// The server will not switch now; the talk goes on in clear.
    pub(super) fn refused(&mut self) {
        self.outcome = Some(UpgradeOutcome::Refused);
        self.stage = Stage::Clear;
    }

    /// Remembers an endpoint, up to a bound.
    pub(super) fn announce(&mut self, endpoint: Endpoint, protocol: Protocol) {
        if self.announced.len() < MAX_ANNOUNCED && !self.announced.contains(&(endpoint, protocol)) {
            self.announced.push((endpoint, protocol));
        }
    }
}

/// One protocol's way to agree on TLS.
#[typetag::serde]
pub(super) trait Negotiation: Send {
    /// Looks at the unread bytes of one side; never empty.
    fn read(&mut self, talk: &mut Talk, from_client: bool, unread: &[u8]) -> Read;

    /// Bytes of a side after which no upgrade is expected.
    fn bound(&self) -> usize {
        64 * 1024
    }

    /// Whether the talk can still be followed after bytes of a side were lost.
    fn survives_gap(&self) -> bool {
        false
    }

    /// What the agreement opens.
    fn opens(&self) -> Opens {
        Opens::Tls
    }
}

/// What lies behind an agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opens {
    /// TLS; anything else is a failed upgrade.
    Tls,
    /// A tunnel for whatever the client likes; the flow keeps the tunnel's name unless the inside is encrypted.
    Tunnel,
    /// A short preface to the real protocol; the flow takes the name of the inside.
    Preface,
}

/// Endpoints that one flow may announce.
const MAX_ANNOUNCED: usize = 256;
/// Bytes of a side that may lie unread: a long line, or pieces behind a switch that is not agreed yet.
const MAX_UNREAD: usize = 64 * 1024;

/// Reads a plaintext protocol until it switches to TLS or no longer can.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct Upgrading {
    protocol: Protocol,
    negotiation: Box<dyn Negotiation>,
    talk: Talk,
    client: Unread,
    server: Unread,
    /// What a tunnel holds, once it is recognised.
    inside: Option<Found>,
    /// A security layer began of which nobody can tell whether it hides anything.
    unclear: bool,
}

/// Bytes of one side that were fed and not yet read.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Unread {
    #[serde(with = "crate::model::kept::room")]
    bytes: Vec<u8>,
    /// Bytes at the front that are read.
    read: usize,
    /// Bytes read in all.
    total: usize,
}

impl Unread {
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.read..).unwrap_or_default()
    }

    fn take(&mut self, count: usize) {
        let count = count.min(self.rest().len());
        self.read += count;
        self.total += count;
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.read);
        self.read = 0;
        self.bytes.extend_from_slice(bytes);
    }
}

impl Upgrading {
    /// Starts reading.
    pub(super) fn open(protocol: Protocol, negotiation: impl Negotiation + 'static) -> Box<dyn Session> {
        Box::new(Self {
            protocol,
            negotiation: Box::new(negotiation),
            talk: Talk::default(),
            client: Unread::default(),
            server: Unread::default(),
            inside: None,
            unclear: false,
        })
    }

    /// Reads on for one side; whether anything was read, or why the talk is over.
    fn read_side(&mut self, from_client: bool) -> Result<bool, Sealing> {
        let mut any = false;
        loop {
            let held = match self.talk.stage {
                Stage::Clear => false,
                Stage::Asked => from_client,
                Stage::Agreed => true,
            };
            let side = if from_client { &mut self.client } else { &mut self.server };
            if held || side.rest().is_empty() {
                return Ok(any);
            }
            match self.negotiation.read(&mut self.talk, from_client, side.rest()) {
                Read::Over => return Err(Sealing::Readable),
                Read::Sealed(sealing) => return Err(sealing),
                Read::Take(count) if count > 0 => side.take(count),
                Read::Take(_) | Read::Wait => return Ok(any),
            }
            if side.total > self.negotiation.bound() {
                return Err(Sealing::Readable);
            }
            any = true;
        }
    }

    /// A tunnel is open and does not start with TLS: what is it then?
    fn look_inside(&mut self, from_client: bool, piece: usize, moment: Moment) -> Step {
        let heads = Heads { client: self.client.rest(), server: self.server.rest(), datagrams: &[], from_start: true };
        let mut open = false;
        for dissector in DISSECTORS.iter().copied().flatten() {
            if dissector.transport() != Transport::TCP || super::tunnel::NAMES.contains(&dissector.protocol().name()) {
                continue;
            }
            match dissector.probe(heads) {
                Outcome::No => {}
                Outcome::NeedMore => open = true,
                Outcome::Likely(found) => {
                    open = true;
                    self.inside.get_or_insert(found);
                }
                Outcome::Found(found) if found.class == Class::Encrypted => {
                    let next = dissector.session(found).unwrap_or_else(|| Box::new(Nothing));
                    return self.switch(found, next, from_client, piece, moment);
                }
                Outcome::Found(found) => {
                    self.inside = Some(found);
                    return Step::Done;
                }
            }
        }
        if open { Step::Continue } else { Step::Done }
    }

    /// The switch: the pieces behind it that were fed before this one go to the next session here.
    fn switch(
        &mut self,
        found: Found,
        mut next: Box<dyn Session>,
        from_client: bool,
        piece: usize,
        moment: Moment,
    ) -> Step {
        self.inside = Some(found);
        let this = if from_client { self.client.rest() } else { self.server.rest() };
        let rest = this.len().min(piece);
        let earlier = this.get(..this.len() - rest).unwrap_or_default();
        let other = if from_client { self.server.rest() } else { self.client.rest() };
        for (side, bytes) in [(from_client, earlier), (!from_client, other)] {
            if !bytes.is_empty() {
                // Whether the next session is content already will show again with the bytes that follow.
                let _ = next.feed(side, bytes, moment);
            }
        }
        Step::Upgrade { found, rest, next }
    }
}

#[typetag::serde(name = "stream/upgrade/Upgrading")]
impl Session for Upgrading {
    fn feed(&mut self, from_client: bool, bytes: &[u8], moment: Moment) -> Step {
        if from_client { &mut self.client } else { &mut self.server }.push(bytes);
        loop {
            match (self.read_side(true), self.read_side(false)) {
                (Ok(false), Ok(false)) => break,
                (Ok(_), Ok(_)) => {}
                (Err(Sealing::Hidden), _) | (_, Err(Sealing::Hidden)) => {
                    let found = Found::encrypted(self.protocol, Evidence::Framing);
                    return self.switch(found, Box::new(Nothing), from_client, bytes.len(), moment);
                }
                (client, server) => {
                    self.unclear = client == Err(Sealing::Unclear) || server == Err(Sealing::Unclear);
                    return Step::Done;
                }
            }
        }
        if self.client.rest().len().max(self.server.rest().len()) > MAX_UNREAD {
            return Step::Done;
        }
        if self.talk.stage != Stage::Agreed {
            return Step::Continue;
        }
        match opens_tls(self.client.rest()) {
            Some(true) => {
                self.talk.outcome = Some(UpgradeOutcome::Used);
                let (found, next) = tls_after_upgrade();
                self.switch(found, next, from_client, bytes.len(), moment)
            }
            _ if self.negotiation.opens() != Opens::Tls => self.look_inside(from_client, bytes.len(), moment),
            None => Step::Continue,
            Some(false) => {
                self.talk.outcome = Some(UpgradeOutcome::Failed);
                Step::Done
            }
        }
    }

    fn gap(&mut self, from_client: bool) -> bool {
        let side = if from_client { &mut self.client } else { &mut self.server };
        side.take(usize::MAX);
        self.talk.stage == Stage::Clear && self.negotiation.survives_gap()
    }

    fn finish(self: Box<Self>, found: &mut Found, facts: &mut Facts) {
        // Pieces that no session has read.
        let carries = !self.client.rest().is_empty() || !self.server.rest().is_empty();
        match (self.negotiation.opens(), self.inside) {
            (Opens::Preface, Some(inside)) if inside.class == Class::Plaintext => *found = inside,
            // A tunnel in clear around something that nobody recognises is not readable for that.
            (opens, None) if self.unclear || opens != Opens::Tls && self.talk.stage == Stage::Agreed && carries => {
                found.class = Class::Unknown;
                found.evidence = Evidence::None;
            }
            _ => {}
        }
        if let Some(outcome) = self.talk.outcome {
            facts.upgrade = Some((self.protocol, outcome));
        }
        if self.talk.password {
            facts.password_in_clear = Some(self.protocol);
        }
        facts.offer_overwritten = self.talk.overwritten && self.talk.outcome.is_none();
        facts.announce(self.talk.announced);
    }

    fn memory(&self) -> usize {
        size_of::<Self>()
            + size_of_val(self.negotiation.as_ref())
            + self.client.bytes.capacity()
            + self.server.bytes.capacity()
            + self.talk.announced.capacity() * size_of::<(Endpoint, Protocol)>()
    }
}

/// Whether client bytes open with a TLS record that holds a ClientHello, or with an SSL 2 ClientHello; `None` while
/// they are too few.
pub(super) fn opens_tls(head: &[u8]) -> Option<bool> {
    match *head {
        [] | [0x16] | [0x16, 3] | [0x16, 3, 0..=4] => None,
        [0x16, 3, 0..=4, high] => {
            if high <= 0x48 {
                None
            } else {
                Some(false)
            }
        }
        [0x16, 3, 0..=4, high, low] => {
            if record_len_ok(high, low) {
                None
            } else {
                Some(false)
            }
        }
        [0x16, 3, 0..=4, high, low, kind, ..] => Some(record_len_ok(high, low) && kind == 1),
        [0x80..=0xff] => None,
        [0x80..=0xff, _] => None,
        [0x80..=0xff, _, 1] | [0x80..=0xff, _, 1, 0 | 3] => None,
        [high @ 0x80..=0xff, low, 1, major @ (0 | 3), minor, ..] => {
            let len = usize::from(high & 0x7f) << 8 | usize::from(low);
            Some((12..=4096).contains(&len) && (major == 3 && minor <= 4 || major == 0 && minor == 2))
        }
        _ => Some(false),
    }
}

/// Whether a record length fits a ClientHello record: at least its handshake head, at most RFC 8446 section 5.1's bound.
fn record_len_ok(high: u8, low: u8) -> bool {
    (4..=16_384 + 2048).contains(&u16::from_be_bytes([high, low]))
}

/// What a switch leads to: TLS, and the session that reads it.
fn tls_after_upgrade() -> (Found, Box<dyn Session>) {
    (Found::encrypted(Protocol::TLS, Evidence::OneSided).from_client(), crate::tls::session::stream())
}

/// Reads nothing more.
#[derive(serde::Serialize, serde::Deserialize)]
struct Nothing;

#[typetag::serde(name = "stream/upgrade/Nothing")]
impl Session for Nothing {
    fn feed(&mut self, _from_client: bool, _bytes: &[u8], _moment: Moment) -> Step {
        Step::Done
    }

    fn finish(self: Box<Self>, _found: &mut Found, _facts: &mut Facts) {}

    fn memory(&self) -> usize {
        0
    }
}

/// Helps the tests of all negotiations: feeds `pieces` in order and tells what came of them.
#[cfg(test)]
pub(super) mod trial {
    use super::*;

    /// A TLS ClientHello as far as its head matters.
    pub(in super::super) const HELLO: &[u8] = b"\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03";

    /// What a conversation led to: the outcome, and the `rest` of the switch when there was one.
    pub(in super::super) fn run(
        mut session: Box<dyn Session>,
        pieces: &[(bool, &[u8])],
    ) -> (Option<UpgradeOutcome>, Option<usize>) {
        let moment = Moment { time_ns: 0, wire_len: 0 };
        let mut switched = None;
        for (from_client, piece) in pieces {
            match session.feed(*from_client, piece, moment) {
                Step::Continue | Step::Readable => {}
                Step::Done => break,
                Step::Upgrade { found, rest, .. } => {
                    assert_eq!(found.class, Class::Encrypted);
                    switched = Some(rest);
                    break;
                }
            }
        }
        let mut facts = Facts::default();
        session.finish(&mut Found::plaintext(Protocol::UNKNOWN), &mut facts);
        (facts.upgrade.map(|(_, outcome)| outcome), switched)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_hellos() {
        let cases: &[(&str, &[u8], Option<bool>)] = &[
            ("nothing", b"", None),
            ("record head", b"\x16\x03\x01\x02\x00", None),
            ("hello", b"\x16\x03\x01\x02\x00\x01", Some(true)),
            ("server hello", b"\x16\x03\x01\x02\x00\x02", Some(false)),
            ("alert", b"\x15\x03\x01\x00\x02\x02", Some(false)),
            ("no room for a hello", b"\x16\x03\x01\x00\x03", Some(false)),
            ("record too long", b"\x16\x03\x01\xff", Some(false)),
            ("version 9", b"\x16\x03\x09", Some(false)),
            ("ssl 2 hello", b"\x80\x2e\x01\x03\x01\x00", Some(true)),
            ("ssl 2 of a later day", b"\x80\x2e\x01\x07\x01\x00", Some(false)),
            ("text", b"EHLO ", Some(false)),
        ];
        for (name, head, want) in cases {
            assert_eq!(opens_tls(head), *want, "{name}");
        }
    }
}
