//! One flow as one JSON object. Names follow ECS (`network.*`, `client.*`, `tls.*`) where it has one.
//!
//! What was not seen is absent, never guessed. Unknown code points are written in hex. Records hold addresses and server
//! names: they are for the operator's own use, and no part of a report.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Serialize;

use super::code;
use super::time::{Nanoseconds, Seconds};
use crate::grade::{Policy, Verdict};
use crate::model::{CertificateFacts, Class, Counts, Endpoint, FlowSummary, SshFacts, TlsFacts};
use crate::net::TUNNELS;
use crate::tally::{application, established};

/// A flow record (one line of `tlscov flows`).
#[derive(Debug, Serialize, JsonSchema)]
pub struct FlowRecord<'a> {
    /// The capture it was seen in.
    pub capture: &'a str,
    /// Time of the first frame, RFC 3339 in UTC.
    #[schemars(with = "String")]
    pub start: Nanoseconds,
    /// Time of the last frame.
    #[schemars(with = "String")]
    pub end: Nanoseconds,
    /// What the flow is.
    pub network: Network<'a>,
    /// Who sent the first SYN; else who sent a client handshake; else the side with the higher port.
    pub client: Peer,
    /// The other side.
    pub server: Peer,
    /// `encrypted`, `plaintext`, `unknown` or `control`.
    pub class: &'static str,
    /// Why: `verified`, `handshake`, `one_sided`, `framing`, `signature`, `association`, `none`.
    pub evidence: &'static str,
    /// Wire bytes of the flow that count as plaintext.
    pub plaintext_bytes: u64,
    /// TCP payload bytes that repeat sequence numbers already seen.
    #[serde(skip_serializing_if = "is_zero")]
    pub retransmitted_bytes: u64,
    /// Tunnels in clear that it came through, outermost first.
    pub tunnel: Vec<&'static str>,
    /// TLS, DTLS, or the TLS inside QUIC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsRecord<'a>>,
    /// QUIC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quic: Option<QuicRecord>,
    /// SSH.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh: Option<SshRecord<'a>>,
    /// Algorithms of IKE, or of RDP's own security.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithms: Option<AlgorithmsRecord<'a>>,
    /// An upgrade to encryption that was offered on this flow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<UpgradeRecord>,
    /// Level and rules by policy; absent for flows that are not encrypted.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub strength: BTreeMap<String, VerdictRecord<'a>>,
    /// What else is to be known: `midstream`, `one_sided`, `gap`, `evicted`, `looks_random` ...
    pub flags: &'a [&'static str],
}

/// What a flow is.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Network<'a> {
    /// `ipv4` or `ipv6`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// `tcp`, `udp` ...; the protocol number where it has no name here.
    pub transport: Cow<'static, str>,
    /// Lower case: `tls`, `quic`, `ssh`, `dns` ...; `unknown` when none was recognised.
    pub protocol: &'a str,
    /// What runs over it, where that is visible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<&'static str>,
    /// The protocol in clear that went before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upgraded_from: Option<&'a str>,
}

/// One end of a flow and what it sent.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Peer {
    /// Address.
    #[schemars(with = "String")]
    pub ip: IpAddr,
    /// Port; 0 where the transport has none.
    pub port: u16,
    /// Frames sent.
    pub packets: u64,
    /// Wire bytes sent.
    pub bytes: u64,
    /// Transport payload sent, each TCP sequence byte once.
    pub payload_bytes: u64,
}

/// What a TLS handshake says.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TlsRecord<'a> {
    /// Negotiated version: `1.3`, `1.2`, `1.1`, `1.0`, `ssl3`, `ssl2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Cow<'static, str>>,
    /// Number of the TLS 1.3 draft, when one was negotiated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draft: Option<u8>,
    /// Versions that the client offered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub offered_versions: Vec<Cow<'static, str>>,
    /// Negotiated cipher suite, its IANA name; of SSL 2, the name of its cipher kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cipher: Option<Cow<'static, str>>,
    /// Its code point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cipher_code: Option<String>,
    /// Negotiated group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub curve: Option<Cow<'static, str>>,
    /// Size of the finite-field Diffie-Hellman prime. Unit: bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dh_bits: Option<u16>,
    /// Signature scheme of the server's key exchange.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<Cow<'static, str>>,
    /// server_name of the ClientHello.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<&'a str>,
    /// Negotiated ALPN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_protocol: Option<&'a str>,
    /// ALPN that the client offered.
    #[serde(skip_serializing_if = "slice_is_empty")]
    pub offered_protocols: &'a [String],
    /// SRTP protection profile that DTLS agreed on (RFC 5764), hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub srtp_profile: Option<String>,
    /// The session was resumed; absent when no ServerHello was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resumed: Option<bool>,
    /// The handshake was completed; absent when that cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub established: Option<bool>,
    /// The server asked for another ClientHello first.
    pub hello_retry: bool,
    /// The ClientHello carries an Encrypted Client Hello extension, real or GREASE.
    #[serde(skip_serializing_if = "is_false")]
    pub ech_offered: bool,
    /// It is real, not GREASE, and the server accepted it: a second ClientHello shows it. Else that cannot be told.
    #[serde(skip_serializing_if = "is_false")]
    pub ech_real: bool,
    /// JA3 of the ClientHello.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ja3: Option<&'a str>,
    /// JA3S of the ServerHello.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ja3s: Option<&'a str>,
    /// JA4 of the ClientHello.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ja4: Option<&'a str>,
    /// The server's leaf certificate, where it is visible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateRecord<'a>>,
}

/// What a certificate says of its cryptography and validity.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CertificateRecord<'a> {
    /// Kind and size of the key.
    pub key: &'a str,
    /// Signature algorithm.
    pub signature: &'a str,
    /// Start of validity, RFC 3339 in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub not_before: Option<Seconds>,
    /// End of validity.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub not_after: Option<Seconds>,
    /// Issuer and subject are the same.
    pub self_signed: bool,
    /// Whether it was issued for the server_name; absent when no server_name was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_matches: Option<bool>,
}

/// QUIC.
#[derive(Debug, Serialize, JsonSchema)]
pub struct QuicRecord {
    /// Version, hexadecimal.
    pub version: String,
}

/// SSH algorithms.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SshRecord<'a> {
    /// Key exchange.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kex: Option<&'a str>,
    /// Host key algorithm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_key: Option<&'a str>,
    /// Cipher from client to server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_cipher: Option<&'a str>,
    /// Cipher from server to client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_cipher: Option<&'a str>,
    /// MAC from client to server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_mac: Option<&'a str>,
    /// MAC from server to client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_mac: Option<&'a str>,
    /// Both sides offered strict key exchange.
    pub strict_kex: bool,
    /// The key exchange was completed; absent when that cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub established: Option<bool>,
}

/// Algorithms that were agreed on.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AlgorithmsRecord<'a> {
    /// Key exchange.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kex: Option<&'a str>,
    /// Cipher.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cipher: Option<&'a str>,
    /// What protects integrity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<&'a str>,
}

/// An upgrade to encryption.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UpgradeRecord {
    /// The protocol in clear.
    pub protocol: &'static str,
    /// `offered`, `refused`, `used` or `failed`.
    pub outcome: &'static str,
}

/// A verdict.
#[derive(Debug, Serialize, JsonSchema)]
pub struct VerdictRecord<'a> {
    /// `strong`, `acceptable`, `weak`, `broken` or `ungraded`.
    pub level: &'static str,
    /// Identifiers of the rules that applied.
    pub rules: Vec<&'a str>,
}

impl FlowRecord<'_> {
    /// Puts other addresses in the place of the true ones, and leaves the server name out.
    pub fn anonymize(&mut self, anonymizer: &super::anonymize::Anonymizer) {
        for peer in [&mut self.client, &mut self.server] {
            peer.ip = anonymizer.map(peer.ip);
        }
        if let Some(tls) = &mut self.tls {
            tls.server_name = None;
        }
    }
}

impl<'a> FlowRecord<'a> {
    /// The record of `flow`; `verdicts` in the order of `policies`.
    #[must_use]
    pub fn new(capture: &'a str, flow: &'a FlowSummary, verdicts: &'a [Verdict], policies: &'a [Policy]) -> Self {
        let facts = flow.facts.as_deref();
        let established = established(flow);
        let is_quic = matches!(flow.protocol.name(), "quic" | "gquic");
        Self {
            capture,
            start: Nanoseconds(flow.first_ns),
            end: Nanoseconds(flow.last_ns),
            network: Network {
                kind: if flow.key.is_ipv4() { "ipv4" } else { "ipv6" },
                transport: transport(flow),
                protocol: flow.protocol.name(),
                application: application(flow),
                upgraded_from: flow.upgraded_from.map(|from| from.name()),
            },
            client: peer(flow.key.endpoint(flow.client), flow.from_client),
            server: peer(flow.key.endpoint(flow.client.other()), flow.from_server),
            class: flow.class.name(),
            evidence: flow.evidence.name(),
            plaintext_bytes: match flow.class {
                Class::Plaintext => flow.total().wire_bytes,
                Class::Encrypted => flow.readable.wire_bytes,
                Class::Unknown | Class::Control => 0,
            },
            retransmitted_bytes: flow.retransmitted_bytes,
            tunnel: tunnels(flow),
            tls: facts.and_then(|facts| facts.tls.as_deref()).map(|facts| tls(facts, established)),
            quic: facts
                .and_then(|facts| facts.carrier_version)
                .filter(|_| is_quic)
                .map(|version| QuicRecord { version: format!("0x{version:08x}") }),
            ssh: facts.and_then(|facts| facts.ssh.as_ref()).map(|facts| ssh(facts, established)),
            algorithms: facts.and_then(|facts| facts.algorithms.as_ref()).map(|found| AlgorithmsRecord {
                kex: found.kex.as_deref(),
                cipher: found.cipher.as_deref(),
                mac: found.mac.as_deref(),
            }),
            upgrade: facts
                .and_then(|facts| facts.upgrade)
                .map(|(protocol, outcome)| UpgradeRecord { protocol: protocol.name(), outcome: outcome.name() }),
            strength: policies
                .iter()
                .zip(verdicts)
                .map(|(policy, verdict)| (policy.label(), graded(policy, verdict)))
                .collect(),
            flags: &flow.flags,
        }
    }
}

fn transport(flow: &FlowSummary) -> Cow<'static, str> {
    let transport = flow.key.transport();
    transport.name().map_or_else(|| transport.0.to_string().into(), Cow::Borrowed)
}

fn tunnels(flow: &FlowSummary) -> Vec<&'static str> {
    let kinds = flow.tunnels.iter().filter_map(|tunnel| usize::from(tunnel.0).checked_sub(1));
    kinds.filter_map(|place| TUNNELS.get(place)).map(|kind| kind.name).collect()
}

fn peer(end: Endpoint, sent: Counts) -> Peer {
    Peer {
        ip: end.ip,
        port: end.port,
        packets: sent.packets,
        bytes: sent.wire_bytes,
        payload_bytes: sent.payload_bytes,
    }
}

fn tls(facts: &TlsFacts, established: Option<bool>) -> TlsRecord<'_> {
    TlsRecord {
        version: facts.version.map(code::version),
        draft: facts.draft,
        offered_versions: facts.offer.versions.iter().map(|version| code::version(*version)).collect(),
        cipher: facts.cipher.map(code::suite).or_else(|| facts.ssl2_cipher.map(code::ssl2_cipher)),
        cipher_code: facts
            .cipher
            .map(|code| format!("0x{code:04x}"))
            .or_else(|| facts.ssl2_cipher.map(|code| format!("0x{code:06x}"))),
        curve: facts.group.map(code::group),
        dh_bits: facts.dh_bits,
        signature: facts.signature.map(code::signature),
        server_name: facts.server_name.as_deref(),
        next_protocol: facts.next_protocol.as_deref(),
        offered_protocols: &facts.offer.protocols,
        srtp_profile: facts.srtp_profile.map(|code| format!("0x{code:04x}")),
        resumed: facts.version.map(|_| facts.resumed),
        established,
        hello_retry: facts.hello_retry,
        ech_offered: facts.ech_offered,
        ech_real: facts.ech_real,
        ja3: facts.offer.ja3.as_deref(),
        ja3s: facts.ja3s.as_deref(),
        ja4: facts.offer.ja4.as_deref(),
        certificate: facts.certificate.as_deref().map(certificate),
    }
}

fn certificate(facts: &CertificateFacts) -> CertificateRecord<'_> {
    CertificateRecord {
        key: &facts.key,
        signature: &facts.signature,
        not_before: Seconds::new(facts.not_before),
        not_after: Seconds::new(facts.not_after),
        self_signed: facts.self_signed,
        name_matches: facts.name_matches,
    }
}

fn ssh(facts: &SshFacts, established: Option<bool>) -> SshRecord<'_> {
    let [client_cipher, server_cipher] = facts.cipher.each_ref().map(Option::as_deref);
    let [client_mac, server_mac] = facts.mac.each_ref().map(Option::as_deref);
    SshRecord {
        kex: facts.kex.as_deref(),
        host_key: facts.host_key.as_deref(),
        client_cipher,
        server_cipher,
        client_mac,
        server_mac,
        strict_kex: facts.strict_kex,
        established,
    }
}

fn graded<'a>(policy: &'a Policy, verdict: &Verdict) -> VerdictRecord<'a> {
    let rules = verdict.rules.iter().filter_map(|rule| policy.rules().get(usize::from(*rule)));
    VerdictRecord { level: verdict.level.name(), rules: rules.map(|rule| &*rule.id).collect() }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn slice_is_empty(names: &&[String]) -> bool {
    names.is_empty()
}
