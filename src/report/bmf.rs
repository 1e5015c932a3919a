//! Bencher Metric Format: shares with their bounds, for tracking over time.
//!
//! Source: Bencher documentation, "Bencher Metric Format (BMF)": an object of benchmarks, each an object of measures, each
//! with `value` and, when known, `lower_value` and `upper_value`. The benchmark is the unit, the measure the share.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::{Report, json};

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    json::write_pretty(&benchmarks(report), out)
}

#[derive(Serialize)]
struct Metric {
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    lower_value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upper_value: Option<f64>,
}

type Benchmarks = BTreeMap<&'static str, BTreeMap<String, Metric>>;

fn benchmarks(report: &Report) -> Benchmarks {
    let mut benchmarks = Benchmarks::new();
    let mut add = |unit, measure: &str, [value, lower_value, upper_value]: [Option<f64>; 3]| {
        if let Some(value) = value {
            let metric = Metric { value, lower_value, upper_value };
            benchmarks.entry(unit).or_default().insert(measure.to_owned(), metric);
        }
    };
    let coverage = &report.coverage;
    for (unit, share) in coverage.by_unit.named() {
        add(unit, "encrypted_share", [share.value, share.lower, share.upper]);
    }
    add("wire_bytes", "web_share", [coverage.web_share.wire_bytes, None, None]);
    add("flows", "web_share", [coverage.web_share.flows, None, None]);
    for policy in &report.strength {
        for (unit, share) in policy.weak_share.named() {
            add(unit, &format!("weak_share_{}", policy.policy), [*share, None, None]);
        }
    }
    benchmarks
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::tally::Tally;
    use crate::tally::testing::office_tally;

    fn object(tally: &Tally) -> Value {
        let mut out = Vec::new();
        write(&Report::new(tally), &mut out).unwrap();
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn shares_stand_with_their_bounds() {
        let object = object(&office_tally());
        let want = json!({"value": 0.530_909, "lower_value": 0.530_909, "upper_value": 0.712_727});
        assert_eq!(object["wire_bytes"]["encrypted_share"], want);
        assert_eq!(object["wire_bytes"]["web_share"], json!({"value": 0.75}));
        assert_eq!(object["flows"]["weak_share_bcp195"], json!({"value": 0.25}));
    }

    #[test]
    fn what_cannot_be_told_is_left_out() {
        assert_eq!(object(&Tally::default()), json!({}));
    }
}
