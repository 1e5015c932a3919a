//! Writes first inputs for every target from captures: `seeds OUT CAPTURE...`.
//!
//! Built with the flags of the targets, it has to be linked like one of them: libFuzzer starts it, and it ends there.

#![no_main]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs, process};

use tlscov::capture::{self, Batch, Input};
use tlscov::model::{FlowKey, Side, Transport};
use tlscov::net::{self, Decoded};
use tlscov::pipeline::{self, Options};
use tlscov::report::Report;
use tlscov_fuzz::{pieces, write_piece};

/// Packets of a flow, and flows and frames of a capture, that are taken.
const PACKETS: usize = 12;
const FLOWS: usize = 24;
const FRAMES: usize = 40;

libfuzzer_sys::fuzz_target!(init: write(), |_data: &[u8]| {});

fn write() {
    let mut arguments = env::args().skip(1).map(PathBuf::from);
    let out = arguments.next().expect("seeds OUT CAPTURE...");
    for name in [
        "capture",
        "decode",
        "tunnels",
        "fragments",
        "order",
        "detect",
        "tls",
        "handshake",
        "dtls",
        "quic",
        "policy",
        "report",
        "program",
    ] {
        fs::create_dir_all(out.join(name)).expect("a folder for seeds");
    }
    for name in tlscov::grade::builtin_names() {
        let text = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../src/grade/policies/{name}.toml"));
        if let Ok(text) = fs::read(text) {
            fs::write(out.join("policy").join(name), text).expect("written");
        }
    }
    for path in arguments {
        one(&out, &path);
    }
    let segments: Vec<u8> =
        (0..12u8).flat_map(|n| [n & 1, n.wrapping_mul(37) >> 2, n.wrapping_mul(64), n * 9]).collect();
    fs::write(out.join("order/steps"), [&[0xff, 0xff, 0xff, 0x80], segments.as_slice()].concat()).expect("written");
    process::exit(0);
}

fn one(out: &Path, path: &Path) {
    let name = path.file_name().expect("a file").to_string_lossy().into_owned();
    let save = |target: &str, number: usize, bytes: &[u8]| {
        fs::write(out.join(target).join(format!("{name}-{number}")), bytes).expect("written");
    };
    let whole = fs::read(path).expect("a capture");
    save("capture", 0, &whole[..whole.len().min(6000)]);
    let input = Input::File(path.to_path_buf());
    let mut source = capture::open(&input, capture::Options::default()).expect("a capture");
    let mut batch = Batch::default();
    source.next_batch(&mut batch).expect("a capture");
    let mut flows: BTreeMap<(Transport, String), (FlowKey, Vec<u8>, usize, Side)> = BTreeMap::new();
    let mut fragments = Vec::new();
    let mut link_type = 1;
    for (number, frame) in batch.frames.iter().enumerate() {
        let start = frame.start as usize;
        let bytes = &batch.data[start..start + frame.captured_len as usize];
        link_type = frame.link_type;
        if number < FRAMES {
            save("decode", number, &[&frame.link_type.to_be_bytes()[..], &[0], bytes].concat());
        }
        if number < 16 && bytes.get(12..15) == Some(&[8, 0, 0x45]) {
            let layers = [number * 16, number * 48 + 80, number * 80 + 32].map(|layer| layer as u8);
            save("tunnels", number, &[&[3], &layers[..], bytes.get(34..).unwrap_or_default()].concat());
        }
        if number < 6 {
            // In fragments of 16 bytes.
            if let Some((head, rest)) = bytes.split_at_checked(34).filter(|_| bytes.get(12..15) == Some(&[8, 0, 0x45]))
            {
                for (index, data) in rest.chunks(16).enumerate().take(6) {
                    let mut piece = [head, data].concat();
                    let more = if rest.len() > (index + 1) * 16 { 0x20 } else { 0 };
                    piece[16..18].copy_from_slice(&(20 + data.len() as u16).to_be_bytes());
                    piece[20..22].copy_from_slice(&[more, index as u8 * 2]);
                    write_piece(&mut fragments, 1, &piece);
                }
            }
        }
        let Decoded::Packet(packet) = net::decode(frame.link_type, bytes, frame.wire_len) else { continue };
        let from = packet.payload_start as usize;
        let payload = &bytes[from..from + packet.payload_captured as usize];
        let room = flows.len() < FLOWS;
        let id = (packet.key.transport(), format!("{:?}", packet.key));
        if payload.is_empty() || (!room && !flows.contains_key(&id)) {
            continue;
        }
        let (_, data, count, client) = flows.entry(id).or_insert((packet.key, Vec::new(), 0, packet.from));
        if *count < PACKETS {
            write_piece(data, u8::from(packet.from != *client), payload);
            *count += 1;
        }
    }
    save("fragments", 0, &fragments);
    for (number, (key, data, _, _)) in flows.values().enumerate() {
        let stream = key.transport() == Transport::TCP;
        save("detect", number, &[&[if stream { 0 } else { 2 }], data.as_slice()].concat());
        if stream {
            save("tls", number, &[&[0], data.as_slice()].concat());
            save("handshake", number, &messages(data));
        } else {
            save("dtls", number, data);
            save("quic", number, data);
        }
    }
    save("program", 0, &pcap(&batch, 0..FRAMES, link_type));
    save("program", 1, &pcap(&batch, FRAMES..FRAMES * 2, link_type));
    let options = Options { jobs: Some(1), max_memory: 64 << 20, ..Options::default() };
    let scan = pipeline::scan(&[input], &options, &|_| {}, None).expect("a capture");
    save("report", 0, &serde_json::to_vec(&Report::new(&scan.tally)).expect("JSON"));
}

/// The readable handshake messages of a TLS stream, each as the bytes that `handshake` takes.
fn messages(stream: &[u8]) -> Vec<u8> {
    let mut sides: [Vec<u8>; 2] = Default::default();
    for (flags, piece) in pieces(stream) {
        sides[usize::from(flags & 1)].extend(piece);
    }
    let mut out = Vec::new();
    for (side, bytes) in (0..).zip(&sides) {
        let mut rest = &bytes[..];
        while let Some(([22, 3, _, high, low], behind)) = rest.split_first_chunk::<5>() {
            let Some((record, behind)) = behind.split_at_checked(usize::from(u16::from_be_bytes([*high, *low]))) else {
                break;
            };
            match record {
                // A leaf certificate stands behind two lengths of three bytes.
                [11, _, _, _, _, _, _, _, high, low, leaf @ ..] => {
                    let len = usize::from(u16::from_be_bytes([*high, *low])).min(leaf.len());
                    write_piece(&mut out, side | 5 << 1, &leaf[..len]);
                }
                [kind, _, _, _, body @ ..] => write_piece(&mut out, side | 7 << 1, &[&[*kind], body].concat()),
                _ => {}
            }
            rest = behind;
        }
    }
    out
}

/// Frames as a pcap file of their own.
fn pcap(batch: &Batch, frames: std::ops::Range<usize>, link_type: u16) -> Vec<u8> {
    let mut out = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0];
    out.extend(u32::from(link_type).to_le_bytes());
    for frame in batch.frames.iter().skip(frames.start).take(frames.len()) {
        let (seconds, rest) = (frame.time_ns / 1_000_000_000, frame.time_ns % 1_000_000_000 / 1000);
        for field in [seconds as u32, rest as u32, frame.captured_len, frame.wire_len] {
            out.extend(field.to_le_bytes());
        }
        let start = frame.start as usize;
        out.extend(&batch.data[start..start + frame.captured_len as usize]);
    }
    out
}
