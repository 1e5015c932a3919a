//! `tlscov watch` follows a rotation; killed at any moment, it loses nothing and counts nothing twice.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::common::{Noise, pcap, records};

fn tlscov() -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("tlscov"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// The files of a rotation, in order: captures cut in pieces, one after the other.
fn rotation(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut all = Vec::new();
    for name in ["mail", "ftp", "https", "quic", "dtls12", "ssh", "http"] {
        all.extend(records(&testdata.join(name).with_extension("pcap"), 400));
    }
    all.sort_by_key(|record| record.time_ns);
    for (number, piece) in all.chunks(40).enumerate() {
        files.push((folder.join(format!("eth0_{number:05}.pcap")), pcap(piece)));
    }
    files
}

fn watch(folder: &Path, out: &Path, more: &[&str]) -> Child {
    tlscov()
        .arg("watch")
        .arg(folder)
        .args(["--every", "1s", "--quiet", "-j", "1"])
        .arg("-o")
        .arg(out.join("total.json"))
        .arg("--prometheus")
        .arg(out.join("total.prom"))
        .arg("--reports")
        .arg(out.join("intervals"))
        .args(more)
        .spawn()
        .unwrap()
}

#[test]
fn killed_at_any_moment_it_loses_nothing() {
    let (captures, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = rotation(captures.path());
    assert!(files.len() > 20, "{}", files.len());
    let mut noise = Noise(20);
    let mut written = files.iter();
    let most = files.len().div_ceil(20);
    for _ in 0..20 {
        let mut child = watch(captures.path(), out.path(), &[]);
        for (path, bytes) in written.by_ref().take(most) {
            // As a capturing program does: the file grows before the next one exists.
            let half = bytes.len() / 2;
            std::fs::write(path, &bytes[..half]).unwrap();
            std::thread::sleep(Duration::from_millis(noise.below(40) as u64));
            std::fs::write(path, bytes).unwrap();
        }
        std::thread::sleep(Duration::from_millis(noise.below(1500) as u64));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(written.next().is_none());
    let end = watch(captures.path(), out.path(), &["--once", "--closed-after", "0s"]).wait_with_output().unwrap();
    assert!(end.status.success(), "{}", String::from_utf8_lossy(&end.stderr));

    let whole = out.path().join("whole.json");
    let paths: Vec<&PathBuf> = files.iter().map(|(path, _)| path).collect();
    let scan = tlscov().arg("scan").args(&paths).args(["--continue", "--quiet", "-o"]).arg(&whole).status().unwrap();
    assert!(scan.success());
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    assert_eq!(read(&out.path().join("total.json")), read(&whole));
    assert!(read(&out.path().join("total.prom")).contains("tlscov_encrypted_ratio"));

    // The reports of the intervals hold each file once, and leave out what is open.
    let mut names = Vec::new();
    let (mut open, mut packets) = (0, 0);
    for entry in std::fs::read_dir(out.path().join("intervals")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "part") {
            continue;
        }
        let report: serde_json::Value = serde_json::from_str(&read(&path)).unwrap();
        for capture in report["captures"].as_array().unwrap() {
            names.push(capture["name"].as_str().unwrap().to_owned());
            packets += capture["packets"].as_i64().unwrap();
        }
        open += report["quality"]["carried"]["packets"].as_i64().unwrap_or(0);
    }
    names.sort();
    assert_eq!(names, paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>());
    assert!((1..=packets).contains(&open), "{open} of {packets}");
}

#[test]
fn the_newest_file_waits_and_names_come_again() {
    let (captures, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = rotation(captures.path());
    let once = |more: &[&str]| {
        let more = [&["--once"], more].concat();
        let end = watch(captures.path(), out.path(), &more).wait_with_output().unwrap();
        assert!(end.status.success(), "{}", String::from_utf8_lossy(&end.stderr));
        let report = std::fs::read_to_string(out.path().join("total.json"));
        let report: serde_json::Value = serde_json::from_str(&report.unwrap_or("{}".to_owned())).unwrap();
        report["captures"].as_array().map_or(0, Vec::len)
    };
    // A ring of two names, as with `tcpdump -W 2`.
    let names = [captures.path().join("ring.pcap0"), captures.path().join("ring.pcap1")];
    std::fs::write(&names[0], &files[0].1).unwrap();
    assert_eq!(once(&[]), 0, "it may still grow");
    std::fs::write(&names[1], b"").unwrap();
    assert_eq!(once(&[]), 1, "the next one exists");
    assert_eq!(once(&[]), 1, "not twice");
    std::fs::write(&names[1], &files[1].1).unwrap();
    std::fs::write(&names[0], &files[2].1).unwrap();
    assert_eq!(once(&[]), 2, "the first name holds a new file, which is now the newest");
    assert_eq!(once(&["--closed-after", "0s"]), 3);
}

/// `tcpdump -G` closes a file also when nothing came: such a file is no reason to take the one that is being written.
#[test]
fn a_file_that_stayed_empty_is_not_the_newest() {
    let (captures, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = rotation(captures.path());
    let empty = captures.path().join("eth0_0.pcap");
    std::fs::write(&empty, pcap(&[])).unwrap();
    let past = std::time::SystemTime::now() - Duration::from_secs(10);
    std::fs::File::options().write(true).open(&empty).unwrap().set_modified(past).unwrap();
    let (path, bytes) = &files[0];
    std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    let end = |more: &[&str]| {
        let end = watch(captures.path(), out.path(), &[&["--once"], more].concat()).wait_with_output().unwrap();
        assert!(end.status.success() && end.stderr.is_empty(), "{}", String::from_utf8_lossy(&end.stderr));
        std::fs::read_to_string(out.path().join("total.json")).unwrap_or_default()
    };
    end(&[]);
    std::fs::write(path, bytes).unwrap();
    // A new one without frames, on the other hand, says that the one before is complete.
    std::fs::write(captures.path().join("eth0_9.pcap"), pcap(&[])).unwrap();
    let total: serde_json::Value = serde_json::from_str(&end(&[])).unwrap();
    let packets: u64 = total["captures"].as_array().unwrap().iter().map(|one| one["packets"].as_u64().unwrap()).sum();
    assert_eq!(packets, 40, "{total}");
}

#[test]
fn another_state_is_refused() {
    let (captures, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = rotation(captures.path());
    std::fs::write(&files[0].0, &files[0].1).unwrap();
    let all = ["--once", "--closed-after", "0s"];
    assert!(watch(captures.path(), out.path(), &all).wait().unwrap().success());
    let other = [&all[..], &["--max-memory", "2G"]].concat();
    let refused = watch(captures.path(), out.path(), &other).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("--max-memory: the state was written with"), "{said}");
}
