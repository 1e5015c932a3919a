//! Adding closed flows to the sums, and working out a report.

#![allow(missing_docs, reason = "criterion_group! makes an item without docs")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tlscov::grade::Policy;
use tlscov::model::{
    Class, Counts, Endpoint, Evidence, Facts, FlowKey, FlowSummary, Handshake, Offer, Protocol, TlsFacts, Transport,
    Tunnel,
};
use tlscov::report::Report;
use tlscov::tally::Tally;

const FLOWS: u32 = 10_000;

fn flow(number: u32) -> FlowSummary {
    let client = Endpoint { ip: IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + number)), port: 50_000 };
    let server = Endpoint { ip: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), port: 443 };
    let (key, client) = FlowKey::new(Transport::TCP, client, server);
    let (protocol, class, facts) = match number % 3 {
        0 => (
            Protocol::TLS,
            Class::Encrypted,
            Some(Box::new(Facts { tls: Some(Box::new(hello())), ..Facts::default() })),
        ),
        1 => (Protocol(&"dns"), Class::Plaintext, None),
        _ => (Protocol::UNKNOWN, Class::Control, None),
    };
    FlowSummary {
        key,
        client,
        first_frame: u64::from(number),
        first_ns: 0,
        last_ns: 1,
        from_client: Counts { packets: 1, wire_bytes: 100, payload_bytes: 50 },
        from_server: Counts { packets: 1, wire_bytes: 100, payload_bytes: 50 },
        retransmitted_bytes: 0,
        class,
        readable: Counts::default(),
        evidence: Evidence::Handshake,
        protocol,
        upgraded_from: None,
        tunnels: [Tunnel::default(); 6],
        vlan: 0,
        facts,
        flags: Vec::new(),
        gaps: 0,
        conflicts: 0,
        openings: None,
        parts: Vec::new(),
    }
}

/// What a browser sends: 16 suites, 4 groups.
fn hello() -> TlsFacts {
    TlsFacts {
        version: Some(0x0304),
        offer: Offer {
            versions: vec![0x0304, 0x0303],
            ciphers: vec![
                0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d,
                0x002f, 0x0035, 0x000a,
            ],
            groups: vec![0x11ec, 29, 23, 24],
            protocols: vec!["h2".to_owned(), "http/1.1".to_owned()],
            ..Offer::default()
        }
        .into(),
        cipher: Some(0x1301),
        group: Some(0x11ec),
        server_name: Some("example.org".into()),
        handshake: Handshake::Completed,
        ..TlsFacts::default()
    }
}

fn tally_of(flows: &[FlowSummary], policies: &[Policy]) -> Tally {
    let mut tally = Tally::default();
    for flow in flows {
        let verdicts = policies.iter().map(|policy| policy.grade(flow.protocol, flow.facts.as_deref()));
        tally.add_flow(flow, &verdicts.collect::<Vec<_>>());
    }
    tally
}

fn add_flows(c: &mut Criterion) {
    let flows: Vec<_> = (0..FLOWS).map(flow).collect();
    let tally = tally_of(&flows, &[]);
    assert_eq!(tally.class(Class::Encrypted).flows, u64::from(FLOWS.div_ceil(3)));
    assert_eq!(Class::ALL.iter().map(|class| tally.class(*class).wire_bytes).sum::<u64>(), 200 * u64::from(FLOWS));
    let mut group = c.benchmark_group("tally");
    group.throughput(Throughput::Elements(u64::from(FLOWS)));
    group.bench_function("add_flow", |b| b.iter(|| tally_of(black_box(&flows), &[])));
    group.finish();
}

fn make_report(c: &mut Criterion) {
    let flows: Vec<_> = (0..FLOWS).map(flow).collect();
    let policies: Vec<_> = Policy::builtin("bcp195").into_iter().collect();
    let mut tally = tally_of(&flows, &policies);
    tally.name_policies(&policies);
    let share = Report::new(&tally).coverage.encrypted_share;
    assert!(share.value.is_some_and(|value| (value - 0.5).abs() < 1e-3), "control stands outside");
    assert!(share.ci95.is_some());
    c.bench_function("report/new", |b| b.iter(|| Report::new(black_box(&tally))));
}

criterion_group!(benches, add_flows, make_report);
criterion_main!(benches);
