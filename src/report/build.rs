//! From sums to a report.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::definition::{Definition, PolicyVersion};
use super::layout::*;
use super::share::{LEAST_GROUPS, Unit, bounds, by_unit, ratio, share};
use super::{SCHEMA_VERSION, code, concentration, findings, time, timeline};
use crate::grade::{Level, registry};
use crate::model::{Class, Evidence, Loss, Units, UpgradeOutcome};
use crate::tally::{By, ByClass, CarriedFrames, Codes, Graded, Name, PolicyName, Sum, Tally};

pub(super) fn report(tally: &Tally) -> Report {
    let coverage = coverage(tally);
    let encrypted = coverage.totals.classes.encrypted;
    let policies = tally.strength.policies.iter();
    let strength: Vec<_> = policies.map(|(name, graded)| policy(name, graded, &encrypted)).collect();
    let versions = tally.strength.policies.keys();
    Report {
        schema_version: SCHEMA_VERSION.to_owned(),
        tool: tool(),
        definition: Definition::new(versions.map(version).collect()),
        captures: captures(tally),
        coverage,
        strength,
        tls: tls(tally),
        post_quantum: post_quantum(tally),
        protocols: protocols(tally),
        upgrades: upgrades(tally),
        findings: findings::of(tally),
        timeline: timeline::rows(&tally.timeline),
        breakdowns: breakdowns(tally),
        quality: quality(tally),
        groups: groups(tally),
    }
}

fn version(policy: &PolicyName) -> PolicyVersion {
    PolicyVersion { name: policy.name.clone(), version: policy.version.clone(), date: policy.date.clone() }
}

fn tool() -> Tool {
    let registry = |name: &str| Registry { name: name.to_owned(), date: registry::REGISTRY_DATE.to_owned() };
    Tool {
        name: env!("CARGO_PKG_NAME").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        registries: vec![registry("IANA TLS Cipher Suites"), registry("IANA TLS Supported Groups")],
    }
}

fn captures(tally: &Tally) -> Vec<Capture> {
    let entries = tally.captures.iter();
    entries
        .map(|entry| Capture {
            name: entry.name.clone(),
            format: entry.format.clone(),
            link_types: entry.link_types.clone(),
            packets: entry.packets,
            wire_bytes: entry.wire_bytes,
            captured_bytes: entry.captured_bytes,
            first: entry.first_ns.map(time::format),
            last: entry.last_ns.map(time::format),
            sha256: entry.sha256.clone(),
        })
        .collect()
}

fn coverage(tally: &Tally) -> Coverage {
    let classes = class_totals(&tally.classes);
    let web = &tally.web;
    let web_ratio = |unit: Unit| {
        let [https, quic, cleartext] = [&web.https, &web.quic, &web.cleartext].map(unit);
        ratio(https + quic, https + quic + cleartext)
    };
    let by_unit = by_unit(|unit| share(&classes, &tally.groups, unit));
    let whole = [classes.encrypted, classes.plaintext, classes.unknown].iter().map(|units| units.wire_bytes).sum();
    Coverage {
        unit: "wire_bytes".to_owned(),
        encrypted_share: by_unit.wire_bytes.clone(),
        by_evidence: by_evidence(tally, &classes),
        concentration: concentration::largest(&tally.concentration, whole),
        clients: concentration::clients(&tally.concentration, by_unit.wire_bytes.value),
        by_unit,
        web_share: WebShare {
            wire_bytes: web_ratio(|units| units.wire_bytes),
            flows: web_ratio(|units| units.flows),
            https: web.https,
            quic: web.quic,
            cleartext: web.cleartext,
        },
        totals: totals(tally, classes),
        attempted: tally.attempted,
        hidden: tally
            .hidden
            .iter()
            .map(|(name, totals)| HiddenRow { name: name.to_string(), totals: *totals })
            .collect(),
        upgraded_flows: tally.upgraded_flows,
        unknown_content: UnknownContent {
            looks_random: tally.unknown.looks_random,
            looks_text: tally.unknown.looks_text,
            undetermined: tally.unknown.undetermined,
        },
        tunnels: tally
            .tunnels
            .iter()
            .map(|(name, units)| TunnelRow {
                name: name.to_string(),
                packets: units.packets,
                wire_bytes: units.wire_bytes,
            })
            .collect(),
    }
}

fn totals(tally: &Tally, classes: ClassTotals) -> Totals {
    let mut undecoded = Frames::default();
    for counts in tally.undecoded.values() {
        undecoded.packets += counts.packets;
        undecoded.wire_bytes += counts.wire_bytes;
    }
    let mut all = Units { packets: undecoded.packets, wire_bytes: undecoded.wire_bytes, ..Units::default() };
    for class in [&classes.encrypted, &classes.plaintext, &classes.unknown, &classes.control] {
        all.merge(class);
    }
    Totals { classes, undecoded, all }
}

/// Totals by class over all evidence.
fn class_totals(classes: &crate::tally::ByEvidence<ByClass<Units>>) -> ClassTotals {
    let mut totals = ClassTotals::default();
    for evidence in Evidence::ALL {
        add_classes(&mut totals, &named_classes(&classes[evidence]));
    }
    totals
}

fn named_classes(classes: &ByClass<Units>) -> ClassTotals {
    ClassTotals {
        encrypted: classes[Class::Encrypted],
        plaintext: classes[Class::Plaintext],
        unknown: classes[Class::Unknown],
        control: classes[Class::Control],
    }
}

fn add_classes(totals: &mut ClassTotals, more: &ClassTotals) {
    totals.encrypted.merge(&more.encrypted);
    totals.plaintext.merge(&more.plaintext);
    totals.unknown.merge(&more.unknown);
    totals.control.merge(&more.control);
}

/// The shares when only evidence from a floor upwards is believed: what is weaker counts as unknown.
fn by_evidence(tally: &Tally, classes: &ClassTotals) -> Vec<EvidenceRow> {
    let mut everything = Units::default();
    for class in [&classes.encrypted, &classes.plaintext, &classes.unknown] {
        everything.merge(class);
    }
    let mut believed = ClassTotals::default();
    Evidence::ALL
        .iter()
        .map(|evidence| {
            let totals = named_classes(&tally.classes[*evidence]);
            believed.encrypted.merge(&totals.encrypted);
            believed.plaintext.merge(&totals.plaintext);
            let unknown = less(&less(&everything, &believed.encrypted), &believed.plaintext);
            let at_floor = ClassTotals { unknown, ..believed };
            EvidenceRow {
                floor: evidence.name().to_owned(),
                encrypted_share: by_unit(|unit| bounds(&at_floor, unit)),
                totals,
            }
        })
        .collect()
}

/// `whole` without `part`.
fn less(whole: &Units, part: &Units) -> Units {
    Units {
        flows: whole.flows.saturating_sub(part.flows),
        packets: whole.packets.saturating_sub(part.packets),
        wire_bytes: whole.wire_bytes.saturating_sub(part.wire_bytes),
        payload_bytes: whole.payload_bytes.saturating_sub(part.payload_bytes),
    }
}

fn policy(name: &PolicyName, graded: &Graded, encrypted: &Units) -> PolicyStrength {
    let [strong, acceptable, weak, broken] =
        [Level::Strong, Level::Acceptable, Level::Weak, Level::Broken].map(|level| graded.levels[level]);
    let mut all = Units::default();
    let mut bad = Units::default();
    for level in [strong, acceptable, weak, broken] {
        all.merge(&level);
    }
    for level in [weak, broken] {
        bad.merge(&level);
    }
    let mut reasons: Vec<_> = graded
        .rules
        .iter()
        .map(|(rule, totals)| Reason {
            rule: rule.id.clone(),
            level: rule.level.name().to_owned(),
            reason: rule.reason.clone(),
            source: rule.source.clone(),
            totals: *totals,
        })
        .collect();
    // A stable sort: rules with equal totals stay in the order of their identifiers.
    reasons.sort_by_key(|reason| {
        let place = Level::ALL.iter().position(|level| level.name() == reason.level);
        // Notes (rules without a level) last, the worst level first.
        let worst_first = place.map(|place| (place + 1) % Level::ALL.len());
        std::cmp::Reverse((worst_first, reason.totals.flows, reason.totals.wire_bytes))
    });
    PolicyStrength {
        policy: name.name.clone(),
        version: name.version.clone(),
        date: name.date.clone(),
        levels: Levels { strong, acceptable, weak, broken, ungraded: less(encrypted, &all) },
        weak_share: by_unit(|unit| ratio(unit(&bad), unit(&all))),
        graded_share: by_unit(|unit| ratio(unit(&all), unit(encrypted))),
        in_name_only: graded.in_name_only,
        reasons,
    }
}

fn post_quantum(tally: &Tally) -> Vec<PostQuantumRow> {
    let rows = tally.post_quantum.iter();
    rows.map(|(protocol, sums)| PostQuantumRow { protocol: protocol.to_string(), sums: *sums }).collect()
}

fn tls(tally: &Tally) -> Tls {
    let sums = &tally.tls;
    let offered = sums.offered.total();
    Tls {
        versions: codes(&sums.versions, code::long_version),
        cipher_suites: codes(&sums.cipher_suites, code::suite),
        key_exchange: named(&sums.key_exchange),
        groups: codes(&sums.groups, code::group),
        signature: codes(&sums.signature, code::signature),
        aead: named(&sums.aead),
        forward_secrecy: sums.forward_secrecy,
        post_quantum: sums.post_quantum,
        alpn: named(&sums.alpn),
        resumption: sums.resumption,
        sni_in_clear: sums.sni_in_clear,
        ech_offered: sums.ech_offered,
        server_shares: tally.server_shares,
        handshakes: named(&sums.handshakes),
        offered: OfferedRows {
            hellos: offered.hellos,
            versions: codes(&offered.versions, code::long_version),
            cipher_suites: codes(&offered.cipher_suites, code::suite),
            groups: codes(&offered.groups, code::group),
            signatures: codes(&offered.signatures, code::signature),
            alpn: named(&offered.alpn),
        },
    }
}

/// Rows in order of flows, then bytes, then code point.
fn codes(sums: &Codes, name: impl Fn(u16) -> Cow<'static, str>) -> Vec<CodeRow> {
    let mut rows: Vec<_> = sums
        .iter()
        .map(|(code, sum)| CodeRow {
            name: name(code).into_owned(),
            code: format!("0x{code:04x}"),
            flows: sum.flows,
            wire_bytes: sum.wire_bytes,
        })
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse((row.flows, row.wire_bytes)));
    rows
}

/// Rows in order of flows, then bytes, then name.
fn named(sums: &BTreeMap<Name, Sum>) -> Vec<NameRow> {
    let mut rows: Vec<_> = sums
        .iter()
        .map(|(name, sum)| NameRow { name: name.to_string(), flows: sum.flows, wire_bytes: sum.wire_bytes })
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse((row.flows, row.wire_bytes)));
    rows
}

fn protocols(tally: &Tally) -> Vec<ProtocolRow> {
    let mut rows: Vec<_> = tally
        .protocols
        .iter()
        .map(|(key, totals)| ProtocolRow {
            name: key.name.to_string(),
            class: key.class.name().to_owned(),
            upgraded_from: key.upgraded_from.as_ref().map(ToString::to_string),
            totals: *totals,
        })
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.totals.wire_bytes));
    rows
}

/// Rows by kind, the most wire bytes first.
fn breakdowns(tally: &Tally) -> Vec<BreakdownRow> {
    let rows = tally.breakdowns.iter().map(|(by, name, cell)| {
        let totals = named_classes(&cell.classes);
        let encrypted_share = bounds(&totals, |units| units.wire_bytes);
        let clients = cell.clients as u64;
        BreakdownRow { by: by.name().to_owned(), name: name.to_owned(), clients, encrypted_share, totals }
    });
    let mut rows: Vec<_> = rows.collect();
    let bytes = |totals: &ClassTotals| {
        [totals.encrypted, totals.plaintext, totals.unknown, totals.control]
            .iter()
            .map(|units| units.wire_bytes)
            .sum::<u64>()
    };
    let place = |by: &str| By::ALL.iter().position(|kind| kind.name() == by);
    rows.sort_by(|one, other| {
        let key = |row: &BreakdownRow| (place(&row.by), std::cmp::Reverse(bytes(&row.totals)));
        key(one).cmp(&key(other)).then_with(|| one.name.cmp(&other.name))
    });
    rows
}

fn upgrades(tally: &Tally) -> Vec<UpgradeRow> {
    let rows = tally.upgrades.iter();
    rows.map(|(protocol, outcomes)| UpgradeRow {
        protocol: protocol.to_string(),
        offered: outcomes[UpgradeOutcome::Offered],
        refused: outcomes[UpgradeOutcome::Refused],
        used: outcomes[UpgradeOutcome::Used],
        failed: outcomes[UpgradeOutcome::Failed],
    })
    .collect()
}

fn quality(tally: &Tally) -> Quality {
    let count = |loss: &Loss| tally.losses.get(loss).copied().unwrap_or_default();
    Quality {
        partial: count(&Loss::Interrupted) > 0 || count(&Loss::Unfinished) > 0,
        losses: Loss::ALL.iter().map(|loss| (loss.name().to_owned(), count(loss))).collect(),
        undecoded: tally
            .undecoded
            .iter()
            .map(|(loss, counts)| {
                (loss.name().to_owned(), Frames { packets: counts.packets, wire_bytes: counts.wire_bytes })
            })
            .collect(),
        retransmitted_bytes: tally.retransmitted_bytes,
        carried: (tally.carried != CarriedFrames::default()).then_some(tally.carried),
    }
}

fn groups(tally: &Tally) -> Vec<Group> {
    let groups = (0..).zip(tally.groups.iter());
    groups
        .map(|(group, sums)| {
            let [encrypted, plaintext, unknown] =
                [Class::Encrypted, Class::Plaintext, Class::Unknown].map(|class| sums.classes[class]);
            Group { group, encrypted, plaintext, unknown }
        })
        .filter(|group| [group.encrypted, group.plaintext, group.unknown] != [Units::default(); 3])
        .collect()
}

/// The interval's condition is written out in the definition block.
const _: () = assert!(LEAST_GROUPS == 30);
