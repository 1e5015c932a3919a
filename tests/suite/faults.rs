//! What goes wrong around the program: inputs that fail in the middle, outputs that cannot be written, an interrupt.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use crate::common::{adds_up, options, read_source};
use serde_json::Value;
use tlscov::capture;
use tlscov::model::Loss;
use tlscov::pipeline::Options;

const CAPTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/tls13.pcap");

fn tlscov(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tlscov"));
    command.args(arguments);
    command
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Gives its bytes in small reads, and then what it is told to.
struct Faulty {
    bytes: io::Cursor<Vec<u8>>,
    then: Option<io::ErrorKind>,
    reads: u32,
}

impl Read for Faulty {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reads += 1;
        if self.reads.is_multiple_of(3) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let most = buffer.len().min(1000);
        match (self.bytes.read(&mut buffer[..most])?, self.then) {
            (0, Some(kind)) => Err(kind.into()),
            (count, _) => Ok(count),
        }
    }
}

#[test]
fn inputs_that_fail_in_the_middle_are_reported_up_to_there() {
    // Large enough for several blocks of any compression.
    let once = std::fs::read(CAPTURE).expect("readable");
    let whole = [&once[..], &once[24..], &once[24..], &once[24..], &once[24..], &once[24..]].concat();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&whole).expect("in memory");
    let gzip = gzip.finish().expect("in memory");
    let mut broken = gzip.clone();
    let middle = broken.len() / 2;
    broken[middle..middle + 64].fill(0xff);
    let zstd = zstd::encode_all(whole.as_slice(), 1).expect("in memory");
    // With checksums: what lies in a block that was stored as it is could change unnoticed otherwise.
    let mut more = zstd::Encoder::new(Vec::new(), 1).expect("in memory");
    more.include_checksum(true).expect("an option");
    more.write_all(&once[24..]).expect("in memory");
    let more = more.finish().expect("in memory");
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(&whole).expect("in memory");
    let xz = xz.finish().expect("in memory");
    let all = |mut reader: Box<dyn Read + '_>| {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).expect("in memory");
        bytes
    };
    let more_xz = all(Box::new(liblzma::read::XzEncoder::new(&once[24..], 1)));
    let bzip2 = all(Box::new(bzip2::read::BzEncoder::new(&whole[..], bzip2::Compression::fast())));
    let lz4 = |bytes: &[u8]| {
        let info = lz4_flex::frame::FrameInfo::new().content_checksum(true);
        let mut packed = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
        packed.write_all(bytes).expect("in memory");
        packed.finish().expect("in memory")
    };
    let (lz4, more_lz4) = (lz4(&whole), lz4(&once[24..]));
    let break_late = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        let at = bytes.len() * 3 / 4;
        bytes[at..at + 64].fill(0xff);
        bytes
    };
    let half = |bytes: &[u8]| bytes[..bytes.len() / 2].to_vec();
    let cases = [
        ("a read error", half(&whole), Some(io::ErrorKind::Other)),
        ("a pipe that breaks", half(&whole), Some(io::ErrorKind::BrokenPipe)),
        ("a file that shrinks", half(&whole), None),
        ("gzip that shrinks", half(&gzip), None),
        ("gzip that breaks", broken, None),
        ("gzip with a read error", half(&gzip), Some(io::ErrorKind::Other)),
        ("zstd that shrinks", [&zstd[..], &half(&more)].concat(), None),
        ("zstd that breaks", [&zstd[..], &break_late(&more)].concat(), None),
        ("zstd with a read error", [&zstd[..], &half(&more)].concat(), Some(io::ErrorKind::Other)),
        ("xz that shrinks", [&xz[..], &half(&more_xz)].concat(), None),
        ("xz that breaks", [&xz[..], &break_late(&more_xz)].concat(), None),
        ("bzip2 that shrinks", half(&bzip2), None),
        ("lz4 that shrinks", [&lz4[..], &half(&more_lz4)].concat(), None),
        ("lz4 that breaks", [&lz4[..], &break_late(&more_lz4)].concat(), None),
    ];
    for (name, bytes, then) in cases {
        let reader = Box::new(Faulty { bytes: io::Cursor::new(bytes), then, reads: 0 });
        let source = capture::from_reader("faulty", reader, capture::Options::default()).expect(name);
        let (scan, _) = read_source(source, &options(2));
        adds_up(&scan.tally, name);
        assert!(scan.tally.captures[0].packets > 0, "{name}");
        assert_eq!(scan.tally.losses.get(&Loss::CaptureCutShort), Some(&1), "{name}");
        assert!(
            scan.warnings.iter().any(|warning| warning.starts_with("faulty: byte ")),
            "{name}: {:?}",
            scan.warnings
        );
    }
}

/// A file that is cut while it is read: what was read counts, and the report says that there was more.
#[test]
fn a_file_that_shrinks_while_it_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("shrinking.pcap");
    std::fs::copy(CAPTURE, &path).expect("writable");
    let reading = capture::Options { batch_bytes: 4096, ..capture::Options::default() };
    let mut source = capture::open(&capture::Input::File(path.clone()), reading).expect("a capture");
    let mut batch = capture::Batch::default();
    assert!(source.next_batch(&mut batch).expect("readable"));
    OpenOptions::new().write(true).open(&path).expect("writable").set_len(50_001).expect("shorter");
    let mut frames = batch.frames.len();
    while source.next_batch(&mut batch).expect("what is there can be read") {
        frames += batch.frames.len();
    }
    assert!(frames > 10 && frames < 99, "{frames} frames");
    let description = source.description();
    assert_eq!(description.losses, [(Loss::CaptureCutShort, 1)]);
    assert!(description.warnings[0].contains("the file ends"), "{:?}", description.warnings);
}

/// A program that writes a capture into a pipe and dies in the middle of a record.
#[test]
fn a_pipe_that_is_closed_in_the_middle() {
    let whole = std::fs::read(CAPTURE).expect("readable");
    let mut child = tlscov(&["scan", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut pipe = child.stdin.take().expect("a pipe");
    pipe.write_all(&whole[..40_003]).expect("it reads");
    drop(pipe);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["quality"]["losses"]["captures_cut_short"], 1);
    assert!(stderr(&output).contains("-: byte "), "{}", stderr(&output));
}

#[test]
fn a_full_disk_is_an_error_for_every_output() {
    let folder = tempfile::tempdir().expect("a folder");
    let report = folder.path().join("report.json");
    let report = report.to_str().expect("a name");
    assert!(tlscov(&["scan", CAPTURE, "-o", report]).status().expect("it starts").success());
    let to_stdout: &[&[&str]] = &[
        &["scan", CAPTURE],
        &["scan", CAPTURE, "--format", "text"],
        &["flows", CAPTURE],
        &["flows", CAPTURE, "--format", "csv"],
        &["flows", CAPTURE, "--names-as", "zeek"],
        &["merge", report],
        &["merge", report, "--format", "csv"],
        &["check", report, "--min-encrypted", "1%"],
        &["trend", report, report],
        &["compare", report, "--with", "published"],
        &["explain", CAPTURE],
        &["render", report, "--format", "markdown"],
        &["grade", "0x1301"],
        &["policies"],
        &["schema", "report"],
        &["man"],
        &["completions", "bash"],
    ];
    for arguments in to_stdout {
        let full = OpenOptions::new().write(true).open("/dev/full").expect("a full disk");
        let output = tlscov(arguments).stdout(full).output().expect("it starts");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("No space left"), "{arguments:?}: {}", stderr(&output));
    }
    let to_file: &[&[&str]] = &[
        &["scan", CAPTURE, "-o", "/dev/full"],
        &["merge", report, "-o", "/dev/full"],
        &["render", report, "--format", "html", "-o", "/dev/full"],
        &["flows", CAPTURE, "--format", "jsonl", "-o", "/dev/full"],
        &["flows", CAPTURE, "--format", "csv", "-o", "/dev/full"],
        &["flows", CAPTURE, "--names-as", "zeek", "-o", "/dev/full"],
        #[cfg(feature = "parquet")]
        &["flows", CAPTURE, "--format", "parquet", "-o", "/dev/full"],
        &["check", report, "--min-encrypted", "1%", "--junit", "/dev/full"],
        &["check", report, "--min-encrypted", "1%", "--sarif", "/dev/full"],
    ];
    for arguments in to_file {
        let output = tlscov(arguments).output().expect("it starts");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains("/dev/full: cannot be written"), "{}", stderr(&output));
    }
}

#[test]
fn a_closed_stdout_is_no_error() {
    let to_stdout: &[&[&str]] = &[
        &["scan", CAPTURE],
        &["flows", CAPTURE],
        &["flows", CAPTURE, "--format", "csv"],
        &["flows", CAPTURE, "--names-as", "zeek"],
        #[cfg(feature = "parquet")]
        &["flows", CAPTURE, "--format", "parquet"],
        &["policies"],
        &["grade", "0x1301"],
        &["man"],
        &["completions", "zsh"],
        &["scan", CAPTURE, "--format", "html"],
        &["schema", "flow"],
    ];
    for arguments in to_stdout {
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        let output = tlscov(arguments).stdout(writer).stderr(Stdio::piped()).output().expect("it starts");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
        assert_eq!(stderr(&output), "", "{arguments:?}");
    }
}

#[test]
fn outputs_appear_whole_or_not_at_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("a name").to_owned();
    std::fs::write(path("old.json"), "old").expect("writable");
    let output = tlscov(&["scan", "/dev/null", "-o", &path("old.json")]).output().expect("it starts");
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert_eq!(std::fs::read_to_string(path("old.json")).expect("still there"), "old");
    assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 1, "nothing else is left");
    // The same for flow records, beside a report or alone, and when a later output cannot be made.
    for name in ["old.csv", "old.jsonl"] {
        std::fs::write(path(name), "old").expect("writable");
        let cases: [&[&str]; 4] = [
            &["flows", "/dev/null", "-o", &path(name)],
            &["flows", "/no/such/capture", "-o", &path(name)],
            &["scan", "/no/such/capture", "--flows", &path(name), "-o", &path("old.json")],
            &["scan", CAPTURE, "--flows", &path(name), "-o", &path("missing/report.json")],
        ];
        for arguments in cases {
            let output = tlscov(arguments).output().expect("it starts");
            assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
            assert_eq!(std::fs::read_to_string(path(name)).expect("still there"), "old", "{arguments:?}");
        }
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 3, "nothing else is left");
    let output = tlscov(&["flows", CAPTURE, "--names-as", "zeek", "-o", &path("zeek/")]).output().expect("it starts");
    assert!(output.status.success(), "{}", stderr(&output));
    let mut logs: Vec<_> =
        std::fs::read_dir(path("zeek")).expect("made").map(|entry| entry.expect("an entry").file_name()).collect();
    logs.sort();
    assert_eq!(logs, ["conn.log", "ssl.log"]);
}

#[test]
fn formats_that_cannot_be_are_told_in_one_line() {
    let cases: &[(&[&str], &str)] = &[
        (&["flows", CAPTURE, "--format", "tsv"], "--names-as zeek"),
        (&["flows", CAPTURE, "--format", "tsv", "--names-as", "zeek"], "--output FOLDER/"),
        (&["flows", CAPTURE, "--format", "csv", "--names-as", "zeek"], "--format jsonl or tsv"),
        (&["flows", CAPTURE, "-o", "flows.xlsx"], ".jsonl, .csv or .parquet"),
        #[cfg(not(feature = "parquet"))]
        (&["flows", CAPTURE, "-o", "flows.parquet"], "cargo build --release --features parquet"),
        #[cfg(not(feature = "parquet"))]
        (&["scan", CAPTURE, "--flows", "flows.parquet"], "cargo build --release --features parquet"),
    ];
    let folder = tempfile::tempdir().expect("a folder");
    for (arguments, want) in cases {
        let output = tlscov(arguments).current_dir(folder.path()).output().expect("it starts");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(want) && stderr(&output).lines().count() == 1, "{}", stderr(&output));
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 0, "no file is left");
}

/// A capture without an end: the frames of a real one, over and over, from a thread that stops when nobody reads.
fn endless(mut pipe: impl Write + Send + 'static) -> (thread::JoinHandle<()>, mpsc::Receiver<()>) {
    let mut whole = Vec::new();
    File::open(CAPTURE).and_then(|mut file| file.read_to_end(&mut whole)).expect("readable");
    let (send, many) = mpsc::channel();
    let writer = thread::spawn(move || {
        let _ = pipe.write_all(&whole[..24]);
        for round in 0.. {
            if pipe.write_all(&whole[24..]).is_err() {
                return;
            }
            if round == 200 {
                let _ = send.send(());
            }
        }
    });
    (writer, many)
}

#[test]
fn an_interrupt_gives_the_report_so_far() {
    let folder = tempfile::tempdir().expect("a folder");
    let report = folder.path().join("report.json");
    let mut child = tlscov(&["scan", "-", "-o", report.to_str().expect("a name")])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let (writer, many) = endless(child.stdin.take().expect("a pipe"));
    many.recv_timeout(Duration::from_secs(120)).expect("it reads");
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill is there");
    assert!(killed.success());
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("the writer ends");
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    assert!(stderr(&output).contains("interrupted"), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&std::fs::read(&report).expect("a report")).expect("JSON");
    assert_eq!(report["quality"]["partial"], Value::Bool(true));
    assert_eq!(report["quality"]["losses"]["interrupted_captures"], 1);
    assert!(report["captures"][0]["packets"].as_u64().expect("a number") > 1000);
}

/// A second signal ends the program at once, also where the first one can change nothing: nobody reads what it writes.
#[test]
fn a_second_interrupt_ends_it_at_once() {
    let testdata = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata");
    let mut child = tlscov(&["flows", "--quiet", testdata])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut records = child.stdout.take().expect("a pipe");
    // It has begun to write, more than a pipe holds.
    records.read_exact(&mut [0; 100]).expect("records");
    let interrupt = || {
        let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        assert!(killed.expect("kill is there").success());
    };
    thread::sleep(Duration::from_millis(300));
    interrupt();
    thread::sleep(Duration::from_millis(300));
    interrupt();
    let status = child.wait().expect("it ends");
    assert_eq!(status.code(), Some(130));
    let mut rest = Vec::new();
    records.read_to_end(&mut rest).expect("what was written");
    assert!(rest.len() > 10_000 && !rest.ends_with(b"\n"), "{} bytes: it ended in the middle", rest.len());
}

/// No call about sockets, whatever the command: traced, as the kernel sees it.
#[test]
fn nothing_is_sent_anywhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let name = |name: &str| folder.path().join(name).to_str().expect("a name").to_owned();
    let (report, trace) = (name("report.json"), name("trace"));
    assert!(tlscov(&["scan", CAPTURE, "-o", &report]).status().expect("it starts").success());
    let traced = |arguments: &[&str]| {
        let mut command = Command::new("strace");
        let output = command.args(["-f", "-qq", "-e", "trace=%network", "-o", &trace]).args(arguments).output();
        output.ok().map(|output| (output, std::fs::read_to_string(&trace).unwrap_or_default()))
    };
    // That the trace shows sockets where there are some; where nothing can be traced there is nothing to see.
    let python = ["python3", "-c", "import socket; socket.socket()"];
    match traced(&python) {
        Some((output, calls)) if output.status.success() => assert!(calls.contains("socket("), "{calls}"),
        _ => {
            eprintln!("skipped: strace is not installed, or may not trace");
            return;
        }
    }
    let policy = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata");
    let (html, flows, state) = (name("report.html"), name("flows.csv"), name("state"));
    let commands: &[&[&str]] = &[
        &["scan", CAPTURE, "--flows", &flows, "--names", "--by", "service"],
        &["scan", CAPTURE, "--every", "1s", "-o", &html, "--format", "html"],
        &["scan", CAPTURE, "--partial", &report, "--state-out", &state],
        &["scan", policy, "-q"],
        &["flows", CAPTURE],
        &["explain", CAPTURE],
        &["plan", CAPTURE],
        &["merge", &report],
        &["render", &report, "--format", "html"],
        &["check", &report, "--min-encrypted", "1%"],
        &["trend", &report, &report],
        &["compare", &report, "--with", "published"],
        &["watch", policy, "--once", "--state", &state],
        &["grade", "0x1301"],
        &["policies"],
        &["schema", "report"],
    ];
    let program = env!("CARGO_BIN_EXE_tlscov");
    for arguments in commands {
        let (_, calls) = traced(&[&[program], *arguments].concat()).expect("strace was there before");
        // The end of a process, its signals, and a thread that ended before its call had a name (`???( <detached ...>`) are no calls.
        let no_call = |line: &str| ["---", "+++", "???("].iter().any(|mark| line.contains(mark));
        let sockets: Vec<&str> = calls.lines().filter(|line| line.contains('(') && !no_call(line)).collect();
        assert!(sockets.is_empty(), "{arguments:?}: {sockets:#?}");
    }
}

#[test]
fn stopping_leaves_totals_that_add_up() {
    let (reader, writer) = io::pipe().expect("a pipe");
    let (writer, many) = endless(writer);
    let stop = Arc::new(AtomicBool::new(false));
    let options = Options { stop: Arc::clone(&stop), ..options(2) };
    let source = capture::from_reader("-", Box::new(reader), capture::Options::default()).expect("a capture");
    let stopper = thread::spawn(move || {
        many.recv_timeout(Duration::from_secs(120)).expect("it reads");
        stop.store(true, Ordering::Relaxed);
    });
    let (scan, _) = read_source(source, &options);
    stopper.join().expect("stopped");
    writer.join().expect("the writer ends");
    adds_up(&scan.tally, "stopped");
    assert_eq!(scan.tally.losses.get(&Loss::Interrupted), Some(&1));
    assert!(scan.tally.captures[0].packets > 0);
}
