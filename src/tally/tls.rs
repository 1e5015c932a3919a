//! Distributions over flows that carry a TLS handshake (TLS, DTLS, QUIC), by flows and by wire bytes.
//!
//! *Negotiated* values are counted over flows with a ServerHello whose handshake was not seen to fail; *offered* values
//! over every ClientHello, each value once a hello. The two are never mixed.
//!
//! Memory: code points are 16 bits, and application protocols are kept by name only when the IANA registry knows them,
//! so no traffic can make these sums grow without end (and no private name gets into a report).

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Name;
use crate::grade::registry;
use crate::model::{Handshake, TlsFacts};

/// Flows and their wire bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Sum {
    /// Flows.
    pub flows: u64,
    /// Their original frame lengths. Unit: bytes.
    pub wire_bytes: u64,
}

/// A question of yes or no, and the flows that do not answer it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct YesNo {
    /// Flows in which it is so.
    pub yes: Sum,
    /// Flows in which it is not.
    pub no: Sum,
    /// Flows in which it cannot be seen.
    pub unknown: Sum,
}

/// All distributions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSums {
    /// Negotiated versions, by code point.
    pub versions: BTreeMap<u16, Sum>,
    /// Negotiated cipher suites, by code point.
    pub cipher_suites: BTreeMap<u16, Sum>,
    /// Kinds of key exchange: `ecdhe`, `rsa`, `hybrid` ...
    pub key_exchange: BTreeMap<Name, Sum>,
    /// Negotiated groups, by code point.
    pub groups: BTreeMap<u16, Sum>,
    /// Signature schemes of the server's key exchange (TLS 1.2), by code point.
    pub signature: BTreeMap<u16, Sum>,
    /// How records are protected: `aead`, `cbc`, `rc4`, `null`, `other`.
    pub aead: BTreeMap<Name, Sum>,
    /// Whether a key stolen later leaves the traffic unreadable.
    pub forward_secrecy: YesNo,
    /// Whether the key exchange has a post-quantum part.
    pub post_quantum: YesNo,
    /// Negotiated application protocols, where visible.
    pub alpn: BTreeMap<Name, Sum>,
    /// Whether the session was resumed.
    pub resumption: YesNo,
    /// Whether the ClientHello names the server in clear.
    pub sni_in_clear: YesNo,
    /// Whether the ClientHello carries an Encrypted Client Hello extension, real or GREASE.
    pub ech_offered: YesNo,
    /// How far handshakes were seen.
    pub handshakes: BTreeMap<Name, Sum>,
    /// What clients still offer.
    pub offered: Offered,
}

/// What ClientHellos offer; each value is counted once a hello.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offered {
    /// ClientHellos.
    pub hellos: Sum,
    /// Versions, by code point.
    pub versions: BTreeMap<u16, Sum>,
    /// Cipher suites, by code point.
    pub cipher_suites: BTreeMap<u16, Sum>,
    /// Groups, by code point.
    pub groups: BTreeMap<u16, Sum>,
    /// Application protocols.
    pub alpn: BTreeMap<Name, Sum>,
}

impl Sum {
    /// Adds one flow of `wire_bytes`.
    fn count(&mut self, wire_bytes: u64) {
        self.flows += 1;
        self.wire_bytes += wire_bytes;
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: Self) {
        self.flows += other.flows;
        self.wire_bytes += other.wire_bytes;
    }
}

impl YesNo {
    fn count(&mut self, answer: Option<bool>, wire_bytes: u64) {
        match answer {
            Some(true) => &mut self.yes,
            Some(false) => &mut self.no,
            None => &mut self.unknown,
        }
        .count(wire_bytes);
    }

    fn merge(&mut self, other: Self) {
        self.yes.merge(other.yes);
        self.no.merge(other.no);
        self.unknown.merge(other.unknown);
    }
}

impl TlsSums {
    /// Adds the facts of one flow; `established` as [`super::established`] says.
    pub(super) fn add(&mut self, tls: &TlsFacts, established: Option<bool>, wire_bytes: u64) {
        count_name(&mut self.handshakes, handshake_name(tls.handshake), wire_bytes);
        self.add_offered(tls, wire_bytes);
        match tls.version {
            Some(version) if established != Some(false) => self.add_negotiated(tls, version, wire_bytes),
            _ => {}
        }
    }

    fn add_offered(&mut self, tls: &TlsFacts, wire_bytes: u64) {
        if tls.offered_ciphers.is_empty() && tls.offered_versions.is_empty() {
            return;
        }
        let offered = &mut self.offered;
        offered.hellos.count(wire_bytes);
        count_codes(&mut offered.versions, &tls.offered_versions, wire_bytes);
        count_codes(&mut offered.cipher_suites, &tls.offered_ciphers, wire_bytes);
        count_codes(&mut offered.groups, &tls.offered_groups, wire_bytes);
        let mut names: Vec<&str> = tls.offered_protocols.iter().map(|name| known_protocol(name)).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            count_name(&mut offered.alpn, known_protocol(name), wire_bytes);
        }
        self.sni_in_clear.count(Some(tls.server_name.is_some()), wire_bytes);
        self.ech_offered.count(Some(tls.ech_offered), wire_bytes);
    }

    fn add_negotiated(&mut self, tls: &TlsFacts, version: u16, wire_bytes: u64) {
        self.versions.entry(version).or_default().count(wire_bytes);
        self.resumption.count(Some(tls.resumed), wire_bytes);
        if let Some(group) = tls.group {
            self.groups.entry(group).or_default().count(wire_bytes);
        }
        if let Some(scheme) = tls.signature {
            self.signature.entry(scheme).or_default().count(wire_bytes);
        }
        if let Some(name) = &tls.next_protocol {
            count_name(&mut self.alpn, known_protocol(name), wire_bytes);
        }
        let Some(cipher) = tls.cipher else { return };
        self.cipher_suites.entry(cipher).or_default().count(wire_bytes);
        let suite = registry::suite_name(cipher);
        count_name(&mut self.aead, suite.map_or("unknown", protection), wire_bytes);
        let exchange = key_exchange(tls, suite);
        count_name(&mut self.key_exchange, exchange, wire_bytes);
        self.forward_secrecy.count(forward_secrecy(tls, exchange), wire_bytes);
        self.post_quantum.count(post_quantum(tls, exchange), wire_bytes);
    }

    /// Adds all of `other`.
    pub(super) fn merge(&mut self, other: Self) {
        merge_sums(&mut self.versions, other.versions);
        merge_sums(&mut self.cipher_suites, other.cipher_suites);
        merge_sums(&mut self.key_exchange, other.key_exchange);
        merge_sums(&mut self.groups, other.groups);
        merge_sums(&mut self.signature, other.signature);
        merge_sums(&mut self.aead, other.aead);
        self.forward_secrecy.merge(other.forward_secrecy);
        self.post_quantum.merge(other.post_quantum);
        merge_sums(&mut self.alpn, other.alpn);
        self.resumption.merge(other.resumption);
        self.sni_in_clear.merge(other.sni_in_clear);
        self.ech_offered.merge(other.ech_offered);
        merge_sums(&mut self.handshakes, other.handshakes);
        self.offered.hellos.merge(other.offered.hellos);
        merge_sums(&mut self.offered.versions, other.offered.versions);
        merge_sums(&mut self.offered.cipher_suites, other.offered.cipher_suites);
        merge_sums(&mut self.offered.groups, other.offered.groups);
        merge_sums(&mut self.offered.alpn, other.offered.alpn);
    }
}

fn merge_sums<K: Ord>(into: &mut BTreeMap<K, Sum>, from: BTreeMap<K, Sum>) {
    for (key, sum) in from {
        into.entry(key).or_default().merge(sum);
    }
}

fn count_name(sums: &mut BTreeMap<Name, Sum>, name: &'static str, wire_bytes: u64) {
    sums.entry(Cow::Borrowed(name)).or_default().count(wire_bytes);
}

/// Counts each code point once, however often the hello repeats it.
fn count_codes(sums: &mut BTreeMap<u16, Sum>, codes: &[u16], wire_bytes: u64) {
    let mut codes = codes.to_vec();
    codes.sort_unstable();
    codes.dedup();
    for code in codes {
        sums.entry(code).or_default().count(wire_bytes);
    }
}

fn handshake_name(handshake: Handshake) -> &'static str {
    match handshake {
        Handshake::NotSeen => "not_seen",
        Handshake::OneSided => "one_sided",
        Handshake::Opened => "opened",
        Handshake::Completed => "completed",
        Handshake::Failed => "failed",
    }
}

/// How the records of a suite are protected, from its registered name.
fn protection(suite: &str) -> &'static str {
    let has = |word: &str| suite.contains(word);
    // RFC 9150: TLS 1.3 suites that name a hash twice protect integrity only.
    if has("_NULL_") || matches!(suite, "TLS_SHA256_SHA256" | "TLS_SHA384_SHA384") {
        "null"
    } else if has("_GCM") || has("_CCM") || has("POLY1305") || has("_MGM") || has("AEGIS") {
        "aead"
    } else if has("_RC4_") {
        "rc4"
    } else if has("_CBC") {
        "cbc"
    } else {
        "other"
    }
}

/// The kind of key exchange: by the suite's name up to TLS 1.2, by group and PSK mode in TLS 1.3.
fn key_exchange(tls: &TlsFacts, suite: Option<&str>) -> &'static str {
    let Some(suite) = suite else { return "unknown" };
    let Some((exchange, _)) = suite.strip_prefix("TLS_").and_then(|rest| rest.split_once("_WITH_")) else {
        return match tls.group {
            _ if tls.psk_only => "psk",
            Some(0x0200..=0x0202) => "mlkem",
            Some(group) if is_post_quantum(group) => "hybrid",
            Some(0x0100..=0x01ff) => "dhe",
            Some(_) => "ecdhe",
            None => "unknown",
        };
    };
    let (_, word) = EXCHANGES.iter().find(|(start, _)| exchange.starts_with(start)).unwrap_or(&("", "other"));
    word
}

/// Beginnings of the key exchange in suite names, longer ones first where one begins another.
const EXCHANGES: [(&str, &str); 15] = [
    ("ECDHE_PSK", "ecdhe_psk"),
    ("ECDHE_", "ecdhe"),
    ("DHE_PSK", "dhe_psk"),
    ("DHE_", "dhe"),
    ("RSA_PSK", "rsa_psk"),
    ("PSK_DHE", "dhe_psk"),
    ("PSK", "psk"),
    ("RSA", "rsa"),
    ("ECDH_anon", "anon"),
    ("ECDH_", "ecdh"),
    ("DH_anon", "anon"),
    ("DH_", "dh"),
    ("SRP_", "srp"),
    ("KRB5", "krb5"),
    ("ECCPWD", "eccpwd"),
];

/// Whether a long-term key stolen later leaves the session unreadable.
///
/// A TLS 1.2 session that was resumed depends on how it was first set up, which is not visible.
fn forward_secrecy(tls: &TlsFacts, exchange: &str) -> Option<bool> {
    match exchange {
        "unknown" | "other" | "srp" => None,
        "psk" | "rsa" | "rsa_psk" | "ecdh" | "dh" | "krb5" => Some(false),
        _ if tls.resumed && tls.group.is_none() => None,
        _ => Some(true),
    }
}

/// Whether the key exchange resists a quantum computer; not known for resumed sessions without a new key exchange.
fn post_quantum(tls: &TlsFacts, exchange: &str) -> Option<bool> {
    match (tls.group, exchange) {
        (Some(group), _) => Some(is_post_quantum(group)),
        (None, "unknown" | "other" | "psk") => None,
        (None, _) if tls.resumed => None,
        (None, _) => Some(false),
    }
}

/// Groups with an ML-KEM or Kyber part. Source: IANA "TLS Supported Groups"; 0x6399, 0x639a and 0xfe30.. are drafts.
fn is_post_quantum(group: u16) -> bool {
    matches!(group, 0x0200..=0x0202 | 0x11eb..=0x11ee | 0x6399 | 0x639a | 0xfe30..=0xfe32)
}

/// Stands for application protocols that the registry does not know.
pub const OTHER_PROTOCOL: &str = "other";

/// The registered name equal to `name`, else [`OTHER_PROTOCOL`].
fn known_protocol(name: &str) -> &'static str {
    KNOWN_PROTOCOLS.iter().find(|known| **known == name).copied().unwrap_or(OTHER_PROTOCOL)
}

/// Source: IANA "TLS Application-Layer Protocol Negotiation (ALPN) Protocol IDs", with the drafts of HTTP/3 in use.
const KNOWN_PROTOCOLS: [&str; 40] = [
    "h2",
    "http/1.1",
    "h3",
    "h3-29",
    "http/1.0",
    "http/0.9",
    "h2c",
    "h3-27",
    "h3-28",
    "h3-30",
    "h3-31",
    "h3-32",
    "h3-34",
    "h3-Q050",
    "hq-interop",
    "hq-29",
    "spdy/1",
    "spdy/2",
    "spdy/3",
    "spdy/3.1",
    "stun.turn",
    "stun.nat-discovery",
    "webrtc",
    "c-webrtc",
    "ftp",
    "imap",
    "pop3",
    "managesieve",
    "coap",
    "xmpp-client",
    "xmpp-server",
    "acme-tls/1",
    "mqtt",
    "dot",
    "doq",
    "ntske/1",
    "smb",
    "irc",
    "postgresql",
    "tds/8.0",
];
