//! The flow stage alone: packets of settled flows, and flows of one packet each.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tlscov::flow::{Arrival, Limits, RUN, Shard};
use tlscov::model::{Endpoint, FlowKey, Seed, Steps, Transport, Tunnel};
use tlscov::net::Packet;

/// Segment number `number` of connection `flow`: 100 bytes that are no known protocol.
fn segment(flow: u32, number: u32) -> Packet {
    let client = Endpoint { ip: std::net::Ipv4Addr::from(0x0a00_0000 + flow).into(), port: 40_000 };
    let server = Endpoint { ip: std::net::Ipv4Addr::new(192, 0, 2, 1).into(), port: 9 };
    let (key, from) = FlowKey::new(Transport::TCP, client, server);
    Packet {
        key,
        from,
        tcp_flags: 0x18,
        tunnels: [Tunnel::default(); 6],
        vlan: 0,
        seq: number.wrapping_mul(100),
        payload_start: 0,
        payload_captured: 100,
        payload_len: 100,
    }
}

fn feed(shard: &mut Shard, seed: Seed, packets: &[Packet], payload: &[u8]) {
    for (run, first) in packets.chunks(RUN).zip((0..).step_by(RUN)) {
        let arrivals: Vec<_> = run
            .iter()
            .zip(first..)
            .map(|(packet, frame)| Arrival {
                packet,
                hash: packet.key.hash_with(seed),
                frame,
                frames: 1,
                time_ns: frame as i64,
                wire_len: 154,
                payload,
            })
            .collect();
        shard.serve(&arrivals);
    }
}

fn flow(c: &mut Criterion) {
    let payload = [0xc3; 100];
    let seed = Seed::random();
    let mut group = c.benchmark_group("flow");
    let settled: Vec<Packet> = (0..40_000).map(|number| segment(number % 100, number / 100)).collect();
    group.throughput(Throughput::Elements(settled.len() as u64));
    let mut shard = Shard::new(Limits::default(), Steps::Automatic, seed);
    feed(&mut shard, seed, &settled, &payload);
    assert_eq!(shard.open_flows(), 100);
    let mut total = 0;
    shard.end(u64::MAX, |_, _| false, |flow| total += flow.total().payload_bytes);
    assert_eq!(total, 40_000 * 100);
    group.bench_function("100 flows of 400 segments", |b| {
        b.iter(|| {
            let mut shard = Shard::new(Limits::default(), Steps::Automatic, seed);
            feed(&mut shard, seed, black_box(&settled), &payload);
            shard.open_flows()
        });
    });
    let scattered: Vec<Packet> = (0..40_000).map(|number| segment(number, 0)).collect();
    let mut shard = Shard::new(Limits::default(), Steps::Automatic, seed);
    feed(&mut shard, seed, &scattered, &payload);
    assert_eq!(shard.open_flows(), 40_000);
    group.bench_function("40,000 flows of one segment", |b| {
        b.iter(|| {
            let mut shard = Shard::new(Limits::default(), Steps::Automatic, seed);
            feed(&mut shard, seed, black_box(&scattered), &payload);
            shard.open_flows()
        });
    });
    group.finish();
}

criterion_group!(benches, flow);
criterion_main!(benches);
