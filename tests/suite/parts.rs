//! A capture in parts: cut anywhere, read part by part with the state between them, and merged, it gives the report of the
//! whole, to the byte.

use std::path::Path;

use tlscov::capture::Input;
use tlscov::pipeline::{Options, scan, scan_part};
use tlscov::report::Report;
use tlscov::tally::Tally;

use crate::common::{Noise, Record, captures, content, options, pcap, records};

/// The report, with the list of captures.
fn whole_report(tally: &Tally) -> String {
    serde_json::to_string(&Report::new(tally)).unwrap()
}

/// Writes `records` as `places.len() + 1` files, cut before these places.
fn write_parts(folder: &Path, records: &[Record], places: &[usize]) -> Vec<Input> {
    let ends = places.iter().copied().chain([records.len()]);
    let mut start = 0;
    let mut inputs = Vec::new();
    for (number, end) in ends.enumerate() {
        let path = folder.join(format!("part{number}.pcap"));
        // Each file has the link type of the whole, also one that holds no frame.
        let mut bytes = pcap(&records[start..end]);
        bytes[20..24].copy_from_slice(&u32::from(records[0].link_type).to_le_bytes());
        std::fs::write(&path, bytes).unwrap();
        inputs.push(Input::File(path));
        start = end;
    }
    inputs
}

/// Reads part by part; each report goes through JSON, as between machines.
fn in_parts(inputs: &[Input], options: &Options) -> Tally {
    let mut merged = Tally::default();
    let mut state = None;
    for (number, input) in inputs.iter().enumerate() {
        let more = number + 1 < inputs.len();
        let part = scan_part(std::slice::from_ref(input), options, state.as_deref(), more, &|_| {}, None).unwrap();
        let json = serde_json::to_vec(&Report::new(&part.scan.tally)).unwrap();
        let report = Report::read(Path::new("part.json"), &json).unwrap();
        merged.merge(report.tally().unwrap());
        state = part.state;
        assert_eq!(state.is_some(), more);
    }
    merged
}

fn places(noise: &mut Noise, frames: usize) -> Vec<usize> {
    let count = 1 + noise.below(4);
    let mut places: Vec<usize> = (0..count).map(|_| noise.below(frames + 1)).collect();
    places.sort_unstable();
    places
}

#[test]
fn cut_anywhere_it_is_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut noise = Noise(11);
    for path in captures() {
        let records = records(&path, usize::MAX);
        if records.iter().any(|record| record.link_type != records[0].link_type) {
            continue;
        }
        let options = options(1);
        let whole = folder.path().join("whole.pcap");
        std::fs::write(&whole, pcap(&records)).unwrap();
        let whole = scan(&[Input::File(whole)], &options, &|_| {}, None).unwrap().tally;
        for _ in 0..50 {
            let places = places(&mut noise, records.len());
            let inputs = write_parts(folder.path(), &records, &places);
            let merged = in_parts(&inputs, &options);
            let name = format!("{} cut before {places:?}", path.display());
            assert_eq!(content(&merged), content(&whole), "{name}");
        }
    }
}
