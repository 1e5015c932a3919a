//! Reads a QUIC connection on: opens its Initial packets on both sides and hands the hellos to TLS.

use std::cell::RefCell;

use super::MIN_DESTINATION;
use super::first::{self, Opened};
use super::frame::{CryptoStream, Frame, frames};
use super::keys::{InitialKeys, InitialSecret, Sender};
use super::packet::{Kind, Long, Packet, packets};
use super::version::Version;
use crate::detect::{Found, Moment, Session, Step};
use crate::model::{ConnectionId, Evidence, Facts, Handshake, Protocol, Sign, TlsFacts};
use crate::tls::hello::{Carrier, client_hello, server_hello};

/// What is known of a connection so far.
#[derive(Default, serde::Serialize, serde::Deserialize)]
pub(super) struct QuicSession {
    /// Version of the latest packet that was opened; before one was, of the latest long header.
    version: Option<Version>,
    opened: bool,
    /// What the keys of the version of the latest connection are made from.
    secret: Option<InitialSecret>,
    /// The connection ID that keys are made from.
    destination: Id,
    /// Destination of the client's first Initial packet when it could not be opened (cut short): the server's answer
    /// is sealed with keys from it all the same.
    unproven: Id,
    client: End,
    server: End,
    derivations: u8,
    datagrams: u16,
    closed: bool,
    /// A side wrote the connection ID that the other side chose.
    agreed: bool,
    tls: Box<TlsFacts>,
}

/// One side of a connection.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct End {
    keys: Option<(Version, InitialKeys)>,
    stream: CryptoStream,
    /// The connection ID that it chose for itself; the other side writes it into every packet it sends.
    source: Id,
    hello: bool,
    handshake: bool,
    short: bool,
}

/// A connection ID as known versions have them, held in place; without one it is empty.
#[derive(Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Id {
    len: u8,
    bytes: [u8; ConnectionId::LONGEST],
}

impl Id {
    /// `None` when it is longer than known versions allow.
    fn new(id: &[u8]) -> Option<Self> {
        let mut bytes = [0; ConnectionId::LONGEST];
        bytes.get_mut(..id.len())?.copy_from_slice(id);
        Some(Self { len: u8::try_from(id.len()).ok()?, bytes })
    }
}

impl std::ops::Deref for Id {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.len.into()).unwrap_or_default()
    }
}

thread_local! {
    /// Room for the packet in hand, opened: whatever is of use in it is taken at once.
    static PLAIN: RefCell<Vec<u8>> = RefCell::default();
}

impl QuicSession {
    /// Opens an Initial packet into `plain`; gives the length of its frames, which end in front of its tag.
    fn open(&mut self, from_client: bool, packet: &Long<'_>, plain: &mut Vec<u8>) -> Option<usize> {
        let sender = if from_client { Sender::Client } else { Sender::Server };
        let end = if from_client { &mut self.client } else { &mut self.server };
        // A server may answer in another version (RFC 9368); the connection ID stays.
        if end.keys.as_ref().is_some_and(|(version, _)| *version != packet.version) {
            end.keys = None;
        }
        if end.keys.is_none() && self.opened && self.derivations < MAX_DERIVATIONS {
            self.derivations += 1;
            let secret = self.secret.filter(|_| self.version == Some(packet.version));
            end.keys = secret
                .or_else(|| InitialSecret::new(*packet.version.secrets().first()?, &self.destination))
                .and_then(|secret| secret.keys(sender))
                .map(|keys| (packet.version, keys));
        }
        if let Some((_, keys)) = &end.keys
            && let Some(frames) = keys.open(packet, plain)
        {
            return Some(frames.len());
        }
        if !from_client && !self.opened {
            return self.open_answer(packet, plain);
        }
        if from_client && !self.opened && self.unproven.is_empty() && !packet.whole {
            self.unproven = Id::new(packet.destination)?;
        }
        // The first Initial; or the first after a Retry, or of another connection between the same ends.
        if !from_client || *self.destination == *packet.destination || self.derivations >= MAX_DERIVATIONS {
            return None;
        }
        self.derivations += 1;
        let Opened { secret, keys, len } = first::take(packet, plain)?;
        self.secret = Some(secret);
        self.destination = Id::new(packet.destination)?;
        self.opened = true;
        self.client.keys = Some((packet.version, keys));
        self.server.keys = None;
        self.client.stream = CryptoStream::default();
        self.server.stream = CryptoStream::default();
        Some(len)
    }

    /// Opens the server's Initial packet where that of the client could not be opened.
    fn open_answer(&mut self, packet: &Long<'_>, plain: &mut Vec<u8>) -> Option<usize> {
        if self.unproven.len() < MIN_DESTINATION || self.derivations >= MAX_DERIVATIONS {
            return None;
        }
        self.derivations += 1;
        let (secret, keys, len) = packet.version.secrets().iter().find_map(|secrets| {
            let secret = InitialSecret::new(*secrets, &self.unproven)?;
            let keys = secret.keys(Sender::Server)?;
            let len = keys.open(packet, plain)?.len();
            Some((secret, keys, len))
        })?;
        self.secret = Some(secret);
        self.destination = std::mem::take(&mut self.unproven);
        self.opened = true;
        self.server.keys = Some((packet.version, keys));
        Some(len)
    }

    fn initial(&mut self, from_client: bool, packet: &Long<'_>) {
        let mut plain = PLAIN.take();
        if let Some(len) = self.open(from_client, packet, &mut plain) {
            self.version = Some(packet.version);
            let end = plain.len().saturating_sub(TAG);
            self.read(from_client, packet.version, plain.get(end.saturating_sub(len)..end).unwrap_or_default());
        }
        PLAIN.set(plain);
    }

    /// Reads the frames of an Initial packet of `version`.
    fn read(&mut self, from_client: bool, version: Version, plain: &[u8]) {
        let end = if from_client { &mut self.client } else { &mut self.server };
        for frame in frames(plain, version.is_google()) {
            match frame {
                Frame::Close => self.closed = true,
                Frame::Crypto(offset, data) if version.has_google_crypto() => {
                    end.stream.insert(offset, data);
                    end.hello |= end.stream.in_order() >= 4;
                }
                Frame::Crypto(offset, data) => end.stream.read(offset, data, |kind, body| match kind {
                    CLIENT_HELLO if from_client => end.hello |= client_hello(body, &mut self.tls, Carrier::Quic),
                    SERVER_HELLO if !from_client && server_hello(body, &mut self.tls, Carrier::Quic) => {
                        // A HelloRetryRequest settles nothing.
                        end.hello |= self.tls.version.is_some();
                    }
                    _ => {}
                }),
            }
        }
    }

    /// Keeps the connection ID that each side chose last: a Retry has one of its own, which the connection does not keep.
    fn note_connection_ids(&mut self, from_client: bool, packet: &Long<'_>) {
        let (end, other) = match from_client {
            true => (&mut self.client, &self.server),
            false => (&mut self.server, &self.client),
        };
        self.agreed |= !other.source.is_empty() && *packet.destination == *other.source;
        if let Some(source) = Id::new(packet.source) {
            end.source = source;
        }
    }

    /// Protected data follows the hellos: the client sends 1-RTT packets only once it has verified the server.
    fn completed(&self) -> bool {
        self.server.hello && (self.client.short || self.client.handshake && self.server.short)
    }
}

#[typetag::serde(name = "quic/session/QuicSession")]
impl Session for QuicSession {
    fn feed(&mut self, from_client: bool, bytes: &[u8], _moment: Moment) -> Step {
        self.datagrams = self.datagrams.saturating_add(1);
        for packet in packets(bytes).take(MAX_PACKETS) {
            if let Packet::Long(long) = &packet {
                self.note_connection_ids(from_client, long);
            }
            let end = if from_client { &mut self.client } else { &mut self.server };
            match packet {
                Packet::Long(long) => {
                    if !self.opened {
                        self.version = Some(long.version);
                    }
                    match long.kind {
                        Kind::Initial => self.initial(from_client, &long),
                        Kind::Handshake => end.handshake = true,
                        Kind::ZeroRtt | Kind::Retry | Kind::Opaque => {}
                    }
                }
                Packet::Short(_) => end.short = true,
                Packet::Negotiation(_) => {}
            }
        }
        if self.completed() || self.datagrams >= MAX_SESSION_DATAGRAMS { Step::Done } else { Step::Continue }
    }

    fn finish(mut self: Box<Self>, found: &mut Found, facts: &mut Facts) {
        facts.carrier_version = self.version.map(|Version(number)| number);
        if self.opened {
            found.evidence = Evidence::Verified;
            found.client_proven = true;
        }
        self.tls.handshake = match (self.client.hello, self.server.hello) {
            _ if self.completed() => Handshake::Completed,
            (true, _) | (_, true) if self.closed => Handshake::Failed,
            (true, true) => Handshake::Opened,
            (false, false) => Handshake::NotSeen,
            _ => Handshake::OneSided,
        };
        // Both sides must have been heard, or a tag checked: an ID that anyone made up would claim other flows.
        if self.opened || self.agreed {
            let chosen = [self.client.source, self.server.source];
            let ids = chosen.iter().filter_map(|id| ConnectionId::new(id));
            facts.announced.extend(ids.map(|id| (Sign::Connection(id), Protocol::QUIC)));
        }
        facts.tls = Some(self.tls);
    }

    fn memory(&self) -> usize {
        size_of::<Self>() + self.tls.memory() + self.client.stream.memory() + self.server.stream.memory()
    }
}

/// Length of the tag of AES-128-GCM. Unit: bytes.
const TAG: usize = 16;
/// Key derivations that one flow is worth: two sides, a Retry, a change of version, and room for hostile traffic.
const MAX_DERIVATIONS: u8 = 12;
/// Packets read of one datagram; real ones hold up to four.
const MAX_PACKETS: usize = 8;
/// Datagrams after which the end of the handshake is not waited for any longer.
const MAX_SESSION_DATAGRAMS: u16 = 128;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
