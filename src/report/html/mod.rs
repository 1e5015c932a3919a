//! The report as a page: one HTML file with its own styles and charts, no script and no network.
//!
//! [`page`] says what stands on it, [`chart`] draws, `report.html` and `report.css` are how it looks. Names from captures
//! are hostile input: the template escapes every text, the charts escape theirs, and a content security policy forbids the
//! page to load or run anything even so.

mod chart;
mod page;
mod timeline;
mod trend;

use std::io::{self, Write};

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Value};
use serde::Serialize;

use super::trend::Point;
use super::{Definition, Report};
use page::Page;
use trend::TrendPage;

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    fill(
        concat!(include_str!("macros.html"), include_str!("head.html"), include_str!("report.html")),
        &Page::new(report),
        out,
    )
}

/// Writes a series of reports that were made by `definition`.
pub(super) fn write_trend(points: &[Point], definition: &Definition, out: &mut dyn Write) -> io::Result<()> {
    let page = TrendPage::new(points, definition);
    fill(concat!(include_str!("macros.html"), include_str!("head.html"), include_str!("trend.html")), &page, out)
}

fn style() -> Value {
    Value::from_safe_string(include_str!("report.css").to_owned())
}

fn fill<P: Serialize>(template: &str, page: &P, out: &mut dyn Write) -> io::Result<()> {
    let mut templates = Environment::new();
    templates.set_auto_escape_callback(|_| AutoEscape::Html);
    let page = templates
        .template_from_named_str("report.html", template)
        .and_then(|template| template.render(Serde(page)))
        .map_err(io::Error::other)?;
    // Control characters are no text in HTML, and stray ones would end up in the terminal of who looks at the source.
    let page: String =
        page.chars().map(|letter| if stray(letter) { char::REPLACEMENT_CHARACTER } else { letter }).collect();
    out.write_all(page.as_bytes())?;
    out.write_all(b"\n")
}

fn stray(letter: char) -> bool {
    letter.is_control() && letter != '\n'
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;
    use crate::report::Capture;
    use crate::tally::Tally;
    use crate::tally::testing::office_tally;

    fn capture(name: &str) -> Capture {
        Capture {
            name: name.to_owned(),
            format: "pcap".to_owned(),
            link_types: vec![1],
            packets: 363,
            wire_bytes: 60_180,
            captured_bytes: 60_180,
            first: Some("2018-08-01T00:00:00.000001Z".to_owned()),
            last: Some("2018-08-01T00:00:01.5Z".to_owned()),
            sha256: None,
        }
    }

    fn office() -> Report {
        let mut report = Report::new(&office_tally());
        report.captures = vec![capture("office.pcap")];
        report
    }

    fn html(report: &Report) -> String {
        let mut out = Vec::new();
        write(report, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_page_says_what_the_report_says() {
        let page = html(&office());
        for words in [
            "<title>53.1% encrypted: office.pcap</title>",
            "<b>53.1%</b> of the traffic is encrypted",
            "at least 53.1% and at most 71.3%",
            "bounds 53.1% to 71.3%",
            "No error bar: ",
            "2018-08-01 00:00:00 to 2018-08-01 00:00:01 UTC",
            "Under bcp195 (",
            "TLS_AES_128_GCM_SHA256",
            "tls, encrypted in name only",
            "Web pages and APIs were fetched over HTTP in clear.",
            "encrypted &#x2f; (encrypted + plaintext + unknown)",
            "Encrypted share of wire bytes: 53.1% (bounds 53.1% to 71.3%)",
        ] {
            assert!(page.contains(words), "{words}\n{page}");
        }
        assert!(page.contains("id=\"timeline\""));
        let mut report = office();
        report.timeline.intervals.clear();
        assert!(!html(&report).contains("id=\"timeline\""), "a report without a timeline has no chart of it");
    }

    #[test]
    fn the_error_bar_is_drawn_when_there_is_one() {
        let mut report = office();
        report.coverage.encrypted_share.ci95 = Some([0.4, 0.66]);
        let page = html(&report);
        assert!(page.contains("95% interval 40.0% to 66.0%") && page.contains("x1=\"40.00%\" x2=\"66.00%\""));
    }

    #[test]
    fn hostile_names_stay_text() {
        let evil = "</title><script>alert(1)</script><img src=x onerror=\"alert(2)\">'\u{1b}[2J\u{0}";
        let mut report = office();
        report.captures = vec![capture(evil)];
        report.protocols[0].name = evil.to_owned();
        for row in &mut report.protocols {
            row.class = "plaintext".to_owned();
            row.name = evil.to_owned();
        }
        for row in &mut report.tls.versions {
            row.name = evil.to_owned();
        }
        for finding in &mut report.findings {
            finding.what = evil.to_owned();
            finding.severity = evil.to_owned();
        }
        report.strength[0].policy = evil.to_owned();
        report.strength[0].reasons[0].reason = evil.to_owned();
        report.definition.interval = evil.to_owned();
        let page = html(&report);
        for markup in ["<script", "<img", "onerror=\"", "\u{1b}", "\u{0}"] {
            assert!(!page.contains(markup), "{markup:?}");
        }
        assert!(page.contains("&lt;script&gt;alert(1)"));
    }

    #[test]
    fn nothing_is_loaded_and_nothing_runs() {
        let page = html(&office());
        for loading in ["<script", "<link", "<img", "<iframe", " src=", "@import", "javascript:", "http://", "https://"]
        {
            assert!(!page.contains(loading), "{loading}");
        }
        assert_eq!(page.matches("url(").count(), page.matches("url(#hatch)").count(), "patterns of the page itself");
        assert!(page.contains("default-src 'none'"));
    }

    #[test]
    fn a_large_report_stays_a_small_page() {
        let mut report = office();
        report.captures = (0..5000).map(|number| capture(&format!("{}{number}.pcap", "long/".repeat(500)))).collect();
        for rows in [&mut report.tls.cipher_suites, &mut report.tls.groups, &mut report.tls.versions] {
            let row = rows[0].clone();
            rows.resize(400, row);
        }
        let row = report.protocols[0].clone();
        report.protocols.resize(2000, row);
        let page = html(&report);
        assert!(page.len() < 300_000, "{} bytes", page.len());
        assert!(page.contains("The first 60 of 5000 captures") && page.contains("389 others"));
    }

    #[test]
    fn a_report_of_nothing_is_a_page() {
        let page = html(&Report::new(&Tally::default()));
        assert!(page.contains("Nothing to measure") && page.ends_with("</html>\n"));
    }
}
