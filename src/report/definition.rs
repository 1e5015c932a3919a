//! What every figure of a report means, in the report itself, so that another program can work it out again.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The definition block. Two reports may be compared when their definitions are equal, policies apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Definition {
    /// Unit of the headline.
    pub unit: String,
    /// What is divided by what.
    pub encrypted_share: String,
    /// What is divided by, and what stands outside.
    pub denominator: String,
    /// What `lower` and `upper` are.
    pub bounds: String,
    /// What each unit counts.
    pub units: BTreeMap<String, String>,
    /// What each class means.
    pub classes: BTreeMap<String, String>,
    /// What each kind of evidence means.
    pub evidence: BTreeMap<String, String>,
    /// The evidence floor of the headline.
    pub evidence_floor: String,
    /// How flows whose handshake was never completed count.
    pub attempted: String,
    /// How flows that begin in clear and go on encrypted count.
    pub upgrades: String,
    /// What the web share is.
    pub web_share: String,
    /// What the weak share is.
    pub weak_share: String,
    /// How the 95% interval is worked out.
    pub interval: String,
    /// How host pairs are put into groups.
    pub groups: String,
    /// What the largest flows and hosts are.
    pub concentration: String,
    /// What stands beside each other for clients.
    pub clients: String,
    /// What is broken down by, and how.
    pub breakdowns: String,
    /// How the intervals of the timeline are chosen and what counts in them.
    pub timeline: String,
    /// How shares are rounded.
    pub rounding: String,
    /// What was folded, rounded and left out for publication; absent when nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publication: Option<String>,
    /// The policies under which strength was graded.
    pub policies: Vec<PolicyVersion>,
}

/// A policy and its version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyVersion {
    /// Name.
    pub name: String,
    /// Its edition.
    pub version: String,
    /// The day whose rules were applied, `YYYY-MM-DD`; absent when that is the latest edition's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
}

impl Definition {
    /// The definition that this program works by.
    #[must_use]
    pub fn new(policies: Vec<PolicyVersion>) -> Self {
        Self {
            unit: "wire_bytes".into(),
            encrypted_share: "encrypted / (encrypted + plaintext + unknown)".into(),
            denominator: "encrypted + plaintext + unknown; control and undecoded frames stand outside and are listed".into(),
            bounds: "lower = encrypted / (encrypted + plaintext + unknown), upper = (encrypted + unknown) / (encrypted + \
                     plaintext + unknown): the truth lies between them whatever the unknown traffic is"
                .into(),
            units: table(&UNITS),
            classes: table(&CLASSES),
            evidence: table(&EVIDENCE),
            evidence_floor: "association: every recognised flow counts; coverage.by_evidence has every other floor".into(),
            attempted: "a flow whose handshake was seen to fail, or not to go beyond the hellos, or to be followed by no \
                        application data (TLS 1.2 and earlier; TLS 1.3 hides it), is encrypted and is summed apart \
                        under coverage.attempted; it is never graded and is no web traffic"
                .into(),
            upgrades: "a flow that switches from clear to encrypted (STARTTLS, HTTP CONNECT and their kin) is split by \
                       packets where it switches: before it plaintext, after it encrypted; it is one flow, an encrypted one"
                .into(),
            web_share: "(https + quic) / (https + quic + cleartext). https and quic: encrypted TLS over TCP, or QUIC, whose \
                        ALPN (negotiated, else any that is offered) is h2, h3, h3-*, hq-*, http/* or spdy/*, or without any \
                        ALPN when the server port is 443 or 8443; not after an upgrade other than HTTP CONNECT, and not \
                        when the handshake was never completed. cleartext: flows recognised as HTTP/1 or HTTP/2 in clear"
                .into(),
            weak_share: "(weak + broken) / (strong + acceptable + weak + broken), from what was negotiated, over encrypted \
                         traffic; ungraded is what is encrypted and not graded, and is never folded into the others"
                .into(),
            interval: "grouped (delete-one) jackknife over the G non-empty groups: standard error = sqrt((G - 1) / G * sum of \
                       squared deviations of the G leave-one-out shares from their mean), interval = share -/+ Student t \
                       (97.5%, G - 1 degrees of freedom) * standard error, cut to 0..1; null with fewer than 30 groups. It \
                       speaks of sampling error only; what the unknown traffic could hide is in the bounds"
                .into(),
            groups: "64 groups: top 6 bits of mix(mix(f(a)) xor rotl(f(b), 23)), where a <= b are the two addresses as 128 \
                     bits (IPv4 as ::ffff:a.b.c.d), f(x) = high 64 bits of x xor rotl(low 64 bits, 31), and mix is the \
                     64-bit finaliser of MurmurHash3; frames of no flow: top 6 bits of 64-bit FNV-1a over their protocol name"
                .into(),
            concentration: "part of the encrypted + plaintext + unknown wire bytes that the ten largest flows make up, and that \
                            the ten largest senders sent (every byte has one sender); addresses are told apart within one \
                            capture, so a host in two captures is two; null for hosts when a capture has more than 131072"
                .into(),
            clients: "ratio_of_sums is the encrypted share, in which large clients count for more; median is the encrypted share \
                      by wire bytes of the flows of the client in the middle (of two, the lower), in thousandths rounded \
                      down; a client in two captures is two"
                .into(),
            breakdowns: "flows, each in one row of each kind: service by the server's port, vlan by the outermost tag of the first \
                         frame, asn and country by the server's address (the client's when only that is listed), server_name by \
                         the registrable domain in the ClientHello; of more than 65536 rows of a kind those with the smallest \
                         digests are kept and the others are in other; clients are counted within one capture up to 64, of \
                         several captures the largest number"
                .into(),
            timeline: "intervals aligned to 1970 UTC; every packet counts in the interval of its own time, a flow and its TLS version \
                       where it began, a datagram in fragments where its last one came. Not asked for, the length is the \
                       first of 1, 5, 10, 30 s, 1, 5, 10, 30 min, 1, 3, 6, 12 h, 1, 2, 4, 8 ... d at which no more than 100 \
                       intervals have frames; asked for, it is doubled while more than 2,000 have"
                .into(),
            rounding: "shares: exact ratio of integer sums, rounded half up to 6 decimals".into(),
            publication: None,
            policies,
        }
    }
}

impl Definition {
    /// The keys under which two definitions differ; empty when their figures can be compared.
    #[must_use]
    pub fn changes(one: &Self, other: &Self) -> Vec<String> {
        let [one, other] = [one, other].map(|definition| serde_json::to_value(definition).unwrap_or_default());
        let (Some(one), Some(other)) = (one.as_object(), other.as_object()) else { return Vec::new() };
        let changed = one.iter().filter(|(key, value)| other.get(*key) != Some(value)).map(|(key, _)| key.clone());
        let added = other.keys().filter(|key| !one.contains_key(*key)).cloned();
        changed.chain(added).collect()
    }
}

fn table(rows: &[(&str, &str)]) -> BTreeMap<String, String> {
    rows.iter().map(|(word, meaning)| ((*word).to_owned(), (*meaning).to_owned())).collect()
}

const UNITS: [(&str, &str); 4] = [
    ("wire_bytes", "original length of each frame, link header included, never the captured length; each frame once"),
    ("payload_bytes", "transport payload, each TCP sequence byte once; repeats are quality.retransmitted_bytes"),
    ("packets", "frames"),
    ("flows", "conversations: same two endpoints and transport, both directions; a new TCP handshake starts a new one"),
];

const CLASSES: [(&str, &str); 4] = [
    ("encrypted", "content is confidential to an on-path observer; the handshake belongs to it"),
    (
        "plaintext",
        "content is readable: a protocol recognised in clear, or encryption in name only (NULL cipher, integrity only)",
    ),
    (
        "unknown",
        "there is payload and no sufficient evidence; neither a port nor high entropy is evidence. Subdivided by content \
         under coverage.unknown_content (printable share, runs, bits set and spread of bytes after Wu et al., USENIX Security \
         2023): for information only, it moves neither class nor bound",
    ),
    ("control", "no application payload: ARP, ICMP, routing, transport flows without a payload byte"),
];

const EVIDENCE: [(&str, &str); 7] = [
    ("verified", "a cryptographic check passed, for example the tag of a QUIC Initial"),
    ("handshake", "both sides of a handshake"),
    ("one_sided", "one side of a handshake"),
    ("framing", "several consistent records in mid-stream, or a link-layer header that says so"),
    ("signature", "a payload pattern, on both sides or in several packets"),
    ("association", "announced by another flow"),
    ("none", "no evidence: unknown and control"),
];
