//! One capture being read: large reads into the batch, the container's records out of it.
//!
//! The only stage of the program that cannot be split, so the loop over records touches each header once and allocates
//! nothing; the record that a read cuts in two is carried to the next batch.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::ahead::{Ahead, is_nothing_yet, read_on};
use super::decompress::{Compression, Reader, buffered};
use super::ledger::{Epoch, Ledger};
use super::pcap::{self, Pcap};
use super::pcapng::{self, Pcapng};
use super::snoop::{self, Snoop};
use super::{Batch, Description, Options, Source, parallel};
use crate::error::{Error, Result};

/// How far a container's reader came, and why it stopped there. `at` is where the next record or block starts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// `want` bytes from `at` on are needed to go on.
    More { at: usize, want: usize },
    /// A batch ends before `at`, because the memory bound is to be looked at there.
    CheckDue { at: usize },
    /// `len` bytes from `at` on are of no interest, and they reach beyond the data at hand.
    Skip { at: usize, len: u64 },
    /// What stands at `at` is no record; there is no way on.
    Broken { at: usize, what: String },
}

#[derive(Debug)]
enum Container {
    Pcap(Pcap),
    Pcapng(Pcapng),
    Snoop(Snoop),
}

impl Container {
    fn walk(&mut self, data: &[u8], at: usize, ledger: &mut Ledger) -> Step {
        match self {
            Self::Pcap(pcap) => pcap.walk(data, at, ledger),
            Self::Pcapng(pcapng) => pcapng.walk(data, at, ledger),
            Self::Snoop(snoop) => snoop.walk(data, at, ledger),
        }
    }
}

/// A [`Source`] over any reader.
pub(super) struct Capture {
    name: String,
    reader: Reader,
    container: Container,
    compression: Option<Compression>,
    options: Options,
    ledger: Ledger,
    /// Bytes read and not yet taken: the start of the next batch.
    carry: Vec<u8>,
    /// Offset of the first byte of `carry` in the decompressed file.
    offset: u64,
    /// Bytes that the file is thought to hold behind `carry`; `None` for a pipe or a compressed file.
    expected: Option<u64>,
    next_frame: u64,
    stored: Arc<AtomicU64>,
    /// Why reading stopped before the end of the file.
    cut_short: Option<String>,
    ended: bool,
}

/// Size of one read: large enough to make system calls cheap, small enough that headers are still in the cache when
/// they are walked.
const READ_BYTES: usize = 256 << 10;
/// A read has at least this size, unless a batch is smaller.
const LEAST_READ_BYTES: usize = 64 << 10;
/// Bytes read before the container is known.
const HEAD_BYTES: usize = 4 << 10;
/// How long a batch of a live input waits for frames: short beside what people notice, long beside the work of a batch.
const PATIENCE: Duration = Duration::from_millis(200);
/// Compressed files below this size are not worth a thread.
pub(super) const INLINE_BYTES: u64 = 64 << 10;
/// Largest batch size that can be asked for: offsets within a batch are 32 bits wide.
const MAX_BATCH_BYTES: usize = 1 << 30;
/// Containers that are read, for messages.
const EXPECTED: &str = "expected pcap, pcapng or snoop, plain or compressed by gzip, zstd, lz4, xz or bzip2";

impl Capture {
    /// Recognises the container of `reader`. `size` is the size of the file, where it is one.
    pub(super) fn open(name: &str, reader: Reader, size: Option<u64>, options: Options) -> Result<Self> {
        let stored = Arc::new(AtomicU64::new(0));
        let mut reader: Reader = Box::new(Counted { inner: reader, count: Arc::clone(&stored) });
        let unreadable = |error: io::Error| Error::file(Path::new(name), format!("cannot be read: {error}"));
        // What a live input has not sent yet is not waited for.
        let head_bytes = if options.live { pcap::HEADER_LEN } else { HEAD_BYTES };
        let patience = options.live.then_some(PATIENCE);
        let (mut carry, failure) = read_head(&mut reader, head_bytes);
        let compression = Compression::recognise(&carry);
        let mut failure = failure;
        if let Some(compression) = compression {
            let whole: Reader = Box::new(io::Cursor::new(carry).chain(Pending { failure: failure.take(), reader }));
            let most_bytes = options.decoder_bytes;
            reader = if size.is_some_and(|size| size < INLINE_BYTES) {
                compression.decoder(buffered(whole), most_bytes).map_err(unreadable)?
            } else {
                let work = move |send: &_, spare: &_| {
                    if options.live {
                        read_on(compression.decoder(buffered(whole), most_bytes)?, true, send, spare)
                    } else {
                        parallel::decompress(compression, whole, options.decoders, most_bytes, send, spare)
                    }
                };
                Box::new(Ahead::start(compression.name(), patience, work).map_err(unreadable)?)
            };
            (carry, failure) = read_head(&mut reader, head_bytes);
        } else if options.live {
            let work = move |send: &_, spare: &_| read_on(reader, true, send, spare);
            reader = Box::new(Ahead::start("pipe", patience, work).map_err(unreadable)?);
        }
        let found = recognise(&carry, options);
        if let (Ok((_, header_len)), None) = (&found, &failure) {
            let (rest, behind) = read_head(&mut reader, header_len.saturating_sub(carry.len()));
            carry.extend(rest);
            failure = behind;
        }
        let (container, header_len) = match found {
            Ok(found) => found,
            Err(what) => {
                let within = compression.map_or(String::new(), |found| format!("in {} data: ", found.name()));
                return Err(match failure {
                    Some(error) => Error::file(Path::new(name), format!("cannot be read: {within}{error}")),
                    None => Error::content(Path::new(name), 0, format!("{within}{what}")),
                });
            }
        };
        let mut capture = Self {
            name: name.to_owned(),
            reader: Box::new(Pending { failure, reader }),
            container,
            compression,
            options: Options { batch_bytes: options.batch_bytes.clamp(1, MAX_BATCH_BYTES), ..options },
            ledger: Ledger::new(options),
            expected: size.filter(|_| compression.is_none()).map(|size| size.saturating_sub(carry.len() as u64)),
            carry,
            offset: header_len as u64,
            next_frame: 0,
            stored,
            cut_short: None,
            ended: false,
        };
        if capture.carry.len() < header_len {
            capture.stop(0, format!("a file header of {} bytes; expected {header_len}", capture.carry.len()));
        }
        capture.carry.drain(..header_len.min(capture.carry.len()));
        Ok(capture)
    }

    /// Reads behind the first `filled` bytes of `data`, making room as needed, and at once for all `wanted` bytes of it;
    /// the count is 0 at the end of the file.
    fn read(&mut self, data: &mut Vec<u8>, filled: usize, wanted: usize) -> io::Result<usize> {
        let expected = self.expected.map_or(usize::MAX, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        // A plain file is read in larger pieces, which threads share.
        let plain = self.options.batch_bytes / 4;
        let size = if self.expected.is_some() { READ_BYTES.max(plain.min(1 << 20)) } else { READ_BYTES };
        // What is read beyond the end of a batch is copied into the next one.
        let left = self.options.batch_bytes.saturating_sub(filled).min(self.ledger.bytes_left()).max(LEAST_READ_BYTES);
        let size = size.min(left).min(self.options.batch_bytes).min(expected.max(HEAD_BYTES));
        let needed = filled.saturating_add(size);
        if data.len() < needed {
            // Room for all of a batch at once where the size of the file is known, and for the read that finds its end; else
            // doubling, since nobody knows how much there is. A record that is larger than that is at most as large as a frame
            // may be, and gets its room in one piece: to grow towards it would copy it again and again, and leave holes behind.
            let whole = self.options.batch_bytes.saturating_add(2 * size);
            let left = expected.saturating_add(HEAD_BYTES);
            let likely = if self.expected.is_some() { filled.saturating_add(left) } else { data.len() * 2 };
            let most = needed.max(likely.min(whole)).max(wanted.saturating_add(size));
            if data.capacity() < needed {
                let mut grown = Vec::with_capacity(most);
                grown.extend_from_slice(data.get(..filled).unwrap_or_default());
                *data = grown;
            }
            data.resize(needed, 0);
        }
        let room = data.get_mut(filled..needed).unwrap_or_default();
        loop {
            match self.reader.read(room) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(count) => {
                    self.expected = self.expected.map(|bytes| bytes.saturating_sub(count as u64));
                    return Ok(count.min(size));
                }
            }
        }
    }

    /// Bytes that make a batch: so many that what is missing is not worth a read.
    fn enough(&self) -> usize {
        let batch_bytes = self.options.batch_bytes;
        batch_bytes - LEAST_READ_BYTES.min(batch_bytes / 4)
    }

    /// Reads and forgets the rest of a block of `len` bytes, of which `data` holds those from `at` to `filled`. What
    /// follows the block then stands at `at`; the new end of the data, or `None` when the file ended before.
    fn skip(&mut self, data: &mut Vec<u8>, at: usize, filled: usize, len: u64) -> Option<usize> {
        let block = self.offset + at as u64;
        let mut left = len.saturating_sub((filled - at) as u64);
        while left > 0 {
            match self.read(data, at, 0) {
                Ok(0) => {
                    self.stop(block, format!("a block of {len} bytes; the file ends {left} bytes before its end"));
                    return None;
                }
                Ok(count) if count as u64 > left => {
                    let follows = at + left as usize..at + count;
                    let behind = follows.len();
                    data.copy_within(follows, at);
                    self.offset += len;
                    return Some(at + behind);
                }
                Ok(count) => left -= count as u64,
                Err(error) if is_nothing_yet(&error) => {}
                Err(error) => {
                    self.stop(block, format!("reading failed: {error}"));
                    return None;
                }
            }
        }
        self.offset += len;
        Some(at)
    }

    /// Nothing is read any more, for a reason that people are told.
    fn stop(&mut self, offset: u64, what: String) {
        self.ended = true;
        self.cut_short = Some(format!("{}: byte {offset}: {what}; the rest is not read", self.name));
    }

    /// What a file that ends in the middle of a record lacks.
    fn end(&mut self, at: usize, filled: usize, want: usize) {
        self.ended = true;
        if filled > at {
            let offset = self.offset + at as u64;
            let what = format!("the file ends after {} bytes of a record; expected {want}", filled - at);
            self.cut_short = Some(format!("{}: byte {offset}: {what}", self.name));
        }
    }

    /// Fills `data` and the ledger up to the end of a batch; whether the memory bound is to be looked at behind it.
    fn take(&mut self, data: &mut Vec<u8>) -> bool {
        let mut filled = self.carry.len();
        if data.len() < filled {
            *data = std::mem::take(&mut self.carry);
        } else {
            if let Some(start) = data.get_mut(..filled) {
                start.copy_from_slice(&self.carry);
            }
            self.carry.clear();
        }
        let mut at = 0;
        let started = self.options.live.then(Instant::now);
        while !self.ended {
            let step = self.container.walk(data.get(..filled).unwrap_or_default(), at, &mut self.ledger);
            match step {
                Step::More { at: reached, want } => {
                    at = reached;
                    // A large record gets a batch of its own, so that what came before it does not add to it.
                    let full = filled > self.enough() || at.saturating_add(want) > 2 * self.options.batch_bytes;
                    if full && !self.ledger.frames.is_empty() {
                        self.keep(data, at, filled);
                        return false;
                    }
                    if self.ledger.frames.is_empty() && at > 0 {
                        // Only blocks without frames so far: their room is used again.
                        data.copy_within(at..filled, 0);
                        self.offset += at as u64;
                        filled -= at;
                        at = 0;
                    }
                    if started.is_some_and(|started| started.elapsed() >= PATIENCE) {
                        self.keep(data, at, filled);
                        return false;
                    }
                    match self.read(data, filled, at.saturating_add(want)) {
                        Err(error) if is_nothing_yet(&error) => {}
                        Ok(0) => self.end(at, filled, want),
                        Ok(count) => filled += count,
                        Err(error) => self.stop(self.offset + filled as u64, format!("reading failed: {error}")),
                    }
                }
                Step::CheckDue { at } => {
                    self.keep(data, at, filled);
                    return true;
                }
                Step::Skip { at: reached, len } => {
                    at = reached;
                    filled = self.skip(data, at, filled, len).unwrap_or(at);
                }
                Step::Broken { at, what } => self.stop(self.offset + at as u64, what),
            }
        }
        false
    }

    /// Keeps what stands behind `at` for the next batch.
    fn keep(&mut self, data: &[u8], at: usize, filled: usize) {
        self.carry.clear();
        self.carry.extend_from_slice(data.get(at..filled).unwrap_or_default());
        self.offset += at as u64;
    }
}

impl Source for Capture {
    fn next_batch(&mut self, batch: &mut Batch) -> Result<bool> {
        if batch.data.len() > self.options.batch_bytes.saturating_mul(2).saturating_add(4 * READ_BYTES) {
            // One huge record must not hold its room for the rest of the run.
            batch.data = Vec::new();
        }
        batch.frames.clear();
        batch.first_frame = self.next_frame;
        self.ledger.frames = std::mem::take(&mut batch.frames);
        batch.check_due = self.take(&mut batch.data);
        batch.epoch_ends = self.ledger.take_epoch_end();
        batch.frames = std::mem::take(&mut self.ledger.frames);
        self.next_frame += batch.frames.len() as u64;
        Ok(!batch.frames.is_empty() || (self.options.live && !self.ended))
    }

    fn epoch(&self) -> Epoch {
        self.ledger.epoch()
    }

    fn position(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }

    fn description(&self) -> Description {
        let (format, link_types, drops, mut warnings) = match &self.container {
            Container::Pcap(pcap) => ("pcap", vec![pcap.link_type], 0, Vec::new()),
            Container::Snoop(snoop) => ("snoop", vec![snoop.link_type], snoop.drops, Vec::new()),
            Container::Pcapng(pcapng) => {
                let links = pcapng.link_types.iter().copied().collect();
                ("pcapng", links, pcapng.drops(), self.without_interface(pcapng.without_interface))
            }
        };
        warnings.extend(self.cut_short.clone());
        Description {
            name: self.name.clone(),
            format: match self.compression {
                Some(compression) => format!("{format}+{}", compression.name()),
                None => format.to_owned(),
            },
            link_types,
            losses: self.ledger.losses(drops, self.cut_short.is_some()),
            warnings,
        }
    }
}

impl Capture {
    /// Names of the interfaces described so far, ascending.
    pub(super) fn interface_names(&self) -> Vec<String> {
        match &self.container {
            Container::Pcapng(pcapng) => pcapng.names.iter().cloned().collect(),
            Container::Pcap(_) | Container::Snoop(_) => Vec::new(),
        }
    }

    fn without_interface(&self, packets: u64) -> Vec<String> {
        let warning = || format!("{}: {packets} packets name an interface that is not described", self.name);
        (packets > 0).then(warning).into_iter().collect()
    }
}

/// The container that `head` starts with and the length of its file header, or what was found instead.
fn recognise(head: &[u8], options: Options) -> std::result::Result<(Container, usize), String> {
    if let Some(pcap) = Pcap::recognise(head, options.frame_bytes) {
        return Ok((Container::Pcap(pcap), pcap.header_len));
    }
    if let Some(pcapng) = Pcapng::recognise(head, options.frame_bytes) {
        // The section header is the first block and is walked like any other.
        return pcapng.map(|pcapng| (Container::Pcapng(pcapng), 0));
    }
    if let Some(snoop) = Snoop::recognise(head, options.frame_bytes) {
        return Ok((Container::Snoop(snoop), snoop::HEADER_LEN));
    }
    if head.is_empty() {
        return Err(format!("the file is empty; {EXPECTED}"));
    }
    let shortest = pcap::HEADER_LEN.min(pcapng::HEADER_LEN).min(snoop::HEADER_LEN);
    let start: Vec<String> = head.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let length = if head.len() < shortest { format!("only {} bytes, ", head.len()) } else { String::new() };
    Err(format!("no capture: {length}starts with {}; {EXPECTED}", start.join(" ")))
}

/// Whether `reader` holds a capture, by its first bytes.
pub(super) fn is_capture(mut reader: Reader) -> bool {
    let (head, _) = read_head(&mut reader, 32);
    let options = Options::default();
    let Some(compression) = Compression::recognise(&head) else { return recognise(&head, options).is_ok() };
    let whole: Reader = Box::new(io::Cursor::new(head).chain(reader));
    let Ok(mut decoder) = compression.decoder(buffered(whole), options.decoder_bytes) else { return false };
    recognise(&read_head(&mut decoder, 32).0, options).is_ok()
}

/// Reads up to `len` bytes, and the error that came behind them.
fn read_head(reader: &mut Reader, len: usize) -> (Vec<u8>, Option<io::Error>) {
    let mut head = vec![0; len];
    let mut filled = 0;
    let mut failure = None;
    while let Some(room) = head.get_mut(filled..).filter(|room| !room.is_empty()) {
        match reader.read(room) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted || is_nothing_yet(&error) => {}
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    head.truncate(filled);
    (head, failure)
}

/// A reader whose next read fails, when an error came behind bytes already taken.
pub(super) struct Pending {
    pub(super) failure: Option<io::Error>,
    pub(super) reader: Reader,
}

impl Read for Pending {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.failure.take() {
            Some(error) => Err(error),
            None => self.reader.read(buffer),
        }
    }
}

/// Counts the bytes read, for progress.
struct Counted {
    inner: Reader,
    count: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
