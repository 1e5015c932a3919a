//! The summary as Markdown (GitHub flavour), for pages, issues and job summaries.

use std::io::{self, Write};

use super::Report;
use super::concentration::{self, Spread};
use super::layout::*;
use super::number::{bytes, count, counted, percent};
use super::{ratio, timeline};
use crate::model::Units;

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut text = headline(report);
    for part in [units, spread, over_time, breakdowns, strength, tls, clear, findings, losses, how_counted] {
        text += &part(report);
    }
    out.write_all(text.as_bytes())
}

fn headline(report: &Report) -> String {
    let share = &report.coverage.encrypted_share;
    let all = &report.coverage.totals.all;
    let mut text = format!("# {} of the traffic is encrypted\n\n", percent(share.value));
    text += &format!(
        "Of {} ({}) in {}, by bytes on the wire. Whatever the unknown traffic is, the share is at least {} and at most {}. ",
        counted(all.packets, "packet"),
        bytes(all.wire_bytes),
        counted(report.captures.len() as u64, "capture"),
        percent(share.lower),
        percent(share.upper),
    );
    text += &match (share.ci95, &share.ci95_reason) {
        (Some([low, high]), _) => {
            format!("95% interval for sampling error: {} to {}.\n", percent(Some(low)), percent(Some(high)))
        }
        (None, Some(reason)) => format!("No error bar: {}.\n", escape(reason)),
        (None, None) => "\n".to_owned(),
    };
    text
}

fn units(report: &Report) -> String {
    let coverage = &report.coverage;
    let classes = &coverage.totals.classes;
    type Unit = (&'static str, fn(&Units) -> u64);
    let rows: [(Unit, &Share); 4] = [
        (("wire bytes", |units| units.wire_bytes), &coverage.by_unit.wire_bytes),
        (("payload bytes", |units| units.payload_bytes), &coverage.by_unit.payload_bytes),
        (("packets", |units| units.packets), &coverage.by_unit.packets),
        (("flows", |units| units.flows), &coverage.by_unit.flows),
    ];
    let rows = rows.map(|((name, unit), share)| {
        let [encrypted, plaintext, unknown, control] =
            [classes.encrypted, classes.plaintext, classes.unknown, classes.control].map(|units| count(unit(&units)));
        let bounds = format!("{} to {}", percent(share.lower), percent(share.upper));
        vec![name.to_owned(), encrypted, plaintext, unknown, control, percent(share.value), bounds]
    });
    let head = ["Unit", "Encrypted", "Plaintext", "Unknown", "Control", "Encrypted share", "Bounds"];
    let web = &coverage.web_share;
    section("Coverage", &head, rows.into())
        + &format!(
            "\nWeb share (HTTPS and QUIC against HTTP): {} of bytes, {} of flows.\n",
            percent(web.wire_bytes),
            percent(web.flows)
        )
}

fn spread(report: &Report) -> String {
    let told = |figure: Spread| figure.value.unwrap_or_else(|reason| format!("- ({})", escape(reason)));
    let rows = concentration::spread(&report.coverage).map(|figure| vec![figure.name.to_owned(), told(figure)]);
    section("Spread over flows, hosts and clients", &["Figure", "Value"], rows.into())
}

/// Coverage, weak share and TLS 1.3 in each interval; a gap is a row of its own.
fn over_time(report: &Report) -> String {
    const MOST: u64 = 48;
    let Some(stretches) = timeline::stretches(&report.timeline, MOST) else { return String::new() };
    let mut rows = Vec::new();
    let mut next = 0;
    for stretch in &stretches.list {
        if stretch.place > next {
            let gap = format!("{} without traffic", counted(stretch.place - next, "interval"));
            rows.push([vec![gap], vec!["-".to_owned(); 6]].concat());
        }
        next = stretch.place + 1;
        let shares = stretch.classes.map(|amount| percent(ratio(amount, stretch.whole())));
        let weak = ratio(stretch.levels[2] + stretch.levels[3], stretch.levels.iter().sum());
        let newest = [0x0304, 0xfefc].iter().filter_map(|code| stretch.versions.get(code)).sum();
        let newest = ratio(newest, stretch.versions.values().sum());
        let rest = [bytes(stretch.whole()), percent(weak), percent(newest)];
        rows.push([timeline::clock(stretch.start_ns)].into_iter().chain(shares).chain(rest).collect());
    }
    let title = format!("Over time, in intervals of {} (UTC)", timeline::length(stretches.seconds));
    section(&title, &["Start", "Encrypted", "Unknown", "Plaintext", "Amount", "Weak share", "TLS 1.3"], rows)
}

fn breakdowns(report: &Report) -> String {
    const MOST: usize = 60;
    let parts = super::text::BREAKDOWNS.iter().map(|(by, title)| {
        let rows: Vec<_> = report.breakdowns.iter().filter(|row| row.by == *by).collect();
        let cells = rows.iter().take(MOST).map(|row| {
            let Bounds { value, lower, upper } = row.encrypted_share;
            let totals = &row.totals;
            let whole: u64 =
                [totals.encrypted, totals.unknown, totals.plaintext].iter().map(|units| units.wire_bytes).sum();
            let clients = if row.clients >= 64 { "64 or more".to_owned() } else { count(row.clients) };
            vec![
                escape(&row.name),
                percent(value),
                format!("{} to {}", percent(lower), percent(upper)),
                count(whole),
                clients,
            ]
        });
        let head = ["Name", "Encrypted share", "Bounds", "Wire bytes", "Clients"];
        let text = section(&format!("Encrypted share {title}"), &head, cells.collect());
        match rows.len().saturating_sub(MOST) {
            0 => text,
            rest => text + &format!("\nAnd {}.\n", counted(rest as u64, "more row")),
        }
    });
    parts.collect()
}

fn strength(report: &Report) -> String {
    let mut text = String::new();
    for policy in &report.strength {
        let title = format!("Strength under {} ({})", policy.policy, policy.version);
        text += &section(
            &title,
            &["Level", "Flows", "Wire bytes"],
            policy
                .levels
                .named()
                .map(|(name, units)| vec![name.to_owned(), count(units.flows), count(units.wire_bytes)])
                .into(),
        );
        text += &format!("\nWeak share of what could be graded: {}.\n", percent(policy.weak_share.wire_bytes));
        let reasons = policy.reasons.iter().map(|reason| {
            let [rule, level, why, source] =
                [&reason.rule, &reason.level, &reason.reason, &reason.source].map(|text| escape(text));
            vec![format!("`{rule}`"), level, why, source, count(reason.totals.flows)]
        });
        text += &table(&["Rule", "Level", "Reason", "Source", "Flows"], reasons.collect());
    }
    text
}

fn tls(report: &Report) -> String {
    let parts: [(&str, &[CodeRow]); 3] =
        [("Version", &report.tls.versions), ("Cipher suite", &report.tls.cipher_suites), ("Group", &report.tls.groups)];
    let tables: String = parts
        .iter()
        .map(|(title, rows)| {
            let rows = rows.iter().map(|row| vec![escape(&row.name), count(row.flows), count(row.wire_bytes)]);
            table(&[title, "Flows", "Wire bytes"], rows.collect())
        })
        .collect();
    if tables.is_empty() { tables } else { format!("\n## TLS, DTLS and QUIC, as negotiated\n{tables}") }
}

fn clear(report: &Report) -> String {
    let rows = report.protocols.iter().filter(|row| row.class == "plaintext");
    let rows = rows.map(|row| vec![escape(&row.name), count(row.totals.flows), count(row.totals.wire_bytes)]);
    section("Protocols in clear", &["Protocol", "Flows", "Wire bytes"], rows.collect())
}

fn findings(report: &Report) -> String {
    let rows = report.findings.iter().map(|finding| {
        let [severity, what, advice] = [&finding.severity, &finding.what, &finding.advice].map(|text| escape(text));
        vec![severity, what, count(finding.totals.flows), advice]
    });
    section("Findings", &["Severity", "What", "Flows", "What to do"], rows.collect())
}

fn losses(report: &Report) -> String {
    let rows = report.quality.losses.iter().filter(|(_, number)| **number > 0);
    let rows = rows.map(|(name, number)| vec![escape(&name.replace('_', " ")), count(*number)]);
    section("Seen less well than the wire carried it", &["What", "Count"], rows.collect())
}

fn how_counted(report: &Report) -> String {
    let definition = &report.definition;
    format!(
        "\n## How this was counted\n\n- Encrypted share: {}.\n- Unit: {}. Denominator: {}.\n- Interval: {}.\n- {} {}, schema {}.\n",
        escape(&definition.encrypted_share),
        escape(&definition.unit),
        escape(&definition.denominator),
        escape(&definition.interval),
        escape(&report.tool.name),
        escape(&report.tool.version),
        escape(&report.schema_version),
    )
}

/// A heading and a table; nothing when there are no rows.
fn section(title: &str, head: &[&str], rows: Vec<Vec<String>>) -> String {
    let table = table(head, rows);
    if table.is_empty() { table } else { format!("\n## {}\n{table}", escape(title)) }
}

fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut text = format!("\n| {} |\n|{}\n", head.join(" | "), " --- |".repeat(head.len()));
    for row in rows {
        text += &format!("| {} |\n", row.join(" | "));
    }
    text
}

/// A text from a file or report without what Markdown or HTML would read as markup.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '&' => safe += "&amp;",
            '|' | '*' | '`' | '[' | ']' | '\\' => safe.extend(['\\', letter]),
            letter if letter.is_control() => safe.push(' '),
            letter => safe.push(letter),
        }
    }
    safe
}
