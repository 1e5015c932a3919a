//! The summary for people: 80 columns, blocks for bars, colours where the caller leaves them in.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::layout::*;
use super::number::{bytes, count, counted, percent};
use super::timeline;
use crate::grade::finding::protects_in_name_only;
use crate::model::{Loss, Units};

const WIDTH: usize = 80;
const BAR: usize = WIDTH - 4;

const TITLE: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const UNSURE: Style = AnsiColor::Yellow.on_default();
const BAD: Style = AnsiColor::Red.on_default();

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut text = String::new();
    for part in [headline, units, spread, over_time, breakdowns, strength, tls, clear, findings, losses] {
        let lines = part(report);
        if !lines.is_empty() {
            text += &lines;
            text.push('\n');
        }
    }
    text += &footer(report);
    out.write_all(text.as_bytes())
}

/// What was read, the share in one sentence, and the bar.
fn headline(report: &Report) -> String {
    let coverage = &report.coverage;
    let share = &coverage.encrypted_share;
    let mut text = format!("{}\n\n", read_what(report));
    let Some(value) = share.value else {
        text += "  Nothing to measure: no frame carries application payload.\n";
        return text;
    };
    text += &format!("  {TITLE}{} of the traffic is encrypted{TITLE:#}, by bytes on the wire.\n", percent(Some(value)));
    let upper = percent(share.upper);
    text += &match share.lower == share.upper {
        true => "  Nothing is unknown, so that figure is exact for what was captured.\n".to_owned(),
        false => format!("  At least {} and at most {upper}, whatever the unknown traffic is.\n", percent(share.lower)),
    };
    text += &match (share.ci95, &share.ci95_reason) {
        (Some([low, high]), _) => {
            format!("  95% interval for sampling error: {} to {}.\n", percent(Some(low)), percent(Some(high)))
        }
        (None, Some(reason)) => wrap(&format!("No error bar: {reason}."), 2),
        (None, None) => String::new(),
    };
    text.push('\n');
    text += &coverage_bar(&coverage.totals.classes);
    text
}

fn read_what(report: &Report) -> String {
    let captures = &report.captures;
    let all = &report.coverage.totals.all;
    let what = match captures.as_slice() {
        [one] => clean(&one.name),
        several => counted(several.len() as u64, "capture"),
    };
    let figures = format!("{}, {}", counted(all.packets, "packet"), bytes(all.wire_bytes));
    let first = captures.iter().filter_map(|capture| capture.first.as_deref()).min();
    let last = captures.iter().filter_map(|capture| capture.last.as_deref()).max();
    let when = match (first, last) {
        (Some(first), Some(last)) => format!("\n{DIM}{} to {}{DIM:#}", seconds(first), seconds(last)),
        _ => String::new(),
    };
    format!("{TITLE}{what}{TITLE:#}: {figures}{when}")
}

/// A time without its decimals.
fn seconds(time: &str) -> String {
    let whole = time.split_once('.').map_or(time.trim_end_matches('Z'), |(whole, _)| whole);
    format!("{} UTC", whole.replace('T', " "))
}

/// Encrypted from the left, plaintext from the right, unknown between: its two ends are the bounds.
fn coverage_bar(classes: &ClassTotals) -> String {
    let parts = [classes.encrypted, classes.unknown, classes.plaintext].map(|units| units.wire_bytes);
    let styles = [(GOOD, '█', "encrypted"), (UNSURE, '▒', "unknown"), (BAD, '░', "plaintext")];
    let whole: u64 = parts.iter().sum();
    let mut bar = String::from("  ");
    let mut legend = String::from("  ");
    for ((part, cells), (style, block, word)) in parts.iter().zip(cells(&parts, BAR)).zip(styles) {
        bar += &format!("{style}{}{style:#}", block.to_string().repeat(cells));
        let share = percent(super::ratio(*part, whole));
        legend += &format!("{style}{block}{style:#} {word} {share}   ");
    }
    format!("{bar}\n{}\n", legend.trim_end())
}

/// Divides `width` cells in proportion to `parts`; a part that is not zero gets at least one.
fn cells<const N: usize>(parts: &[u64; N], width: usize) -> [usize; N] {
    let whole: u128 = parts.iter().map(|part| u128::from(*part)).sum();
    let mut cells = parts.map(|part| match whole {
        0 => 0,
        _ => usize::from(part > 0).max((u128::from(part) * width as u128 / whole) as usize),
    });
    let used: usize = cells.iter().sum();
    if let Some(largest) = cells.iter_mut().max().filter(|_| whole > 0) {
        *largest = (*largest + width).saturating_sub(used);
    }
    cells
}

/// The classes and the share in every unit.
fn units(report: &Report) -> String {
    let coverage = &report.coverage;
    let classes = &coverage.totals.classes;
    let mut text = format!(
        "{TITLE}  {:<14}{:>12}{:>12}{:>12}{:>12}{:>16}{TITLE:#}\n",
        "", "encrypted", "plaintext", "unknown", "control", "share, bounds"
    );
    type Part = (&'static str, fn(&Units) -> u64, fn(u64) -> String);
    let rows: [(Part, &Share); 4] = [
        (("wire bytes", |units| units.wire_bytes, bytes), &coverage.by_unit.wire_bytes),
        (("payload bytes", |units| units.payload_bytes, bytes), &coverage.by_unit.payload_bytes),
        (("packets", |units| units.packets, count), &coverage.by_unit.packets),
        (("flows", |units| units.flows, count), &coverage.by_unit.flows),
    ];
    for ((name, unit, show), share) in rows {
        let [encrypted, plaintext, unknown, control] =
            [classes.encrypted, classes.plaintext, classes.unknown, classes.control].map(|units| show(unit(&units)));
        let bounds = match (share.lower, share.upper) {
            (Some(lower), Some(upper)) if lower != upper => {
                format!("{}..{}", percent(Some(lower)).trim_end_matches('%'), percent(Some(upper)))
            }
            (lower, _) => percent(lower),
        };
        text += &format!("  {name:<14}{encrypted:>12}{plaintext:>12}{unknown:>12}{control:>12}{bounds:>16}\n");
    }
    let content = &coverage.unknown_content;
    let whole = classes.unknown.wire_bytes;
    if whole > 0 {
        let [random, words] =
            [content.looks_random, content.looks_text].map(|units| percent(super::ratio(units.wire_bytes, whole)));
        text +=
            &wrap(&format!("Of the unknown bytes {random} look random and {words} like text: information only."), 2);
    }
    let web = &coverage.web_share;
    if web.wire_bytes.is_some() {
        text += &format!(
            "\n  Web share (HTTPS and QUIC against HTTP): {} of bytes, {} of flows.\n",
            percent(web.wire_bytes),
            percent(web.flows)
        );
    }
    let attempted = &coverage.attempted;
    if attempted.flows > 0 {
        text += &wrap(
            &format!(
                "{} ({}) only attempted encryption: the handshake was never completed.",
                counted(attempted.flows, "flow"),
                bytes(attempted.wire_bytes)
            ),
            2,
        );
    }
    text
}

/// How the traffic is spread over flows, hosts and clients.
fn spread(report: &Report) -> String {
    let Coverage { concentration, clients, .. } = &report.coverage;
    let mut text = String::new();
    if let Some(flows) = concentration.flows.share {
        let senders = concentration.hosts.share;
        let senders = senders.map(|share| format!(", the ten largest senders sent {}", percent(Some(share))));
        let words = format!(
            "The ten largest flows make up {} of the bytes{}.",
            percent(Some(flows)),
            senders.unwrap_or_default()
        );
        text += &wrap(&words, 2);
    }
    // One client alone says what was said of all bytes.
    if let Some(median) = clients.median.filter(|_| clients.clients > 1) {
        text += &wrap(
            &format!(
                "The client in the middle of {} encrypts {} of its bytes; of all bytes together {} are encrypted.",
                count(clients.clients),
                percent(Some(median)),
                percent(clients.ratio_of_sums)
            ),
            2,
        );
    } else if let Some(reason) = clients.reason.as_ref().filter(|_| clients.uncounted_captures > 0) {
        text += &wrap(&format!("No figure about hosts and clients: {}.", clean(reason)), 2);
    }
    text
}

/// Coverage in each interval; gaps are lines of their own.
fn over_time(report: &Report) -> String {
    const CELLS: usize = 36;
    let Some(stretches) = timeline::stretches(&report.timeline, MOST_STRETCHES).filter(|found| found.list.len() > 1)
    else {
        return String::new();
    };
    let mut text = heading("Over time", &format!("a line for {}, UTC", timeline::length(stretches.seconds)));
    let mut next = 0;
    for stretch in &stretches.list {
        if stretch.place > next {
            let gap = counted(stretch.place - next, "line");
            text += &format!("  {DIM}({gap} without traffic){DIM:#}\n");
        }
        next = stretch.place + 1;
        let [encrypted, unknown, plaintext] = cells(&stretch.classes, CELLS);
        text += &format!(
            "  {:<21}{GOOD}{}{GOOD:#}{UNSURE}{}{UNSURE:#}{BAD}{}{BAD:#}{:>8}{:>11}\n",
            timeline::clock(stretch.start_ns),
            "█".repeat(encrypted),
            "▒".repeat(unknown),
            "░".repeat(plaintext),
            percent(super::ratio(stretch.classes[0], stretch.whole())),
            bytes(stretch.whole()),
        );
    }
    text
}

/// Lines of the timeline.
const MOST_STRETCHES: u64 = 24;

/// Kinds of breakdown and their titles.
pub(super) const BREAKDOWNS: [(&str, &str); 7] = [
    ("service", "by service (server port)"),
    ("direction", "by direction"),
    ("label", "by label"),
    ("vlan", "by VLAN"),
    ("asn", "by autonomous system"),
    ("country", "by country"),
    ("server_name", "by server name"),
];

/// Totals by what was asked for.
fn breakdowns(report: &Report) -> String {
    let mut text = String::new();
    for (by, title) in BREAKDOWNS {
        let rows: Vec<_> = report.breakdowns.iter().filter(|row| row.by == by).collect();
        if rows.is_empty() {
            continue;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text += &heading(&format!("Encrypted share {title}"), "bounds, wire bytes, clients");
        for row in rows.iter().take(MOST_ROWS) {
            let Bounds { lower, upper, .. } = row.encrypted_share;
            let share = match lower == upper {
                true => percent(lower),
                false => format!("{}..{}", percent(lower).trim_end_matches('%'), percent(upper)),
            };
            let totals = &row.totals;
            let whole: u64 =
                [totals.encrypted, totals.unknown, totals.plaintext].iter().map(|units| units.wire_bytes).sum();
            let clients = if row.clients >= 64 { "64+".to_owned() } else { count(row.clients) };
            text += &format!("  {:<38}{share:>16}{:>13}{clients:>9}\n", cut(&clean(&row.name), 37), bytes(whole));
        }
        text += &more(rows.len(), "row");
    }
    text
}

/// The first letters of a text that is too long for its column.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most - 1).chain(['…']).collect(),
    }
}

/// Levels under each policy, and why.
fn strength(report: &Report) -> String {
    let mut text = String::new();
    for policy in report.strength.iter().filter(|_| report.coverage.totals.classes.encrypted.packets > 0) {
        if !text.is_empty() {
            text.push('\n');
        }
        text += &heading(
            &format!("Strength under {}{} ({})", clean(&policy.policy), day(report, policy), clean(&policy.version)),
            &format!(
                "weak: {} of what could be graded, {} ungraded",
                percent(policy.weak_share.wire_bytes),
                bytes(policy.levels.ungraded.wire_bytes)
            ),
        );
        text += &levels(&policy.levels);
        text += &hidden(report, &policy.levels.ungraded);
        let against: Vec<_> = policy.reasons.iter().filter(|reason| AGAINST.contains(&reason.level.as_str())).collect();
        if !against.is_empty() {
            text += &format!("\n  {DIM}why (a flow counts under every reason that applies){DIM:#}\n");
        }
        for reason in against.iter().take(MOST_ROWS) {
            let what = format!("{} ({})", clean(&reason.reason), first_source(&reason.source));
            let who = format!("{:<12}{:>14}  ", clean(&reason.level), counted(reason.totals.flows, "flow"));
            text += &hang(&who, &what);
        }
        text += &more(against.len(), "reason");
    }
    text
}

/// Why encrypted traffic is ungraded.
fn hidden(report: &Report, ungraded: &Units) -> String {
    let mut rows: Vec<(String, u64)> =
        report.coverage.hidden.iter().map(|row| (row.name.replace('_', " "), row.totals.wire_bytes)).collect();
    let known: u64 = rows.iter().map(|(_, wire_bytes)| wire_bytes).sum();
    rows.push(("not in the policy".to_owned(), ungraded.wire_bytes.saturating_sub(known)));
    let rows = rows.iter().filter(|(_, wire_bytes)| *wire_bytes > 0);
    let words: Vec<String> = rows.map(|(name, wire_bytes)| format!("{} {}", clean(name), bytes(*wire_bytes))).collect();
    if words.is_empty() { String::new() } else { hang("ungraded: ", &words.join(", ")) }
}

/// The day of the rules, where the report has a policy at several.
fn day(report: &Report, policy: &PolicyStrength) -> String {
    let same = report.strength.iter().filter(|other| other.policy == policy.policy).count();
    let date = policy.date.as_deref().filter(|_| same > 1);
    date.map(|date| format!(" as of {}", clean(date))).unwrap_or_default()
}

/// Levels whose reasons are shown: why something is strong is in the report itself.
const AGAINST: [&str; 2] = ["broken", "weak"];

/// The first of the sources of a rule, without remarks.
fn first_source(source: &str) -> String {
    let first = source.split(';').next().unwrap_or_default();
    clean(first.split(" (").next().unwrap_or_default())
}

fn levels(levels: &Levels) -> String {
    let rows = levels.named();
    let whole: u64 = rows.iter().map(|(_, units)| units.wire_bytes).sum();
    let mut text = String::new();
    for ((name, units), style) in rows.into_iter().zip([GOOD, GOOD, UNSURE, BAD, DIM]) {
        let [cells, _] = cells(&[units.wire_bytes, whole.saturating_sub(units.wire_bytes)], 30);
        text += &format!(
            "  {name:<12}{style}{}{style:#}{}{:>7}{:>11}{:>14}\n",
            "█".repeat(cells),
            " ".repeat(30 - cells),
            percent(super::ratio(units.wire_bytes, whole)),
            bytes(units.wire_bytes),
            counted(units.flows, "flow"),
        );
    }
    text
}

/// The distributions that say most, one line each.
fn tls(report: &Report) -> String {
    let tls = &report.tls;
    let flows: u64 = tls.versions.iter().map(|row| row.flows).sum();
    if flows == 0 {
        return String::new();
    }
    let mut text = heading("TLS, DTLS and QUIC handshakes", &format!("by flows, {} negotiated", count(flows)));
    text += &listed("versions", tls.versions.iter().map(|row| (row.name.as_str(), row.flows)));
    text += &listed("suites", tls.cipher_suites.iter().map(|row| (row.name.as_str(), row.flows)));
    text += &listed("groups", tls.groups.iter().map(|row| (row.name.as_str(), row.flows)));
    let answers = [
        ("forward secrecy", &tls.forward_secrecy),
        ("post-quantum", &tls.post_quantum),
        ("resumed", &tls.resumption),
        ("name in clear", &tls.sni_in_clear),
    ];
    let known = |answer: &crate::tally::YesNo| answer.yes.flows + answer.no.flows;
    let shown = answers.iter().filter(|(_, answer)| known(answer) > 0);
    text += &listed_texts(
        "properties",
        shown.map(|(name, answer)| format!("{name} {}", percent(super::ratio(answer.yes.flows, known(answer))))),
    );
    text
}

fn listed<'a>(title: &str, rows: impl Iterator<Item = (&'a str, u64)> + Clone) -> String {
    let whole: u64 = rows.clone().map(|(_, flows)| flows).sum();
    let all = rows.clone().count();
    let rest: u64 = rows.clone().skip(MOST_LISTED).map(|(_, flows)| flows).sum();
    let mut texts: Vec<String> = rows
        .take(MOST_LISTED)
        .map(|(name, flows)| format!("{} {}", clean(name), percent(super::ratio(flows, whole))))
        .collect();
    if all > MOST_LISTED {
        texts.push(format!("{} others {}", all - MOST_LISTED, percent(super::ratio(rest, whole))));
    }
    listed_texts(title, texts.into_iter())
}

fn listed_texts(title: &str, texts: impl Iterator<Item = String>) -> String {
    let line = texts.collect::<Vec<_>>().join(", ");
    if line.is_empty() { String::new() } else { hang(&format!("{title:<12}"), &line) }
}

/// Protocols that ran in clear.
fn clear(report: &Report) -> String {
    let rows: Vec<_> = report.protocols.iter().filter(|row| row.class == "plaintext").collect();
    if rows.is_empty() {
        return String::new();
    }
    let whole = report.coverage.totals.classes.plaintext.wire_bytes;
    let upgraded: Vec<&str> = report.protocols.iter().filter_map(|row| row.upgraded_from.as_deref()).collect();
    let mut text = heading("Protocols in clear", &bytes(whole));
    for row in rows.iter().take(MOST_ROWS) {
        let flows = match row.totals.flows {
            0 if upgraded.contains(&row.name.as_str()) => "before an upgrade".to_owned(),
            0 => "no flow".to_owned(),
            flows => counted(flows, "flow"),
        };
        let name_only = if protects_in_name_only(&row.name) { ", in name only" } else { "" };
        text += &format!(
            "  {:<24}{BAD}{:>7}{BAD:#} of plaintext{:>12}{flows:>20}\n",
            clean(&row.name) + name_only,
            percent(super::ratio(row.totals.wire_bytes, whole)),
            bytes(row.totals.wire_bytes),
        );
    }
    text + &more(rows.len(), "protocol")
}

fn findings(report: &Report) -> String {
    if report.findings.is_empty() {
        return String::new();
    }
    let mut text = heading("Findings", "what weakens encryption, and what to do");
    for finding in &report.findings {
        let what = format!(
            "{} ({}, {}): {}.",
            clean(&finding.what),
            counted(finding.totals.flows, "flow"),
            bytes(finding.totals.wire_bytes),
            clean(&finding.advice)
        );
        text += &hang(&format!("{:<8}", clean(&finding.severity)), &what);
    }
    text
}

/// What was not seen, with what to do about it; nothing when there is nothing.
fn losses(report: &Report) -> String {
    let quality = &report.quality;
    let mut lines = String::new();
    for loss in Loss::ALL {
        let number = quality.losses.get(loss.name()).copied().unwrap_or_default();
        if number > 0 {
            let (what, advice) = loss_words(loss);
            lines += &hang(&format!("{:>10}  ", count(number)), &format!("{what}. {advice}"));
        }
    }
    if lines.is_empty() {
        return lines;
    }
    let undecoded = &report.coverage.totals.undecoded;
    let outside = match undecoded.packets {
        0 => String::new(),
        packets => format!("{}, {} outside every share", counted(packets, "frame"), bytes(undecoded.wire_bytes)),
    };
    heading("Seen less well than the wire carried it", &outside) + &lines
}

/// A loss in plain words, and what to do about it.
pub(super) fn loss_words(loss: Loss) -> (&'static str, &'static str) {
    match loss {
        Loss::UnsupportedLink => ("frames of a link type that is not read", "They are in no share."),
        Loss::MalformedHeader => ("frames with a header that contradicts itself", "They are in no share."),
        Loss::HeaderCutShort => ("frames cut before their headers ended", "Capture with a larger snap length."),
        Loss::FramesCutShort => ("frames kept only in part", "Original lengths are counted all the same."),
        Loss::HandshakeCutShort => {
            ("flows whose first bytes were cut", "Capture with a larger snap length to have them recognised.")
        }
        Loss::MissingSegments => ("gaps in TCP streams", "Look for drops at the capturing machine."),
        Loss::UnmatchedFragments => ("IP fragments without the rest of their packet", "They count as unknown."),
        Loss::ConflictingSegments => {
            ("TCP segments that repeat bytes with other content", "The first content is believed.")
        }
        Loss::TunnelsTooDeep => ("frames in tunnels nested too deep", "They count at the depth that was reached."),
        Loss::EvictedFlows => ("flows closed early to save memory", "Raise --max-memory."),
        Loss::OneSidedFlows => ("TCP flows seen in one direction only", "Capture where both directions pass."),
        Loss::MidstreamFlows => ("TCP flows already running at the start", "A longer capture sees more handshakes."),
        Loss::InterfaceDrops => {
            ("packets dropped while capturing", "The shares may be off by them; capture on a faster disk.")
        }
        Loss::ClockJumps => ("steps back in time", "Check the clocks, or the order of merged files."),
        Loss::WithoutTimestamp => ("frames without a time", ""),
        Loss::CaptureCutShort => ("captures that end inside a record", "What came before is in the report."),
        Loss::SkippedBlocks => ("blocks of the file that were not understood", "They were skipped."),
        Loss::Interrupted => ("captures not read to their end: the program was interrupted", "Read them again."),
        Loss::ForgottenAnnouncements => {
            ("announcements of other flows that were not kept", "Allow more memory with --max-memory.")
        }
        Loss::UnwatchedShares => (
            "flows whose server's public value was not compared with others",
            "Allow more memory with --max-memory; repeated values may be more than counted.",
        ),
        Loss::Unfinished => ("captures that were still being read", "What comes later is in the next report."),
    }
}

fn footer(report: &Report) -> String {
    format!(
        "{DIM}{} {}; `--format json` has every figure and its definition.{DIM:#}\n",
        clean(&report.tool.name),
        clean(&report.tool.version)
    )
}

/// Rows of a table that are shown before the rest is counted.
const MOST_ROWS: usize = 10;
/// Values of a distribution that are shown on its line.
const MOST_LISTED: usize = 4;

fn more(rows: usize, word: &str) -> String {
    match rows.saturating_sub(MOST_ROWS) {
        0 => String::new(),
        rest => format!("  {DIM}and {}{DIM:#}\n", counted(rest as u64, &format!("more {word}"))),
    }
}

/// A title at the left and a remark at the right end of the line.
fn heading(title: &str, remark: &str) -> String {
    let gap = WIDTH.saturating_sub(title.chars().count() + remark.chars().count());
    if gap < 2 {
        return format!("{TITLE}{title}{TITLE:#}\n  {DIM}{remark}{DIM:#}\n");
    }
    format!("{TITLE}{title}{TITLE:#}{}{DIM}{remark}{DIM:#}\n", " ".repeat(gap))
}

/// `start`, then `words` wrapped with the later lines below their first.
fn hang(start: &str, words: &str) -> String {
    let indent = 2 + start.chars().count();
    let wrapped = wrap(words, indent);
    format!("  {start}{}", wrapped.get(indent..).unwrap_or_default())
}

/// `words` in lines of at most [`WIDTH`], each after `indent` spaces. A longer word has a line of its own.
fn wrap(words: &str, indent: usize) -> String {
    let mut text = String::new();
    let mut line = String::new();
    for word in words.split_whitespace() {
        if !line.is_empty() && indent + line.chars().count() + 1 + word.chars().count() > WIDTH {
            text += &format!("{}{line}\n", " ".repeat(indent));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line += word;
    }
    text + &format!("{}{line}\n", " ".repeat(indent))
}

/// A text from a file or report without what could steer a terminal.
fn clean(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}
