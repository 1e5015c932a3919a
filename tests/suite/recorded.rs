//! What the program says of recorded traffic, held against what the endpoints themselves said (`testdata/*.said.json`).

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tlscov::grade::find_suite;

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

/// The flow records of a capture, in the order of their first packets.
fn flows(name: &str) -> Vec<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_tlscov"))
        .args(["flows", "--quiet"])
        .arg(testdata(&format!("{name}.pcap")))
        .output()
        .expect("runs");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("one JSON object a line")).collect()
}

fn said(name: &str) -> Value {
    let text = std::fs::read_to_string(testdata(&format!("{name}.said.json"))).expect("beside the capture");
    serde_json::from_str(&text).expect("JSON")
}

/// `TLSv1.2` and `TLS 1.2` as the record has it: `1.2`.
fn version(said: &str) -> String {
    match said.trim_start_matches("TLS").trim_start_matches("SSL").trim_start_matches(['v', ' ']) {
        "3.0" => "ssl3".to_owned(),
        "1" => "1.0".to_owned(),
        other => other.to_owned(),
    }
}

#[test]
fn openssl_agrees() {
    let names = [
        "tls10",
        "tls11",
        "tls12-cbc-etm",
        "tls12-dhe",
        "tls12-ecdhe",
        "tls12-null",
        "tls12-static-rsa",
        "tls13",
        "tls13-chacha",
        "tls13-retry",
    ];
    for name in names {
        let said = said(name);
        let flows = flows(name);
        assert_eq!(flows.len(), 1, "{name}");
        let flow = &flows[0];
        let class = if name == "tls12-null" { "plaintext" } else { "encrypted" };
        assert_eq!(flow["class"], class, "{name}");
        assert_eq!(flow["evidence"], "handshake", "{name}");
        let tls = &flow["tls"];
        assert_eq!(tls["version"], version(said["version"].as_str().expect("a version")), "{name}");
        let suite = find_suite(said["cipher_openssl"].as_str().expect("a suite")).expect("a known suite");
        assert_eq!(tls["cipher"], suite.name, "{name}");
        assert_eq!(tls["server_name"], "office.example", "{name}");
        assert_eq!(tls["established"], true, "{name}");
        assert_eq!(tls["resumed"], said["resumed"], "{name}");
        assert_eq!(tls["hello_retry"], name == "tls13-retry", "{name}");
        if said["group"] == "X25519" {
            assert_eq!(tls["curve"], "x25519", "{name}");
        }
    }
}

#[test]
fn a_refused_handshake_is_an_attempt() {
    let flows = flows("tls-refused");
    assert_eq!((&flows[0]["class"], &flows[0]["tls"]["established"]), (&"encrypted".into(), &false.into()));
    assert_eq!(flows[0]["strength"]["bcp195"]["level"], "ungraded");
}

#[test]
fn the_second_connection_is_resumed() {
    for name in ["tls12-resumed", "tls13-resumed"] {
        let resumed: Vec<Value> = flows(name).iter().map(|flow| flow["tls"]["resumed"].clone()).collect();
        assert_eq!(resumed, [false, true], "{name}");
    }
}

#[test]
fn old_suites_are_told_apart_by_port() {
    let said = said("tls-old-suites");
    for flow in flows("tls-old-suites") {
        let port = flow["server"]["port"].as_u64().expect("a port");
        let Some((name, connection)) =
            said.as_object().expect("an object").iter().find(|(_, said)| said["port"].as_u64() == Some(port))
        else {
            panic!("no one spoke on port {port}");
        };
        let Some(suite) = connection["suite"].as_str() else {
            assert_eq!(flow["tls"]["established"], false, "{name}");
            continue;
        };
        assert_eq!(flow["tls"]["cipher_code"], suite, "{name}");
        assert_eq!(flow["tls"]["version"], version(connection["version"].as_str().expect("a version")), "{name}");
        let class = if name == "null" { "plaintext" } else { "encrypted" };
        assert_eq!(flow["class"], class, "{name}");
    }
}

#[test]
fn quic_versions_and_protocols() {
    let said = said("quic");
    let flows: Vec<Value> = flows("quic").into_iter().filter(|flow| flow["network"]["protocol"] == "quic").collect();
    let connections = said.as_array().expect("a list");
    assert_eq!(flows.len(), connections.len());
    for (flow, said) in flows.iter().zip(connections) {
        assert_eq!(flow["evidence"], "verified");
        assert_eq!(flow["tls"]["server_name"], "office.example");
        assert_eq!(flow["tls"]["version"], "1.3");
        let cipher = flow["tls"]["cipher"].as_str().expect("a suite");
        assert_eq!(cipher, format!("TLS_{}", said["cipher"].as_str().expect("a suite")));
    }
}

#[test]
fn mail_is_split_where_it_switches() {
    let flows = flows("mail");
    let outcome = |flow: &Value| flow["upgrade"]["outcome"].as_str().map(str::to_owned);
    assert_eq!(flows.iter().filter_map(outcome).collect::<Vec<_>>(), ["used", "offered", "refused"]);
    assert_eq!(flows[0]["class"], "encrypted");
    assert!(flows[0]["plaintext_bytes"].as_u64() > Some(0));
    assert_eq!(flows[0]["tls"]["version"], version(said("mail")["used"]["version"].as_str().expect("a version")));
    assert_eq!((&flows[1]["class"], &flows[2]["class"]), (&"plaintext".into(), &"plaintext".into()));
}

/// Servers of databases, directories and mailboxes, and proxies: each connection with its class and its upgrade. The order
/// is that of `record/services.sh`.
#[test]
fn upgrades_of_services() {
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str, Option<&'a str>)]);
    let cases: &[Row<'_>] = &[
        (
            "postgresql",
            &[
                ("postgresql", "encrypted", Some("used")),
                ("postgresql", "plaintext", None),
                ("postgresql", "plaintext", Some("refused")),
            ],
        ),
        ("mariadb", &[("mysql", "encrypted", Some("used")), ("mysql", "plaintext", Some("offered"))]),
        (
            "ldap",
            &[
                ("ldap", "plaintext", None),
                ("ldap", "plaintext", None),
                ("ldap", "encrypted", Some("used")),
                ("ldap", "plaintext", Some("offered")),
            ],
        ),
        (
            "dovecot",
            &[
                ("imap", "encrypted", Some("used")),
                ("imap", "plaintext", Some("offered")),
                ("pop3", "encrypted", Some("used")),
                ("pop3", "plaintext", Some("offered")),
                ("managesieve", "encrypted", Some("used")),
                ("managesieve", "plaintext", Some("offered")),
            ],
        ),
        (
            "proxies",
            &[
                ("socks", "plaintext", None),
                ("socks", "encrypted", Some("used")),
                ("socks", "plaintext", None),
                ("socks", "encrypted", Some("used")),
                ("http", "plaintext", None),
                ("http", "encrypted", Some("used")),
            ],
        ),
    ];
    for (name, want) in cases {
        let flows = flows(name);
        let found: Vec<_> = flows
            .iter()
            .map(|flow| {
                let network = &flow["network"];
                let before = network["upgraded_from"].as_str().or(network["protocol"].as_str()).expect("a name");
                (before, flow["class"].as_str().expect("a class"), flow["upgrade"]["outcome"].as_str())
            })
            .collect();
        assert_eq!(found, *want, "{name}");
    }
    let agrees = |name: &str, key: &str, flow: usize| {
        let said = said(name)[key].as_str().expect("a version").to_owned();
        let version = flows(name)[flow]["tls"]["version"].as_str().expect("TLS").to_owned();
        assert!(said.contains(&format!("TLSv{version}")), "{name}: {said}, {version}");
    };
    agrees("postgresql", "used", 0);
    agrees("mariadb", "used", 0);
    agrees("dovecot", "imap_used", 0);
    agrees("dovecot", "pop3_used", 2);
    agrees("dovecot", "managesieve_used", 4);
}

#[test]
fn ftp_data_is_known_from_the_control_connection() {
    let said = said("ftp");
    let flows = flows("ftp");
    let data: Vec<&Value> = flows.iter().filter(|flow| flow["network"]["protocol"] == "ftp-data").collect();
    assert_eq!(data.len(), 2, "one passive, one active");
    for flow in data {
        assert_eq!((&flow["class"], &flow["evidence"]), (&"plaintext".into(), &"association".into()));
        let bytes = flow["client"]["payload_bytes"].as_u64().max(flow["server"]["payload_bytes"].as_u64());
        assert_eq!(bytes, said["passive"].as_u64());
    }
    assert!(flows.iter().any(|flow| flow["network"]["upgraded_from"] == "ftp" && flow["class"] == "encrypted"));
}

#[test]
fn protocols_of_the_other_captures() {
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("dns", &[("dns", "plaintext")]),
        ("http", &[("http", "plaintext"), ("http2", "plaintext")]),
        ("https", &[("tls", "encrypted")]),
        ("gnutls", &[("tls", "encrypted")]),
        ("ssh", &[("ssh", "encrypted")]),
        ("dtls12", &[("dtls", "encrypted")]),
        ("openvpn", &[("openvpn", "encrypted")]),
        ("wireguard", &[("wireguard", "encrypted")]),
        ("snmp", &[("snmp", "plaintext"), ("snmp", "encrypted"), ("syslog", "plaintext")]),
        ("redis", &[("redis", "plaintext")]),
        ("memcached", &[("memcached", "plaintext")]),
        ("mqtt", &[("mqtt", "plaintext"), ("tls", "encrypted")]),
        ("irc", &[("irc", "plaintext")]),
        ("nats", &[("nats", "plaintext")]),
        ("tftp", &[("tftp", "plaintext")]),
        ("ntp", &[("ntp", "plaintext")]),
        ("smb", &[("smb", "plaintext"), ("smb", "encrypted")]),
        // What the client relays is in clear, and nothing says so.
        ("turn", &[("stun", "plaintext"), ("stun", "unknown")]),
    ];
    for (name, want) in cases {
        let flows = flows(name);
        for (protocol, class) in *want {
            assert!(
                flows.iter().any(|flow| flow["network"]["protocol"] == *protocol && flow["class"] == *class),
                "{name}: no {class} {protocol}"
            );
        }
        for flow in flows.iter().filter(|flow| flow["class"] != "control") {
            let found = (flow["network"]["protocol"].as_str(), flow["class"].as_str());
            assert!(want.iter().any(|(p, c)| (Some(*p), Some(*c)) == found), "{name}: {found:?}");
        }
    }
}

#[test]
fn ssh_algorithms_are_those_that_the_client_named() {
    let said = said("ssh");
    let flow = &flows("ssh")[0];
    assert_eq!(flow["ssh"]["kex"], said["kex"]);
    assert_eq!(flow["ssh"]["host_key"], said["host_key"]);
}
