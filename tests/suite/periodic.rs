//! `--every`: reports while a capture is still being read. Each is the report of what came so far, the last one that of a
//! scan without `--every`, and no frame is lost by them, however slowly the capture comes.

use std::io::{BufRead, BufReader, Cursor, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tlscov::capture::{self, Input};
use tlscov::model::Loss;
use tlscov::pipeline::{Options, Periodic, scan, scan_source_with_reports, scan_with_reports};
use tlscov::tally::Tally;

use crate::common::{Noise, adds_up, captures, content, options, pcap, read_bytes, records};

/// Hands out few bytes at a time, so that batches end in many places.
struct Drops(Cursor<Vec<u8>>, Noise);

impl Read for Drops {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = buffer.len().min(1 + self.1.below(3000));
        self.0.read(&mut buffer[..most])
    }
}

/// A report as if the capture had ended there: every one is checked against a scan of just these frames.
#[test]
fn each_report_is_that_of_what_came_so_far() {
    let mut looked_at = 0;
    for path in captures() {
        let records = records(&path, usize::MAX);
        if records.iter().any(|record| record.link_type != records[0].link_type) {
            continue;
        }
        let options = options(2);
        let bytes = pcap(&records);
        let mut reports: Vec<Tally> = Vec::new();
        let mut take = |tally: &Tally| {
            reports.push(tally.clone());
            Ok(())
        };
        let batch_bytes = bytes.len() / 7;
        let reading = capture::Options { batch_bytes, ..capture::Options::default() };
        let drops = Box::new(Drops(Cursor::new(bytes.clone()), Noise(3)));
        let source = capture::from_reader("-", drops, reading).unwrap();
        let periodic = Periodic { every: Duration::ZERO, take: &mut take };
        let last = scan_source_with_reports(source, &options, None, Some(periodic)).unwrap().tally;
        let (plain, _) = read_bytes(bytes, &options, 1 << 20).unwrap();
        assert!(content(&last) == content(&plain.tally), "{}", path.display());
        for mut report in reports {
            let name = format!("{}: {} packets", path.display(), report.captures[0].packets);
            adds_up(&report, &name);
            assert_eq!(report.losses.remove(&Loss::Unfinished), Some(1), "{name}");
            let so_far = pcap(&records[..report.captures[0].packets as usize]);
            let (want, _) = read_bytes(so_far, &options, 1 << 20).unwrap();
            assert!(content(&report) == content(&want.tally), "{name}");
            looked_at += 1;
        }
    }
    assert!(looked_at > 100, "{looked_at}");
}

/// Several captures: those that have ended are in every report, whether they are one capture or many.
#[test]
fn captures_that_have_ended_stay() {
    let inputs: Vec<Input> = captures().into_iter().take(12).map(Input::File).collect();
    for continued in [false, true] {
        let options = Options { continued, ..options(2) };
        let mut most = 0;
        let mut take = |tally: &Tally| {
            adds_up(tally, "so far");
            assert_eq!(tally.losses.get(&Loss::Unfinished), Some(&1));
            assert!(tally.captures.len() >= most);
            most = tally.captures.len();
            Ok(())
        };
        let periodic = Periodic { every: Duration::ZERO, take: &mut take };
        let with = scan_with_reports(&inputs, &options, &|_| {}, None, Some(periodic)).unwrap().tally;
        assert!(with == scan(&inputs, &options, &|_| {}, None).unwrap().tally);
    }
}

fn tlscov(arguments: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("tlscov"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn capture() -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/office.pcapng")).unwrap()
}

/// What a scan of the whole says, without the name of the capture.
fn whole(bytes: &[u8]) -> Value {
    let mut child = tlscov(&["scan", "-"]).spawn().unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap()
}

fn partial(report: &Value) -> bool {
    let unfinished = report["quality"]["losses"]["unfinished_captures"].as_u64();
    assert_eq!(report["quality"]["partial"], unfinished == Some(1));
    unfinished == Some(1)
}

fn packets(report: &Value) -> u64 {
    report["captures"][0]["packets"].as_u64().unwrap()
}

#[test]
fn a_slow_pipe_gives_reports_and_loses_nothing() {
    let bytes = capture();
    let mut child = tlscov(&["scan", "-", "--every", "1s"]).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    // The middle of a record, of which nobody knows when the rest comes.
    let (start, rest) = bytes.split_at(bytes.len() / 2 + 1);
    pipe.write_all(start).unwrap();
    let (first, second) = (next(), next());
    assert!(partial(&first) && partial(&second));
    assert!(packets(&first) > 1000, "{}", packets(&first));
    assert_eq!(packets(&first), packets(&second), "nothing came in between");
    pipe.write_all(rest).unwrap();
    drop(pipe);
    let mut last = next();
    while partial(&last) {
        last = next();
    }
    assert_eq!(last, whole(&bytes));
    assert!(child.wait().unwrap().success());
}

/// A named pipe, a report in a file, in another format, and compressed.
#[test]
fn the_file_holds_the_latest_report() {
    let folder = tempfile::tempdir().unwrap();
    let name = |name: &str| folder.path().join(name).display().to_string();
    let (fifo, out) = (name("fifo"), name("report.prom"));
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let every = ["scan", &fifo, "--every", "1s", "--format", "prometheus", "-o", &out];
    let child = tlscov(&every).spawn().unwrap();
    let mut pipe = std::fs::OpenOptions::new().write(true).open(&fifo).unwrap();
    let bytes = zstd::encode_all(capture().as_slice(), 1).unwrap();
    let (start, rest) = bytes.split_at(bytes.len() / 2);
    pipe.write_all(start).unwrap();
    let started = Instant::now();
    while !Path::new(&out).exists() {
        assert!(started.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(20));
    }
    let first = std::fs::read_to_string(&out).unwrap();
    pipe.write_all(rest).unwrap();
    drop(pipe);
    let end = child.wait_with_output().unwrap();
    assert!(end.status.success() && end.stdout.is_empty(), "{}", String::from_utf8_lossy(&end.stderr));
    let last = std::fs::read_to_string(&out).unwrap();
    assert!(first.contains("unfinished_captures\"} 1") && last.contains("unfinished_captures\"} 0"), "{first}\n{last}");
    let plain = name("plain.prom");
    let office = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/office.pcapng");
    assert!(tlscov(&["scan", office, "--format", "prometheus", "-o", &plain]).status().unwrap().success());
    assert_eq!(last, std::fs::read_to_string(&plain).unwrap());
    let mut left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["fifo", "plain.prom", "report.prom"]);
}

/// An interrupt is heard while nothing comes; with frames there is a report, without any there is none.
#[test]
fn an_interrupt_is_heard_in_silence() {
    let bytes = capture();
    let interrupt = |child: &Child| {
        let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        assert!(killed.unwrap().success());
    };
    for every in [&[][..], &["--every", "1h"]] {
        let mut child = tlscov(&[&["scan", "-"], every].concat()).spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        pipe.write_all(&bytes[..bytes.len() / 2]).unwrap();
        std::thread::sleep(Duration::from_millis(1500));
        interrupt(&child);
        let end = child.wait_with_output().unwrap();
        assert_eq!(end.status.code(), Some(130), "{every:?}");
        let report: Value = serde_json::from_slice(&end.stdout).unwrap();
        assert_eq!(report["quality"]["losses"]["interrupted_captures"], 1);
        assert!(packets(&report) > 1000);

        let mut child = tlscov(&[&["scan", "-"], every].concat()).spawn().unwrap();
        let pipe = child.stdin.take().unwrap();
        std::thread::sleep(Duration::from_millis(500));
        interrupt(&child);
        let end = child.wait_with_output().unwrap();
        drop(pipe);
        assert_eq!((end.status.code(), end.stdout.len()), (Some(130), 0), "{every:?}");
    }
}

#[test]
fn reports_that_cannot_follow_one_another() {
    let refused = tlscov(&["scan", "-", "--every", "1s", "--format", "html"]).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && said.contains("-o FILE") && said.lines().count() == 1, "{said}");
}
