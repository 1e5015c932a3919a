//! The commands that work on reports, run as a user runs them.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;
use tlscov::model::{Class, Counts, Loss};
use tlscov::report::Report;
use tlscov::tally::{CaptureEntry, Tally};

fn tlscov() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tlscov"));
    command.env("NO_COLOR", "1");
    command
}

/// The sums of a capture called `name` with `encrypted` and `plaintext` wire bytes, and one frame that was not read.
fn tally(name: &str, encrypted: u64, plaintext: u64) -> Tally {
    let counts = |wire_bytes| Counts { packets: 1, wire_bytes, payload_bytes: wire_bytes / 2 };
    let mut tally = Tally::default();
    tally.add_frames(Class::Encrypted, "macsec", counts(encrypted));
    tally.add_frames(Class::Plaintext, "netbios", counts(plaintext));
    tally.add_undecoded(Loss::MalformedHeader, counts(60));
    tally.add_capture(CaptureEntry {
        name: name.to_owned(),
        packets: 3,
        wire_bytes: encrypted + plaintext + 60,
        ..CaptureEntry::default()
    });
    tally
}

fn write(folder: &Path, name: &str, tally: &Tally) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, serde_json::to_vec(&Report::new(tally)).unwrap()).unwrap();
    path
}

fn two_reports(folder: &Path) -> [PathBuf; 2] {
    [write(folder, "a.json", &tally("a.pcap", 300, 100)), write(folder, "b.json", &tally("b.pcap", 450, 150))]
}

#[test]
fn merge_is_exact_and_commutes() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b] = two_reports(folder.path());
    let merged = tlscov().arg("merge").args([&a, &b]).assert().success().get_output().stdout.clone();
    let turned = tlscov().arg("merge").args([&b, &a]).assert().success().get_output().stdout.clone();
    assert_eq!(merged, turned);
    let mut sums = tally("a.pcap", 300, 100);
    sums.merge(tally("b.pcap", 450, 150));
    let report: Value = serde_json::from_slice(&merged).unwrap();
    assert_eq!(report, serde_json::to_value(Report::new(&sums)).unwrap());
    // 750 of 1,000 bytes; the undecoded frames stand outside.
    assert_eq!(report["coverage"]["encrypted_share"]["value"], 0.75);
    assert_eq!(report["coverage"]["totals"]["undecoded"]["packets"], 2);
    assert_eq!(report["captures"][1]["name"], "b.pcap");
}

#[test]
fn render_writes_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let [a, _] = two_reports(folder.path());
    let cases = [
        ("json", "\"schema_version\": \"1.0\""),
        ("text", "75.0% of the traffic is encrypted"),
        ("markdown", "# 75.0% of the traffic is encrypted"),
        ("csv", "coverage,encrypted_share,value,,0.75"),
    ];
    for (format, want) in cases {
        let output = tlscov().arg("render").arg(&a).args(["--format", format]).assert().success();
        let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
        assert!(text.contains(want), "{format}: {text}");
        assert!(!text.contains('\u{1b}'), "{format}: no colours in a pipe");
    }
}

#[test]
fn output_replaces_a_file_whole() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b] = two_reports(folder.path());
    let target = folder.path().join("both.json");
    fs::write(&target, "old").unwrap();
    tlscov().arg("merge").args([&a, &b]).arg("-o").arg(&target).assert().success().stdout("");
    let report: Value = serde_json::from_slice(&fs::read(&target).unwrap()).unwrap();
    assert_eq!(report["captures"].as_array().unwrap().len(), 2);
    // A merge that fails leaves what was there.
    let broken = folder.path().join("broken.json");
    fs::write(&broken, "{}").unwrap();
    tlscov().arg("merge").args([&a, &broken]).arg("-o").arg(&target).assert().code(2);
    assert_eq!(serde_json::from_slice::<Value>(&fs::read(&target).unwrap()).unwrap(), report);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4, "nothing half-written is left");
}

#[test]
fn mistakes_are_told_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.txt");
    fs::write(&text, "not a report").unwrap();
    let text = text.to_str().unwrap();
    let cases: &[(&[&str], &str)] = &[
        (&["merge", "/no/such/report.json"], "/no/such/report.json: cannot be read"),
        (&["merge", text], "notes.txt: line 1, column 2: not JSON"),
        (&["render", text, "--format", "pdf"], "--format"),
        (&["render"], "<REPORT>"),
        (&["scan", "a.pcap", "--max-memory", "lots"], "--max-memory"),
        (&["scan", "a.pcap", "--jobs", "0"], "--jobs"),
        (&["scan", "a.pcap", "--policy", "no-such-policy"], "no-such-policy"),
        (&["scan", "a.pcap", "--flows", "flows.xlsx"], "--flows"),
        (&["scan", "a.pcap", "-o", "/no/such/folder/report.json"], "/no/such/folder/report.json"),
        (&["scan", "/no/such/capture.pcap"], "/no/such/capture.pcap"),
        (&["scan", "a.pcap", "--as-of", "yesterday"], "--as-of"),
        (&["schema", "universe"], "universe"),
    ];
    for (arguments, want) in cases {
        let output = tlscov().args(*arguments).assert().code(2);
        let stderr = String::from_utf8(output.get_output().stderr.clone()).unwrap();
        assert_eq!(stderr.lines().count(), 1, "{arguments:?}: {stderr}");
        assert!(stderr.starts_with("tlscov: error: ") && stderr.contains(want), "{arguments:?}: {stderr}");
        assert!(output.get_output().stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn schemas_describe_what_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let [a, _] = two_reports(folder.path());
    for of in ["report", "flow", "policy"] {
        let output = tlscov().args(["schema", of]).assert().success();
        let schema: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let report: Value = serde_json::from_slice(&fs::read(&a).unwrap()).unwrap();
        assert_eq!(validator.is_valid(&report), of == "report", "{of}");
    }
}

#[test]
fn a_closed_pipe_is_no_error() {
    use std::process::Stdio;
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_tlscov"))
        .args(["schema", "report"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), b"".as_slice()));
}

#[test]
fn every_command_has_help_with_examples() {
    for command in ["scan", "flows", "merge", "render", "grade", "policies", "schema"] {
        let output = tlscov().args([command, "--help"]).assert().success();
        let help = String::from_utf8(output.get_output().stdout.clone()).unwrap();
        assert!(help.contains("Examples:") && help.contains(&format!("tlscov {command}")), "{command}: {help}");
    }
}
