//! From a report back to the sums it was worked out from, so that reports merge exactly.
//!
//! A report is a file of the user's: it may be cut, edited, or written by another version. What is read is worked out again
//! and compared, so that a figure which does not follow from its sums is refused instead of spread.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::layout::*;
use super::{SCHEMA_VERSION, concentration, time, timeline};
use crate::grade::Level;
use crate::model::{Class, Counts, Evidence, Loss, Units, UpgradeOutcome};
use crate::tally::{
    By, ByClass, ByContent, CaptureEntry, Codes, FindingKey, Graded, Name, Offered, PolicyName, ProtocolKey, RuleText,
    Sum, Tally, TlsSums, WebSums,
};

type Restored<T> = Result<T, String>;

/// Counts above this (2^53, the largest integer that every JSON reader keeps exactly) are refused: no capture has them,
/// and sums of many reports stay far from overflow.
const LARGEST_COUNT: u64 = 1 << 53;

pub(super) fn read(json: &[u8]) -> Restored<Report> {
    let value: serde_json::Value = serde_json::from_slice(json).map_err(|error| {
        format!(
            "line {}, column {}: not JSON: {error}; a report of `tlscov scan` was expected",
            error.line(),
            error.column()
        )
    })?;
    let version = value.get("schema_version").and_then(serde_json::Value::as_str);
    let version = version.ok_or("no `schema_version`: not a report of `tlscov scan --format json`")?.to_owned();
    if !readable(&version) {
        return Err(format!("schema version {version:?}: this program reads {SCHEMA_VERSION} and earlier 1.x reports"));
    }
    check_counts(&value)?;
    let report: Report =
        serde_json::from_value(value).map_err(|error| format!("not a report of schema {version}: {error}"))?;
    if report.definition.publication.is_some() {
        return Ok(report);
    }
    let again = Report::new(&report.tally()?);
    if again.coverage != report.coverage {
        return Err("`coverage` does not follow from the sums in the report: it was edited or damaged".to_owned());
    }
    if again.timeline != report.timeline {
        return Err("`timeline` does not follow from its sums: it was edited or damaged".to_owned());
    }
    Ok(report)
}

fn readable(version: &str) -> bool {
    let parts = |version: &str| {
        let (major, minor) = version.split_once('.')?;
        Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
    };
    match (parts(version), parts(SCHEMA_VERSION)) {
        (Some((major, minor)), Some((our_major, our_minor))) => major == our_major && minor <= our_minor,
        _ => false,
    }
}

fn check_counts(value: &serde_json::Value) -> Restored<()> {
    match value {
        serde_json::Value::Number(number) if number.as_u64().is_some_and(|count| count > LARGEST_COUNT) => {
            Err(format!("the count {number} is larger than any capture can have"))
        }
        serde_json::Value::Array(values) => values.iter().try_for_each(check_counts),
        serde_json::Value::Object(values) => values.values().try_for_each(check_counts),
        _ => Ok(()),
    }
}

pub(super) fn tally(report: &Report) -> Restored<Tally> {
    if let Some(publication) = &report.definition.publication {
        return Err(format!("a published report does not merge ({publication}); merge first, then publish"));
    }
    let coverage = &report.coverage;
    let mut tally = Tally {
        attempted: coverage.attempted,
        upgraded_flows: coverage.upgraded_flows,
        retransmitted_bytes: report.quality.retransmitted_bytes,
        carried: report.quality.carried.unwrap_or_default(),
        unknown: ByContent {
            looks_random: coverage.unknown_content.looks_random,
            looks_text: coverage.unknown_content.looks_text,
            undetermined: coverage.unknown_content.undetermined,
        },
        web: WebSums {
            https: coverage.web_share.https,
            quic: coverage.web_share.quic,
            cleartext: coverage.web_share.cleartext,
        },
        tls: tls(&report.tls)?,
        server_shares: report.tls.server_shares,
        concentration: concentration::sums(&coverage.concentration, &coverage.clients),
        ..Tally::default()
    };
    for capture in &report.captures {
        tally.add_capture(entry(capture)?);
    }
    for row in &coverage.by_evidence {
        let evidence = word(&row.floor, &Evidence::ALL, |evidence| evidence.name())?;
        tally.classes[evidence] = classes(&row.totals);
    }
    for row in &coverage.hidden {
        tally.hidden.insert(owned(&row.name), row.totals);
    }
    for row in &coverage.tunnels {
        let units = Units { packets: row.packets, wire_bytes: row.wire_bytes, ..Units::default() };
        tally.tunnels.insert(owned(&row.name), units);
    }
    for row in &report.protocols {
        let class = word(&row.class, &Class::ALL, |class| class.name())?;
        let upgraded_from = row.upgraded_from.as_deref().map(owned);
        tally.protocols.insert(ProtocolKey { name: owned(&row.name), class, upgraded_from }, row.totals);
    }
    for row in &report.upgrades {
        let outcomes = tally.upgrades.entry(owned(&row.protocol)).or_default();
        outcomes[UpgradeOutcome::Offered] = row.offered;
        outcomes[UpgradeOutcome::Refused] = row.refused;
        outcomes[UpgradeOutcome::Used] = row.used;
        outcomes[UpgradeOutcome::Failed] = row.failed;
    }
    for finding in &report.findings {
        let kind = crate::grade::finding::by_id(&finding.id);
        let id = kind.ok_or_else(|| format!("finding {:?}: not known to this program", finding.id))?.id;
        for row in &finding.rows {
            let evidence = word(&row.evidence, &Evidence::ALL, |evidence| evidence.name())?;
            tally.findings.insert(FindingKey { id, protocol: owned(&row.protocol), evidence }, row.totals);
        }
    }
    for row in &report.post_quantum {
        tally.post_quantum.insert(owned(&row.protocol), row.sums);
    }
    for policy in &report.strength {
        let name =
            PolicyName { name: policy.policy.clone(), version: policy.version.clone(), date: policy.date.clone() };
        tally.strength.policies.insert(name, graded(policy)?);
    }
    let policies = tally.strength.policies.keys().cloned().collect();
    tally.timeline = timeline::sums(&report.timeline, policies)?;
    for (name, count) in &report.quality.losses {
        tally.add_loss(loss(name)?, *count);
    }
    for (name, frames) in &report.quality.undecoded {
        let counts = Counts { packets: frames.packets, wire_bytes: frames.wire_bytes, payload_bytes: 0 };
        tally.undecoded.insert(loss(name)?, counts);
    }
    for row in &report.breakdowns {
        let by = word(&row.by, &By::ALL, |by| by.name())?;
        let clients = usize::try_from(row.clients).unwrap_or(usize::MAX);
        tally.breakdowns.add(by, &row.name, classes(&row.totals), clients);
    }
    for group in &report.groups {
        let classes = &mut tally.groups.of(usize::from(group.group)).classes;
        classes[Class::Encrypted] = group.encrypted;
        classes[Class::Plaintext] = group.plaintext;
        classes[Class::Unknown] = group.unknown;
    }
    Ok(tally)
}

fn entry(capture: &Capture) -> Restored<CaptureEntry> {
    let time = |text: &Option<String>| text.as_deref().map(time::parse).transpose();
    Ok(CaptureEntry {
        name: capture.name.clone(),
        first_ns: time(&capture.first)?,
        last_ns: time(&capture.last)?,
        format: capture.format.clone(),
        link_types: capture.link_types.clone(),
        packets: capture.packets,
        wire_bytes: capture.wire_bytes,
        captured_bytes: capture.captured_bytes,
        sha256: capture.sha256.clone(),
    })
}

fn classes(totals: &ClassTotals) -> ByClass<Units> {
    let mut classes = ByClass::default();
    classes[Class::Encrypted] = totals.encrypted;
    classes[Class::Plaintext] = totals.plaintext;
    classes[Class::Unknown] = totals.unknown;
    classes[Class::Control] = totals.control;
    classes
}

fn graded(policy: &PolicyStrength) -> Restored<Graded> {
    let mut graded = Graded { in_name_only: policy.in_name_only, ..Graded::default() };
    graded.levels[Level::Strong] = policy.levels.strong;
    graded.levels[Level::Acceptable] = policy.levels.acceptable;
    graded.levels[Level::Weak] = policy.levels.weak;
    graded.levels[Level::Broken] = policy.levels.broken;
    for row in &policy.reasons {
        let rule = RuleText {
            id: row.rule.clone(),
            level: word(&row.level, &Level::ALL, |level| level.name())?,
            reason: row.reason.clone(),
            source: row.source.clone(),
        };
        graded.rules.insert(rule, row.totals);
    }
    Ok(graded)
}

fn tls(tls: &Tls) -> Restored<TlsSums> {
    Ok(TlsSums {
        versions: codes(&tls.versions)?,
        cipher_suites: codes(&tls.cipher_suites)?,
        key_exchange: named(&tls.key_exchange),
        groups: codes(&tls.groups)?,
        signature: codes(&tls.signature)?,
        aead: named(&tls.aead),
        forward_secrecy: tls.forward_secrecy,
        post_quantum: tls.post_quantum,
        alpn: named(&tls.alpn),
        resumption: tls.resumption,
        sni_in_clear: tls.sni_in_clear,
        ech_offered: tls.ech_offered,
        handshakes: named(&tls.handshakes),
        offered: Offered {
            hellos: tls.offered.hellos,
            versions: codes(&tls.offered.versions)?,
            cipher_suites: codes(&tls.offered.cipher_suites)?,
            groups: codes(&tls.offered.groups)?,
            signatures: codes(&tls.offered.signatures)?,
            alpn: named(&tls.offered.alpn),
        }
        .into(),
    })
}

fn codes(rows: &[CodeRow]) -> Restored<Codes> {
    rows.iter().map(|row| Ok((code(&row.code)?, Sum { flows: row.flows, wire_bytes: row.wire_bytes }))).collect()
}

pub(super) fn code(text: &str) -> Restored<u16> {
    let digits = text.strip_prefix("0x").ok_or_else(|| format!("code {text:?}: expected 0x and four hex digits"))?;
    u16::from_str_radix(digits, 16).map_err(|_| format!("code {text:?}: expected 0x and four hex digits"))
}

fn named(rows: &[NameRow]) -> BTreeMap<Name, Sum> {
    rows.iter().map(|row| (owned(&row.name), Sum { flows: row.flows, wire_bytes: row.wire_bytes })).collect()
}

fn owned(name: &str) -> Name {
    Cow::Owned(name.to_owned())
}

fn loss(name: &str) -> Restored<Loss> {
    word(name, &Loss::ALL, |loss| loss.name())
}

/// The word among `all` whose name is `text`.
fn word<T: Copy>(text: &str, all: &[T], name: impl Fn(&T) -> &'static str) -> Restored<T> {
    let found = all.iter().find(|word| name(word) == text).copied();
    found.ok_or_else(|| format!("{text:?} is none of {}", all.iter().map(name).collect::<Vec<_>>().join(", ")))
}
