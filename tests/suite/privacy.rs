//! Reports hold no address and no name of what was captured; flow records hold them unless they are anonymised.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;

fn captures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|end| end == "pcap" || end == "pcapng")).collect();
    paths.sort();
    assert!(paths.len() > 20, "testdata is not complete");
    paths
}

/// Standard output of the program; the capture comes as standard input, so that no path is part of what is written.
fn run(arguments: &[&str], capture: &Path) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tlscov"));
    let output = command.env("NO_COLOR", "1").args(arguments).arg("-").pipe_stdin(capture).unwrap().assert().success();
    String::from_utf8(output.get_output().stdout.clone()).unwrap()
}

/// Addresses and server names of the flows of a capture.
fn identities(records: &str) -> (BTreeSet<IpAddr>, BTreeSet<String>) {
    let (mut addresses, mut names) = (BTreeSet::new(), BTreeSet::new());
    for line in records.lines() {
        let flow: Value = serde_json::from_str(line).unwrap();
        addresses
            .extend(["client", "server"].map(|side| flow[side]["ip"].as_str().unwrap().parse::<IpAddr>().unwrap()));
        names.extend(flow["tls"]["server_name"].as_str().map(str::to_owned));
    }
    (addresses, names)
}

/// Everything in `text` that reads as an address.
fn addresses_in(text: &str) -> BTreeSet<IpAddr> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '.' && letter != ':');
    words.filter_map(|word| word.trim_matches(['.', ':']).parse().ok().or_else(|| word.parse().ok())).collect()
}

/// Whether `text` holds six pairs of hexadecimal digits as a MAC address is written.
fn holds_mac(text: &str) -> bool {
    text.as_bytes().windows(17).any(|window| {
        window.iter().enumerate().all(|(place, byte)| match place % 3 {
            2 => matches!(byte, b':' | b'-') && *byte == window[2],
            _ => byte.is_ascii_hexdigit(),
        })
    })
}

#[test]
fn what_is_searched_for_is_found() {
    let text = "a 10.0.0.1, [2001:db8::1]; 1.2.3 4:5 12:34 00:11:22:aa:bb:cc";
    let want: BTreeSet<IpAddr> = ["10.0.0.1", "2001:db8::1"].map(|text| text.parse().unwrap()).into();
    assert_eq!(addresses_in(text), want);
    assert!(holds_mac(text) && !holds_mac("2018-08-01T00:00:00Z 12:34:56:78"));
}

#[test]
fn no_report_names_what_was_captured() {
    let mut seen = (0, 0);
    for capture in captures() {
        let (addresses, names) = identities(&run(&["flows", "-q"], &capture));
        seen = (seen.0 + addresses.len(), seen.1 + names.len());
        let all: &[&str] = &["--by", "service,vlan", "--local", "10.0.0.0/8", "--interval", "1s"];
        for options in [&[][..], all, &["--publish"]] {
            for format in tlscov::report::names() {
                let text = run(&[&["scan", "-q", "--format", format], options].concat(), &capture);
                let told = format!("{} as {format} with {options:?}", capture.display());
                let found: Vec<_> = addresses_in(&text).intersection(&addresses).copied().collect();
                assert!(found.is_empty(), "{told} holds {found:?}");
                assert!(!holds_mac(&text), "{told} holds a MAC address");
                for name in &names {
                    assert!(!text.contains(name.as_str()), "{told} holds {name}");
                }
            }
        }
    }
    assert!(seen.0 > 20 && seen.1 > 5, "addresses and names to look for: {seen:?}");
}

#[test]
fn anonymised_records_hold_other_addresses_and_no_names() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, "0123456789abcdef".repeat(4)).unwrap();
    for capture in captures() {
        let plain = run(&["flows", "-q"], &capture);
        let hidden = run(&["flows", "-q", "--anonymize", key.to_str().unwrap()], &capture);
        assert_eq!(plain.lines().count(), hidden.lines().count());
        let (before, _) = identities(&plain);
        let (after, names) = identities(&hidden);
        assert_eq!(before.len(), after.len(), "{}: one to one", capture.display());
        assert!(names.is_empty() && (before.is_empty() || before != after), "{}", capture.display());
    }
}

#[test]
fn names_given_by_the_user_are_the_rows() {
    let folder = tempfile::tempdir().unwrap();
    let labels = folder.path().join("labels.csv");
    std::fs::write(&labels, "# all there is\n0.0.0.0/0,old world\n::/0,new world\n").unwrap();
    let office = captures().into_iter().find(|path| path.ends_with("office.pcapng")).unwrap();
    let options = ["scan", "-q", "--format", "json", "--labels", labels.to_str().unwrap()];
    let report: Value = serde_json::from_str(&run(&options, &office)).unwrap();
    let rows = report["breakdowns"].as_array().unwrap();
    assert!(!rows.is_empty() && rows.iter().all(|row| row["name"].as_str().unwrap().ends_with(" world")), "{rows:?}");
    let report: Value = serde_json::from_str(&run(&["scan", "-q", "--format", "json"], &office)).unwrap();
    assert!(report.get("breakdowns").is_none(), "not asked for");
    std::fs::write(&labels, "10.0.0.0/8;office\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tlscov"));
    let output = command.args(["scan", "a.pcap", "--labels"]).arg(&labels).assert().code(2);
    let stderr = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(!stderr.is_empty());
}
