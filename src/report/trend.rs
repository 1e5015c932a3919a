//! Reports as a series: how the shares move from one to the next.
//!
//! Figures of different definitions are no series, so reports that were made by different definitions are refused, and the
//! keys that changed are named. The order is that of the earliest frames; reports without times come first, by name.

use std::fmt::Write as _;
use std::io;

use serde::Serialize;

use super::definition::Definition;
use super::layout::{Report, Share};
use super::number::percent;

/// One report of a series.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Name of the report, as it was given.
    pub report: String,
    /// Time of the earliest frame, RFC 3339; `None` when no frame has a time.
    pub first: Option<String>,
    /// Time of the latest frame.
    pub last: Option<String>,
    /// Captures that it is made of.
    pub captures: usize,
    /// Everything that was captured. Unit: bytes.
    pub wire_bytes: u64,
    /// The encrypted share, by wire bytes.
    pub encrypted_share: Share,
    /// The encrypted share, by flows.
    pub encrypted_flows: Share,
    /// The web share, by wire bytes.
    pub web_share: Option<f64>,
    /// The weak share under each policy, by wire bytes.
    pub weak_share: Vec<Weak>,
}

/// A weak share.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Weak {
    /// The policy.
    pub policy: String,
    /// (weak + broken) / graded.
    pub share: Option<f64>,
}

/// A series of named reports, oldest first.
///
/// # Errors
/// Which reports were made by different definitions, and what of it changed.
pub fn series(reports: &[(String, Report)]) -> Result<Vec<Point>, String> {
    let mut points: Vec<(&Report, Point)> =
        reports.iter().map(|(name, report)| (report, point(name, report))).collect();
    points.sort_by(|(_, a), (_, b)| (&a.first, &a.last, &a.report).cmp(&(&b.first, &b.last, &b.report)));
    for pair in points.windows(2) {
        let [(before, earlier), (after, later)] = pair else { continue };
        let changed = Definition::changes(&before.definition, &after.definition);
        if !changed.is_empty() {
            let keys: Vec<String> = changed.iter().map(|key| format!("definition.{key}")).collect();
            return Err(format!(
                "{} and {} are no series: {} changed between them",
                earlier.report,
                later.report,
                keys.join(", ")
            ));
        }
    }
    Ok(points.into_iter().map(|(_, point)| point).collect())
}

fn point(name: &str, report: &Report) -> Point {
    let times = |time: fn(&super::layout::Capture) -> Option<&String>| report.captures.iter().filter_map(time);
    Point {
        report: name.to_owned(),
        first: times(|capture| capture.first.as_ref()).min().cloned(),
        last: times(|capture| capture.last.as_ref()).max().cloned(),
        captures: report.captures.len(),
        wire_bytes: report.coverage.totals.all.wire_bytes,
        encrypted_share: report.coverage.encrypted_share.clone(),
        encrypted_flows: report.coverage.by_unit.flows.clone(),
        web_share: report.coverage.web_share.wire_bytes,
        weak_share: report
            .strength
            .iter()
            .map(|policy| Weak { policy: policy.policy.clone(), share: policy.weak_share.wire_bytes })
            .collect(),
    }
}

/// The series for people: one line a report, and what happened from each to the next.
#[must_use]
pub fn text(points: &[Point]) -> String {
    let mut text = String::new();
    let mut before: Option<&Point> = None;
    for point in points {
        let when = point.first.as_deref().map_or("no time", |time| time.get(..10).unwrap_or(time));
        let share = &point.encrypted_share;
        let bounds = match share.lower == share.upper {
            true => String::new(),
            false => format!(" (at most {})", percent(share.upper)),
        };
        let _ = writeln!(text, "{when}  {:>6}{bounds}  {}", percent(share.value), printable(&point.report));
        if let Some(before) = before {
            let _ = writeln!(text, "            {}", step(&before.encrypted_share, share));
        }
        before = Some(point);
    }
    if let [first, .., last] = points
        && points.len() > 2
    {
        let _ = writeln!(text, "overall     {}", step(&first.encrypted_share, &last.encrypted_share));
    }
    text
}

/// The series as a page of its own; `definition` is that of its reports.
///
/// # Errors
/// When writing fails.
pub fn html(points: &[Point], definition: &Definition, out: &mut dyn io::Write) -> io::Result<()> {
    super::html::write_trend(points, definition, out)
}

/// What happened from one share to the next, in words.
pub(super) fn step(before: &Share, after: &Share) -> String {
    let (Some(old), Some(new)) = (before.value, after.value) else {
        return "no share to compare, definition unchanged".to_owned();
    };
    let (old_text, new_text) = (percent(Some(old)), percent(Some(new)));
    let moved = match new.total_cmp(&old) {
        std::cmp::Ordering::Equal => format!("unchanged at {new_text}"),
        _ if old_text == new_text => format!("almost unchanged at {new_text}"),
        std::cmp::Ordering::Greater => format!("up from {old_text} to {new_text}"),
        std::cmp::Ordering::Less => format!("down from {old_text} to {new_text}"),
    };
    let doubt = match (before.upper, after.upper) {
        // The share is its own lower bound: what is unknown could be encrypted.
        (Some(old_upper), Some(new_upper)) if new > old && old_upper > new || new < old && new_upper > old => {
            ", within what is unknown"
        }
        _ => match (before.ci95, after.ci95) {
            (Some([_, high]), Some([low, _])) if new > old && high >= low => ", within the error bars",
            (Some([low, _]), Some([_, high])) if new < old && high >= low => ", within the error bars",
            _ => "",
        },
    };
    format!("{moved}, definition unchanged{doubt}")
}

/// The series as CSV: one row a report.
///
/// # Errors
/// When writing fails.
pub fn csv(points: &[Point], out: &mut dyn io::Write) -> io::Result<()> {
    let mut table = ::csv::Writer::from_writer(out);
    let policies: Vec<&str> =
        points.first().map_or(Vec::new(), |point| point.weak_share.iter().map(|weak| weak.policy.as_str()).collect());
    let mut header: Vec<String> = [
        "report",
        "first",
        "last",
        "captures",
        "wire_bytes",
        "encrypted_share",
        "lower",
        "upper",
        "ci95_lower",
        "ci95_upper",
        "encrypted_share_flows",
        "web_share",
    ]
    .map(str::to_owned)
    .to_vec();
    header.extend(policies.iter().map(|policy| format!("weak_share_{policy}")));
    table.write_record(&header)?;
    for point in points {
        let share = &point.encrypted_share;
        let number = |share: Option<f64>| share.map(|share| share.to_string()).unwrap_or_default();
        let mut row = vec![
            point.report.clone(),
            point.first.clone().unwrap_or_default(),
            point.last.clone().unwrap_or_default(),
            point.captures.to_string(),
            point.wire_bytes.to_string(),
            number(share.value),
            number(share.lower),
            number(share.upper),
            number(share.ci95.map(|[low, _]| low)),
            number(share.ci95.map(|[_, high]| high)),
            number(point.encrypted_flows.value),
            number(point.web_share),
        ];
        for policy in &policies {
            let weak = point.weak_share.iter().find(|weak| weak.policy == *policy);
            row.push(number(weak.and_then(|weak| weak.share)));
        }
        table.write_record(&row)?;
    }
    table.flush()
}

fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;
    use crate::model::{Class, Counts};
    use crate::tally::{CaptureEntry, Tally};

    fn report(day: i64, encrypted: u64, plaintext: u64, unknown: u64) -> Report {
        let counts = |wire_bytes| Counts { packets: 1, wire_bytes, payload_bytes: 0 };
        let mut tally = Tally::default();
        for (class, name, bytes) in [
            (Class::Encrypted, "macsec", encrypted),
            (Class::Plaintext, "netbios", plaintext),
            (Class::Unknown, "unknown", unknown),
        ] {
            if bytes > 0 {
                tally.add_frames(class, name, counts(bytes));
            }
        }
        let start = day * 86_400_000_000_000;
        tally.add_capture(CaptureEntry {
            name: "a.pcap".to_owned(),
            first_ns: Some(start),
            last_ns: Some(start + 1),
            ..CaptureEntry::default()
        });
        Report::new(&tally)
    }

    #[test]
    fn the_series_is_in_order_of_time() {
        let reports = [
            ("later.json".to_owned(), report(20, 723, 277, 0)),
            ("first.json".to_owned(), report(10, 701, 299, 0)),
            ("last.json".to_owned(), report(30, 723, 277, 0)),
        ];
        let points = series(&reports).unwrap();
        let want = "1970-01-11   70.1%  first.json\n1970-01-21   72.3%  later.json\n            \
                    up from 70.1% to 72.3%, definition unchanged\n1970-01-31   72.3%  last.json\n            \
                    unchanged at 72.3%, definition unchanged\n\
                    overall     up from 70.1% to 72.3%, definition unchanged\n";
        assert_eq!(text(&points), want);
        let mut out = Vec::new();
        csv(&points, &mut out).unwrap();
        let table = String::from_utf8(out).unwrap();
        assert!(
            table.contains(
                "\nfirst.json,1970-01-11T00:00:00Z,1970-01-11T00:00:00.000000001Z,1,1000,0.701,0.701,0.701,,,"
            )
        );
    }

    #[test]
    fn the_page_says_what_the_series_says() {
        let evil = "<script>alert(1)</script>.json".to_owned();
        let reports = [(evil, report(10, 701, 299, 0)), ("b.json".to_owned(), report(20, 723, 177, 100))];
        let points = series(&reports).unwrap();
        let mut out = Vec::new();
        html(&points, &reports[0].1.definition, &mut out).unwrap();
        let page = String::from_utf8(out).unwrap();
        for words in [
            "<b>72.3%</b> of the traffic is encrypted in the last report",
            "Over the whole series: up from 70.1% to 72.3%, definition unchanged.",
            "1970-01-11 · &lt;script&gt;",
            "72.3% to 82.3%",
            "encrypted &#x2f; (encrypted + plaintext + unknown)",
        ] {
            assert!(page.contains(words), "{words}\n{page}");
        }
        assert!(!["<script", "http://", "https://", " src=", "<link"].iter().any(|loading| page.contains(loading)));
        let many: Vec<Point> = points.iter().cycle().take(1000).cloned().collect();
        let mut out = Vec::new();
        html(&many, &reports[0].1.definition, &mut out).unwrap();
        assert!(out.len() < 300_000 && String::from_utf8(out).unwrap().contains("The latest 120 of 1000 reports"));
        let mut out = Vec::new();
        html(&points[..1], &reports[0].1.definition, &mut out).unwrap();
        assert!(String::from_utf8(out).unwrap().contains("One report is no series yet."));
    }

    #[test]
    fn steps_in_words() {
        let share = |value, upper, ci95| Share {
            value: Some(value),
            lower: Some(value),
            upper: Some(upper),
            ci95,
            ..Share::default()
        };
        let cases = [
            ("up", share(0.5, 0.5, None), share(0.6, 0.6, None), "up from 50.0% to 60.0%, definition unchanged"),
            ("down", share(0.6, 0.6, None), share(0.5, 0.5, None), "down from 60.0% to 50.0%, definition unchanged"),
            (
                "unknown",
                share(0.5, 0.7, None),
                share(0.6, 0.6, None),
                "up from 50.0% to 60.0%, definition unchanged, within what is unknown",
            ),
            (
                "unknown later",
                share(0.6, 0.6, None),
                share(0.5, 0.7, None),
                "down from 60.0% to 50.0%, definition unchanged, within what is unknown",
            ),
            (
                "bars",
                share(0.5, 0.5, Some([0.4, 0.58])),
                share(0.6, 0.6, Some([0.55, 0.7])),
                "up from 50.0% to 60.0%, definition unchanged, within the error bars",
            ),
            (
                "bars apart",
                share(0.5, 0.5, Some([0.4, 0.54])),
                share(0.6, 0.6, Some([0.55, 0.7])),
                "up from 50.0% to 60.0%, definition unchanged",
            ),
            (
                "tiny",
                share(0.5, 0.5, None),
                share(0.500_1, 0.500_1, None),
                "almost unchanged at 50.0%, definition unchanged",
            ),
            ("nothing", Share::default(), share(0.5, 0.5, None), "no share to compare, definition unchanged"),
        ];
        for (name, before, after, want) in cases {
            assert_eq!(step(&before, &after), want, "{name}");
        }
    }

    #[test]
    fn another_definition_breaks_the_series() {
        let mut other = report(20, 1, 1, 0);
        other.definition.denominator = "all frames".to_owned();
        let error = series(&[("a.json".to_owned(), report(10, 1, 1, 0)), ("b.json".to_owned(), other)]).unwrap_err();
        assert_eq!(error, "a.json and b.json are no series: definition.denominator changed between them");
    }
}
