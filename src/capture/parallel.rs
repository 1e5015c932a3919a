//! Decompresses the independent members of one stream side by side.
//!
//! The stream is read once, in order, so that a pipe or a disk does as well as memory. It is cut where members begin; each part is
//! decompressed by a thread of its own, and what they give is handed on in order. A part that fails is decompressed again
//! together with all that follows it, by one thread: so whatever a stream says of its members, the bytes and the errors are
//! those that one thread finds.

use std::collections::VecDeque;
use std::io::{self, Cursor, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::ahead::{BUFFER_BYTES, Message, Spare, read_on};
use super::bgzf::Bgzf;
use super::decompress::{Buffered, Compression, READ_BYTES, Reader, buffered};
use super::members::{Found, Walk};
use super::reader::Pending;

/// How a stream is taken apart, so that all of it keeps to the memory of a decompressor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bounds {
    /// Parts on their way at a time.
    parts: usize,
    /// Stored bytes of a part at least: what is worth a thread.
    least_bytes: usize,
    /// Stored bytes of a part at most: what is longer is left to one thread.
    part_bytes: usize,
    /// Buffers that a part is decompressed ahead.
    buffers: usize,
    /// What a decoder may ask for.
    state_bytes: u64,
}

impl Bounds {
    /// For `threads`, within `most_bytes`: half of that for what is stored (two parts on their way, one more that is begun,
    /// one that is cut off), half for decoders and what they gave.
    /// `None` when one thread is all that goes into it.
    fn of(compression: Compression, threads: usize, most_bytes: u64) -> Option<Self> {
        const LEAST_AHEAD: u64 = 4 << 20;
        if !Walk::is_known(compression) {
            return None;
        }
        let state_bytes = compression.usual_state();
        let half = most_bytes / 2;
        let parts = (half / (state_bytes + LEAST_AHEAD)).min(threads as u64 + 1);
        if threads < compression.least_threads() || parts < 2 {
            return None;
        }
        let part_bytes = usize::try_from(half / 4).unwrap_or(usize::MAX).min(compression.longest_member());
        Some(Self {
            parts: parts as usize,
            least_bytes: compression.least_part().min(part_bytes / 4),
            part_bytes,
            buffers: ((half / parts - state_bytes) / BUFFER_BYTES as u64) as usize,
            state_bytes,
        })
    }
}

/// Sends what `stored` holds, decompressed, with up to `threads` threads and within `most_bytes`.
pub(super) fn decompress(
    compression: Compression,
    stored: Reader,
    threads: usize,
    most_bytes: u64,
    send: &SyncSender<Message>,
    spare: &Spare,
) -> io::Result<()> {
    match Bounds::of(compression, threads, most_bytes) {
        Some(bounds) => in_parts(compression, stored, bounds, most_bytes, send, spare),
        None => read_on(compression.threaded_decoder(buffered(stored), threads, most_bytes)?, false, send, spare),
    }
}

/// Sends what `stored` holds, decompressed part by part; what is no part by one thread, within `most_bytes`.
fn in_parts(
    compression: Compression,
    stored: Reader,
    bounds: Bounds,
    most_bytes: u64,
    send: &SyncSender<Message>,
    spare: &Spare,
) -> io::Result<()> {
    let mut cutter = Cutter::new(compression, stored, bounds);
    let mut under_way: VecDeque<Part> = VecDeque::new();
    let mut held = 0;
    loop {
        while under_way.len() < bounds.parts
            && held <= 2 * bounds.part_bytes
            && let Some(bytes) = cutter.next_part()
        {
            let part = Part::start(compression, bytes, bounds, spare)?;
            held += part.stored.0.len();
            under_way.push_back(part);
        }
        let Some(part) = under_way.pop_front() else { break };
        held -= part.stored.0.len();
        match part.hand_on(send) {
            Handed::All => cutter.spare.extend(Arc::into_inner(part.stored.0)),
            Handed::NobodyListens => return Ok(()),
            Handed::UpTo(bytes) => {
                let stored = std::iter::once(part).chain(under_way).map(|part| part.stored);
                return serially(compression, stored, cutter, bytes, most_bytes, send, spare);
            }
        }
    }
    if cutter.cut && cutter.ended && cutter.pending.is_empty() {
        return Ok(());
    }
    serially(compression, std::iter::empty(), cutter, 0, most_bytes, send, spare)
}

/// Decompresses `parts` and all that the cutter has left in one go, without the first `done` bytes of that.
fn serially(
    compression: Compression,
    parts: impl Iterator<Item = Stored>,
    cutter: Cutter,
    done: u64,
    most_bytes: u64,
    send: &SyncSender<Message>,
    spare: &Spare,
) -> io::Result<()> {
    let behind = Pending { failure: cutter.failure, reader: cutter.stored };
    let mut whole: Buffered = Box::new(Cursor::new(cutter.pending).chain(buffered(behind)));
    for stored in parts.collect::<Vec<_>>().into_iter().rev() {
        whole = Box::new(Cursor::new(stored).chain(whole));
    }
    let mut decoder = compression.decoder(whole, most_bytes)?;
    io::copy(&mut decoder.by_ref().take(done), &mut io::sink())?;
    read_on(decoder, false, send, spare)
}

/// Cuts a stream into parts of whole members.
struct Cutter {
    walk: Walk,
    stored: Reader,
    /// What was read and not cut off yet: it begins with a member.
    pending: Vec<u8>,
    bounds: Bounds,
    /// A part was cut off.
    cut: bool,
    /// Room of parts that are done with: new room costs a fault for each page of it.
    spare: Vec<Vec<u8>>,
    /// The error behind `pending`.
    failure: Option<io::Error>,
    /// `pending` holds the rest of the stream.
    ended: bool,
    /// Members cannot be told apart any more.
    lost: bool,
}

impl Cutter {
    fn new(compression: Compression, stored: Reader, bounds: Bounds) -> Self {
        Self {
            walk: Walk::new(compression),
            stored,
            pending: Vec::new(),
            bounds,
            cut: false,
            spare: Vec::new(),
            failure: None,
            ended: false,
            lost: false,
        }
    }

    /// Whole members, behind which another one begins, or the stream ends; `None` when what is left has to be read in one go.
    fn next_part(&mut self) -> Option<Vec<u8>> {
        while !self.lost {
            match self.walk.next(&self.pending) {
                Found::Start(start) if start >= self.bounds.least_bytes => {
                    let mut rest = self.spare.pop().unwrap_or_default();
                    rest.clear();
                    rest.extend_from_slice(self.pending.get(start..).unwrap_or_default());
                    self.pending.truncate(start);
                    self.walk.cut(start);
                    self.cut = true;
                    return Some(std::mem::replace(&mut self.pending, rest));
                }
                Found::Start(_) => {}
                Found::Lost => self.lost = true,
                Found::More if self.ended => {
                    self.lost = true;
                    // One part alone is not worth another thread.
                    let worth = self.cut && !self.pending.is_empty();
                    return worth.then(|| std::mem::take(&mut self.pending));
                }
                Found::More if self.pending.len() > self.bounds.part_bytes => self.lost = true,
                Found::More => self.read(),
            }
        }
        None
    }

    fn read(&mut self) {
        match self.stored.by_ref().take(READ_BYTES as u64).read_to_end(&mut self.pending) {
            Ok(0) => self.ended = true,
            Ok(_) => {}
            Err(error) => {
                self.failure = Some(error);
                self.lost = true;
            }
        }
    }
}

/// Bytes that can be read by several threads.
#[derive(Clone)]
struct Stored(Arc<Vec<u8>>);

impl AsRef<[u8]> for Stored {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// A part on its way.
struct Part {
    stored: Stored,
    messages: Receiver<Message>,
}

/// How far a part was handed on.
enum Handed {
    All,
    /// Up to so many bytes, where it failed.
    UpTo(u64),
    NobodyListens,
}

impl Part {
    fn start(compression: Compression, bytes: Vec<u8>, bounds: Bounds, spare: &Spare) -> io::Result<Self> {
        let stored = Arc::new(bytes);
        let (send, messages) = sync_channel(bounds.buffers);
        let (shared, spare) = (Stored(Arc::clone(&stored)), Spare::clone(spare));
        thread::Builder::new().name(format!("{} part", compression.name())).spawn(move || {
            let decoder = match compression {
                Compression::Gzip => Ok(Box::new(Bgzf::new(shared)) as Reader),
                _ => compression.decoder(Box::new(Cursor::new(shared)), bounds.state_bytes),
            };
            let end = match decoder.and_then(|decoder| read_on(decoder, false, &send, &spare)) {
                Ok(()) => Message::End,
                Err(error) => Message::Failed(error),
            };
            drop(send.send(end));
        })?;
        Ok(Self { stored: Stored(stored), messages })
    }

    fn hand_on(&self, send: &SyncSender<Message>) -> Handed {
        let mut handed = 0;
        for message in &self.messages {
            match message {
                Message::Data(_, filled) => {
                    handed += filled as u64;
                    if send.send(message).is_err() {
                        return Handed::NobodyListens;
                    }
                }
                Message::End => return Handed::All,
                Message::Failed(_) => break,
            }
        }
        Handed::UpTo(handed)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use std::io::Write;

    use super::super::ahead::Ahead;
    use super::super::tests::Failing;
    use super::*;

    /// Small enough that a few kilobytes are many parts.
    const BOUNDS: Bounds =
        Bounds { parts: 3, least_bytes: 1000, part_bytes: 20_000, buffers: 1, state_bytes: 64 << 20 };

    /// What reading gives, and the error that ends it.
    fn read(work: impl FnOnce(&SyncSender<Message>, &Spare) -> io::Result<()> + Send + 'static) -> (Vec<u8>, String) {
        let mut reader = Ahead::start("test", None, work).unwrap();
        let mut data = Vec::new();
        let end = reader.read_to_end(&mut data);
        (data, end.map_or_else(|error| error.to_string(), |_| "whole".to_owned()))
    }

    fn by_one_thread(compression: Compression, stored: &[u8]) -> (Vec<u8>, String) {
        let stored = Cursor::new(stored.to_vec());
        read(move |send, spare| read_on(compression.decoder(buffered(stored), 64 << 20)?, false, send, spare))
    }

    fn by_several(compression: Compression, stored: &[u8], bounds: Bounds) -> (Vec<u8>, String) {
        let stored: Reader = Box::new(Cursor::new(stored.to_vec()));
        read(move |send, spare| match compression {
            Compression::Xz => {
                let decoder = compression.threaded_decoder(buffered(stored), 3, 64 << 20)?;
                read_on(decoder, false, send, spare)
            }
            _ => in_parts(compression, stored, bounds, 64 << 20, send, spare),
        })
    }

    /// Bytes that do not compress.
    fn noise(len: usize, mut seed: u64) -> Vec<u8> {
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 56) as u8
        };
        (0..len).map(|_| next()).collect()
    }

    fn member(compression: Compression, content: &[u8]) -> Vec<u8> {
        match compression {
            Compression::Gzip => {
                let extra = [b'B', b'C', 2, 0, 0, 0];
                let mut encoder = flate2::GzBuilder::new().extra(extra).write(Vec::new(), flate2::Compression::fast());
                encoder.write_all(content).unwrap();
                let mut member = encoder.finish().unwrap();
                let size = (member.len() as u16 - 1).to_le_bytes();
                member[16..18].copy_from_slice(&size);
                member
            }
            Compression::Zstd => zstd::encode_all(content, 1).unwrap(),
            Compression::Lz4 => {
                let info = lz4_flex::frame::FrameInfo::new().content_checksum(true).block_checksums(true);
                // One size for all: the decoder's debug assertions do not allow for a smaller one behind a larger one.
                let info = info.block_size(lz4_flex::frame::BlockSize::Max64KB);
                let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
                encoder.write_all(content).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Bzip2 => {
                let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
                encoder.write_all(content).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Xz => {
                let mut builder = liblzma::stream::MtStreamBuilder::new();
                let stream = builder.threads(2).block_size(2000).preset(0).encoder().unwrap();
                let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
                encoder.write_all(content).unwrap();
                encoder.finish().unwrap()
            }
        }
    }

    const FORMATS: [Compression; 5] =
        [Compression::Gzip, Compression::Zstd, Compression::Lz4, Compression::Bzip2, Compression::Xz];

    /// Members of all sizes around those of parts; the last longer than a part may be.
    fn members(compression: Compression) -> Vec<Vec<u8>> {
        let lens = [700, 0, 3, 900, 1500, 2999, 3000, 12_000, 1, 0, 800, 801, 25_000, 600];
        lens.iter().zip(1..).map(|(len, seed)| member(compression, &noise(*len, seed))).collect()
    }

    /// Several threads give what one gives, down to the error. liblzma gives nothing from the read in which it finds an
    /// error; its threads find it later, so that more of what came before is given.
    fn is_the_same(compression: Compression, stored: &[u8], name: &str) {
        let (want, end) = by_one_thread(compression, stored);
        let (found, found_end) = by_several(compression, stored, BOUNDS);
        assert_eq!(found_end, end, "{compression:?}, {name}");
        let same =
            if end == "whole" || compression != Compression::Xz { found == want } else { found.starts_with(&want) };
        assert!(same, "{compression:?}, {name}: {} bytes in place of {}", found.len(), want.len());
    }

    #[test]
    fn what_several_threads_give_is_what_one_gives() {
        for compression in FORMATS {
            let members = members(compression);
            let whole = members.concat();
            let small = members[..12].concat();
            let many = members[4].repeat(40);
            let skippable = [&[0x5f, 0x2a, 0x4d, 0x18, 0xd0, 7, 0, 0][..], &[9; 2000]].concat();
            let empty = member(compression, b"").repeat(3000);
            let with = |middle: &[u8]| [&many[..], middle, &many[..]].concat();
            let cases: &[(&str, Vec<u8>)] = &[
                ("nothing", Vec::new()),
                ("one member", members[7].clone()),
                ("all sizes", whole.clone()),
                ("without a long one", small.clone()),
                ("the long one first", members[12..].iter().chain(&members).flatten().copied().collect()),
                ("equal ones", many.clone()),
                ("thousands of empty ones", with(&empty)),
                ("a frame to be skipped", with(&skippable)),
                ("zeros behind", [&many[..], &[0; 64]].concat()),
                ("three zeros behind", [&many[..], &[0; 3]].concat()),
                ("zeros between", with(&[0; 8])),
                ("five zeros between", with(&[0; 5])),
                ("text behind", [&many[..], b"no compressed data at all"].concat()),
                ("text between", with(b"no compressed data at all")),
                ("a start between", with(&members[4][..members[4].len().min(10)])),
                ("half a member between", with(&members[4][..members[4].len() / 2])),
                ("a bomb between", with(&member(compression, &vec![0; 8 << 20]))),
            ];
            for (name, stored) in cases {
                is_the_same(compression, stored, name);
            }
            assert_eq!(by_several(compression, &many, BOUNDS).0, noise(1500, 5).repeat(40), "{compression:?}");
        }
    }

    #[test]
    fn what_is_cut_or_broken_ends_as_it_does_with_one_thread() {
        for compression in FORMATS {
            let whole = members(compression).concat();
            for cut in (1..whole.len()).step_by(whole.len() / 60) {
                is_the_same(compression, &whole[..cut], &format!("cut at {cut}"));
                let mut broken = whole.clone();
                broken[cut] ^= 1 << (cut % 8);
                is_the_same(compression, &broken, &format!("broken at {cut}"));
            }
        }
    }

    #[test]
    fn false_sizes_of_gzip_members_change_nothing() {
        let members: Vec<Vec<u8>> = (0..30).map(|seed| member(Compression::Gzip, &noise(1200, seed))).collect();
        let len = members[9].len() as u16;
        let next = members[10].len() as u16;
        for (name, size) in [
            ("short", len - 100),
            ("by one", len - 2),
            ("by one too much", len),
            ("beyond", len + 100),
            ("two members", len + next - 1),
            ("nothing", 0),
            ("all", u16::MAX),
        ] {
            let mut stored = members.clone();
            stored[9][16..18].copy_from_slice(&size.to_le_bytes());
            let stored = stored.concat();
            let (data, end) = by_several(Compression::Gzip, &stored, BOUNDS);
            assert_eq!((data.len(), end.as_str()), (30 * 1200, "whole"), "{name}");
            is_the_same(Compression::Gzip, &stored, name);
        }
    }

    #[test]
    fn an_error_of_the_file_comes_where_it_was() {
        let member = member(Compression::Zstd, &noise(1500, 1));
        let stored: Reader = Box::new(Failing(Cursor::new(member.repeat(20))));
        let (data, end) = read(move |send, spare| in_parts(Compression::Zstd, stored, BOUNDS, 64 << 20, send, spare));
        assert_eq!((data.len(), end.as_str()), (20 * 1500, "disk on fire"));
    }

    #[test]
    fn bounds_stay_below_the_whole() {
        for mebibytes in [1, 10, 16, 20, 32, 64, 128, 1024, 1 << 20] {
            for (threads, compression) in [1, 2, 3, 8, 64, 1024].into_iter().flat_map(|n| FORMATS.map(|f| (n, f))) {
                let Some(bounds) = Bounds::of(compression, threads, mebibytes << 20) else {
                    let few = threads < compression.least_threads() || mebibytes < 64;
                    assert!(few || compression == Compression::Xz, "{compression:?}, {threads}, {mebibytes}");
                    continue;
                };
                assert!(bounds.parts >= 2 && bounds.parts <= threads + 1, "{bounds:?}");
                let ahead = bounds.parts as u64 * (bounds.state_bytes + (bounds.buffers * BUFFER_BYTES) as u64);
                let held = ahead + 4 * bounds.part_bytes as u64;
                assert!(held <= mebibytes << 20, "{compression:?}, {threads} threads, {mebibytes} MiB: {bounds:?}");
            }
        }
    }
}
