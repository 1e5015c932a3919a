//! Figures for github-action-benchmark, tool `customBiggerIsBetter`: every one is a share of which more is better.
//!
//! Source: github-action-benchmark, README, "customBiggerIsBetter": an array of `name`, `unit`, `value`, `range`, `extra`.

use std::io::{self, Write};

use serde::Serialize;

use super::number::percent;
use super::{Report, json, ratio};

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    json::write_pretty(&entries(report), out)
}

#[derive(Serialize)]
struct Entry {
    name: String,
    unit: &'static str,
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<String>,
    extra: String,
}

fn entries(report: &Report) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut add = |name: String, share: Option<f64>, range: Option<String>, extra: &str| {
        if let Some(share) = share {
            // Percent with the digits of the share: 0.75684 is 75.684.
            let value = (share * 1e6).round() / 1e4;
            entries.push(Entry { name, unit: "%", value, range, extra: extra.to_owned() });
        }
    };
    let coverage = &report.coverage;
    let units = &coverage.by_unit;
    for (unit, share) in [("wire bytes", &units.wire_bytes), ("flows", &units.flows)] {
        let range = format!("{} to {}", percent(share.lower), percent(share.upper));
        add(format!("Encrypted share of {unit}"), share.value, Some(range), &report.definition.encrypted_share);
    }
    let web = &coverage.web_share;
    add("Web share of wire bytes".to_owned(), web.wire_bytes, None, "HTTPS and QUIC / (that and HTTP in clear)");
    for policy in &report.strength {
        let sound = policy.weak_share.wire_bytes.map(|weak| 1.0 - weak);
        let extra = format!("(strong + acceptable) / graded; policy {}", policy.version);
        add(format!("Neither weak nor broken under {}", policy.policy), sound, None, &extra);
    }
    let secrecy = &report.tls.forward_secrecy;
    let share = ratio(secrecy.yes.flows, secrecy.yes.flows + secrecy.no.flows);
    add("Flows with forward secrecy".to_owned(), share, None, "of the handshakes in which it can be seen");
    entries
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::tally::Tally;
    use crate::tally::testing::office_tally;

    fn array(tally: &Tally) -> Value {
        let mut out = Vec::new();
        write(&Report::new(tally), &mut out).unwrap();
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn entries_have_name_unit_and_value() {
        let array = array(&office_tally());
        for entry in array.as_array().unwrap() {
            assert!(entry["name"].is_string() && entry["unit"].is_string() && entry["value"].is_number(), "{entry}");
        }
        assert_eq!(array[0]["name"], "Encrypted share of wire bytes");
        assert_eq!((&array[0]["value"], &array[0]["range"]), (&json!(53.0909), &json!("53.1% to 71.3%")));
        assert_eq!(array[2]["value"], json!(75.0));
    }

    #[test]
    fn what_cannot_be_told_is_left_out() {
        assert_eq!(array(&Tally::default()), json!([]));
    }
}
