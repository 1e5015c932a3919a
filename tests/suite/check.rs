//! `check`, `trend` and `compare`, run as a CI job or an analyst runs them.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;
use tlscov::model::{Class, Counts};
use tlscov::report::Report;
use tlscov::tally::{CaptureEntry, Tally};

fn tlscov() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tlscov"));
    command.env("NO_COLOR", "1");
    command
}

/// A report of day `day` with that many wire bytes of each class; what is in clear is telnet.
fn write(folder: &Path, name: &str, day: i64, [encrypted, plaintext, unknown]: [u64; 3]) -> PathBuf {
    let counts = |wire_bytes| Counts { packets: 1, wire_bytes, payload_bytes: wire_bytes / 2 };
    let mut tally = Tally::default();
    for (class, name, bytes) in [
        (Class::Encrypted, "macsec", encrypted),
        (Class::Plaintext, "telnet", plaintext),
        (Class::Unknown, "unknown", unknown),
    ] {
        if bytes > 0 {
            tally.add_frames(class, name, counts(bytes));
        }
    }
    let first_ns = Some(day * 86_400_000_000_000);
    let packets = [encrypted, plaintext, unknown].iter().filter(|bytes| **bytes > 0).count() as u64;
    let wire_bytes = encrypted + plaintext + unknown;
    tally.add_capture(CaptureEntry {
        name: "a.pcap".to_owned(),
        first_ns,
        last_ns: first_ns,
        packets,
        wire_bytes,
        ..CaptureEntry::default()
    });
    let path = folder.join(name);
    fs::write(&path, serde_json::to_vec(&Report::new(&tally)).unwrap()).unwrap();
    path
}

fn stdout(command: &mut Command, code: i32) -> String {
    String::from_utf8(command.assert().code(code).get_output().stdout.clone()).unwrap()
}

#[test]
fn a_failed_rule_is_told_in_one_line_with_its_figure() {
    let folder = tempfile::tempdir().unwrap();
    let report = write(folder.path(), "a.json", 0, [701, 249, 50]);
    let cases: &[(&[&str], i32, &str)] = &[
        (
            &["--min-encrypted", "70%"],
            0,
            "ok      min-encrypted: 70.1% of wire bytes are encrypted, at least 70% asked",
        ),
        (
            &["--min-encrypted", "72%"],
            1,
            "FAILED  min-encrypted: 70.1% of wire bytes are encrypted, at least 72% asked (encrypted bounds 70.1% to 75.1%)",
        ),
        (&["--max-unknown", "5%"], 0, "ok      max-unknown: 5.0% of wire bytes are unknown"),
        (&["--max-plaintext", "24.8%"], 1, "FAILED  max-plaintext: 24.9% of wire bytes are recognised in clear"),
        (
            &["--no-plaintext", "http,telnet"],
            1,
            "ok      no-plaintext http: not seen in clear\nFAILED  no-plaintext telnet: telnet in clear",
        ),
        (&["--min-encrypted", "60%", "-q"], 0, ""),
    ];
    for (arguments, code, want) in cases {
        let text = stdout(tlscov().arg("check").arg(&report).args(*arguments), *code);
        assert!(text.starts_with(want), "{arguments:?}\n  wanted {want}\n  got {text}");
    }
    let capture = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/tls12-null.pcap");
    let report = folder.path().join("null.json");
    tlscov().args(["scan", "--quiet", capture, "-o"]).arg(&report).assert().code(0);
    let text = stdout(tlscov().arg("check").arg(&report).args(["--no-finding", "null_suite"]), 1);
    assert!(text.starts_with("FAILED  no-finding null_suite: "), "{text}");
    stdout(tlscov().arg("check").arg(&report).args(["--no-finding", "rc4"]), 0);
}

#[test]
fn a_rule_file_does_the_same_and_its_mistakes_are_placed() {
    let folder = tempfile::tempdir().unwrap();
    let report = write(folder.path(), "a.json", 0, [701, 249, 50]);
    write(folder.path(), "main.json", 0, [720, 230, 50]);
    let rules = folder.path().join("rules.toml");
    fs::write(&rules, "max_unknown = \"4%\"\nbaseline = \"main.json\"\ntolerance = \"2%\"\n").unwrap();
    let text = stdout(tlscov().arg("check").arg(&report).arg("--rules").arg(&rules), 1);
    assert!(text.contains("FAILED  max-unknown: 5%"), "{text}");
    assert!(
        text.contains("ok      baseline-encrypted: 70.1% of wire bytes encrypted, 72% in the baseline, tolerance 2%"),
        "{text}"
    );
    fs::write(&rules, "max_unknown = \"4%\"\nmax_unknwon = \"4%\"\n").unwrap();
    let output = tlscov().arg("check").arg(&report).arg("--rules").arg(&rules).assert().code(2);
    let stderr = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(stderr.contains("rules.toml: line 2, column 1: unknown field `max_unknwon`"), "{stderr}");
    let output = tlscov().arg("check").arg(&report).assert().code(2);
    let stderr = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(stderr.contains("no rule was given") && stderr.lines().count() == 1, "{stderr}");
}

#[test]
fn junit_and_sarif_hold_what_failed() {
    let folder = tempfile::tempdir().unwrap();
    let report = write(folder.path(), "a.json", 0, [701, 249, 50]);
    let [junit, sarif] = ["j.xml", "s.sarif"].map(|name| folder.path().join(name));
    stdout(
        tlscov()
            .arg("check")
            .arg(&report)
            .args(["--min-encrypted", "72%", "--max-unknown", "9%"])
            .arg("--junit")
            .arg(&junit)
            .arg("--sarif")
            .arg(&sarif),
        1,
    );
    let xml = fs::read_to_string(&junit).unwrap();
    assert!(xml.contains("tests=\"2\" failures=\"1\"") && xml.matches("<failure ").count() == 1, "{xml}");
    let log: Value = serde_json::from_slice(&fs::read(&sarif).unwrap()).unwrap();
    assert_eq!(log["runs"][0]["results"].as_array().unwrap().len(), 1);
    assert_eq!(log["runs"][0]["results"][0]["ruleId"], "min-encrypted");
}

#[test]
fn trend_tells_what_moved_or_why_it_will_not() {
    let folder = tempfile::tempdir().unwrap();
    let later = write(folder.path(), "2018.json", 17_744, [723, 277, 0]);
    let earlier = write(folder.path(), "2017.json", 17_379, [701, 299, 0]);
    let text = stdout(tlscov().arg("trend").args([&later, &earlier]), 0);
    assert!(text.contains("up from 70.1% to 72.3%, definition unchanged\n"), "{text}");
    let json: Value =
        serde_json::from_str(&stdout(tlscov().arg("trend").args([&later, &earlier]).args(["--format", "json"]), 0))
            .unwrap();
    assert_eq!(
        (&json[0]["encrypted_share"]["value"], &json[1]["encrypted_share"]["value"]),
        (&0.701.into(), &0.723.into())
    );
    let csv = stdout(tlscov().arg("trend").args([&later, &earlier]).args(["--format", "csv"]), 0);
    assert_eq!(csv.lines().count(), 3, "{csv}");
    let text = fs::read_to_string(&later).unwrap().replace("rounded half up to 6 decimals", "cut to 6 decimals");
    fs::write(&later, text).unwrap();
    let output = tlscov().arg("trend").args([&later, &earlier]).assert().code(2);
    let stderr = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(stderr.contains("definition.rounding changed between them"), "{stderr}");
}

#[test]
fn published_figures_are_compared_with_their_own_metric() {
    let folder = tempfile::tempdir().unwrap();
    let report = write(folder.path(), "a.json", 0, [701, 249, 50]);
    let compare = || {
        let mut command = tlscov();
        command.arg("compare").arg(&report).args(["--with", "published"]);
        command
    };
    let text = stdout(compare().args(["--figure", "fortinet-2018"]), 0);
    assert!(text.contains("2018 fortinet-2018: about 72.0%, web share (bytes or flows not said)"), "{text}");
    assert!(text.contains("here: web share - by bytes, - by flows"), "this report has no web traffic: {text}");
    let text = stdout(compare().args(["--figure", "chrome-2019"]), 0);
    assert!(text.contains("not compared: page loads are counted in browsers"), "{text}");
    let output = compare().args(["--figure", "fortinet-2018", "--metric", "encrypted_share"]).assert().code(2);
    let stderr = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(
        stderr.contains("fortinet-2018 is a web share and cannot be compared with the encrypted share"),
        "{stderr}"
    );
}

#[test]
fn the_commands_have_help_with_examples() {
    for command in ["check", "trend", "compare"] {
        let help = stdout(tlscov().args([command, "--help"]), 0);
        assert!(help.contains("Examples:") && help.contains(&format!("tlscov {command}")), "{command}: {help}");
    }
    let schema: Value = serde_json::from_str(&stdout(tlscov().args(["schema", "check"]), 0)).unwrap();
    assert!(schema["properties"].get("min_encrypted").is_some());
}
