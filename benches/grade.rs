//! The verdict on closed flows, by one policy and by all that are built in.

#![allow(missing_docs, clippy::expect_used, reason = "criterion_group! makes an item without docs; a bench may fail")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tlscov::grade::{Level, Policy, builtin_names};
use tlscov::model::{Facts, Handshake, Protocol, TlsFacts};

/// Facts of flows as a capture mixes them, and the level of each under BCP 195.
fn flows() -> Vec<(Facts, Level)> {
    let cases = [
        (0x0304, 0x1301, Some(29), Level::Strong),
        (0x0304, 0x1302, Some(4588), Level::Strong),
        (0x0303, 0xc02f, Some(23), Level::Strong),
        (0x0303, 0xcca8, Some(29), Level::Acceptable),
        (0x0303, 0x009c, None, Level::Weak),
        (0x0301, 0x0005, None, Level::Broken),
    ];
    let flow = |(version, cipher, group, level)| {
        let tls = TlsFacts {
            version: Some(version),
            cipher: Some(cipher),
            group,
            handshake: Handshake::Completed,
            extended_master_secret: true,
            secure_renegotiation: true,
            ..TlsFacts::default()
        };
        (Facts { tls: Some(Box::new(tls)), ..Facts::default() }, level)
    };
    cases.map(flow).to_vec()
}

fn grade(c: &mut Criterion) {
    let flows = flows();
    let policies: Vec<Policy> = builtin_names().iter().map(|name| Policy::load(name).expect("built in")).collect();
    for (facts, level) in &flows {
        assert_eq!(policies[0].grade(Protocol::TLS, Some(facts)).level, *level);
    }
    let mut group = c.benchmark_group("grade");
    group.throughput(Throughput::Elements(flows.len() as u64));
    for (name, policies) in [("bcp195", &policies[..1]), ("all policies", &policies[..])] {
        group.bench_function(name, |b| {
            b.iter(|| {
                for (facts, _) in &flows {
                    for policy in policies {
                        black_box(policy.grade(Protocol::TLS, Some(black_box(facts))));
                    }
                }
            });
        });
    }
    group.finish();
    c.bench_function("grade/load bcp195", |b| b.iter(|| Policy::load(black_box("bcp195")).expect("built in")));
}

criterion_group!(benches, grade);
criterion_main!(benches);
