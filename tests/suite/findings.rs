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
    // "office", and the community "public", as bytes of openings are written.
    for (name, secret) in [
        ("findings/logins", "06 6f 66 66 69 63 65"),
        ("findings/logins", "22 6f 66 66 69 63 65"),
        ("snmp", "70 75 62 6c 69 63"),
    ] {
        let capture = path(&format!("{name}.pcap"));
        for format in ["text", "json"] {
            let explained = tlscov(&["explain", capture.to_str().unwrap(), "--format", format]);
            assert!(!explained.contains(secret), "{name} in {format}");
            assert!(explained.contains("a password in clear may be among the first bytes"), "{name} in {format}");
        }
    }
}

/// Each connection of each protocol, as its client was told to log in or not.
#[test]
fn logins_of_servers() {
    let (_, flows) = by_port("findings/logins.pcap");
    let said = said("findings/logins.said.json");
    assert_eq!(said.as_object().unwrap().len(), 5);
    for (protocol, words) in said.as_object().unwrap() {
        let port = u16::try_from(words["port"].as_u64().unwrap()).unwrap();
        let shown: Vec<bool> = flows[&port].iter().map(|found| found.contains(&"password_in_clear")).collect();
        assert_eq!(serde_json::json!(shown), words["passwords"], "{protocol}");
    }
    // Nothing else went to these servers; in `ldap` a bind before StartTLS is one, and those inside TLS are not seen.
    let (_, ldap) = by_port("ldap.pcap");
    let shown: Vec<bool> = ldap[&389].iter().map(|found| found.contains(&"password_in_clear")).collect();
    assert_eq!(shown, [true, true, false, false]);
}

/// What a kernel sent under AH, ESP and MACsec, with encryption and in name only.
#[test]
fn protection_in_name_only() {
    let cases: &[(&str, bool, &[&str])] = &[
        ("ah", true, &["ah"]),
        ("esp-null", true, &[]),
        ("macsec-clear", true, &["macsec"]),
        ("esp-aes", false, &[]),
        ("macsec", false, &[]),
    ];
    for (name, want, tunnels) in cases {
        let capture = path(&format!("findings/{name}.pcap"));
        let scan = scan(&[Input::File(capture.clone())], &options(), &|_| {}, None).unwrap();
        assert_eq!(totals(&scan).contains_key("encryption_in_name_only"), *want, "{name}");
        let share = Report::new(&scan.tally).coverage.encrypted_share.value;
        assert_eq!(share, Some(if *want { 0.0 } else { 1.0 }), "{name}");
        let text = tlscov(&["flows", "--quiet", capture.to_str().unwrap()]);
        let flows = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        // MACsec that encrypts hides which flows there are.
        assert_eq!(text.is_empty(), *name == "macsec");
        assert!(flows.into_iter().all(|flow| flow["tunnel"] == serde_json::json!(tunnels)), "{name}");
    }
}

/// strongSwan agreed on ML-KEM beside X25519, offered it in vain, and did not offer it.
#[test]
fn post_quantum_key_exchange_of_ike() {
    let text = tlscov(&["scan", path("findings/ike-ml-kem.pcap").to_str().unwrap(), "--format", "json"]);
    let report: Value = serde_json::from_str(&text).unwrap();
    let flows = |kind: &str| report["post_quantum"][0][kind]["flows"].as_u64().unwrap();
    assert_eq!(report["post_quantum"][0]["protocol"], "isakmp");
    assert_eq!((flows("negotiated"), flows("offered_only"), flows("classical")), (1, 1, 1));
    let text = tlscov(&["flows", "--quiet", path("findings/ike-ml-kem.pcap").to_str().unwrap()]);
    let flows = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let read: Vec<Value> = flows.filter_map(|flow| flow["algorithms"].get("kex").cloned()).collect();
    let said = said("findings/ike-ml-kem.said.json");
    let words = |case: &str| said[case].as_str().unwrap().to_lowercase().replace('_', "-");
    assert_eq!(read, ["curve25519+ml-kem-768", "curve25519", "curve25519"]);
    assert!(words("agreed").ends_with("/curve-25519/ke1-ml-kem-768") && words("offered").ends_with("/curve-25519"));
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

/// Where a finding is seen, and what comes nearest to it without it.
struct Proof {
    id: &'static str,
    with: Seen,
    /// Capture and port of the near miss.
    without: (&'static str, u16),
}

/// How a capture with the finding came about.
enum Seen {
    /// Recorded from programs that do it: capture and port.
    Recorded(&'static str, u16),
    /// Recorded, and then the ServerHello changed at one place, because no program that is still to be had negotiates
    /// it: capture, port, what is changed, the byte or bytes put there, and why.
    Rewritten(&'static str, u16, Place, &'static [u8], &'static str),
}

/// A field of the ServerHello.
#[derive(Clone, Copy)]
enum Place {
    Suite,
    Compression,
}

/// Every kind of finding has its row here.
#[rustfmt::skip]
const PROOFS: &[Proof] = {
    use Seen::{Recorded, Rewritten};
    &[
        Proof { id: "null_suite", with: Recorded("tls12-null", 4433), without: ("tls12-static-rsa", 4433) },
        Proof { id: "integrity_only_suite", without: ("tls13", 4433),
            with: Rewritten("tls13", 4433, Place::Suite, &[0xc0, 0xb5], "OpenSSL 3.4 and wolfSSL have it only when built for it, and no package is") },
        Proof { id: "encryption_in_name_only", with: Recorded("findings/esp-null", 0), without: ("findings/esp-aes", 0) },
        Proof { id: "export_suite", with: Recorded("findings/java", 4700), without: ("findings/java", 4702) },
        Proof { id: "anonymous_suite", with: Recorded("tls12-anonymous", 4433), without: ("tls12-dhe", 4433) },
        Proof { id: "rc4", with: Recorded("tls-old-suites", 4500), without: ("tls-old-suites", 4501) },
        Proof { id: "des", with: Recorded("findings/java", 4702), without: ("tls-old-suites", 4501) },
        Proof { id: "3des", with: Recorded("tls-old-suites", 4501), without: ("findings/java", 4702) },
        Proof { id: "md5", with: Recorded("findings/java", 4700), without: ("tls-old-suites", 4500) },
        Proof { id: "sha1", with: Recorded("tls12-static-rsa", 4433), without: ("tls12-cbc-etm", 4433) },
        Proof { id: "handshake_signed_with_sha1_or_md5", with: Recorded("findings/openssl", 4711), without: ("findings/openssl", 4712) },
        Proof { id: "static_rsa", with: Recorded("tls12-static-rsa", 4433), without: ("tls12-ecdhe", 4433) },
        Proof { id: "static_dh", with: Recorded("findings/java", 4703), without: ("findings/java", 4704) },
        Proof { id: "psk_without_forward_secrecy", with: Recorded("weak-handshakes", 4600), without: ("weak-handshakes", 4601) },
        Proof { id: "server_share_repeated", with: Recorded("weak-handshakes", 4605), without: ("weak-certificates", 4600) },
        Proof { id: "dh_prime_small", with: Recorded("weak-handshakes", 4603), without: ("weak-handshakes", 4604) },
        Proof { id: "dh_prime_shared", with: Recorded("weak-handshakes", 4602), without: ("weak-handshakes", 4603) },
        Proof { id: "curve_small", with: Recorded("findings/openssl", 4713), without: ("findings/openssl", 4714) },
        Proof { id: "ssl", with: Recorded("tls-old-suites", 4502), without: ("tls-old-suites", 4501) },
        Proof { id: "tls_1.0_or_1.1", with: Recorded("tls10", 4433), without: ("tls12-ecdhe", 4433) },
        Proof { id: "downgrade", with: Recorded("weak-handshakes", 4612), without: ("weak-handshakes", 4611) },
        Proof { id: "downgrade_sentinel", with: Recorded("weak-handshakes", 4609), without: ("weak-handshakes", 4610) },
        Proof { id: "fallback_scsv", with: Recorded("weak-handshakes", 4613), without: ("weak-handshakes", 4614) },
        Proof { id: "compression", without: ("tls12-ecdhe", 4433),
            with: Rewritten("tls12-ecdhe", 4433, Place::Compression, &[1], "no library that is packaged today compresses: all took it out after CRIME") },
        Proof { id: "renegotiation_unprotected", with: Recorded("findings/renegotiation", 4801), without: ("findings/renegotiation", 4802) },
        Proof { id: "heartbeat", with: Recorded("weak-handshakes", 4615), without: ("weak-handshakes", 4614) },
        Proof { id: "sni_in_clear", with: Recorded("tls13", 4433), without: ("findings/openssl", 4714) },
        Proof { id: "ech_offered", with: Recorded("findings/ech", 4731), without: ("findings/ech", 4733) },
        // Chrome pretends (findings/ech, 4732); Go offers it for real to a server that does not know it (4737). Both look alike.
        Proof { id: "ech_real", with: Recorded("findings/ech-accepted", 4735), without: ("findings/ech-accepted", 4737) },
        Proof { id: "ipsec_key_exchange_weak", with: Recorded("findings/ike", 500), without: ("findings/ike", 500) },
        Proof { id: "srtp_null", with: Recorded("findings/srtp", 4721), without: ("findings/srtp", 4722) },
        Proof { id: "ssh_version_1", with: Recorded("findings/ssh1", 2304), without: ("ssh", 2222) },
        Proof { id: "rdp_own_security", with: Recorded("findings/rdp", 4751), without: ("findings/rdp", 4752) },
        Proof { id: "terrapin", with: Recorded("findings/ssh", 2301), without: ("findings/ssh", 2303) },
        Proof { id: "certificate_expired", with: Recorded("weak-certificates", 4601), without: ("weak-certificates", 4600) },
        Proof { id: "certificate_not_yet_valid", with: Recorded("weak-certificates", 4602), without: ("weak-certificates", 4600) },
        Proof { id: "certificate_self_signed", with: Recorded("weak-certificates", 4603), without: ("weak-certificates", 4600) },
        Proof { id: "certificate_weak_key", with: Recorded("weak-certificates", 4604), without: ("weak-certificates", 4600) },
        Proof { id: "certificate_weak_signature", with: Recorded("weak-certificates", 4605), without: ("weak-certificates", 4600) },
        Proof { id: "certificate_name_mismatch", with: Recorded("weak-certificates", 4606), without: ("weak-certificates", 4600) },
        Proof { id: "upgrade_refused", with: Recorded("mail", 2526), without: ("mail", 2525) },
        Proof { id: "upgrade_stripped", with: Recorded("findings/mail", 2601), without: ("findings/mail", 2604) },
        Proof { id: "upgrade_failed", with: Recorded("findings/mail", 2602), without: ("findings/mail", 2603) },
        Proof { id: "upgrade_unused", with: Recorded("mail", 2525), without: ("findings/mail", 2603) },
        Proof { id: "password_in_clear", with: Recorded("passwords", 2527), without: ("findings/mail", 2604) },
        Proof { id: "login_in_clear", with: Recorded("findings/telnet", 2323), without: ("ssh", 2222) },
        Proof { id: "community_in_clear", with: Recorded("snmp", 161), without: ("snmp", 514) },
        Proof { id: "web_in_clear", with: Recorded("http", 80), without: ("https", 443) },
        Proof { id: "names_in_clear", with: Recorded("dns", 53), without: ("quic", 4433) },
    ]
};

/// Whether a capture shows a finding in a flow to `port`, and whether another flow to it does not.
fn shows(name: &str, port: u16, id: &str) -> (bool, bool) {
    let (scan, flows) = by_port(&format!("{name}.pcap"));
    let flows = flows.get(&port).unwrap_or_else(|| panic!("{name} has no flow to {port}"));
    if id == finding::REPEATED_SHARE {
        let repeated = totals(&scan).contains_key(id);
        return (repeated, !repeated);
    }
    let with = flows.iter().filter(|found| found.contains(&id)).count();
    (with > 0, with < flows.len())
}

/// Each kind of finding is shown by a capture, and not by its near miss.
#[test]
fn every_finding_has_its_capture_and_its_near_miss() {
    let mut rows: Vec<&str> = PROOFS.iter().map(|proof| proof.id).collect();
    let mut kinds: Vec<&str> = finding::all().iter().map(|kind| kind.id).collect();
    rows.sort_unstable();
    kinds.sort_unstable();
    assert_eq!(rows, kinds, "each finding once");
    for Proof { id, with, without } in PROOFS {
        match with {
            Seen::Recorded(name, port) => assert!(shows(name, *port, id).0, "{id} in {name}, port {port}"),
            Seen::Rewritten(name, port, place, bytes, why) => {
                let folder = tempfile::tempdir().unwrap();
                let file = folder.path().join("rewritten.pcap");
                std::fs::write(&file, rewritten(name, *place, bytes)).unwrap();
                assert!(shows_in(&file, *port, id), "{id} in {name} with another ServerHello ({why})");
                assert!(!shows(name, *port, id).0, "{id} in {name} as recorded");
            }
        }
        assert!(shows(without.0, without.1, id).1, "{id} in its near miss {}, port {}", without.0, without.1);
    }
}

fn shows_in(file: &Path, port: u16, id: &str) -> bool {
    let explained = tlscov(&["explain", file.to_str().unwrap(), "--format", "json"]);
    let flows: Value = serde_json::from_str(&explained).unwrap();
    let to_port = |flow: &&Value| flow["flow"]["server"]["port"] == port;
    let found = |flow: &Value| flow["findings"].as_array().unwrap().iter().any(|finding| finding["id"] == id);
    flows.as_array().unwrap().iter().filter(to_port).any(found)
}

/// A capture with another value in its first ServerHello; checksums are not looked at.
fn rewritten(name: &str, place: Place, value: &[u8]) -> Vec<u8> {
    let mut bytes = std::fs::read(path(&format!("{name}.pcap"))).unwrap();
    // Record header of 5 bytes, type and length of the message, version: then 32 of random, session ID, suite, compression.
    let is_hello = |at: usize| matches!(bytes[at..at + 11], [0x16, 3, 3, _, _, 2, 0, _, _, 3, 3]);
    let hello = (0..bytes.len() - 64).find(|at| is_hello(*at)).unwrap();
    let suite = hello + 11 + 32 + 1 + usize::from(bytes[hello + 11 + 32]);
    let at = match place {
        Place::Suite => suite,
        Place::Compression => suite + 2,
    };
    bytes[at..at + value.len()].copy_from_slice(value);
    bytes
}

/// What protocols other than TLS show of their algorithms, held against what their programs said, and the level of each.
#[test]
fn algorithms_of_other_protocols() {
    type Row<'a> = (&'a str, u16, &'a [(&'a str, &'a [&'a str])]);
    let cases: &[Row<'_>] = &[
        ("findings/ssh", 2301, &[("weak", &["terrapin-chacha20"])]),
        ("findings/ssh", 2302, &[("weak", &["ssh-cbc", "terrapin-cbc-etm"])]),
        ("findings/ssh", 2303, &[("strong", &["ssh-recommended"])]),
        ("findings/srtp", 4721, &[("broken", &["srtp-null"])]),
        ("findings/srtp", 4722, &[("strong", &["srtp-aes", "recommended-tls1.2"])]),
        // Version 1 with 3DES and with AES, version 2 with 3DES.
        (
            "findings/ike",
            500,
            &[
                ("weak", &["ike-group-should-not", "ike-3des", "ike-version-1"]),
                ("weak", &["ike-version-1"]),
                ("weak", &["ike-group-should-not", "ike-3des"]),
            ],
        ),
        ("findings/rdp", 4751, &[("broken", &["rdp-own-security"])]),
        ("findings/smb", 4742, &[("acceptable", &["smb-aes"])]),
        ("findings/smb", 4743, &[("acceptable", &["smb-aes"])]),
        ("findings/smb", 4744, &[("acceptable", &["smb-aes"])]),
        ("wireguard", 51820, &[("strong", &["wireguard-suite"])]),
        // Its TLS is strong, its data not visible.
        ("openvpn", 1194, &[("ungraded", &[])]),
    ];
    for (name, port, want) in cases {
        let text = tlscov(&["flows", "--quiet", path(&format!("{name}.pcap")).to_str().unwrap()]);
        let flows = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let verdicts: Vec<Value> = flows
            .filter(|flow| [&flow["server"], &flow["client"]].iter().any(|end| end["port"] == *port))
            .map(|flow| serde_json::json!([flow["strength"]["bcp195"]["level"], flow["strength"]["bcp195"]["rules"]]))
            .collect();
        assert_eq!(serde_json::to_value(want).unwrap(), Value::from(verdicts), "{name}, port {port}");
    }
    let ciphers: Vec<(String, String)> = said("findings/smb.said.json")
        .as_object()
        .unwrap()
        .values()
        .filter(|said| said["connections"][0]["protection"] == "encrypt")
        .map(|said| (said["port"].to_string(), said["connections"][0]["cipher"].as_str().unwrap().to_lowercase()))
        .collect();
    let text = tlscov(&["flows", "--quiet", path("findings/smb.pcap").to_str().unwrap()]);
    let flows = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let read: Vec<(String, String)> = flows
        .filter(|flow| flow["class"] == "encrypted")
        .map(|flow| (flow["server"]["port"].to_string(), flow["algorithms"]["cipher"].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(read, ciphers);
}
