//! What weakens encryption in the captures of `testdata/`, worked out from what the endpoints said (`.said.json`) and from
//! the handshakes as tshark shows them, not from this program. Beside each finding stands a near miss without it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use assert_cmd::Command;
use serde_json::Value;
use tlscov::capture::Input;
use tlscov::grade::finding;
use tlscov::model::Side;
use tlscov::pipeline::{Options, Scan, scan};
use tlscov::report::Report;
use tlscov::tally::established;

fn options() -> Options {
    Options { jobs: Some(2), strict: true, max_memory: 64 << 20, policies: Arc::default(), ..Options::default() }
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

/// Findings of each flow by the port of its server, in order of first frames.
fn by_port(name: &str) -> (Scan, BTreeMap<u16, Vec<Vec<&'static str>>>) {
    let mut flows: BTreeMap<u16, Vec<Vec<&'static str>>> = BTreeMap::new();
    let mut sink = |_: &str, flow: &tlscov::model::FlowSummary, _: &[tlscov::grade::Verdict]| {
        let server = if flow.client == Side::Low { Side::High } else { Side::Low };
        let found = finding::of(flow, established(flow)).map(|found| found.id).collect();
        flows.entry(flow.key.endpoint(server).port).or_default().push(found);
        Ok(())
    };
    let scan = scan(&[Input::File(path(name))], &options(), &|_| {}, Some(&mut sink)).unwrap();
    (scan, flows)
}

/// Flows of each finding in a report.
fn totals(scan: &Scan) -> BTreeMap<String, u64> {
    let report = Report::new(&scan.tally);
    report.findings.iter().map(|found| (found.id.clone(), found.totals.flows)).collect()
}

fn said(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(path(name)).unwrap()).unwrap()
}

/// Cases of a capture by name, with what each connection shows.
fn check_cases(name: &str, cases: &[(&str, &[&str])]) {
    let said = said(&format!("{name}.said.json"));
    let (_, flows) = by_port(&format!("{name}.pcap"));
    assert_eq!(said.as_object().unwrap().len(), cases.len(), "{name}: every case has its row");
    for (case, want) in cases {
        let port = u16::try_from(said[case]["port"].as_u64().unwrap()).unwrap();
        let connections = said[case]["connections"].as_array().unwrap().len();
        assert_eq!(flows[&port], vec![want.to_vec(); connections], "{name}: {case}");
    }
}

#[test]
fn handshakes() {
    check_cases(
        "weak-handshakes",
        &[
            ("psk_ke", &["psk_without_forward_secrecy"]),
            ("psk_dhe_ke", &[]),
            ("dh_1024_shared", &["dh_prime_small", "dh_prime_shared"]),
            ("dh_1024_own", &["dh_prime_small"]),
            ("dh_2048_shared", &[]),
            // What only several connections show is not the finding of one: see below.
            ("share_repeated_tls13", &[]),
            ("share_repeated_tls12", &[]),
            ("share_fresh_tls13", &[]),
            ("share_fresh_tls12", &[]),
            ("client_behind", &["downgrade_sentinel"]),
            ("client_and_server_behind", &[]),
            ("server_behind", &[]),
            ("downgraded", &["downgrade"]),
            ("fallback", &["sha1", "tls_1.0_or_1.1", "fallback_scsv"]),
            ("old_without_fallback", &["sha1", "tls_1.0_or_1.1"]),
            ("heartbeat", &["heartbeat"]),
        ],
    );
}

/// Five connections show the same public value, three in TLS 1.3 and two in TLS 1.2; fourteen others, each its own.
#[test]
fn repeated_shares() {
    let (scan, _) = by_port("weak-handshakes.pcap");
    let shares = scan.tally.server_shares;
    assert_eq!((shares.flows, shares.repeated_values, shares.repeated_flows, shares.unwatched_flows), (19, 1, 5, 0));
    assert_eq!(totals(&scan)["server_share_repeated"], 5);
    // A capture read twice is two captures: nothing repeats between them.
    let twice = [path("weak-certificates.pcap"), path("weak-certificates.pcap")].map(Input::File);
    let twice = tlscov::pipeline::scan(&twice, &options(), &|_| {}, None).unwrap();
    assert_eq!((twice.tally.server_shares.flows, twice.tally.server_shares.repeated_flows), (14, 0));
}

#[test]
fn certificates() {
    check_cases(
        "weak-certificates",
        &[
            ("good", &["sni_in_clear"]),
            ("expired", &["sni_in_clear", "certificate_expired"]),
            ("not_yet_valid", &["sni_in_clear", "certificate_not_yet_valid"]),
            ("self_signed", &["sni_in_clear", "certificate_self_signed"]),
            ("rsa_1024", &["sni_in_clear", "certificate_weak_key"]),
            ("sha1", &["sni_in_clear", "certificate_weak_signature"]),
            ("other_name", &["sni_in_clear", "certificate_name_mismatch"]),
        ],
    );
}

#[test]
fn captures() {
    type Row<'a> = (&'a str, &'a [(&'a str, u64)]);
    let cases: &[Row<'_>] = &[
        ("tls13", &[("sni_in_clear", 1)]),
        ("tls12-ecdhe", &[("certificate_self_signed", 1), ("sni_in_clear", 1)]),
        // OpenSSL takes the 1024-bit group of RFC 2409 for anonymous clients at security level 0.
        (
            "tls12-anonymous",
            &[("anonymous_suite", 1), ("dh_prime_shared", 1), ("dh_prime_small", 1), ("sni_in_clear", 1)],
        ),
        ("tls12-dhe", &[("certificate_self_signed", 1), ("sni_in_clear", 1)]),
        ("tls12-null", &[("certificate_self_signed", 1), ("null_suite", 1), ("sni_in_clear", 1), ("static_rsa", 1)]),
        ("tls12-static-rsa", &[("certificate_self_signed", 1), ("sha1", 1), ("sni_in_clear", 1), ("static_rsa", 1)]),
        // The server can do TLS 1.2, and says so in its random.
        (
            "tls10",
            &[
                ("certificate_self_signed", 1),
                ("downgrade_sentinel", 1),
                ("sha1", 1),
                ("sni_in_clear", 1),
                ("tls_1.0_or_1.1", 1),
            ],
        ),
        // RC4 with MD5, 3DES and SSL 3 with SHA-1, NULL with SHA-1; the anonymous handshake failed.
        (
            "tls-old-suites",
            &[
                ("3des", 1),
                ("certificate_self_signed", 4),
                ("heartbeat", 3),
                ("md5", 1),
                ("null_suite", 1),
                ("rc4", 1),
                ("sha1", 3),
                ("ssl", 1),
                ("static_rsa", 4),
                ("tls_1.0_or_1.1", 2),
            ],
        ),
        ("tls-refused", &[("sni_in_clear", 1)]),
        ("mail", &[("upgrade_refused", 1), ("upgrade_unused", 1)]),
        ("ftp", &[("password_in_clear", 2)]),
        // Each protocol once with a password that can be read, once without.
        ("passwords", &[("password_in_clear", 4), ("web_in_clear", 2)]),
        ("http", &[("web_in_clear", 3)]),
        ("dns", &[("names_in_clear", 5)]),
        // Version 2c; version 3 with privacy has no community.
        ("snmp", &[("community_in_clear", 1)]),
        ("ssh", &[]),
        ("quic", &[("sni_in_clear", 2)]),
        ("wireguard", &[]),
        ("openvpn", &[]),
    ];
    for (name, want) in cases {
        let (scan, _) = by_port(&format!("{name}.pcap"));
        let want: BTreeMap<String, u64> = want.iter().map(|(id, flows)| ((*id).to_owned(), *flows)).collect();
        assert_eq!(totals(&scan), want, "{name}");
    }
}

/// Passwords of the recordings are in the captures and in nothing that is written.
#[test]
fn passwords_are_counted_and_not_printed() {
    let (scan, flows) = by_port("passwords.pcap");
    for (protocol, port) in [("http", 8080), ("smtp", 2527), ("pop3", 2110), ("imap", 2143)] {
        let with = flows[&port].iter().filter(|found| found.contains(&"password_in_clear")).count();
        assert_eq!((with, flows[&port].len()), (1, 2), "{protocol}");
    }
    let report = serde_json::to_string(&Report::new(&scan.tally)).unwrap();
    let explained = tlscov(&["explain", path("passwords.pcap").to_str().unwrap(), "--format", "json"]);
    for text in [report, explained] {
        assert!(!text.contains("Y2xlcms6b2ZmaWNl") && !text.contains("clerk"));
    }
}

/// Of a merged report the findings are those of its parts.
#[test]
fn findings_merge() {
    let (mut both, _) = by_port("weak-handshakes.pcap");
    let (other, _) = by_port("passwords.pcap");
    let mut want = totals(&both);
    want.extend(totals(&other));
    both.tally.merge(other.tally);
    assert_eq!(totals(&both), want);
    let report = Report::new(&both.tally);
    assert_eq!(Report::new(&report.tally().unwrap()), report);
}

fn tlscov(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tlscov"));
    let output = command.args(arguments).assert().success().get_output().stdout.clone();
    String::from_utf8(output).unwrap()
}

#[test]
fn explain_shows_bytes_facts_and_rules() {
    let capture = path("weak-handshakes.pcap");
    let text = tlscov(&["explain", capture.to_str().unwrap(), "--flow", "3"]);
    for phrase in [
        "flow 3: 192.0.2.1:",
        "encrypted tls, evidence handshake",
        "client opens with 16 03 03 00 7f 01 00 00 7b 03 03",
        "tls.dh_bits 1024",
        "dh-below-2048 (weak, MUST NOT)",
        "RFC 9325 section 4.5",
        "finding dh_prime_shared (high)",
    ] {
        assert!(text.contains(phrase), "{phrase}\n{text}");
    }
    let json: Value =
        serde_json::from_str(&tlscov(&["explain", capture.to_str().unwrap(), "--format", "json"])).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 21);
    let mut command = Command::new(env!("CARGO_BIN_EXE_tlscov"));
    let error = command.args(["explain", capture.to_str().unwrap(), "--flow", "22"]).assert().code(2);
    let error = String::from_utf8(error.get_output().stderr.clone()).unwrap();
    assert!(error.contains("the capture has flows 1 to 21"), "{error}");
}

/// One report with the rules of then and of today.
#[test]
fn then_and_today_side_by_side() {
    let capture = path("tls12-static-rsa.pcap");
    let words = ["scan", capture.to_str().unwrap(), "--format", "json", "--policy", "bcp195"];
    let report: Value =
        serde_json::from_str(&tlscov(&[&words[..], &["--policy", "bcp195@2018-08-01"]].concat())).unwrap();
    let rules = |place: usize| {
        let policy = &report["strength"][place];
        let rules = policy["reasons"].as_array().unwrap().iter().map(|reason| reason["rule"].as_str().unwrap());
        (policy["date"].as_str().unwrap().to_owned(), rules.collect::<Vec<_>>())
    };
    let (then, today) = (rules(0), rules(1));
    assert_eq!((&*then.0, &*today.0), ("2018-08-01", "2026-07-01"));
    assert!(then.1.contains(&"static-rsa-should-not") && !then.1.contains(&"static-rsa"));
    assert!(today.1.contains(&"static-rsa") && !today.1.contains(&"static-rsa-should-not"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_tlscov"));
    let error = command.args([&words[..], &["--policy", "bcp195@2026-07-01"]].concat()).assert().code(2);
    let error = String::from_utf8(error.get_output().stderr.clone()).unwrap();
    assert!(error.contains("asked for twice"), "{error}");
}
