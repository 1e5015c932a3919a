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

/// A piece of a conversation: whether the client said it, and what.
pub type Piece = (bool, Vec<u8>);

/// The end of a TCP conversation on the wire: the client's address and port, the server's.
type Ends = ([u8; 4], u16, [u8; 4], u16);

/// A whole TCP connection in which `pieces` were said in order, from `client_port` to port 40000 of another host.
pub fn conversation(client_port: u16, pieces: &[Piece]) -> Vec<Record> {
    conversation_to(client_port, 40_000, pieces)
}

/// The same, to `server_port`.
pub fn conversation_to(client_port: u16, server_port: u16, pieces: &[Piece]) -> Vec<Record> {
    const SYN: u8 = 0x02;
    const ACK: u8 = 0x10;
    const FIN: u8 = 0x11;
    let ends = ([192, 0, 2, 1], client_port, [192, 0, 2, 2], server_port);
    let mut next = [1000_u32, 2000];
    let mut records = Vec::new();
    let mut say = |from_client: bool, flags: u8, bytes: &[u8]| {
        let (mine, theirs) = if from_client { (0, 1) } else { (1, 0) };
        records.push(segment(ends, from_client, flags, [next[mine], next[theirs]], bytes, records.len()));
        next[mine] += bytes.len() as u32 + u32::from(flags & 3 != 0);
    };
    say(true, SYN, b"");
    say(false, SYN | ACK, b"");
    for (from_client, bytes) in pieces {
        for part in bytes.chunks(1400) {
            say(*from_client, ACK, part);
        }
    }
    say(true, FIN, b"");
    say(false, FIN, b"");
    records
}

/// A TCP segment in an Ethernet frame; the checksums are left to the card that never sent it.
fn segment(ends: Ends, from_client: bool, flags: u8, numbers: [u32; 2], payload: &[u8], place: usize) -> Record {
    let (client, client_port, server, server_port) = ends;
    let (from, from_port, to, to_port) = if from_client {
        (client, client_port, server, server_port)
    } else {
        (server, server_port, client, client_port)
    };
    let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
    bytes.extend((40 + payload.len() as u16).to_be_bytes());
    bytes.extend([0, 0, 0, 0, 64, 6, 0, 0]);
    bytes.extend([from, to].concat());
    bytes.extend([from_port, to_port].map(u16::to_be_bytes).concat());
    bytes.extend(numbers.map(u32::to_be_bytes).concat());
    bytes.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    bytes.extend(payload);
    let wire_len = bytes.len() as u32;
    Record { time_ns: 1_600_000_000_000_000_000 + place as i64 * 1_000_000, wire_len, link_type: 1, bytes }
}

/// A TLS record.
pub fn tls_record(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3], &(content.len() as u16).to_be_bytes()[..], content].concat()
}

/// A TLS 1.2 ClientHello that offers `suite`, in its record.
pub fn client_hello(suite: [u8; 2]) -> Vec<u8> {
    let body = [&[3, 3][..], &[7; 32], &[0, 0, 2], &suite, &[1, 0]].concat();
    tls_record(22, &[&[1, 0, 0, body.len() as u8], &body[..]].concat())
}

/// The ServerHello that takes it, in its record.
pub fn server_hello(suite: [u8; 2]) -> Vec<u8> {
    let body = [&[3, 3][..], &[8; 32], &[0], &suite, &[0]].concat();
    tls_record(22, &[&[2, 0, 0, body.len() as u8], &body[..]].concat())
}

/// ECDHE_RSA with AES-128 in GCM (RFC 5289).
pub const SUITE: [u8; 2] = [0xc0, 0x2f];

/// A session in TLS 1.2 from the hellos on, with `data` bytes of application data each way.
pub fn tls_session(data: usize) -> Vec<Piece> {
    let change = tls_record(20, &[1]);
    let sealed = |kind: u8, len: usize| tls_record(kind, &noise(len as u64 + u64::from(kind), len));
    let mut pieces = vec![
        (true, client_hello(SUITE)),
        (false, server_hello(SUITE)),
        (true, [change.clone(), sealed(22, 40)].concat()),
        (false, [change, sealed(22, 41)].concat()),
    ];
    if data > 0 {
        pieces.push((true, sealed(23, data)));
        pieces.push((false, sealed(23, data + 1)));
    }
    pieces
}

/// Bytes without order.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut noise = Noise(seed);
    std::iter::repeat_with(|| (noise.next() >> 40) as u8).take(len).collect()
}

/// Reads frames as a capture of their own.
pub fn read_records(records: &[Record]) -> (Tally, Vec<FlowSummary>) {
    let (scan, flows) = read_bytes(pcap(records), &options(1), 1 << 20).expect("a capture");
    adds_up(&scan.tally, "built frames");
    (scan.tally, flows)
}
