//! What tests over whole captures share.
use std::io::Cursor;
use std::path::{Path, PathBuf};

use tlscov::capture::{self, Batch, Input, Source};
use tlscov::model::{Class, FlowSummary};
use tlscov::pipeline::{Options, Scan, scan_source};
use tlscov::report::Report;
use tlscov::tally::Tally;

pub fn options(jobs: usize) -> Options {
    Options { jobs: Some(jobs), max_memory: 64 << 20, ..Options::default() }
}

pub fn captures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut paths: Vec<PathBuf> = [folder.clone(), folder.join("findings")]
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).expect("testdata"))
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "pcap" || end == "pcapng"))
        .collect();
    paths.sort();
    assert!(paths.len() > 20, "testdata is not complete");
    paths
}

/// The report without the description of the container.
pub fn content(tally: &Tally) -> String {
    let mut value = serde_json::to_value(Report::new(tally)).expect("a report is JSON");
    value.as_object_mut().expect("an object").remove("captures");
    value.to_string()
}

/// Law 1: the classes and what could not be decoded add up to the file.
pub fn adds_up(tally: &Tally, name: &str) {
    let mut packets: u64 = Class::ALL.iter().map(|class| tally.class(*class).packets).sum();
    let mut wire_bytes: u64 = Class::ALL.iter().map(|class| tally.class(*class).wire_bytes).sum();
    for counts in tally.undecoded.values() {
        packets += counts.packets;
        wire_bytes += counts.wire_bytes;
    }
    let want = tally.captures.iter().fold((0, 0), |sum, entry| (sum.0 + entry.packets, sum.1 + entry.wire_bytes));
    assert_eq!((packets, wire_bytes), want, "{name}");
}

/// Reads a capture from memory; `None` when it is none. With its flows.
pub fn read_bytes(bytes: Vec<u8>, options: &Options, batch_bytes: usize) -> Option<(Scan, Vec<FlowSummary>)> {
    let source = capture::from_reader(
        "-",
        Box::new(Cursor::new(bytes)),
        capture::Options { batch_bytes, ..capture::Options::default() },
    )
    .ok()?;
    Some(read_source(source, options))
}

/// Reads a source, with its flows.
pub fn read_source(source: Box<dyn Source>, options: &Options) -> (Scan, Vec<FlowSummary>) {
    let mut flows = Vec::new();
    let mut keep = |_: &str, flow: &FlowSummary, _: &[_]| {
        flows.push(flow.clone());
        Ok(())
    };
    let scan = scan_source(source, options, Some(&mut keep)).expect("memory can be read");
    (scan, flows)
}

/// A frame on its own.
#[derive(Clone)]
pub struct Record {
    pub time_ns: i64,
    pub wire_len: u32,
    pub link_type: u16,
    pub bytes: Vec<u8>,
}

/// The first `most` frames of a capture.
pub fn records(path: &Path, most: usize) -> Vec<Record> {
    let mut source = capture::open(&Input::File(path.to_path_buf()), capture::Options::default()).expect("a capture");
    let mut batch = Batch::default();
    let mut records = Vec::new();
    while records.len() < most && source.next_batch(&mut batch).expect("readable") {
        for frame in batch.frames.iter().take(most - records.len()) {
            let start = frame.start as usize;
            records.push(Record {
                time_ns: frame.time_ns,
                wire_len: frame.wire_len,
                link_type: frame.link_type,
                bytes: batch.data[start..start + frame.captured_len as usize].to_vec(),
            });
        }
    }
    records
}

/// A pcap file with nanoseconds. All frames are taken to have the link type of the first.
pub fn pcap(records: &[Record]) -> Vec<u8> {
    let mut out = vec![0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0];
    out.extend(u32::from(records.first().map_or(1, |record| record.link_type)).to_le_bytes());
    for record in records {
        let seconds = record.time_ns.div_euclid(1_000_000_000) as u32;
        let rest = record.time_ns.rem_euclid(1_000_000_000) as u32;
        for field in [seconds, rest, record.bytes.len() as u32, record.wire_len] {
            out.extend(field.to_le_bytes());
        }
        out.extend(&record.bytes);
    }
    out
}

/// A small generator, so that every run is the same.
pub struct Noise(pub u64);

impl Noise {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mixed = (self.0 ^ self.0 >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
        mixed ^ mixed >> 29
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 1) as usize % bound.max(1)
    }
}
