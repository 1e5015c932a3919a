//! Prometheus text format, for the textfile collector of node_exporter: copy the file whole into its folder, with a name
//! that ends in `.prom`.
//!
//! Source: Prometheus "Text-based exposition format" 0.0.4. Everything is a gauge: a report is a reading, not a counter
//! that goes on. There are no timestamps, which the textfile collector refuses.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::Report;
use super::layout::*;
use crate::model::Units;

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut text = String::new();
    for part in [about, coverage, strength, tls, protocols, findings, quality] {
        for metric in part(report) {
            metric.write(&mut text);
        }
    }
    out.write_all(text.as_bytes())
}

/// One metric and all its samples, which the format wants together.
struct Metric {
    name: &'static str,
    help: &'static str,
    samples: Vec<(Vec<(&'static str, String)>, String)>,
}

impl Metric {
    fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, help, samples: Vec::new() }
    }

    fn add<const N: usize>(&mut self, labels: [(&'static str, &str); N], value: impl ToString) {
        let labels = labels.map(|(name, text)| (name, text.to_owned())).into();
        self.samples.push((labels, value.to_string()));
    }

    /// A share that cannot be told has no sample.
    fn add_share<const N: usize>(&mut self, labels: [(&'static str, &str); N], share: Option<f64>) {
        if let Some(share) = share {
            self.add(labels, share);
        }
    }

    fn write(&self, text: &mut String) {
        if self.samples.is_empty() {
            return;
        }
        let _ = write!(text, "# HELP {} {}\n# TYPE {} gauge\n", self.name, self.help, self.name);
        for (labels, value) in &self.samples {
            let labels: Vec<_> = labels.iter().map(|(name, text)| format!("{name}=\"{}\"", escape(text))).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let _ = writeln!(text, "{}{labels} {value}", self.name);
        }
    }
}

fn about(report: &Report) -> Vec<Metric> {
    let mut info = Metric::new("tlscov_report_info", "The program and schema of the report; always 1.");
    info.add([("version", &report.tool.version), ("schema", &report.schema_version)], 1);
    let mut captures = Metric::new("tlscov_captures", "Captures in the report.");
    captures.add([], report.captures.len());
    vec![info, captures]
}

fn coverage(report: &Report) -> Vec<Metric> {
    let coverage = &report.coverage;
    let mut value = Metric::new("tlscov_encrypted_ratio", "Encrypted / (encrypted + plaintext + unknown).");
    let mut lower =
        Metric::new("tlscov_encrypted_lower_ratio", "The encrypted share if all unknown traffic were plaintext.");
    let mut upper =
        Metric::new("tlscov_encrypted_upper_ratio", "The encrypted share if all unknown traffic were encrypted.");
    for (unit, share) in coverage.by_unit.named() {
        value.add_share([("unit", unit)], share.value);
        lower.add_share([("unit", unit)], share.lower);
        upper.add_share([("unit", unit)], share.upper);
    }
    let mut web = Metric::new("tlscov_web_ratio", "HTTPS and QUIC web traffic / (that and HTTP in clear).");
    web.add_share([("unit", "wire_bytes")], coverage.web_share.wire_bytes);
    web.add_share([("unit", "flows")], coverage.web_share.flows);
    let mut metrics = vec![value, lower, upper, web];
    let classes = &coverage.totals.classes;
    let classes = [
        ("encrypted", classes.encrypted),
        ("plaintext", classes.plaintext),
        ("unknown", classes.unknown),
        ("control", classes.control),
    ];
    type Total = (&'static str, &'static str, fn(&Units) -> u64);
    let totals: [Total; 4] = [
        ("tlscov_wire_bytes", "Original frame lengths by class.", |units| units.wire_bytes),
        ("tlscov_payload_bytes", "Transport payload by class.", |units| units.payload_bytes),
        ("tlscov_packets", "Frames by class.", |units| units.packets),
        ("tlscov_flows", "Flows by class.", |units| units.flows),
    ];
    for (name, help, unit) in totals {
        let mut metric = Metric::new(name, help);
        for (class, units) in &classes {
            metric.add([("class", class)], unit(units));
        }
        metrics.push(metric);
    }
    metrics
}

fn strength(report: &Report) -> Vec<Metric> {
    let mut weak = Metric::new("tlscov_weak_ratio", "(Weak + broken) / all that the policy graded.");
    let mut graded =
        Metric::new("tlscov_graded_ratio", "The part of the encrypted traffic that the policy could grade.");
    let mut bytes = Metric::new("tlscov_strength_wire_bytes", "Encrypted wire bytes by level under a policy.");
    let mut flows = Metric::new("tlscov_strength_flows", "Encrypted flows by level under a policy.");
    for policy in &report.strength {
        let name = policy.policy.as_str();
        for (unit, share) in policy.weak_share.named() {
            weak.add_share([("policy", name), ("unit", unit)], *share);
        }
        for (unit, share) in policy.graded_share.named() {
            graded.add_share([("policy", name), ("unit", unit)], *share);
        }
        for (level, units) in policy.levels.named() {
            bytes.add([("policy", name), ("level", level)], units.wire_bytes);
            flows.add([("policy", name), ("level", level)], units.flows);
        }
    }
    vec![weak, graded, bytes, flows]
}

fn tls(report: &Report) -> Vec<Metric> {
    let codes = |name, help, rows: &[CodeRow]| {
        let mut metric = Metric::new(name, help);
        for row in rows {
            metric.add([("name", &row.name), ("code", &row.code)], row.flows);
        }
        metric
    };
    let tls = &report.tls;
    vec![
        codes("tlscov_tls_version_flows", "Flows by negotiated version.", &tls.versions),
        codes("tlscov_tls_cipher_suite_flows", "Flows by negotiated cipher suite.", &tls.cipher_suites),
        codes("tlscov_tls_group_flows", "Flows by negotiated group.", &tls.groups),
    ]
}

fn protocols(report: &Report) -> Vec<Metric> {
    let mut bytes = Metric::new("tlscov_protocol_wire_bytes", "Wire bytes by protocol and class.");
    let mut flows = Metric::new("tlscov_protocol_flows", "Flows by protocol and class.");
    for row in &report.protocols {
        // An empty label is the same as none: it is there when the protocol did not follow another.
        let from = row.upgraded_from.as_deref().unwrap_or_default();
        let labels = [("protocol", row.name.as_str()), ("class", &row.class), ("upgraded_from", from)];
        bytes.add(labels, row.totals.wire_bytes);
        flows.add(labels, row.totals.flows);
    }
    vec![bytes, flows]
}

fn findings(report: &Report) -> Vec<Metric> {
    let mut flows =
        Metric::new("tlscov_finding_flows", "Flows of each finding; a finding that is absent was not made.");
    for finding in &report.findings {
        flows.add([("finding", &finding.id), ("severity", &finding.severity)], finding.totals.flows);
    }
    vec![flows]
}

fn quality(report: &Report) -> Vec<Metric> {
    let mut losses =
        Metric::new("tlscov_loss", "What was seen less well than the wire carried it; the unit is in the kind.");
    for (kind, number) in &report.quality.losses {
        losses.add([("kind", kind)], number);
    }
    let mut undecoded = Metric::new("tlscov_undecoded_packets", "Frames outside every share.");
    undecoded.add([], report.coverage.totals.undecoded.packets);
    vec![losses, undecoded]
}

/// A label value as the format wants it.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::tally::testing::office_tally;

    fn text(report: &Report) -> String {
        let mut out = Vec::new();
        write(report, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// Name, labels and value of a sample, by the grammar of the format.
    fn sample(line: &str) -> Option<(&str, Vec<(String, String)>, f64)> {
        let name = &line[..line.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')?];
        let mut rest = &line[name.len()..];
        let mut labels = Vec::new();
        if let Some(inside) = rest.strip_prefix('{') {
            rest = inside;
            while !rest.starts_with('}') {
                let (label, after) = rest.strip_prefix(',').unwrap_or(rest).split_once("=\"")?;
                let mut value = String::new();
                let mut letters = after.char_indices();
                loop {
                    match letters.next()? {
                        (_, '\\') => value.push(match letters.next()?.1 {
                            'n' => '\n',
                            letter @ ('\\' | '"') => letter,
                            _ => return None,
                        }),
                        (end, '"') => {
                            rest = &after[end + 1..];
                            break;
                        }
                        (_, letter) => value.push(letter),
                    }
                }
                labels.push((label.to_owned(), value));
            }
            rest = &rest[1..];
        }
        Some((name, labels, rest.strip_prefix(' ')?.parse().ok()?))
    }

    #[test]
    fn every_line_is_a_sample_of_the_metric_above_it() {
        let mut report = Report::new(&office_tally());
        report.protocols[0].name = "a\"b\\c\nd} 1".to_owned();
        let text = text(&report);
        assert!(text.ends_with('\n') && !text.contains("\n\n"));
        let (mut named, mut seen) = (BTreeSet::new(), BTreeSet::new());
        let mut metric = "";
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                metric = help.split_once(' ').unwrap().0;
                assert!(named.insert(metric), "{metric} stands in two places");
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                assert_eq!(kind, format!("{metric} gauge"));
            } else {
                let (name, labels, _) = sample(line).unwrap_or_else(|| panic!("{line}"));
                assert_eq!(name, metric, "{line}");
                assert!(seen.insert((name, labels.clone())), "{line} twice");
                if name == "tlscov_protocol_flows" && labels[0].1.starts_with('a') {
                    assert_eq!(labels[0].1, "a\"b\\c\nd} 1");
                }
            }
        }
        assert!(named.len() > 15, "{named:?}");
    }

    #[test]
    fn figures_are_those_of_the_report() {
        let text = text(&Report::new(&office_tally()));
        for line in [
            "tlscov_encrypted_ratio{unit=\"wire_bytes\"} 0.530909",
            "tlscov_encrypted_upper_ratio{unit=\"wire_bytes\"} 0.712727",
            "tlscov_web_ratio{unit=\"wire_bytes\"} 0.75",
            "tlscov_wire_bytes{class=\"encrypted\"} 29200",
            "tlscov_weak_ratio{policy=\"bcp195\",unit=\"flows\"} 0.25",
        ] {
            assert!(text.lines().any(|have| have == line), "{line}\n{text}");
        }
    }
}
