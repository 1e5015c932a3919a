//! Captures made to exhaust whoever reads them: each is a stream of bytes, made as it is read, the same in every run.

use std::io::{self, Read, Write};

use crate::common::Noise;
use tlscov::quic::keys::{InitialKeys, Sender};
use tlscov::quic::version::Version;

/// An attack: its name, what the report has to say of what was dropped, and what makes a capture of about `size` frames.
pub struct Attack {
    pub name: &'static str,
    pub tells: &'static [&'static str],
    pub make: fn(u64) -> Box<dyn Read + Send>,
}

/// All attacks.
#[rustfmt::skip]
pub const ATTACKS: [Attack; 33] = [
    Attack { name: "one-packet-flows", tells: &["evicted_flows"], make: |size| frames(size, one_packet_flow) },
    Attack { name: "silent-flows", tells: &[], make: |size| frames_every(size, 40_000_000, one_packet_flow) },
    Attack { name: "syn-flood", tells: &[], make: |size| frames(size, syn) },
    Attack { name: "chosen-addresses", tells: &[], make: |size| frames(size, chosen_address) },
    Attack { name: "unknown-flows", tells: &["one_sided_flows"], make: |size| frames(size, unknown_flow) },
    Attack { name: "half-hellos", tells: &["evicted_flows"], make: |size| frames(size, half_hello) },
    Attack { name: "large-hellos", tells: &["one_sided_flows"], make: |size| frames(size, large_hello) },
    Attack { name: "whole-hellos", tells: &["one_sided_flows"], make: |size| frames(size / 50, whole_hello) },
    Attack { name: "server-keys", tells: &["unwatched_flows"], make: |size| frames(size, server_key) },
    Attack { name: "large-certificates", tells: &["evicted_flows"], make: |size| frames(size, large_certificate) },
    Attack { name: "endless-logins", tells: &["evicted_flows"], make: |size| frames(size, endless_login) },
    Attack { name: "quic-offsets", tells: &["evicted_flows"], make: |size| frames(size, quic_offset) },
    Attack { name: "overlaps", tells: &["conflicting_segments"], make: |size| frames(size, overlap) },
    Attack { name: "holes", tells: &["missing_segment_gaps"], make: |size| frames(size, hole) },
    Attack { name: "fragments", tells: &["unmatched_fragment_frames"], make: |size| frames(size, fragment) },
    Attack { name: "overlapping-fragments", tells: &["unmatched_fragment_frames"], make: |size| frames(size, overlapping_fragment) },
    Attack { name: "tunnels", tells: &["tunnels_too_deep_frames"], make: |size| frames(size, tunnels) },
    Attack { name: "mixed-tunnels", tells: &["tunnels_too_deep_frames"], make: |size| frames(size, mixed_tunnels) },
    Attack { name: "endless-flows", tells: &["midstream_flows"], make: |size| frames(size, endless) },
    Attack { name: "announcements", tells: &["forgotten_announcements"], make: |size| frames(size, announcement) },
    Attack { name: "large-records", tells: &[], make: |size| huge_records(size, (4 << 20) - 1) },
    Attack { name: "huge-records", tells: &["captures_cut_short"], make: |size| huge_records(size, (16 << 20) - 1) },
    Attack { name: "huge-blocks", tells: &["captures_cut_short"], make: |size| huge_blocks(size, 77) },
    Attack { name: "huge-packet-blocks", tells: &["captures_cut_short", "skipped_blocks"], make: |size| huge_blocks(size, 6) },
    Attack { name: "interfaces", tells: &[], make: interfaces },
    Attack { name: "sections", tells: &[], make: sections },
    Attack { name: "empty-frames", tells: &[], make: |size| frames(size, |_, _, _| {}) },
    Attack { name: "gzip-bomb", tells: &[], make: |size| Box::new(io::Cursor::new(gzip(&zeros(size)))) },
    Attack { name: "zstd-bomb", tells: &[], make: |size| Box::new(io::Cursor::new(zstd::encode_all(&zeros(size)[..], 3).expect("in memory"))) },
    Attack { name: "xz-bomb", tells: &[], make: |size| Box::new(io::Cursor::new(xz(&zeros(size), 6))) },
    Attack { name: "bzip2-bomb", tells: &[], make: |size| Box::new(io::Cursor::new(bzip2(&zeros(size)))) },
    Attack { name: "zstd-window", tells: &["captures_cut_short"], make: |size| Box::new(io::Cursor::new(zstd_window(size))) },
    Attack { name: "xz-window", tells: &["captures_cut_short"], make: |size| Box::new(io::Cursor::new([xz(&zeros(size), 0), xz(&zeros(size), 9)].concat())) },
];

/// A reader of chunks that are made when they are needed.
struct Made<F> {
    next: F,
    chunk: Vec<u8>,
    at: usize,
}

impl<F: FnMut(&mut Vec<u8>) -> bool> Read for Made<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.chunk.len() {
            self.chunk.clear();
            self.at = 0;
            if !(self.next)(&mut self.chunk) {
                return Ok(0);
            }
        }
        let count = buffer.len().min(self.chunk.len() - self.at);
        buffer[..count].copy_from_slice(&self.chunk[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

fn made(next: impl FnMut(&mut Vec<u8>) -> bool + Send + 'static) -> Box<dyn Read + Send> {
    Box::new(Made { next, chunk: Vec::new(), at: 0 })
}

fn file_header(out: &mut Vec<u8>) {
    out.extend([0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0]);
}

fn record(out: &mut Vec<u8>, time_ns: u64, frame: &[u8]) {
    let len = frame.len() as u32;
    for field in [(time_ns / 1_000_000_000) as u32, (time_ns % 1_000_000_000) as u32, len, len] {
        out.extend(field.to_le_bytes());
    }
    out.extend(frame);
}

type Frame = fn(u64, &mut Noise, &mut Vec<u8>);

fn frames(size: u64, frame: Frame) -> Box<dyn Read + Send> {
    frames_every(size, 1_000, frame)
}

/// A pcap file of `size` frames, one every `step_ns`.
fn frames_every(size: u64, step_ns: u64, frame: Frame) -> Box<dyn Read + Send> {
    let mut noise = Noise(1);
    let mut number = 0;
    let mut bytes = Vec::new();
    made(move |out| {
        if number == 0 {
            file_header(out);
        }
        let first = number;
        while number < size && number < first + 64 {
            bytes.clear();
            frame(number, &mut noise, &mut bytes);
            record(out, 1_500_000_000_000_000_000 + number * step_ns, &bytes);
            number += 1;
        }
        number > first
    })
}

fn ip(out: &mut Vec<u8>, protocol: u8, from: u32, to: u32, fragment: u16, id: u16, payload_len: usize) {
    out.extend([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0]);
    inner_ip(out, protocol, from, to, fragment, id, payload_len);
}

fn inner_ip(out: &mut Vec<u8>, protocol: u8, from: u32, to: u32, fragment: u16, id: u16, payload_len: usize) {
    out.extend([0x45, 0]);
    out.extend(((20 + payload_len) as u16).to_be_bytes());
    out.extend(id.to_be_bytes());
    out.extend(fragment.to_be_bytes());
    out.extend([64, protocol, 0, 0]);
    out.extend(from.to_be_bytes());
    out.extend(to.to_be_bytes());
}

fn udp(out: &mut Vec<u8>, from: (u32, u16), to: (u32, u16), payload: &[u8]) {
    ip(out, 17, from.0, to.0, 0, 0, 8 + payload.len());
    out.extend(from.1.to_be_bytes());
    out.extend(to.1.to_be_bytes());
    out.extend(((8 + payload.len()) as u16).to_be_bytes());
    out.extend([0, 0]);
    out.extend(payload);
}

fn tcp(out: &mut Vec<u8>, from: (u32, u16), to: (u32, u16), flags: u8, seq: u32, payload: &[u8]) {
    ip(out, 6, from.0, to.0, 0, 0, 20 + payload.len());
    out.extend(from.1.to_be_bytes());
    out.extend(to.1.to_be_bytes());
    out.extend(seq.to_be_bytes());
    out.extend([0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    out.extend(payload);
}

const SERVER: (u32, u16) = (0xc000_0201, 443);

fn anyone(noise: &mut Noise) -> (u32, u16) {
    let bits = noise.next();
    (0x0a00_0000 | (bits as u32 & 0xff_ffff), (bits >> 32) as u16 | 1024)
}

fn one_packet_flow(_: u64, noise: &mut Noise, out: &mut Vec<u8>) {
    let payload: Vec<u8> = (0..4).flat_map(|_| noise.next().to_le_bytes()).collect();
    let (from, to) = (anyone(noise), anyone(noise));
    udp(out, from, to, &payload);
}

/// IPv6 addresses whose halves cancel out where a hash adds one to the other, rotated by some bits.
fn chosen_address(number: u64, _: &mut Noise, out: &mut Vec<u8>) {
    out.extend([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 12, 17, 64]);
    out.extend(number.to_be_bytes());
    out.extend(number.rotate_right(31).to_be_bytes());
    out.extend([0xff; 16]);
    out.extend([0x9c, 0x40, 0x27, 0x10, 0, 12, 0, 0, 0x80, 0, 0, 1]);
}

fn syn(_: u64, noise: &mut Noise, out: &mut Vec<u8>) {
    let from = anyone(noise);
    tcp(out, from, SERVER, 2, noise.next() as u32, &[]);
}

/// The start of a ClientHello that says it is as long as can be.
fn hello_start(extra: usize) -> Vec<u8> {
    let mut hello = vec![22, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff, 3, 3];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0x13, 1, 1, 0, 0xff, 0x80]);
    // Extensions of a private type, 64 bytes each.
    while hello.len() < 64 + extra {
        hello.extend([0xfd, 0xe8, 0, 60]);
        hello.extend([9; 60]);
    }
    hello
}

fn half_hello(_: u64, noise: &mut Noise, out: &mut Vec<u8>) {
    let from = anyone(noise);
    tcp(out, from, SERVER, 0x18, 1, &hello_start(700));
}

/// Hellos of 64 kB from two hundred clients at a time, a segment each in turn; none ever ends.
fn large_hello(number: u64, _: &mut Noise, out: &mut Vec<u8>) {
    let (round, part) = (number / 9200, number % 9200 / 200);
    let from = (0x0a00_0000 + (round * 200 + number % 200) as u32, 5000);
    let payload = if part == 0 { hello_start(1300) } else { vec![9; 1300] };
    let seq = if part == 0 { 1 } else { 1 + hello_start(1300).len() as u32 + (part as u32 - 1) * 1300 };
    tcp(out, from, SERVER, 0x18, seq, &payload);
}

/// A ClientHello of 65 kB in a single packet, whole, with as many extensions as fit.
fn whole_hello(number: u64, _: &mut Noise, out: &mut Vec<u8>) {
    let extensions: Vec<u8> = (0..16_200u16).flat_map(|kind| [(kind >> 8) as u8 | 0xa0, kind as u8, 0, 0]).collect();
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0x13, 1, 1, 0]);
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    let mut message = vec![1, 0];
    message.extend((body.len() as u16).to_be_bytes());
    message.extend(body);
    let mut payload = Vec::new();
    for part in message.chunks(1 << 14) {
        payload.extend([22, 3, 1]);
        payload.extend((part.len() as u16).to_be_bytes());
        payload.extend(part);
    }
    let from = (0x0a00_0000 + number as u32, 5000);
    tcp(out, from, SERVER, 0x18, 1, &payload);
}

/// Handshakes of TLS 1.3, a packet each way, every one with a key of the server that was never seen before.
fn server_key(number: u64, noise: &mut Noise, out: &mut Vec<u8>) {
    let client = (0x0a00_0000 + (number / 2) as u32, 5000);
    let from_client = number.is_multiple_of(2);
    let share: Vec<u8> = (0..4).flat_map(|_| noise.next().to_be_bytes()).collect();
    let entry = [&[0, 29, 0, 32][..], &share].concat();
    let mut body = vec![3, 3];
    body.extend((0..4).flat_map(|_| noise.next().to_be_bytes()));
    if from_client {
        body.extend([0, 0, 2, 0x13, 1, 1, 0, 0, 49, 0, 43, 0, 3, 2, 3, 4, 0, 51, 0, 38, 0, 36]);
    } else {
        body.extend([0, 0x13, 1, 0, 0, 46, 0, 43, 0, 2, 3, 4, 0, 51, 0, 36]);
    }
    body.extend(entry);
    let len = body.len() as u8;
    let hello = [&[22, 3, 3, 0, len + 4, if from_client { 1 } else { 2 }, 0, 0, len], &body[..]].concat();
    let (from, to) = if from_client { (client, SERVER) } else { (SERVER, client) };
    tcp(out, from, to, 0x18, 1, &hello);
}

/// Initials of many connections, with pieces of a ClientHello that lie far apart and leave holes.
fn quic_offset(number: u64, noise: &mut Noise, out: &mut Vec<u8>) {
    let connection = (number % 4000) as u32;
    let id = connection.to_be_bytes().repeat(2);
    let keys = InitialKeys::derive(&Version(1).secrets()[0], &id, Sender::Client).expect("keys");
    let mut frames = Vec::new();
    while frames.len() < 1100 {
        let far = noise.next() >> (2 + noise.below(60));
        frames.push(6);
        frames.extend((far | 3 << 62).to_be_bytes());
        frames.extend([0x40, 50]);
        frames.extend([1; 50]);
    }
    let mut header = vec![0xc0, 0, 0, 0, 1, 8];
    header.extend(&id);
    header.extend([0, 0]);
    let packet = keys.seal(header, (number / 4000) as u8, &frames);
    udp(out, (0x0a00_0000 + connection, 5000), SERVER, &packet);
}

/// Flows of bytes that nobody knows, long enough to be settled as such and kept until the end of the capture.
fn unknown_flow(number: u64, noise: &mut Noise, out: &mut Vec<u8>) {
    let from = (0x0a00_0000 + (number / 8) as u32, 5000);
    let payload: Vec<u8> = (0..4).flat_map(|_| noise.next().to_le_bytes()).collect();
    tcp(out, from, (SERVER.0, 4444), 0x18, (number % 8) as u32 * 32, &payload);
}

/// Servers that send certificates of 16 MB, all at the same time.
fn large_certificate(number: u64, _: &mut Noise, out: &mut Vec<u8>) {
    let (server, part) = (number % 500, number / 500);
    let from = (0xc633_6400 + server as u32, 443);
    let to = (0x0a00_0001, 40_000);
    let mut payload = Vec::new();
    if part == 0 {
        let body: Vec<u8> = [&[3, 3][..], &[5; 32], &[0, 0xc0, 0x2f, 0]].concat();
        payload.extend([22, 3, 3, 0, (body.len() + 4) as u8, 2, 0, 0, body.len() as u8]);
        payload.extend(body);
        payload.extend([22, 3, 3, 0x40, 0, 11, 0xff, 0xff, 0xfc, 0xff, 0xff, 0xf9, 0xff, 0xff, 0xf6]);
    }
    let seq = 1 + part as u32 * 1400;
    payload.resize(1400, 0x30);
    tcp(out, from, to, 0x18, seq, &payload);
}

/// Clients of a database that go on and on before they log in, ten thousand at the same time.
fn endless_login(number: u64, _: &mut Noise, out: &mut Vec<u8>) {
    let (client, part) = ((number % 10_000) as u32, (number / 10_000) as u32);
    let payload = [0, 10, 0xd0, 0x41, 0, 1, 0, 4, 0x10, 0x41].repeat(140);
    tcp(out, (0x0a00_0000 + client, 5000), SERVER, 0x18, 1 + part * 1400, &payload);
}

/// Segments of a few flows that say other things about the same sequence numbers.
fn overlap(number: u64, noise: &mut Noise, out: &mut Vec<u8>) {
    let from = (0x0a00_0000 + (number % 20) as u32, 5000);
    let payload = vec![noise.next() as u8; 1 + noise.below(1400)];
    tcp(out, from, SERVER, 0x18, 1000 + noise.below(60_000) as u32, &payload);
}

/// Segments behind a hole that is never filled, in many flows.
fn hole(number: u64, noise: &mut Noise, out: &mut Vec<u8>) {
    let from = (0x0a00_0000 + (number % 5000) as u32, 5000);
    let part = (number / 5000) as u32;
    let seq = if part == 0 { 1 } else { 2000 + part * 2000 };
    tcp(out, from, SERVER, 0x18, seq, &vec![noise.next() as u8; 1400]);
}

fn fragment(_: u64, noise: &mut Noise, out: &mut Vec<u8>) {
    let bits = noise.next();
    ip(out, 17, anyone(noise).0, SERVER.0, 0x2000, bits as u16, 64);
    out.extend([7; 64]);
}

/// Small fragments of few datagrams, over and over each other, with holes.
fn overlapping_fragment(number: u64, noise: &mut Noise, out: &mut Vec<u8>) {
    let offset = noise.below(8000) as u16;
    let len = 8 * (1 + noise.below(4));
    ip(out, 17, 0x0a00_0001, SERVER.0, 0x2000 | offset, (number % 7) as u16, len);
    out.extend(vec![noise.next() as u8; len]);
}

/// IP in IP in IP ... as deep as a frame of 1500 bytes goes.
fn tunnels(_: u64, noise: &mut Noise, out: &mut Vec<u8>) {
    let layers = 1 + noise.below(72);
    let payload = 1480 - 20 * layers;
    ip(out, 4, anyone(noise).0, SERVER.0, 0, 0, 20 * layers + payload);
    for layer in (0..layers).rev() {
        let protocol = if layer == 0 { 17 } else { 4 };
        inner_ip(out, protocol, noise.next() as u32 | 1, SERVER.0, 0, 0, 20 * layer + payload);
    }
    out.extend([4, 0, 4, 1]);
    out.extend((payload as u16).to_be_bytes());
    out.extend([0, 0]);
    out.resize(14 + 1500, 7);
}

/// GRE, VXLAN and IP in each other, in any order, as deep as a frame goes.
fn mixed_tunnels(_: u64, noise: &mut Noise, out: &mut Vec<u8>) {
    let mut inner = vec![7; 40];
    let mut protocol = 17;
    for _ in 0..noise.below(30) {
        let mut packet = Vec::new();
        inner_ip(&mut packet, protocol, noise.next() as u32 | 1, SERVER.0, 0, 0, inner.len());
        packet.extend(&inner);
        (protocol, inner) = match noise.below(3) {
            0 => (4, packet),
            1 => (47, [&[0, 0, 8, 0][..], &packet].concat()),
            _ => {
                let ethernet = [&[2; 12][..], &[8, 0], &packet].concat();
                let len = (16 + ethernet.len() as u16).to_be_bytes();
                (17, [&[0x30, 0, 0x12, 0xb5, len[0], len[1], 0, 0, 8, 0, 0, 0, 0, 0, 1, 0][..], &ethernet].concat())
            }
        };
    }
    ip(out, protocol, anyone(noise).0, SERVER.0, 0, 0, inner.len());
    out.extend(inner);
}

/// A few flows for ever, of bytes that nobody knows, in both directions.
fn endless(number: u64, noise: &mut Noise, out: &mut Vec<u8>) {
    let client = (0x0a00_0000 + (number % 50) as u32, 5000);
    let payload: Vec<u8> = (0..40).flat_map(|_| noise.next().to_le_bytes()).collect();
    let seq = (number / 100) as u32 * 320;
    if (number / 50).is_multiple_of(2) {
        tcp(out, client, SERVER, 0x18, seq, &payload);
    } else {
        tcp(out, SERVER, client, 0x18, seq, &payload);
    }
}

/// FTP control connections that announce one data connection after the other.
fn announcement(number: u64, noise: &mut Noise, out: &mut Vec<u8>) {
    let client = (0x0a00_0000 + (number / 8) as u32, 5000);
    let port = noise.next() as u16;
    let (high, low) = (port >> 8, port & 255);
    let server = (0xc000_0202, 21);
    let part = number % 8;
    if part.is_multiple_of(2) {
        let line: &[u8] = if part == 0 { b"220 ready\r\n" } else { b"200 PORT ok\r\n" };
        tcp(out, server, client, 0x18, 1 + if part == 0 { 0 } else { 11 + (part as u32 / 2 - 1) * 13 }, line);
    } else {
        let line = if part == 1 {
            "USER someone      1234567890\r\n".into()
        } else {
            format!(
                "PORT 10,{:03},{:03},{:03},{high:03},{low:03}\r\n",
                noise.below(256),
                noise.below(256),
                noise.below(256)
            )
        };
        tcp(out, client, server, 0x18, 1 + (part as u32 / 2) * 30, line.as_bytes());
    }
}

/// Records of `len` bytes, up to the longest that are believed: 4 MiB with 64 MiB of memory, 16 MiB with 256 MiB and more.
fn huge_records(size: u64, len: usize) -> Box<dyn Read + Send> {
    let (mut left, mut in_record) = (size / 10_000 * (16 << 20) / (len as u64 + 1) + 2, 0usize);
    let mut started = false;
    made(move |out| {
        if !std::mem::replace(&mut started, true) {
            file_header(out);
            // The snap length allows for it.
            out[16..20].copy_from_slice(&(len as u32).to_le_bytes());
        }
        if in_record == 0 {
            if left == 0 {
                return !out.is_empty();
            }
            left -= 1;
            for field in [1_500_000_000u32, 0, len as u32, len as u32] {
                out.extend(field.to_le_bytes());
            }
            in_record = len;
        }
        let now = in_record.min(1 << 16);
        out.resize(out.len() + now, 0x45);
        in_record -= now;
        true
    })
}

fn block(out: &mut Vec<u8>, kind: u32, body: &[u8]) {
    let len = (12 + body.len()) as u32;
    out.extend(kind.to_le_bytes());
    out.extend(len.to_le_bytes());
    out.extend(body);
    out.extend(len.to_le_bytes());
}

fn section(out: &mut Vec<u8>) {
    block(out, 0x0a0d_0d0a, &[0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]);
}

/// A block of some kind that says it has 4 GB, and has as many kilobytes as there are frames asked for.
fn huge_blocks(size: u64, kind: u32) -> Box<dyn Read + Send> {
    let mut left = size + 1;
    made(move |out| {
        if left == size + 1 {
            section(out);
            out.extend(kind.to_le_bytes());
            out.extend(0xffff_fffcu32.to_le_bytes());
        }
        left = left.saturating_sub(1);
        out.resize(out.len() + 1024, 3);
        left > 0
    })
}

/// As many interfaces as packets.
fn interfaces(size: u64) -> Box<dyn Read + Send> {
    let mut number = 0u32;
    made(move |out| {
        if number == 0 {
            section(out);
        }
        if u64::from(number) == size {
            return false;
        }
        block(out, 1, &[1, 0, 0, 0, 0, 0, 4, 0, 9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
        let mut frame = Vec::new();
        udp(&mut frame, (0x0a00_0001, 4000), SERVER, &number.to_be_bytes());
        let mut body = Vec::new();
        for field in [number, 0, number, frame.len() as u32, frame.len() as u32] {
            body.extend(field.to_le_bytes());
        }
        body.extend(&frame);
        body.resize(body.len().div_ceil(4) * 4, 0);
        block(out, 6, &body);
        number += 1;
        true
    })
}

/// As many sections as packets, each with an interface.
fn sections(size: u64) -> Box<dyn Read + Send> {
    let mut number = 0;
    made(move |out| {
        section(out);
        block(out, 1, &[1, 0, 0, 0, 0, 0, 4, 0]);
        block(out, 3, &[&60u32.to_le_bytes()[..], &[2; 60]].concat());
        number += 1;
        number <= size
    })
}

/// Frames of zeros, a thousand to one when compressed.
fn zeros(size: u64) -> Vec<u8> {
    let mut plain = Vec::new();
    file_header(&mut plain);
    for _ in 0..size / 100 {
        record(&mut plain, 0, &[0; 60_000]);
    }
    plain
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(plain).expect("in memory");
    packed.finish().expect("in memory")
}

fn bzip2(plain: &[u8]) -> Vec<u8> {
    let mut packed = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    packed.write_all(plain).expect("in memory");
    packed.finish().expect("in memory")
}

/// Level 9 needs 64 MiB to be read, level 6 needs 9 MiB.
fn xz(plain: &[u8], level: u32) -> Vec<u8> {
    let mut packed = liblzma::write::XzEncoder::new(Vec::new(), level);
    packed.write_all(plain).expect("in memory");
    packed.finish().expect("in memory")
}

/// A frame as usual, and one that needs a window of 2 GiB to be read.
fn zstd_window(size: u64) -> Vec<u8> {
    let plain = zeros(size);
    let usual = zstd::encode_all(&plain[..], 1).expect("in memory");
    // A frame header that names a window and no content size (RFC 8878 section 3.1.1.1), and a block of one byte repeated.
    let greedy = [0x28, 0xb5, 0x2f, 0xfd, 0, 21 << 3, 0x83, 0x3e, 0, 7];
    [&usual[..], &greedy].concat()
}
