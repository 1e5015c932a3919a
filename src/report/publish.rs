//! Reports for publication: small cells folded, figures rounded, and both said in the definition.
//!
//! Folding and rounding lose what a merge needs, so a published report can be read, rendered and compared, and is refused by
//! `merge`: reports are merged first and published last.

use std::collections::BTreeMap;

use serde_json::Value;

use super::layout::*;
use super::share::bounds;
use crate::model::Units;
use crate::tally::{By, OTHER, ServerShares};

/// `report` with the cells of breakdowns that fewer than `clients` clients are behind folded into `other`.
#[must_use]
pub fn fold(mut report: Report, clients: u64) -> Report {
    fold_breakdowns(&mut report, clients);
    report.definition.publication = Some(format!(
        "breakdown rows of fewer than {clients} clients, and as many more as it takes to hide which one that was, are folded \
         into {OTHER}; such a report does not merge"
    ));
    report
}

/// `report` for publication, with `least` as the smallest number of clients or flows behind a row.
///
/// # Errors
/// Never for a report of this program.
pub fn publish(mut report: Report, least: u64) -> Result<Report, serde_json::Error> {
    fold_breakdowns(&mut report, least);
    for (number, capture) in (1..).zip(&mut report.captures) {
        capture.name = format!("capture {number}");
        capture.sha256 = None;
        for time in [&mut capture.first, &mut capture.last].into_iter().flatten() {
            *time = format!("{}T00:00:00Z", time.split('T').next().unwrap_or_default());
        }
    }
    let tls = &mut report.tls;
    let offered = &mut tls.offered;
    for rows in [
        &mut tls.versions,
        &mut tls.cipher_suites,
        &mut tls.groups,
        &mut tls.signature,
        &mut offered.versions,
        &mut offered.cipher_suites,
        &mut offered.groups,
        &mut offered.signatures,
    ] {
        let other = |flows, wire_bytes| CodeRow { name: OTHER.to_owned(), code: OTHER.to_owned(), flows, wire_bytes };
        fold_rows(rows, least, |row| (row.flows, row.wire_bytes), other);
    }
    for rows in [&mut tls.key_exchange, &mut tls.aead, &mut tls.alpn, &mut tls.handshakes, &mut offered.alpn] {
        let other = |flows, wire_bytes| NameRow { name: OTHER.to_owned(), flows, wire_bytes };
        fold_rows(rows, least, |row| (row.flows, row.wire_bytes), other);
    }
    fold_protocols(&mut report.protocols, least);
    for policy in &mut report.strength {
        policy.reasons.retain(|reason| reason.totals.flows >= least);
    }
    report.findings.retain(|finding| finding.totals.flows >= least);
    for finding in &mut report.findings {
        finding.rows.retain(|row| row.totals.flows >= least);
    }
    report.coverage.hidden.retain(|row| row.totals.flows >= least);
    let small = |flows: u64| flows > 0 && flows < least;
    report.post_quantum.retain(|row| {
        let sums = &row.sums;
        ![sums.negotiated, sums.after_retry, sums.offered_only, sums.classical, sums.unknown]
            .iter()
            .any(|sum| small(sum.flows))
    });
    let shares = &mut report.tls.server_shares;
    if small(shares.flows) || small(shares.repeated_flows) {
        *shares = ServerShares::default();
    }
    report.upgrades.retain(|row| {
        [row.offered, row.refused, row.used, row.failed].iter().all(|units| units.flows == 0 || units.flows >= least)
    });
    report.timeline.intervals.retain(|row| flows(&[row.encrypted, row.plaintext, row.unknown, row.control]) >= least);
    let coverage = &mut report.coverage;
    coverage.concentration.flows.wire_bytes.clear();
    coverage.concentration.hosts.wire_bytes.clear();
    coverage.clients.by_share.clear();
    if coverage.clients.clients < least {
        coverage.clients.median = None;
        coverage.clients.reason = Some(format!("fewer than {least} clients"));
    }
    coverage.clients.clients = three_digits(coverage.clients.clients);
    report.groups.clear();
    let mut value = serde_json::to_value(&report)?;
    round(&mut value, "");
    let mut published: Report = serde_json::from_value(value)?;
    published.definition.publication = Some(format!(
        "breakdown rows of fewer than {least} clients (and as many more as it takes to hide which one that was) and other rows of \
         fewer than {least} flows are folded into {OTHER}; the median over fewer than {least} clients, the clients by share, the sizes of \
         the largest flows and hosts, reasons, findings, upgrades, post-quantum rows, public values, what is hidden, and intervals of fewer than {least} flows are left out; counts are rounded to 3 significant digits \
         and shares to 3 decimals; captures have no names, and of their times only the day; groups are left out, and the \
         report does not merge"
    ));
    Ok(published)
}

fn flows(units: &[Units]) -> u64 {
    units.iter().map(|units| units.flows).sum()
}

fn fold_breakdowns(report: &mut Report, least: u64) {
    for by in By::ALL.map(By::name) {
        let (mut rows, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut report.breakdowns).into_iter().partition(|row| row.by == by);
        report.breakdowns = rest;
        let mut small: Vec<_> = rows.extract_if(.., |row| row.clients < least || row.name == OTHER).collect();
        // One row alone under another name hides nothing: the next smallest goes with it.
        if let [one] = small.as_slice()
            && one.name != OTHER
            && let Some(place) = (0..rows.len()).min_by_key(|place| (rows[*place].clients, std::cmp::Reverse(*place)))
        {
            small.push(rows.remove(place));
        }
        if !small.is_empty() {
            rows.push(folded(by, &small));
        }
        report.breakdowns.extend(rows);
    }
}

/// Rows as one. Their clients may be the same ones, so it has as many as the row with most.
fn folded(by: &str, small: &[BreakdownRow]) -> BreakdownRow {
    let mut other = BreakdownRow { by: by.to_owned(), name: OTHER.to_owned(), ..BreakdownRow::default() };
    for row in small {
        other.clients = other.clients.max(row.clients);
        add_classes(&mut other.totals, &row.totals);
    }
    other.encrypted_share = bounds(&other.totals, |units| units.wire_bytes);
    other
}

fn add_classes(totals: &mut ClassTotals, more: &ClassTotals) {
    totals.encrypted.merge(&more.encrypted);
    totals.plaintext.merge(&more.plaintext);
    totals.unknown.merge(&more.unknown);
    totals.control.merge(&more.control);
}

fn fold_rows<R>(rows: &mut Vec<R>, least: u64, of: impl Fn(&R) -> (u64, u64), other: impl Fn(u64, u64) -> R) {
    let (mut flows, mut wire_bytes) = (0, 0);
    rows.retain(|row| {
        let (more_flows, more_bytes) = of(row);
        if more_flows < least {
            flows += more_flows;
            wire_bytes += more_bytes;
        }
        more_flows >= least
    });
    if flows > 0 {
        rows.push(other(flows, wire_bytes));
    }
}

fn fold_protocols(rows: &mut Vec<ProtocolRow>, least: u64) {
    let mut folded: BTreeMap<String, Units> = BTreeMap::new();
    rows.retain(|row| {
        let keep = row.totals.flows >= least || row.class == "control";
        if !keep {
            folded.entry(row.class.clone()).or_default().merge(&row.totals);
        }
        keep
    });
    rows.extend(folded.into_iter().map(|(class, totals)| ProtocolRow {
        name: OTHER.to_owned(),
        class,
        upgraded_from: None,
        totals,
    }));
}

/// Numbers that describe and count nothing.
const EXACT: [&str; 5] = ["link_types", "interval_seconds", "asked_seconds", "empty_before", "clients"];

fn round(value: &mut Value, key: &str) {
    match value {
        Value::Number(number) if !EXACT.contains(&key) => {
            if let Some(count) = number.as_u64() {
                *value = three_digits(count).into();
            } else if let Some(share) = number.as_f64() {
                *value = ((share * 1e3).round() / 1e3).into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| round(item, key)),
        Value::Object(fields) => fields.iter_mut().for_each(|(key, item)| round(item, key)),
        _ => {}
    }
}

/// `count` rounded half up to three significant digits.
fn three_digits(count: u64) -> u64 {
    let scale = 10_u64.pow(count.checked_ilog10().unwrap_or_default().saturating_sub(2));
    count.saturating_add(scale / 2) / scale * scale
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;
    use crate::tally::testing::{office, office_tally};
    use crate::tally::{CaptureEntry, Plan};

    fn report() -> Report {
        let mut tally = office_tally();
        let plan = Plan { by_service: true, ..Plan::default() };
        office().iter().for_each(|flow| tally.breakdowns.add_flow(flow, &plan));
        tally.breakdowns.end_capture();
        tally.add_capture(CaptureEntry {
            name: "ward 7 of the hospital.pcap".to_owned(),
            first_ns: Some(1_533_081_600_000_001_000),
            sha256: Some("00".to_owned()),
            ..CaptureEntry::default()
        });
        Report::new(&tally)
    }

    #[test]
    fn three_significant_digits() {
        let cases = [(0, 0), (7, 7), (999, 999), (1_004, 1_000), (1_005, 1_010), (99_950, 100_000), (123_456, 123_000)];
        for (count, want) in cases {
            assert_eq!(three_digits(count), want, "{count}");
        }
        assert!(three_digits(u64::MAX) > 0);
    }

    #[test]
    fn small_cells_go_into_other() {
        // https has 4 clients; 25, 53, 80 (two), 993, 8443 and the unregistered ports fewer than 3 each.
        let folded = fold(report(), 3);
        let rows: Vec<_> = folded.breakdowns.iter().map(|row| (row.name.as_str(), row.clients)).collect();
        assert_eq!(rows, [("https", 4), ("other tcp port", 3), ("other", 2)]);
        let sum = |report: &Report| {
            report
                .breakdowns
                .iter()
                .map(|row| {
                    row.totals.encrypted.wire_bytes
                        + row.totals.plaintext.wire_bytes
                        + row.totals.unknown.wire_bytes
                        + row.totals.control.wire_bytes
                })
                .sum::<u64>()
        };
        assert_eq!((sum(&folded), sum(&report())), (60_000, 60_000));
        assert!(folded.tally().unwrap_err().contains("does not merge"));
    }

    #[test]
    fn a_single_small_cell_does_not_stand_alone() {
        let row = |name: &str, clients| BreakdownRow {
            by: "direction".to_owned(),
            name: name.to_owned(),
            clients,
            ..BreakdownRow::default()
        };
        let cases: &[(&str, &[(&str, u64)], &[(&str, u64)])] = &[
            ("none small", &[("inbound", 30), ("outbound", 20)], &[("inbound", 30), ("outbound", 20)]),
            (
                "one small takes the next with it",
                &[("inbound", 30), ("outbound", 20), ("external", 2)],
                &[("inbound", 30), ("other", 20)],
            ),
            ("two small", &[("inbound", 30), ("outbound", 2), ("external", 1)], &[("inbound", 30), ("other", 2)]),
            ("nothing to go with it", &[("inbound", 2)], &[("other", 2)]),
            ("others already", &[("inbound", 30), ("other", 2)], &[("inbound", 30), ("other", 2)]),
        ];
        for (name, rows, want) in cases {
            let mut report = report();
            report.breakdowns = rows.iter().map(|(name, clients)| row(name, *clients)).collect();
            fold_breakdowns(&mut report, 10);
            let got: Vec<_> = report.breakdowns.iter().map(|row| (row.name.as_str(), row.clients)).collect();
            assert_eq!(got, *want, "{name}");
        }
    }

    #[test]
    fn a_published_report_says_so_and_can_be_read() {
        let published = publish(report(), 3).unwrap();
        assert!(published.definition.publication.as_ref().unwrap().contains("fewer than 3"));
        let text = serde_json::to_string(&published).unwrap();
        for gone in ["hospital", "sha256", "530909", "29200\"", "00:00:00.0"] {
            assert!(!text.contains(gone), "{gone}");
        }
        assert_eq!(published.captures[0].first.as_deref(), Some("2018-08-01T00:00:00Z"));
        assert_eq!(published.coverage.encrypted_share.value, Some(0.531));
        assert_eq!((published.coverage.clients.median, published.coverage.clients.by_share.len()), (Some(0.84), 0));
        assert_eq!(publish(report(), 12).unwrap().coverage.clients.median, None, "eleven clients");
        assert!(published.coverage.concentration.flows.wire_bytes.is_empty());
        assert_eq!(published.coverage.concentration.flows.share, Some(0.909));
        assert_eq!(
            published
                .protocols
                .iter()
                .filter(|row| row.totals.flows < 3 && row.name != "other" && row.class != "control")
                .count(),
            0
        );
        let again = Report::read(std::path::Path::new("p.json"), text.as_bytes()).unwrap();
        assert_eq!(again, published);
        assert!(again.tally().is_err());
    }
}
