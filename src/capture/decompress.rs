//! Compressed captures: recognised by their first bytes.
//!
//! Sources: RFC 1952 (gzip), RFC 8878 (zstd), the LZ4 frame format 1.6, the .xz file format 1.1, bzip2's `BZh`.
//! All of them may be concatenated. A stream that stops before its end is an error, never a silent end.
//! Not handled: compress (.Z), zip and 7z archives, zstd dictionaries, compression inside compression.

use std::io::{self, BufRead, BufReader, Read};

use super::xz::Xz;

/// A reader that can be handed to another thread.
pub(super) type Reader = Box<dyn Read + Send>;

/// One with a buffer of its own.
pub(super) type Buffered = Box<dyn BufRead + Send>;

/// Reads compressed bytes in pieces that make system calls cheap.
pub(super) fn buffered(stored: impl Read + Send + 'static) -> Buffered {
    Box::new(BufReader::with_capacity(READ_BYTES, stored))
}

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
    pub(super) fn decoder(self, stored: Buffered, most_bytes: u64) -> io::Result<Reader> {
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

    /// The same, with up to `threads` threads where the format's own decoder can use them: xz, whose blocks tell their
    /// sizes when they were compressed by several threads.
    pub(super) fn threaded_decoder(self, stored: Buffered, threads: usize, most_bytes: u64) -> io::Result<Reader> {
        match self {
            Self::Xz if threads >= self.least_threads() => Ok(Box::new(Xz::new(stored, threads, most_bytes)?)),
            _ => self.decoder(stored, most_bytes),
        }
    }

    /// Threads from which on it pays to decompress side by side. A fast decoder keeps up with one thread that works on what
    /// it gives, so on two cores parts would only add the cost of holding them.
    pub(super) const fn least_threads(self) -> usize {
        match self {
            Self::Zstd | Self::Lz4 => 3,
            Self::Gzip | Self::Xz | Self::Bzip2 => 2,
        }
    }

    /// Stored bytes that are worth a thread. Members of gzip are decompressed so fast that handing parts on is felt; of slow
    /// formats small parts end more nearly at once. Unit: bytes.
    pub(super) const fn least_part(self) -> usize {
        match self {
            Self::Gzip => 4 << 20,
            Self::Zstd | Self::Lz4 | Self::Xz | Self::Bzip2 => 512 << 10,
        }
    }

    /// Memory of one decoder at the levels that are usual. Unit: bytes.
    pub(super) const fn usual_state(self) -> u64 {
        match self {
            Self::Gzip => 1 << 20,
            Self::Zstd | Self::Xz => 8 << 20,
            // Blocks of 4 MiB, stored and decompressed.
            Self::Lz4 => 10 << 20,
            Self::Bzip2 => 4 << 20,
        }
    }

    /// Where a member that has no end so far is given up. A stream of bzip2 cannot be told from one behind which no other
    /// follows, and those who write several of them make them short. Unit: bytes.
    pub(super) const fn longest_member(self) -> usize {
        match self {
            Self::Bzip2 => 8 << 20,
            _ => usize::MAX,
        }
    }
}

/// Size of one read of compressed bytes.
pub(super) const READ_BYTES: usize = 128 << 10;

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
