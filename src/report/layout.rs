//! The layout of a report: what stands where in the JSON, in this order.
//!
//! Every figure is either a sum (an integer) or a ratio worked out from sums of the same report. Within a major version of
//! the schema keys are only added.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::definition::Definition;
use crate::model::Units;
use crate::tally::{CarriedFrames, PostQuantum, ServerShares, Sum, YesNo};

/// A report of `tlscov`: how much of some captures is encrypted, how well, and how far that could be wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// Version of this layout, `MAJOR.MINOR`; within a major version keys are only added.
    pub schema_version: String,
    /// The program that wrote the report.
    pub tool: Tool,
    /// What every figure means, complete enough to work it out again.
    pub definition: Definition,
    /// The captures that were read, by name.
    pub captures: Vec<Capture>,
    /// How much is encrypted.
    pub coverage: Coverage,
    /// How well, under each policy.
    pub strength: Vec<PolicyStrength>,
    /// Distributions over TLS, DTLS and QUIC flows.
    pub tls: Tls,
    /// How far key exchange withstands a quantum computer, by protocol.
    #[serde(default)]
    pub post_quantum: Vec<PostQuantumRow>,
    /// Totals by protocol and class, most wire bytes first.
    pub protocols: Vec<ProtocolRow>,
    /// Flows in clear that could have switched to TLS.
    pub upgrades: Vec<UpgradeRow>,
    /// What weakens encryption here, worst first.
    pub findings: Vec<Finding>,
    /// Totals by interval of time.
    pub timeline: Timeline,
    /// Totals by service, direction, label, VLAN, autonomous system, country or server name; absent when not asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub breakdowns: Vec<BreakdownRow>,
    /// What was seen less well than the wire carried it.
    pub quality: Quality,
    /// Sums of the jackknife groups that are not empty; error bars are worked out from them.
    pub groups: Vec<Group>,
}

/// The program that wrote a report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// `tlscov`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The registries that names in this report come from.
    pub registries: Vec<Registry>,
}

/// A registry and the date of the copy in use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Registry {
    /// Its name.
    pub name: String,
    /// Date of the copy, `YYYY-MM-DD`.
    pub date: String,
}

/// One capture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Capture {
    /// Name as it was given, or `-` for standard input.
    pub name: String,
    /// Container and compression.
    pub format: String,
    /// Link types seen (LINKTYPE_ values), ascending.
    pub link_types: Vec<u16>,
    /// Frames.
    pub packets: u64,
    /// Original lengths of the frames. Unit: bytes.
    pub wire_bytes: u64,
    /// Lengths that the capture kept. Unit: bytes.
    pub captured_bytes: u64,
    /// Time of the earliest frame, RFC 3339 in UTC; `null` when no frame has a time.
    pub first: Option<String>,
    /// Time of the latest frame.
    pub last: Option<String>,
    /// SHA-256 of the file, when it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// How much is encrypted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Coverage {
    /// The unit of `encrypted_share`.
    pub unit: String,
    /// The headline.
    pub encrypted_share: Share,
    /// The encrypted share in every unit.
    pub by_unit: ByUnit<Share>,
    /// The encrypted share at every evidence floor, strongest evidence first, and the totals found at exactly that evidence.
    pub by_evidence: Vec<EvidenceRow>,
    /// How much of the traffic the largest flows and senders make up.
    pub concentration: Concentration,
    /// The share of all traffic beside that of the client in the middle.
    pub clients: Clients,
    /// HTTPS and QUIC web traffic against HTTP in clear; not the encrypted share.
    pub web_share: WebShare,
    /// Totals by class.
    pub totals: Totals,
    /// The part of `encrypted` in flows whose handshake was never completed.
    pub attempted: Units,
    /// Encrypted traffic whose algorithms are not visible, so that no policy can grade it, by reason: part of every
    /// policy's `ungraded`.
    #[serde(default)]
    pub hidden: Vec<HiddenRow>,
    /// Encrypted flows that began in clear.
    pub upgraded_flows: u64,
    /// The part of `unknown` by what its bytes look like.
    pub unknown_content: UnknownContent,
    /// Frames inside tunnels in clear, by kind; they are part of the totals by class.
    pub tunnels: Vec<TunnelRow>,
}

/// How much of the traffic the largest flows and senders make up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Concentration {
    /// The ten largest flows.
    pub flows: Largest,
    /// The ten hosts that sent most. A host in two captures is two.
    pub hosts: Largest,
}

/// The largest flows or senders, without their names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Largest {
    /// Their part of encrypted + plaintext + unknown wire bytes; `null` when it cannot be told.
    pub share: Option<f64>,
    /// Why `share` is `null`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Wire bytes of each, largest first, ten at most.
    pub wire_bytes: Vec<u64>,
}

/// The share of all traffic, where large clients count for more, beside that of the client in the middle.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Clients {
    /// Encrypted wire bytes of all over all: the encrypted share once more.
    pub ratio_of_sums: Option<f64>,
    /// The encrypted share of the client in the middle (the lower of two), in thousandths rounded down; `null` when it
    /// cannot be told.
    pub median: Option<f64>,
    /// Why `median` is `null`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Clients with traffic that no share leaves out. A client in two captures is two.
    pub clients: u64,
    /// Clients by their encrypted share.
    pub by_share: Vec<ClientsRow>,
    /// Captures with too many hosts to tell apart: none of their hosts and clients is in these figures.
    pub uncounted_captures: u64,
}

/// Clients of one encrypted share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClientsRow {
    /// Their encrypted share by wire bytes in thousandths, rounded down.
    pub thousandths: u16,
    /// How many they are.
    pub clients: u64,
}

/// Encrypted traffic that cannot be graded, for one reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HiddenRow {
    /// `midstream`, `one_sided`, `handshake_partly_seen`, `handshake_not_completed`, or `algorithms_not_shown` (ESP, data
    /// of a VPN).
    pub name: String,
    /// The traffic.
    pub totals: Units,
}

/// A share with its bounds and error bar. Shares are in 0..1, rounded to 6 decimals.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Share {
    /// The share; `null` when there is nothing to divide by.
    pub value: Option<f64>,
    /// The share if all unknown traffic were plaintext.
    pub lower: Option<f64>,
    /// The share if all unknown traffic were encrypted.
    pub upper: Option<f64>,
    /// The 95% interval of `value` for sampling error, lower and upper end; `null` when it cannot be told.
    pub ci95: Option<[f64; 2]>,
    /// Why `ci95` is `null`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci95_reason: Option<String>,
}

/// A share with its bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bounds {
    /// The share; `null` when there is nothing to divide by.
    pub value: Option<f64>,
    /// The share if all unknown traffic were plaintext.
    pub lower: Option<f64>,
    /// The share if all unknown traffic were encrypted.
    pub upper: Option<f64>,
}

/// One value for each unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ByUnit<T> {
    /// By original frame lengths.
    pub wire_bytes: T,
    /// By transport payload.
    pub payload_bytes: T,
    /// By frames.
    pub packets: T,
    /// By flows.
    pub flows: T,
}

impl<T> ByUnit<T> {
    /// The values with the names of their units.
    pub(super) fn named(&self) -> [(&'static str, &T); 4] {
        [
            ("wire_bytes", &self.wire_bytes),
            ("payload_bytes", &self.payload_bytes),
            ("packets", &self.packets),
            ("flows", &self.flows),
        ]
    }
}

/// One evidence floor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EvidenceRow {
    /// The weakest evidence that is believed; what is recognised by weaker evidence counts as unknown.
    pub floor: String,
    /// The encrypted share at this floor, in every unit.
    pub encrypted_share: ByUnit<Bounds>,
    /// Totals by class of what was recognised by exactly this evidence.
    pub totals: ClassTotals,
}

/// Totals by class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClassTotals {
    /// Content is confidential to an on-path observer.
    pub encrypted: Units,
    /// Content is readable.
    pub plaintext: Units,
    /// There is payload and no sufficient evidence.
    pub unknown: Units,
    /// No application payload.
    pub control: Units,
}

/// Totals of the captures: the classes and `undecoded` add up to `all` in frames and wire bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Totals {
    /// Totals by class.
    #[serde(flatten)]
    pub classes: ClassTotals,
    /// Frames that could not be read (`quality.undecoded` says why).
    pub undecoded: Frames,
    /// Everything.
    pub all: Units,
}

/// Frames and their wire bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Frames {
    /// Frames.
    pub packets: u64,
    /// Original lengths. Unit: bytes.
    pub wire_bytes: u64,
}

/// The web share and its sums.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WebShare {
    /// By wire bytes; `null` when there is no web traffic.
    pub wire_bytes: Option<f64>,
    /// By flows.
    pub flows: Option<f64>,
    /// HTTP over TLS over TCP.
    pub https: Units,
    /// HTTP over QUIC.
    pub quic: Units,
    /// HTTP in clear.
    pub cleartext: Units,
}

/// Unknown traffic by content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnknownContent {
    /// Every byte value about as often: compressed or encrypted.
    pub looks_random: Units,
    /// Almost all bytes are printable.
    pub looks_text: Units,
    /// Neither, or too little to tell.
    pub undetermined: Units,
}

/// Frames inside one kind of tunnel in clear.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TunnelRow {
    /// Kind of tunnel.
    pub name: String,
    /// Frames; a frame in tunnels of two kinds counts under both.
    pub packets: u64,
    /// Original lengths. Unit: bytes.
    pub wire_bytes: u64,
}

/// Strength under one policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyStrength {
    /// Name of the policy.
    pub policy: String,
    /// Its edition.
    pub version: String,
    /// The day whose rules were applied, `YYYY-MM-DD`; absent when that is the latest edition's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// Encrypted traffic by level; the levels add up to the encrypted total.
    pub levels: Levels,
    /// (weak + broken) / (strong + acceptable + weak + broken); `ungraded` stands beside it.
    pub weak_share: ByUnit<Option<f64>>,
    /// The part of the encrypted traffic that could be graded.
    pub graded_share: ByUnit<Option<f64>>,
    /// Traffic that the policy grades although it counts as plaintext: encryption in name only.
    pub in_name_only: Units,
    /// The rules that applied, the worst level first, then by flows; notes last. A flow counts under every rule that applied to it.
    pub reasons: Vec<Reason>,
}

/// Totals by level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Levels {
    /// Recommended by the policy.
    pub strong: Units,
    /// Neither recommended nor advised against.
    pub acceptable: Units,
    /// The policy advises against it.
    pub weak: Units,
    /// The policy forbids it, and it protects little or nothing.
    pub broken: Units,
    /// Not visible, so not graded.
    pub ungraded: Units,
}

impl Levels {
    /// Every level with its name, the best first.
    #[must_use]
    pub fn named(&self) -> [(&'static str, Units); 5] {
        [
            ("strong", self.strong),
            ("acceptable", self.acceptable),
            ("weak", self.weak),
            ("broken", self.broken),
            ("ungraded", self.ungraded),
        ]
    }
}

/// A rule and what it applied to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    /// Identifier of the rule.
    pub rule: String,
    /// The level that it sets.
    pub level: String,
    /// Why.
    pub reason: String,
    /// The document and section that says so.
    pub source: String,
    /// Flows to which it applied.
    pub totals: Units,
}

/// Distributions over flows with a TLS handshake. Negotiated values, except under `offered`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tls {
    /// Negotiated versions.
    pub versions: Vec<CodeRow>,
    /// Negotiated cipher suites.
    pub cipher_suites: Vec<CodeRow>,
    /// Kinds of key exchange.
    pub key_exchange: Vec<NameRow>,
    /// Negotiated groups.
    pub groups: Vec<CodeRow>,
    /// Signature schemes of the server's key exchange (up to TLS 1.2; later ones are encrypted).
    pub signature: Vec<CodeRow>,
    /// How records are protected: `aead`, `cbc`, `rc4`, `null`, `other`, `unknown` (the suite has no known name).
    pub aead: Vec<NameRow>,
    /// Whether a long-term key stolen later leaves the traffic unreadable.
    pub forward_secrecy: YesNo,
    /// Whether the key exchange has a post-quantum part.
    pub post_quantum: YesNo,
    /// Negotiated application protocols (up to TLS 1.2; later ones are encrypted); `other` for unregistered ones.
    pub alpn: Vec<NameRow>,
    /// Whether the session was resumed.
    pub resumption: YesNo,
    /// Whether the ClientHello names the server in clear.
    pub sni_in_clear: YesNo,
    /// Whether the ClientHello carries an Encrypted Client Hello extension; real or GREASE, that cannot be told apart.
    pub ech_offered: YesNo,
    /// Public values of servers that stood in more than one connection of a capture.
    #[serde(default)]
    pub server_shares: ServerShares,
    /// How far handshakes were seen.
    pub handshakes: Vec<NameRow>,
    /// What clients still offer; each value counts once a ClientHello.
    pub offered: OfferedRows,
}

/// What clients offer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OfferedRows {
    /// ClientHellos seen.
    pub hellos: Sum,
    /// Versions.
    pub versions: Vec<CodeRow>,
    /// Cipher suites.
    pub cipher_suites: Vec<CodeRow>,
    /// Groups.
    pub groups: Vec<CodeRow>,
    /// Signature schemes.
    #[serde(default)]
    pub signatures: Vec<CodeRow>,
    /// Application protocols; `other` for unregistered ones.
    pub alpn: Vec<NameRow>,
}

/// Flows with one code point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CodeRow {
    /// Registered name, else the code point.
    pub name: String,
    /// Code point, hexadecimal.
    pub code: String,
    /// Flows.
    pub flows: u64,
    /// Their original frame lengths. Unit: bytes.
    pub wire_bytes: u64,
}

/// Flows with one property.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NameRow {
    /// The property.
    pub name: String,
    /// Flows.
    pub flows: u64,
    /// Their original frame lengths. Unit: bytes.
    pub wire_bytes: u64,
}

/// Totals of a protocol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProtocolRow {
    /// Name, lower case; `unknown` when none was recognised.
    pub name: String,
    /// Class of this part of its traffic.
    pub class: String,
    /// The protocol in clear that went before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgraded_from: Option<String>,
    /// Totals.
    pub totals: Units,
}

/// Upgrades of one protocol, by what came of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UpgradeRow {
    /// The protocol in clear.
    pub protocol: String,
    /// The server offered it; the client did not ask.
    pub offered: Units,
    /// The client asked for it and the server refused.
    pub refused: Units,
    /// Encryption followed.
    pub used: Units,
    /// The server agreed, and what followed was not encryption.
    pub failed: Units,
}

/// Something that weakens encryption here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Identifier.
    pub id: String,
    /// `high`, `medium`, `low` or `note`.
    pub severity: String,
    /// What was found.
    pub what: String,
    /// What to do.
    pub advice: String,
    /// The document and section that says why it matters.
    #[serde(default)]
    pub source: String,
    /// The flows concerned, as a whole.
    pub totals: Units,
    /// The same by protocol and evidence.
    #[serde(default)]
    pub rows: Vec<FindingRow>,
}

/// The part of a finding in one protocol, by one kind of evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FindingRow {
    /// The protocol in which it was found.
    pub protocol: String,
    /// How these flows were recognised.
    pub evidence: String,
    /// The flows concerned, as a whole.
    pub totals: Units,
}

/// Post-quantum key exchange of one protocol; a flow counts once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PostQuantumRow {
    /// The protocol.
    pub protocol: String,
    /// The sums.
    #[serde(flatten)]
    pub sums: PostQuantum,
}

/// What was seen less well than the wire carried it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Quality {
    /// Reading was stopped by the user, or goes on (`--every`): the figures hold for what was read up to then.
    #[serde(default)]
    pub partial: bool,
    /// Every kind of loss and its count; the unit is in the name.
    pub losses: BTreeMap<String, u64>,
    /// Frames outside every share, by reason.
    pub undecoded: BTreeMap<String, Frames>,
    /// TCP payload bytes that repeat sequence numbers already seen; in no `payload_bytes`. Unit: bytes.
    pub retransmitted_bytes: u64,
    /// A part of a capture: frames that are in no sum here because their flows go on in the next part, less those that
    /// came over from the part before. Absent when there are none, as in the merged report of all parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried: Option<CarriedFrames>,
}

/// Sums of one jackknife group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Group {
    /// Number of the group, 0..64.
    pub group: u8,
    /// Encrypted traffic of its host pairs.
    #[serde(default, skip_serializing_if = "nothing")]
    pub encrypted: Units,
    /// Plaintext traffic.
    #[serde(default, skip_serializing_if = "nothing")]
    pub plaintext: Units,
    /// Unknown traffic.
    #[serde(default, skip_serializing_if = "nothing")]
    pub unknown: Units,
}

fn nothing(units: &Units) -> bool {
    *units == Units::default()
}

/// Totals by interval of time. Over all intervals the sums are the totals of the report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Timeline {
    /// Length of an interval; `null` when captures with unlike intervals were merged. Unit: seconds.
    pub interval_seconds: Option<u64>,
    /// The length that was asked for; absent when it was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_seconds: Option<u32>,
    /// Intervals with frames, in order of time.
    pub intervals: Vec<IntervalRow>,
}

/// One interval.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IntervalRow {
    /// Its start, RFC 3339 in UTC.
    pub start: String,
    /// Intervals without a frame between this one and the one before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub empty_before: u64,
    /// The encrypted share by wire bytes.
    pub encrypted_share: Bounds,
    /// Encrypted traffic.
    #[serde(default, skip_serializing_if = "nothing")]
    pub encrypted: Units,
    /// Plaintext traffic.
    #[serde(default, skip_serializing_if = "nothing")]
    pub plaintext: Units,
    /// Unknown traffic.
    #[serde(default, skip_serializing_if = "nothing")]
    pub unknown: Units,
    /// Control traffic.
    #[serde(default, skip_serializing_if = "nothing")]
    pub control: Units,
    /// Frames outside every share.
    #[serde(default, skip_serializing_if = "no_frames")]
    pub undecoded: Frames,
    /// Graded encrypted traffic under each policy, in the order of `strength`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strength: Vec<IntervalStrength>,
    /// Flows that began in this interval, by negotiated TLS version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<IntervalVersion>,
}

/// Graded traffic of an interval under one policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IntervalStrength {
    /// Name of the policy.
    pub policy: String,
    /// (weak + broken) / graded, by wire bytes.
    pub weak_share: Option<f64>,
    /// Recommended by the policy.
    pub strong: Sum,
    /// Neither recommended nor advised against.
    pub acceptable: Sum,
    /// The policy advises against it.
    pub weak: Sum,
    /// The policy forbids it.
    pub broken: Sum,
}

/// Flows of one TLS version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IntervalVersion {
    /// Name of the version; `other` for code points without a name.
    pub name: String,
    /// Code point, hexadecimal.
    pub code: String,
    /// Flows.
    pub flows: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

fn no_frames(frames: &Frames) -> bool {
    *frames == Frames::default()
}

/// Totals of flows that have something in common.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BreakdownRow {
    /// `service` (registered for the server's port), `direction`, `label`, `vlan`, `asn`, `country` or `server_name`.
    pub by: String,
    /// What they have in common.
    pub name: String,
    /// Distinct clients, counted up to 64; of several captures the largest number.
    pub clients: u64,
    /// The encrypted share by wire bytes.
    pub encrypted_share: Bounds,
    /// Totals by class.
    #[serde(flatten)]
    pub totals: ClassTotals,
}
