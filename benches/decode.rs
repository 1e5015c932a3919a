//! Frames taken apart, one kind at a time: the short way for the common ones, the careful way for a tunnel.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use etherparse::PacketBuilder;
use tlscov::net::{Decoded, decode};

const ETHERNET: u16 = 1;

/// Frames of many conversations, so that no branch is learnt by heart.
fn frames(build: impl Fn(u8) -> Vec<u8>) -> Vec<Vec<u8>> {
    (0..=255).map(build).collect()
}

fn tcp4(host: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([10, 0, 0, host], [10, 9, 9, 9], 64);
    builder.tcp(40_000 + u16::from(host), 443, 1, 1000).write(&mut bytes, &vec![0; usize::from(host) * 4]).unwrap();
    bytes
}

fn tcp6_tagged(host: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).single_vlan(5.try_into().unwrap());
    builder.ipv6([host; 16], [9; 16], 64).tcp(40_000, 443, 1, 1000).write(&mut bytes, &[0; 200]).unwrap();
    bytes
}

fn udp4(host: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Any first byte, as in DNS identifiers and protected QUIC headers.
    let payload = [host; 300];
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([10, 0, 0, host], [10, 9, 9, 9], 64);
    builder.udp(40_000, 443).write(&mut bytes, &payload).unwrap();
    bytes
}

fn vxlan(host: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let payload = [&[8, 0, 0, 0, 0, 0, 7, 0][..], &tcp4(host)].concat();
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64);
    builder.udp(40_000, 4789).write(&mut bytes, &payload).unwrap();
    bytes
}

fn decode_frames(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    for (name, frames) in
        [("tcp4", frames(tcp4)), ("tcp6_tagged", frames(tcp6_tagged)), ("udp4", frames(udp4)), ("vxlan", frames(vxlan))]
    {
        for frame in &frames {
            match decode(ETHERNET, frame, frame.len() as u32) {
                Decoded::Packet(packet) => assert_eq!(packet.tunnels[0].0 != 0, name == "vxlan"),
                other => panic!("{name}: {other:?}"),
            }
        }
        group.throughput(Throughput::Elements(frames.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| {
                for frame in &frames {
                    black_box(decode(ETHERNET, black_box(frame), frame.len() as u32));
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decode_frames);
criterion_main!(benches);
