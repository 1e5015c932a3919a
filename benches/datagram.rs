//! How fast datagrams are recognised: DNS, which is half of all flows, and a mixed set.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tlscov::detect::{DISSECTORS, Datagram, Heads, Outcome};
use tlscov::model::Transport;

/// What the first certain dissector calls the flow of these datagrams.
fn identify(datagrams: &[Datagram<'_>]) -> Option<&'static str> {
    let heads = Heads { datagrams, from_start: true, ..Heads::default() };
    let mut likely = None;
    for dissector in DISSECTORS.iter().copied().flatten().filter(|one| one.transport() == Transport::UDP) {
        match dissector.probe(heads) {
            Outcome::Found(found) => return Some(found.protocol.name()),
            Outcome::Likely(found) => likely = likely.or(Some(found.protocol.name())),
            Outcome::No | Outcome::NeedMore => {}
        }
    }
    likely
}

fn query() -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in ["www", "example", "org"] {
        bytes.push(label.len() as u8);
        bytes.extend(label.bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    bytes
}

fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}

/// Payloads and what they are.
fn mixed() -> Vec<(Vec<u8>, Option<&'static str>)> {
    let mut dhcp = vec![1, 1, 6, 0];
    dhcp.resize(236, 0);
    dhcp.extend([0x63, 0x82, 0x53, 0x63, 53, 1, 1, 0xff]);
    let mut ntp = vec![0x23];
    ntp.resize(48, 0);
    vec![
        (query(), Some("dns")),
        (dhcp, Some("dhcp")),
        (ntp, Some("ntp")),
        (b"M-SEARCH * HTTP/1.1\r\nST: ssdp:all\r\n\r\n".to_vec(), Some("ssdp")),
        (b"<34>Oct 11 22:14:15 host su: failed for root".to_vec(), Some("syslog")),
        (b"OPTIONS sip:a@example.org SIP/2.0\r\n\r\n".to_vec(), Some("sip")),
        (noise(1200), None),
    ]
}

fn whole(bytes: &[u8]) -> [Datagram<'_>; 1] {
    [Datagram { from_client: true, bytes, wire_len: bytes.len() }]
}

fn recognise(c: &mut Criterion) {
    let query = query();
    let answer = identify(&whole(&query));
    assert_eq!(answer, Some("dns"));
    let mut group = c.benchmark_group("datagram");
    group.throughput(Throughput::Elements(1));
    group.bench_function("dns", |b| b.iter(|| identify(black_box(&whole(&query)))));

    let mixed = mixed();
    for (bytes, want) in &mixed {
        assert_eq!(identify(&whole(bytes)), *want);
    }
    group.throughput(Throughput::Elements(mixed.len() as u64));
    group.bench_function("mixed", |b| {
        b.iter(|| mixed.iter().filter(|(bytes, _)| identify(black_box(&whole(bytes))).is_some()).count());
    });
    group.finish();
}

criterion_group!(benches, recognise);
criterion_main!(benches);
