//! Captures made to exhaust whoever reads them: each is a stream of bytes, made as it is read, the same in every run.

use std::io::{self, Read, Write};

use crate::common::Noise;

/// An attack: its name, and what makes a capture of about `size` frames.
pub struct Attack {
    pub name: &'static str,
    pub make: fn(u64) -> Box<dyn Read + Send>,
}

/// All attacks.
pub const ATTACKS: [Attack; 17] = [
    Attack { name: "one-packet-flows", make: |size| frames(size, one_packet_flow) },
    Attack { name: "silent-flows", make: |size| frames_every(size, 40_000_000, one_packet_flow) },
    Attack { name: "syn-flood", make: |size| frames(size, syn) },
    Attack { name: "half-hellos", make: |size| frames(size, half_hello) },
    Attack { name: "large-hellos", make: |size| frames(size, large_hello) },
    Attack { name: "large-certificates", make: |size| frames(size, large_certificate) },
    Attack { name: "overlaps", make: |size| frames(size, overlap) },
    Attack { name: "holes", make: |size| frames(size, hole) },
    Attack { name: "fragments", make: |size| frames(size, fragment) },
    Attack { name: "overlapping-fragments", make: |size| frames(size, overlapping_fragment) },
    Attack { name: "tunnels", make: |size| frames(size, tunnels) },
    Attack { name: "endless-flows", make: |size| frames(size, endless) },
    Attack { name: "announcements", make: |size| frames(size, announcement) },
    Attack { name: "huge-records", make: huge_records },
    Attack { name: "huge-blocks", make: huge_blocks },
    Attack { name: "interfaces", make: interfaces },
    Attack { name: "gzip-bomb", make: gzip_bomb },
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

/// Records of 16 MB less a little, the longest that are believed.
fn huge_records(size: u64) -> Box<dyn Read + Send> {
    const LEN: usize = (16 << 20) - 1;
    let (mut left, mut in_record) = (size / 10_000 + 2, 0usize);
    let mut started = false;
    made(move |out| {
        if !std::mem::replace(&mut started, true) {
            file_header(out);
            // The snap length allows for it.
            out[16..20].copy_from_slice(&(LEN as u32).to_le_bytes());
        }
        if in_record == 0 {
            if left == 0 {
                return !out.is_empty();
            }
            left -= 1;
            for field in [1_500_000_000u32, 0, LEN as u32, LEN as u32] {
                out.extend(field.to_le_bytes());
            }
            in_record = LEN;
        }
        let len = in_record.min(1 << 16);
        out.resize(out.len() + len, 0x45);
        in_record -= len;
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

/// A block of an unknown kind that says it has 4 GB, and has as many kilobytes as there are frames asked for.
fn huge_blocks(size: u64) -> Box<dyn Read + Send> {
    let mut left = size + 1;
    made(move |out| {
        if left == size + 1 {
            section(out);
            out.extend(77u32.to_le_bytes());
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

/// Frames of zeros, a thousand to one when compressed.
fn gzip_bomb(size: u64) -> Box<dyn Read + Send> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let mut plain = Vec::new();
    file_header(&mut plain);
    for _ in 0..size / 20 {
        record(&mut plain, 0, &[0; 60_000]);
        packed.write_all(&plain).expect("in memory");
        plain.clear();
    }
    Box::new(io::Cursor::new(packed.finish().expect("in memory")))
}
