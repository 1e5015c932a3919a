//! What stands on the page: every text and chart, worked out from the report.

use crate::grade::finding::protects_in_name_only;
use minijinja::Value;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::super::concentration::{self, Spread};
use super::super::definition::Definition;
use super::super::layout::*;
use super::super::number::{bytes, count, counted, percent};
use super::super::{ratio, text};
use super::chart::{self, Bar, Figure, Legend, Part, Span, Table};
use super::timeline;
use crate::model::{Loss, Units};
use crate::tally::YesNo;

/// Everything that the template shows.
#[derive(Serialize)]
pub(super) struct Page {
    css: Value,
    title: String,
    tool: String,
    schema: String,
    source: String,
    amount: String,
    period: String,
    share: Option<String>,
    bounds: String,
    interval: String,
    coverage: Figure,
    tiles: Vec<Tile>,
    findings: Vec<FindingCard>,
    timeline: Vec<Figure>,
    breakdowns: Vec<Figure>,
    strength: Vec<PolicyCard>,
    tls: Vec<Figure>,
    clear: Option<Figure>,
    upgrades: Option<Table>,
    certainty: Vec<Figure>,
    spread: Table,
    protocols: Table,
    losses: Vec<LossLine>,
    captures: Table,
    definition: Vec<Entry>,
    fingerprint: String,
    citation: String,
}

#[derive(Serialize)]
struct Tile {
    name: &'static str,
    value: String,
    note: String,
}

#[derive(Serialize)]
struct FindingCard {
    severity: String,
    /// Class of the style sheet.
    kind: &'static str,
    what: String,
    advice: String,
    amount: String,
}

#[derive(Serialize)]
struct PolicyCard {
    name: String,
    chart: Figure,
    reasons: Vec<ReasonLine>,
}

#[derive(Serialize)]
struct ReasonLine {
    level: String,
    why: String,
    source: String,
    amount: String,
}

#[derive(Serialize)]
struct LossLine {
    count: String,
    what: String,
    advice: String,
}

/// One word of the definition and what it means.
#[derive(Serialize)]
pub(super) struct Entry {
    name: String,
    lines: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    name: String,
    text: String,
}

impl Page {
    pub fn new(report: &Report) -> Self {
        let share = &report.coverage.encrypted_share;
        let source = source(report);
        let headline = percent(share.value);
        let all = &report.coverage.totals.all;
        let fingerprint = fingerprint(&report.definition);
        Self {
            css: super::style(),
            title: match share.value {
                Some(_) => format!("{headline} encrypted: {source}"),
                None => format!("Nothing to measure: {source}"),
            },
            tool: format!("{} {}", report.tool.name, report.tool.version),
            schema: report.schema_version.clone(),
            amount: format!("{}, {}", counted(all.packets, "packet"), bytes(all.wire_bytes)),
            period: period(report).map(|[first, last]| format!("{first} to {last} UTC")).unwrap_or_default(),
            share: share.value.map(|_| headline),
            bounds: bounds(share),
            interval: interval(share),
            coverage: coverage(report),
            tiles: tiles(report),
            findings: report.findings.iter().map(finding).collect(),
            timeline: timeline::figures(report),
            breakdowns: breakdowns(report),
            spread: spread(report),
            strength: strength(report),
            tls: tls(report),
            clear: clear(report),
            upgrades: upgrades(report),
            certainty: vec![by_unit(report), by_evidence(report)],
            protocols: protocols(report),
            losses: losses(report),
            captures: captures(report),
            definition: entries(&report.definition),
            citation: citation(report, &source, &fingerprint),
            fingerprint,
            source,
        }
    }
}

/// The classes of the denominator as a legend without figures.
fn class_names() -> Vec<Legend> {
    CLASSES
        .map(|kind| Legend { kind, label: kind.to_owned(), value: String::new(), more: String::new() })
        .into_iter()
        .collect()
}

/// Encrypted from the left, plaintext from the right, unknown between: its two ends are the bounds.
const CLASSES: [&str; 3] = ["encrypted", "unknown", "plaintext"];
/// Bars of a chart; what is beyond is one bar, "others".
const MOST_BARS: usize = 12;
/// Rows of a table; what is beyond is counted.
const MOST_ROWS: usize = 60;

fn source(report: &Report) -> String {
    match report.captures.as_slice() {
        [] => "no capture".to_owned(),
        [one] => clipped(&one.name),
        several => counted(several.len() as u64, "capture"),
    }
}

/// A name of a file, shortened at the front when it is very long.
pub(super) fn clipped(name: &str) -> String {
    const MOST: usize = 160;
    let length = name.chars().count();
    if length <= MOST {
        return name.to_owned();
    }
    let kept: String = name.chars().skip(length - MOST).collect();
    format!("…{kept}")
}

/// First and last second of the captures.
fn period(report: &Report) -> Option<[String; 2]> {
    let first = report.captures.iter().filter_map(|capture| capture.first.as_deref()).min()?;
    let last = report.captures.iter().filter_map(|capture| capture.last.as_deref()).max()?;
    Some([first, last].map(second))
}

/// A time without its decimals.
fn second(time: &str) -> String {
    time.split(['.', 'Z']).next().unwrap_or_default().replace('T', " ")
}

fn bounds(share: &Share) -> String {
    match share.lower == share.upper {
        true => "By bytes on the wire. Nothing is unknown, so that figure is exact for what was captured.".to_owned(),
        false => format!(
            "By bytes on the wire. Whatever the unknown traffic is, the share is at least {} and at most {}.",
            percent(share.lower),
            percent(share.upper)
        ),
    }
}

fn interval(share: &Share) -> String {
    match (share.ci95, &share.ci95_reason) {
        (Some([low, high]), _) => {
            format!("95% interval for sampling error: {} to {}.", percent(Some(low)), percent(Some(high)))
        }
        (None, Some(reason)) => format!("No error bar: {reason}."),
        (None, None) => String::new(),
    }
}

fn coverage(report: &Report) -> Figure {
    let classes = &report.coverage.totals.classes;
    let units = [classes.encrypted, classes.unknown, classes.plaintext];
    let whole: u64 = units.iter().map(|units| units.wire_bytes).sum();
    let named = CLASSES.iter().copied().zip(units);
    let share = &report.coverage.encrypted_share;
    let (lower, upper) = (share.lower.unwrap_or_default(), share.upper.unwrap_or_default());
    let above = match lower == upper {
        true => format!("{}, exact", percent(share.lower)),
        false => format!("bounds {} to {}", percent(share.lower), percent(share.upper)),
    };
    let below = share.ci95.map(|[from, to]| Span {
        text: format!("95% interval {} to {}", percent(Some(from)), percent(Some(to))),
        from,
        to,
    });
    let parts: Vec<_> = named.clone().map(|(kind, units)| part(kind, kind, units.wire_bytes, whole)).collect();
    let legend = named.clone().map(|(kind, units)| Legend {
        kind,
        label: kind.to_owned(),
        value: percent(ratio(units.wire_bytes, whole)),
        more: bytes(units.wire_bytes),
    });
    let outside =
        [("control (outside the share)", classes.control), ("undecoded (outside the share)", undecoded(report))];
    let rows = named.map(|(kind, units)| (kind, units, percent(ratio(units.wire_bytes, whole))));
    let rows = rows.chain(outside.map(|(name, units)| (name, units, "–".to_owned())));
    let title = "Encrypted, unknown and plaintext traffic";
    Figure {
        title: title.to_owned(),
        note: "By bytes on the wire.".to_owned(),
        svg: chart::coverage(
            "coverage",
            title,
            &format!("{}{} {}", shares_in_words(&parts, whole), bounds(share), interval(share)),
            &parts,
            &Span { text: above, from: lower, to: upper },
            below.as_ref(),
        ),
        legend: legend.collect(),
        table: Table::new(
            "Totals by class",
            &["Class", "Share", "Wire bytes", "Payload bytes", "Packets", "Flows"],
            rows.map(|(name, units, share)| {
                let rest = [units.wire_bytes, units.payload_bytes, units.packets, units.flows].map(count);
                [name.to_owned(), share].into_iter().chain(rest).collect()
            })
            .collect(),
        ),
    }
}

fn undecoded(report: &Report) -> Units {
    let Frames { packets, wire_bytes } = report.coverage.totals.undecoded;
    Units { packets, wire_bytes, ..Units::default() }
}

fn part(kind: &'static str, name: &str, amount: u64, whole: u64) -> Part {
    Part::new(kind, &format!("{name}: {}", percent(ratio(amount, whole))), amount)
}

/// What a screen reader says of a bar.
fn shares_in_words(parts: &[Part], whole: u64) -> String {
    if whole == 0 {
        return String::new();
    }
    let words: Vec<_> = parts.iter().map(|part| part.label.as_str()).collect();
    format!("{}. ", words.join(", "))
}

fn tiles(report: &Report) -> Vec<Tile> {
    let mut tiles = Vec::new();
    let mut add = |name, share: Option<f64>, note: String| {
        if share.is_some() {
            tiles.push(Tile { name, value: percent(share), note });
        }
    };
    let web = &report.coverage.web_share;
    add("Web share", web.wire_bytes, format!("HTTPS and QUIC against HTTP, by bytes; {} of flows", percent(web.flows)));
    if let Some(policy) = report.strength.first() {
        let ungraded = policy.graded_share.wire_bytes.map(|graded| 1.0 - graded);
        add(
            "Weak or broken",
            policy.weak_share.wire_bytes,
            format!("of what {} grades, by bytes; {} is ungraded", policy.policy, percent(ungraded)),
        );
    }
    let tls = &report.tls;
    let handshakes: u64 = tls.versions.iter().map(|row| row.flows).sum();
    let newest = tls.versions.iter().filter(|row| NEWEST.contains(&row.code.as_str())).map(|row| row.flows).sum();
    add("TLS 1.3", ratio(newest, handshakes), format!("of {}", counted(handshakes, "handshake")));
    for (name, answer) in [("Forward secrecy", &tls.forward_secrecy), ("Post-quantum", &tls.post_quantum)] {
        let seen = answer.yes.flows + answer.no.flows;
        add(name, ratio(answer.yes.flows, seen), format!("of {} where it can be seen", counted(seen, "handshake")));
    }
    tiles
}

/// Code points of TLS 1.3 and DTLS 1.3.
const NEWEST: [&str; 2] = ["0x0304", "0xfefc"];

fn finding(finding: &Finding) -> FindingCard {
    FindingCard {
        severity: finding.severity.clone(),
        kind: match finding.severity.as_str() {
            "high" => "high",
            "medium" => "medium",
            _ => "low",
        },
        what: capital(&finding.what),
        advice: capital(&finding.advice),
        amount: amount(&finding.totals),
    }
}

fn amount(units: &Units) -> String {
    format!("{}, {}", counted(units.flows, "flow"), bytes(units.wire_bytes))
}

pub(super) fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn strength(report: &Report) -> Vec<PolicyCard> {
    let encrypted = report.coverage.totals.classes.encrypted.packets > 0;
    let policies = report.strength.iter().filter(|policy| encrypted || !policy.reasons.is_empty());
    policies.enumerate().map(|(place, policy)| policy_card(place, policy)).collect()
}

fn policy_card(place: usize, policy: &PolicyStrength) -> PolicyCard {
    let levels = policy.levels.named();
    let whole: u64 = levels.iter().map(|(_, units)| units.wire_bytes).sum();
    let parts: Vec<_> = levels.iter().map(|(name, units)| part(name, name, units.wire_bytes, whole)).collect();
    let title = format!("Under {} ({})", policy.policy, policy.version);
    let weak = format!("{} weak or broken", percent(policy.weak_share.wire_bytes));
    let against = policy.reasons.iter().filter(|reason| ["broken", "weak"].contains(&reason.level.as_str()));
    PolicyCard {
        name: policy.policy.clone(),
        reasons: against
            .take(MOST_ROWS)
            .map(|reason| ReasonLine {
                level: reason.level.clone(),
                why: reason.reason.clone(),
                source: reason.source.clone(),
                amount: amount(&reason.totals),
            })
            .collect(),
        chart: Figure {
            note: format!("By wire bytes; {weak} of what could be graded."),
            svg: {
                let about = shares_in_words(&parts, whole);
                let label = counted(levels.iter().map(|(_, units)| units.flows).sum(), "encrypted flow");
                let bar = Bar { label, value: weak, more: String::new(), parts };
                chart::bars(&format!("policy-{place}"), &title, &about, &[bar], None)
            },
            legend: levels
                .iter()
                .map(|(kind, units)| Legend {
                    kind,
                    label: (*kind).to_owned(),
                    value: percent(ratio(units.wire_bytes, whole)),
                    more: amount(units),
                })
                .collect(),
            table: Table::new(
                &format!("Encrypted traffic by level under {}", policy.policy),
                &["Level", "Share of bytes", "Wire bytes", "Flows"],
                levels
                    .iter()
                    .map(|(name, units)| {
                        let share = percent(ratio(units.wire_bytes, whole));
                        vec![(*name).to_owned(), share, count(units.wire_bytes), count(units.flows)]
                    })
                    .collect(),
            ),
            title,
        },
    }
}

/// A value of a distribution, its flows and bytes.
type Row<'a> = (&'a str, u64, u64);

fn tls(report: &Report) -> Vec<Figure> {
    fn codes(rows: &[CodeRow]) -> Vec<Row<'_>> {
        rows.iter().map(|row| (row.name.as_str(), row.flows, row.wire_bytes)).collect()
    }
    fn names(rows: &[NameRow]) -> Vec<Row<'_>> {
        rows.iter().map(|row| (row.name.as_str(), row.flows, row.wire_bytes)).collect()
    }
    let tls = &report.tls;
    let distributions = [
        ("versions", "Versions", codes(&tls.versions)),
        ("exchange", "Key exchange", names(&tls.key_exchange)),
        ("groups", "Groups", codes(&tls.groups)),
        ("protection", "Protection of records", names(&tls.aead)),
        ("suites", "Cipher suites", codes(&tls.cipher_suites)),
    ];
    let mut figures: Vec<_> =
        distributions.into_iter().filter_map(|(id, title, rows)| distribution(id, title, rows)).collect();
    figures.extend(properties(report));
    figures
}

/// Bars by flows, the most frequent first; `None` when there is nothing to show.
fn distribution(id: &str, title: &str, mut rows: Vec<Row<'_>>) -> Option<Figure> {
    rows.sort_by_key(|(_, flows, wire_bytes)| std::cmp::Reverse((*flows, *wire_bytes)));
    let whole: u64 = rows.iter().map(|(_, flows, _)| flows).sum();
    let bars = shortened(&rows, "other", MOST_BARS);
    let bars: Vec<_> = bars
        .iter()
        .map(|(name, flows, _)| Bar {
            label: name.clone(),
            value: percent(ratio(*flows, whole)),
            more: counted(*flows, "flow"),
            parts: vec![part("accent", name, *flows, whole)],
        })
        .collect();
    let about: Vec<_> = bars.iter().map(|bar| format!("{} {}", bar.label, bar.value)).collect();
    let note = format!("Of {}.", counted(whole, "flow"));
    (whole > 0).then(|| Figure {
        title: title.to_owned(),
        note,
        svg: chart::bars(id, title, &format!("By flows: {}.", about.join(", ")), &bars, Some(whole)),
        legend: Vec::new(),
        table: Table::new(
            &format!("{title}, by flows"),
            &["Name", "Share of flows", "Flows", "Wire bytes"],
            shortened(&rows, "other", MOST_ROWS)
                .into_iter()
                .map(|(name, flows, bytes)| vec![name, percent(ratio(flows, whole)), count(flows), count(bytes)])
                .collect(),
        ),
    })
}

/// The first rows; when there are more than `most`, the last one adds up the rest.
fn shortened(rows: &[Row<'_>], word: &str, most: usize) -> Vec<(String, u64, u64)> {
    let kept = if rows.len() > most { most.saturating_sub(1) } else { rows.len() };
    let (shown, rest) = rows.split_at(kept);
    let mut short: Vec<_> = shown.iter().map(|(name, flows, bytes)| ((*name).to_owned(), *flows, *bytes)).collect();
    if !rest.is_empty() {
        let sum = |part: fn(&Row<'_>) -> u64| rest.iter().map(part).sum();
        short.push((counted(rest.len() as u64, word), sum(|row| row.1), sum(|row| row.2)));
    }
    short
}

/// The questions of yes or no.
fn properties(report: &Report) -> Option<Figure> {
    let tls = &report.tls;
    let questions = [
        ("Forward secrecy", &tls.forward_secrecy),
        ("Post-quantum key exchange", &tls.post_quantum),
        ("Session resumed", &tls.resumption),
        ("Server name in clear", &tls.sni_in_clear),
        ("Encrypted Client Hello offered", &tls.ech_offered),
    ];
    let answers = |answer: &YesNo| {
        [("accent", "yes", answer.yes), ("unknown", "not seen", answer.unknown), ("no", "no", answer.no)]
    };
    let whole = |answer: &YesNo| answer.yes.flows + answer.unknown.flows + answer.no.flows;
    let questions: Vec<_> = questions.into_iter().filter(|(_, answer)| whole(answer) > 0).collect();
    let share = |answer: &YesNo| percent(ratio(answer.yes.flows, answer.yes.flows + answer.no.flows));
    let bars: Vec<_> = questions
        .iter()
        .map(|(name, answer)| Bar {
            label: (*name).to_owned(),
            value: share(answer),
            more: counted(answer.yes.flows, "flow"),
            parts: answers(answer).map(|(kind, word, sum)| part(kind, word, sum.flows, whole(answer))).into(),
        })
        .collect();
    let about: Vec<_> = bars.iter().map(|bar| format!("{} {}", bar.label, bar.value)).collect();
    let title = "Properties";
    (!bars.is_empty()).then(|| Figure {
        title: title.to_owned(),
        note: "Of the handshakes in which it can be seen.".to_owned(),
        svg: chart::bars("properties", title, &format!("{}.", about.join(", ")), &bars, None),
        legend: [("accent", "yes"), ("unknown", "not seen"), ("no", "no")]
            .map(|(kind, word)| Legend { kind, label: word.to_owned(), value: String::new(), more: String::new() })
            .into(),
        table: Table::new(
            "Properties of handshakes, by flows",
            &["Property", "Share", "Yes", "No", "Not seen"],
            questions
                .iter()
                .map(|(name, answer)| {
                    let flows = [answer.yes, answer.no, answer.unknown].map(|sum| count(sum.flows));
                    [(*name).to_owned(), share(answer)].into_iter().chain(flows).collect()
                })
                .collect(),
        ),
    })
}

/// Protocols that ran in clear, by bytes.
fn clear(report: &Report) -> Option<Figure> {
    let clear = report.protocols.iter().filter(|row| row.class == "plaintext");
    let names: Vec<_> = clear
        .map(|row| {
            let name_only = if protects_in_name_only(&row.name) { ", encrypted in name only" } else { "" };
            (format!("{}{name_only}", row.name), row.totals.flows, row.totals.wire_bytes)
        })
        .collect();
    let rows: Vec<Row<'_>> = names.iter().map(|(name, flows, bytes)| (name.as_str(), *flows, *bytes)).collect();
    let whole: u64 = rows.iter().map(|(_, _, bytes)| bytes).sum();
    let bars: Vec<_> = shortened(&rows, "other", MOST_BARS)
        .into_iter()
        .map(|(label, flows, amount)| Bar {
            value: percent(ratio(amount, whole)),
            more: format!("{}, {}", counted(flows, "flow"), bytes(amount)),
            parts: vec![part("plaintext", &label, amount, whole)],
            label,
        })
        .collect();
    let about: Vec<_> = bars.iter().map(|bar| format!("{} {}", bar.label, bar.value)).collect();
    let title = "Traffic in clear, by protocol";
    (!bars.is_empty()).then(|| Figure {
        title: title.to_owned(),
        note: format!("Of {} in clear. A protocol without flows ran before an upgrade.", bytes(whole)),
        svg: chart::bars("in-clear", title, &format!("By wire bytes: {}.", about.join(", ")), &bars, Some(whole)),
        legend: Vec::new(),
        table: Table::new(
            "Traffic in clear, by protocol",
            &["Protocol", "Share of bytes", "Wire bytes", "Flows"],
            shortened(&rows, "other", MOST_ROWS)
                .into_iter()
                .map(|(name, flows, bytes)| vec![name, percent(ratio(bytes, whole)), count(bytes), count(flows)])
                .collect(),
        ),
    })
}

fn upgrades(report: &Report) -> Option<Table> {
    let rows = report.upgrades.iter().map(|row| {
        let flows = [row.used, row.offered, row.refused, row.failed].map(|units| count(units.flows));
        [row.protocol.clone()].into_iter().chain(flows).collect()
    });
    let head = ["Protocol", "Used", "Offered, not used", "Refused", "Failed"];
    (!report.upgrades.is_empty()).then(|| Table::new("Flows by what came of it", &head, rows.take(MOST_ROWS).collect()))
}

/// Totals by what was asked for, one chart each.
fn breakdowns(report: &Report) -> Vec<Figure> {
    let figures = text::BREAKDOWNS.iter().filter_map(|(by, title)| {
        let rows: Vec<&BreakdownRow> = report.breakdowns.iter().filter(|row| row.by == *by).collect();
        let classes = |row: &BreakdownRow| {
            let ClassTotals { encrypted, unknown, plaintext, .. } = row.totals;
            [encrypted, unknown, plaintext].map(|units| units.wire_bytes)
        };
        let whole = |row: &BreakdownRow| classes(row).iter().sum::<u64>();
        let shown: Vec<_> = rows.iter().filter(|row| whole(row) > 0).take(MOST_BARS).collect();
        let bars: Vec<_> = shown
            .iter()
            .map(|row| Bar {
                label: row.name.clone(),
                value: percent(row.encrypted_share.value),
                more: format!("{} encrypted", bytes(classes(row)[0])),
                parts: CLASSES
                    .iter()
                    .zip(classes(row))
                    .map(|(kind, amount)| part(kind, kind, amount, whole(row)))
                    .collect(),
            })
            .collect();
        let about: Vec<_> = bars.iter().map(|bar| format!("{} {}", bar.label, bar.value)).collect();
        let title = capital(title);
        let note = match rows.len() {
            all if all > bars.len() => {
                format!("The largest {} of {}, by wire bytes.", bars.len(), counted(all as u64, "row"))
            }
            _ => "By wire bytes, the largest first.".to_owned(),
        };
        let table = rows.iter().take(MOST_ROWS).map(|row| {
            let share = &row.encrypted_share;
            let shares = [share.value, share.lower, share.upper].map(percent);
            let clients = if row.clients >= 64 { "64 or more".to_owned() } else { count(row.clients) };
            let figures = [count(whole(row)), clients];
            [row.name.clone()].into_iter().chain(shares).chain(figures).collect()
        });
        let head = ["Name", "Encrypted share", "At least", "At most", "Wire bytes", "Clients"];
        (!bars.is_empty()).then(|| Figure {
            note,
            svg: chart::bars(&format!("by-{by}"), &title, &format!("{}.", about.join(", ")), &bars, None),
            legend: class_names(),
            table: Table::new(&title, &head, table.collect()),
            title,
        })
    });
    figures.collect()
}

/// How the traffic is spread over flows, hosts and clients.
fn spread(report: &Report) -> Table {
    let told = |figure: Spread| figure.value.unwrap_or_else(|reason| format!("– ({reason})"));
    let rows = concentration::spread(&report.coverage).map(|figure| vec![figure.name.to_owned(), told(figure)]);
    Table::new("How the traffic is spread over flows, hosts and clients", &["Figure", "Value"], rows.into())
}

/// The three classes from a share and its bounds, in millionths.
fn parts_of(value: Option<f64>, upper: Option<f64>) -> Vec<Part> {
    let millionths = |share: Option<f64>| (share.unwrap_or_default().clamp(0.0, 1.0) * 1e6).round() as u64;
    let (encrypted, upper) = (millionths(value), millionths(upper));
    let amounts = [encrypted, upper.saturating_sub(encrypted), 1_000_000_u64.saturating_sub(upper)];
    CLASSES.iter().zip(amounts).map(|(kind, amount)| part(kind, kind, amount, 1_000_000)).collect()
}

/// Labels, shares and bounds as bars.
fn share_bars(rows: &[(String, [Option<f64>; 3])]) -> Vec<Bar> {
    rows.iter()
        .filter(|(_, [value, ..])| value.is_some())
        .map(|(name, [value, lower, upper])| Bar {
            label: name.clone(),
            value: match lower == upper {
                true => percent(*value),
                false => format!("{} to {}", percent(*lower), percent(*upper)),
            },
            more: String::new(),
            parts: parts_of(*value, *upper),
        })
        .collect()
}

pub(super) fn share_figure(
    id: &str,
    title: &str,
    note: &str,
    rows: &[(String, [Option<f64>; 3])],
    table: Table,
) -> Figure {
    let bars = share_bars(rows);
    let about: Vec<_> = bars.iter().map(|bar| format!("{} {}", bar.label, bar.value)).collect();
    Figure {
        title: title.to_owned(),
        note: note.to_owned(),
        svg: chart::bars(id, title, &format!("{}.", about.join(", ")), &bars, None),
        legend: class_names(),
        table,
    }
}

fn by_unit(report: &Report) -> Figure {
    let units = &report.coverage.by_unit;
    let units = [
        ("wire bytes", &units.wire_bytes),
        ("payload bytes", &units.payload_bytes),
        ("packets", &units.packets),
        ("flows", &units.flows),
    ];
    let rows = units.map(|(name, share)| (capital(name), [share.value, share.lower, share.upper]));
    let table = units.map(|(name, share)| {
        let interval = share
            .ci95
            .map_or("–".to_owned(), |[low, high]| format!("{} to {}", percent(Some(low)), percent(Some(high))));
        vec![name.to_owned(), percent(share.value), percent(share.lower), percent(share.upper), interval]
    });
    let table = Table::new(
        "Encrypted share in every unit",
        &["Unit", "Share", "At least", "At most", "95% interval"],
        table.into(),
    );
    share_figure("units", "In every unit", "The encrypted share, or its bounds.", &rows, table)
}

fn by_evidence(report: &Report) -> Figure {
    // The floor `none` believes what `association` believes: without evidence nothing is recognised.
    let floors = report.coverage.by_evidence.iter().filter(|row| row.floor != "none");
    let rows: Vec<_> = floors
        .map(|row| {
            let share = &row.encrypted_share.wire_bytes;
            (capital(&row.floor.replace('_', " ")), [share.value, share.lower, share.upper])
        })
        .collect();
    let table = rows.iter().map(|(name, shares)| [name.clone()].into_iter().chain(shares.map(percent)).collect());
    let table = Table::new(
        "Encrypted share of wire bytes at each evidence floor",
        &["Weakest evidence believed", "Share", "At least", "At most"],
        table.collect(),
    );
    share_figure(
        "evidence",
        "By how much evidence is asked for",
        "The weakest evidence that is believed, strictest at the top; by wire bytes.",
        &rows,
        table,
    )
}

fn protocols(report: &Report) -> Table {
    let rows = report.protocols.iter().take(MOST_ROWS).map(|row| {
        let name = match &row.upgraded_from {
            Some(before) => format!("{} after {before}", row.name),
            None => row.name.clone(),
        };
        let totals = [row.totals.wire_bytes, row.totals.packets, row.totals.flows].map(count);
        [name, row.class.clone()].into_iter().chain(totals).collect()
    });
    let caption = match report.protocols.len() {
        all if all > MOST_ROWS => format!("The largest {MOST_ROWS} of {all} protocols by class"),
        _ => "Protocols by class".to_owned(),
    };
    Table::new(&caption, &["Protocol", "Class", "Wire bytes", "Packets", "Flows"], rows.collect())
}

fn losses(report: &Report) -> Vec<LossLine> {
    let lost = |loss: &Loss| report.quality.losses.get(loss.name()).copied().unwrap_or_default();
    let line = |loss: Loss| {
        let (what, advice) = text::loss_words(loss);
        LossLine { count: count(lost(&loss)), what: what.to_owned(), advice: advice.to_owned() }
    };
    let mut lines: Vec<_> = Loss::ALL.into_iter().filter(|loss| lost(loss) > 0).map(line).collect();
    let outside = undecoded(report);
    if outside.packets > 0 {
        lines.push(LossLine {
            count: count(outside.packets),
            what: format!("frames ({}) could not be decoded", bytes(outside.wire_bytes)),
            advice: "They are outside every share.".to_owned(),
        });
    }
    lines
}

fn captures(report: &Report) -> Table {
    let time = |time: &Option<String>| time.as_deref().map_or("–".to_owned(), second);
    let rows = report.captures.iter().take(MOST_ROWS).map(|capture| {
        vec![
            clipped(&capture.name),
            capture.format.clone(),
            count(capture.packets),
            bytes(capture.wire_bytes),
            time(&capture.first),
            time(&capture.last),
        ]
    });
    let caption = match report.captures.len() {
        all if all > MOST_ROWS => format!("The first {MOST_ROWS} of {all} captures; times in UTC"),
        _ => "Captures; times in UTC".to_owned(),
    };
    Table::new(&caption, &["Capture", "Format", "Packets", "Amount", "First frame", "Last frame"], rows.collect())
}

/// The definition block, key by key, so that no word of it can be missing here.
pub(super) fn entries(definition: &Definition) -> Vec<Entry> {
    let Ok(serde_json::Value::Object(words)) = serde_json::to_value(definition) else { return Vec::new() };
    let title = |key: &str| capital(&key.replace('_', " "));
    let lines = |meaning: &serde_json::Value| match meaning {
        serde_json::Value::Object(parts) => {
            parts.iter().map(|(name, meaning)| Line { name: name.replace('_', " "), text: words_of(meaning) }).collect()
        }
        serde_json::Value::Array(items) => {
            items.iter().map(|item| Line { name: String::new(), text: words_of(item) }).collect()
        }
        one => vec![Line { name: String::new(), text: words_of(one) }],
    };
    words.iter().map(|(key, meaning)| Entry { name: title(key), lines: lines(meaning) }).collect()
}

fn words_of(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Object(fields) => fields.values().map(words_of).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// The first 12 hexadecimal digits of the SHA-256 of the definition as JSON: equal definitions have equal fingerprints.
pub(super) fn fingerprint(definition: &Definition) -> String {
    let json = serde_json::to_vec(definition).unwrap_or_default();
    Sha256::digest(json).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

fn citation(report: &Report, source: &str, fingerprint: &str) -> String {
    let share = &report.coverage.encrypted_share;
    let all = &report.coverage.totals.all;
    let policies: Vec<_> =
        report.definition.policies.iter().map(|policy| format!("{} {}", policy.name, policy.version)).collect();
    let mut words = format!(
        "Encrypted share of wire bytes: {} (bounds {} to {}). {} Measured in {source}: {}, {}",
        percent(share.value),
        percent(share.lower),
        percent(share.upper),
        interval(share),
        counted(all.packets, "packet"),
        bytes(all.wire_bytes),
    );
    if let Some([first, last]) = period(report) {
        words += &format!(", {first} to {last} UTC");
    }
    words += &format!(
        ". {} {}, report schema {}, definition {fingerprint}",
        report.tool.name, report.tool.version, report.schema_version
    );
    if !policies.is_empty() {
        words += &format!("; strength under {}", policies.join(", "));
    }
    words + "."
}
