//! What is fuzzed: each function takes any bytes and panics when a promise is broken.
//!
//! Inputs that are more than one thing are written as pieces, see [`pieces`]; `seeds` writes such inputs from captures.

pub mod mutate;

use std::collections::BTreeSet;
use std::io::Cursor;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use tlscov::capture::{self, Batch, Frame, Source};
use tlscov::detect::{DISSECTORS, Datagram, Dissector, Heads, MAX_DATAGRAMS, Moment, Outcome, Session, Step};
use tlscov::flow::{Arrival, Limits, Shard, reassemble};
use tlscov::grade::Policy;
use tlscov::model::{Class, Endpoint, Evidence, Facts, FlowKey, Protocol, Seed, Steps, Transport};
use tlscov::net::fragments::{self, Pool};
use tlscov::net::{self, Decoded, Packet};
use tlscov::pipeline::{Options, scan_source};
use tlscov::quic::keys::{InitialKeys, Sender};
use tlscov::quic::version::Version;
use tlscov::report::Report;
use tlscov::tally::Tally;
use tlscov::{detect::Found, quic, tls};

/// One piece of an input: three bytes (a flag byte, a length in big endian), and so many bytes or what there is.
pub fn pieces(data: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = data;
    std::iter::from_fn(move || {
        let ([flags, high, low], behind) = rest.split_first_chunk::<3>()?;
        let len = usize::from(u16::from_be_bytes([*high, *low])).min(behind.len());
        let (piece, behind) = behind.split_at(len);
        rest = behind;
        Some((*flags, piece))
    })
}

/// Writes a piece as [`pieces`] reads it.
pub fn write_piece(out: &mut Vec<u8>, flags: u8, bytes: &[u8]) {
    let kept = &bytes[..bytes.len().min(usize::from(u16::MAX))];
    out.push(flags);
    out.extend((kept.len() as u16).to_be_bytes());
    out.extend(kept);
}

fn source(data: &[u8], batch_bytes: usize) -> tlscov::error::Result<Box<dyn Source>> {
    capture::from_reader(
        "-",
        Box::new(Cursor::new(data.to_vec())),
        capture::Options { batch_bytes, ..capture::Options::default() },
    )
}

/// The frames of a capture: number, time, lengths, and a hash of the bytes; whether epochs end.
fn frames(data: &[u8], batch_bytes: usize) -> Option<(Vec<(Frame, u64)>, Vec<u64>)> {
    let mut source = source(data, batch_bytes).ok()?;
    let mut batch = Batch::default();
    let (mut frames, mut epochs) = (Vec::new(), Vec::new());
    while source.next_batch(&mut batch).ok()? {
        assert_eq!(batch.first_frame, frames.len() as u64);
        for frame in &batch.frames {
            let start = frame.start as usize;
            let bytes = &batch.data[start..start + frame.captured_len as usize];
            let sum = bytes.iter().fold(0u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
            frames.push((Frame { start: 0, ..*frame }, sum));
        }
        if batch.epoch_ends {
            epochs.push(frames.len() as u64);
        }
    }
    Some((frames, epochs))
}

/// Capture readers: frames lie within the batch, and do not depend on the batch size.
pub fn capture(data: &[u8]) {
    assert_eq!(frames(data, 4 << 20), frames(data, 100));
}

/// A packet within its frame.
fn check_packet(packet: &Packet, frame: &[u8]) {
    let end = packet.payload_start as usize + packet.payload_captured as usize;
    assert!(end <= frame.len(), "{packet:?}");
    assert!(packet.payload_len >= packet.payload_captured, "{packet:?}");
}

/// Link layers, IP, tunnels, transports. The first two bytes are the link type, the third lengthens the frame.
pub fn decode(data: &[u8]) {
    let Some(([high, low, more], frame)) = data.split_first_chunk::<3>() else { return };
    let wire_len = frame.len() as u32 + u32::from(*more) * 16;
    match net::decode(u16::from_be_bytes([*high, *low]), frame, wire_len) {
        Decoded::Packet(packet) => check_packet(&packet, frame),
        Decoded::Fragment(fragment) => {
            let end = fragment.data_start as usize + fragment.data_captured as usize;
            assert!(end <= frame.len());
            assert!(fragment.data_len >= fragment.data_captured);
        }
        _ => {}
    }
}

/// Tunnels: what the first bytes say is wrapped around the rest, lengths right, so that every decoder of a tunnel is
/// reached through every other. The first byte tells the number of layers, one byte each tells which.
pub fn tunnels(data: &[u8]) {
    let Some((&layers, rest)) = data.split_first() else { return };
    let Some((layers, inner)) = rest.split_at_checked(usize::from(layers & 15)) else { return };
    let mut packet = inner[..inner.len().min(2000)].to_vec();
    // The protocol number that the packet has inside IP.
    let mut protocol = 17;
    for layer in layers {
        let ip = ip_packet(protocol, &packet);
        let ethernet = [&[2; 12][..], &[8, 0], &ip].concat();
        let udp = |port: u16, header: &[u8], content: &[u8]| {
            let len = (8 + header.len() + content.len()) as u16;
            [&[0x80, 0][..], &port.to_be_bytes(), &len.to_be_bytes(), &[0, 0], header, content].concat()
        };
        let gtp_len = (ip.len() as u16).to_be_bytes();
        (protocol, packet) = match layer >> 4 {
            0 => (4, ip),
            1 => (41, ip),
            2 => (47, [&[0, 0, 8, 0][..], &ip].concat()),
            3 => (47, [&[0x20, 0, 0x65, 0x58, 0, 0, 0, *layer], &ethernet[..]].concat()),
            4 => (47, [&[0x30, 1, 0x88, 0x0b], &gtp_len[..], &[0, 1, 0, 0, 0, 1], &ip].concat()),
            5 => (17, udp(4789, &[8, 0, 0, 0, 0, 0, 1, 0], &ethernet)),
            6 => (17, udp(4790, &[0xc, 0, 0, layer & 7, 0, 0, 1, 0], &ip)),
            7 => (17, udp(6081, &[0, 0, 0x65, 0x58, 0, 0, 1, 0], &ethernet)),
            8 => (17, udp(2152, &[&[0x30, 0xff], &gtp_len[..], &[0, 0, 0, 1]].concat(), &ip)),
            9 => (17, udp(1701, &[0, 2, 0, 1, 0, 1, 0xff, 3, 0, 0x21], &ip)),
            10 => (97, [&[0x30, 0][..], &ethernet].concat()),
            11 => (137, [&[0, 0, 0x11, 0x40][..], &ip].concat()),
            12 => (17, udp(3544, &[], &ip)),
            13 => (17, udp(4500, &[0, 0, 0, 0], &packet)),
            14 => (51, [&[protocol, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1][..], &[0; 12], &packet].concat()),
            _ => (protocol, [&[*layer], &packet[..]].concat()),
        };
        packet.truncate(60_000);
    }
    let frame = [&[2; 12][..], &[8, 0], &ip_packet(protocol, &packet)].concat();
    let wire_len = frame.len() as u32;
    match net::decode(1, &frame, wire_len) {
        Decoded::Packet(packet) => check_packet(&packet, &frame),
        Decoded::Fragment(fragment) => {
            assert!(fragment.data_start as usize + fragment.data_captured as usize <= frame.len());
        }
        _ => {}
    }
}

/// An IPv4 packet.
fn ip_packet(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let len = (20 + payload.len() as u16).to_be_bytes();
    let header = [0x45, 0, len[0], len[1], 0, 0, 0, 0, 64, protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
    [&header, payload].concat()
}

/// Fragments: every frame comes back exactly once, and the bound on memory holds. Flags: seconds since the one before.
pub fn fragments(data: &[u8]) {
    const BOUND: usize = 64 << 10;
    let mut pool = Pool::new(BOUND);
    let (mut done, mut frames, mut wire_bytes, mut time_ns) = (Vec::new(), 0u64, 0u64, 0i64);
    for (seconds, frame) in pieces(data) {
        time_ns += i64::from(seconds) * 1_000_000_000;
        let Decoded::Fragment(fragment) = net::decode(1, frame, frame.len() as u32) else { continue };
        let start = fragment.data_start as usize;
        let arrival = fragments::Arrival { frame: frames, time_ns, wire_len: frame.len() as u32 };
        frames += 1;
        wire_bytes += frame.len() as u64;
        pool.push(&fragment, &frame[start..start + fragment.data_captured as usize], arrival, &mut done);
        assert!(pool.held_bytes() <= BOUND + (128 << 10));
    }
    pool.finish(&mut done);
    assert_eq!(pool.held_bytes(), 0);
    for datagram in &done {
        match datagram.decoded {
            Decoded::Packet(packet) => check_packet(&packet, &datagram.data),
            Decoded::Fragment(_) => panic!("a fragment came out"),
            _ => {}
        }
    }
    assert_eq!(done.iter().map(|datagram| datagram.frames).sum::<u64>(), frames);
    assert_eq!(done.iter().map(|datagram| datagram.wire_bytes).sum::<u64>(), wire_bytes);
}

/// TCP ordering against a model that remembers every byte. Segments are four bytes: side, offset (two), length.
pub fn order(data: &[u8]) {
    let Some((base, rest)) = data.split_first_chunk::<4>() else { return };
    let base = u32::from_be_bytes(*base);
    let stream: Vec<u8> = (0..70_000u32).map(|at| (at.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect();
    let client = Endpoint { ip: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), port: 1025 };
    let server = Endpoint { ip: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), port: 4444 };
    let seed = Seed::random();
    let mut shard = Shard::new(Limits::default(), Steps::Automatic, seed);
    let mut seen = [BTreeSet::new(), BTreeSet::new()];
    let mut total = 0u64;
    let mut ordered = Vec::new();
    // Both sides say hello first. Sixteen holes a side are remembered: so many segments cannot make more.
    let hellos = [[0, 0, 0, 0], [1, 0, 0, 0]];
    let segments = rest.as_chunks::<4>().0.iter().take(16);
    for (number, segment) in hellos.iter().chain(segments).enumerate() {
        let [side, high, low, len] = *segment;
        let is_hello = number < hellos.len();
        let offset = usize::from(u16::from_be_bytes([high, low]) >> 4);
        let len = if is_hello { 0 } else { usize::from(len) * 4 + 1 };
        let from_client = side & 1 == 0;
        let (from, to) = if from_client { (client, server) } else { (server, client) };
        let (key, from_side) = FlowKey::new(Transport::TCP, from, to);
        let payload = &stream[offset..offset + len];
        let packet = Packet {
            key,
            from: from_side,
            tcp_flags: match (is_hello, from_client) {
                (true, true) => 0x02,
                (true, false) => 0x12,
                (false, _) => 0x10,
            },
            tunnels: Default::default(),
            vlan: Default::default(),
            seq: base.wrapping_add(offset as u32).wrapping_sub(u32::from(is_hello)),
            payload_start: 0,
            payload_captured: len as u32,
            payload_len: len as u32,
        };
        let hash = packet.key.hash_with(seed);
        let frame = number as u64;
        let wire_len = len as u64 + 54;
        shard.serve(&[Arrival { packet: &packet, hash, frame, frames: 1, time_ns: 0, wire_len, payload }]);
        seen[usize::from(!from_client)].extend(offset..offset + len);
        total += len as u64;
        if from_client && !is_hello {
            ordered.push((packet.seq, payload));
        }
    }
    let mut flows = Vec::new();
    shard.end(u64::MAX, |_, _| false, |flow| flows.push(flow));
    let fresh: u64 = flows.iter().map(|flow| flow.total().payload_bytes).sum();
    let repeated: u64 = flows.iter().map(|flow| flow.retransmitted_bytes).sum();
    assert_eq!(fresh, seen.iter().map(|seen| seen.len() as u64).sum::<u64>());
    assert_eq!(fresh + repeated, total);
    let read = reassemble(base, &ordered);
    let whole = (0..).take_while(|at| seen[0].contains(at)).count();
    assert!(read == stream[..whole], "{} bytes instead of {whole}", read.len());
}

/// Every dissector on the same heads: none panics, and what a prefix was given is kept to. Each that recognises them
/// gets a session. Flags: 1 from the server, 2 ask now.
pub fn detect(data: &[u8]) {
    let Some((&mode, data)) = data.split_first() else { return };
    let from_start = mode & 1 == 0;
    for dissector in DISSECTORS.iter().copied().flatten() {
        if dissector.transport() == Transport::TCP {
            if mode & 2 == 0 {
                ask_about_stream(*dissector, data, from_start);
            }
        } else if mode & 2 != 0 {
            ask_about_datagrams(*dissector, data);
        }
    }
}

fn ask_about_stream(dissector: &dyn Dissector, data: &[u8], from_start: bool) {
    let mut heads: [Vec<u8>; 2] = Default::default();
    let mut no = false;
    for (flags, piece) in pieces(data) {
        heads[usize::from(flags & 1)].extend(piece);
        let outcome = dissector.probe(Heads { client: &heads[0], server: &heads[1], datagrams: &[], from_start });
        let accepts = matches!(outcome, Outcome::Found(_) | Outcome::Likely(_));
        // In mid-stream a hello of the other side is refused, because it will be recognised with the sides exchanged;
        // records that follow where no answer comes may then be a chain.
        let may_return = !from_start && dissector.forgives_a_side();
        assert!(!(no && accepts) || may_return, "{:?} said no to a prefix", dissector.protocol());
        no |= outcome == Outcome::No;
        if let Outcome::Found(found) | Outcome::Likely(found) = outcome {
            if let Some(session) = dissector.session(found) {
                feed(session, found, data);
            }
            return;
        }
    }
}

fn ask_about_datagrams(dissector: &dyn Dissector, data: &[u8]) {
    let all: Vec<Datagram> = pieces(data)
        .take(MAX_DATAGRAMS)
        .map(|(flags, bytes)| Datagram {
            from_client: flags & 1 == 0,
            bytes,
            wire_len: bytes.len() + usize::from(flags >> 2),
        })
        .collect();
    for count in 1..=all.len() {
        let heads = Heads { datagrams: &all[..count], from_start: true, ..Heads::default() };
        if let Outcome::Found(found) | Outcome::Likely(found) = dissector.probe(heads) {
            if let Some(session) = dissector.session(found) {
                feed(session, found, data);
            }
            return;
        }
    }
}

/// Feeds a session to its end, through upgrades. Flags: 1 from the server, 128 a gap before the piece.
fn feed(mut session: Box<dyn Session>, mut found: Found, data: &[u8]) {
    let mut facts = Facts::default();
    let mut fed = 0;
    'pieces: for (flags, piece) in pieces(data) {
        let from_client = flags & 1 == 0;
        if flags & 128 != 0 && !session.gap(from_client) {
            break;
        }
        fed += piece.len();
        let mut rest = piece;
        for _ in 0..8 {
            let step = session.feed(from_client, rest, Moment { time_ns: 0, wire_len: piece.len() });
            assert!(session.memory() <= (2 << 20) + 64 * fed, "{} bytes after {fed}", session.memory());
            match step {
                Step::Continue | Step::Readable => continue 'pieces,
                Step::Done => break 'pieces,
                Step::Upgrade { found: next_found, rest: left, next } => {
                    assert!(left <= rest.len(), "more is left than came");
                    std::mem::replace(&mut session, next).finish(&mut found, &mut facts);
                    found = next_found;
                    rest = &rest[rest.len() - left..];
                    if rest.is_empty() {
                        continue 'pieces;
                    }
                }
            }
        }
        break;
    }
    session.finish(&mut found, &mut facts);
    assert!(facts.memory() <= (1 << 20) + 64 * fed);
    for policy in policies().iter() {
        let _ = policy.grade(found.protocol, Some(&facts));
    }
}

/// TLS records and handshakes of both sides.
pub fn tls(data: &[u8]) {
    let Some((&mode, data)) = data.split_first() else { return };
    let session = if mode & 1 == 0 { tls::session::stream() } else { tls::session::reversed_stream() };
    feed(session, Found::encrypted(Protocol::TLS, Evidence::OneSided), data);
}

/// DTLS records and handshakes of both sides.
pub fn dtls(data: &[u8]) {
    feed(tls::dtls::datagrams(), Found::encrypted(Protocol::DTLS, Evidence::OneSided), data);
}

/// A handshake message with its header.
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let len = (body.len() as u32).to_be_bytes();
    [&[kind, len[1], len[2], len[3]], body].concat()
}

fn vector16(bytes: &[u8]) -> Vec<u8> {
    let kept = &bytes[..bytes.len().min(usize::from(u16::MAX))];
    [&(kept.len() as u16).to_be_bytes(), kept].concat()
}

/// A hello with one extension, all lengths right: of a client when `suites` is a list, of a server else.
fn hello(suites: &[u8], kind: u16, content: &[u8]) -> Vec<u8> {
    let versions: &[u8] = if suites.len() > 2 { &[0, 43, 0, 3, 2, 3, 4] } else { &[0, 43, 0, 2, 3, 4] };
    let extensions = [versions, &kind.to_be_bytes(), &vector16(content)].concat();
    [&[3, 3][..], &[7; 32], &[0], suites, &vector16(&extensions)].concat()
}

/// Messages with right lengths all around, so that what is fuzzed is what lies deepest: Encrypted Client Hellos,
/// certificates, key exchanges, any extension. Each comes as TLS, as DTLS, and sealed in QUIC Initials. Flags: 1 from
/// the server, 2 what to make of the bytes (8 ways), 16 a new QUIC datagram.
pub fn handshake(data: &[u8]) {
    const ECH: u16 = 0xfe0d;
    const CLIENT: &[u8] = &[0, 4, 0x13, 1, 0xc0, 0x2f, 1, 0];
    let (mut stream, mut datagrams, mut initials) = (Vec::new(), Vec::new(), Vec::new());
    let keys = [Sender::Client, Sender::Server]
        .map(|sender| InitialKeys::derive(&Version(1).secrets()[0], b"original", sender).expect("keys"));
    let mut offsets = [0u64; 2];
    for (number, (flags, bytes)) in pieces(data).take(24).enumerate() {
        let from = flags & 1;
        let (kind, body) = match flags >> 1 & 7 {
            0 => (1, bytes.to_vec()),
            1 => (2, bytes.to_vec()),
            2 => (1, hello(CLIENT, ECH, bytes)),
            3 => (2, hello(&[0x13, 1, 0], ECH, bytes)),
            4 => {
                let (kind, content) = bytes.split_first_chunk::<2>().unwrap_or((&[0, 0], bytes));
                (1 + from, hello(if from == 0 { CLIENT } else { &[0xc0, 0x2f, 0] }, u16::from_be_bytes(*kind), content))
            }
            5 => {
                let leaf = [&(bytes.len() as u32).to_be_bytes()[1..], bytes].concat();
                (11, [&(leaf.len() as u32).to_be_bytes()[1..], &leaf].concat())
            }
            6 => (12, bytes.to_vec()),
            _ => (bytes.first().copied().unwrap_or(0), bytes.get(1..).unwrap_or_default().to_vec()),
        };
        let tls = message(kind, &body);
        for part in tls.chunks(1 << 14) {
            write_piece(&mut stream, from, &[&[22, 3, 3], &vector16(part)[..]].concat());
        }
        let mut dtls = message(kind, &body[..body.len().min(1 << 14)]);
        let (len, sequence) = ([dtls[1], dtls[2], dtls[3]], (number as u16).to_be_bytes());
        dtls.splice(4..4, [sequence[0], sequence[1], 0, 0, 0, len[0], len[1], len[2]]);
        let head = [22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, sequence[0], sequence[1]];
        write_piece(&mut datagrams, from, &[&head[..], &vector16(&dtls)].concat());
        for part in tls.chunks(1000).take(20) {
            let offset = &mut offsets[usize::from(from)];
            // Now and then with a hole, or over what came before.
            let at = (*offset).wrapping_add(if flags & 32 != 0 { u64::from(flags) << 3 } else { 0 });
            *offset += part.len() as u64;
            let mut frames = vec![6];
            frames.extend((at | 3 << 62).to_be_bytes());
            frames.extend((0x4000 | part.len() as u16).to_be_bytes());
            frames.extend(part);
            frames.resize(frames.len().max(40), 0);
            let ids: &[u8] = if from == 0 { b"\x08original\x01c" } else { b"\x01c\x08original" };
            let token: &[u8] = &[0];
            let header = [&[0xc0, 0, 0, 0, 1], ids, token].concat();
            write_piece(&mut initials, from, &keys[usize::from(from)].seal(header, number as u8, &frames));
        }
    }
    feed(tls::session::stream(), Found::encrypted(Protocol::TLS, Evidence::OneSided), &stream);
    feed(tls::dtls::datagrams(), Found::encrypted(Protocol::DTLS, Evidence::OneSided), &datagrams);
    quic(&initials);
}

/// QUIC packets, Initial keys, CRYPTO frames; each datagram also by itself.
pub fn quic(data: &[u8]) {
    for dissector in DISSECTORS.iter().copied().flatten().filter(|row| row.protocol() == Protocol::QUIC) {
        ask_about_datagrams(*dissector, data);
        let found = Found::encrypted(Protocol::QUIC, Evidence::Verified);
        feed(dissector.session(found).expect("QUIC is read on"), found, data);
    }
    for (_, datagram) in pieces(data) {
        quic::packet::packets(datagram).for_each(drop);
        quic::frame::frames(datagram, false).chain(quic::frame::frames(datagram, true)).for_each(drop);
    }
}

/// Policy files: a policy or an error that names the file.
pub fn policy(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Policy::from_text(text, Path::new("fuzzed.toml")) {
        Ok(policy) => {
            let _ = policy.grade(Protocol::TLS, Some(&Facts::default()));
            let _ = policy.grade(Protocol::TLS, None);
        }
        Err(error) => assert!(error.to_string().contains(".toml"), "{error}"),
    }
}

/// Reports: one that is read is the report of its own sums, and merging adds.
pub fn report(data: &[u8]) {
    let Ok(report) = Report::read(Path::new("fuzzed.json"), data) else { return };
    let Ok(tally) = report.tally() else { return };
    let mut twice = report.tally().expect("it could be read before");
    twice.merge(tally);
    let _ = Report::new(&twice);
    for name in tlscov::report::names() {
        let format = tlscov::report::format_named(name).expect("a name of the list");
        (format.write)(&report, &mut Vec::new()).expect("written to memory");
    }
}

fn policies() -> &'static Arc<Vec<Policy>> {
    static POLICIES: OnceLock<Arc<Vec<Policy>>> = OnceLock::new();
    POLICIES.get_or_init(|| Arc::new(vec![Policy::builtin("bcp195").expect("built in")]))
}

fn read(data: &[u8], batch_bytes: usize, jobs: usize) -> Option<Tally> {
    let options =
        Options { jobs: Some(jobs), max_memory: 64 << 20, policies: Arc::clone(policies()), ..Options::default() };
    let mut flows = 0u64;
    let mut count = |_: &str, _: &_, _: &[_]| {
        flows += 1;
        Ok(())
    };
    Some(scan_source(source(data, batch_bytes).ok()?, &options, Some(&mut count)).ok()?.tally)
}

/// The whole program on a capture: laws 1 and 2, and a report that can be read again.
pub fn program(data: &[u8]) {
    let Some(tally) = read(data, 4 << 20, 1) else { return };
    let mut packets: u64 = Class::ALL.iter().map(|class| tally.class(*class).packets).sum();
    let mut wire_bytes: u64 = Class::ALL.iter().map(|class| tally.class(*class).wire_bytes).sum();
    for counts in tally.undecoded.values() {
        packets += counts.packets;
        wire_bytes += counts.wire_bytes;
    }
    let entry = tally.captures.first().expect("one capture was read");
    assert_eq!((packets, wire_bytes), (entry.packets, entry.wire_bytes), "law 1");
    let report = serde_json::to_vec(&Report::new(&tally)).expect("a report is JSON");
    let again = read(data, 400, 2).expect("it could be read before");
    assert!(serde_json::to_vec(&Report::new(&again)).expect("a report is JSON") == report, "law 2");
    let restored = Report::read(Path::new("own.json"), &report).expect("own reports can be read");
    let restored = Report::new(&restored.tally().expect("own sums can be read"));
    assert!(serde_json::to_vec(&restored).expect("a report is JSON") == report, "law 3");
}
