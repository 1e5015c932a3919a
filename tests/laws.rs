//! The laws of the report, over every capture in `testdata/`: nothing is lost, nothing depends on threads, containers
//! or batch sizes, and damaged input ends in a report or a clear error.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tlscov::capture::Input;
use tlscov::grade::Policy;
use tlscov::model::{Class, Steps};
use tlscov::pipeline::{Options, Scan, scan};
use tlscov::report::Report;
use tlscov::tally::Tally;

fn options(jobs: usize) -> Options {
    Options {
        jobs: Some(jobs),
        max_memory: 64 << 20,
        strict: false,
        continued: false,
        policies: Arc::new(vec![Policy::builtin("bcp195").expect("built in")]),
        steps: Steps::Automatic,
        plan: None,
    }
}

fn captures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("testdata")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "pcap" || end == "pcapng"))
        .collect();
    paths.sort();
    assert!(paths.len() > 20, "testdata is not complete");
    paths
}

fn read(path: &Path, jobs: usize) -> Scan {
    let scan = scan(&[Input::File(path.to_path_buf())], &options(jobs), &|_| {}, None).expect("threads start");
    assert!(scan.failed.is_empty(), "{}: {:?}", path.display(), scan.failed);
    scan
}

/// The report without the description of the container.
fn content(tally: Tally) -> String {
    let mut value = serde_json::to_value(Report::new(&tally)).expect("a report is JSON");
    value.as_object_mut().expect("an object").remove("captures");
    value.to_string()
}

/// Law 1: the classes and what could not be decoded add up to the file.
fn adds_up(tally: &Tally, name: &str) {
    let mut packets: u64 = Class::ALL.iter().map(|class| tally.class(*class).packets).sum();
    let mut wire_bytes: u64 = Class::ALL.iter().map(|class| tally.class(*class).wire_bytes).sum();
    for counts in tally.undecoded.values() {
        packets += counts.packets;
        wire_bytes += counts.wire_bytes;
    }
    let want = tally.captures.iter().fold((0, 0), |sum, entry| (sum.0 + entry.packets, sum.1 + entry.wire_bytes));
    assert_eq!((packets, wire_bytes), want, "{name}");
}

#[test]
fn classes_add_up_to_the_file() {
    for path in captures() {
        let scan = read(&path, 2);
        assert!(scan.tally.captures[0].packets > 0, "{}", path.display());
        adds_up(&scan.tally, &path.display().to_string());
    }
}

#[test]
fn threads_change_nothing() {
    for path in captures() {
        let one = content(read(&path, 1).tally);
        for jobs in [2, 8] {
            assert_eq!(content(read(&path, jobs).tally), one, "{} with {jobs} threads", path.display());
        }
    }
}

#[test]
fn the_container_changes_nothing_but_its_description() {
    let folder = tempfile::tempdir().expect("a folder");
    for path in captures() {
        let bytes = std::fs::read(&path).expect("readable");
        let plain = content(read(&path, 2).tally);
        let packed = folder.path().join("packed");
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&bytes).expect("in memory");
        let zstd = zstd::encode_all(bytes.as_slice(), 1).expect("in memory");
        for (name, data) in [("gzip", gzip.finish().expect("in memory")), ("zstd", zstd)] {
            std::fs::write(&packed, data).expect("writable");
            assert_eq!(content(read(&packed, 2).tally), plain, "{} as {name}", path.display());
        }
    }
}

/// A small generator, so that mutations are the same in every run.
struct Noise(u64);

impl Noise {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound.max(1)
    }
}

#[test]
fn damaged_captures_end_in_a_report_or_a_clear_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let damaged = folder.path().join("damaged");
    let mut noise = Noise(7);
    for path in captures() {
        let bytes = std::fs::read(&path).expect("readable");
        if bytes.len() > 300_000 {
            continue;
        }
        for round in 0..8 {
            let mut copy = bytes.clone();
            match round % 4 {
                0 => copy.truncate(noise.below(bytes.len())),
                1 => {
                    for _ in 0..20 {
                        let at = noise.below(copy.len());
                        copy[at] ^= 1 << noise.below(8);
                    }
                }
                2 => {
                    let at = noise.below(copy.len());
                    let len = noise.below(200).min(copy.len() - at);
                    copy.drain(at..at + len);
                }
                _ => {
                    let at = noise.below(copy.len());
                    let len = noise.below(400).min(copy.len() - at);
                    let again = copy[at..at + len].to_vec();
                    copy.splice(at..at, again);
                }
            }
            std::fs::write(&damaged, &copy).expect("writable");
            let scan = scan(&[Input::File(damaged.clone())], &options(2), &|_| {}, None).expect("threads start");
            adds_up(&scan.tally, &format!("{} round {round}", path.display()));
            assert_eq!(scan.tally.captures.len() + scan.failed.len(), 1, "{} round {round}", path.display());
        }
    }
}
