//! Captures of any size out of the test captures: each copy with hosts and times of its own, many at once.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tlscov::capture::{Batch, Input, Options, open};

/// What traffic a generated capture is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// Everything in `testdata/`.
    Office,
    /// Handshakes and little else: each conversation ends soon after it has begun.
    Handshakes,
    /// Small packets in many short flows: names, probes, management.
    Small,
    /// A few connections of TLS 1.3 whose handshakes are over, and records of data in them: two sizes differ in nothing else.
    Settled,
}

/// One recorded capture: Ethernet frames with the time since the first. Unit of time: nanoseconds.
struct Template {
    frames: Vec<(i64, Vec<u8>)>,
}

/// A copy that is being played.
struct Player {
    template: usize,
    next: usize,
    number: u32,
}

/// Copies played at the same time.
const PLAYERS: usize = 64;

/// Writes a pcap file of at least `size` bytes to `out`. Same arguments, same bytes.
///
/// # Errors
/// When `out` cannot be written or `testdata/` cannot be read.
pub fn generate(mix: Mix, size: u64, seed: u64, out: &mut dyn Write) -> io::Result<u64> {
    let templates = templates(mix)?;
    let mut header = Vec::from(0xa1b2_3c4d_u32.to_le_bytes());
    for word in [0x0004_0002_u32, 0, 0, 262_144, 1] {
        header.extend_from_slice(&word.to_le_bytes());
    }
    out.write_all(&header)?;
    if mix == Mix::Settled {
        return settled(size, out);
    }
    let mut written = header.len() as u64;
    let mut state = seed;
    let mut dice = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    let mut number = 0;
    let mut players: Vec<Player> = Vec::new();
    let mut now_ns: u64 = 1_700_000_000_000_000_000;
    while written < size || players.iter().any(|player| player.next > 0) {
        while players.len() < PLAYERS {
            players.push(Player { template: dice(templates.len()), next: 0, number });
            number += 1;
        }
        let chosen = dice(PLAYERS);
        for _ in 0..=dice(6) {
            let player = &mut players[chosen];
            let frames = &templates[player.template].frames;
            let Some((_, frame)) = frames.get(player.next) else { break };
            if player.next == 0 && written >= size {
                break;
            }
            player.next += 1;
            now_ns += 2_000;
            let mut frame = frame.clone();
            renumber(&mut frame, player.number);
            written += write_frame(now_ns, &frame, out)?;
        }
        let player = &players[chosen];
        if player.next >= templates[player.template].frames.len() {
            players.swap_remove(chosen);
            if written >= size {
                players.push(Player { template: 0, next: 0, number });
            }
        }
    }
    Ok(written)
}

fn write_frame(now_ns: u64, frame: &[u8], out: &mut dyn Write) -> io::Result<u64> {
    let len = frame.len() as u32;
    for word in [(now_ns / 1_000_000_000) as u32, (now_ns % 1_000_000_000) as u32, len, len] {
        out.write_all(&word.to_le_bytes())?;
    }
    out.write_all(frame)?;
    Ok(16 + u64::from(len))
}

/// Data in a connection that goes on and on. Unit: bytes of one packet's TCP payload, which is one TLS record.
const RECORD_LEN: u16 = 1400;

/// The start of a recorded connection for each player, then full packets of the server in turn.
fn settled(size: u64, out: &mut dyn Write) -> io::Result<u64> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/tls13.pcap");
    const SERVER_PORT: [u8; 2] = 4433_u16.to_be_bytes();
    // Ethernet, IPv4 and TCP with its usual option, as in that capture.
    const PAYLOAD: usize = 14 + 20 + 32;
    let is_tcp = |frame: &[u8]| frame.get(12..14) == Some(&[8, 0]) && frame.get(23) == Some(&6);
    let opening: Vec<Vec<u8>> = frames(&path)?
        .into_iter()
        .map(|(_, frame)| frame)
        .filter(|frame| is_tcp(frame))
        .take_while(|frame| frame[47] & 1 == 0)
        .collect();
    let from_server = |frame: &&Vec<u8>| frame[34..36] == SERVER_PORT && frame.len() > PAYLOAD;
    let last = opening.iter().rfind(from_server).ok_or_else(|| io::Error::other("tls13.pcap has no data"))?;
    let mut next =
        u32::from_be_bytes([last[38], last[39], last[40], last[41]]).wrapping_add((last.len() - PAYLOAD) as u32);
    let mut data = last[..PAYLOAD].to_vec();
    data[16..18].copy_from_slice(&(20 + 32 + RECORD_LEN).to_be_bytes());
    data.extend_from_slice(&[23, 3, 3]);
    data.extend_from_slice(&(RECORD_LEN - 5).to_be_bytes());
    data.extend((0..RECORD_LEN - 5).map(|place| (place.wrapping_mul(40_503) >> 8) as u8));
    let (mut written, mut now_ns) = (0, 1_700_000_000_000_000_000);
    let players = 0..PLAYERS as u32;
    let mut play = |frame: &[u8], number| {
        let mut frame = frame.to_vec();
        renumber(&mut frame, number);
        now_ns += 2_000;
        write_frame(now_ns, &frame, out)
    };
    for number in players.clone() {
        for frame in &opening {
            written += play(frame, number)?;
        }
    }
    while written < size {
        data[38..42].copy_from_slice(&next.to_be_bytes());
        next = next.wrapping_add(u32::from(RECORD_LEN));
        for number in players.clone() {
            written += play(&data, number)?;
        }
    }
    Ok(written)
}

fn templates(mix: Mix) -> io::Result<Vec<Template>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|end| end == "pcap"));
    paths.sort();
    let mut templates = Vec::new();
    for path in paths {
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let small = matches!(name, "dns" | "snmp" | "tls-refused" | "wireguard" | "dtls12");
        if mix == Mix::Small && !small || mix == Mix::Handshakes && !name.starts_with(['t', 'q', 's']) {
            continue;
        }
        let mut frames = frames(&path)?;
        if mix == Mix::Handshakes {
            frames.truncate(24);
        }
        templates.push(Template { frames });
    }
    Ok(templates)
}

fn frames(path: &Path) -> io::Result<Vec<(i64, Vec<u8>)>> {
    let mut source = open(&Input::File(path.to_path_buf()), Options::default()).map_err(io::Error::other)?;
    let mut batch = Batch::default();
    let mut frames = Vec::new();
    while source.next_batch(&mut batch).map_err(io::Error::other)? {
        for frame in &batch.frames {
            let start = frame.start as usize;
            frames.push((frame.time_ns, batch.data[start..start + frame.captured_len as usize].to_vec()));
        }
    }
    Ok(frames)
}

/// Gives the frame the hosts of copy `number`: 10.0.0.0/8 for IPv4, the last bytes of both addresses for IPv6.
fn renumber(frame: &mut [u8], number: u32) {
    let [_, high, middle, low] = number.wrapping_mul(2).to_be_bytes();
    match frame.get(12..14) {
        Some([0x08, 0x00]) if frame.len() >= 34 => {
            for at in [26, 30] {
                let host = frame[at + 3];
                frame[at..at + 4].copy_from_slice(&[10, high, middle, low ^ (host & 1)]);
            }
            frame[24..26].fill(0);
            let sum: u32 = frame[14..34].chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
            let folded = (sum & 0xffff) + (sum >> 16);
            let folded = !((folded & 0xffff) + (folded >> 16)) as u16;
            frame[24..26].copy_from_slice(&folded.to_be_bytes());
        }
        Some([0x86, 0xdd]) if frame.len() >= 54 => {
            for at in [22, 38] {
                frame[at + 9..at + 13].copy_from_slice(&number.to_be_bytes());
            }
        }
        _ => {}
    }
}
