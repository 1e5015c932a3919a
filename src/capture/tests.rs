//! Whole captures through [`super::from_reader`]: every container says the same of the same frames, whatever the size
//! of the reads, and whatever happens to the bytes.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Write};

use super::{Batch, Description, Options, expand, from_reader};
use crate::error::Result;
use crate::model::Loss;

/// A frame with its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Packet {
    time_ns: i64,
    bytes: Vec<u8>,
    wire_len: u32,
    link_type: u16,
}

fn packet(time_ns: i64, bytes: &[u8], wire_len: u32) -> Packet {
    Packet { time_ns, bytes: bytes.to_vec(), wire_len, link_type: 1 }
}

/// What reading a capture gave.
#[derive(Debug, PartialEq, Eq)]
struct Reading {
    packets: Vec<Packet>,
    /// Frames before the end of each epoch.
    epochs: Vec<u64>,
    description: Description,
}

impl Reading {
    fn loss(&self, loss: Loss) -> u64 {
        BTreeMap::from_iter(self.description.losses.iter().copied()).get(&loss).copied().unwrap_or(0)
    }
}

fn read_with(reader: Box<dyn Read + Send>, batch_bytes: usize) -> Result<Reading> {
    let mut source = from_reader("t", reader, Options { batch_bytes, ..Options::default() })?;
    let mut batch = Batch::default();
    let (mut packets, mut epochs) = (Vec::new(), Vec::new());
    while source.next_batch(&mut batch)? {
        assert_eq!(batch.first_frame, packets.len() as u64);
        packets.extend(batch.frames.iter().map(|frame| Packet {
            time_ns: frame.time_ns,
            bytes: batch.data[frame.start as usize..][..frame.captured_len as usize].to_vec(),
            wire_len: frame.wire_len,
            link_type: frame.link_type,
        }));
        if batch.epoch_ends {
            epochs.push(packets.len() as u64);
        }
    }
    assert!(batch.frames.is_empty());
    assert!(!source.next_batch(&mut batch)?, "the end is the end");
    Ok(Reading { packets, epochs, description: source.description() })
}

fn read(bytes: &[u8]) -> Result<Reading> {
    read_with(Box::new(Cursor::new(bytes.to_vec())), Options::default().batch_bytes)
}

/// Gives one byte a read, with an interruption before each.
struct Trickle(Cursor<Vec<u8>>, bool);

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let len = buffer.len().min(1);
        self.0.read(&mut buffer[..len])
    }
}

/// Fails for good behind its bytes.
pub(super) struct Failing(pub(super) Cursor<Vec<u8>>);

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::other("disk on fire")),
            count => Ok(count),
        }
    }
}

/// Writes numbers in one byte order.
#[derive(Clone, Copy)]
struct Order {
    big: bool,
}

const LITTLE: Order = Order { big: false };
const BIG: Order = Order { big: true };

impl Order {
    fn half(self, value: u16) -> [u8; 2] {
        if self.big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn word(self, value: u32) -> [u8; 4] {
        if self.big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn long(self, value: u64) -> [u8; 8] {
        if self.big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn words(self, values: &[u32]) -> Vec<u8> {
        values.iter().flat_map(|value| self.word(*value)).collect()
    }

    fn pcap_header(self, magic: u32, minor: u16, network: u32) -> Vec<u8> {
        [&self.word(magic)[..], &self.half(2), &self.half(minor), &self.words(&[0, 0, 65_535, network])].concat()
    }

    fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let padding = vec![0; body.len().next_multiple_of(4) - body.len()];
        let length = self.word((12 + body.len() + padding.len()) as u32);
        [&self.word(kind)[..], &length, body, &padding, &length].concat()
    }

    fn section(self) -> Vec<u8> {
        let version = [self.half(1), self.half(0)].concat();
        self.block(0x0a0d_0d0a, &[&self.word(0x1a2b_3c4d)[..], &version, &[0xff; 8]].concat())
    }

    fn option(self, code: u16, value: &[u8]) -> Vec<u8> {
        let padding = vec![0; value.len().next_multiple_of(4) - value.len()];
        [&self.half(code)[..], &self.half(value.len() as u16), value, &padding].concat()
    }

    fn interface(self, link_type: u16, snap_len: u32, options: &[u8]) -> Vec<u8> {
        let fixed = [&self.half(link_type)[..], &[0; 2], &self.word(snap_len)].concat();
        self.block(1, &[&fixed[..], options].concat())
    }

    fn enhanced(self, interface: u32, ticks: u64, bytes: &[u8], wire_len: u32, options: &[u8]) -> Vec<u8> {
        let fixed = self.words(&[interface, (ticks >> 32) as u32, ticks as u32, bytes.len() as u32, wire_len]);
        let padding = vec![0; bytes.len().next_multiple_of(4) - bytes.len()];
        self.block(6, &[&fixed[..], bytes, &padding, options].concat())
    }

    fn simple(self, bytes: &[u8], wire_len: u32) -> Vec<u8> {
        self.block(3, &[&self.word(wire_len)[..], bytes].concat())
    }

    fn obsolete(self, interface: u16, drops: u16, ticks: u64, bytes: &[u8], wire_len: u32) -> Vec<u8> {
        let head = [self.half(interface), self.half(drops)].concat();
        let fixed = self.words(&[(ticks >> 32) as u32, ticks as u32, bytes.len() as u32, wire_len]);
        self.block(2, &[&head[..], &fixed, bytes].concat())
    }

    fn statistics(self, interface: u32, options: &[u8]) -> Vec<u8> {
        self.block(5, &[&self.words(&[interface, 0, 0])[..], options].concat())
    }
}

/// The packets that the samples hold: microsecond times, one cut by the snap length, one empty.
fn packets() -> Vec<Packet> {
    vec![
        packet(1_700_000_000_000_001_000, b"first", 5),
        packet(1_700_000_000_250_000_000, b"cut sho", 1514),
        packet(1_700_000_001_999_999_000, b"", 60),
        packet(1_700_000_002_000_000_000, b"the last frame.", 15),
    ]
}

fn pcap(order: Order, magic: u32, network: u32, packets: &[Packet]) -> Vec<u8> {
    let fraction_ns = if matches!(magic, 0xa1b2_3c4d | 0x1c00_01ac) { 1 } else { 1000 };
    let mut file = order.pcap_header(magic, 4, network);
    if magic >> 8 == 0x1c_0001 {
        file.extend(order.word(12345));
    }
    for packet in packets {
        let (seconds, ns) = (packet.time_ns / 1_000_000_000, packet.time_ns % 1_000_000_000);
        let lengths = [packet.bytes.len() as u32, packet.wire_len];
        file.extend(order.words(&[seconds as u32, (ns / fraction_ns) as u32, lengths[0], lengths[1]]));
        if magic == 0xa1b2_cd34 {
            file.extend(order.words(&[7, 0x0800_0001]));
        }
        file.extend(&packet.bytes);
    }
    file
}

fn plain_pcap(packets: &[Packet]) -> Vec<u8> {
    pcap(LITTLE, 0xa1b2_c3d4, 1, packets)
}

fn pcapng(order: Order, packets: &[Packet]) -> Vec<u8> {
    let mut file = [order.section(), order.interface(1, 0, &[])].concat();
    for packet in packets {
        file.extend(order.enhanced(0, (packet.time_ns / 1000) as u64, &packet.bytes, packet.wire_len, &[]));
    }
    file
}

fn snoop(packets: &[Packet]) -> Vec<u8> {
    let mut file = [&b"snoop\0\0\0"[..], &BIG.words(&[2, 4])].concat();
    for (number, packet) in packets.iter().enumerate() {
        let padded = packet.bytes.len().next_multiple_of(4);
        let microseconds = (packet.time_ns % 1_000_000_000 / 1000) as u32;
        let lengths = [packet.wire_len, packet.bytes.len() as u32, (24 + padded) as u32];
        let times = [number as u32, (packet.time_ns / 1_000_000_000) as u32, microseconds];
        file.extend(BIG.words(&lengths));
        file.extend(BIG.words(&times));
        file.extend(&packet.bytes);
        file.extend(vec![0; padded - packet.bytes.len()]);
    }
    file
}

/// Two sections of both byte orders, several interfaces, every kind of block.
fn rich_pcapng() -> Vec<u8> {
    let resolution = |order: Order, tsresol| order.option(9, &[tsresol]);
    let offset = |order: Order, seconds: i64| order.option(14, &order.long(seconds as u64));
    let drops = |order: Order, code, count| order.option(code, &order.long(count));
    let (a, b) = (LITTLE, BIG);
    [
        a.section(),
        a.interface(1, 4, &[resolution(a, 9), a.option(0, &[])].concat()),
        a.interface(101, 0, &[resolution(a, 0x8a), offset(a, -10)].concat()),
        a.block(4, b"names"),
        a.enhanced(0, 5_000_000_001, b"nanoseconds", 100, &[a.option(1, b"note"), a.option(0, &[])].concat()),
        a.enhanced(1, 12 << 10, b"binary", 6, &drops(a, 4, 3)),
        a.simple(b"simple", 6),
        a.statistics(0, &[drops(a, 5, 1), drops(a, 7, 1)].concat()),
        a.statistics(0, &[drops(a, 5, 4), drops(a, 7, 2)].concat()),
        b.section(),
        b.block(0x4000_0bad, b"vendor"),
        b.interface(113, 0, &offset(b, 1)),
        b.obsolete(0, 9, 2_000_000, b"obsolete", 8),
        b.obsolete(0, 0xffff, 3_000_000, b"unknown drops", 13),
        b.enhanced(3, 0, b"no such interface", 17, &[]),
    ]
    .concat()
}

fn samples() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("pcap", plain_pcap(&packets())),
        ("modified pcap", pcap(BIG, 0xa1b2_cd34, 1, &packets())),
        ("pcapng", pcapng(BIG, &packets())),
        ("rich pcapng", rich_pcapng()),
        ("snoop", snoop(&packets())),
    ]
}

fn compress(format: &str, bytes: &[u8]) -> Vec<u8> {
    match format {
        "gzip" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        "zstd" => {
            let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
            encoder.include_checksum(true).unwrap();
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        "lz4" => {
            let info = lz4_flex::frame::FrameInfo::new().content_checksum(true);
            let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        "xz" => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        _ => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
    }
}

const COMPRESSIONS: [&str; 5] = ["gzip", "zstd", "lz4", "xz", "bzip2"];

#[test]
fn every_container_gives_the_same_packets() {
    let cases = [
        ("microseconds", pcap(LITTLE, 0xa1b2_c3d4, 1, &packets())),
        ("microseconds, big endian", pcap(BIG, 0xa1b2_c3d4, 1, &packets())),
        ("nanoseconds", pcap(LITTLE, 0xa1b2_3c4d, 1, &packets())),
        ("nanoseconds, big endian", pcap(BIG, 0xa1b2_3c4d, 1, &packets())),
        ("modified", pcap(LITTLE, 0xa1b2_cd34, 1, &packets())),
        ("modified, big endian", pcap(BIG, 0xa1b2_cd34, 1, &packets())),
        ("IXIA hardware", pcap(LITTLE, 0x1c00_01ac, 1, &packets())),
        ("IXIA software, big endian", pcap(BIG, 0x1c00_01ab, 1, &packets())),
        ("FCS of 4 bytes", pcap(LITTLE, 0xa1b2_c3d4, 0x4400_0001, &packets())),
        ("pcapng", pcapng(LITTLE, &packets())),
        ("pcapng, big endian", pcapng(BIG, &packets())),
        ("snoop", snoop(&packets())),
    ];
    for (name, bytes) in cases {
        let reading = read(&bytes).unwrap();
        assert_eq!(reading.packets, packets(), "{name}");
        assert_eq!(reading.description.link_types, [1], "{name}");
        assert!(reading.description.warnings.is_empty(), "{name}: {:?}", reading.description);
        let drops = if name == "snoop" { 3 } else { 0 };
        assert_eq!(reading.loss(Loss::InterfaceDrops), drops, "{name}");
    }
}

#[test]
fn lengths_of_old_writers_are_put_in_order() {
    for (minor, wire_len, captured) in [(2, 1514, 3), (3, 3, 1514)] {
        let record = LITTLE.words(&[1, 0, wire_len, captured]);
        let file = [&LITTLE.pcap_header(0xa1b2_c3d4, minor, 1)[..], &record, b"old"].concat();
        assert_eq!(read(&file).unwrap().packets, [packet(1_000_000_000, b"old", 1514)], "version 2.{minor}");
    }
}

#[test]
fn rich_pcapng_is_read_whole() {
    let reading = read(&rich_pcapng()).unwrap();
    let on = |link_type, packet| Packet { link_type, ..packet };
    let want = [
        packet(5_000_000_001, b"nanoseconds", 100),
        on(101, packet(2_000_000_000, b"binary", 6)),
        packet(2_000_000_000, b"simp", 6),
        on(113, packet(3_000_000_000, b"obsolete", 8)),
        on(113, packet(4_000_000_000, b"unknown drops", 13)),
    ];
    assert_eq!(reading.packets, want);
    assert_eq!(reading.description.link_types, [1, 101, 113]);
    assert_eq!(reading.description.format, "pcapng");
    let losses = [
        (Loss::InterfaceDrops, 6 + 3 + 9),
        (Loss::ClockJumps, 1),
        (Loss::WithoutTimestamp, 1),
        (Loss::SkippedBlocks, 1),
    ];
    assert_eq!(reading.description.losses, losses);
    assert_eq!(reading.description.warnings, ["t: 1 packets name an interface that is not described"]);
}

#[test]
fn options_of_packets_are_passed_over_but_for_drops() {
    for order in [LITTLE, BIG] {
        let flags = order.option(2, &order.word(1));
        let end = order.option(0, &[]);
        let drops = |count| order.option(4, &order.long(count));
        let beyond = [&order.half(2)[..], &order.half(400), &order.word(1)].concat();
        let cases: &[(&str, Vec<u8>, u64)] = &[
            ("none", Vec::new(), 0),
            ("flags", [&flags[..], &end].concat(), 0),
            ("flags without an end", flags.clone(), 0),
            (
                "all others",
                [order.option(1, b"a note"), order.option(3, b"\x02hash"), order.option(5, &[7; 8])].concat(),
                0,
            ),
            ("drops", [&drops(5)[..], &end].concat(), 5),
            ("drops behind others", [&order.option(1, b"note")[..], &flags, &drops(7), &end].concat(), 7),
            ("drops twice", [drops(1), drops(2)].concat(), 3),
            ("drops behind the end", [&end[..], &drops(9)].concat(), 0),
            ("drops behind an option that is too long", [&beyond[..], &drops(9)].concat(), 0),
            ("half an option", order.half(4).into_iter().chain([0, 0]).collect(), 0),
        ];
        for (name, options, want) in cases {
            let mut file = [order.section(), order.interface(1, 0, &[])].concat();
            for n in 0..3 {
                file.extend(order.enhanced(0, n, b"bytes", 60, if n == 1 { options } else { &flags }));
            }
            let reading = read(&file).unwrap();
            let packets: Vec<Packet> = (0..3).map(|n| packet(n * 1000, b"bytes", 60)).collect();
            assert_eq!(reading.packets, packets, "{name}");
            assert_eq!(reading.loss(Loss::InterfaceDrops), *want, "{name}");
            assert_eq!(reading.loss(Loss::CaptureCutShort), 0, "{name}");
        }
    }
}

#[test]
fn length_fields_that_writers_get_wrong() {
    let original_zero = plain_pcap(&[packet(0, b"abc", 0)]);
    assert_eq!(read(&original_zero).unwrap().packets, [packet(0, b"abc", 0)]);

    let mut unpadded = [LITTLE.section(), LITTLE.interface(1, 0, &[])].concat();
    let mut block = LITTLE.enhanced(0, 0, b"abc", 3, &[]);
    let end = block.len() - 4;
    block[4..8].copy_from_slice(&LITTLE.word(35));
    block[end..].copy_from_slice(&LITTLE.word(35));
    unpadded.extend(block);
    assert_eq!(read(&unpadded).unwrap().packets, [packet(0, b"abc", 3)]);

    let mut beyond = [LITTLE.section(), LITTLE.interface(1, 0, &[])].concat();
    let captured_at = beyond.len() + 20;
    beyond.extend(LITTLE.enhanced(0, 0, b"abcd", 4, &[]));
    beyond[captured_at..captured_at + 4].copy_from_slice(&LITTLE.word(u32::MAX));
    assert_eq!(read(&beyond).unwrap().packets, [packet(0, b"abcd", 4)]);
}

#[test]
fn size_of_reads_changes_nothing() {
    for (name, bytes) in samples() {
        let want = read(&bytes).unwrap();
        for batch_bytes in [1, 2, 7, 16, 33, 100, 1 << 40] {
            let whole = read_with(Box::new(Cursor::new(bytes.clone())), batch_bytes).unwrap();
            assert_eq!(whole, want, "{name}, batches of {batch_bytes}");
            let trickle = Trickle(Cursor::new(bytes.clone()), false);
            assert_eq!(read_with(Box::new(trickle), batch_bytes).unwrap(), want, "{name}, one byte a read");
        }
    }
}

#[test]
fn cut_anywhere_the_packets_before_stay() {
    for (name, bytes) in samples() {
        let whole = read(&bytes).unwrap();
        let mut clean_ends = 0;
        for len in 0..bytes.len() {
            let Ok(cut) = read(&bytes[..len]) else {
                assert!(len < 24, "{name} cut at {len}: the file header is whole");
                continue;
            };
            assert!(whole.packets.starts_with(&cut.packets), "{name} cut at {len}");
            let short = cut.loss(Loss::CaptureCutShort);
            assert_eq!(short, cut.description.warnings.iter().filter(|line| line.contains(": byte ")).count() as u64);
            clean_ends += u64::from(short == 0);
        }
        assert!(clean_ends >= whole.packets.len() as u64, "{name}: {clean_ends} record boundaries");
        assert!(clean_ends < 20, "{name}: {clean_ends} record boundaries");
    }
}

#[test]
fn flipped_bytes_never_panic() {
    let mut state: u64 = 0x5eed;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    for (name, bytes) in samples() {
        for round in 0..3000 {
            let mut mutated = bytes.clone();
            for _ in 0..=round % 4 {
                let at = random() % mutated.len();
                mutated[at] = if random() % 2 == 0 { random() as u8 } else { 0xff };
            }
            let read_in = |batch_bytes| read_with(Box::new(Cursor::new(mutated.clone())), batch_bytes);
            match (read_in(1 << 20), read_in(40)) {
                (Ok(large), Ok(small)) => assert_eq!(large, small, "{name}, round {round}"),
                (Err(large), Err(small)) => assert_eq!(large.to_string(), small.to_string(), "{name}, round {round}"),
                different => panic!("{name}, round {round}: {different:?}"),
            }
        }
    }
}

#[test]
fn broken_records_end_the_capture_with_offset_and_expectation() {
    let ng = [LITTLE.section(), LITTLE.interface(1, 0, &[])].concat();
    let frame = LITTLE.enhanced(0, 0, b"good", 4, &[]);
    let after_good = |tail: &[u8]| [&ng[..], &frame, tail].concat();
    let mut trailer = frame.clone();
    trailer[32..36].copy_from_slice(&LITTLE.word(99));
    let good = plain_pcap(&[packet(0, b"good", 4)]);
    let huge_record = [&good[..], &LITTLE.words(&[0, 0, 262_145, 262_145]), &[0; 64]].concat();
    let cases: &[(&str, Vec<u8>, &str)] = &[
        ("huge record", huge_record, "t: byte 44: a record of 262145 captured bytes; expected at most 262144"),
        (
            "half a record",
            [&good[..], &[0; 9]].concat(),
            "t: byte 44: the file ends after 9 bytes of a record; expected 16",
        ),
        ("block too short", after_good(&LITTLE.words(&[6, 12, 12])), "t: byte 84: a block (type 0x6) of 12 bytes"),
        ("block of nothing", after_good(&[0; 12]), "t: byte 84: a block (type 0x0) of 0 bytes; expected at least 12"),
        ("lengths differ", after_good(&trailer), "t: byte 84: a block of 36 bytes that ends with length 99"),
        ("4 GiB block", after_good(&LITTLE.words(&[77, 0xffff_fff0, 0])), "t: byte 84: a block of 4294967280 bytes"),
        ("4 GiB packet", after_good(&LITTLE.words(&[6, 0xffff_fff0, 0])), "t: byte 84: a block of 4294967280 bytes"),
        ("4 GiB interface", after_good(&LITTLE.words(&[1, 0xffff_fff0, 0])), "t: byte 84: a block (type 0x1) of 42949"),
        (
            "later section of version 2",
            after_good(&{
                let mut section = LITTLE.section();
                section[12] = 2;
                section
            }),
            "t: byte 84: pcapng version 2.0; expected 1.0",
        ),
    ];
    for (name, bytes, want) in cases {
        let reading = read(bytes).unwrap();
        assert_eq!(reading.packets, [packet(0, b"good", 4)], "{name}");
        assert_eq!(reading.loss(Loss::CaptureCutShort), 1, "{name}");
        let warnings = &reading.description.warnings;
        assert!(warnings.len() == 1 && warnings[0].starts_with(want), "{name}: {warnings:?}");
        assert_eq!(reading.loss(Loss::SkippedBlocks), u64::from(*name == "4 GiB packet"), "{name}");
    }
}

#[test]
fn large_blocks_are_skipped_without_being_held() {
    let start = [LITTLE.section(), LITTLE.interface(1, 0, &[])].concat();
    let length = 20 << 20;
    for (kind, skipped) in [(0x0bad_u32, 0), (6, 1)] {
        let head = LITTLE.words(&[kind, length]);
        let rest = io::repeat(0).take(u64::from(length) - 8);
        let end = Cursor::new(LITTLE.enhanced(0, 7000, b"after", 5, &[]));
        let start = Cursor::new([&start[..], &LITTLE.enhanced(0, 0, b"before", 6, &[]), &head].concat());
        let mut source = from_reader("t", Box::new(start.chain(rest).chain(end)), Options::default()).unwrap();
        let mut batch = Batch::default();
        assert!(source.next_batch(&mut batch).unwrap());
        assert_eq!(batch.frames.len(), 2, "type {kind}");
        let after = batch.frames[1];
        assert_eq!(&batch.data[after.start as usize..][..5], b"after", "type {kind}");
        assert!(batch.data.len() < 8 << 20, "type {kind}: {} bytes held", batch.data.len());
        let losses = source.description().losses;
        assert_eq!(losses, if skipped == 0 { vec![] } else { vec![(Loss::SkippedBlocks, skipped)] }, "type {kind}");
    }
}

#[test]
fn one_large_frame_does_not_keep_its_room() {
    let large = packet(0, &vec![7; 9 << 20], 9 << 20);
    let order = LITTLE;
    let mut file = order.pcap_header(0xa1b2_c3d4, 4, 1);
    file[16..20].copy_from_slice(&order.word(u32::MAX));
    let small = packet(0, &[8; 200_000], 200_000);
    for packet in [large, small.clone(), small.clone(), small] {
        file.extend(order.words(&[0, 0, packet.bytes.len() as u32, packet.wire_len]));
        file.extend(&packet.bytes);
    }
    let mut source =
        from_reader("t", Box::new(Cursor::new(file)), Options { batch_bytes: 1 << 20, ..Options::default() }).unwrap();
    let mut batch = Batch::default();
    assert!(source.next_batch(&mut batch).unwrap());
    assert_eq!(batch.frames[0].captured_len, 9 << 20);
    assert!(source.next_batch(&mut batch).unwrap());
    assert_eq!(batch.frames[0].captured_len, 200_000);
    assert!(batch.data.len() < 4 << 20, "{} bytes held", batch.data.len());
}

#[test]
fn what_is_no_capture_says_what_was_expected() {
    let mut version = pcapng(LITTLE, &[]);
    version[12] = 9;
    let mut order = pcapng(LITTLE, &[]);
    order[8] = 0;
    let mut shomiti = snoop(&[]);
    shomiti[11] = 4;
    let cases: &[(&str, Vec<u8>, &str)] = &[
        ("empty", vec![], "t: byte 0: the file is empty; expected pcap, pcapng or snoop"),
        ("text", b"Hello, this is no capture".to_vec(), "t: byte 0: no capture: starts with 48 65 6c 6c"),
        ("short", b"abc".to_vec(), "t: byte 0: no capture: only 3 bytes, starts with 61 62 63; expected pcap"),
        ("half a pcap header", plain_pcap(&[])[..20].to_vec(), "t: byte 0: no capture: starts with d4 c3"),
        ("pcapng of version 9", version, "t: byte 0: pcapng version 9.0; expected 1.0"),
        ("pcapng without byte order", order, "t: byte 0: pcapng byte-order magic"),
        ("snoop of version 4", shomiti, "t: byte 0: no capture: starts with 73 6e 6f"),
        ("gzip of text", compress("gzip", b"Hello, this is no capture"), "t: byte 0: in gzip data: no capture"),
        ("gzip header only", vec![0x1f, 0x8b, 8, 0], "t: cannot be read: in gzip data: "),
    ];
    for (name, bytes, want) in cases {
        let error = read(bytes).map(|reading| reading.description).unwrap_err().to_string();
        assert!(error.starts_with(want), "{name}: {error}");
    }
}

#[test]
fn compressed_is_as_plain() {
    let many: Vec<Packet> =
        (0..40_000).map(|n| packet(n * 1000, &(n as u64).wrapping_pow(5).to_le_bytes(), 60)).collect();
    let bytes = plain_pcap(&many);
    let want = read(&bytes).unwrap();
    assert_eq!(want.packets, many);
    for format in COMPRESSIONS {
        let (first, second) = bytes.split_at(bytes.len() / 3);
        let two_members = [compress(format, first), compress(format, second)].concat();
        for (name, stored) in [("whole", compress(format, &bytes)), ("two members", two_members)] {
            let mut reading = read(&stored).unwrap();
            assert_eq!(reading.description.format, format!("pcap+{format}"), "{name}");
            reading.description.format = "pcap".into();
            assert_eq!(reading, want, "{format}, {name}");
        }
    }
}

#[test]
fn compressed_data_cut_or_broken_is_a_loss() {
    let many: Vec<Packet> =
        (0..30_000).map(|n| packet(n * 1000, &(n as u64).wrapping_pow(5).to_le_bytes(), 60)).collect();
    let bytes = plain_pcap(&many);
    for format in COMPRESSIONS {
        let stored = compress(format, &bytes);
        for keep in [stored.len() / 2, stored.len() * 9 / 10, stored.len() - 1] {
            match read(&stored[..keep]) {
                Ok(reading) => {
                    assert!(many.starts_with(&reading.packets), "{format} cut at {keep}");
                    assert_eq!(reading.loss(Loss::CaptureCutShort), 1, "{format} cut at {keep} of {}", stored.len());
                    assert!(reading.description.warnings[0].contains("reading failed"), "{format} cut at {keep}");
                }
                // One block of bzip2 holds the whole sample.
                Err(error) => assert!(error.to_string().contains("cannot be read: in "), "{format}: {error}"),
            }
        }
        let mut broken = stored.clone();
        broken[stored.len() / 2] ^= 0x55;
        if let Ok(reading) = read(&broken) {
            assert_eq!(reading.loss(Loss::CaptureCutShort), 1, "{format} with a flipped byte");
        }
    }
}

#[test]
fn lz4_cut_between_two_blocks_is_a_loss() {
    let bytes = plain_pcap(&[packet(0, &[1; 200], 200)]);
    let mut plain = lz4_flex::frame::FrameEncoder::new(Vec::new());
    plain.write_all(&bytes).unwrap();
    // Without the end mark (and the checksum behind it) nothing but its absence tells that something is missing.
    for (name, stored, end) in [("plain", plain.finish().unwrap(), 4), ("checksum", compress("lz4", &bytes), 8)] {
        assert_eq!(read(&stored).unwrap().loss(Loss::CaptureCutShort), 0, "{name}");
        let reading = read(&stored[..stored.len() - end]).unwrap();
        assert_eq!(reading.packets.len(), 1, "{name}");
        assert_eq!(reading.loss(Loss::CaptureCutShort), 1, "{name}");
    }
}

#[test]
fn read_error_in_the_middle_keeps_what_came_before() {
    let bytes = plain_pcap(&packets());
    for len in [24, 30, 45, 100] {
        let reading = read_with(Box::new(Failing(Cursor::new(bytes[..len].to_vec()))), 1 << 20).unwrap();
        assert!(packets().starts_with(&reading.packets), "{len}");
        assert_eq!(reading.loss(Loss::CaptureCutShort), 1, "{len}");
        let want = format!("t: byte {len}: reading failed: disk on fire; the rest is not read");
        assert_eq!(reading.description.warnings, [want]);
    }
    let error = read_with(Box::new(Failing(Cursor::new(vec![]))), 1).map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "t: cannot be read: disk on fire");
}

#[test]
fn epochs_fall_on_the_same_frames() {
    let small: Vec<Packet> = (0..70_000).map(|n| packet(n * 1000, &[n as u8; 3], 60)).collect();
    let large: Vec<Packet> = (0..600).map(|n| packet(n * 1000, &vec![n as u8; 60_000], 60_000)).collect();
    for (name, packets, want) in [("frames", small, vec![32_768, 65_536]), ("bytes", large, vec![280, 560])] {
        for bytes in [plain_pcap(&packets), pcapng(BIG, &packets), compress("zstd", &plain_pcap(&packets))] {
            for batch_bytes in [10_000, 1 << 20, 64 << 20] {
                let reading = read_with(Box::new(Cursor::new(bytes.clone())), batch_bytes).unwrap();
                assert_eq!(reading.epochs, want, "{name}, batches of {batch_bytes}");
                assert_eq!(reading.packets, packets, "{name}, batches of {batch_bytes}");
            }
        }
    }
}

#[test]
fn clock_jumps_are_steps_back_of_more_than_a_second() {
    let second = 1_000_000_000;
    let cases: &[(&str, &[i64], u64)] = &[
        ("forward", &[0, 100 * second], 0),
        ("back by a second", &[5 * second, 4 * second], 0),
        ("back by more", &[5 * second, 4 * second - 1000], 1),
        ("twice", &[9 * second, 0, 9 * second, 0], 2),
    ];
    for (name, times, want) in cases {
        let packets: Vec<Packet> = times.iter().map(|time| packet(*time, b"", 60)).collect();
        assert_eq!(read(&plain_pcap(&packets)).unwrap().loss(Loss::ClockJumps), *want, "{name}");
    }
}

#[test]
fn interfaces_without_end_are_bounded() {
    let mut file = LITTLE.section();
    let interface = LITTLE.interface(1, 0, &[]);
    (0..70_000).for_each(|_| file.extend(&interface));
    file.extend(LITTLE.enhanced(65_535, 0, b"last", 4, &[]));
    file.extend(LITTLE.enhanced(65_536, 0, b"beyond", 6, &[]));
    let reading = read(&file).unwrap();
    assert_eq!(reading.packets, [packet(0, b"last", 4)]);
    assert_eq!(reading.loss(Loss::SkippedBlocks), 70_000 - 65_536 + 1);
}

#[test]
fn position_is_in_stored_bytes() {
    let stored = compress("gzip", &plain_pcap(&packets()));
    let mut source = from_reader("t", Box::new(Cursor::new(stored.clone())), Options::default()).unwrap();
    let mut batch = Batch::default();
    while source.next_batch(&mut batch).unwrap() {}
    assert_eq!(source.position(), stored.len() as u64);
}

#[test]
fn sizes_of_small_inputs_are_known_before_they_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let plain = plain_pcap(&[packet(0, &[7; 9000], 9000)]);
    let len = plain.len() as u64;
    let mut seed = 1_u64;
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 56) as u8
    };
    let noise: Vec<u8> = (0..80_000).map(|_| next()).collect();
    let mut cases = vec![
        ("plain".to_owned(), plain.clone(), len, Some(len)),
        ("plain, too large".to_owned(), plain.clone(), len - 1, None),
        ("empty".to_owned(), Vec::new(), 10, Some(0)),
        ("stored by 64 KiB and more".to_owned(), compress("lz4", &noise), 1 << 20, None),
        ("nothing but the start of gzip".to_owned(), vec![0x1f, 0x8b], 10, Some(0)),
    ];
    for format in COMPRESSIONS {
        let stored = compress(format, &plain);
        cases.push((format.to_owned(), stored.clone(), len, Some(len)));
        cases.push((format!("{format}, too large"), stored.clone(), len - 1, None));
        cases.push((format!("{format}, a bomb"), compress(format, &vec![0; 8 << 20]), 1 << 20, None));
    }
    for (name, bytes, most, want) in cases {
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(super::Input::File(path.clone()).expanded_len(most), want, "{name}");
    }
    assert_eq!(super::Input::File(folder.path().to_path_buf()).expanded_len(10), None, "a folder");
    assert_eq!(super::Input::File(folder.path().join("missing")).expanded_len(10), None, "missing");
    assert_eq!(super::Input::Stdin.expanded_len(10), None, "standard input");
}

#[test]
fn paths_are_expanded() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::create_dir_all(folder.path().join("b/deep")).unwrap();
    for name in ["c.pcap", "b/deep/rotated.3", "b/a.pcapng"] {
        std::fs::write(path(name), plain_pcap(&packets())).unwrap();
    }
    std::fs::write(path("b/z.gz"), compress("gzip", &plain_pcap(&packets()))).unwrap();
    std::fs::write(path("b/log.gz"), compress("gzip", b"a line of a log\n")).unwrap();
    std::fs::write(path("notes.txt"), "no capture").unwrap();

    let expand = |paths: &[&str]| {
        let found = expand(&paths.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        let strip = |name: String| name.replace(&format!("{}/", folder.path().display()), "");
        let inputs: Vec<String> = found.inputs.iter().map(|input| strip(input.name())).collect();
        let skipped: Vec<String> = found.skipped.iter().map(|path| strip(path.display().to_string())).collect();
        (inputs, skipped, found.errors.iter().map(|error| strip(error.to_string())).collect::<Vec<_>>())
    };
    let (inputs, skipped, errors) = expand(&[&path(""), "-"]);
    assert_eq!(inputs, ["b/a.pcapng", "b/deep/rotated.3", "b/z.gz", "c.pcap", "-"]);
    assert_eq!(skipped, ["b/log.gz", "notes.txt"]);
    assert!(errors.is_empty());

    assert_eq!(expand(&[&path("*.pcap"), &path("notes.txt")]).0, ["c.pcap", "notes.txt"], "named directly");
    let (inputs, _, errors) = expand(&[&path("missing.pcap"), &path("*.missing")]);
    assert!(inputs.is_empty());
    assert!(errors[0].starts_with("missing.pcap: cannot be read: No such file"), "{errors:?}");
    assert_eq!(errors[1], "*.missing: no file matches this pattern");

    let open = |name: &str| super::open(&super::Input::File(path(name).into()), Options::default());
    assert!(open("b/z.gz").is_ok());
    assert!(open("notes.txt").is_err_and(|error| error.to_string().contains("notes.txt: byte 0: no capture")));
}
