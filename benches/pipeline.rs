//! The whole way from file to sums, with one thread and with all, over three mixes of traffic.

mod common;

use std::hint::black_box;

use common::Mix;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tlscov::capture::Input;
use tlscov::model::Class;
use tlscov::pipeline::{Options, Scan, scan};

fn run(input: &Input, jobs: usize) -> Scan {
    let options = Options { jobs: Some(jobs), strict: true, ..Options::default() };
    scan(std::slice::from_ref(input), &options, &|_| {}, None).expect("a good capture")
}

fn whole(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut group = c.benchmark_group("pipeline");
    group.sample_size(10);
    for (name, mix, encrypted) in
        [("office", Mix::Office, 0.6..0.9), ("handshakes", Mix::Handshakes, 0.5..1.0), ("small", Mix::Small, 0.1..0.9)]
    {
        let path = folder.path().join(name);
        let mut bytes = Vec::new();
        let size = common::generate(mix, 32 << 20, 1, &mut bytes).expect("in memory");
        std::fs::write(&path, bytes).expect("writable");
        let input = Input::File(path);
        let tally = run(&input, 1).tally;
        let bytes = |class| tally.class(class).wire_bytes as f64;
        let share =
            bytes(Class::Encrypted) / (bytes(Class::Encrypted) + bytes(Class::Plaintext) + bytes(Class::Unknown));
        assert!(encrypted.contains(&share), "{name}: encrypted share {share}");
        group.throughput(Throughput::Bytes(size));
        for jobs in [1, 2, 4] {
            group.bench_with_input(BenchmarkId::new(name, jobs), &jobs, |b, jobs| {
                b.iter(|| black_box(run(&input, *jobs)));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, whole);
criterion_main!(benches);
