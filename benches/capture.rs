//! Reading alone: from the bytes of a capture to batches of frames.
//!
//! Two mixes (small frames, full-size frames) in pcap and pcapng, with and without options, and compressed ones by one thread
//! and by several, all from memory.
#![allow(missing_docs, reason = "a bench has no users")]
#![allow(clippy::unwrap_used, reason = "a bench may fail")]

use std::hint::black_box;
use std::io::{Cursor, Write};
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tlscov::capture::{Batch, Options, from_reader};

const TOTAL_BYTES: usize = 32 << 20;

/// Frames of `len` bytes, one a microsecond, until the file is large enough; with their number.
fn pcap(len: u32) -> (Vec<u8>, u64) {
    let mut file = words(&[0xa1b2_c3d4, 0x0004_0002, 0, 0, 262_144, 1]);
    let mut frames = 0;
    while file.len() < TOTAL_BYTES {
        file.extend(words(&[1_700_000_000, frames, len, len]));
        file.resize(file.len() + len as usize, frames as u8);
        frames += 1;
    }
    (file, u64::from(frames))
}

/// The same as pcapng, each packet with `options`.
fn pcapng(len: u32, options: &[u32]) -> (Vec<u8>, u64) {
    let mut file = words(&[0x0a0d_0d0a, 28, 0x1a2b_3c4d, 1, u32::MAX, u32::MAX, 28, 1, 20, 1, 0, 20]);
    let padded = len.next_multiple_of(4);
    let block_len = 32 + padded + 4 * options.len() as u32;
    let mut frames = 0;
    while file.len() < TOTAL_BYTES {
        file.extend(words(&[6, block_len, 0, 395_812, frames, len, len]));
        file.resize(file.len() + padded as usize, frames as u8);
        file.extend(words(options));
        file.extend(words(&[block_len]));
        frames += 1;
    }
    (file, u64::from(frames))
}

fn words(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Reads the whole capture with so many decompressing threads: frames and their captured bytes.
fn read(file: &Arc<[u8]>, decoders: usize, batch: &mut Batch) -> (u64, u64) {
    let reader = Box::new(Cursor::new(Arc::clone(file)));
    let mut source = from_reader("bench", reader, Options { decoders, ..Options::default() }).unwrap();
    let (mut frames, mut bytes) = (0, 0);
    while source.next_batch(batch).unwrap() {
        frames += batch.frames.len() as u64;
        bytes += batch.frames.iter().map(|frame| u64::from(frame.captured_len)).sum::<u64>();
    }
    (frames, bytes)
}

fn capture(c: &mut Criterion) {
    let mut group = c.benchmark_group("capture");
    // The option epb_flags (inbound), and the end of options.
    const FLAGS: [u32; 3] = [0x0004_0002, 1, 0];
    let (plain, frames) = pcap(800);
    let compressed = |members: Vec<Vec<u8>>| (members.concat(), frames);
    let cases = [
        ("pcap, 60-byte frames", pcap(60), 60, 1),
        ("pcap, 1514-byte frames", pcap(1514), 1514, 1),
        ("pcapng, 60-byte frames", pcapng(60, &[]), 60, 1),
        ("pcapng, 1514-byte frames", pcapng(1514, &[]), 1514, 1),
        ("pcapng with flags, 60-byte frames", pcapng(60, &FLAGS), 60, 1),
        ("pcap+gzip, 800-byte frames", compressed(vec![gzip(&plain, &[])]), 800, 1),
        ("pcap+gzip in blocks, 800-byte frames", compressed(plain.chunks(60_000).map(bgzf).collect()), 800, 4),
        ("pcap+zstd, 800-byte frames", compressed(vec![zstd::encode_all(&plain[..], 1).unwrap()]), 800, 1),
        (
            "pcap+zstd in frames, 800-byte frames",
            compressed(plain.chunks(2 << 20).map(|piece| zstd::encode_all(piece, 1).unwrap()).collect()),
            800,
            4,
        ),
    ];
    let mut batch = Batch::default();
    for (name, (file, frames), len, decoders) in cases {
        let file: Arc<[u8]> = file.into();
        assert_eq!(read(&file, decoders, &mut batch), (frames, frames * len), "{name}");
        group.throughput(Throughput::Bytes(TOTAL_BYTES as u64));
        group.bench_function(name, |b| b.iter(|| read(black_box(&file), decoders, &mut batch)));
    }
    group.finish();
}

fn gzip(content: &[u8], extra: &[u8]) -> Vec<u8> {
    let level = flate2::Compression::fast();
    let mut encoder = match extra {
        [] => flate2::write::GzEncoder::new(Vec::new(), level),
        _ => flate2::GzBuilder::new().extra(extra).write(Vec::new(), level),
    };
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// A gzip member that tells its size, as `bgzip` writes it.
fn bgzf(content: &[u8]) -> Vec<u8> {
    let mut member = gzip(content, &[b'B', b'C', 2, 0, 0, 0]);
    let size = (member.len() as u16 - 1).to_le_bytes();
    member[16..18].copy_from_slice(&size);
    member
}

criterion_group!(benches, capture);
criterion_main!(benches);
