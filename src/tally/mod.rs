//! Sums: what a report is made of, and nothing that is not a sum.
//!
//! A [`Tally`] starts empty (`Default`), takes closed flows and loose frames, and merges by addition: commutative and
//! associative, integers only, so the order and number of threads, shards and files change nothing. Ratios are for
//! [`crate::report`], which can be turned back into the tally it came from.
//!
//! Not held: anything that names a host. Memory is bounded by the code points there are, not by the traffic: names that
//! traffic could invent (application protocols) are kept only when a registry knows them.

mod alike;
mod breakdown;
mod capture;
mod codes;
mod concentration;
mod geo;
mod groups;
mod label;
mod plan;
mod post_quantum;
mod shares;
mod strength;
mod table;
#[cfg(test)]
pub(crate) mod testing;
mod timeline;
mod tls;

use std::borrow::Cow;
use std::collections::BTreeMap;

pub use alike::Alike;
use alike::Several;
pub use breakdown::{Breakdowns, Cell, MOST_CELLS, MOST_CLIENTS, OTHER};
pub use capture::CaptureEntry;
pub use codes::Codes;
pub use concentration::{Collector, Concentration, LARGEST, Largest, MOST_HOSTS};
pub use geo::Geo;
pub use groups::{GROUPS, GroupSums, Groups};
pub use label::{Web, application, established, server_port, web};
pub use plan::{By, Labels, Networks, Plan};
pub use post_quantum::PostQuantum;
pub use shares::{MOST_WATCHED, ServerShares};
pub use strength::{Graded, PolicyName, RuleText, Strength};
pub use table::{ByClass, ByContent, ByEvidence, ByLevel, ByOutcome};
pub use timeline::{GRADED, Interval, Timeline};
pub use tls::{OTHER_PROTOCOL, Offered, Offers, Sum, TlsSums, YesNo};

use crate::grade::{Policy, Verdict, finding};
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
    /// Encrypted traffic whose algorithms are not visible, so that no policy can grade it, by reason.
    pub hidden: BTreeMap<Name, Units>,
    /// Distributions over TLS, DTLS and QUIC flows.
    pub tls: TlsSums,
    /// Flows in clear that could have switched to TLS, by protocol and what came of it.
    pub upgrades: BTreeMap<Name, ByOutcome<Units>>,
    /// What weakens encryption, flow by flow.
    pub findings: BTreeMap<FindingKey, Units>,
    /// Public values of servers, over the captures that have ended.
    pub server_shares: ServerShares,
    /// Public values of the capture that is being read.
    pub(crate) watch: shares::Watch,
    /// How far key exchange is post-quantum, by protocol.
    pub post_quantum: BTreeMap<Name, PostQuantum>,
    /// Frames inside each kind of tunnel in clear; a frame in two kinds counts under both.
    pub tunnels: BTreeMap<Name, Units>,
    /// Frames that are in no sum because their flows go on in another part of the capture.
    pub carried: CarriedFrames,
    /// What was seen less well than the wire carried it.
    pub losses: BTreeMap<Loss, u64>,
    /// Sums of each group of host pairs, for error bars.
    pub groups: Groups,
    /// What few flows and hosts make up, and clients by their share.
    pub concentration: Concentration,
    /// Sums by interval of time.
    pub timeline: Timeline,
    /// Sums by what was asked for.
    pub breakdowns: Breakdowns,
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

/// What one row of the findings is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FindingKey {
    /// Identifier of the finding ([`finding::by_id`]).
    pub id: &'static str,
    /// The protocol in which it was found: that before an upgrade, if there was one.
    pub protocol: Name,
    /// The evidence of the flow.
    pub evidence: Evidence,
}

/// Frames that are in no sum of a part of a capture, because their flows are still open at its end; less those that are
/// in its sums although parts before it read them. Over all parts of a capture it is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct CarriedFrames {
    /// Frames; below zero when more were taken over than are handed on.
    pub packets: i64,
    /// Their original lengths. Unit: bytes.
    pub wire_bytes: i64,
}

/// What a capture that is being read has not turned into sums yet.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Watched {
    watch: shares::Watch,
    clients: Vec<breakdown::SeenClients>,
    hosts: concentration::Hosts,
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
        let complete = established(flow);
        self.add_kind(flow, complete, verdicts, 1);
        self.add_itself(flow, complete, verdicts);
    }

    /// The same for a flow that may be like others: what they have in common is added up in `alike` until
    /// [`Tally::add_alike`]. It is graded unless one like it was; gives the verdicts.
    pub fn add_flow_among<'a>(
        &mut self,
        alike: &'a mut Alike,
        flow: &FlowSummary,
        grade: impl Fn() -> Vec<Verdict>,
    ) -> Cow<'a, [Verdict]> {
        let complete = established(flow);
        let verdicts = match alike.add(flow, complete, &grade) {
            Some(verdicts) => Cow::Borrowed(verdicts),
            None => {
                let verdicts = grade();
                self.add_kind(flow, complete, &verdicts, 1);
                Cow::Owned(verdicts)
            }
        };
        self.add_itself(flow, complete, &verdicts);
        verdicts
    }

    /// Adds what flows have in common.
    pub fn add_alike(&mut self, alike: Alike) {
        for Several { flows, sum, established, verdicts } in alike.sums() {
            self.add_kind(&sum, established, &verdicts, flows);
        }
    }

    /// What a flow adds by where and when it was, and by what no two have in common: groups of host pairs, hosts, intervals, the
    /// public values of servers.
    fn add_itself(&mut self, flow: &FlowSummary, complete: Option<bool>, verdicts: &[Verdict]) {
        let (readable, rest) = readable_and_rest(flow);
        let group = self.groups.of(flow.key.host_group());
        group.add(flow.class, 1, rest);
        if readable != Counts::default() {
            group.add(Class::Plaintext, 0, readable);
        }
        self.concentration.add_flow(flow, rest);
        let has_failed = complete == Some(false);
        self.timeline.add_flow(flow, if has_failed { &[] } else { verdicts });
        if let Some(tls) = flow.facts.as_deref().and_then(|facts| facts.tls.as_deref()).filter(|_| !has_failed) {
            self.watch.add(tls, flow.protocol.name(), flow.evidence, flow.total());
        }
    }

    /// What it adds by what it was; `flow` may stand for several `flows`, which differ in nothing that is asked here.
    fn add_kind(&mut self, flow: &FlowSummary, complete: Option<bool>, verdicts: &[Verdict], flows: u64) {
        let (readable, rest) = readable_and_rest(flow);
        self.classes[flow.evidence][flow.class].add_flows(flows, rest);
        self.add_protocol(flow.protocol.name(), flow.class, flow.upgraded_from.map(|from| from.name()), flows, rest);
        if readable != Counts::default() {
            self.classes[flow.evidence][Class::Plaintext].add_flows(0, readable);
            let name = flow.upgraded_from.unwrap_or(flow.protocol).name();
            self.add_protocol(name, Class::Plaintext, None, 0, readable);
        }
        self.retransmitted_bytes += flow.retransmitted_bytes;
        if flow.class == Class::Unknown {
            self.unknown.of_flags(&flow.flags).add_flows(flows, rest);
        }
        self.add_labels(flow, complete, verdicts, flows);
    }

    /// What a flow adds beyond its class: strength, web share, handshake facts.
    fn add_labels(&mut self, flow: &FlowSummary, complete: Option<bool>, verdicts: &[Verdict], flows: u64) {
        let (_, rest) = readable_and_rest(flow);
        if flow.class == Class::Encrypted {
            self.upgraded_flows += flows * u64::from(flow.upgraded_from.is_some());
            if let Some(reason) = crate::grade::why_hidden(flow, complete) {
                self.hidden.entry(Cow::Borrowed(reason)).or_default().add_flows(flows, rest);
            }
            if complete == Some(false) {
                self.attempted.add_flows(flows, rest);
            }
        }
        if complete != Some(false) {
            self.strength.add(flow.class, verdicts, flows, rest);
            match web(flow) {
                Some(Web::Https) => self.web.https.add_flows(flows, rest),
                Some(Web::Quic) => self.web.quic.add_flows(flows, rest),
                Some(Web::Cleartext) => self.web.cleartext.add_flows(flows, rest),
                None => {}
            }
        }
        for found in finding::of(flow, complete) {
            // What is wrong with TLS is wrong with TLS; what is wrong with an upgrade, with the protocol that offers it.
            let protocol =
                if found.before_upgrade() { flow.upgraded_from.unwrap_or(flow.protocol) } else { flow.protocol };
            self.add_finding(found.id, protocol.name(), flow.evidence).add_flows(flows, flow.total());
        }
        let Some(facts) = &flow.facts else { return };
        let sum = Sum { flows, wire_bytes: rest.wire_bytes };
        if let Some(kind) = post_quantum::kind(facts, complete) {
            let name = Cow::Borrowed(flow.protocol.name());
            self.post_quantum.entry(name).or_default().add(kind, sum);
        }
        if let Some(tls) = &facts.tls {
            self.tls.add(tls, complete, sum);
        }
        if let Some((protocol, outcome)) = facts.upgrade {
            self.upgrades.entry(Cow::Borrowed(protocol.name())).or_default()[outcome].add_flows(flows, flow.total());
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
        if class == Class::Encrypted {
            self.hidden.entry(Cow::Borrowed("algorithms_not_shown")).or_default().add_flows(0, counts);
        }
        if class == Class::Plaintext && finding::protects_in_name_only(name) {
            self.add_finding("encryption_in_name_only", name, evidence).add_flows(0, counts);
        }
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

    /// A capture has ended: what its connections have in common is known now.
    ///
    /// Called once for each capture, after its last flow; what was watched up to then turns into sums.
    pub fn end_capture(&mut self) {
        let (sums, repeated) = self.watch.close();
        self.server_shares.merge(sums);
        self.add_loss(Loss::UnwatchedShares, sums.unwatched_flows);
        for ((protocol, evidence), units) in repeated {
            self.add_finding(finding::REPEATED_SHARE, protocol, evidence).merge(&units);
        }
        self.breakdowns.end_capture();
        self.concentration.end_capture();
    }

    /// Moves what `part`, a tally of the same capture, watches over to this one, so that it need not keep it.
    pub fn take_watch(&mut self, part: &mut Self) {
        self.watch.merge(part.watch.take_all());
        self.breakdowns.merge(std::mem::take(&mut part.breakdowns));
    }

    /// Hands the hosts of the capture that is being read over to `all`, when there are many.
    pub fn hand_hosts_over(&mut self, all: &Collector) {
        self.concentration.hand_over(all);
    }

    /// Hands all of them over.
    pub fn hand_all_hosts_over(&mut self, all: &Collector) {
        self.concentration.hand_all_over(all);
    }

    /// The capture has ended: its hosts, these and those in `all`, turn into sums.
    pub fn end_hosts(&mut self, all: &Collector) {
        self.concentration.end_collected(all);
    }

    /// Takes the hosts that tallies of the same capture handed over to `all`.
    pub fn take_hosts(&mut self, all: &Collector) {
        self.concentration.take_collected(all);
    }

    /// Takes copies of the hosts that tallies of the same capture handed over to `all`.
    pub fn copy_hosts(&mut self, all: &Collector) {
        self.concentration.copy_collected(all);
    }

    /// Gives the values that are watched so much memory. Unit: bytes.
    pub fn limit_watch(&mut self, bytes: u64) {
        self.watch.limit(bytes);
    }

    /// Gives the verdicts added so far the names of their policies; `policies` in the order of the verdicts.
    ///
    /// Called once, when all flows have been added: only named verdicts appear in a report.
    pub fn name_policies(&mut self, policies: &[Policy]) {
        self.strength.name_policies(policies);
        self.timeline.name_policies(policies);
    }

    /// Takes out what turns into sums only when the capture ends, and notes the frames that are in no sum yet: the capture
    /// goes on in another part.
    pub(crate) fn suspend_capture(&mut self) -> Watched {
        self.note_carried();
        Watched {
            watch: std::mem::take(&mut self.watch),
            clients: self.breakdowns.take_seen(),
            hosts: self.concentration.suspend(),
        }
    }

    /// Goes on with what was watched in the part before.
    pub(crate) fn resume_capture(&mut self, watched: Watched) {
        self.watch = watched.watch;
        self.breakdowns.put_seen(watched.clients);
        self.concentration.resume(watched.hosts);
    }

    /// Notes the frames of the captures that are in no sum, less those that other parts had read.
    pub(crate) fn note_carried(&mut self) {
        let mut left = CarriedFrames::default();
        let mut add = |packets: u64, wire_bytes: u64, sign: i64| {
            left.packets += sign * packets as i64;
            left.wire_bytes += sign * wire_bytes as i64;
        };
        self.captures.iter().for_each(|entry| add(entry.packets, entry.wire_bytes, 1));
        self.undecoded.values().for_each(|counts| add(counts.packets, counts.wire_bytes, -1));
        for class in Class::ALL {
            let units = self.class(class);
            add(units.packets, units.wire_bytes, -1);
        }
        self.carried = left;
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
        merge_units(&mut self.hidden, other.hidden);
        self.tls.merge(other.tls);
        for (protocol, outcomes) in other.upgrades {
            self.upgrades.entry(protocol).or_default().merge(&outcomes);
        }
        merge_units(&mut self.findings, other.findings);
        self.server_shares.merge(other.server_shares);
        self.watch.merge(other.watch);
        for (protocol, sums) in other.post_quantum {
            self.post_quantum.entry(protocol).or_default().merge(sums);
        }
        merge_units(&mut self.tunnels, other.tunnels);
        self.carried.packets += other.carried.packets;
        self.carried.wire_bytes += other.carried.wire_bytes;
        for (reason, count) in other.losses {
            self.add_loss(reason, count);
        }
        self.groups.merge(&other.groups);
        self.concentration.merge(other.concentration);
        self.timeline.merge(other.timeline);
        self.breakdowns.merge(other.breakdowns);
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

    fn add_finding(&mut self, id: &'static str, protocol: &'static str, evidence: Evidence) -> &mut Units {
        self.findings.entry(FindingKey { id, protocol: Cow::Borrowed(protocol), evidence }).or_default()
    }

    fn add_protocol(&mut self, name: &'static str, class: Class, from: Option<&'static str>, flows: u64, sum: Counts) {
        let key = ProtocolKey { name: Cow::Borrowed(name), class, upgraded_from: from.map(Cow::Borrowed) };
        self.protocols.entry(key).or_default().add_flows(flows, sum);
    }
}

/// What of a flow is plaintext though it is encrypted, and the rest.
fn readable_and_rest(flow: &FlowSummary) -> (Counts, Counts) {
    let readable = if flow.class == Class::Encrypted { flow.readable } else { Counts::default() };
    (readable, flow.total().without(readable))
}

/// Adds each total of `from` to the total of the same key.
fn merge_units<K: Ord>(into: &mut BTreeMap<K, Units>, from: BTreeMap<K, Units>) {
    for (key, units) in from {
        into.entry(key).or_default().merge(&units);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::testing::{office, office_tally};
    use super::*;
    use crate::model::Protocol;
    use proptest::prelude::*;

    fn units(flows: u64, packets: u64, wire_bytes: u64, payload_bytes: u64) -> Units {
        Units { flows, packets, wire_bytes, payload_bytes }
    }

    #[test]
    fn classes_add_up_to_all_that_was_given() {
        // Twelve flows of 30 packets, 5,000 wire bytes and 2,500 payload bytes; of one encrypted flow 8 packets, 800 and
        // 300 bytes went in clear.
        let tally = office_tally();
        assert_eq!(tally.class(Class::Encrypted), units(6, 172, 29_200, 14_700));
        assert_eq!(tally.class(Class::Plaintext), units(3, 98, 15_800, 7_800));
        assert_eq!(tally.class(Class::Unknown), units(2, 60, 10_000, 5_000));
        assert_eq!(tally.class(Class::Control), units(1, 30, 5_000, 2_500));
        assert_eq!(tally.attempted, units(1, 30, 5_000, 2_500));
        assert_eq!(tally.upgraded_flows, 1);
        assert_eq!(tally.unknown.looks_random, units(1, 30, 5_000, 2_500));
        assert_eq!(tally.unknown.undetermined, units(1, 30, 5_000, 2_500));
        assert_eq!(tally.classes[Evidence::Verified][Class::Encrypted], units(1, 30, 5_000, 2_500));
        assert_eq!(tally.classes[Evidence::Framing][Class::Encrypted], units(1, 30, 5_000, 2_500));
    }

    #[test]
    fn groups_and_protocols_add_up_to_the_classes() {
        let tally = office_tally();
        for class in [Class::Encrypted, Class::Plaintext, Class::Unknown] {
            let mut groups = Units::default();
            tally.groups.iter().for_each(|group| groups.merge(&group.classes[class]));
            assert_eq!(groups, tally.class(class), "groups of {}", class.name());
        }
        for class in Class::ALL {
            let mut protocols = Units::default();
            tally.protocols.iter().filter(|(key, _)| key.class == class).for_each(|(_, units)| protocols.merge(units));
            assert_eq!(protocols, tally.class(class), "protocols of {}", class.name());
        }
        let smtp = ProtocolKey { name: "smtp".into(), class: Class::Plaintext, upgraded_from: None };
        assert_eq!(tally.protocols[&smtp], units(0, 8, 800, 300));
        let tls = ProtocolKey { name: "tls".into(), class: Class::Encrypted, upgraded_from: Some("smtp".into()) };
        assert_eq!(tally.protocols[&tls], units(1, 22, 4_200, 2_200));
    }

    #[test]
    fn web_share_leaves_out_mail_and_attempts() {
        let web = office_tally().web;
        // The flow with h2 and the one in mid-stream at port 443; neither the mail after STARTTLS nor the failed handshake.
        assert_eq!(web.https, units(2, 60, 10_000, 5_000));
        assert_eq!(web.quic, units(1, 30, 5_000, 2_500));
        assert_eq!(web.cleartext, units(1, 30, 5_000, 2_500));
    }

    #[test]
    fn strength_grades_what_was_completed_and_encrypted() {
        use crate::grade::Level;
        let tally = office_tally();
        assert_eq!(tally.strength.policies.len(), 1);
        for graded in tally.strength.policies.values() {
            assert_eq!(graded.levels[Level::Strong].flows, 3, "web, QUIC, mail after STARTTLS");
            assert_eq!(graded.levels[Level::Strong].wire_bytes, 14_200, "without the mail's 800 bytes in clear");
            assert_eq!(graded.levels[Level::Broken], units(1, 30, 5_000, 2_500), "RC4");
            assert_eq!(graded.levels[Level::Weak].flows + graded.levels[Level::Acceptable].flows, 0);
            assert_eq!(graded.in_name_only, units(1, 30, 5_000, 2_500), "the NULL suite");
        }
    }

    #[test]
    fn tls_counts_negotiated_and_offered_apart() {
        let tls = office_tally().tls;
        let sum = |flows, wire_bytes| Sum { flows, wire_bytes };
        assert_eq!(
            tls.versions.iter().collect::<Vec<_>>(),
            [(0x0301, sum(1, 5000)), (0x0303, sum(1, 5000)), (0x0304, sum(3, 14_200))]
        );
        assert_eq!(
            tls.key_exchange,
            BTreeMap::from([("ecdhe".into(), sum(3, 14_200)), ("rsa".into(), sum(2, 10_000))])
        );
        assert_eq!(
            tls.aead,
            BTreeMap::from([
                ("aead".into(), sum(3, 14_200)),
                ("null".into(), sum(1, 5000)),
                ("rc4".into(), sum(1, 5000))
            ])
        );
        assert_eq!((tls.forward_secrecy.yes, tls.forward_secrecy.no), (sum(3, 14_200), sum(2, 10_000)));
        assert_eq!((tls.sni_in_clear.yes, tls.sni_in_clear.no), (sum(5, 24_200), sum(1, 5000)));
        assert_eq!(tls.offered.total().hellos, sum(6, 29_200));
        assert_eq!(
            tls.offered.total().cipher_suites.of(0x1301),
            sum(5, 24_200),
            "a suite that a hello repeats counts once"
        );
        assert_eq!(tls.handshakes["failed"], sum(1, 5000));
    }

    #[test]
    fn invented_application_protocols_are_not_kept() {
        let mut flow = office().swap_remove(0);
        if let Some(tls) = flow.facts.as_mut().and_then(|facts| facts.tls.as_deref_mut()) {
            tls.offer.protocols = vec!["secret-1".to_owned(), "secret-2".to_owned(), "h2".to_owned()];
        }
        let mut tally = Tally::default();
        tally.add_flow(&flow, &[]);
        let offered = tally.tls.offered.total();
        let names: Vec<_> = offered.alpn.iter().map(|(name, sum)| (name.as_ref(), sum.flows)).collect();
        assert_eq!(names, [("h2", 1), (OTHER_PROTOCOL, 1)]);
    }

    #[test]
    fn loose_frames_count_once() {
        let counts = Counts { packets: 2, wire_bytes: 120, payload_bytes: 0 };
        let mut tally = Tally::default();
        tally.add_frames(Class::Control, "arp", counts);
        tally.add_frames(Class::Encrypted, "wlan", counts);
        tally.add_undecoded(Loss::MalformedHeader, counts);
        tally.add_loss(Loss::ClockJumps, 0);
        assert_eq!(tally.class(Class::Control), units(0, 2, 120, 0));
        assert_eq!(tally.class(Class::Encrypted), units(0, 2, 120, 0));
        assert_eq!(tally.losses, BTreeMap::from([(Loss::MalformedHeader, 2)]));
        assert_eq!(tally.undecoded, BTreeMap::from([(Loss::MalformedHeader, counts)]));
    }

    #[test]
    fn established() {
        use crate::model::Handshake::{Completed, Failed, NotSeen, OneSided, Opened, Unused};
        let cases: &[(&str, _, &[&'static str], u64, Option<bool>)] = &[
            ("completed", Completed, &[], 500, Some(true)),
            ("completed with a gap", Completed, &["gap"], 500, Some(true)),
            ("completed without data", Unused, &[], 500, Some(false)),
            ("completed, then a gap", Unused, &["gap"], 500, Some(true)),
            ("alert", Failed, &[], 500, Some(false)),
            ("hellos and no more", Opened, &[], 500, Some(false)),
            ("hellos, then a gap", Opened, &["gap"], 500, None),
            ("scan: answered by packets without payload", OneSided, &[], 0, Some(false)),
            ("one side of the link captured", OneSided, &["one_sided"], 0, None),
            ("server answered something else", OneSided, &[], 500, None),
            ("mid-stream", NotSeen, &["midstream"], 500, None),
        ];
        for (name, handshake, flags, answered, want) in cases {
            let tls = crate::model::TlsFacts { handshake: *handshake, ..Default::default() };
            let mut flow =
                testing::with_tls(testing::flow(1, 443, Protocol::TLS, Class::Encrypted, Evidence::Handshake), tls);
            flow.flags = flags.to_vec();
            flow.from_server.payload_bytes = *answered;
            assert_eq!(super::established(&flow), *want, "{name}");
        }
    }

    /// A tally of some flows, loose frames and losses.
    fn any_tally() -> impl Strategy<Value = Tally> {
        let flow = (0..office().len(), 0_u8..40, 0_u64..10_000);
        let loss = (0..Loss::ALL.len(), 0_u64..100);
        (prop::collection::vec(flow, 0..12), prop::collection::vec(loss, 0..4), "[a-c]{1,3}").prop_map(
            |(flows, losses, name)| {
                let policies: Vec<_> = Policy::builtin("bcp195").into_iter().collect();
                let mut tally = Tally::default();
                for (place, host, bytes) in flows {
                    let mut flow = office().swap_remove(place);
                    flow.key = testing::flow(host, 443, flow.protocol, flow.class, flow.evidence).key;
                    flow.from_client.wire_bytes += bytes;
                    let verdict = |policy: &Policy| policy.grade(flow.protocol, flow.facts.as_deref());
                    tally.add_flow(&flow, &policies.iter().map(verdict).collect::<Vec<_>>());
                }
                for (place, count) in losses {
                    tally.add_undecoded(
                        Loss::ALL[place],
                        Counts { packets: count, wire_bytes: 60 * count, payload_bytes: 0 },
                    );
                }
                tally.add_tunnel("gre", Counts { packets: 1, wire_bytes: 90, payload_bytes: 0 });
                tally.add_capture(CaptureEntry {
                    name,
                    first_ns: Some(5),
                    last_ns: Some(7),
                    ..CaptureEntry::default()
                });
                tally.name_policies(&policies);
                tally
            },
        )
    }

    fn merged(tallies: &[&Tally]) -> Tally {
        let mut sum = Tally::default();
        tallies.iter().for_each(|tally| sum.merge((*tally).clone()));
        sum
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn merge_commutes_and_associates(a in any_tally(), b in any_tally(), c in any_tally()) {
            let whole = merged(&[&a, &b, &c]);
            prop_assert_eq!(&merged(&[&c, &b, &a]), &whole);
            prop_assert_eq!(&merged(&[&a, &merged(&[&b, &c])]), &whole);
            prop_assert_eq!(&merged(&[&a, &Tally::default()]), &a);
        }

        #[test]
        fn reports_merge_as_their_tallies_do(a in any_tally(), b in any_tally()) {
            use crate::report::Report;
            let again = |tally: &Tally| {
                let json = serde_json::to_vec(&Report::new(tally)).unwrap();
                Report::read(std::path::Path::new("report.json"), &json).unwrap().tally().unwrap()
            };
            let of_reports = Report::new(&merged(&[&again(&a), &again(&b)]));
            let of_tallies = Report::new(&merged(&[&a, &b]));
            prop_assert_eq!(serde_json::to_string(&of_reports).unwrap(), serde_json::to_string(&of_tallies).unwrap());
        }
    }
}
