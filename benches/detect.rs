//! How long it takes to tell a flow from its heads: the whole table over TCP, for early, late and unknown protocols.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tlscov::detect::{DISSECTORS, Dissector, Found, Heads, Outcome};
use tlscov::model::Transport;

/// What the flow stage asks: the first dissector that is sure.
fn identify(table: &[&dyn Dissector], heads: Heads<'_>) -> Option<Found> {
    table.iter().find_map(|dissector| match dissector.probe(heads) {
        Outcome::Found(found) => Some(found),
        _ => None,
    })
}

/// Name, client, server, and the protocol it must be.
type Case<'a> = (&'a str, &'a [u8], &'a [u8], Option<&'a str>);

fn identify_streams(c: &mut Criterion) {
    let table: Vec<&dyn Dissector> =
        DISSECTORS.iter().copied().flatten().copied().filter(|row| row.transport() == Transport::TCP).collect();
    let modbus = b"\0\x01\0\0\0\x06\x01\x03\0\0\0\x02";
    // Without order: no dissector may claim it, and all are asked.
    let noise: Vec<u8> = (0..1400_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let cases: [Case<'_>; 6] = [
        ("http", b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n", b"HTTP/1.1 200 OK\r\n", Some("http")),
        ("smtp", b"EHLO example.org\r\n", b"220 example.net ESMTP\r\n250 STARTTLS\r\n", Some("smtp")),
        ("modbus", modbus, b"\0\x01\0\0\0\x07\x01\x03\x04\0\0\0\0", Some("modbus")),
        ("bittorrent", b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0", b"", Some("bittorrent")),
        ("text", b"hello there\r\nhow are you\r\n", b"fine, and you?\r\n", None),
        ("noise", &noise, &noise, None),
    ];
    let mut group = c.benchmark_group("detect");
    group.throughput(Throughput::Elements(1));
    for (name, client, server, want) in cases {
        let heads = Heads { client, server, from_start: true, ..Heads::default() };
        assert_eq!(identify(&table, heads).map(|found| found.protocol.name()), want, "{name}");
        group.bench_function(name, |b| b.iter(|| identify(&table, black_box(heads))));
    }
    group.finish();
}

criterion_group!(benches, identify_streams);
criterion_main!(benches);
