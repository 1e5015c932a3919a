//! Distributions over flows that carry a TLS handshake (TLS, DTLS, QUIC), by flows and by wire bytes.
//!
//! *Negotiated* values are counted over flows with a ServerHello whose handshake was not seen to fail; *offered* values
//! over every ClientHello, each value once a hello. The two are never mixed.
//!
//! Memory: code points are 16 bits, and application protocols are kept by name only when the IANA registry knows them,
//! so no traffic can make these sums grow without end (and no private name gets into a report).

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use foldhash::fast::FixedState;

use super::{Codes, Name};
use crate::grade::registry::{self, Suite};
use crate::model::{Handshake, Offer, SharedOffer, TlsFacts};

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
    pub versions: Codes,
    /// Negotiated cipher suites, by code point.
    pub cipher_suites: Codes,
    /// Kinds of key exchange: `ecdhe`, `rsa`, `hybrid` ...
    pub key_exchange: BTreeMap<Name, Sum>,
    /// Negotiated groups, by code point.
    pub groups: Codes,
    /// Signature schemes of the server's key exchange (TLS 1.2), by code point.
    pub signature: Codes,
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
    pub offered: Offers,
}

/// What ClientHellos offer; each value is counted once a hello.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offered {
    /// ClientHellos.
    pub hellos: Sum,
    /// Versions, by code point.
    pub versions: Codes,
    /// Cipher suites, by code point.
    pub cipher_suites: Codes,
    /// Groups, by code point.
    pub groups: Codes,
    /// Signature schemes, by code point.
    pub signatures: Codes,
    /// Application protocols.
    pub alpn: BTreeMap<Name, Sum>,
}

impl Sum {
    /// Adds another sum.
    pub fn merge(&mut self, other: Self) {
        self.flows += other.flows;
        self.wire_bytes += other.wire_bytes;
    }
}

impl YesNo {
    fn count(&mut self, answer: Option<bool>, sum: Sum) {
        match answer {
            Some(true) => &mut self.yes,
            Some(false) => &mut self.no,
            None => &mut self.unknown,
        }
        .merge(sum);
    }

    fn merge(&mut self, other: Self) {
        self.yes.merge(other.yes);
        self.no.merge(other.no);
        self.unknown.merge(other.unknown);
    }
}

/// What ClientHellos offer, while they are added.
///
/// Most flows share what they offer with others ([`SharedOffer`]). So they are counted by that, as many kinds as fit into
/// [`MOST_KINDS`], and value by value only once for each of these.
#[derive(Clone, Debug, Default)]
pub struct Offers {
    sums: Offered,
    /// Flows by what they offer, which are not in the sums yet.
    kinds: HashMap<usize, (SharedOffer, Sum), FixedState>,
    kinds_bytes: usize,
}

/// Memory of offers that are held to be counted together. Unit: bytes.
const MOST_KINDS: usize = 128 << 10;

impl Offers {
    /// The sums of all that was added.
    #[must_use]
    pub fn total(&self) -> Offered {
        let mut total = self.sums.clone();
        self.kinds.values().for_each(|(offer, sum)| total.add(offer, *sum));
        total
    }

    fn add(&mut self, offer: &SharedOffer, sum: Sum) {
        if let Some((_, known)) = self.kinds.get_mut(&offer.place()) {
            return known.merge(sum);
        }
        if self.kinds_bytes + offer.memory() > MOST_KINDS {
            return self.sums.add(offer, sum);
        }
        self.kinds_bytes += offer.memory();
        self.kinds.insert(offer.place(), (offer.clone(), sum));
    }

    fn merge(&mut self, other: Self) {
        self.sums.merge(other.sums);
        for (offer, sum) in other.kinds.into_values() {
            self.add(&offer, sum);
        }
    }
}

impl From<Offered> for Offers {
    fn from(sums: Offered) -> Self {
        Self { sums, ..Self::default() }
    }
}

impl PartialEq for Offers {
    fn eq(&self, other: &Self) -> bool {
        self.total() == other.total()
    }
}

impl Eq for Offers {}

impl Offered {
    /// Adds `sum` hellos that offer the same.
    fn add(&mut self, offer: &Offer, sum: Sum) {
        self.hellos.merge(sum);
        self.versions.add_list(&offer.versions, sum);
        self.cipher_suites.add_list(&offer.ciphers, sum);
        self.groups.add_list(&offer.groups, sum);
        self.signatures.add_list(&offer.signatures, sum);
        let mut counted = [false; KNOWN_PROTOCOLS.len() + 1];
        for name in &offer.protocols {
            let place = protocol_place(name);
            if !std::mem::replace(&mut counted[place], true) {
                self.alpn.entry(Cow::Borrowed(protocol_at(place))).or_default().merge(sum);
            }
        }
    }

    fn merge(&mut self, other: Self) {
        self.hellos.merge(other.hellos);
        self.versions.merge(other.versions);
        self.cipher_suites.merge(other.cipher_suites);
        self.groups.merge(other.groups);
        self.signatures.merge(other.signatures);
        merge_sums(&mut self.alpn, other.alpn);
    }
}

impl TlsSums {
    /// Adds `sum` flows with these facts; `established` as [`super::established`] says.
    pub(super) fn add(&mut self, tls: &TlsFacts, established: Option<bool>, sum: Sum) {
        count_name(&mut self.handshakes, handshake_name(tls.handshake), sum);
        self.add_offered(tls, sum);
        match tls.version {
            Some(version) if established != Some(false) => self.add_negotiated(tls, version, sum),
            _ => {}
        }
    }

    fn add_offered(&mut self, tls: &TlsFacts, sum: Sum) {
        if tls.offer.ciphers.is_empty() && tls.offer.versions.is_empty() {
            return;
        }
        self.offered.add(&tls.offer, sum);
        self.sni_in_clear.count(Some(tls.server_name.is_some()), sum);
        self.ech_offered.count(Some(tls.ech_offered), sum);
    }

    fn add_negotiated(&mut self, tls: &TlsFacts, version: u16, sum: Sum) {
        self.versions.count(version, sum);
        self.resumption.count(Some(tls.resumed), sum);
        if let Some(group) = tls.group {
            self.groups.count(group, sum);
        }
        if let Some(scheme) = tls.signature {
            self.signature.count(scheme, sum);
        }
        if let Some(name) = &tls.next_protocol {
            count_name(&mut self.alpn, known_protocol(name), sum);
        }
        let Some(cipher) = tls.cipher else { return };
        self.cipher_suites.count(cipher, sum);
        let suite = registry::suite(cipher);
        count_name(&mut self.aead, suite.map_or("unknown", protection), sum);
        count_name(&mut self.key_exchange, key_exchange(tls, suite), sum);
        self.forward_secrecy.count(forward_secrecy(tls, suite), sum);
        self.post_quantum.count(post_quantum(tls, suite), sum);
    }

    /// Adds all of `other`.
    pub(super) fn merge(&mut self, other: Self) {
        self.versions.merge(other.versions);
        self.cipher_suites.merge(other.cipher_suites);
        merge_sums(&mut self.key_exchange, other.key_exchange);
        self.groups.merge(other.groups);
        self.signature.merge(other.signature);
        merge_sums(&mut self.aead, other.aead);
        self.forward_secrecy.merge(other.forward_secrecy);
        self.post_quantum.merge(other.post_quantum);
        merge_sums(&mut self.alpn, other.alpn);
        self.resumption.merge(other.resumption);
        self.sni_in_clear.merge(other.sni_in_clear);
        self.ech_offered.merge(other.ech_offered);
        merge_sums(&mut self.handshakes, other.handshakes);
        self.offered.merge(other.offered);
    }
}

fn merge_sums<K: Ord>(into: &mut BTreeMap<K, Sum>, from: BTreeMap<K, Sum>) {
    for (key, sum) in from {
        into.entry(key).or_default().merge(sum);
    }
}

fn count_name(sums: &mut BTreeMap<Name, Sum>, name: &'static str, sum: Sum) {
    sums.entry(Cow::Borrowed(name)).or_default().merge(sum);
}

fn handshake_name(handshake: Handshake) -> &'static str {
    match handshake {
        Handshake::NotSeen => "not_seen",
        Handshake::OneSided => "one_sided",
        Handshake::Opened => "opened",
        Handshake::Completed => "completed",
        Handshake::Unused => "unused",
        Handshake::Failed => "failed",
    }
}

/// How the records of a suite are protected.
fn protection(suite: &Suite) -> &'static str {
    match (suite.cipher, suite.mode) {
        ("null" | "none", _) => "null",
        _ if suite.aead => "aead",
        ("rc4", _) => "rc4",
        (_, "cbc") => "cbc",
        _ => "other",
    }
}

/// The kind of key exchange: by the suite up to TLS 1.2, by group and PSK mode in TLS 1.3.
fn key_exchange(tls: &TlsFacts, suite: Option<&Suite>) -> &'static str {
    match suite {
        None => "unknown",
        Some(suite) if !suite.is_tls13() => suite.kex,
        Some(_) if tls.psk_only => "psk",
        Some(_) => match tls.group.and_then(registry::group).map(|group| group.family) {
            Some("hybrid") => "hybrid",
            Some("kem") => "kem",
            Some("ffdhe") => "dhe",
            Some(_) => "ecdhe",
            None => "unknown",
        },
    }
}

/// Whether a long-term key stolen later leaves the session unreadable; `None` when that is not visible.
///
/// A session resumed in TLS 1.2 depends on how it was first set up; one resumed in TLS 1.3 on whether a group was
/// negotiated again.
fn forward_secrecy(tls: &TlsFacts, suite: Option<&Suite>) -> Option<bool> {
    let suite = suite?;
    match (suite.is_tls13(), tls.resumed) {
        (true, _) if tls.psk_only => Some(false),
        (true, _) => tls.group.map(|_| true),
        (false, true) => None,
        (false, false) => Some(suite.forward_secrecy),
    }
}

/// Whether a quantum computer alone would not open the key exchange; `None` when none is visible.
///
/// A session key from a pre-shared key alone is no matter of quantum computers, so it has no answer either.
pub(super) fn post_quantum(tls: &TlsFacts, suite: Option<&Suite>) -> Option<bool> {
    if let Some(group) = tls.group {
        return registry::group(group).map(registry::Group::is_post_quantum);
    }
    let suite = suite?;
    // CECPQ1 is the one suite whose key exchange is post-quantum by itself.
    if suite.kex == "cecpq1" {
        return Some(true);
    }
    let classical = !suite.is_tls13() && !tls.resumed && !matches!(suite.kex, "psk" | "null" | "none");
    classical.then_some(false)
}

/// Stands for application protocols that the registry does not know.
pub const OTHER_PROTOCOL: &str = "other";

/// The registered name equal to `name`, else [`OTHER_PROTOCOL`].
fn known_protocol(name: &str) -> &'static str {
    protocol_at(protocol_place(name))
}

/// The place of `name` among the registered names; the place behind them when it is none.
pub(super) fn protocol_place(name: &str) -> usize {
    KNOWN_PROTOCOLS.iter().position(|known| *known == name).unwrap_or(KNOWN_PROTOCOLS.len())
}

fn protocol_at(place: usize) -> &'static str {
    KNOWN_PROTOCOLS.get(place).copied().unwrap_or(OTHER_PROTOCOL)
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
