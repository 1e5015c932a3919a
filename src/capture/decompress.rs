//! Compressed captures: recognised by their first bytes, decompressed on a thread of their own.
//!
//! Sources: RFC 1952 (gzip), RFC 8878 (zstd), the LZ4 frame format 1.6, the .xz file format 1.1, bzip2's `BZh`.
//! All of them may be concatenated. A stream that stops before its end is an error, never a silent end.
//! Not handled: compress (.Z), zip and 7z archives, zstd dictionaries, compression inside compression.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

/// A reader that can be handed to another thread.
pub(super) type Reader = Box<dyn Read + Send>;

/// A compression format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    Gzip,
    Zstd,
    Lz4,
    Xz,
    Bzip2,
}

impl Compression {
    /// The format that `head` starts with.
    pub(super) fn recognise(head: &[u8]) -> Option<Self> {
        match head {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            // A zstd file may open with a skippable frame (RFC 8878 section 3.1.2).
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Zstd),
            // Frame format, and the legacy format of the first `lz4` program.
            [0x04, 0x22, 0x4d, 0x18, ..] | [0x02, 0x21, 0x4c, 0x18, ..] => Some(Self::Lz4),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, ..] => Some(Self::Bzip2),
            _ => None,
        }
    }

    /// The word in a description's format.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
            Self::Xz => "xz",
            Self::Bzip2 => "bzip2",
        }
    }

    /// A reader of the decompressed bytes, which takes no more than about `most_bytes` of memory.
    pub(super) fn decoder(self, stored: Reader, most_bytes: u64) -> io::Result<Reader> {
        let stored = BufReader::with_capacity(READ_BYTES, stored);
        Ok(match self {
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(stored)),
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(stored)?;
                // Long-distance matching (`zstd --long=31`) asks for up to 2 GiB.
                decoder.window_log_max(most_bytes.max(1 << 20).ilog2().min(31))?;
                Box::new(decoder)
            }
            Self::Lz4 => Box::new(Lz4::new(stored)),
            Self::Xz => {
                let flags = liblzma::stream::CONCATENATED;
                let stream = liblzma::stream::Stream::new_stream_decoder(most_bytes, flags)?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(stored, stream))
            }
            Self::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(stored)),
        })
    }
}

/// Size of one read of compressed bytes.
const READ_BYTES: usize = 128 << 10;

/// lz4 frames one after the other.
///
/// `lz4_flex` ends with 0 bytes both at the end of a frame and when the file stops between two blocks; here the first
/// goes on to the next frame, and the second is an error.
struct Lz4<R: Read> {
    frames: lz4_flex::frame::FrameDecoder<Tail<R>>,
}

impl<R: BufRead> Lz4<R> {
    fn new(stored: R) -> Self {
        Self { frames: lz4_flex::frame::FrameDecoder::new(Tail { inner: stored, last: [0; 8] }) }
    }
}

impl<R: BufRead> Read for Lz4<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.frames.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let stored = self.frames.get_mut();
            if stored.inner.fill_buf()?.is_empty() {
                return if stored.ends_frame() { Ok(0) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
    }
}

/// Remembers the last bytes read.
struct Tail<R> {
    inner: R,
    last: [u8; 8],
}

impl<R> Tail<R> {
    /// Whether the bytes read end with an end mark, with or without a checksum behind it.
    fn ends_frame(&self) -> bool {
        let [mark_before_checksum, mark] = self.last.as_chunks::<4>().0 else { return false };
        *mark == [0; 4] || *mark_before_checksum == [0; 4]
    }
}

impl<R: Read> Read for Tail<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let read = buffer.get(..count).unwrap_or_default();
        let new = read.get(read.len().saturating_sub(8)..).unwrap_or_default();
        self.last.rotate_left(new.len());
        let kept = self.last.len() - new.len();
        self.last.iter_mut().skip(kept).zip(new).for_each(|(last, byte)| *last = *byte);
        Ok(count)
    }
}

/// Buffers on their way at most; with [`BUFFER_BYTES`] the bound on memory.
const BUFFERS: usize = 4;
const BUFFER_BYTES: usize = 256 << 10;
/// Size of the first buffer: a small capture needs no more.
const FIRST_BUFFER_BYTES: usize = 64 << 10;

/// What the decompressing thread sends.
enum Message {
    Data(Vec<u8>),
    End,
    Failed(io::Error),
}

/// Reads what a thread decompresses ahead.
pub(super) struct Ahead {
    messages: Receiver<Message>,
    used: Sender<Vec<u8>>,
    current: Vec<u8>,
    at: usize,
    ended: bool,
}

impl Ahead {
    /// Starts a thread that decompresses `stored`. It ends with the input, or when this reader is dropped.
    pub(super) fn start(compression: Compression, stored: Reader, most_bytes: u64) -> io::Result<Self> {
        let (send, messages) = sync_channel(BUFFERS);
        let (used, unused) = channel();
        thread::Builder::new().name(format!("{} reader", compression.name())).spawn(move || {
            let decoder = compression.decoder(stored, most_bytes);
            match decoder.and_then(|decoder| decompress(decoder, &send, &unused)) {
                // The receiver is gone when the capture was dropped; then nobody wants to know.
                Ok(()) => drop(send.send(Message::End)),
                Err(error) => drop(send.send(Message::Failed(error))),
            }
        })?;
        Ok(Self { messages, used, current: Vec::new(), at: 0, ended: false })
    }
}

/// Sends the decompressed bytes in buffers, until the input ends or the other side hangs up.
fn decompress(mut decoder: Reader, send: &SyncSender<Message>, unused: &Receiver<Vec<u8>>) -> io::Result<()> {
    let mut size = FIRST_BUFFER_BYTES;
    loop {
        let mut buffer = unused.try_recv().unwrap_or_default();
        buffer.resize(size, 0);
        let (filled, result) = fill(&mut decoder, &mut buffer);
        buffer.truncate(filled);
        if filled > 0 && send.send(Message::Data(buffer)).is_err() {
            return Ok(());
        }
        result?;
        if filled == 0 {
            return Ok(());
        }
        size = (size * 2).min(BUFFER_BYTES);
    }
}

/// Fills `buffer` as far as the input goes: what was read counts, whatever came after it.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> (usize, io::Result<()>) {
    let mut filled = 0;
    while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
        match reader.read(room) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (filled, Err(error)),
        }
    }
    (filled, Ok(()))
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at >= self.current.len() && !self.ended {
            match self.messages.recv() {
                Ok(Message::Data(data)) => {
                    let used = std::mem::replace(&mut self.current, data);
                    self.at = 0;
                    // The thread may have ended already; then the buffer is not needed.
                    drop(self.used.send(used));
                }
                Ok(Message::End) => self.ended = true,
                Ok(Message::Failed(error)) => {
                    self.ended = true;
                    return Err(error);
                }
                Err(_) => {
                    self.ended = true;
                    return Err(io::Error::other("the decompressor stopped"));
                }
            }
        }
        let ready = self.current.get(self.at..).unwrap_or_default();
        let count = ready.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), ready.get(..count)) {
            to.copy_from_slice(from);
        }
        self.at += count;
        Ok(count)
    }
}
