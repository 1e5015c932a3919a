//! What a flow says about itself in clear: the input of grading and of the distributions in the report.
//!
//! A value that was not seen is `None` or empty, never a likely guess.

use std::sync::Arc;

use super::{ConnectionId, Endpoint, Fingerprint, Protocol, SharedOffer};

/// Facts of one flow. At most one of `tls` and `ssh` is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Facts {
    /// TLS, DTLS, or the TLS inside QUIC.
    pub tls: Option<Box<TlsFacts>>,
    /// SSH algorithms.
    pub ssh: Option<Box<SshFacts>>,
    /// Algorithms of a protocol that has no facts of its own.
    pub algorithms: Option<Box<Algorithms>>,
    /// A plaintext protocol that could have switched to TLS, and what came of it.
    pub upgrade: Option<(Protocol, UpgradeOutcome)>,
    /// Signs of other flows that this one announced, and what they will carry: ends (FTP data, SDP media), and the QUIC
    /// connection IDs that both sides agreed on.
    #[serde(with = "crate::model::kept::room")]
    pub announced: Vec<(Sign, Protocol)>,
    /// A login whose password can be read was seen, and in which protocol. The password itself is never kept.
    pub password_in_clear: Option<Protocol>,
    /// What the server offers was overwritten on the way, as devices do that strip STARTTLS, and no offer of encryption
    /// was left.
    pub offer_overwritten: bool,
    /// How the flow was recognised; kept only when it was asked for.
    pub trace: Option<Box<Trace>>,
    /// Version of the carrier where it is not the version of TLS: the QUIC version, the SSH banner's, IKE's, the SMB dialect.
    pub carrier_version: Option<u32>,
}

impl Facts {
    /// Other flows with one of their ends at `ends` will carry what stands beside it.
    pub fn announce(&mut self, ends: impl IntoIterator<Item = (Endpoint, Protocol)>) {
        self.announced.extend(ends.into_iter().map(|(end, protocol)| (Sign::End(end), protocol)));
    }

    /// Heap bytes held, roughly. What flows share counts in full for each: no two may share it in the worst case.
    #[must_use]
    pub fn memory(&self) -> usize {
        let tls = self.tls.as_deref().map_or(0, TlsFacts::memory);
        let trace = self.trace.as_ref().map_or(0, |_| 256);
        let others = self.ssh.as_deref().map_or(0, size_of_val) + self.algorithms.as_deref().map_or(0, size_of_val);
        size_of::<Self>() + trace + tls + others + self.announced.capacity() * size_of::<(Sign, Protocol)>()
    }
}

/// What an announced flow is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Sign {
    /// It has one of its ends here.
    End(Endpoint),
    /// Its packets have this QUIC connection ID.
    Connection(ConnectionId),
}

/// How a flow was recognised, for people who want to check it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Trace {
    /// The dissector that recognised it and where it is written; `None` when no dissector knew the bytes.
    pub dissector: Option<(Protocol, String)>,
    /// What was said then: class and evidence, before anything else was read.
    pub said: Option<(super::Class, super::Evidence)>,
    /// The first bytes of the presumed client and of the presumed server, of those that it looked at.
    pub openings: [Vec<u8>; 2],
    /// Packets of the flow when it was recognised.
    pub packets: u64,
    /// The frame that decided it: its number in the capture, counted from 0.
    pub frame: u64,
}

/// What became of an upgrade from plaintext to encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum UpgradeOutcome {
    /// The server offered it; the client did not ask.
    Offered,
    /// The client asked for it and the server refused.
    Refused,
    /// The client asked, the server agreed, and encryption followed.
    Used,
    /// The client asked, the server agreed, and what followed was not encryption.
    Failed,
}

impl UpgradeOutcome {
    /// The word used in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::Refused => "refused",
            Self::Used => "used",
            Self::Failed => "failed",
        }
    }
}

/// How far a handshake was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum Handshake {
    /// No handshake message was seen (mid-stream).
    #[default]
    NotSeen,
    /// Only messages of one side.
    OneSided,
    /// Both hellos, and nothing that proves completion.
    Opened,
    /// Both hellos, and protected data or both ChangeCipherSpecs after them.
    Completed,
    /// Completed, and then no record of application data. Only TLS 1.2 and earlier over a stream show that: TLS 1.3 hides
    /// the types of its records.
    Unused,
    /// Ended by an alert, a reset or a close before completion.
    Failed,
}

/// TLS facts. All numbers are code points of the IANA TLS registries.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TlsFacts {
    /// Negotiated version: 0x0002 (SSL 2), 0x0300 to 0x0304, or a DTLS version (0xfeff, 0xfefd, 0xfefc).
    /// TLS 1.3 drafts are reported as 0x0304, with `draft` set. Never taken from a HelloRetryRequest alone.
    pub version: Option<u16>,
    /// Draft number of TLS 1.3 (0x7fxx), when a draft was negotiated.
    pub draft: Option<u8>,
    /// What the client offered.
    pub offer: SharedOffer,
    /// Negotiated cipher suite.
    pub cipher: Option<u16>,
    /// Cipher kind of SSL 2, three bytes; such a handshake has no `cipher`.
    pub ssl2_cipher: Option<u32>,
    /// Negotiated named group: ServerHello key_share (1.3), ServerKeyExchange named_curve (1.2 and earlier).
    pub group: Option<u16>,
    /// Size of the finite-field DH prime in ServerKeyExchange. Unit: bits.
    pub dh_bits: Option<u16>,
    /// The first eight bytes of the SHA-256 of that prime, leading zeros left out; to see primes that many share.
    pub dh_prime_digest: Option<u64>,
    /// Signature scheme of ServerKeyExchange (TLS 1.2).
    pub signature: Option<u16>,
    /// server_name of the ClientHello, as sent (lossy UTF-8).
    pub server_name: Option<Box<str>>,
    /// Negotiated ALPN; for TLS 1.3 it is encrypted and stays `None`.
    pub next_protocol: Option<Box<str>>,
    /// JA3S (MD5, 32 hex digits) of the ServerHello.
    pub ja3s: Option<Fingerprint>,
    /// The session was resumed (PSK accepted, or abbreviated handshake).
    pub resumed: bool,
    /// TLS 1.3: the server selected a PSK and sent no key share (psk_ke).
    pub psk_only: bool,
    /// The server answered with a HelloRetryRequest first.
    pub hello_retry: bool,
    /// How far the handshake was seen.
    pub handshake: Handshake,
    /// The server negotiated encrypt_then_mac (RFC 7366).
    pub encrypt_then_mac: bool,
    /// The server negotiated extended_master_secret (RFC 7627).
    pub extended_master_secret: bool,
    /// The server negotiated renegotiation_info (RFC 5746).
    pub secure_renegotiation: bool,
    /// The server negotiated truncated_hmac (RFC 6066).
    pub truncated_hmac: bool,
    /// The server negotiated heartbeat (RFC 6520).
    pub heartbeat: bool,
    /// Compression method that the server selected; 0 is none.
    pub compression: Option<u8>,
    /// The ClientHello carries an ECH extension, real or GREASE.
    pub ech_offered: bool,
    /// It is real, and the server accepted it: behind a HelloRetryRequest the client encrypted a new inner hello without
    /// a new key (RFC 9849 section 6.1.5). What is repeated instead is GREASE, or was not accepted: that cannot be told.
    pub ech_real: bool,
    /// The ClientHello carries TLS_FALLBACK_SCSV (RFC 7507).
    pub fallback_scsv: bool,
    /// The server random ends in a downgrade sentinel (RFC 8446 section 4.1.3).
    pub downgrade_sentinel: bool,
    /// use_srtp profile selected by the server (RFC 5764).
    pub srtp_profile: Option<u16>,
    /// A client certificate was asked for.
    pub client_certificate_requested: bool,
    /// A fixed 64-bit digest of the server's key share or (EC)DHE public value; to see values that repeat.
    pub server_share_digest: Option<u64>,
    /// The first eight bytes of the ServerHello's random: tells two connections from one that was captured twice.
    pub server_random: Option<u64>,
    /// The server's leaf certificate, where it is visible (TLS 1.2 and earlier).
    pub certificate: Option<Box<CertificateFacts>>,
}

impl TlsFacts {
    /// Bytes held, these included, roughly.
    pub(crate) fn memory(&self) -> usize {
        let texts =
            [&self.server_name, &self.next_protocol].into_iter().flatten().map(|text| text.len()).sum::<usize>();
        let certificate = self.certificate.as_deref().map_or(0, size_of_val);
        size_of::<Self>() + self.offer.memory() + texts + certificate
    }
}

/// What is public and not personal in a leaf certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CertificateFacts {
    /// `rsa-2048`, `ec-p256`, `ed25519`, `dsa-1024` ...
    pub key: Arc<str>,
    /// `rsa-sha256`, `ecdsa-sha256`, `rsa-pss-sha256`, `ed25519` ...
    pub signature: Arc<str>,
    /// Start of validity, seconds since 1970 UTC.
    pub not_before: i64,
    /// End of validity, seconds since 1970 UTC.
    pub not_after: i64,
    /// Issuer and subject are the same.
    pub self_signed: bool,
    /// Whether a subject name matches the server_name; `None` when no server_name was sent.
    pub name_matches: Option<bool>,
}

/// Algorithms agreed on by a protocol that names them in clear: IKE, SMB 3, RDP's own security. Names as in their
/// registries.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Algorithms {
    /// Key exchange; additional ones joined by `+`.
    pub kex: Option<String>,
    /// Cipher, with the key length in bits where it is chosen.
    pub cipher: Option<String>,
    /// What protects integrity; `None` also when the cipher does.
    pub mac: Option<String>,
    /// The initiator offered a key exchange with a post-quantum part (IKE).
    pub post_quantum_offered: bool,
}

/// SSH algorithms, by the negotiation rule of RFC 4253 section 7.1 over both KEXINITs.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SshFacts {
    /// Key exchange.
    pub kex: Option<String>,
    /// Host key algorithm.
    pub host_key: Option<String>,
    /// Cipher, client to server and server to client.
    pub cipher: [Option<String>; 2],
    /// MAC, client to server and server to client; `None` also when the cipher is an AEAD.
    pub mac: [Option<String>; 2],
    /// Both sides offered strict key exchange (the countermeasure to CVE-2023-48795).
    pub strict_kex: bool,
    /// The client offered a key exchange with a post-quantum part.
    pub post_quantum_offered: bool,
    /// How far the handshake was seen: `Completed` after NEWKEYS from both sides.
    pub handshake: Handshake,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Flows that have ended their handshake keep these until they close.
    #[test]
    fn facts_are_small() {
        assert_eq!((size_of::<Facts>(), size_of::<TlsFacts>()), (96, 184));
    }
}
