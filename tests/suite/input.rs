//! Bad input at the command line: one clear line, the right exit status, and the rest still read.

use std::path::Path;

use assert_cmd::Command;

fn tlscov() -> Command {
    Command::new(env!("CARGO_BIN_EXE_tlscov"))
}

fn testdata(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name).display().to_string()
}

/// Runs, and gives exit status, standard output and standard error.
fn run(args: &[&str]) -> (i32, String, String) {
    let output = tlscov().args(args).output().expect("runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("no signal"), text(output.stdout), text(output.stderr))
}

#[test]
fn mistakes_are_one_line_that_names_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("writable");
        path.display().to_string()
    };
    let empty = file("empty.pcap", b"");
    let text = file("notes.txt", b"these are notes, not packets");
    let good = testdata("dns.pcap");
    let cases: &[(&str, &[&str], &[&str])] = &[
        ("missing file", &["scan", "nowhere.pcap"], &["nowhere.pcap"]),
        ("empty file", &["scan", &empty], &["empty.pcap", "empty"]),
        ("no capture", &["scan", &text], &["notes.txt", "byte 0", "pcapng"]),
        ("unknown policy", &["scan", &good, "--policy", "bcp159"], &["bcp159", "bcp195"]),
        ("unknown format", &["scan", &good, "--format", "xlm"], &["xlm"]),
        ("no memory", &["scan", &good, "--max-memory", "lots"], &["lots"]),
        ("unknown suite", &["grade", "TLS_RSA_WITH_AES_128_GCM_SHA265"], &["TLS_RSA_WITH_AES_128_GCM_SHA256"]),
    ];
    for (name, args, words) in cases {
        let (status, out, err) = run(args);
        assert_eq!(status, 2, "{name}: {err}");
        assert!(out.is_empty(), "{name}: {out}");
        for word in *words {
            assert!(err.contains(word), "{name}: {word} is not in {err}");
        }
        assert!(!err.contains("panicked"), "{name}: {err}");
    }
}

#[test]
fn the_other_inputs_are_still_read() {
    let good = testdata("dns.pcap");
    let (status, out, err) = run(&["scan", "nowhere.pcap", &good, "--format", "json"]);
    assert_eq!(status, 2);
    assert!(err.contains("nowhere.pcap"), "{err}");
    let report: serde_json::Value = serde_json::from_str(&out).expect("a report");
    assert_eq!(report["captures"].as_array().map(Vec::len), Some(1));
    let (status, out, _) = run(&["scan", "nowhere.pcap", &good, "--format", "json", "--strict"]);
    assert_eq!((status, out.as_str()), (2, ""));
}

#[test]
fn a_capture_cut_short_gives_what_came_before() {
    let whole = std::fs::read(testdata("dns.pcap")).expect("readable");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cut.pcap");
    std::fs::write(&path, &whole[..whole.len() - 10]).expect("writable");
    let (status, out, err) = run(&["scan", &path.display().to_string(), "--format", "json"]);
    assert_eq!(status, 0, "{err}");
    assert!(err.contains("cut.pcap"), "{err}");
    let report: serde_json::Value = serde_json::from_str(&out).expect("a report");
    assert_eq!(report["quality"]["losses"]["captures_cut_short"], 1);
}

#[test]
fn standard_input_is_the_same_capture() {
    let path = testdata("https.pcap");
    let bytes = std::fs::read(&path).expect("readable");
    let output = tlscov().args(["scan", "-", "--format", "json"]).write_stdin(bytes).output().expect("runs");
    let (_, from_file, _) = run(&["scan", &path, "--format", "json"]);
    let content = |text: &[u8]| {
        let mut report: serde_json::Value = serde_json::from_slice(text).expect("a report");
        report.as_object_mut().expect("an object").remove("captures");
        report
    };
    assert_eq!(content(&output.stdout), content(from_file.as_bytes()));
}

#[test]
fn memory_bound_closes_flows_early_and_counts_them() {
    // One-packet flows, many more than the bound allows to be open at once.
    let mut capture = Vec::from(0xa1b2_c3d4_u32.to_le_bytes());
    for word in [0x0004_0002_u32, 0, 0, 65_535, 101] {
        capture.extend_from_slice(&word.to_le_bytes());
    }
    let flows = 200_000_u32;
    for number in 0..flows {
        let [a, b, c, d] = number.to_be_bytes();
        let packet = [
            0x45, 0, 0, 36, 0, 0, 0, 0, 64, 17, 0, 0, 10, b, c, d, 192, 0, 2, 1, 0x90, a, 0x77, 0x77, 0, 16, 0, 0,
            0xde, 0xad, 0xbe, 0xef, a, b, c, d,
        ];
        for word in [number / 1000, 0, 36, 36] {
            capture.extend_from_slice(&word.to_le_bytes());
        }
        capture.extend_from_slice(&packet);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("flood.pcap").display().to_string();
    std::fs::write(&path, capture).expect("writable");
    let (status, out, err) = run(&["scan", &path, "--format", "json", "--max-memory", "64M"]);
    assert_eq!(status, 0, "{err}");
    let report: serde_json::Value = serde_json::from_str(&out).expect("a report");
    let totals = &report["coverage"]["totals"];
    assert_eq!(totals["all"]["flows"], flows);
    assert_eq!(totals["all"]["packets"], flows);
    assert!(report["quality"]["losses"]["evicted_flows"].as_u64() > Some(0), "{}", report["quality"]);
    let (_, again, _) = run(&["scan", &path, "--format", "json", "--max-memory", "64M", "--jobs", "5"]);
    assert_eq!(out, again);
}
