//! A capture in parts: cut anywhere, read part by part with the state between them, and merged, it gives the report of the
//! whole, to the byte.

use std::path::Path;
use std::sync::Arc;

use tlscov::capture::Input;
use tlscov::model::Loss;
use tlscov::pipeline::{Options, scan, scan_part};
use tlscov::report::Report;
use tlscov::tally::{Plan, Tally};

use crate::common::{Noise, Record, captures, content, options, pcap, records};

/// Writes `records` as `places.len() + 1` files, cut before these places.
fn write_parts(folder: &Path, records: &[Record], places: &[usize]) -> Vec<Input> {
    let ends = places.iter().copied().chain([records.len()]);
    let mut start = 0;
    let mut inputs = Vec::new();
    for (number, end) in ends.enumerate() {
        let path = folder.join(format!("part{number}.pcap"));
        // Each file has the link type of the whole, also one that holds no frame.
        let mut bytes = pcap(&records[start..end]);
        bytes[20..24].copy_from_slice(&u32::from(records[0].link_type).to_le_bytes());
        std::fs::write(&path, bytes).unwrap();
        inputs.push(Input::File(path));
        start = end;
    }
    inputs
}

/// Reads part by part; each report goes through JSON, as between machines.
fn in_parts(inputs: &[Input], options: &Options) -> Tally {
    let mut merged = Tally::default();
    let mut state = None;
    for (number, input) in inputs.iter().enumerate() {
        let more = number + 1 < inputs.len();
        let part = scan_part(std::slice::from_ref(input), options, state.as_deref(), more, &|_| {}, None).unwrap();
        let json = serde_json::to_vec(&Report::new(&part.scan.tally)).unwrap();
        let report = Report::read(Path::new("part.json"), &json).unwrap();
        merged.merge(report.tally().unwrap());
        state = part.state;
        assert_eq!(state.is_some(), more);
    }
    merged
}

fn places(noise: &mut Noise, frames: usize) -> Vec<usize> {
    let count = 1 + noise.below(4);
    let mut places: Vec<usize> = (0..count).map(|_| noise.below(frames + 1)).collect();
    places.sort_unstable();
    places
}

#[test]
fn cut_anywhere_it_is_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut noise = Noise(11);
    for path in captures() {
        let records = records(&path, usize::MAX);
        if records.iter().any(|record| record.link_type != records[0].link_type) {
            continue;
        }
        let options = options(1);
        let whole = folder.path().join("whole.pcap");
        std::fs::write(&whole, pcap(&records)).unwrap();
        let whole = content(&scan(&[Input::File(whole)], &options, &|_| {}, None).unwrap().tally);
        for _ in 0..50 {
            let places = places(&mut noise, records.len());
            let inputs = write_parts(folder.path(), &records, &places);
            let merged = in_parts(&inputs, &options);
            let name = format!("{} cut before {places:?}", path.display());
            assert!(content(&merged) == whole, "{name}");
        }
    }
}

/// With the list of captures, too, when the whole is the same files read in one go.
#[test]
fn the_same_files_in_one_go() {
    let folder = tempfile::tempdir().unwrap();
    let mut noise = Noise(12);
    for path in captures().into_iter().step_by(5) {
        let records = records(&path, usize::MAX);
        let options = Options { continued: true, ..options(2) };
        for _ in 0..4 {
            // Each with a frame: a file without one has no place in time.
            let mut places = places(&mut noise, records.len() - 1);
            places.iter_mut().for_each(|place| *place += 1);
            places.dedup();
            places.retain(|place| *place < records.len());
            let inputs = write_parts(folder.path(), &records, &places);
            let whole = scan(&inputs, &options, &|_| {}, None).unwrap().tally;
            let merged = in_parts(&inputs, &options);
            assert!(Report::new(&merged) == Report::new(&whole), "{} cut before {places:?}", path.display());
        }
    }
}

/// A capture of several epochs under a bound that closes flows early, with breakdowns: the bound must bite at the same
/// frames, and on the same flows.
#[test]
fn early_closes_are_the_same() {
    let mut records = many_flows(70_000);
    records.sort_by_key(|record| record.time_ns);
    let plan = Plan { by_service: true, ..Plan::default() };
    let options = Options { max_memory: 16 << 20, plan: Some(Arc::new(plan)), ..options(2) };
    let folder = tempfile::tempdir().unwrap();
    let whole = write_parts(folder.path(), &records, &[]);
    let whole = scan(&whole, &options, &|_| {}, None).unwrap().tally;
    assert!(whole.losses.get(&Loss::EvictedFlows).is_some_and(|count| *count > 1000), "{:?}", whole.losses);
    for places in [vec![1], vec![32_768], vec![32_769, 65_535], vec![20_000, 40_001, 69_999]] {
        let inputs = write_parts(folder.path(), &records, &places);
        assert!(content(&in_parts(&inputs, &options)) == content(&whole), "cut before {places:?}");
    }
}

/// UDP and TCP packets of as many flows as packets but for a few, some with a payload that keeps detection waiting.
fn many_flows(count: u32) -> Vec<Record> {
    let mut noise = Noise(5);
    (0..count)
        .map(|n| {
            let flow = if n % 7 == 0 { noise.below(n as usize + 1) as u32 } else { n };
            let [_, a, b, c] = flow.to_be_bytes();
            let tcp = flow % 3 == 0;
            let body = vec![b"GTEHx\x16\x80"[flow as usize % 7]; 1 + noise.below(300)];
            let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
            let header = if tcp { 20 } else { 8 };
            let len = (20 + header + body.len()) as u16;
            bytes.extend([0x45, 0]);
            bytes.extend(len.to_be_bytes());
            bytes.extend([0, 0, 0, 0, 64, if tcp { 6 } else { 17 }, 0, 0, 10, a, b, c, 192, 0, 2, 1]);
            bytes.extend([0x9c, 0x40, 0x10, (flow % 50) as u8]);
            if tcp {
                bytes.extend(n.to_be_bytes());
                bytes.extend([0, 0, 0, 0, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
            } else {
                bytes.extend((8 + body.len() as u16).to_be_bytes());
                bytes.extend([0, 0]);
            }
            bytes.extend(body);
            let time_ns = 1_500_000_000_000_000_000 + i64::from(n) * 3_000_000;
            Record { time_ns, wire_len: bytes.len() as u32, link_type: 1, bytes }
        })
        .collect()
}

fn tlscov(arguments: &[&str]) -> (bool, String) {
    let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin!("tlscov"));
    let output = command.args(arguments).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn on_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let name = |name: &str| folder.path().join(name).display().to_string();
    let records = records(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/https.pcap"), usize::MAX);
    write_parts(folder.path(), &records, &[11, 40]);
    let [one, two, three] = ["part0.pcap", "part1.pcap", "part2.pcap"].map(name);
    let [first, second, third, state] = ["1.json", "2.json", "3.json", "state"].map(name);
    let done = |arguments: &[&str]| {
        let (done, said) = tlscov(arguments);
        assert!(done, "{arguments:?}: {said}");
    };
    done(&["scan", &one, "--partial", &first, "--state-out", &state]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let before = std::fs::read(&state).unwrap();
    done(&["scan", &two, "--partial", &second, "--state-in", &state, "--state-out", &state]);
    done(&["scan", &three, "--partial", &third, "--state-in", &state]);
    done(&["merge", &third, &first, &second, "-o", &name("merged.json")]);
    done(&["scan", &one, &two, &three, "--continue", "-o", &name("whole.json")]);
    let read = |file: &str| std::fs::read_to_string(name(file)).unwrap();
    assert_eq!(read("merged.json"), read("whole.json"));
    assert!(read("1.json").contains("\"carried\""), "a part says that it is one");
    assert!(!read("merged.json").contains("\"carried\""));

    std::fs::write(name("cut.state"), &before[..before.len() - 7]).unwrap();
    let mut other = before.clone();
    other[13] = b'7';
    std::fs::write(name("other.state"), other).unwrap();
    let elsewhere = folder.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::copy(&two, elsewhere.join("part1.pcap")).unwrap();
    let elsewhere = elsewhere.join("part1.pcap").display().to_string();
    let (cut, other, none) = (name("cut.state"), name("other.state"), name("none.state"));
    std::fs::write(&state, &before).unwrap();
    let out = name("never.json");
    let cases: &[(&str, &[&str], &str)] = &[
        ("damaged", &[&two, "--state-in", &cut], "damaged"),
        ("another format", &[&two, "--state-in", &other], "a state of format \"7\""),
        ("no file", &[&two, "--state-in", &none], "none.state: this state cannot be read"),
        ("no state", &[&two, "--state-in", &first], "no state file of tlscov"),
        ("another link", &[&elsewhere, "--state-in", &state], "--link says of which link"),
        ("two links", &[&two, &elsewhere], "a part has one link"),
        ("another bound", &[&two, "--state-in", &state, "--max-memory", "2G"], "--max-memory: the state was written"),
        ("another policy", &[&two, "--state-in", &state, "--policy", "iana"], "--policy: the state was written"),
        ("a file that is none", &[&two, &first, "--link", "x"], "1.json"),
    ];
    for (case, arguments, want) in cases {
        let (done, said) = tlscov(&[&["scan", "--partial", &out, "--state-out", &out], *arguments].concat());
        assert!(!done && said.contains(want) && said.lines().count() == 1, "{case}: {said}");
        assert!(!Path::new(&out).exists(), "{case}");
    }
    done(&["scan", &elsewhere, "--link", "x", "--partial", &out]);
}
