//! Attacks on memory and time: the whole process stays below `--max-memory`, here 64 MiB; every frame is accounted for,
//! what was dropped is in the report, and four times the input takes about four times as long.
//!
//! Each attack runs in a process of its own (this test program, started again), which tells its own peak. By hand, with
//! more frames and in the release profile:
//! `TLSCOV_ATTACK=one-packet-flows TLSCOV_SIZE=100000000 cargo test --release --test suite -- --exact exhaustion::attacked --nocapture`

use std::process::Command;
use std::time::Instant;

use crate::attacks::ATTACKS;
use crate::common::{Noise, adds_up, options};
use tlscov::capture;
use tlscov::model::Loss;
use tlscov::pipeline::{Options, scan_source};
use tlscov::quic::frame::CryptoStream;

/// `--max-memory` in these tests. Unit: bytes.
const MAX_MEMORY: u64 = 64 << 20;

/// Frames of an attack unless another size is asked for.
const SIZE: u64 = 60_000;

/// What a run tells.
#[derive(Debug)]
struct Told {
    packets: u64,
    peak: u64,
    cpu_ms: u64,
    losses: String,
}

/// The attack named in the environment, in this process; does nothing without one.
#[test]
fn attacked() {
    let Ok(name) = std::env::var("TLSCOV_ATTACK") else { return };
    let number =
        |name: &str, otherwise: u64| std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"));
    let attack = ATTACKS.iter().find(|attack| attack.name == name).expect("an attack of the list");
    let reader = (attack.make)(number("TLSCOV_SIZE", SIZE));
    let jobs = number("TLSCOV_JOBS", 2) as usize;
    let options = Options { max_memory: number("TLSCOV_MEMORY", MAX_MEMORY), ..options(jobs) };
    let source = capture::from_reader("-", reader, options.reading()).expect("a capture");
    // What making the attack took is not what reading it takes.
    std::fs::write("/proc/self/clear_refs", "5").expect("the peak can be reset");
    let started = Instant::now();
    let mut records = 0u64;
    let mut count = |_: &str, _: &_, _: &[_]| {
        records += 1;
        Ok(())
    };
    let flows: Option<tlscov::pipeline::FlowSink<'_>> = match std::env::var_os("TLSCOV_FLOWS") {
        Some(_) => Some(&mut count),
        None => None,
    };
    let scan = scan_source(source, &options, flows).expect("readable");
    adds_up(&scan.tally, &name);
    let mut losses: Vec<String> =
        scan.tally.losses.iter().map(|(loss, count)| format!("{}={count}", loss.name())).collect();
    losses.extend(scan.tally.undecoded.iter().map(|(loss, counts)| format!("{}={}", loss.name(), counts.packets)));
    losses.push(format!("unwatched_flows={}", scan.tally.server_shares.unwatched_flows));
    println!(
        "told {} {} {} {}; {records} records, {:.1} s",
        scan.tally.captures[0].packets,
        peak(),
        cpu_ms(),
        losses.join(","),
        started.elapsed().as_secs_f64(),
    );
}

/// The largest resident size of this process since it was reset. Unit: bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the peak is there");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

/// Processor time of this process so far. Unit: milliseconds, at 100 ticks a second.
fn cpu_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux tells");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
    (fields[11].parse::<u64>().expect("a number") + fields[12].parse::<u64>().expect("a number")) * 10
}

fn run(attack: &str, size: u64, flows: bool) -> Told {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", "exhaustion::attacked", "--nocapture"]).env("TLSCOV_ATTACK", attack);
    command.env("TLSCOV_SIZE", size.to_string());
    if flows {
        command.env("TLSCOV_FLOWS", "1");
    }
    let out = command.output().expect("it starts");
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{attack}: {text}{}", String::from_utf8_lossy(&out.stderr));
    let line = text.lines().find_map(|line| line.split_once("told ")).expect("it tells").1;
    let mut words = line.split(' ');
    let mut number = || words.next().and_then(|word| word.parse().ok()).expect("a number");
    let (packets, peak, cpu_ms) = (number(), number(), number());
    println!("{attack}: {size} frames, peak {} MiB, {cpu_ms} ms: {line}", peak >> 20);
    Told { packets, peak, cpu_ms, losses: line.to_owned() }
}

/// Every third attack, from number `first` on: tests run side by side.
fn stay_within_memory_and_time(first: usize) {
    for attack in ATTACKS.iter().skip(first).step_by(3) {
        let small = run(attack.name, SIZE / 4, false);
        let large = run(attack.name, SIZE, false);
        assert!(large.peak < MAX_MEMORY, "{}: {} MiB", attack.name, large.peak >> 20);
        // Twice the factor for noise; a quadratic algorithm would take sixteen times.
        assert!(large.cpu_ms < 8 * small.cpu_ms.max(250), "{}: {small:?} {large:?}", attack.name);
        for loss in attack.tells {
            let told = large.losses.split([' ', ',']).find_map(|word| word.strip_prefix(loss)?.strip_prefix('='));
            assert!(told.is_some_and(|count| count != "0"), "{}: {loss} is not told: {}", attack.name, large.losses);
        }
        let unread = attack.tells.contains(&"captures_cut_short");
        assert!(unread || large.packets > 0, "{}", attack.name);
    }
}

#[test]
fn attacks_stay_within_memory_and_time_1() {
    stay_within_memory_and_time(0);
}

#[test]
fn attacks_stay_within_memory_and_time_2() {
    stay_within_memory_and_time(1);
}

#[test]
fn attacks_stay_within_memory_and_time_3() {
    stay_within_memory_and_time(2);
}

/// Half a million flows, with the record of each; they do not fit, and all are accounted for.
#[test]
fn half_a_million_flows_are_accounted_for() {
    let told = run("one-packet-flows", 500_000, true);
    assert_eq!(told.packets, 500_000);
    assert!(told.losses.contains("; 500000 records"), "{}", told.losses);
    assert!(told.losses.contains(Loss::EvictedFlows.name()), "{}", told.losses);
    assert!(told.peak < MAX_MEMORY, "{} MiB", told.peak >> 20);
}

/// CRYPTO frames with offsets far away, and in small pieces, hold little.
#[test]
fn crypto_offsets() {
    let mut noise = Noise(3);
    let mut stream = CryptoStream::default();
    for _ in 0..100_000 {
        let bits = noise.next();
        let offset = bits >> (bits & 63);
        stream.read(offset, &vec![7; noise.below(1200)], |_, _| {});
    }
    stream.insert(u64::MAX, &[1]);
    assert!(stream.memory() < 256 << 10, "{} bytes", stream.memory());
}
