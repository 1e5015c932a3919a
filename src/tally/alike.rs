//! Flows that are alike, as one.
//!
//! Most flows say nothing of themselves beyond what they are: probes, names, datagrams that nobody knows. And most handshakes
//! say what another one said. All of one kind add to the same sums, but for those by host and by time, and get the same
//! verdicts. So they are added to each other first, and to the sums once.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};

use foldhash::fast::RandomState;

use super::label::{is_http, server_port};
use super::tls::protocol_place;
use crate::grade::Verdict;
use crate::model::{
    CertificateFacts, Class, Counts, Evidence, Facts, FlowSummary, Handshake, SharedOffer, TlsFacts, Tunnel,
};

/// Flows by kind. Of flows that said nothing there are as many kinds as the program has names for; of handshakes, as many as
/// there is room for.
#[derive(Clone, Debug, Default)]
pub struct Alike {
    /// Where each kind stands in the list: of those that said nothing, and of handshakes.
    silent: HashMap<Kind, usize, RandomState>,
    handshakes: HashMap<(Kind, Said), usize, RandomState>,
    kinds: Vec<Several>,
    /// Room for kinds of handshakes. Unit: bytes.
    room: usize,
}

/// All that the sums, but for those by host and by time, and the policies ask of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    /// Where the name of the protocol stands: two places of one name are two kinds, which does no harm.
    protocol: usize,
    class: Class,
    evidence: Evidence,
    /// Whether its bytes look random, like text, and whether it was running already.
    flags: [bool; 3],
    /// The server's port is one of the web; asked of what is encrypted.
    web_port: bool,
    tunnel: Tunnel,
    established: Option<bool>,
}

/// What a handshake said. What the client offered is told by where it lies, and the first flow of the kind keeps it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Said {
    carrier_version: Option<u32>,
    version: Option<u16>,
    draft: Option<u8>,
    offer: usize,
    cipher: Option<u16>,
    ssl2_cipher: Option<u32>,
    group: Option<u16>,
    dh_bits: Option<u16>,
    dh_prime_digest: Option<u64>,
    signature: Option<u16>,
    /// What the registry knows the application protocol as, and whether it is HTTP.
    next_protocol: Option<(usize, bool)>,
    handshake: Handshake,
    compression: Option<u8>,
    srtp_profile: Option<u16>,
    /// What is only so or not.
    yes: [bool; 14],
    certificate: Option<Shown>,
}

/// What a certificate said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Shown {
    key: ShortText,
    signature: ShortText,
    self_signed: bool,
    name_matches: Option<bool>,
    /// When the flow began, it was not valid yet, or no more. A flow without a time tells nothing of that.
    invalid: [bool; 2],
}

/// A text of at most so many bytes, none of them zero, with zeros behind it.
type ShortText = [u8; 24];

/// The first flow of a kind, amounting to what all of them do.
#[derive(Clone, Debug)]
pub(super) struct Several {
    pub(super) flows: u64,
    pub(super) sum: FlowSummary,
    pub(super) established: Option<bool>,
    pub(super) verdicts: Vec<Verdict>,
}

/// Memory of a kind beside what its facts take. Unit: bytes.
const KIND_BYTES: usize = 2 * (size_of::<((Kind, Said), usize)>() + size_of::<Several>());

impl Alike {
    /// Without flows; kinds of handshakes get `room` bytes.
    #[must_use]
    pub fn within(room: usize) -> Self {
        Self { room, ..Self::default() }
    }

    /// Adds a closed flow to those of its kind, and gives their verdicts, for which the first was graded. `None` when it is of no
    /// kind, or of one that there is no room for.
    pub(super) fn add(
        &mut self,
        flow: &FlowSummary,
        established: Option<bool>,
        grade: impl FnOnce() -> Vec<Verdict>,
    ) -> Option<&[Verdict]> {
        let kind = Kind::of(flow, established)?;
        let next = self.kinds.len();
        let place = match flow.facts.as_deref() {
            None => *self.silent.entry(kind).or_insert(next),
            Some(facts) => {
                let handshake = (kind, Said::of(facts, flow.first_ns)?);
                match self.handshakes.get(&handshake) {
                    Some(place) => *place,
                    None => {
                        self.room = self.room.checked_sub(KIND_BYTES + facts.memory())?;
                        self.handshakes.insert(handshake, next);
                        next
                    }
                }
            }
        };
        if place == next {
            self.kinds.push(Several { flows: 0, sum: without_amounts(flow), established, verdicts: grade() });
        }
        let several = &mut self.kinds[place];
        several.add(flow);
        Some(&several.verdicts)
    }

    /// The sum of each kind, as a flow.
    pub(super) fn sums(self) -> impl Iterator<Item = Several> {
        self.kinds.into_iter()
    }
}

impl Several {
    fn add(&mut self, flow: &FlowSummary) {
        self.flows += 1;
        self.sum.from_client.add(flow.from_client);
        self.sum.from_server.add(flow.from_server);
        self.sum.retransmitted_bytes += flow.retransmitted_bytes;
    }
}

/// What the flows of a kind have in common.
fn without_amounts(flow: &FlowSummary) -> FlowSummary {
    let mut common = FlowSummary {
        from_client: Counts::default(),
        from_server: Counts::default(),
        retransmitted_bytes: 0,
        openings: None,
        parts: Vec::new(),
        ..flow.clone()
    };
    if let Some(facts) = common.facts.as_deref_mut() {
        facts.trace = None;
        let name = facts.tls.as_deref_mut().and_then(|tls| tls.server_name.as_mut());
        name.into_iter().for_each(|name| *name = Box::default());
    }
    common
}

/// Of what tells most kinds from each other: all but what has few values. What a handshake said is hashed whole, because who
/// makes traffic chooses it.
impl Hash for Kind {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [random, text, midstream] = self.flags.map(u64::from);
        let small = u64::from(self.tunnel.0) << 32 | (self.evidence as u64) << 16 | (self.class as u64) << 8;
        state.write_u64(self.protocol as u64 ^ (small | random << 2 | text << 1 | midstream).rotate_right(24));
    }
}

impl Kind {
    /// `None` for flows that stand for themselves.
    fn of(flow: &FlowSummary, established: Option<bool>) -> Option<Self> {
        let encrypted = flow.class == Class::Encrypted;
        let stands_alone = flow.upgraded_from.is_some()
            || flow.readable != Counts::default()
            || (flow.facts.is_some() && !encrypted)
            || flow.tunnels[1..] != [Tunnel::default(); 5];
        let mut flags = [false; 3];
        for flag in &flow.flags {
            let looks = ["looks_random", "looks_text", "midstream"].into_iter().zip(&mut flags);
            looks.filter(|(word, _)| word == flag).for_each(|(_, set)| *set = true);
        }
        (!stands_alone).then_some(Self {
            protocol: std::ptr::from_ref(flow.protocol.0).addr(),
            class: flow.class,
            evidence: flow.evidence,
            flags,
            web_port: encrypted && matches!(server_port(flow), 443 | 8443),
            tunnel: flow.tunnels[0],
            established,
        })
    }
}

impl Said {
    /// What `facts` say of a flow that began at `first_ns`; `None` when they say more than a handshake does.
    fn of(facts: &Facts, first_ns: i64) -> Option<Self> {
        // Each field is named, so that a new one is either part of the kind or left out on purpose.
        let Facts {
            tls: Some(tls),
            ssh: None,
            algorithms: None,
            upgrade: None,
            announced: _,
            password_in_clear: None,
            offer_overwritten: false,
            trace: _,
            carrier_version,
        } = facts
        else {
            return None;
        };
        let TlsFacts {
            version,
            draft,
            ref offer,
            cipher,
            ssl2_cipher,
            group,
            dh_bits,
            dh_prime_digest,
            signature,
            ref server_name,
            ref next_protocol,
            ja3s: _,
            resumed,
            psk_only,
            hello_retry,
            handshake,
            encrypt_then_mac,
            extended_master_secret,
            secure_renegotiation,
            truncated_hmac,
            heartbeat,
            compression,
            ech_offered,
            ech_real,
            fallback_scsv,
            downgrade_sentinel,
            srtp_profile,
            client_certificate_requested,
            // Looked at flow by flow.
            server_share_digest: _,
            server_random: _,
            ref certificate,
        } = **tls;
        Some(Self {
            carrier_version: *carrier_version,
            version,
            draft,
            offer: SharedOffer::place(offer),
            cipher,
            ssl2_cipher,
            group,
            dh_bits,
            dh_prime_digest,
            signature,
            next_protocol: next_protocol.as_deref().map(|name| (protocol_place(name), is_http(name))),
            handshake,
            compression,
            srtp_profile,
            yes: [
                server_name.is_some(),
                resumed,
                psk_only,
                hello_retry,
                encrypt_then_mac,
                extended_master_secret,
                secure_renegotiation,
                truncated_hmac,
                heartbeat,
                ech_offered,
                ech_real,
                fallback_scsv,
                downgrade_sentinel,
                client_certificate_requested,
            ],
            certificate: match certificate {
                Some(certificate) => Some(Shown::of(certificate, first_ns)?),
                None => None,
            },
        })
    }
}

impl Shown {
    /// `None` for algorithms with long names: those that nobody knows, written as numbers.
    fn of(certificate: &CertificateFacts, first_ns: i64) -> Option<Self> {
        let CertificateFacts { key, signature, not_before, not_after, self_signed, name_matches } = certificate;
        let seconds = first_ns.div_euclid(1_000_000_000);
        Some(Self {
            key: short(key)?,
            signature: short(signature)?,
            self_signed: *self_signed,
            name_matches: *name_matches,
            invalid: [seconds > 0 && seconds < *not_before, seconds > *not_after],
        })
    }
}

fn short(text: &str) -> Option<ShortText> {
    let mut short = ShortText::default();
    short.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
    (!text.contains('\0')).then_some(short)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::super::Tally;
    use super::super::testing::{self, office, tls13, with_tls};
    use super::*;
    use crate::grade::Policy;
    use crate::model::{Offer, Protocol};

    /// Flows with one answer each that another has not: all that a policy, a finding or a sum may ask of a handshake.
    fn handshakes() -> Vec<FlowSummary> {
        type Change = fn(&mut FlowSummary, &mut TlsFacts);
        let expired = CertificateFacts {
            key: "rsa-1024".into(),
            signature: "rsa-sha1".into(),
            not_before: 10,
            not_after: 20,
            self_signed: false,
            name_matches: Some(true),
        };
        let changes: &[Change] = &[
            |_, _| {},
            |_, tls| tls.version = Some(0x0303),
            |_, tls| tls.version = Some(0x0302),
            |_, tls| tls.version = None,
            |_, tls| tls.draft = Some(28),
            |_, tls| tls.offer.groups.push(0x11ec),
            |_, tls| tls.offer.protocols = vec!["h2".to_owned()],
            |_, tls| tls.offer = Offer::default().into(),
            |_, tls| tls.cipher = Some(0x0005),
            |_, tls| tls.cipher = None,
            |_, tls| tls.ssl2_cipher = Some(0x01_0080),
            |_, tls| tls.group = Some(0x11ec),
            |_, tls| tls.group = None,
            |_, tls| tls.dh_bits = Some(1024),
            |_, tls| (tls.dh_bits, tls.dh_prime_digest) = (Some(1024), Some(0x3f35_a3f5_f6c4_376a)),
            |_, tls| tls.signature = Some(0x0201),
            |_, tls| tls.server_name = None,
            |_, tls| tls.server_name = Some("example.com".into()),
            |_, tls| tls.next_protocol = Some("h2".into()),
            |_, tls| tls.next_protocol = Some("imap".into()),
            |_, tls| tls.next_protocol = Some("http/7".into()),
            |_, tls| tls.next_protocol = Some("made up".into()),
            |_, tls| tls.resumed = true,
            |_, tls| tls.psk_only = true,
            |_, tls| tls.hello_retry = true,
            |_, tls| tls.handshake = Handshake::Opened,
            |_, tls| tls.handshake = Handshake::OneSided,
            |flow, tls| {
                tls.handshake = Handshake::OneSided;
                flow.from_server.payload_bytes = 0;
            },
            |flow, tls| {
                tls.handshake = Handshake::OneSided;
                flow.from_server = Counts::default();
            },
            |flow, tls| {
                tls.handshake = Handshake::Opened;
                flow.flags.push("gap");
            },
            |_, tls| tls.handshake = Handshake::Failed,
            |_, tls| tls.encrypt_then_mac = true,
            |_, tls| tls.extended_master_secret = true,
            |_, tls| (tls.version, tls.secure_renegotiation) = (Some(0x0303), true),
            |_, tls| tls.truncated_hmac = true,
            |_, tls| tls.heartbeat = true,
            |_, tls| tls.compression = Some(1),
            |_, tls| tls.ech_offered = true,
            |_, tls| (tls.ech_offered, tls.ech_real) = (true, true),
            |_, tls| tls.fallback_scsv = true,
            |_, tls| tls.downgrade_sentinel = true,
            |_, tls| tls.srtp_profile = Some(5),
            |_, tls| tls.client_certificate_requested = true,
            |_, tls| (tls.server_share_digest, tls.server_random) = (Some(7), Some(8)),
            |_, tls| (tls.server_share_digest, tls.server_random) = (Some(7), Some(9)),
            |flow, _| flow.protocol = Protocol::QUIC,
            |flow, _| flow.evidence = Evidence::OneSided,
            |flow, _| flow.flags.push("midstream"),
            |flow, _| flow.key = testing::flow(1, 993, flow.protocol, flow.class, flow.evidence).key,
            |flow, _| flow.upgraded_from = Some(Protocol(&"smtp")),
            |flow, _| flow.readable = flow.from_server,
        ];
        let one = |change: &dyn Fn(&mut FlowSummary, &mut TlsFacts)| {
            let mut flow = office().swap_remove(0);
            let mut tls = tls13();
            change(&mut flow, &mut tls);
            with_tls(flow, tls)
        };
        let mut flows: Vec<_> = changes.iter().map(|change| one(change)).collect();
        for (seconds, self_signed, key) in
            [(15, false, "rsa-1024"), (9, false, "rsa-1024"), (21, false, "rsa-1024"), (15, true, "ec-p256")]
        {
            flows.push(one(&|flow, tls| {
                flow.first_ns = seconds * 1_000_000_000;
                tls.version = Some(0x0303);
                tls.certificate = Some(Box::new(CertificateFacts { self_signed, key: key.into(), ..expired.clone() }));
            }));
        }
        flows.push(one(&|_, tls| {
            tls.certificate = Some(Box::new(CertificateFacts { name_matches: Some(false), ..expired.clone() }));
        }));
        // Names that are equal as far as a kind holds them.
        for key in ["rsa-0000000000000000000000004096", "rsa-0000000000000000000000000512"] {
            flows.push(one(&|_, tls| {
                tls.version = Some(0x0303);
                tls.certificate = Some(Box::new(CertificateFacts { key: key.into(), ..expired.clone() }));
            }));
        }
        flows
    }

    #[test]
    fn flows_that_are_alike_add_up_as_each_would_alone() {
        let policies: Vec<_> = crate::grade::builtin_names().into_iter().filter_map(Policy::builtin).collect();
        // Those of the same kind share what they hold, as memory of what handshakes repeat makes them do.
        let patterns: Vec<_> = office().into_iter().chain(handshakes()).collect();
        for room in [0, 6 << 10, 1 << 20] {
            let (mut apart, mut together, mut alike) = (Tally::default(), Tally::default(), Alike::within(room));
            let (mut flows, mut graded) = (0, Cell::new(0));
            for turn in 0..30_u8 {
                for pattern in &patterns {
                    let mut flow = pattern.clone();
                    flow.from_server.wire_bytes += u64::from(turn);
                    flow.retransmitted_bytes = u64::from(turn % 3);
                    flow.tunnels[usize::from(turn % 2)] = Tunnel(turn % 5);
                    let encrypted = policies.iter().filter(|_| flow.class == Class::Encrypted);
                    let verdicts: Vec<_> =
                        encrypted.map(|policy| policy.grade(flow.protocol, flow.facts.as_deref())).collect();
                    apart.add_flow(&flow, &verdicts);
                    let given = together.add_flow_among(&mut alike, &flow, || {
                        graded.set(graded.get() + 1);
                        verdicts.clone()
                    });
                    assert_eq!(*given, *verdicts);
                    flows += 1;
                }
            }
            together.add_alike(alike);
            assert_eq!(together, apart, "{room}");
            // Those in two tunnels, one in two, stand for themselves.
            let most = if room < 1 << 20 { flows } else { flows / 3 * 2 };
            assert!(*graded.get_mut() < most, "{graded:?} of {flows} were graded");
        }
    }
}
