//! What a flow is (protocol), what that means for a reader of the wire (class), how sure we are (evidence).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::OnceLock;

/// The name of a protocol, lower case as in ECS `network.protocol` (`tls`, `dns`, `smtp` ...).
///
/// One pointer wide, because every flow record holds one. Two are equal when their names are.
#[derive(Clone, Copy)]
pub struct Protocol(pub &'static &'static str);

impl Protocol {
    /// TLS over a stream (RFC 8446), with its forerunners SSL 2 and 3.
    pub const TLS: Self = Self(&"tls");
    /// TLS over datagrams (RFC 9147).
    pub const DTLS: Self = Self(&"dtls");
    /// QUIC (RFC 9000).
    pub const QUIC: Self = Self(&"quic");
    /// HTTP/1 in clear (RFC 9112).
    pub const HTTP: Self = Self(&"http");
    /// HTTP/2 in clear, prior knowledge (RFC 9113).
    pub const HTTP2: Self = Self(&"http2");
    /// No protocol was recognised.
    pub const UNKNOWN: Self = Self(&"unknown");

    /// A number that stands for this protocol while the program runs: two bytes where many are kept.
    ///
    /// There are some hundreds; state files are believed to hold at most a few thousand more ([`super::kept`]).
    pub(crate) fn number(self) -> u16 {
        let first = std::ptr::from_ref(self.0).addr() >> 4;
        let free = (first..first + NUMBERS).map(|place| place % NUMBERS).find(|place| {
            let known = PROTOCOLS[*place].get_or_init(|| self);
            std::ptr::eq(known.0, self.0)
        });
        // There is always one: the table is twice as large as the number of names.
        free.map_or(u16::MAX, |place| place as u16)
    }

    /// The protocol that [`Protocol::number`] gave this number.
    pub(crate) fn of_number(number: u16) -> Self {
        PROTOCOLS.get(usize::from(number)).and_then(OnceLock::get).copied().unwrap_or(Self::UNKNOWN)
    }

    /// The name as it stands in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0
    }
}

/// Places for numbered protocols.
const NUMBERS: usize = 1 << 13;

/// Protocols by their numbers: each where its address puts it, or behind those that were there before.
static PROTOCOLS: [OnceLock<Protocol>; NUMBERS] = [const { OnceLock::new() }; NUMBERS];

impl PartialEq for Protocol {
    fn eq(&self, other: &Self) -> bool {
        *self.0 == *other.0
    }
}

impl Eq for Protocol {}

impl Hash for Protocol {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// What an on-path observer can read of a packet. Exactly one for each packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum Class {
    /// Content is confidential to an on-path observer.
    Encrypted,
    /// Content is readable, or protected in name only.
    Plaintext,
    /// There is payload and no sufficient evidence.
    Unknown,
    /// No application payload.
    Control,
}

impl Class {
    /// All classes, in the order of the report.
    pub const ALL: [Self; 4] = [Self::Encrypted, Self::Plaintext, Self::Unknown, Self::Control];

    /// The word used in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Encrypted => "encrypted",
            Self::Plaintext => "plaintext",
            Self::Unknown => "unknown",
            Self::Control => "control",
        }
    }
}

/// Why a class was given, weakest first, so that a floor is a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum Evidence {
    /// No evidence: class `unknown` or `control`.
    None,
    /// Announced by another flow: FTP data, RTP from SDP, a known QUIC connection ID.
    Association,
    /// A payload pattern, on both sides or in several packets.
    Signature,
    /// Several consistent records in mid-stream.
    Framing,
    /// One side of a handshake.
    OneSided,
    /// Both sides of a handshake.
    Handshake,
    /// A cryptographic check passed, for example the tag of a QUIC Initial.
    Verified,
}

impl Evidence {
    /// All kinds, strongest first, as in the report.
    pub const ALL: [Self; 7] = [
        Self::Verified,
        Self::Handshake,
        Self::OneSided,
        Self::Framing,
        Self::Signature,
        Self::Association,
        Self::None,
    ];

    /// The word used in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Handshake => "handshake",
            Self::OneSided => "one_sided",
            Self::Framing => "framing",
            Self::Signature => "signature",
            Self::Association => "association",
            Self::None => "none",
        }
    }
}
