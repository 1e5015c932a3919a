//! Sums: what a report is made of, and nothing that is not a sum.
//!
//! A [`Tally`] starts empty (`Default`), takes closed flows and loose frames, and merges by addition: commutative and
//! associative, integers only, so the order and number of threads, shards and files change nothing. Ratios are for
//! [`crate::report`], which can be turned back into the tally it came from.
//!
//! Not held: anything that names a host. Memory is bounded by the code points there are, not by the traffic: names that
//! traffic could invent (application protocols) are kept only when a registry knows them.

mod capture;
mod groups;
mod label;
mod strength;
mod table;
pub(crate) mod testing;
mod tls;

use std::borrow::Cow;
use std::collections::BTreeMap;

pub use capture::CaptureEntry;
pub use groups::{GROUPS, GroupSums, Groups};
pub use label::{Web, application, established, server_port, web};
pub use strength::{Graded, PolicyName, RuleText, Strength};
pub use table::{ByClass, ByContent, ByEvidence, ByLevel, ByOutcome};
pub use tls::{OTHER_PROTOCOL, Offered, Sum, TlsSums, YesNo};

use crate::grade::{Policy, Verdict};
use crate::model::{Class, Counts, Evidence, FlowSummary, Loss, Units};

/// A name from the program's tables, or read back from a report.
pub type Name = Cow<'static, str>;

/// All sums of one or several captures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// What was read, sorted.
    pub captures: Vec<CaptureEntry>,
    /// Totals by evidence and class; their sum over evidence is the total of the class.
    pub classes: ByEvidence<ByClass<Units>>,
    /// Frames outside every share, by reason.
    pub undecoded: BTreeMap<Loss, Counts>,
    /// The part of `encrypted` in flows whose handshake was never completed.
    pub attempted: Units,
    /// Encrypted flows that began in clear.
    pub upgraded_flows: u64,
    /// TCP payload bytes that repeat sequence numbers already seen. Unit: bytes.
    pub retransmitted_bytes: u64,
    /// The part of `unknown` by what its bytes look like.
    pub unknown: ByContent<Units>,
    /// Totals by protocol and class.
    pub protocols: BTreeMap<ProtocolKey, Units>,
    /// The sums behind the web share.
    pub web: WebSums,
    /// Strength of encrypted flows.
    pub strength: Strength,
    /// Distributions over TLS, DTLS and QUIC flows.
    pub tls: TlsSums,
    /// Flows in clear that could have switched to TLS, by protocol and what came of it.
    pub upgrades: BTreeMap<Name, ByOutcome<Units>>,
    /// Frames inside each kind of tunnel in clear; a frame in two kinds counts under both.
    pub tunnels: BTreeMap<Name, Units>,
    /// What was seen less well than the wire carried it.
    pub losses: BTreeMap<Loss, u64>,
    /// Sums of each group of host pairs, for error bars.
    pub groups: Groups,
}

/// What one row of the protocols is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProtocolKey {
    /// Name of the protocol; `unknown` when none was recognised.
    pub name: Name,
    /// What its bytes are to a reader of the wire.
    pub class: Class,
    /// The protocol in clear that went before, for example `smtp` before `tls`.
    pub upgraded_from: Option<Name>,
}

/// The sums behind the web share. Flows whose handshake was never completed are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WebSums {
    /// HTTP over TLS over TCP.
    pub https: Units,
    /// HTTP over QUIC.
    pub quic: Units,
    /// HTTP in clear.
    pub cleartext: Units,
}

impl Tally {
    /// Adds a closed flow, with one verdict for each policy in use (none for flows that are not graded).
    ///
    /// The packets in `flow.readable` count as plaintext, the others as the class of the flow; the flow itself counts
    /// once, under its class.
    pub fn add_flow(&mut self, flow: &FlowSummary, verdicts: &[Verdict]) {
        let total = flow.total();
        let readable = match flow.class {
            Class::Encrypted => flow.readable,
            _ => Counts::default(),
        };
        let rest = total.without(readable);
        let by_class = &mut self.classes[flow.evidence];
        by_class[flow.class].add_flows(1, rest);
        let group = self.groups.of(flow.key.host_group());
        group.add(flow.class, 1, rest);
        self.add_protocol(flow.protocol.name(), flow.class, flow.upgraded_from.map(|from| from.name()), 1, rest);
        if readable != Counts::default() {
            self.classes[flow.evidence][Class::Plaintext].add_flows(0, readable);
            self.groups.of(flow.key.host_group()).add(Class::Plaintext, 0, readable);
            let name = flow.upgraded_from.unwrap_or(flow.protocol).name();
            self.add_protocol(name, Class::Plaintext, None, 0, readable);
        }
        self.retransmitted_bytes += flow.retransmitted_bytes;
        if flow.class == Class::Unknown {
            self.unknown.of_flags(&flow.flags).add_flows(1, rest);
        }
        self.add_labels(flow, verdicts, rest);
    }

    /// What a flow adds beyond its class: strength, web share, handshake facts.
    fn add_labels(&mut self, flow: &FlowSummary, verdicts: &[Verdict], rest: Counts) {
        let complete = established(flow);
        if flow.class == Class::Encrypted {
            self.upgraded_flows += u64::from(flow.upgraded_from.is_some());
            if complete == Some(false) {
                self.attempted.add_flows(1, rest);
            }
        }
        if complete != Some(false) {
            self.strength.add(flow.class, verdicts, rest);
            match web(flow) {
                Some(Web::Https) => self.web.https.add_flows(1, rest),
                Some(Web::Quic) => self.web.quic.add_flows(1, rest),
                Some(Web::Cleartext) => self.web.cleartext.add_flows(1, rest),
                None => {}
            }
        }
        let Some(facts) = &flow.facts else { return };
        if let Some(tls) = &facts.tls {
            self.tls.add(tls, complete, rest.wire_bytes);
        }
        if let Some((protocol, outcome)) = facts.upgrade {
            self.upgrades.entry(Cow::Borrowed(protocol.name())).or_default()[outcome].add_flows(1, flow.total());
        }
    }

    /// Adds frames that belong to no flow (`arp`, `icmp`, encrypted 802.11 frames ...).
    pub fn add_frames(&mut self, class: Class, name: &'static str, counts: Counts) {
        let evidence = match class {
            Class::Encrypted | Class::Plaintext => Evidence::Framing,
            Class::Unknown | Class::Control => Evidence::None,
        };
        self.classes[evidence][class].add_flows(0, counts);
        self.groups.of(groups::of_name(name)).add(class, 0, counts);
        self.add_protocol(name, class, None, 0, counts);
        if class == Class::Unknown {
            self.unknown.undetermined.add_flows(0, counts);
        }
    }

    /// Adds frames that could not be read; they count as the loss `reason` too.
    pub fn add_undecoded(&mut self, reason: Loss, counts: Counts) {
        self.undecoded.entry(reason).or_default().add(counts);
        self.add_loss(reason, counts.packets);
    }

    /// Adds to the losses. For frames outside every share use [`Tally::add_undecoded`] alone.
    pub fn add_loss(&mut self, reason: Loss, count: u64) {
        if count > 0 {
            *self.losses.entry(reason).or_default() += count;
        }
    }

    /// Adds frames that came inside a tunnel in clear of kind `name`; they are part of the classes as well.
    pub fn add_tunnel(&mut self, name: &'static str, counts: Counts) {
        self.tunnels.entry(Cow::Borrowed(name)).or_default().add_flows(0, counts);
    }

    /// Adds a capture that was read.
    pub fn add_capture(&mut self, entry: CaptureEntry) {
        let place = self.captures.partition_point(|other| *other < entry);
        self.captures.insert(place, entry);
    }

    /// Gives the verdicts added so far the names of their policies; `policies` in the order of the verdicts.
    ///
    /// Called once, when all flows have been added: only named verdicts appear in a report.
    pub fn name_policies(&mut self, policies: &[Policy]) {
        self.strength.name_policies(policies);
    }

    /// Adds all of `other`. An empty tally changes nothing; order does not matter.
    pub fn merge(&mut self, other: Self) {
        for entry in other.captures {
            self.add_capture(entry);
        }
        self.classes.merge(&other.classes);
        for (reason, counts) in other.undecoded {
            self.undecoded.entry(reason).or_default().add(counts);
        }
        self.attempted.merge(&other.attempted);
        self.upgraded_flows += other.upgraded_flows;
        self.retransmitted_bytes += other.retransmitted_bytes;
        self.unknown.merge(&other.unknown);
        merge_units(&mut self.protocols, other.protocols);
        self.web.https.merge(&other.web.https);
        self.web.quic.merge(&other.web.quic);
        self.web.cleartext.merge(&other.web.cleartext);
        self.strength.merge(other.strength);
        self.tls.merge(other.tls);
        for (protocol, outcomes) in other.upgrades {
            self.upgrades.entry(protocol).or_default().merge(&outcomes);
        }
        merge_units(&mut self.tunnels, other.tunnels);
        for (reason, count) in other.losses {
            self.add_loss(reason, count);
        }
        self.groups.merge(&other.groups);
    }

    /// Totals of a class over all evidence.
    #[must_use]
    pub fn class(&self, class: Class) -> Units {
        let mut total = Units::default();
        for evidence in Evidence::ALL {
            total.merge(&self.classes[evidence][class]);
        }
        total
    }

    fn add_protocol(&mut self, name: &'static str, class: Class, from: Option<&'static str>, flows: u64, sum: Counts) {
        let key = ProtocolKey { name: Cow::Borrowed(name), class, upgraded_from: from.map(Cow::Borrowed) };
        self.protocols.entry(key).or_default().add_flows(flows, sum);
    }
}

/// Adds each total of `from` to the total of the same key.
fn merge_units<K: Ord>(into: &mut BTreeMap<K, Units>, from: BTreeMap<K, Units>) {
    for (key, units) in from {
        into.entry(key).or_default().merge(&units);
    }
}
