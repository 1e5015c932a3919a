//! Checks as SARIF 2.1.0, the form that code scanning shows: each failed rule is a result.
//!
//! Source: OASIS "Static Analysis Results Interchange Format (SARIF) Version 2.1.0" sections 3.13 (sarifLog), 3.14 (run),
//! 3.19 (toolComponent), 3.27 (result), 3.29 (physicalLocation). Results point at the report, since a capture has no lines.

use std::io::{self, Write};

use serde::Serialize;

use super::Checked;

/// Writes `checked`, the rules that the report at `path` was held against.
///
/// # Errors
/// When writing fails.
pub fn write(checked: &[Checked], path: &str, out: &mut dyn Write) -> io::Result<()> {
    let mut ids: Vec<&'static str> = checked.iter().map(|rule| rule.rule).collect();
    ids.sort_unstable();
    ids.dedup();
    let results = checked.iter().filter(|rule| !rule.passed).map(|rule| Finding {
        rule_id: rule.rule,
        rule_index: ids.iter().position(|id| *id == rule.rule).unwrap_or_default(),
        level: "error",
        message: Message { text: format!("{}: {}", rule.name(), rule.line) },
        locations: [Location {
            physical_location: PhysicalLocation {
                artifact_location: ArtifactLocation { uri: uri(path) },
                region: Region { start_line: 1 },
            },
        }],
    });
    let results = results.collect();
    let rules =
        ids.iter().map(|id| RuleEntry { id, short_description: Message { text: about(id).to_owned() } }).collect();
    let log = Log {
        schema: "https://json.schemastore.org/sarif-2.1.0.json",
        version: "2.1.0",
        runs: [Run {
            tool: Tool { driver: Driver { name: "tlscov", version: env!("CARGO_PKG_VERSION"), rules } },
            results,
        }],
    };
    serde_json::to_writer_pretty(&mut *out, &log)?;
    writeln!(out)
}

/// What a rule asks, in one sentence.
fn about(rule: &str) -> &'static str {
    match rule {
        "min-encrypted" => "The lower bound of the encrypted share reaches its limit.",
        "max-plaintext" => "The share recognised in clear stays within its limit.",
        "max-unknown" => "The unknown share stays within its limit.",
        "max-weak" => "The weak share stays within its limit.",
        "max-ungraded" => "The ungraded part of the encrypted traffic stays within its limit.",
        "no-finding" => "Nothing of this kind was found.",
        "no-plaintext" => "This protocol was not seen in clear.",
        _ => "The report is no worse than its baseline.",
    }
}

/// The path as a URI reference (RFC 3986): every byte that is not unreserved or a slash is percent-encoded.
fn uri(path: &str) -> String {
    if path == "-" {
        return "stdin".to_owned();
    }
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => uri.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => uri.push(char::from(byte)),
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

#[derive(Serialize)]
struct Log {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run; 1],
}

#[derive(Serialize)]
struct Run {
    tool: Tool,
    results: Vec<Finding>,
}

#[derive(Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Serialize)]
struct Driver {
    name: &'static str,
    version: &'static str,
    rules: Vec<RuleEntry>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RuleEntry {
    id: &'static str,
    short_description: Message,
}

#[derive(Serialize)]
struct Message {
    text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Finding {
    rule_id: &'static str,
    rule_index: usize,
    level: &'static str,
    message: Message,
    locations: [Location; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: PhysicalLocation,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: ArtifactLocation,
    region: Region,
}

#[derive(Serialize)]
struct ArtifactLocation {
    uri: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: u32,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn only_failures_are_results() {
        let checked = [
            Checked::new("no-plaintext", true, "not seen".to_owned()).about("telnet"),
            Checked::new("min-encrypted", false, "70% of 72%".to_owned()),
            Checked::new("no-plaintext", false, "seen".to_owned()).about("http"),
        ];
        let mut out = Vec::new();
        write(&checked, "my reports/ä.json", &mut out).unwrap();
        let log: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(log["version"], "2.1.0");
        let run = &log["runs"][0];
        assert_eq!(run["tool"]["driver"]["rules"][1]["id"], "no-plaintext");
        let results = run["results"].as_array().unwrap();
        assert_eq!(results.len(), 2);
        assert_eq!(
            results[1],
            json!({
                "ruleId": "no-plaintext",
                "ruleIndex": 1,
                "level": "error",
                "message": {"text": "no-plaintext http: seen"},
                "locations": [{"physicalLocation": {
                    "artifactLocation": {"uri": "my%20reports/%C3%A4.json"},
                    "region": {"startLine": 1},
                }}],
            })
        );
    }
}
