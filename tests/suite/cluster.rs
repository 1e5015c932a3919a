//! Work over many files: the plan, the merge of many parts, and the dashboard.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::common::{Record, pcap, records};

fn tlscov(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(assert_cmd::cargo::cargo_bin!("tlscov")).args(arguments).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Frames at these seconds.
fn at(seconds: &[i64]) -> Vec<u8> {
    let frame =
        |second: &i64| Record { time_ns: second * 1_000_000_000, wire_len: 60, link_type: 1, bytes: vec![0; 60] };
    pcap(&seconds.iter().map(frame).collect::<Vec<_>>())
}

#[test]
fn a_plan_has_one_line_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    write("box1/c.pcap", &at(&[100, 130]));
    write("box1/a.pcap", &at(&[131, 200]));
    write("box1/b.pcap", &at(&[300, 400]));
    write("box1/d.pcap", &at(&[390, 500]));
    write("box2/a.pcap", &at(&[7]));
    let mut other = at(&[8]);
    other[20] = 101;
    write("box2/raw.pcap", &other);
    write("box2/broken.pcap", b"no capture");
    let (status, lines) = tlscov(&["plan", folder.path().to_str().unwrap(), "--by", "link"]);
    assert_eq!(status, Some(2), "a file that is no capture is told");
    let items: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let links: Vec<_> = items.iter().map(|item| item["link"].as_str().unwrap().rsplit('/').next().unwrap()).collect();
    assert_eq!(links, ["box1::1", "box2::1", "box2::101"]);
    let first = &items[0];
    assert_eq!((first["gaps"].as_u64(), first["overlaps"].as_u64()), (Some(1), Some(1)));
    let files = first["files"].as_array().unwrap();
    let names: Vec<_> = files.iter().map(|file| file["path"].as_str().unwrap().rsplit('/').next().unwrap()).collect();
    assert_eq!(names, ["c.pcap", "a.pcap", "b.pcap", "d.pcap"], "by first frame");
    assert_eq!(files[1].get("gap_seconds"), None, "one second is no gap");
    assert_eq!((&files[2]["gap_seconds"], &files[3]["overlap_seconds"]), (&100.0.into(), &10.0.into()));
    assert_eq!((&first["first"], &first["last"]), (&"1970-01-01T00:01:40Z".into(), &"1970-01-01T00:08:20Z".into()));
    let only_gaps = tlscov(&["plan", folder.path().join("box1").to_str().unwrap(), "--min-gap", "1s"]).1;
    assert!(only_gaps.contains("\"gaps\":2"), "{only_gaps}");
}

#[test]
fn many_parts_merge_in_any_order() {
    let folder = tempfile::tempdir().unwrap();
    let name = |name: String| folder.path().join(name).display().to_string();
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut parts = Vec::new();
    for capture in ["https", "mail", "ssh"] {
        let path = name(format!("{capture}.pcap"));
        std::fs::write(&path, pcap(&records(&testdata.join(capture).with_extension("pcap"), 30))).unwrap();
        let part = name(format!("{capture}.json"));
        assert_eq!(tlscov(&["scan", &path, "--partial", &part, "--state-out", &name("state".to_owned())]).0, Some(0));
        let json = std::fs::read_to_string(part).unwrap();
        for copy in 0..20 {
            let path = name(format!("{capture}{copy}.json"));
            std::fs::write(&path, json.replace(".pcap\"", &format!("{copy}.pcap\""))).unwrap();
            parts.push(path);
        }
    }
    let merge = |parts: &[String]| {
        let arguments: Vec<&str> =
            ["merge", "--format", "json"].into_iter().chain(parts.iter().map(String::as_str)).collect();
        let (status, report) = tlscov(&arguments);
        assert_eq!(status, Some(0));
        report
    };
    let forward = merge(&parts);
    parts.reverse();
    assert!(merge(&parts) == forward);
    let halves = [name("half1.json".to_owned()), name("half2.json".to_owned())];
    for (half, path) in parts.chunks(30).zip(&halves) {
        std::fs::write(path, merge(half)).unwrap();
    }
    assert!(merge(&halves) == forward, "merged in groups");
}

/// The page that plans a petabyte shows what the simulation gives for the figures that were measured.
#[test]
fn the_plan_of_a_petabyte_is_the_simulated_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let Ok(checked) =
        Command::new("python3").current_dir(root).args(["cluster/petabyte.py", "--check", "docs/petabyte.md"]).output()
    else {
        eprintln!("skipped: python3 is not installed");
        return;
    };
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

/// The names of metrics in a text: words that begin with `tlscov_`.
fn metrics(text: &str) -> BTreeSet<&str> {
    let letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    text.split(|other| !letter(other)).filter(|word| word.starts_with("tlscov_")).collect()
}

#[test]
fn the_dashboard_asks_for_metrics_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dashboard = std::fs::read_to_string(root.join("examples/grafana-dashboard.json")).unwrap();
    serde_json::from_str::<serde_json::Value>(&dashboard).unwrap();
    let testdata = root.join("testdata");
    let (status, prometheus) = tlscov(&["scan", testdata.to_str().unwrap(), "--quiet", "--format", "prometheus"]);
    assert_eq!(status, Some(0));
    let written: BTreeSet<&str> =
        prometheus.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let asked = metrics(&dashboard);
    assert!(asked.len() > 8, "{asked:?}");
    let missing: Vec<_> = asked.difference(&written).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
