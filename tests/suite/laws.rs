//! The laws of the report, over every capture in `testdata/`: nothing is lost, nothing depends on threads, containers
//! or batch sizes, and damaged input ends in a report or a clear error.

use std::io::Write;
use std::path::Path;

use tlscov::capture::{Batch, Input, Options as ReadOptions, open};
use tlscov::grade::Verdict;
use tlscov::model::{Class, FlowSummary};
use tlscov::pipeline::{Options, Scan, scan};
use tlscov::tally::Tally;

use crate::common::{Noise, adds_up, captures, content, options, read_bytes};

fn read(path: &Path, jobs: usize) -> Scan {
    let scan = scan(&[Input::File(path.to_path_buf())], &options(jobs), &|_| {}, None).expect("threads start");
    assert!(scan.failed.is_empty(), "{}: {:?}", path.display(), scan.failed);
    scan
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
        let one = content(&read(&path, 1).tally);
        for jobs in [2, 8] {
            assert_eq!(content(&read(&path, jobs).tally), one, "{} with {jobs} threads", path.display());
        }
    }
}

/// Small captures are read side by side, and the reports of several are added up together: whatever is among them, the
/// report, the flows, their order and the errors are those of one capture after the other.
#[test]
fn captures_side_by_side_are_as_each_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let broken = folder.path().join("broken.pcap");
    std::fs::write(&broken, b"no capture").expect("written");
    let mut paths = captures();
    // Small compressed ones go with the others; one that is cut short among them.
    for (number, place) in [7, 3, 1].into_iter().enumerate() {
        let bytes = std::fs::read(&paths[place]).expect("readable");
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&bytes).expect("into memory");
        let mut stored = encoder.finish().expect("into memory");
        stored.truncate(stored.len() - 9 * number);
        let path = folder.path().join(format!("{number}.pcap.gz"));
        std::fs::write(&path, stored).expect("written");
        paths.insert(place, path);
    }
    for place in [40, 20, 3] {
        paths.insert(place.min(paths.len()), broken.clone());
    }
    let inputs: Vec<Input> = paths.into_iter().map(Input::File).collect();
    let read = |inputs: &[Input], jobs: usize| {
        let options = Options { jobs: Some(jobs), ..Options::default() };
        let mut flows = Vec::new();
        let mut keep = |name: &str, flow: &FlowSummary, verdicts: &[Verdict]| {
            flows.push(format!("{name} {flow:?} {verdicts:?}"));
            Ok(())
        };
        let read = scan(inputs, &options, &|_| {}, Some(&mut keep)).expect("threads start");
        (read, flows)
    };
    let (mut tally, mut flows, mut failed, mut warnings) = (Tally::default(), Vec::new(), Vec::new(), Vec::new());
    for input in &inputs {
        let (alone, more) = read(std::slice::from_ref(input), 1);
        tally.merge(alone.tally);
        flows.extend(more);
        failed.extend(alone.failed.iter().map(ToString::to_string));
        warnings.extend(alone.warnings);
    }
    assert_eq!(failed.len(), 3);
    for jobs in [1, 2, 8] {
        let (together, found) = read(&inputs, jobs);
        assert_eq!(content(&together.tally), content(&tally), "{jobs} threads");
        assert_eq!(together.tally.captures, tally.captures, "{jobs} threads");
        assert!(found == flows, "{jobs} threads");
        assert_eq!(together.failed.iter().map(ToString::to_string).collect::<Vec<_>>(), failed, "{jobs} threads");
        assert_eq!(together.warnings, warnings, "{jobs} threads");
        let strict = Options { jobs: Some(jobs), strict: true, ..Options::default() };
        assert!(
            scan(&inputs, &strict, &|_| {}, None).is_err_and(|error| error.to_string() == failed[0]),
            "{jobs} threads"
        );
    }
}

/// One to sixteen threads, batches of any size, one to 64 shards: the same report to the last byte.
#[test]
fn threads_batches_and_shards_change_nothing() {
    let mut noise = Noise(16);
    for (turn, path) in captures().into_iter().enumerate() {
        let bytes = std::fs::read(&path).expect("readable");
        let bytes = if bytes.len() > 300_000 { bytes[..300_000].to_vec() } else { bytes };
        let (scan, flows) = read_bytes(bytes.clone(), &options(1), 4 << 20).expect("a capture");
        let want = (content(&scan.tally), format!("{flows:?}"));
        // Thread counts take turns: each of the sixteen comes up with many captures.
        for step in 0..3 {
            let jobs = 1 + (turn * 3 + step) % 16;
            let shards = 1 << noise.below(7);
            let most = 1 << (3 + noise.below(16));
            let batch_bytes = 1 + noise.below(most);
            let options = Options { shards, ..options(jobs) };
            let (scan, flows) = read_bytes(bytes.clone(), &options, batch_bytes).expect("a capture");
            let name = format!("{}, {jobs} threads, {shards} shards, batches of {batch_bytes}", path.display());
            assert_eq!(content(&scan.tally), want.0, "{name}");
            assert_eq!(format!("{flows:?}"), want.1, "{name}");
        }
    }
}

#[test]
fn the_container_changes_nothing_but_its_description() {
    let folder = tempfile::tempdir().expect("a folder");
    for path in captures() {
        let bytes = std::fs::read(&path).expect("readable");
        let plain = content(&read(&path, 2).tally);
        let packed = folder.path().join("packed");
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&bytes).expect("in memory");
        let zstd = zstd::encode_all(bytes.as_slice(), 1).expect("in memory");
        for (name, data) in [("gzip", gzip.finish().expect("in memory")), ("zstd", zstd), ("pcapng", as_pcapng(&path))]
        {
            std::fs::write(&packed, data).expect("writable");
            assert_eq!(content(&read(&packed, 2).tally), plain, "{} as {name}", path.display());
        }
    }
}

/// The frames of a capture as one pcapng section with an interface for each link type, nanosecond stamps.
fn as_pcapng(path: &Path) -> Vec<u8> {
    let mut source = open(&Input::File(path.to_path_buf()), ReadOptions::default()).expect("a capture");
    let mut out = Vec::new();
    let mut block = |kind: u32, body: &[u8]| {
        let len = 12 + body.len() as u32;
        for part in [&kind.to_le_bytes()[..], &len.to_le_bytes(), body, &len.to_le_bytes()] {
            out.extend_from_slice(part);
        }
    };
    let mut section = Vec::from(0x1a2b_3c4d_u32.to_le_bytes());
    section.extend_from_slice(&[1, 0, 0, 0]);
    section.extend_from_slice(&u64::MAX.to_le_bytes());
    block(0x0a0d_0d0a, &section);
    let mut interfaces: Vec<u16> = Vec::new();
    let mut batch = Batch::default();
    while source.next_batch(&mut batch).expect("readable") {
        for frame in &batch.frames {
            let interface = interfaces.iter().position(|link| *link == frame.link_type).unwrap_or_else(|| {
                interfaces.push(frame.link_type);
                let [low, high] = frame.link_type.to_le_bytes();
                // Option 9, if_tsresol: 10^-9.
                block(1, &[low, high, 0, 0, 0, 0, 0, 0, 9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
                interfaces.len() - 1
            });
            let time = frame.time_ns as u64;
            let start = frame.start as usize;
            let data = &batch.data[start..start + frame.captured_len as usize];
            let mut body = Vec::from((interface as u32).to_le_bytes());
            for word in [(time >> 32) as u32, time as u32, frame.captured_len, frame.wire_len] {
                body.extend_from_slice(&word.to_le_bytes());
            }
            body.extend_from_slice(data);
            body.resize(body.len().next_multiple_of(4), 0);
            block(6, &body);
        }
    }
    out
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

/// Frames thinned out never make a flow encrypted that was in clear or unknown when all of it was there (law 7).
#[test]
fn fewer_packets_never_make_more_encrypted() {
    let folder = tempfile::tempdir().expect("a folder");
    let thinned = folder.path().join("thinned.pcap");
    let mut noise = Noise(11);
    for path in captures().into_iter().filter(|path| path.extension().is_some_and(|end| end == "pcap")) {
        let bytes = std::fs::read(&path).expect("readable");
        let whole = classes(&path);
        for _ in 0..6 {
            let mut copy = bytes[..24].to_vec();
            let mut at = 24;
            while let Some(header) = bytes.get(at..at + 16) {
                let len = u32::from_le_bytes([header[8], header[9], header[10], header[11]]) as usize;
                if noise.below(4) > 0 {
                    copy.extend_from_slice(&bytes[at..at + 16 + len]);
                }
                at += 16 + len;
            }
            std::fs::write(&thinned, copy).expect("writable");
            for (key, class) in classes(&thinned) {
                let before = whole.iter().filter(|(other, _)| *other == key);
                if class == Class::Encrypted {
                    assert!(before.clone().any(|(_, class)| *class == Class::Encrypted), "{}: {key:?}", path.display());
                }
            }
        }
    }
}

fn classes(path: &Path) -> Vec<(tlscov::model::FlowKey, Class)> {
    let mut list = Vec::new();
    let mut sink = |_: &str, flow: &tlscov::model::FlowSummary, _: &[tlscov::grade::Verdict]| {
        // A NULL suite is named in the ServerHello alone: without it, TLS in clear cannot be told from TLS.
        let in_name_only = flow.class == Class::Plaintext && flow.protocol == tlscov::model::Protocol::TLS;
        list.push((flow.key, if in_name_only { Class::Encrypted } else { flow.class }));
        Ok(())
    };
    scan(&[Input::File(path.to_path_buf())], &options(2), &|_| {}, Some(&mut sink)).expect("threads start");
    list
}
