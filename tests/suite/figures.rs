//! Breakdowns by VLAN, autonomous system, country and name, the spread over hosts and clients, and law 3 over all of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use assert_cmd::Command;
use serde_json::Value;
use tlscov::capture::Input;
use tlscov::pipeline::{Options, scan};
use tlscov::report::Report;
use tlscov::tally::{Networks, Plan, Tally};

use crate::common::{Noise, captures, options, pcap, records};

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

fn report(options: &[&str], path: &Path) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tlscov"));
    let output = command.args(["scan", "-q", "--format", "json"]).args(options).arg(path).assert().success();
    serde_json::from_slice(&output.get_output().stdout).unwrap()
}

fn rows<'a>(report: &'a Value, by: &str) -> Vec<&'a Value> {
    report["breakdowns"].as_array().into_iter().flatten().filter(|row| row["by"] == by).collect()
}

fn bytes(row: &Value) -> u64 {
    ["encrypted", "plaintext", "unknown", "control"]
        .iter()
        .map(|class| row[class]["wire_bytes"].as_u64().unwrap())
        .sum()
}

/// Law 3, to the byte: captures in random groups, their reports merged in random order and nesting, through JSON at each
/// step, against the report of reading the same captures together.
#[test]
fn merged_reports_are_the_report_of_all_on_200_random_splits() {
    let plan = Plan {
        by_service: true,
        by_vlan: true,
        by_name: true,
        local: Networks::parse("10.0.0.0/8").ok(),
        ..Plan::default()
    };
    let options = Options { plan: Some(Arc::new(plan)), ..options(2) };
    let small = |path: &PathBuf| std::fs::metadata(path).is_ok_and(|meta| meta.len() < 200_000);
    let paths: Vec<PathBuf> = captures().into_iter().filter(small).collect();
    assert!(paths.len() > 15, "{} captures", paths.len());
    let read = |paths: &[PathBuf]| {
        let inputs: Vec<Input> = paths.iter().cloned().map(Input::File).collect();
        scan(&inputs, &options, &|_| {}, None).expect("threads start").tally
    };
    let json = |tally: &Tally| serde_json::to_vec(&Report::new(tally)).unwrap();
    let again = |json: &[u8]| Report::read(Path::new("report.json"), json).unwrap().tally().unwrap();
    let single: Vec<Vec<u8>> = paths.iter().map(|path| json(&read(std::slice::from_ref(path)))).collect();
    let mut noise = Noise(3);
    for round in 0..200 {
        let mut chosen: Vec<usize> = (0..paths.len()).collect();
        while chosen.len() > 2 + round % 5 {
            chosen.swap_remove(noise.below(chosen.len()));
        }
        let together: Vec<PathBuf> = chosen.iter().map(|place| paths[*place].clone()).collect();
        let whole = json(&read(&together));
        let mut parts: Vec<Vec<u8>> = chosen.iter().map(|place| single[*place].clone()).collect();
        while parts.len() > 1 {
            let one = parts.swap_remove(noise.below(parts.len()));
            let other = parts.swap_remove(noise.below(parts.len()));
            let mut sums = again(&one);
            sums.merge(again(&other));
            parts.push(json(&sums));
        }
        assert!(parts[0] == whole, "round {round}: {together:?}");
    }
}

#[test]
fn the_outermost_vlan_of_a_flow_is_its_row() {
    let plain = records(&testdata("http.pcap"), usize::MAX);
    let tagged = |tags: &[u8]| {
        let mut records = plain.clone();
        for record in &mut records {
            record.bytes.splice(12..12, tags.iter().copied());
            record.wire_len += tags.len() as u32;
        }
        pcap(&records)
    };
    let cases: [(&str, &[u8], &str); 4] = [
        ("no tag", &[], "untagged"),
        ("one tag, with a priority", &[0x81, 0x00, 0xe0, 0x07], "7"),
        ("a priority alone", &[0x81, 0x00, 0xe0, 0x00], "untagged"),
        ("two tags", &[0x88, 0xa8, 0x00, 0x64, 0x81, 0x00, 0x00, 0x07], "100"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tagged.pcap");
    for (name, tags, want) in cases {
        std::fs::write(&path, tagged(tags)).unwrap();
        let report = report(&["--by", "vlan"], &path);
        let names: Vec<_> = rows(&report, "vlan").iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect();
        assert_eq!(names, [want], "{name}");
    }
}

#[test]
fn names_are_in_the_report_only_when_asked_for() {
    let office = testdata("office.pcapng");
    let with = report(&["--names"], &office);
    let names: Vec<_> = rows(&with, "server_name").iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"no name") && names.len() > 1, "{names:?}");
    assert!(names.iter().all(|name| *name == "no name" || name.matches('.').count() <= 2), "{names:?}");
    assert!(report(&[], &office).get("breakdowns").is_none());
    let published = report(&["--names", "--publish"], &office);
    let names: Vec<_> = rows(&published, "server_name").iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["other"], "no name of the office has ten clients");
}

/// The largest flows, worked out from the flow records.
#[test]
fn the_largest_flows_are_those_of_the_records() {
    for path in captures() {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tlscov"));
        let output = command.args(["flows", "-q"]).arg(&path).assert().success();
        let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
        let mut sizes: Vec<u64> = Vec::new();
        let mut clients = std::collections::BTreeMap::new();
        let mut senders = std::collections::BTreeMap::new();
        for line in text.lines() {
            let flow: Value = serde_json::from_str(line).unwrap();
            let side = |side: &str| (flow[side]["ip"].to_string(), flow[side]["bytes"].as_u64().unwrap());
            let [(client, sent), (server, answered)] = ["client", "server"].map(side);
            let plaintext = flow["plaintext_bytes"].as_u64().unwrap_or_default();
            if flow["class"] == "control" {
                continue;
            }
            sizes.push(sent + answered);
            *senders.entry(client.clone()).or_insert(0) += sent;
            *senders.entry(server).or_insert(0) += answered;
            let sums: &mut (u64, u64) = clients.entry(client).or_default();
            sums.0 += if flow["class"] == "encrypted" { sent + answered - plaintext } else { 0 };
            sums.1 += sent + answered;
        }
        let coverage = report(&[], &path)["coverage"].take();
        let name = path.display();
        for (key, sizes) in [("flows", sizes), ("hosts", senders.into_values().collect())] {
            let mut sizes: Vec<u64> = sizes.into_iter().filter(|size| *size > 0).collect();
            sizes.sort_unstable_by(|a, b| b.cmp(a));
            sizes.truncate(10);
            assert_eq!(coverage["concentration"][key]["wire_bytes"], Value::from(sizes), "{name}: {key}");
        }
        let mut shares: Vec<u64> = clients.into_values().map(|(encrypted, whole)| encrypted * 1000 / whole).collect();
        shares.sort_unstable();
        let median = (!shares.is_empty()).then(|| shares[(shares.len() - 1) / 2] as f64 / 1e3);
        assert_eq!(coverage["clients"]["median"].as_f64(), median, "{name}");
        assert_eq!(coverage["clients"]["ratio_of_sums"], coverage["encrypted_share"]["value"], "{name}");
    }
}

/// A database of the MaxMind DB format 2.0 that divides IPv4 in two halves, with the fields of the ASN and the country file.
fn database() -> Vec<u8> {
    fn text(text: &str) -> Vec<u8> {
        let len = text.len() as u8;
        let mut out = if len < 29 { vec![0x40 | len] } else { vec![0x40 | 29, len - 29] };
        out.extend(text.as_bytes());
        out
    }
    fn map(fields: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut out = vec![0xe0 | fields.len() as u8];
        fields.iter().for_each(|(key, value)| out.extend([text(key), value.clone()].concat()));
        out
    }
    let number = |number: u32| [&[0xc4][..], &number.to_be_bytes()].concat();
    let half = |system: u32, name: &str, country: &str| {
        map(&[
            ("autonomous_system_number", number(system)),
            ("autonomous_system_organization", text(name)),
            ("country", map(&[("iso_code", text(country))])),
        ])
    };
    let (low, high) = (half(64_500, "Low Net", "DE"), half(64_501, "High Net", "NL"));
    // One node; a record is the number of nodes, 16, and the place in the data.
    let record = |place: usize| (1 + 16 + place as u32).to_be_bytes()[1..].to_vec();
    let mut out = [record(0), record(low.len()), vec![0; 16], low, high].concat();
    out.extend(b"\xab\xcd\xefMaxMind.com");
    out.extend(map(&[
        ("node_count", number(1)),
        ("record_size", vec![0xa1, 24]),
        ("ip_version", vec![0xa1, 4]),
        ("database_type", text("Halves")),
        ("languages", vec![0x00, 0x04]),
        ("binary_format_major_version", vec![0xa1, 2]),
        ("binary_format_minor_version", vec![0xa1, 0]),
        ("build_epoch", vec![0x01, 0x02, 1]),
        ("description", vec![0xe0]),
    ]));
    out
}

#[test]
fn a_database_gives_systems_and_countries() {
    let folder = tempfile::tempdir().unwrap();
    let [good, bad] = ["halves.mmdb", "bad.mmdb"].map(|name| folder.path().join(name));
    std::fs::write(&good, database()).unwrap();
    std::fs::write(&bad, b"no database").unwrap();
    let http = testdata("http.pcap");
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let refused = |option: &str, file: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tlscov"));
        let output = command.arg("scan").arg(&http).arg(option).arg(file).assert().code(2);
        String::from_utf8(output.get_output().stderr.clone()).unwrap()
    };
    if cfg!(not(feature = "geo")) {
        for option in ["--asn", "--country"] {
            assert!(refused(option, &good).contains("without the feature `geo`"), "{option}");
        }
        return;
    }
    assert!(refused("--asn", &bad).contains("bad.mmdb: no MaxMind database"));
    let report = report(&["--asn", &path(&good), "--country", &path(&good)], &http);
    let all = report["coverage"]["totals"].clone();
    for (by, low, high) in [("asn", "AS64500 Low Net", "AS64501 High Net"), ("country", "DE", "NL")] {
        let rows = rows(&report, by);
        let known = rows.iter().all(|row| [low, high, "not listed"].iter().any(|name| row["name"] == *name));
        assert!(known && rows.iter().any(|row| row["name"] == low || row["name"] == high), "{rows:?}");
        let flows: u64 = rows.iter().map(|row| bytes(row)).sum();
        assert!(flows > 0 && flows <= all["all"]["wire_bytes"].as_u64().unwrap(), "{by}");
    }
}
