//! TLS: recognising a flow by its hellos, reading its handshake, and scanning the middle of a stream.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tlscov::detect::{DISSECTORS, Dissector, Found, Heads, MAX_HEAD, Moment, Outcome};
use tlscov::model::{Evidence, Facts, Protocol, Transport};

fn vector16(content: &[u8]) -> Vec<u8> {
    [&(content.len() as u16).to_be_bytes()[..], content].concat()
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &vector16(content)].concat()
}

fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3], &vector16(content)[..]].concat()
}

fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    let len = &(body.len() as u32).to_be_bytes()[1..];
    record(22, &[&[kind][..], len, body].concat())
}

/// A ClientHello of a browser's size, and a first protected flight.
fn client() -> Vec<u8> {
    let suites: Vec<u8> = (0..16_u16).flat_map(|n| (0xc02b + n).to_be_bytes()).chain([0x13, 1]).collect();
    let name = [&[0][..], &vector16(b"www.example.org")].concat();
    let share = [&[0x11, 0xec][..], &vector16(&[7; 1216])].concat();
    let extensions = [
        extension(0, &vector16(&name)),
        extension(10, &vector16(&[0x11, 0xec, 0, 29, 0, 23])),
        extension(13, &vector16(&[4, 3, 8, 4, 4, 1, 5, 3])),
        extension(16, &vector16(b"\x02h2\x08http/1.1")),
        extension(43, &[4, 3, 4, 3, 3]),
        extension(51, &vector16(&share)),
    ]
    .concat();
    let body = [&[3, 3], &[7; 32][..], &[0], &vector16(&suites), &[1, 0], &vector16(&extensions)].concat();
    [handshake(1, &body), record(20, &[1]), record(23, &[0xa5; 53])].concat()
}

/// A ServerHello of TLS 1.3 and a protected flight.
fn server() -> Vec<u8> {
    let share = [&[0x11, 0xec][..], &vector16(&[9; 1120])].concat();
    let extensions = [extension(43, &[3, 4]), extension(51, &share)].concat();
    let body = [&[3, 3], &[9; 32][..], &[0, 0x13, 1, 0], &vector16(&extensions)].concat();
    [handshake(2, &body), record(23, &[0xa5; 3000])].concat()
}

fn probe(heads: Heads<'_>) -> Option<(&'static dyn Dissector, Found)> {
    let tls = DISSECTORS
        .iter()
        .copied()
        .flatten()
        .find(|tls| (tls.protocol(), tls.transport()) == (Protocol::TLS, Transport::TCP))?;
    match tls.probe(heads) {
        Outcome::Found(found) => Some((*tls, found)),
        _ => None,
    }
}

/// Recognition, session, facts: all that one connection costs.
fn connection(client: &[u8], server: &[u8]) -> Option<Facts> {
    let (tls, mut found) = probe(Heads { client, server, datagrams: &[], from_start: true })?;
    let mut session = tls.session(found)?;
    for (from_client, bytes) in [(true, client), (false, server)] {
        session.feed(from_client, bytes, Moment { time_ns: 0, wire_len: bytes.len() });
    }
    let mut facts = Facts::default();
    session.finish(&mut found, &mut facts);
    Some(facts)
}

fn tls(c: &mut Criterion) {
    let (client, server) = (client(), server());
    let facts = connection(&client, &server).and_then(|facts| facts.tls);
    assert_eq!(facts.map(|tls| (tls.version, tls.group)), Some((Some(0x0304), Some(0x11ec))));
    let heads = Heads { client: &client, server: &server, datagrams: &[], from_start: true };
    assert!(probe(heads).is_some_and(|(_, found)| found.evidence == Evidence::Handshake));
    let noise: Vec<u8> = (0..MAX_HEAD as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let middle = Heads { client: &noise, server: &[], datagrams: &[], from_start: false };
    assert!(probe(middle).is_none());

    let mut group = c.benchmark_group("tls");
    group.throughput(Throughput::Elements(1));
    group.bench_function("recognise", |b| b.iter(|| probe(black_box(heads)).is_some()));
    group.bench_function("connection", |b| b.iter(|| connection(black_box(&client), black_box(&server))));
    group.throughput(Throughput::Bytes(MAX_HEAD as u64));
    group.bench_function("middle of a stream, noise", |b| b.iter(|| probe(black_box(middle)).is_some()));
    group.finish();
}

criterion_group!(benches, tls);
criterion_main!(benches);
