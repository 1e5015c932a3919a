//! What a file says of itself without being read: container, link, interface, times of its first and last frame.
//!
//! The time of the last frame stands at the end of the file, where a compressed file cannot be entered. In pcapng each block
//! ends with its length, so the last blocks are found from behind. pcap has no such thing: there the longest chain of
//! records that ends exactly with the file is taken, as far as the tail that is looked at goes.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use super::reader::Capture;
use super::{Batch, MAX_FRAME, Options, Source};
use crate::error::Result;

/// What was found out about a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Container and compression, for example `pcapng+zstd`.
    pub format: String,
    /// Size as stored. Unit: bytes.
    pub bytes: u64,
    /// Link types of the interfaces described before the first frame, ascending.
    pub link_types: Vec<u16>,
    /// Names of these interfaces (pcapng `if_name`), ascending; empty when the file names none.
    pub interfaces: Vec<String>,
    /// Time of the first frame, nanoseconds since 1970 UTC; `None` when there is none.
    pub first_ns: Option<i64>,
    /// Time of the last frame; `None` when there is none, or it cannot be found without reading the file (compressed).
    pub last_ns: Option<i64>,
}

/// Bytes at the end of a file that are looked at. Two of the longest frames that are usual fit in.
const TAIL_BYTES: u64 = 256 << 10;

/// Bytes at the start of a pcapng file in which its interfaces are looked for.
const HEAD_BYTES: u64 = 64 << 10;

/// Looks at the start and the end of `path`.
///
/// # Errors
/// When it cannot be read, or is no capture.
pub fn survey(path: &Path) -> Result<Survey> {
    let unreadable = |error: io::Error| super::input::unreadable(path, &error);
    let mut file = File::open(path).map_err(unreadable)?;
    let bytes = file.metadata().map_err(unreadable)?.len();
    let options = Options { batch_bytes: 1, decoder_bytes: 64 << 20, decoders: 1, ..Options::default() };
    let name = path.display().to_string();
    if bytes <= TAIL_BYTES {
        let mut whole = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut whole).map_err(unreadable)?;
        let mut source = Capture::open(&name, Box::new(Cursor::new(whole)), Some(bytes), Options::default())?;
        let mut found = Survey { bytes, ..Survey::default() };
        let mut batch = Batch::default();
        while source.next_batch(&mut batch)? {
            found.first_ns = found.first_ns.or(batch.frames.first().map(|frame| frame.time_ns));
            found.last_ns = batch.frames.last().map(|frame| frame.time_ns);
        }
        return Ok(found.described(&source));
    }
    let mut source = Capture::open(&name, Box::new(file.try_clone().map_err(unreadable)?), Some(bytes), options)?;
    let mut batch = Batch::default();
    source.next_batch(&mut batch)?;
    let first_ns = batch.frames.first().map(|frame| frame.time_ns);
    let found = Survey { bytes, first_ns, ..Survey::default() }.described(&source);
    drop(source);
    let last_ns = last_time(&mut file, &found.format).map_err(unreadable)?;
    Ok(Survey { last_ns, ..found })
}

impl Survey {
    fn described(self, source: &Capture) -> Self {
        let super::Description { format, link_types, .. } = source.description();
        Self { format, link_types, interfaces: source.interface_names(), ..self }
    }
}

/// The time of the last frame of an uncompressed file.
fn last_time(file: &mut File, format: &str) -> io::Result<Option<i64>> {
    let len = file.seek(SeekFrom::End(0))?;
    let mut part = |from: u64, len: u64| {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(from))?;
        file.by_ref().take(len).read_to_end(&mut bytes).map(|_| bytes)
    };
    let tail = part(len.saturating_sub(TAIL_BYTES), TAIL_BYTES)?;
    let joined = match format {
        "pcap" => {
            let head = part(0, super::pcap::HEADER_LEN as u64)?;
            // The two kinds whose records have the usual header; others are rare.
            let chain = match head.first_chunk() {
                Some([0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1]) => records(&tail, false),
                Some([0xa1, 0xb2, 0xc3, 0xd4] | [0xa1, 0xb2, 0x3c, 0x4d]) => records(&tail, true),
                _ => None,
            };
            chain.map(|chain| [&head, chain].concat())
        }
        "pcapng" => {
            let head = part(0, HEAD_BYTES)?;
            let big_endian = head.get(8..12) == Some(&[0x1a, 0x2b, 0x3c, 0x4d]);
            blocks(&tail, big_endian).map(|chain| [descriptions(&head, big_endian), chain].concat())
        }
        _ => None,
    };
    let Some(joined) = joined else { return Ok(None) };
    let mut last = None;
    if let Ok(mut source) = Capture::open("", Box::new(Cursor::new(joined)), None, Options::default()) {
        let mut batch = Batch::default();
        while source.next_batch(&mut batch).is_ok_and(|more| more) {
            last = batch.frames.last().map(|frame| frame.time_ns);
        }
    }
    Ok(last)
}

fn word(bytes: &[u8], at: usize, big_endian: bool) -> Option<u32> {
    let word = bytes.get(at..)?.first_chunk().copied()?;
    Some(if big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) })
}

/// The longest chain of pcap records that ends with `tail`.
fn records(tail: &[u8], big_endian: bool) -> Option<&[u8]> {
    const HEADER: usize = 16;
    const CAPTURED_LEN: usize = 8;
    const WIRE_LEN: usize = 12;
    // For each place, the records of the chain that begins there.
    let mut chains = vec![0u32; tail.len() + 1];
    let mut best = (0, tail.len());
    for at in (0..tail.len().saturating_sub(HEADER - 1)).rev() {
        let (Some(len), Some(wire)) =
            (word(tail, at + CAPTURED_LEN, big_endian), word(tail, at + WIRE_LEN, big_endian))
        else {
            continue;
        };
        if len > wire || len > MAX_FRAME {
            continue;
        }
        let end = at + HEADER + len as usize;
        let behind = if end == tail.len() { Some(0) } else { chains.get(end).copied().filter(|count| *count > 0) };
        if let (Some(count), Some(place)) = (behind, chains.get_mut(at)) {
            *place = count + 1;
            best = best.max((count + 1, at));
        }
    }
    tail.get(best.1..).filter(|chain| !chain.is_empty())
}

/// The blocks of a pcapng file at the end of `tail`, as far as they go back.
fn blocks(tail: &[u8], big_endian: bool) -> Option<&[u8]> {
    let mut start = tail.len();
    while let Some(len) = start.checked_sub(4).and_then(|at| word(tail, at, big_endian)) {
        let Some(before) = start.checked_sub(len as usize) else { break };
        if len < 12 || word(tail, before + 4, big_endian) != Some(len) {
            break;
        }
        start = before;
    }
    tail.get(start..).filter(|chain| !chain.is_empty())
}

/// The blocks before the first packet of a pcapng file: its section and its interfaces.
fn descriptions(head: &[u8], big_endian: bool) -> &[u8] {
    const PACKETS: [u32; 3] = [2, 3, 6];
    let mut at = 0;
    while let (Some(kind), Some(len)) = (word(head, at, big_endian), word(head, at + 4, big_endian)) {
        let end = at.saturating_add(len as usize);
        if PACKETS.contains(&kind) || len < 12 || end > head.len() {
            break;
        }
        at = end;
    }
    head.get(..at).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;

    /// A pcap file, little-endian with microseconds: frame `n` comes `n` seconds after 1970 and has `len(n)` bytes.
    fn pcap(frames: u32, len: impl Fn(u32) -> u32) -> Vec<u8> {
        let mut out = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
        for n in 0..frames {
            for field in [n, 0, len(n), len(n)] {
                out.extend(field.to_le_bytes());
            }
            out.extend((0..len(n)).map(|byte| byte as u8));
        }
        out
    }

    fn pcapng(frames: u32, len: u32) -> Vec<u8> {
        let mut out = Vec::new();
        let mut block = |kind: u32, body: &[u8]| {
            let padded = body.len().next_multiple_of(4);
            let total = (padded as u32 + 12).to_le_bytes();
            out.extend(kind.to_le_bytes());
            out.extend(total);
            out.extend(body);
            out.resize(out.len() + padded - body.len(), 0);
            out.extend(total);
        };
        block(0x0a0d_0d0a, &[&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat());
        // Link type 1, no snap length, if_name `eth7`.
        block(1, &[1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 4, 0, b'e', b't', b'h', b'7', 0, 0, 0, 0]);
        for n in 0..frames {
            let ticks = u64::from(n) * 1_000_000;
            let mut body = vec![0; 4];
            for field in [(ticks >> 32) as u32, ticks as u32, len, len] {
                body.extend(field.to_le_bytes());
            }
            body.resize(body.len() + len as usize, 7);
            block(6, &body);
        }
        out
    }

    #[test]
    fn first_and_last_without_reading_what_is_between() {
        let last = |n: i64| Some((n - 1) * 1_000_000_000);
        let gzip = |bytes: &[u8]| {
            use std::io::Write as _;
            let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
            out.write_all(bytes).unwrap();
            out.finish().unwrap()
        };
        let big = pcap(900, |n| 300 + n % 700);
        let cut = big[..big.len() - 5].to_vec();
        let cases: &[(&str, Vec<u8>, &str, &[&str], Option<i64>)] = &[
            ("small pcap", pcap(7, |n| n), "pcap", &[], last(7)),
            ("large pcap", big.clone(), "pcap", &[], last(900)),
            ("frames of nothing but zeros", pcap(9000, |_| 60), "pcap", &[], last(9000)),
            ("cut short: its end is no end of a record", cut, "pcap", &[], None),
            ("small pcapng", pcapng(5, 100), "pcapng", &["eth7"], last(5)),
            ("large pcapng", pcapng(3000, 333), "pcapng", &["eth7"], last(3000)),
            ("large gzip", gzip(&big), "pcap+gzip", &[], None),
        ];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for (name, bytes, format, interfaces, last_ns) in cases {
            std::fs::write(&path, bytes).unwrap();
            let found = survey(&path).unwrap();
            let names: Vec<String> = interfaces.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!((found.format.as_str(), found.bytes), (*format, bytes.len() as u64), "{name}");
            assert_eq!((found.first_ns, found.last_ns), (Some(0), *last_ns), "{name}");
            assert_eq!((found.interfaces.as_slice(), found.link_types.as_slice()), (&names[..], &[1][..]), "{name}");
        }
        std::fs::write(&path, pcap(0, |_| 0)).unwrap();
        assert_eq!(survey(&path).unwrap().first_ns, None, "no frame");
        std::fs::write(&path, "no capture").unwrap();
        assert!(survey(&path).is_err());
    }
}
