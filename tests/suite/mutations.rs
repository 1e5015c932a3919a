//! Forty-eight damaged copies of every capture: none panics, each ends in a report that adds up or in a clear error,
//! threads and batch sizes change nothing, and missing packets make nothing encrypted.
//!
//! Captures above [`FRAMES`] frames take part with so many; `TLSCOV_TEST_ALL=1` takes them whole.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::common::{Noise, Record, adds_up, captures, content, options, pcap, read_bytes, records};
use tlscov::model::{Class, FlowSummary};

/// Frames of a capture that are mutated: all of nearly every capture, and enough of the largest one to keep the test
/// below ten seconds.
const FRAMES: usize = 700;

/// Copies of each capture.
const COPIES: usize = 48;

fn frames_wanted() -> usize {
    if std::env::var_os("TLSCOV_TEST_ALL").is_some() { usize::MAX } else { FRAMES }
}

/// What is done to a copy, by its number.
const KINDS: [(&str, fn(&mut Vec<Record>, &mut Noise)); 8] = [
    ("dropped", drop_some),
    ("duplicated", duplicate),
    ("reordered", reorder),
    ("flipped", flip),
    ("random bytes", overwrite),
    ("jumping time", jump),
    ("snapped", snap),
    ("spliced", splice),
];

fn drop_some(records: &mut Vec<Record>, noise: &mut Noise) {
    let one_in = 2 + noise.below(20);
    records.retain(|_| noise.below(one_in) != 0);
}

fn duplicate(records: &mut Vec<Record>, noise: &mut Noise) {
    for _ in 0..1 + records.len() / 8 {
        let at = noise.below(records.len());
        let to = (at + noise.below(30)).min(records.len());
        records.insert(to, records[at].clone());
    }
}

fn reorder(records: &mut Vec<Record>, noise: &mut Noise) {
    let reach = 1 + noise.below(40);
    for at in 0..records.len() {
        let other = (at + noise.below(reach)).min(records.len() - 1);
        records.swap(at, other);
    }
}

fn flip(records: &mut Vec<Record>, noise: &mut Noise) {
    for _ in 0..1 + records.len() / 2 {
        let at = noise.below(records.len());
        let bytes = &mut records[at].bytes;
        if !bytes.is_empty() {
            let byte = noise.below(bytes.len());
            bytes[byte] ^= 1 << noise.below(8);
        }
    }
}

fn overwrite(records: &mut Vec<Record>, noise: &mut Noise) {
    for _ in 0..1 + records.len() / 8 {
        let at = noise.below(records.len());
        let bytes = &mut records[at].bytes;
        let start = noise.below(bytes.len());
        let end = (start + noise.below(60)).min(bytes.len());
        bytes[start..end].iter_mut().for_each(|byte| *byte = noise.next() as u8);
    }
}

fn jump(records: &mut Vec<Record>, noise: &mut Noise) {
    for _ in 0..1 + records.len() / 10 {
        let at = noise.below(records.len());
        records[at].time_ns = match noise.below(4) {
            0 => 0,
            1 => i64::from(u32::MAX) * 1_000_000_000 + 999_999_999,
            2 => records[at].time_ns.saturating_sub(7_200_000_000_000).max(0),
            _ => records[at].time_ns.saturating_add(7_200_000_000_000),
        };
    }
}

fn snap(records: &mut Vec<Record>, noise: &mut Noise) {
    let len = 14 + noise.below(200);
    records.iter_mut().for_each(|record| record.bytes.truncate(len));
}

fn splice(records: &mut Vec<Record>, noise: &mut Noise) {
    for _ in 0..1 + records.len() / 10 {
        let (from, to) = (noise.below(records.len()), noise.below(records.len()));
        let cut = noise.below(records[from].bytes.len().min(records[to].bytes.len()));
        let tail = records[from].bytes[cut..].to_vec();
        records[to].bytes.truncate(cut);
        records[to].bytes.extend(tail);
        records[to].wire_len = records[to].wire_len.max(records[to].bytes.len() as u32);
    }
}

#[test]
fn laws_hold_on_mutated_captures() {
    for path in captures() {
        let whole = records(&path, frames_wanted());
        for copy in 0..COPIES {
            let mut noise = Noise(copy as u64 * 7919 + 1);
            let (kind, mutate) = KINDS[copy % KINDS.len()];
            let mut mutated = whole.clone();
            mutate(&mut mutated, &mut noise);
            let name = format!("{}, copy {copy}: {kind}", path.display());
            let bytes = pcap(&mutated);
            let (scan, flows) = read_bytes(bytes.clone(), &options(1), 4 << 20).expect(&name);
            assert_eq!(scan.tally.captures[0].packets, mutated.len() as u64, "{name}");
            adds_up(&scan.tally, &name);
            assert!(flows.is_sorted_by_key(|flow| flow.first_frame), "{name}");
            // Law 2 on a copy of every kind; on all of them where time is no matter.
            if copy % 8 == copy / 8 || frames_wanted() > FRAMES {
                let batch_bytes = 1 + noise.below(20_000);
                let (again, _) = read_bytes(bytes, &options(2 + copy % 3), batch_bytes).expect(&name);
                assert_eq!(content(&again.tally), content(&scan.tally), "{name}, batches of {batch_bytes}");
            }
        }
    }
}

#[test]
fn damaged_files_end_in_a_report_or_a_clear_error() {
    for path in captures() {
        let bytes = std::fs::read(&path).expect("readable");
        let bytes = &bytes[..bytes.len().min(150_000)];
        let mut noise = Noise(7);
        for copy in 0..COPIES {
            let mut damaged = bytes.to_vec();
            match copy % 4 {
                0 => damaged.truncate(noise.below(bytes.len())),
                1 => {
                    for _ in 0..20 {
                        let at = noise.below(damaged.len());
                        damaged[at] ^= 1 << noise.below(8);
                    }
                }
                2 => {
                    let at = noise.below(damaged.len());
                    let len = noise.below(200).min(damaged.len() - at);
                    damaged.drain(at..at + len);
                }
                _ => {
                    let at = noise.below(damaged.len());
                    let len = noise.below(400).min(damaged.len() - at);
                    let again = damaged[at..at + len].to_vec();
                    damaged.splice(at..at, again);
                }
            }
            if let Some((scan, _)) = read_bytes(damaged, &options(1), 4 << 20) {
                adds_up(&scan.tally, &format!("{} copy {copy}", path.display()));
            }
        }
    }
}

/// Cut exactly between two records a file is whole; anywhere else what came before is reported, with the loss.
#[test]
fn truncation_at_record_boundaries() {
    for path in captures() {
        let records = records(&path, 60);
        let whole = pcap(&records);
        let mut end = 24;
        for (number, record) in records.iter().enumerate() {
            for (cut, expected, lost) in [(0, number, false), (1, number, true), (15, number, true), (16, number, true)]
            {
                let name = format!("{}: record {number} and {cut} bytes", path.display());
                let (scan, _) = read_bytes(whole[..end + cut].to_vec(), &options(1), 4 << 20).expect(&name);
                assert_eq!(scan.tally.captures[0].packets, expected as u64, "{name}");
                assert_eq!(scan.tally.losses.contains_key(&tlscov::model::Loss::CaptureCutShort), lost, "{name}");
                adds_up(&scan.tally, &name);
            }
            end += 16 + record.bytes.len();
        }
    }
}

/// The blocks of a pcapng file: where each begins, and its type.
fn blocks(bytes: &[u8]) -> Vec<(usize, u32)> {
    let big_endian = bytes[8..12] == [0x1a, 0x2b, 0x3c, 0x4d];
    let word = |at: usize| {
        let word = bytes[at..at + 4].try_into().unwrap();
        if big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
    };
    let (mut at, mut blocks) = (0, Vec::new());
    while at < bytes.len() {
        blocks.push((at, word(at)));
        at += word(at + 4) as usize;
    }
    blocks
}

/// The same in the blocks of pcapng, in the files as they are: cut before, in and behind each header and before its end.
#[test]
fn truncation_at_block_boundaries() {
    const PACKETS: [u32; 3] = [2, 3, 6];
    let mut cuts = 0;
    for path in captures().iter().filter(|path| path.extension().is_some_and(|end| end == "pcapng")) {
        let bytes = std::fs::read(path).expect("readable");
        let mut packets = 0;
        for (at, kind) in blocks(&bytes).into_iter().take(200) {
            let name = format!("{}: cut at the block of type {kind:#x} at byte {at}", path.display());
            let end = at + u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap()) as usize;
            for (cut, lost) in [(at, false), (at + 1, true), (at + 8, true), (end - 4, true), (end - 1, true)] {
                let read = read_bytes(bytes[..cut].to_vec(), &options(1), 4 << 20);
                let Some((scan, _)) = read else {
                    // Shorter than what tells a pcapng file from any other.
                    assert!(cut < 16, "{name}");
                    continue;
                };
                assert_eq!(scan.tally.captures[0].packets, packets, "{name}, to {cut}");
                let told = scan.tally.losses.contains_key(&tlscov::model::Loss::CaptureCutShort);
                assert_eq!(told, lost, "{name}, to {cut}");
                adds_up(&scan.tally, &name);
                cuts += 1;
            }
            packets += u64::from(PACKETS.contains(&kind));
        }
    }
    assert!(cuts > 900, "{cuts}");
}

/// The classes of all flows between the same ends.
fn classes(flows: &[FlowSummary]) -> BTreeMap<String, BTreeSet<Class>> {
    let mut classes: BTreeMap<String, BTreeSet<Class>> = BTreeMap::new();
    for flow in flows {
        classes.entry(format!("{:?}", flow.key)).or_default().insert(flow.class);
    }
    classes
}

/// Law 7: a flow that is plaintext or unknown in the capture is not encrypted when packets of it are missing.
///
/// One kind of flow is left out, because the missing packet is what told: TLS without encryption (NULL suites) says so
/// in its ServerHello only, and without it looks like any other TLS.
#[test]
fn missing_packets_make_nothing_encrypted() {
    for path in captures() {
        let whole = records(&path, frames_wanted());
        let (_, flows) = read_bytes(pcap(&whole), &options(1), 4 << 20).expect("a capture");
        let before = classes(&flows);
        let in_name_only: BTreeSet<String> = flows
            .iter()
            .filter(|flow| {
                flow.class == Class::Plaintext && flow.facts.as_ref().is_some_and(|facts| facts.tls.is_some())
            })
            .map(|flow| format!("{:?}", flow.key))
            .collect();
        for copy in 0..COPIES {
            let mut thinned = whole.clone();
            let mut noise = Noise(copy as u64 + 31);
            match copy % 3 {
                // The beginning is missing: everything is met mid-stream.
                0 => drop(thinned.drain(..noise.below(whole.len()))),
                1 => drop_some(&mut thinned, &mut noise),
                _ => {
                    let one_in = 2 + noise.below(3);
                    thinned.retain(|_| noise.below(one_in) == 0);
                }
            }
            let (_, flows) = read_bytes(pcap(&thinned), &options(1), 4 << 20).expect("a capture");
            for flow in flows.iter().filter(|flow| flow.class == Class::Encrypted) {
                let key = format!("{:?}", flow.key);
                assert!(
                    before.get(&key).is_some_and(|classes| classes.contains(&Class::Encrypted))
                        || in_name_only.contains(&key),
                    "{} copy {copy}: {key} was {:?} and is {:?} by {:?}",
                    Path::new(&path).display(),
                    before.get(&key),
                    flow.protocol,
                    flow.evidence,
                );
            }
        }
    }
}
