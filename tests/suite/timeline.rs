//! The timeline and the breakdowns over every capture in `testdata/`: exact, the same for any number of threads, and
//! merging.

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;

fn captures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "pcap" || end == "pcapng"))
        .collect();
    paths.sort();
    assert!(paths.len() > 20, "testdata is not complete");
    paths
}

fn run(arguments: &[&str], paths: &[PathBuf]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tlscov"));
    let output = command.args(arguments).args(paths).assert().success();
    String::from_utf8(output.get_output().stdout.clone()).unwrap()
}

fn scan(options: &[&str], paths: &[PathBuf]) -> Value {
    serde_json::from_str(&run(&[&["scan", "-q", "--format", "json"], options].concat(), paths)).unwrap()
}

/// Adds the numbers of `more` to those of `sum`, key by key.
fn add(sum: &mut serde_json::Map<String, Value>, more: &Value) {
    for (key, number) in more.as_object().into_iter().flatten() {
        let so_far = sum.get(key).and_then(Value::as_u64).unwrap_or_default();
        sum.insert(key.clone(), (so_far + number.as_u64().unwrap()).into());
    }
}

fn without_zeros(totals: &Value) -> serde_json::Map<String, Value> {
    let fields = totals.as_object().unwrap();
    fields
        .iter()
        .filter(|(_, number)| number.as_u64() != Some(0))
        .map(|(key, number)| (key.clone(), number.clone()))
        .collect()
}

#[test]
fn intervals_add_up_to_the_totals() {
    for path in captures() {
        for options in [&[][..], &["--interval", "1s"], &["--interval", "3s", "--jobs", "1"]] {
            let report = scan(options, std::slice::from_ref(&path));
            for class in ["encrypted", "plaintext", "unknown", "control", "undecoded"] {
                let mut sum = serde_json::Map::new();
                for interval in report["timeline"]["intervals"].as_array().unwrap() {
                    add(&mut sum, interval.get(class).unwrap_or(&Value::Null));
                }
                let want = without_zeros(&report["coverage"]["totals"][class]);
                let sum = without_zeros(&Value::Object(sum));
                assert_eq!(sum, want, "{} {options:?} {class}", path.display());
            }
        }
    }
}

#[test]
fn threads_change_no_interval() {
    for path in captures() {
        let paths = std::slice::from_ref(&path);
        let one = scan(&["--interval", "1s", "--jobs", "1"], paths);
        assert_eq!(scan(&["--interval", "1s", "--jobs", "4"], paths), one, "{}", path.display());
    }
}

#[test]
fn merged_reports_are_the_report_of_both() {
    let folder = tempfile::tempdir().unwrap();
    let all = captures();
    for options in [&[][..], &["--interval", "2s"], &["--interval", "1h", "--by", "service"]] {
        for pair in all.chunks_exact(2) {
            let reports: Vec<PathBuf> = pair
                .iter()
                .enumerate()
                .map(|(number, path)| {
                    let report = folder.path().join(format!("{number}.json"));
                    let text =
                        run(&[&["scan", "-q", "--format", "json"], options].concat(), std::slice::from_ref(path));
                    std::fs::write(&report, text).unwrap();
                    report
                })
                .collect();
            let merged: Value = serde_json::from_str(&run(&["merge", "--format", "json"], &reports)).unwrap();
            assert_eq!(merged, scan(options, pair), "{pair:?} {options:?}");
        }
    }
}

#[test]
fn intervals_are_those_asked_for() {
    let office = captures().into_iter().filter(|path| path.ends_with("office.pcapng")).collect::<Vec<_>>();
    let report = scan(&["--interval", "1m"], &office);
    assert_eq!(
        (&report["timeline"]["interval_seconds"], &report["timeline"]["asked_seconds"]),
        (&60.into(), &60.into())
    );
    for interval in report["timeline"]["intervals"].as_array().unwrap() {
        assert!(interval["start"].as_str().unwrap().ends_with(":00Z"), "{}", interval["start"]);
    }
    let report = scan(&[], &office);
    assert!(report["timeline"].get("asked_seconds").is_none());
    assert!(report["timeline"]["intervals"].as_array().unwrap().len() <= 100);
    for wrong in ["0s", "1", "1w", "-1h", "367d", "4294967295d"] {
        Command::new(env!("CARGO_BIN_EXE_tlscov"))
            .args(["scan", "a.pcap"])
            .arg(format!("--interval={wrong}"))
            .assert()
            .code(2);
    }
}

#[test]
fn the_page_shows_the_timeline() {
    let office = captures().into_iter().filter(|path| path.ends_with("office.pcapng")).collect::<Vec<_>>();
    for (options, column) in
        [(["--interval", "1s"], "one column for 1 second"), (["--interval", "1m"], "one column for 1 minute")]
    {
        let page = run(&[&["scan", "-q", "--format", "html"][..], &options].concat(), &office);
        assert!(page.contains("Encrypted, unknown and plaintext over time") && page.contains(column), "{options:?}");
    }
}
