//! Reports of flows made by hand, whose figures are worked out by hand.

use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::grade::Policy;
use crate::model::{Counts, Loss, Tunnel};
use crate::tally::CaptureEntry;
use crate::tally::testing::{office, office_tally};

fn value(report: &Report) -> Value {
    serde_json::to_value(report).unwrap()
}

/// The office with a capture, losses and a tunnel.
fn full() -> Tally {
    let mut tally = office_tally();
    tally.add_undecoded(Loss::MalformedHeader, Counts { packets: 3, wire_bytes: 180, payload_bytes: 0 });
    tally.add_loss(Loss::EvictedFlows, 2);
    tally.add_tunnel("gre", Counts { packets: 30, wire_bytes: 5000, payload_bytes: 0 });
    tally.add_capture(CaptureEntry {
        name: "office.pcap".to_owned(),
        first_ns: Some(1_533_081_600_000_001_000),
        last_ns: Some(1_533_081_601_500_000_000),
        format: "pcap".to_owned(),
        link_types: vec![1],
        packets: 363,
        wire_bytes: 60_180,
        captured_bytes: 60_180,
        sha256: None,
    });
    tally
}

#[test]
fn coverage_by_hand() {
    let report = value(&Report::new(&full()));
    let coverage = &report["coverage"];
    // 29,200 encrypted, 15,800 plaintext and 10,000 unknown wire bytes.
    assert_eq!(coverage["encrypted_share"]["value"], json!(0.530_909));
    assert_eq!(coverage["encrypted_share"]["lower"], json!(0.530_909));
    assert_eq!(coverage["encrypted_share"]["upper"], json!(0.712_727));
    assert_eq!(coverage["encrypted_share"]["ci95"], Value::Null);
    assert!(coverage["encrypted_share"]["ci95_reason"].as_str().unwrap().contains("an interval needs 30"));
    // 6 of 6 + 3 + 2 flows.
    assert_eq!(coverage["by_unit"]["flows"]["value"], json!(0.545_455));
    // 15,000 of 20,000 bytes of web traffic.
    assert_eq!(coverage["web_share"]["wire_bytes"], json!(0.75));
    assert_eq!(coverage["totals"]["undecoded"], json!({"packets": 3, "wire_bytes": 180}));
    assert_eq!(coverage["totals"]["all"]["wire_bytes"], json!(60_180));
    assert_eq!(coverage["totals"]["all"]["packets"], json!(363));
}

#[test]
fn evidence_floors_turn_what_is_weaker_into_unknown() {
    let report = Report::new(&full());
    let at = |floor: &str| {
        let row = report.coverage.by_evidence.iter().find(|row| row.floor == floor).unwrap();
        row.encrypted_share.wire_bytes
    };
    // Verified: the 5,000 bytes of QUIC, and nothing that is known to be plaintext.
    assert_eq!((at("verified").value, at("verified").upper), (Some(0.090_909), Some(1.0)));
    // Both sides of a handshake: 24,200 encrypted; in clear the NULL suite's 5,000 and the mail's 800.
    assert_eq!((at("handshake").value, at("handshake").upper), (Some(0.44), Some(0.894_545)));
    // Records in mid-stream as well.
    assert_eq!((at("framing").value, at("framing").upper), (Some(0.530_909), Some(0.894_545)));
    let headline = &report.coverage.encrypted_share;
    assert_eq!((at("association").value, at("association").upper), (headline.value, headline.upper));
}

#[test]
fn strength_levels_add_up_to_the_encrypted_total() {
    let report = Report::new(&full());
    let policy = &report.strength[0];
    let levels = &policy.levels;
    let mut sum = levels.strong;
    for level in [levels.acceptable, levels.weak, levels.broken, levels.ungraded] {
        sum.merge(&level);
    }
    assert_eq!(sum, report.coverage.totals.classes.encrypted);
    // Ungraded: the attempt and the flow in mid-stream. Weak: 5,000 of 19,200 graded bytes, one of four flows.
    assert_eq!(levels.ungraded.flows, 2);
    let hidden: Vec<_> = report.coverage.hidden.iter().map(|row| (&*row.name, row.totals.flows)).collect();
    assert_eq!(hidden, [("handshake_not_completed", 1), ("midstream", 1)]);
    assert_eq!(policy.weak_share.wire_bytes, Some(0.260_417));
    assert_eq!(policy.weak_share.flows, Some(0.25));
    assert!(policy.reasons.iter().all(|reason| !reason.source.is_empty() && !reason.reason.is_empty()));
}

#[test]
fn keys_stand_in_the_order_of_the_definition() {
    let report = value(&Report::new(&full()));
    let keys: Vec<_> = report.as_object().unwrap().keys().map(String::as_str).collect();
    let want = [
        "schema_version",
        "tool",
        "definition",
        "captures",
        "coverage",
        "strength",
        "tls",
        "post_quantum",
        "protocols",
        "upgrades",
        "findings",
        "timeline",
        "quality",
        "groups",
    ];
    assert_eq!(keys, want);
}

#[test]
fn nothing_in_a_report_names_a_host() {
    let report = serde_json::to_string(&Report::new(&full())).unwrap();
    for name in ["10.0.0.", "192.0.2.", "example.org"] {
        assert!(!report.contains(name), "{name}");
    }
}

#[test]
fn an_empty_report_has_no_shares() {
    let report = value(&Report::new(&Tally::default()));
    assert_eq!(report["coverage"]["encrypted_share"]["value"], Value::Null);
    assert_eq!(report["coverage"]["web_share"]["flows"], Value::Null);
    for format in FORMATS {
        let mut out = Vec::new();
        (format.write)(&Report::new(&Tally::default()), &mut out).unwrap();
        assert!(!out.is_empty(), "{}", format.name);
    }
}

#[test]
fn a_report_goes_out_and_comes_back() {
    let tally = full();
    let report = Report::new(&tally);
    let mut out = Vec::new();
    json::write(&report, &mut out).unwrap();
    let read = Report::read(Path::new("office.json"), &out).unwrap();
    assert_eq!(read, report);
    assert_eq!(read.tally().unwrap(), tally);
}

#[test]
fn what_is_no_report_is_refused() {
    let good = value(&Report::new(&full()));
    let edited = |pointer: &str, to: Value| {
        let mut report = good.clone();
        *report.pointer_mut(pointer).unwrap() = to;
        report.to_string()
    };
    let cases = [
        ("not JSON", "\u{1f}\u{8b}".to_owned(), "not JSON"),
        ("other JSON", "{}".to_owned(), "no `schema_version`"),
        ("next major version", edited("/schema_version", json!("2.0")), "\"2.0\""),
        ("next minor version", edited("/schema_version", json!("1.1")), "\"1.1\""),
        ("share polished", edited("/coverage/encrypted_share/value", json!(0.99)), "does not follow"),
        ("sum polished", edited("/coverage/totals/plaintext/wire_bytes", json!(0)), "does not follow"),
        ("count beyond reason", edited("/coverage/attempted/flows", json!(u64::MAX)), "larger than any capture"),
        ("unknown class", edited("/protocols/0/class", json!("secret")), "none of encrypted, plaintext"),
        ("key missing", edited("/quality", json!({})), "missing field"),
    ];
    for (name, json, want) in cases {
        let error = Report::read(Path::new("a.json"), json.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with("a.json: ") && error.contains(want), "{name}: {error}");
        assert_eq!(error.lines().count(), 1, "{name}");
    }
}

#[test]
fn reports_and_records_follow_their_schemas() {
    let definition = serde_json::to_value(schema::<Report>()).unwrap();
    let validator = jsonschema::validator_for(&definition).unwrap();
    let report = value(&Report::new(&full()));
    assert!(validator.is_valid(&report), "{:?}", validator.iter_errors(&report).next());
    let mut broken = report;
    broken["coverage"]["totals"]["encrypted"]["flows"] = json!("six");
    assert!(!validator.is_valid(&broken), "a near miss is seen");

    let definition = serde_json::to_value(schema::<FlowRecord<'_>>()).unwrap();
    let validator = jsonschema::validator_for(&definition).unwrap();
    for flow in office() {
        let record = serde_json::to_value(FlowRecord::new("a.pcap", &flow, &[], &[])).unwrap();
        assert!(validator.is_valid(&record), "{:?}", validator.iter_errors(&record).next());
    }
}

#[test]
fn a_flow_record_says_what_was_seen_and_no_more() {
    let policies: Vec<Policy> = Policy::builtin("bcp195").into_iter().collect();
    let record = |place: usize| {
        let mut flow = office().swap_remove(place);
        flow.tunnels[0] = Tunnel(1);
        let verdicts: Vec<_> =
            policies.iter().map(|policy| policy.grade(flow.protocol, flow.facts.as_deref())).collect();
        serde_json::to_value(FlowRecord::new("a.pcap", &flow, &verdicts, &policies)).unwrap()
    };
    let web = record(0);
    assert_eq!(web["start"], "2018-08-01T00:00:00.000001Z");
    assert_eq!(web["network"], json!({"type": "ipv4", "transport": "tcp", "protocol": "tls", "application": "https"}));
    assert_eq!(
        web["client"],
        json!({"ip": "10.0.0.1", "port": 50_000, "packets": 10, "bytes": 1000, "payload_bytes": 500})
    );
    assert_eq!(web["plaintext_bytes"], 0);
    assert_eq!(web["tunnel"], json!([crate::net::TUNNELS[0].name]));
    assert_eq!(web["tls"]["version"], "1.3");
    assert_eq!(web["tls"]["offered_versions"], json!(["1.3", "1.2"]));
    assert_eq!(
        (&web["tls"]["cipher"], &web["tls"]["cipher_code"], &web["tls"]["curve"]),
        (&json!("TLS_AES_128_GCM_SHA256"), &json!("0x1301"), &json!("x25519"))
    );
    assert_eq!((&web["tls"]["resumed"], &web["tls"]["established"]), (&json!(false), &json!(true)));
    assert_eq!(web["strength"]["bcp195"]["level"], "strong");
    for absent in ["next_protocol", "ja3s", "ja4", "certificate", "draft"] {
        assert!(web["tls"].get(absent).is_none(), "{absent} was not seen");
    }
    let old = record(2);
    assert_eq!(old["tls"]["version"], "1.0");
    assert_eq!(old["tls"]["certificate"]["key"], "rsa-1024");
    assert!(old["tls"].get("server_name").is_none());
    let mail = record(3);
    assert_eq!((&mail["plaintext_bytes"], &mail["network"]["upgraded_from"]), (&json!(800), &json!("smtp")));
    assert_eq!(mail["upgrade"], json!({"protocol": "smtp", "outcome": "used"}));
    let running = record(5);
    assert!(running.get("tls").is_none());
    assert_eq!(running["flags"], json!(["midstream"]));
}

#[test]
fn flow_csv_has_a_field_for_every_column() {
    let mut table = FlowCsv::new(Vec::new(), &["bcp195".to_owned()]).unwrap();
    for flow in office() {
        table.write(&FlowRecord::new("a,b.pcap", &flow, &[], &[])).unwrap();
    }
    let text = table.finish().unwrap();
    let mut rows = ::csv::Reader::from_reader(text.as_slice());
    let columns = rows.headers().unwrap().clone();
    let place = |name: &str| columns.iter().position(|column| column == name).unwrap();
    let rows: Vec<_> = rows.records().map(|row| row.unwrap()).collect();
    assert_eq!(rows.len(), 12);
    assert_eq!(&rows[0][place("capture")], "a,b.pcap");
    assert_eq!(&rows[0][place("tls.cipher")], "TLS_AES_128_GCM_SHA256");
    assert_eq!(&rows[0][place("class")], "encrypted");
    assert_eq!(&rows[5][place("flags")], "midstream");
    assert_eq!(columns.len(), rows[11].len());
}

#[test]
fn report_csv_holds_the_headline() {
    let mut out = Vec::new();
    csv::write(&Report::new(&full()), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.starts_with("section,name,detail,unit,value\n"));
    assert!(text.contains("\ncoverage,encrypted_share,value,,0.530909\n"), "{text}");
    assert!(text.contains("\nprotocols,http plaintext,totals,wire_bytes,5000\n"), "{text}");
}

#[test]
fn text_fits_the_terminal_and_says_what_is_there() {
    let mut tally = full();
    tally.captures[0].name = "evil\u{1b}[2J.pcap".to_owned();
    let mut out = Vec::new();
    text::write(&Report::new(&tally), &mut out).unwrap();
    let text = anstream::adapter::strip_str(&String::from_utf8(out.clone()).unwrap()).to_string();
    assert!(!String::from_utf8(out).unwrap().contains("\u{1b}[2J"), "a file name steers no terminal");
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line:?}");
    }
    for phrase in [
        "53.1% of the traffic is encrypted",
        "At least 53.1% and at most 71.3%",
        "No error bar: ",
        "tls, in name only",
        "before an upgrade",
        "2  flows closed early to save memory. Raise --max-memory.",
        "3 frames, 180 B outside every share",
    ] {
        assert!(text.contains(phrase), "{phrase}\n{text}");
    }
}
